/* reader.h - the second witness: what libext2fs finds free on the immutable base
 *
 * The bytes of a guest's disk may be made to attack whoever parses them, so they are parsed in a child that has nothing
 * to lose (sandbox.h): a user of its own, no new privileges, no files, resource limits, hardly a system call, and no
 * descriptors but the NBD socket, a pipe and a file in memory. What it writes into the pipe is checked again here: whoever takes over the child can only name ranges of its own disk.
 */
#ifndef VMC_READER_H
#define VMC_READER_H

#include <stdbool.h>

#include "claims.h"
#include "extent.h"
#include "signature.h"

/* What the child says about one place of the disk: a partition, the whole disk, or a gap between partitions of 2 MiB or more.
 * What is not understood is named in why_not as libblkid names it: "xfs: not understood, counts as used".
 *
 * A place that is only "usable" must be held against what the agent says: the reader has found no fault with it, but nothing
 * proves that the bitmaps are whole. "alone" is for disks without an agent, of domains that are off and of plain images: the
 * filesystem has metadata_csum, so the checksums of its superblock, of each descriptor and of each bitmap are right; its journal
 * is empty, or it has none and is marked as clean; libblkid sees ext4 there and nothing else; and all that the reader checks in
 * any filesystem holds.
 *
 * "In use" is what a look at a disk finds while its guest writes to it: an ext4, and nothing else, that its superblock calls mounted
 * for writing, or not shut down cleanly. */
struct vmc_witness {
	uint64_t offset, length; /* bytes, of the place */
	uint64_t data;           /* the first byte that is no header, counted from offset; length: none (container.h) */
	char type[VMC_SIGNATURE_SIZE]; /* what libblkid calls it, escaped; empty: nothing, or more than one thing */
	char uuid[VMC_NAME_SIZE];      /* of that, escaped; empty: none */
	bool usable;                   /* its free ranges are in the list */
	bool alone;                    /* and may be believed without the agent: see above */
	bool in_use;                   /* see above; such a place is never usable */
	bool checksums;                /* of an ext4: it has metadata_csum */
	char why_not[200];             /* escaped */
};

/* What the child says about a filesystem that the guest has named: its free ranges on this disk, proved on the bytes of the
 * filesystem wherever the guest says that they lie. */
struct vmc_view {
	char filesystem[VMC_NAME_SIZE]; /* as in the claims */
	bool usable;
	bool checksums;    /* its metadata have checksums, and those that were read are right */
	char why_not[200]; /* escaped */
	struct vmc_extents free;
};

struct vmc_reading {
	struct vmc_witness *places;
	size_t count;
	struct vmc_extents free; /* normalised; of the usable places together */
	struct vmc_view *views;
	size_t view_count;
	size_t ranges; /* of all places and views: has a bound */
};

void vmc_reading_clear (struct vmc_reading *reading) __attribute__ ((nonnull));

/* What is looked after while the reader is awaited; -1 ends it, and is the error that is told. */
struct vmc_meanwhile {
	int (*look) (void *opaque, struct vmc_error *err);
	void *opaque;
};

/* Start the child on NBD_FD (a connected socket), wait for its findings until DEADLINE_MS, check them against a disk of
 * DISK_BYTES. With CLAIMS it maps the filesystems that they name, and says of places only what lies there; without (NULL), it
 * maps the places. MEANWHILE (may be NULL) is asked twice a second. -1: the findings are void, and the whole disk counts as used; a
 * child that its sandbox has killed is one reason. */
int vmc_reader_run (int nbd_fd, uint64_t disk_bytes, const struct vmc_claims *claims, uint64_t deadline_ms,
		    const struct vmc_meanwhile *meanwhile, struct vmc_reading *reading, struct vmc_error *err)
	__attribute__ ((nonnull (6, 7), warn_unused_result));

/* The second half of it: read and check what a child writes into FD. Blocks until DEADLINE_MS (vmc_now_ms) at most. */
int vmc_reader_take (int fd, uint64_t disk_bytes, uint64_t deadline_ms, struct vmc_reading *reading,
		     struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* The child: descriptor 0 is the NBD socket, 1 the pipe, and, WITH_CLAIMS, 3 the claims. Returns its exit status. */
int vmc_reader_main (bool with_claims);

/* The word on the command line that makes the program its own child. */
#define VMC_READER_OPTION "--reader-child"
#define VMC_READER_WITH_CLAIMS "claims" /* its argument, if there are some */

#endif
