/* owner.h - to whom a file belongs, so that one that takes its place belongs to the same
 *
 * libvirt gives an image to QEMU's user while the domain runs, and remembers in extended attributes of the file whose it was. It
 * carries them over when it redirects a disk or commits, but not when it copies.
 */
#ifndef VMC_OWNER_H
#define VMC_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

#include "error.h"

struct vmc_owner {
	uid_t user;
	gid_t group;
	char label[256]; /* for SELinux, or empty: the directory's */
};

/* Whose the file PATH is now. */
int vmc_owner_of (const char *path, struct vmc_owner *owner, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Whose libvirt will make it when the domain ends, if it remembers; else whose it is now. */
int vmc_owner_remembered (const char *path, struct vmc_owner *owner, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Give the file FD to OWNER. -1 with errno set. A label that cannot be set is left to libvirt, which sets its own. */
int vmc_owner_give (const struct vmc_owner *owner, int fd) __attribute__ ((nonnull, warn_unused_result));

#endif
