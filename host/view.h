/* view.h - a filesystem of the guest as a row of bytes, wherever its pieces lie on the disk */
#ifndef VMC_VIEW_H
#define VMC_VIEW_H

#include "source.h"
#include "stack.h"

/* Reads of "source" are reads of the guest's device, found on DISK by the list of devices. What lies on another disk, or is
 * encrypted on this one, cannot be read. */
struct vmc_view_source {
	struct vmc_source source; /* first: it is what the readers of filesystems get */
	struct vmc_source *disk_source;
	const struct vmc_list *devices;
	const char *device, *disk;
};

/* Set up VIEW of DEVICE; all that is given is borrowed. VMC_REFUSED: it cannot be read. */
int vmc_view_open (struct vmc_view_source *view, struct vmc_source *disk_source, const char *disk,
		   const struct vmc_list *devices, const char *device, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* RANGES of the view, as ranges of the disk, normalised, into OUT (empty before). */
int vmc_view_locate (const struct vmc_view_source *view, const struct vmc_extents *ranges, struct vmc_extents *out,
		     struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
