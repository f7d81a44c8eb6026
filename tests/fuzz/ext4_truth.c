/* ext4_truth.c - see ext4_truth.h; positions are those of struct ext4_super_block, ext4_group_desc and ext4_inode in Linux */
#include "ext4_truth.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define SUPER 1024
#define FEATURE_64BIT 0x80u
#define FEATURE_META_BG 0x10u
#define FEATURE_SPARSE_SUPER 0x1u
#define FEATURE_GDT_CSUM 0x10u
#define FEATURE_METADATA_CSUM 0x400u
#define FEATURE_SPARSE_SUPER2 0x200u
#define JOURNAL_INODE 8
#define INODE_EXTENTS 0x80000u
#define EXTENT_MAGIC 0xF30Au
#define BLOCK_UNINIT 2u

uint64_t ext4_truth_get (const struct ext4_truth *truth, uint64_t offset, unsigned count)
{
	struct fuzz_input input;

	if (offset > truth->size || count > truth->size - offset)
		return 0;
	input = (struct fuzz_input) {truth->bytes + offset, count};
	return fuzz_number (&input, count);
}

static uint32_t super32 (const struct ext4_truth *truth, unsigned at)
{
	return (uint32_t) ext4_truth_get (truth, SUPER + at, 4);
}

/* The sizes that others are divided by, and the number of groups. */
static bool check_sizes (struct ext4_truth *truth)
{
	uint64_t groups;

	if (truth->blocks_per_group == 0 || truth->inodes_per_group == 0 || truth->inode_bytes < 128 ||
	    truth->inode_bytes > truth->block_bytes || truth->desc_bytes < 32 ||
	    truth->desc_bytes > truth->block_bytes || truth->blocks <= truth->first_block ||
	    truth->blocks > truth->size / truth->block_bytes)
		return false;
	groups = (truth->blocks - truth->first_block + truth->blocks_per_group - 1) / truth->blocks_per_group;
	truth->groups = (uint32_t) groups;
	return groups <= EXT4_TRUTH_GROUPS_MAX;
}

bool ext4_truth_open (struct ext4_truth *truth, unsigned char *bytes, uint64_t size)
{
	uint32_t log_block, log_cluster;

	*truth = (struct ext4_truth) {.bytes = bytes, .size = size};
	log_block = super32 (truth, 24);
	log_cluster = super32 (truth, 28);
	if (log_block > 6 || log_cluster < log_block || log_cluster - log_block > 16)
		return false;
	truth->block_bytes = 1024u << log_block;
	truth->blocks_per_cluster = 1u << (log_cluster - log_block);
	truth->first_block = super32 (truth, 20);
	truth->blocks_per_group = super32 (truth, 32);
	truth->inodes_per_group = super32 (truth, 40);
	truth->inode_bytes = (uint32_t) ext4_truth_get (truth, SUPER + 88, 2);
	truth->compat = super32 (truth, 92);
	truth->incompat = super32 (truth, 96);
	truth->ro_compat = super32 (truth, 100);
	truth->blocks = super32 (truth, 4);
	truth->desc_bytes = 32;
	if (truth->incompat & FEATURE_64BIT) {
		truth->blocks |= (uint64_t) super32 (truth, 336) << 32;
		truth->desc_bytes = (uint32_t) ext4_truth_get (truth, SUPER + 254, 2);
	}
	return check_sizes (truth);
}

bool ext4_truth_desc_csum (const struct ext4_truth *truth)
{
	return (truth->ro_compat & (FEATURE_GDT_CSUM | FEATURE_METADATA_CSUM)) != 0;
}

/* --- which group has what --------------------------------------------------------------------- */

static bool power_of (uint32_t number, uint32_t base)
{
	while (number > 1 && number % base == 0)
		number /= base;
	return number == 1;
}

static bool has_super (const struct ext4_truth *truth, uint32_t group)
{
	if (group == 0)
		return true;
	if (truth->compat & FEATURE_SPARSE_SUPER2)
		return group == super32 (truth, 588) || group == super32 (truth, 592);
	if (group == 1 || !(truth->ro_compat & FEATURE_SPARSE_SUPER))
		return true;
	return power_of (group, 3) || power_of (group, 5) || power_of (group, 7);
}

static uint64_t first_of (const struct ext4_truth *truth, uint32_t group)
{
	return truth->first_block + (uint64_t) group * truth->blocks_per_group;
}

static uint32_t descs_per_block (const struct ext4_truth *truth)
{
	return truth->block_bytes / truth->desc_bytes;
}

/* Blocks of descriptors that lie one after the other behind a superblock; those from there on are in their meta groups. */
static uint32_t old_desc_blocks (const struct ext4_truth *truth)
{
	uint32_t all = (truth->groups + descs_per_block (truth) - 1) / descs_per_block (truth),
		 first = super32 (truth, 260);

	return (truth->incompat & FEATURE_META_BG) && first < all ? first : all;
}

uint64_t ext4_truth_desc (const struct ext4_truth *truth, uint32_t group)
{
	uint32_t block = group / descs_per_block (truth), leader = block * descs_per_block (truth);
	/* The superblock is in block 1 when blocks have 1 KiB (even if groups begin at block 0), in block 0 otherwise. */
	uint64_t where = (truth->block_bytes == 1024) + UINT64_C (1) + block;

	if (block >= old_desc_blocks (truth))
		where = first_of (truth, leader) + has_super (truth, leader);
	return where * truth->block_bytes + (uint64_t) (group % descs_per_block (truth)) * truth->desc_bytes;
}

uint64_t ext4_truth_location (const struct ext4_truth *truth, uint32_t group, unsigned low)
{
	uint64_t desc = ext4_truth_desc (truth, group), block = ext4_truth_get (truth, desc + low, 4);

	if (truth->desc_bytes >= 64)
		block |= ext4_truth_get (truth, desc + 32 + low, 4) << 32;
	return block;
}

bool ext4_truth_uninit (const struct ext4_truth *truth, uint32_t group)
{
	return ext4_truth_desc_csum (truth) &&
	       (ext4_truth_get (truth, ext4_truth_desc (truth, group) + 18, 2) & BLOCK_UNINIT);
}

/* --- the blocks of the filesystem's own structures --------------------------------------------- */

static void mark (const struct ext4_truth *truth, uint8_t *map, uint64_t block, uint64_t count)
{
	for (; count > 0 && block < truth->blocks; block++, count--)
		map[block] = 1;
}

static void mark_group (const struct ext4_truth *truth, uint32_t group, uint8_t *map)
{
	uint64_t head = first_of (truth, group) + (group == 0 && truth->block_bytes == 1024 && truth->first_block == 0);
	uint32_t per_block = descs_per_block (truth), block = group / per_block, within = group % per_block;
	uint32_t table =
		(uint32_t) (((uint64_t) truth->inodes_per_group * truth->inode_bytes + truth->block_bytes - 1) /
			    truth->block_bytes);

	if (has_super (truth, group))
		mark (truth, map, head, 1);
	/* With what is kept for more descriptors. */
	if (has_super (truth, group) && !(truth->incompat & FEATURE_META_BG))
		mark (truth, map, head + 1, old_desc_blocks (truth) + ext4_truth_get (truth, SUPER + 206, 2));
	else if (has_super (truth, group) && block < old_desc_blocks (truth))
		mark (truth, map, head + 1, old_desc_blocks (truth));
	if (block >= old_desc_blocks (truth) && (within == 0 || within == 1 || within == per_block - 1))
		mark (truth, map, first_of (truth, group) + has_super (truth, group), 1);
	mark (truth, map, ext4_truth_location (truth, group, EXT4_DESC_BLOCK_BITMAP), 1);
	mark (truth, map, ext4_truth_location (truth, group, EXT4_DESC_INODE_BITMAP), 1);
	mark (truth, map, ext4_truth_location (truth, group, EXT4_DESC_INODE_TABLE), table);
}

uint64_t ext4_truth_journal_inode (const struct ext4_truth *truth)
{
	return ext4_truth_location (truth, 0, EXT4_DESC_INODE_TABLE) * truth->block_bytes +
	       (uint64_t) (JOURNAL_INODE - 1) * truth->inode_bytes;
}

/* The extents of the node at OFFSET, of ROOM bytes. LEFT bounds the nodes that are looked at. */
static void mark_extents (const struct ext4_truth *truth, uint64_t offset, uint32_t room, unsigned depth,
			  uint64_t *left, uint8_t *map)
{
	uint64_t entries = ext4_truth_get (truth, offset + 2, 2);

	if (ext4_truth_get (truth, offset, 2) != EXTENT_MAGIC || depth > 5 || *left == 0)
		return;
	*left -= 1;
	for (uint64_t i = 0; i < entries && (i + 2) * 12 <= room; i++) {
		uint64_t entry = offset + (i + 1) * 12, length = ext4_truth_get (truth, entry + 4, 2);

		if (ext4_truth_get (truth, offset + 6, 2) == 0) {
			mark (truth, map,
			      ext4_truth_get (truth, entry + 6, 2) << 32 | ext4_truth_get (truth, entry + 8, 4),
			      length > 32768 ? length - 32768 : length);
			continue;
		}
		length = ext4_truth_get (truth, entry + 8, 2) << 32 | ext4_truth_get (truth, entry + 4, 4);
		mark (truth, map, length, 1);
		mark_extents (truth, length * truth->block_bytes, truth->block_bytes, depth + 1, left, map);
	}
}

/* A block of an old-style inode, with LEVEL blocks of pointers above the data. */
static void mark_pointer (const struct ext4_truth *truth, uint64_t block, unsigned level, uint64_t *left, uint8_t *map)
{
	if (block == 0 || block >= truth->blocks || *left == 0)
		return;
	*left -= 1;
	mark (truth, map, block, 1);
	for (uint32_t i = 0; level > 0 && i < truth->block_bytes / 4; i++)
		mark_pointer (truth, ext4_truth_get (truth, block * truth->block_bytes + i * 4, 4), level - 1, left,
			      map);
}

static void mark_journal (const struct ext4_truth *truth, uint8_t *map)
{
	uint64_t inode = ext4_truth_journal_inode (truth), left = truth->blocks;

	if (ext4_truth_get (truth, inode + 32, 4) & INODE_EXTENTS) {
		mark_extents (truth, inode + 40, 60, 0, &left, map);
		return;
	}
	for (unsigned i = 0; i < 15; i++)
		mark_pointer (truth, ext4_truth_get (truth, inode + 40 + i * 4, 4), i < 12 ? 0 : i - 11, &left, map);
}

uint64_t ext4_truth_journal (const struct ext4_truth *truth)
{
	uint64_t inode = ext4_truth_journal_inode (truth);

	if (!(ext4_truth_get (truth, inode + 32, 4) & INODE_EXTENTS))
		return ext4_truth_get (truth, inode + 40, 4);
	/* Of a tree that is not flat, the tests of the journal's superblock do without. */
	return ext4_truth_get (truth, inode + 46, 2) == 0 ? ext4_truth_get (truth, inode + 60, 4) : 0;
}

uint8_t *ext4_truth_static (const struct ext4_truth *truth)
{
	uint8_t *map = calloc (truth->blocks, 1);

	FUZZ_MUST (map != NULL);
	mark (truth, map, 0, (truth->block_bytes == 1024) + UINT64_C (1));
	for (uint32_t group = 0; group < truth->groups; group++)
		mark_group (truth, group, map);
	if (truth->compat & 4)
		mark_journal (truth, map);
	return map;
}

/* --- bitmaps ---------------------------------------------------------------------------------- */

uint32_t ext4_truth_bits (const struct ext4_truth *truth, uint32_t group)
{
	uint64_t blocks = truth->blocks - first_of (truth, group);

	if (blocks > truth->blocks_per_group)
		blocks = truth->blocks_per_group;
	return (uint32_t) ((blocks + truth->blocks_per_cluster - 1) / truth->blocks_per_cluster);
}

const unsigned char *ext4_truth_bitmap (const struct ext4_truth *truth, uint32_t group)
{
	uint64_t block = ext4_truth_location (truth, group, EXT4_DESC_BLOCK_BITMAP);

	return block < truth->blocks ? truth->bytes + block * truth->block_bytes : NULL;
}

static void mark_bitmap (const struct ext4_truth *truth, uint32_t group, uint8_t *map)
{
	const unsigned char *bitmap = ext4_truth_bitmap (truth, group);
	uint32_t bits = ext4_truth_bits (truth, group), ratio = truth->blocks_per_cluster;

	for (uint32_t bit = 0; bit < bits; bit++)
		if (ext4_truth_bit (truth, bitmap, bit))
			mark (truth, map, first_of (truth, group) + (uint64_t) bit * ratio, ratio);
}

uint8_t *ext4_truth_used (const struct ext4_truth *truth)
{
	uint8_t *map = ext4_truth_static (truth);

	for (uint32_t group = 0; group < truth->groups; group++)
		if (!ext4_truth_uninit (truth, group))
			mark_bitmap (truth, group, map);
	return map;
}

uint64_t ext4_truth_compare (const struct ext4_truth *truth, const uint8_t *used, const struct vmc_extents *map,
			     uint64_t shift)
{
	uint64_t from = shift, size = truth->block_bytes;

	for (size_t i = 0; i < map->count; i++) {
		uint64_t start = map->items[i].start, length = map->items[i].length;

		if (start < from || length == 0 || (start - shift) % size != 0 || length % size != 0)
			return start;
		from = start + length;
		for (uint64_t block = (start - shift) / size; block < (from - shift) / size; block++)
			if (block >= truth->blocks || used[block])
				return shift + block * size;
	}
	return UINT64_MAX;
}
