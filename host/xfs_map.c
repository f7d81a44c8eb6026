/* xfs_map.c - see xfs_map.h
 *
 * XFS is made of allocation groups, each of which begins with four sectors: a copy of the superblock; AGF, which tells where the two
 * trees of free ranges are and how much is in them; AGI, which tells where the trees of inodes are; AGFL, a list of blocks that are
 * kept for trees to grow, which are in no tree and not free. A group is looked at after the other. All that is known to be used in
 * it is collected: the blocks with headers, those of both trees, the roots of the other trees, the blocks kept for trees, and the
 * log. What the trees call free must not touch that. Nothing is believed until all groups hold: the ranges are collected in a list of
 * their own and handed over at the end.
 *
 * The number of free blocks in the superblock is not looked at. While a filesystem is mounted, frozen or not, Linux keeps what it
 * has set aside for trees to grow out of that number, so that it is smaller than what is free by as much as only the kernel knows.
 *
 * Positions are those of struct xfs_agf, xfs_agi and xfs_agfl in Linux's fs/xfs/libxfs/xfs_format.h.
 */
#include "xfs_map.h"

#include <errno.h>
#include <stdlib.h>

#include "xfs_disk.h"
#include "xfs_log.h"
#include "xfs_tree.h"

/* Both free-space trees of a group: more than that take a group of 1 TiB in pieces of a block each. What a list of their blocks
 * takes in memory is bounded by it. */
#define TREE_MAX_BLOCKS (1024 * 1024)

#define SUPERBLOCK_CHECKSUM 224

/* The sectors of a group. */
#define AGF_SECTOR 1
#define AGF_MAGIC 0x58414746u /* "XAGF" */
#define AGI_SECTOR 2
#define AGI_MAGIC 0x58414749u /* "XAGI" */
#define AGFL_SECTOR 3
#define AGFL_MAGIC 0x5841464Cu /* "XAFL" */
#define HEADER_VERSION 1

enum agf_field {
	AGF_LENGTH = 12,
	AGF_ROOTS = 16, /* by block, by size, and of rmapbt */
	AGF_LEVELS = 28,
	AGF_KEPT_FIRST = 40,
	AGF_KEPT_LAST = 44,
	AGF_KEPT_COUNT = 48,
	AGF_FREE = 52,
	AGF_LONGEST = 56,
	AGF_TREE_BLOCKS = 60, /* without the roots that every group has */
	AGF_UUID = 64,
	AGF_RMAP_BLOCKS = 80,
	AGF_REFCOUNT_ROOT = 88,
	AGF_CHECKSUM = 216,
};

enum agi_field {
	AGI_LENGTH = 12,
	AGI_ROOT = 20,
	AGI_UUID = 296,
	AGI_CHECKSUM = 312,
	AGI_FINOBT_ROOT = 328,
};

enum agfl_field {
	AGFL_GROUP = 4,
	AGFL_UUID = 8,
	AGFL_CHECKSUM = 32,
	AGFL_BLOCKS = 36,
};

/* In AGF and AGI. */
#define HEADER_VERSION_AT 4
#define HEADER_GROUP_AT 8

struct mapping {
	struct vmc_xfs xfs;
	struct vmc_extents found; /* bytes of the disk */
	unsigned char *sector;
	struct vmc_error *err;
};

struct group {
	uint32_t number, blocks;
	uint32_t roots[2], levels[2]; /* of the trees, by enum vmc_xfs_order */
	uint32_t kept_first, kept_last, kept_count;
	uint32_t free_blocks, longest, tree_blocks; /* as its header says */
	uint32_t other_blocks;                      /* of the tree blocks, those that are in neither free-space tree */
	/* Blocks of the group: what is used for sure, how many blocks were added to that, and what the tree calls free. */
	struct vmc_extents used, free;
	uint64_t used_blocks;
};

static int refuse (const struct mapping *mapping, const char *what)
{
	return vmc_fail (mapping->err, VMC_REFUSED, 0, "%s", what);
}

/* --- what is used for sure -------------------------------------------------------------------- */

static int add_used (const struct mapping *mapping, struct group *group, uint64_t start, uint64_t count)
{
	group->used_blocks += count;
	return vmc_extents_add (&group->used, start, count, mapping->err);
}

static int add_block (const struct mapping *mapping, struct group *group, uint32_t block)
{
	if (block < vmc_xfs_header_blocks (mapping->xfs.geometry) || block >= group->blocks)
		return refuse (mapping, "a header of a group names a block outside of the group");
	return add_used (mapping, group, block, 1);
}

static int add_log (const struct mapping *mapping, struct group *group)
{
	const struct vmc_xfs_geometry *geometry = mapping->xfs.geometry;

	if (geometry->log_block / geometry->group_blocks != group->number)
		return 0;
	return add_used (mapping, group, geometry->log_block % geometry->group_blocks, geometry->log_blocks);
}

/* --- the headers of a group ------------------------------------------------------------------- */

/* Read sector NUMBER of the group, with its checksum and UUID at these bytes. */
static int read_header (const struct mapping *mapping, const struct group *group, unsigned number, uint32_t magic,
			unsigned checksum, unsigned uuid)
{
	const struct vmc_xfs_geometry *geometry = mapping->xfs.geometry;
	uint64_t start = (uint64_t) group->number * geometry->group_blocks * geometry->block_bytes;

	if (vmc_xfs_read (&mapping->xfs, mapping->sector, start + (uint64_t) number * geometry->sector_bytes,
			  geometry->sector_bytes, mapping->err) < 0)
		return -1;
	if (vmc_xfs_get32 (mapping->sector) != magic)
		return refuse (mapping, "a header of a group is missing");
	if (!vmc_xfs_checksum_right (mapping->sector, geometry->sector_bytes, checksum))
		return refuse (mapping, "a header of a group has a wrong checksum");
	if (memcmp (mapping->sector + uuid, geometry->block_uuid, sizeof geometry->block_uuid) != 0)
		return refuse (mapping, "a header of a group belongs to another filesystem");
	return 0;
}

/* What AGF and AGI have in common. */
static int check_header (const struct mapping *mapping, const struct group *group, unsigned length)
{
	if (vmc_xfs_get32 (mapping->sector + HEADER_VERSION_AT) != HEADER_VERSION ||
	    vmc_xfs_get32 (mapping->sector + HEADER_GROUP_AT) != group->number ||
	    vmc_xfs_get32 (mapping->sector + length) != group->blocks)
		return refuse (mapping, "a header of a group does not fit the superblock");
	return 0;
}

static void take_agf (const struct mapping *mapping, struct group *group)
{
	const unsigned char *agf = mapping->sector;

	for (unsigned order = VMC_XFS_BY_BLOCK; order <= VMC_XFS_BY_SIZE; order++) {
		group->roots[order] = vmc_xfs_get32 (agf + AGF_ROOTS + (size_t) order * 4);
		group->levels[order] = vmc_xfs_get32 (agf + AGF_LEVELS + (size_t) order * 4);
	}
	group->kept_first = vmc_xfs_get32 (agf + AGF_KEPT_FIRST);
	group->kept_last = vmc_xfs_get32 (agf + AGF_KEPT_LAST);
	group->kept_count = vmc_xfs_get32 (agf + AGF_KEPT_COUNT);
	group->free_blocks = vmc_xfs_get32 (agf + AGF_FREE);
	group->longest = vmc_xfs_get32 (agf + AGF_LONGEST);
	group->tree_blocks = vmc_xfs_get32 (agf + AGF_TREE_BLOCKS);
}

static int read_agf (const struct mapping *mapping, struct group *group)
{
	const struct vmc_xfs_geometry *geometry = mapping->xfs.geometry;
	const unsigned char *agf = mapping->sector;
	uint32_t rmap_blocks;

	if (read_header (mapping, group, AGF_SECTOR, AGF_MAGIC, AGF_CHECKSUM, AGF_UUID) < 0 ||
	    check_header (mapping, group, AGF_LENGTH) < 0)
		return -1;
	take_agf (mapping, group);
	rmap_blocks = geometry->rmapbt ? vmc_xfs_get32 (agf + AGF_RMAP_BLOCKS) : 1;
	if (rmap_blocks == 0 || rmap_blocks - 1 > group->tree_blocks || group->tree_blocks >= group->blocks)
		return refuse (mapping, "a group has a number of blocks for its trees that it cannot have");
	group->other_blocks = rmap_blocks - 1;
	if (geometry->rmapbt && add_block (mapping, group, vmc_xfs_get32 (agf + AGF_ROOTS + 8)) < 0)
		return -1;
	return geometry->reflink ? add_block (mapping, group, vmc_xfs_get32 (agf + AGF_REFCOUNT_ROOT)) : 0;
}

static int read_agi (const struct mapping *mapping, struct group *group)
{
	if (read_header (mapping, group, AGI_SECTOR, AGI_MAGIC, AGI_CHECKSUM, AGI_UUID) < 0 ||
	    check_header (mapping, group, AGI_LENGTH) < 0 ||
	    add_block (mapping, group, vmc_xfs_get32 (mapping->sector + AGI_ROOT)) < 0)
		return -1;
	if (!mapping->xfs.geometry->finobt)
		return 0;
	return add_block (mapping, group, vmc_xfs_get32 (mapping->sector + AGI_FINOBT_ROOT));
}

/* The list is a ring. */
static int read_agfl (const struct mapping *mapping, struct group *group)
{
	uint32_t room = (mapping->xfs.geometry->sector_bytes - AGFL_BLOCKS) / 4;

	if (read_header (mapping, group, AGFL_SECTOR, AGFL_MAGIC, AGFL_CHECKSUM, AGFL_UUID) < 0)
		return -1;
	if (vmc_xfs_get32 (mapping->sector + AGFL_GROUP) != group->number)
		return refuse (mapping, "a header of a group does not fit the superblock");
	if (group->kept_first >= room || group->kept_last >= room || group->kept_count > room ||
	    (group->kept_count > 0 && (group->kept_first + group->kept_count - 1) % room != group->kept_last))
		return refuse (mapping, "the blocks that a group keeps for its trees are not as many as it says");
	for (uint32_t i = 0; i < group->kept_count; i++) {
		size_t entry = (group->kept_first + i) % room;

		if (add_block (mapping, group, vmc_xfs_get32 (mapping->sector + AGFL_BLOCKS + entry * 4)) < 0)
			return -1;
	}
	return 0;
}

static int read_headers (const struct mapping *mapping, struct group *group)
{
	if (add_used (mapping, group, 0, vmc_xfs_header_blocks (mapping->xfs.geometry)) < 0 ||
	    read_agf (mapping, group) < 0 || read_agi (mapping, group) < 0 || read_agfl (mapping, group) < 0)
		return -1;
	return add_log (mapping, group);
}

/* --- its trees -------------------------------------------------------------------------------- */

static int walk_tree (struct mapping *mapping, struct group *group, enum vmc_xfs_order order, uint64_t max_blocks,
		      struct vmc_xfs_sums *sums)
{
	struct vmc_xfs_tree tree = {group->number, group->roots[order], group->levels[order], order};
	size_t room = VMC_MAP_MAX_RANGES - mapping->found.count;

	if (vmc_xfs_tree_walk (&mapping->xfs, &tree, max_blocks, &group->used,
			       order == VMC_XFS_BY_BLOCK ? &group->free : NULL, room, sums, mapping->err) < 0)
		return -1;
	group->used_blocks += sums->tree_blocks;
	return 0;
}

/* The header counts the blocks of the trees, but not the two roots. */
static int walk_trees (struct mapping *mapping, struct group *group)
{
	struct vmc_xfs_sums by_block = {0}, by_size = {0};
	uint64_t blocks = (uint64_t) group->tree_blocks - group->other_blocks + 2;

	if (blocks > TREE_MAX_BLOCKS)
		return refuse (mapping, "its free-space trees are larger than what is read here");
	if (walk_tree (mapping, group, VMC_XFS_BY_BLOCK, blocks, &by_block) < 0 ||
	    walk_tree (mapping, group, VMC_XFS_BY_SIZE, blocks - by_block.tree_blocks, &by_size) < 0)
		return -1;
	if (by_block.tree_blocks + by_size.tree_blocks != blocks)
		return refuse (mapping, "the free-space trees of a group do not have as many blocks as it says");
	if (by_block.ranges != by_size.ranges || by_block.mix != by_size.mix)
		return refuse (mapping, "the two free-space trees of a group do not tell the same");
	if (by_block.free_blocks != group->free_blocks || by_block.longest != group->longest)
		return refuse (mapping, "the free-space trees of a group do not have as many free blocks as it says");
	return 0;
}

/* Nothing that is used lies where something else does, or is free. */
static int check_layout (const struct mapping *mapping, struct group *group)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents both = {0};

	vmc_extents_normalise (&group->used);
	if (vmc_extents_total (&group->used) != group->used_blocks)
		return refuse (mapping, "two structures of a group lie in the same place");
	if (vmc_extents_intersect (&group->used, &group->free, &both, mapping->err) < 0)
		return -1;
	return both.count == 0 ? 0 : refuse (mapping, "a free-space tree calls free where a structure lies");
}

/* --- all of them ------------------------------------------------------------------------------ */

/* The gate has checked that no block lies beyond the end. */
static int add_free (struct mapping *mapping, const struct group *group)
{
	const struct vmc_xfs_geometry *geometry = mapping->xfs.geometry;
	uint64_t first = (uint64_t) group->number * geometry->group_blocks;

	for (size_t i = 0; i < group->free.count; i++)
		if (vmc_extents_add (&mapping->found,
				     mapping->xfs.offset + (first + group->free.items[i].start) * geometry->block_bytes,
				     group->free.items[i].length * geometry->block_bytes, mapping->err) < 0)
			return -1;
	return 0;
}

static int map_group (struct mapping *mapping, struct group *group)
{
	if (read_headers (mapping, group) < 0 || walk_trees (mapping, group) < 0 || check_layout (mapping, group) < 0)
		return -1;
	return add_free (mapping, group);
}

static int map_groups (struct mapping *mapping)
{
	const struct vmc_xfs_geometry *geometry = mapping->xfs.geometry;
	int result = 0;

	for (uint32_t number = 0; result == 0 && number < geometry->groups; number++) {
		struct group group = {.number = number, .blocks = vmc_xfs_group_length (geometry, number)};

		result = map_group (mapping, &group);
		vmc_extents_clear (&group.used);
		vmc_extents_clear (&group.free);
	}
	return result;
}

static int map_all (struct mapping *mapping)
{
	const struct vmc_xfs_geometry *geometry = mapping->xfs.geometry;
	int result;

	mapping->sector = malloc (geometry->sector_bytes);
	if (mapping->sector == NULL)
		return vmc_fail (mapping->err, VMC_FAILED, ENOMEM, "no memory for a sector");
	result = vmc_xfs_read (&mapping->xfs, mapping->sector, 0, geometry->sector_bytes, mapping->err);
	if (result == 0 && !vmc_xfs_checksum_right (mapping->sector, geometry->sector_bytes, SUPERBLOCK_CHECKSUM))
		result = refuse (mapping, "its superblock has a wrong checksum");
	if (result == 0)
		result = vmc_xfs_log_check (&mapping->xfs, mapping->err);
	if (result == 0)
		result = map_groups (mapping);
	free (mapping->sector);
	return result;
}

int vmc_xfs_map (struct vmc_source *source, uint64_t offset, uint64_t length, struct vmc_xfs_geometry *geometry,
		 struct vmc_extents *map, struct vmc_error *err)
{
	unsigned char superblock[VMC_XFS_SUPERBLOCK_BYTES];
	struct mapping mapping = {.xfs = {source, offset, geometry}, .err = err};
	int result;

	*geometry = (struct vmc_xfs_geometry) {0};
	if (offset > source->size_bytes || length > source->size_bytes - offset)
		return vmc_xfs_refuse (err, "the place does not lie on the disk");
	if (length < sizeof superblock)
		return vmc_xfs_refuse (err, "the place is too small for a filesystem");
	if (vmc_source_read (source, superblock, offset, sizeof superblock, err) < 0 ||
	    vmc_xfs_gate (superblock, length, geometry, err) < 0)
		return -1;
	result = map_all (&mapping);
	if (result == 0)
		result = vmc_extents_take (map, &mapping.found, err);
	vmc_extents_clear (&mapping.found);
	return result;
}
