/* fsmap.h - the free ranges of a mounted filesystem, from FS_IOC_GETFSMAP */
#ifndef VMC_FSMAP_H
#define VMC_FSMAP_H

#include <stdbool.h>
#include <sys/types.h>

#include "extent.h"
#include "mounts.h"

/* Why the kernel has no such map of the filesystem at MOUNT, or it cannot be asked for one; empty: it has. */
const char *vmc_fsmap_why_not (const struct vmc_mount *mount) __attribute__ ((nonnull, returns_nonnull));

/* Add the free ranges of the filesystem behind FD to MAP, as positions on its block device DEVICE. The map is true only while
 * the filesystem is frozen. *COMPLETE becomes false when MAP is full (VMC_MAP_MAX_RANGES). Ranges of other devices (an
 * external journal, a realtime part) are left out. */
int vmc_fsmap_free (int fd, dev_t device, struct vmc_extents *map, bool *complete, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
