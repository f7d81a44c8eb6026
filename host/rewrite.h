/* rewrite.h - an image at rest, written anew into a file that holds only what is used
 *
 * The caller sees to it that nobody writes to the image meanwhile (guard.h). The new file is nameless until it is complete, on
 * the disk and verified: whenever we are killed, the kernel removes it. Some filesystems have no nameless files (NFS, FUSE): there
 * it has a name that no complete image ever has (VMC_PART_SUFFIX), and whoever finds one removes it.
 */
#ifndef VMC_REWRITE_H
#define VMC_REWRITE_H

#include "domain_xml.h"
#include "extent.h"
#include "image.h"
#include "punch.h"

/* What the new image shall be; all zero: as the old one. */
struct vmc_rewrite_wish {
	const char *format;             /* "qcow2" or "raw"; NULL: as it is */
	uint64_t cluster_bytes;         /* of qcow2; 0: as it is */
	bool compress;                  /* the data clusters of a qcow2 */
	uint64_t bandwidth_bytes_per_s; /* 0: no limit */
};

/* An image that was not completed. */
#define VMC_PART_SUFFIX ".vmcompact-part"

struct vmc_rewrite {
	const struct vmc_disk *disk;   /* the image, its format and its backing files, as the domain's XML says */
	const struct vmc_image *image; /* the file that it must still be */
	const char *directory;         /* where the new file is made; it can be given a name on this filesystem only */
	const char *part;              /* its name there until it is complete, if it must have one: in the directory */
	const char *name;              /* unique among those that run now: for sockets */
	uint64_t stored_end;           /* what vmc_allocation_end says of it */
	struct vmc_rewrite_wish wish;
};

/* Can it be done at all? VMC_REFUSED with the reason: a wish that makes no sense (raw with a backing file, clusters of raw, no power
 * of two), too little space in the directory for USED_BYTES, what would be lost (persistent bitmaps). */
int vmc_rewrite_check (const struct vmc_rewrite *rewrite, uint64_t used_bytes, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Write the image anew without the FREE ranges of the virtual disk (normalised), and verify it: each byte of the rest is read
 * from both and compared (copy.c says how). Free ranges read as zeros afterwards; over a backing file they may also be what they
 * were, or what that has there. Owner, group, mode and the extended attributes (ACL, label, what libvirt remembers) are
 * those of the old file. BETWEEN is called some times a second, but for the fsync, with bytes copied and compared; what there
 * is to be done in all may change when comparing begins; not 0 means stop. There is no deadline, but 5 minutes
 * without any progress are a VMC_TIMEOUT. Returns a descriptor of the new, synced, nameless file, owned by the caller;
 * -1: nothing is left of it. */
int vmc_rewrite_run (const struct vmc_rewrite *rewrite, const struct vmc_extents *free, vmc_punch_between *between,
		     void *opaque, struct vmc_error *err) __attribute__ ((nonnull (1, 2, 3, 5), warn_unused_result));

/* Close FD, and remove the file if it was not completed and has a name all the same. */
void vmc_rewrite_drop (int fd);

/* Remove what a rewrite of the image PATH that was killed has left. Only for who has the lock on it. */
void vmc_rewrite_tidy (const char *path) __attribute__ ((nonnull));

/* PATH with that suffix, into a buffer of VMC_PATH_SIZE. VMC_REFUSED: it does not fit. */
int vmc_rewrite_part (const char *path, char *part, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Give the nameless file FD the name PATH, which must be free, and have that on the disk. After an error the name may be
 * there: only the directory's fsync failed then. */
int vmc_rewrite_name (int fd, const char *path, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
