/* nodes.h - the files that locks on an image are on
 *
 * A lock is on an inode. A regular file has one. A block device has one for each node of it, and libvirt gives each QEMU a /dev of
 * its own, with nodes of its own: what that QEMU locks, and what it can be kept from, is only there.
 */
#ifndef VMC_NODES_H
#define VMC_NODES_H

#include <stddef.h>

#include "error.h"

#define VMC_NODES_MAX 16

struct vmc_nodes {
	int fds[VMC_NODES_MAX];
	size_t count;
};

#define VMC_CLEANUP_NODES __attribute__ ((cleanup (vmc_nodes_close)))

/* Open PATH for reading; and if it is a block device, also what has that PATH for each program in another mount namespace and is
 * the same device. NODES (all zero before) owns the descriptors. -1: PATH cannot be opened (errno is in ERR), or there are more
 * than VMC_NODES_MAX of them. */
int vmc_nodes_open (struct vmc_nodes *nodes, const char *path, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

void vmc_nodes_close (struct vmc_nodes *nodes) __attribute__ ((nonnull));

#endif
