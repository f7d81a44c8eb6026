/* mounts.h - the mounted filesystems, as the kernel lists them in /proc/self/mountinfo */
#ifndef VMC_MOUNTS_H
#define VMC_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

struct vmc_mount {
	uint64_t id;           /* of the mount, as statx(2) tells it, too */
	unsigned major, minor; /* of the filesystem; major 0: one that btrfs and others make up */
	dev_t device;          /* the block device, the first of several */
	char *source;          /* "/dev/vda2", unescaped; may be anything */
	char type[VMC_NAME_SIZE];
	char *mount_point; /* unescaped */
	bool read_only;    /* the filesystem, not just this mount */
	int depth;         /* how many mounts lie below it: children have a larger depth than their parents */
};

/* One entry for each filesystem on a block device of its own, the first mount of its root where there are several. */
struct vmc_mounts {
	struct vmc_mount *items;
	size_t count;
};

#define VMC_CLEANUP_MOUNTS __attribute__ ((cleanup (vmc_mounts_clear)))

void vmc_mounts_clear (struct vmc_mounts *mounts) __attribute__ ((nonnull));

/* Parse TEXT in the format of proc(5), "mountinfo". Lines that do not fit it are passed over. The block device of a filesystem
 * with major 0 is not known then. */
int vmc_mounts_parse (const char *text, struct vmc_mounts *mounts, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Read /proc/self/mountinfo. A filesystem with major 0 counts if its source is a block device. */
int vmc_mounts_read (struct vmc_mounts *mounts, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Open MOUNT's directory, proving that it is this filesystem and not one mounted over it. Returns a descriptor. */
int vmc_mount_open (const struct vmc_mount *mount, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Open a directory of the filesystem NAME ("major:minor") by any of its mounts that nothing is mounted over; however many there are, and
 * also those of a folder of it. 1: it is *FD; 0: it is not mounted; -1: it cannot be opened, or it is not known whether it is mounted. */
int vmc_mounts_open_any (const char *name, int *fd, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
