/* ext4_layout.c - see ext4_layout.h
 *
 * Each kind of thing is added for all groups before the next kind: with flex_bg those of one kind lie side by side and become
 * one range, so that the list stays short. Ranges are added only when they lie inside of the filesystem. When all are there
 * the list is sorted; if it then covers less than what was added, two of them overlap.
 */
#include "ext4_layout.h"

#include <stdbool.h>

/* A journal that has more blocks than this, data and tree, has none of a size that anybody makes: mke2fs stops at 10 240 000. */
#define JOURNAL_MAX_BLOCKS 16777216

struct adding {
	ext2_filsys fs;
	struct vmc_extents *list;
	uint64_t total;       /* blocks added */
	uint64_t journal;     /* blocks of the journal seen so far, without those of its tree */
	uint64_t journal_all; /* and with them */
	struct vmc_error *err;
	int result;
};

static int add (struct adding *adding, uint64_t block, uint64_t count)
{
	uint64_t blocks = ext2fs_blocks_count (adding->fs->super);

	if (block >= blocks || count > blocks - block)
		return vmc_fail (adding->err, VMC_REFUSED, 0, "a bitmap or table lies outside of it");
	adding->total += count;
	return vmc_extents_add (adding->list, block, count, adding->err);
}

/* A bitmap or an inode table, which cannot lie before the first group. */
static int add_table (struct adding *adding, uint64_t block, uint64_t count)
{
	if (block <= adding->fs->super->s_first_data_block)
		return vmc_fail (adding->err, VMC_REFUSED, 0, "a bitmap or table lies outside of it");
	return add (adding, block, count);
}

/* The copies of the superblock and of the descriptors, with the room that is reserved for more of them. */
static int add_head (struct adding *adding, dgrp_t group)
{
	const struct ext2_super_block *super = adding->fs->super;
	bool meta_bg = ext2fs_has_feature_meta_bg (adding->fs->super);
	uint64_t old_count =
		meta_bg ? super->s_first_meta_bg : (uint64_t) adding->fs->desc_blocks + super->s_reserved_gdt_blocks;
	blk64_t copy, old_table, new_table;
	blk_t used;

	if (ext2fs_super_and_bgd_loc2 (adding->fs, group, &copy, &old_table, &new_table, &used) != 0)
		return vmc_fail (adding->err, VMC_REFUSED, 0, "its descriptors cannot be found");
	/* With blocks of 1 KiB the boot sector has a block of its own, which no bitmap tells about. */
	if (group == 0 ? add (adding, 0, copy + 1) < 0 : copy != 0 && add (adding, copy, 1) < 0)
		return -1;
	if (old_table != 0 && old_count > 0 && add (adding, old_table, old_count) < 0)
		return -1;
	return new_table != 0 ? add (adding, new_table, 1) : 0;
}

static int add_block_bitmap (struct adding *adding, dgrp_t group)
{
	return add_table (adding, ext2fs_block_bitmap_loc (adding->fs, group), 1);
}

static int add_inode_bitmap (struct adding *adding, dgrp_t group)
{
	return add_table (adding, ext2fs_inode_bitmap_loc (adding->fs, group), 1);
}

static int add_inode_table (struct adding *adding, dgrp_t group)
{
	return add_table (adding, ext2fs_inode_table_loc (adding->fs, group), adding->fs->inode_blocks_per_group);
}

static int add_groups (struct adding *adding)
{
	static int (*const kinds[]) (struct adding * adding, dgrp_t group) = {add_head, add_block_bitmap,
									      add_inode_bitmap, add_inode_table};

	for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
		for (dgrp_t group = 0; group < adding->fs->group_desc_count; group++)
			if (kinds[kind](adding, group) < 0)
				return -1;
	return 0;
}

/* Sorted, and no two on top of each other. */
static int settle (struct adding *adding)
{
	vmc_extents_normalise (adding->list);
	if (vmc_extents_total (adding->list) != adding->total)
		return vmc_fail (adding->err, VMC_REFUSED, 0, "two of its bitmaps and tables lie on top of each other");
	return 0;
}

/* --- the journal -------------------------------------------------------------------------------------------------------- */

static int visit (ext2_filsys fs, blk64_t *block, e2_blkcnt_t number, blk64_t reference, int offset, void *opaque)
{
	struct adding *adding = opaque;

	(void) fs;
	(void) reference;
	(void) offset;
	adding->journal += number >= 0;
	adding->result = ++adding->journal_all > JOURNAL_MAX_BLOCKS
				 ? vmc_fail (adding->err, VMC_REFUSED, 0, "its journal is larger than any")
				 : add_table (adding, *block, 1);
	return adding->result < 0 ? BLOCK_ABORT : 0;
}

/* All its blocks, and those of the tree that leads to them. */
static int add_journal (struct adding *adding)
{
	struct ext2_inode inode;
	errcode_t error;

	if (ext2fs_read_inode (adding->fs, EXT2_JOURNAL_INO, &inode) != 0)
		return vmc_fail (adding->err, VMC_REFUSED, 0, "its journal cannot be found");
	error = ext2fs_block_iterate3 (adding->fs, EXT2_JOURNAL_INO, BLOCK_FLAG_READ_ONLY, NULL, visit, adding);
	if (adding->result < 0)
		return -1;
	if (error != 0 || adding->journal != EXT2_I_SIZE (&inode) / adding->fs->blocksize)
		return vmc_fail (adding->err, VMC_REFUSED, 0, "its journal is not all there");
	return settle (adding);
}

/* --- clusters ----------------------------------------------------------------------------------------------------------- */

/* What is free or not is a cluster: one with something in it is used as a whole. */
static void widen (ext2_filsys fs, struct vmc_extents *list)
{
	uint64_t mask = EXT2FS_CLUSTER_MASK (fs);

	for (size_t i = 0; i < list->count; i++) {
		uint64_t end = (list->items[i].start + list->items[i].length + mask) & ~mask;

		list->items[i].start &= ~mask;
		list->items[i].length = end - list->items[i].start;
	}
	vmc_extents_normalise (list);
}

int vmc_ext4_layout (ext2_filsys fs, struct vmc_extents *layout, struct vmc_error *err)
{
	struct adding adding = {.fs = fs, .list = layout, .err = err};

	if (add_groups (&adding) < 0 || settle (&adding) < 0)
		return -1;
	if (ext2fs_has_feature_journal (fs->super) && add_journal (&adding) < 0)
		return -1;
	if (fs->cluster_ratio_bits > 0)
		widen (fs, layout);
	return 0;
}
