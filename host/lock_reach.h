/* lock_reach.h - do locks on a file keep out everybody who can reach it?
 *
 * A domain that is off here may run on another host of a cluster, from the same file on a shared filesystem. QEMU's locks show that, but
 * only where the filesystem takes them to the other hosts: NFS mounted with "nolock", OCFS2, most of FUSE, 9p and virtiofs keep them to
 * this one.
 */
#ifndef VMC_LOCK_REACH_H
#define VMC_LOCK_REACH_H

#include <stdbool.h>

#include "error.h"

/* VMC_REFUSED: not so, or it cannot be told; ERR says where the file PATH lies. */
int vmc_lock_reach_check (const char *path, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* The second half of it: of a filesystem of TYPE that is mounted with OPTIONS ("rw,vers=3,nolock"). */
bool vmc_lock_reaches (const char *type, const char *options) __attribute__ ((nonnull, warn_unused_result));

#endif
