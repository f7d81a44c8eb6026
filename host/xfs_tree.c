/* xfs_tree.c - see xfs_tree.h
 *
 * The tree is walked from its root, from the left to the right, with one block of each level in memory: the path to where the
 * walk is. That it ends, and sees each block once, needs no list of what was seen. A block is read only as the child of another
 * one of the level above it, and each leaf but the root has a record. The records must be in order all over the tree, so a leaf
 * that came a second time would be refused with its first record; and a group has only so many blocks to be free.
 *
 * A key is the first record below it. Positions are those of struct xfs_btree_block and xfs_alloc_rec in Linux's
 * fs/xfs/libxfs/xfs_format.h.
 */
#include "xfs_tree.h"

#include <errno.h>
#include <stdlib.h>

#define MAGIC_BY_BLOCK 0x41423342u /* "AB3B" */
#define MAGIC_BY_SIZE 0x41423343u  /* "AB3C" */
#define NO_BLOCK UINT32_MAX

#define RECORD_BYTES 8
#define POINTER_BYTES 4

/* In each block, in bytes from its start. */
enum field {
	BB_MAGIC = 0,
	BB_LEVEL = 4,
	BB_COUNT = 6,
	BB_LEFT = 8,
	BB_RIGHT = 12,
	BB_SECTOR = 16, /* of 512 bytes, where it lies in the filesystem */
	BB_UUID = 32,
	BB_GROUP = 48,
	BB_CHECKSUM = 52,
	BB_HEADER_BYTES = 56,
};

struct range {
	uint32_t start, length; /* blocks of the group */
};

struct walk {
	const struct vmc_xfs *xfs;
	const struct vmc_xfs_tree *tree;
	uint64_t blocks_left; /* that may still be read */
	struct vmc_extents *used, *free;
	size_t free_max;
	struct vmc_xfs_sums *sums;
	struct range last; /* record; the first one has none before it */
	unsigned char *path;
	struct {
		uint32_t block, right; /* of this level: the last one read, and who is to come next */
	} levels[VMC_XFS_TREE_MAX_LEVELS];
	struct vmc_error *err;
};

static int refuse (const struct walk *walk, const char *what)
{
	return vmc_fail (walk->err, VMC_REFUSED, 0, "%s", what);
}

static unsigned char *block_at (const struct walk *walk, unsigned level)
{
	return walk->path + (size_t) level * walk->xfs->geometry->block_bytes;
}

static struct range get_range (const unsigned char *bytes)
{
	return (struct range) {vmc_xfs_get32 (bytes), vmc_xfs_get32 (bytes + 4)};
}

/* Is A before B in this tree? Never both, and not if they are the same. */
static bool before (const struct walk *walk, struct range a, struct range b)
{
	if (walk->tree->order == VMC_XFS_BY_SIZE && a.length != b.length)
		return a.length < b.length;
	return a.start < b.start;
}

/* --- a block ---------------------------------------------------------------------------------- */

static int read_block (struct walk *walk, uint32_t block, unsigned level)
{
	const struct vmc_xfs_geometry *geometry = walk->xfs->geometry;
	uint64_t all = (uint64_t) walk->tree->group * geometry->group_blocks + block;
	unsigned char *bytes = block_at (walk, level);

	if (block < vmc_xfs_header_blocks (geometry) || block >= vmc_xfs_group_length (geometry, walk->tree->group))
		return refuse (walk, "a block of a free-space tree lies outside of its group");
	if (walk->blocks_left == 0)
		return refuse (walk, "a free-space tree has more blocks than its group says");
	walk->blocks_left--;
	walk->sums->tree_blocks++;
	if (vmc_extents_add (walk->used, block, 1, walk->err) < 0 ||
	    vmc_xfs_read (walk->xfs, bytes, all * geometry->block_bytes, geometry->block_bytes, walk->err) < 0)
		return -1;
	if (!vmc_xfs_checksum_right (bytes, geometry->block_bytes, BB_CHECKSUM))
		return refuse (walk, "a block of a free-space tree has a wrong checksum");
	if (vmc_xfs_get64 (bytes + BB_SECTOR) != all * (geometry->block_bytes / 512))
		return refuse (walk, "a block of a free-space tree is not where it says it is");
	return 0;
}

static int check_owner (const struct walk *walk, const unsigned char *bytes, unsigned level)
{
	uint32_t magic = walk->tree->order == VMC_XFS_BY_BLOCK ? MAGIC_BY_BLOCK : MAGIC_BY_SIZE;

	if (vmc_xfs_get32 (bytes + BB_MAGIC) != magic || vmc_xfs_get16 (bytes + BB_LEVEL) != level)
		return refuse (walk, "a block of a free-space tree is another kind of block");
	if (vmc_xfs_get32 (bytes + BB_GROUP) != walk->tree->group ||
	    memcmp (bytes + BB_UUID, walk->xfs->geometry->block_uuid, 16) != 0)
		return refuse (walk, "a block of a free-space tree belongs to another group or filesystem");
	return 0;
}

/* The blocks of each level are a list from the left to the right, too. */
static int check_siblings (struct walk *walk, uint32_t block, const unsigned char *bytes, unsigned level)
{
	bool first = walk->levels[level].block == NO_BLOCK;

	if (vmc_xfs_get32 (bytes + BB_LEFT) != walk->levels[level].block ||
	    (!first && walk->levels[level].right != block))
		return refuse (walk, "the blocks of a free-space tree do not follow each other as they say");
	walk->levels[level].block = block;
	walk->levels[level].right = vmc_xfs_get32 (bytes + BB_RIGHT);
	return 0;
}

/* How many records or keys a block may have. */
static uint32_t room (const struct walk *walk, unsigned level)
{
	uint32_t bytes = walk->xfs->geometry->block_bytes - BB_HEADER_BYTES;

	return bytes / (level == 0 ? RECORD_BYTES : RECORD_BYTES + POINTER_BYTES);
}

/* Only the root may be empty, when nothing is free. */
static int check_count (const struct walk *walk, const unsigned char *bytes, unsigned level)
{
	uint16_t count = vmc_xfs_get16 (bytes + BB_COUNT);

	if (count > room (walk, level) || (count == 0 && walk->tree->levels > 1))
		return refuse (walk, "a block of a free-space tree has a number of entries that it cannot have");
	return 0;
}

/* --- records ---------------------------------------------------------------------------------- */

/* The finaliser of the splitmix64 generator. */
static uint64_t hash (struct range range)
{
	uint64_t z = (uint64_t) range.start << 32 | range.length;

	z = (z ^ z >> 30) * UINT64_C (0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C (0x94D049BB133111EB);
	return z ^ z >> 31;
}

/* Ranges that touch would be one: XFS merges what it frees with what is free beside it. */
static int check_range (const struct walk *walk, struct range range)
{
	uint32_t blocks = vmc_xfs_group_length (walk->xfs->geometry, walk->tree->group);

	if (range.length == 0 || range.start >= blocks || range.length > blocks - range.start ||
	    range.start < vmc_xfs_header_blocks (walk->xfs->geometry))
		return refuse (walk, "a free-space tree calls free what lies outside of its group, or its headers");
	if (walk->sums->ranges == 0)
		return 0;
	if (!before (walk, walk->last, range) ||
	    (walk->tree->order == VMC_XFS_BY_BLOCK && range.start - walk->last.start <= walk->last.length))
		return refuse (walk, "the records of a free-space tree are not in order");
	return 0;
}

static int take_range (struct walk *walk, struct range range)
{
	struct vmc_xfs_sums *sums = walk->sums;

	if (check_range (walk, range) < 0)
		return -1;
	walk->last = range;
	sums->ranges++;
	sums->free_blocks += range.length;
	sums->mix += hash (range);
	if (range.length > sums->longest)
		sums->longest = range.length;
	if (walk->free == NULL || walk->free->count >= walk->free_max)
		return 0;
	return vmc_extents_add (walk->free, range.start, range.length, walk->err);
}

static int take_leaf (struct walk *walk)
{
	const unsigned char *bytes = block_at (walk, 0);

	for (unsigned i = 0; i < vmc_xfs_get16 (bytes + BB_COUNT); i++)
		if (take_range (walk, get_range (bytes + BB_HEADER_BYTES + (size_t) i * RECORD_BYTES)) < 0)
			return -1;
	return 0;
}

/* --- the walk --------------------------------------------------------------------------------- */

/* The key of a child must be the first of its own; where the tree is sorted by start, only the start of a key counts. */
static int check_key (const struct walk *walk, struct range key, const unsigned char *child)
{
	struct range first = get_range (child + BB_HEADER_BYTES);

	if (key.start != first.start || (walk->tree->order == VMC_XFS_BY_SIZE && key.length != first.length))
		return refuse (walk, "a key of a free-space tree is not the first record below it");
	return 0;
}

static int walk_block (struct walk *walk, uint32_t block, unsigned level)
{
	unsigned char *bytes = block_at (walk, level), *keys = bytes + BB_HEADER_BYTES;
	unsigned char *pointers = keys + (size_t) room (walk, level) * RECORD_BYTES;

	if (read_block (walk, block, level) < 0 || check_owner (walk, bytes, level) < 0 ||
	    check_siblings (walk, block, bytes, level) < 0 || check_count (walk, bytes, level) < 0)
		return -1;
	if (level == 0)
		return take_leaf (walk);
	for (unsigned i = 0; i < vmc_xfs_get16 (bytes + BB_COUNT); i++)
		if (walk_block (walk, vmc_xfs_get32 (pointers + (size_t) i * POINTER_BYTES), level - 1) < 0 ||
		    check_key (walk, get_range (keys + (size_t) i * RECORD_BYTES), block_at (walk, level - 1)) < 0)
			return -1;
	return 0;
}

static int walk_all (struct walk *walk)
{
	const struct vmc_xfs_tree *tree = walk->tree;

	for (unsigned level = 0; level < tree->levels; level++)
		walk->levels[level].block = NO_BLOCK;
	if (walk_block (walk, tree->root, tree->levels - 1) < 0)
		return -1;
	for (unsigned level = 0; level < tree->levels; level++)
		if (walk->levels[level].right != NO_BLOCK)
			return refuse (walk, "the blocks of a free-space tree do not follow each other as they say");
	return 0;
}

int vmc_xfs_tree_walk (const struct vmc_xfs *xfs, const struct vmc_xfs_tree *tree, uint64_t max_blocks,
		       struct vmc_extents *used, struct vmc_extents *free_ranges, size_t free_max,
		       struct vmc_xfs_sums *sums, struct vmc_error *err)
{
	struct walk walk = {.xfs = xfs,
			    .tree = tree,
			    .blocks_left = max_blocks,
			    .used = used,
			    .free = free_ranges,
			    .free_max = free_max,
			    .sums = sums,
			    .err = err};
	int result;

	if (tree->levels == 0 || tree->levels > VMC_XFS_TREE_MAX_LEVELS)
		return vmc_xfs_refuse (err, "a free-space tree has a number of levels that none has");
	walk.path = malloc ((size_t) tree->levels * xfs->geometry->block_bytes);
	if (walk.path == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for a free-space tree");
	result = walk_all (&walk);
	free (walk.path);
	return result;
}
