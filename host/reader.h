/* reader.h - the second witness: what libext2fs finds free on the immutable base
 *
 * The bytes of a guest's disk may be made to attack whoever parses them, so they are parsed in a child that has nothing
 * to lose (sandbox.h): a user of its own, no new privileges, no files, resource limits, hardly a system call, and no
 * descriptors but the NBD socket, a pipe and a file in memory. What it writes into the pipe is checked again here: whoever takes over the child can only name ranges of its own disk.
 */
#ifndef VMC_READER_H
#define VMC_READER_H

#include <stdbool.h>

#include "extent.h"

/* What the child says about one place of the disk: a partition, the whole disk, or a gap between partitions of 2 MiB or more.
 * What is not understood is named in why_not as libblkid names it: "xfs: not understood, counts as used".
 *
 * A place that is only "usable" must be held against what the agent says: the reader has found no fault with it, but nothing
 * proves that the bitmaps are whole. "alone" is for disks without an agent, of domains that are off and of plain images: the
 * filesystem has metadata_csum, so the checksums of its superblock, of each descriptor and of each bitmap are right; its journal
 * is empty, or it has none and is marked as clean; libblkid sees ext4 there and nothing else; and all that the reader checks in
 * any filesystem holds. */
struct vmc_witness {
	uint64_t offset, length; /* bytes, of the place */
	char uuid[37];           /* of the ext filesystem in it; empty: none */
	bool usable;             /* its free ranges are in the list */
	bool alone;              /* and may be believed without the agent: see below */
	char why_not[200];       /* escaped */
};

struct vmc_reading {
	struct vmc_witness *places;
	size_t count;
	struct vmc_extents free; /* normalised; of the usable places together */
};

void vmc_reading_clear (struct vmc_reading *reading) __attribute__ ((nonnull));

/* Start the child on NBD_FD (a connected socket), wait for its findings until DEADLINE_MS, check them against a disk of
 * DISK_BYTES. -1: they are void, and the whole disk counts as used; a child that its sandbox has killed is one reason. */
int vmc_reader_run (int nbd_fd, uint64_t disk_bytes, uint64_t deadline_ms, struct vmc_reading *reading,
		    struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* The second half of it: read and check what a child writes into FD. Blocks until DEADLINE_MS (vmc_now_ms) at most. */
int vmc_reader_take (int fd, uint64_t disk_bytes, uint64_t deadline_ms, struct vmc_reading *reading,
		     struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* The child: descriptor 0 is the NBD socket, 1 the pipe. Returns its exit status. */
int vmc_reader_main (void);

/* The word on the command line that makes the program its own child. */
#define VMC_READER_OPTION "--reader-child"

#endif
