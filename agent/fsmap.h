/* fsmap.h - the free ranges of a mounted filesystem, from FS_IOC_GETFSMAP */
#ifndef VMC_FSMAP_H
#define VMC_FSMAP_H

#include <stdbool.h>

#include "extent.h"

/* Add the free ranges of the filesystem behind FD to MAP, moved by OFFSET bytes (its place on the disk). The map is
 * true only while the filesystem is frozen. *COMPLETE becomes false when MAP is full (VMC_MAP_MAX_RANGES).
 * MAJOR, MINOR: its device; ranges of other devices (an external journal) are left out. */
int vmc_fsmap_free (int fd, unsigned major, unsigned minor, uint64_t offset, struct vmc_extents *map, bool *complete,
		    struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
