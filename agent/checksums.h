/* checksums.h - does a mounted filesystem protect its metadata with checksums? */
#ifndef VMC_CHECKSUMS_H
#define VMC_CHECKSUMS_H

#include <stdbool.h>
#include <sys/types.h>

/* True if the superblock on DEVICE, mounted as TYPE, says that bitmaps and their descriptors (ext4: metadata_csum), or trees (xfs:
 * version 5), have checksums. False if they have none, or that cannot be told. What it says cannot change while it is mounted. */
bool vmc_checksums_cover (dev_t device, const char *type) __attribute__ ((nonnull));

#endif
