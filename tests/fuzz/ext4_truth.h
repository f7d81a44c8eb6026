/* ext4_truth.h - what an ext4 filesystem in memory says about its blocks, read without libext2fs and without the gate
 *
 * The tests compare the free map with this. It is written for filesystems that may be damaged: each access is checked
 * against the bytes that are there. It reads bitmaps, descriptors and the journal's inode, verifies no checksum, and counts a
 * block as used if anything says so.
 */
#ifndef VMC_EXT4_TRUTH_H
#define VMC_EXT4_TRUTH_H

#include "extent.h"

struct ext4_truth {
	unsigned char *bytes; /* borrowed */
	uint64_t size;
	uint64_t blocks; /* block_bytes each */
	uint32_t block_bytes, first_block, groups;
	uint32_t blocks_per_group, blocks_per_cluster, inodes_per_group;
	uint32_t inode_bytes, desc_bytes;
	uint32_t compat, incompat, ro_compat;
};

#define EXT4_TRUTH_GROUPS_MAX 4096 /* enough for all that is made here */

/* Read the superblock of the filesystem in the SIZE bytes at BYTES. False: its numbers make no filesystem. */
bool ext4_truth_open (struct ext4_truth *truth, unsigned char *bytes, uint64_t size) __attribute__ ((nonnull));

/* A little-endian number of COUNT bytes at OFFSET; 0 if that is outside. */
uint64_t ext4_truth_get (const struct ext4_truth *truth, uint64_t offset, unsigned count) __attribute__ ((nonnull));

/* Where the descriptor of GROUP lies, in bytes. */
uint64_t ext4_truth_desc (const struct ext4_truth *truth, uint32_t group) __attribute__ ((nonnull));

/* A block number in the descriptor of GROUP: its lower half at byte LOW (EXT4_DESC_*), its upper half where that belongs. */
uint64_t ext4_truth_location (const struct ext4_truth *truth, uint32_t group, unsigned low) __attribute__ ((nonnull));
#define EXT4_DESC_BLOCK_BITMAP 0
#define EXT4_DESC_INODE_BITMAP 4
#define EXT4_DESC_INODE_TABLE 8

/* Has the filesystem group descriptors with checksums, old or new? Only then the "uninitialised" marks count. */
bool ext4_truth_desc_csum (const struct ext4_truth *truth) __attribute__ ((nonnull));

/* Is the block bitmap of GROUP not on the disk? */
bool ext4_truth_uninit (const struct ext4_truth *truth, uint32_t group) __attribute__ ((nonnull));

/* How many bits the bitmap of GROUP has. */
uint32_t ext4_truth_bits (const struct ext4_truth *truth, uint32_t group) __attribute__ ((nonnull));

/* The block bitmap of GROUP; NULL: it lies outside, and everything counts as used. */
const unsigned char *ext4_truth_bitmap (const struct ext4_truth *truth, uint32_t group) __attribute__ ((nonnull));

/* Is BIT set in that? */
static inline bool ext4_truth_bit (const struct ext4_truth *truth, const unsigned char *bitmap, uint32_t bit)
{
	return bitmap == NULL || bit / 8 >= truth->block_bytes || (bitmap[bit / 8] >> bit % 8 & 1);
}

/* Where the journal's inode lies, in bytes. */
uint64_t ext4_truth_journal_inode (const struct ext4_truth *truth) __attribute__ ((nonnull));

/* The first block of the journal; 0: there is none. */
uint64_t ext4_truth_journal (const struct ext4_truth *truth) __attribute__ ((nonnull));

/* One byte a block: 1 for those that nobody may ever call free, because the filesystem's own structures lie there: boot block,
 * superblocks, descriptors, bitmaps, inode tables, journal. To be freed by the caller; never NULL. */
uint8_t *ext4_truth_static (const struct ext4_truth *truth) __attribute__ ((nonnull, returns_nonnull));

/* The same and the blocks that a bitmap calls used. */
uint8_t *ext4_truth_used (const struct ext4_truth *truth) __attribute__ ((nonnull, returns_nonnull));

/* The first byte of MAP (of a filesystem that begins at byte SHIFT) that it should not have: not sorted, not whole blocks,
 * outside of the filesystem, or in a block of USED. UINT64_MAX: there is none. */
uint64_t ext4_truth_compare (const struct ext4_truth *truth, const uint8_t *used, const struct vmc_extents *map,
			     uint64_t shift) __attribute__ ((nonnull));

#endif
