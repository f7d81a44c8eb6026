/* filesystems.h - the mounted filesystems, what they lie on, and what can be done with each */
#ifndef VMC_FILESYSTEMS_H
#define VMC_FILESYSTEMS_H

#include "message.h"
#include "mounts.h"

/* Fill RESULT (all zero before; to be released with the table of VMC_FILESYSTEMS) with the mounted filesystems on block
 * devices, and these devices. What cannot be done with a filesystem is said in its why_not_trim, why_not_map and why_not_zero. */
int vmc_filesystems_list (struct vmc_filesystems_result *result, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Find NAME ("major:minor") among the MOUNTS; NULL when there is none. */
const struct vmc_mount *vmc_filesystems_find (const struct vmc_mounts *mounts, const char *name)
	__attribute__ ((nonnull));

/* Describe one mount; the devices that it lies on are added to DEVICES (struct vmc_device). PROBE: as for vmc_devices_add.
 * FILESYSTEM is released with vmc_filesystem_clear, also on failure. */
int vmc_filesystem_describe (const struct vmc_mount *mount, bool probe, struct vmc_list *devices,
			     struct vmc_filesystem *filesystem, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Has the kernel found errors in the ext4 on the device NAME ("major:minor"), which is one of DEVICES? Of other types it is not known. */
bool vmc_filesystem_has_errors (const struct vmc_list *devices, const char *name) __attribute__ ((nonnull));

/* Has the kernel an ext4 or XFS of the device NAME ("major:minor") in use, be it mounted or not? */
bool vmc_filesystem_lives (const char *name) __attribute__ ((nonnull));

void vmc_filesystem_clear (struct vmc_filesystem *filesystem) __attribute__ ((nonnull));

#endif
