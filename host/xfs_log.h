/* xfs_log.h - is the log of an XFS filesystem clean, so that its metadata is all in its place? */
#ifndef VMC_XFS_LOG_H
#define VMC_XFS_LOG_H

#include "xfs_disk.h"

/* Look at the log of XFS, which has passed the gate, and fill its geometry's unmounted. Clean is a log that ends with an unmount, and
 * one in which nothing but the superblock would be replayed: so freezing leaves it, and so it is when nothing was written for a
 * minute. VMC_REFUSED: it is not, or it cannot be told. */
int vmc_xfs_log_check (const struct vmc_xfs *xfs, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
