/* ext4_map.c - see ext4_map.h
 *
 * libext2fs reads through an I/O manager of ours: blocks of the filesystem are bytes of the source, and what would be a
 * write fails. The library does not look at needs_recovery, at the error state or at where the bitmaps lie (a bitmap
 * outside the device reads as a group that is all free), so that is done here. The bitmaps are read here as well, one after the
 * other: each is checked before the next, none is read where the descriptor does not say so, and it takes the memory of one.
 * Nothing is believed until all of it holds: the ranges are collected in a list of their own and handed over at the end.
 *
 * A bitmap has a bit for each cluster, which is a block unless the filesystem has bigalloc.
 */
#include "ext4_map.h"

#include <endian.h>
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdlib.h>
#include <string.h>

#include "ext4_layout.h"

#define JOURNAL_MAGIC 0xC03B3998u

/* --- the I/O manager -------------------------------------------------------------------------- */

struct view {
	struct vmc_source *source;
	uint64_t offset, length;
};

/* The reader looks at one filesystem at a time: what the next "open" is about. */
static struct view opening;

static errcode_t io_open (const char *name, int flags, io_channel *channel);
static errcode_t io_close (io_channel channel);
static errcode_t io_set_blksize (io_channel channel, int block_bytes);
static errcode_t io_read64 (io_channel channel, unsigned long long block, int count, void *data);
static errcode_t io_write64 (io_channel channel, unsigned long long block, int count, const void *data);

static errcode_t io_read (io_channel channel, unsigned long block, int count, void *data)
{
	return io_read64 (channel, block, count, data);
}

static errcode_t io_write (io_channel channel, unsigned long block, int count, const void *data)
{
	return io_write64 (channel, block, count, data);
}

static errcode_t io_flush (io_channel channel)
{
	(void) channel;
	return 0;
}

static struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "vmcompact source",
	.open = io_open,
	.close = io_close,
	.set_blksize = io_set_blksize,
	.read_blk = io_read,
	.write_blk = io_write,
	.flush = io_flush,
	.read_blk64 = io_read64,
	.write_blk64 = io_write64,
};

static errcode_t io_open (const char *name, int flags, io_channel *channel)
{
	io_channel new = calloc (1, sizeof *new);
	struct view *view = malloc (sizeof *view);

	if (new == NULL || view == NULL || (flags & IO_FLAG_RW)) {
		free (new);
		free (view);
		return flags & IO_FLAG_RW ? EROFS : EXT2_ET_NO_MEMORY;
	}
	*view = opening;
	new->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	new->manager = &manager;
	new->name = strdup (name);
	new->block_size = 1024;
	new->refcount = 1;
	new->private_data = view;
	*channel = new;
	return 0;
}

static errcode_t io_close (io_channel channel)
{
	if (--channel->refcount > 0)
		return 0;
	free (channel->private_data);
	free (channel->name);
	free (channel);
	return 0;
}

static errcode_t io_set_blksize (io_channel channel, int block_bytes)
{
	channel->block_size = block_bytes;
	return 0;
}

/* A negative count is a number of bytes. */
static errcode_t io_read64 (io_channel channel, unsigned long long block, int count, void *data)
{
	const struct view *view = channel->private_data;
	uint64_t bytes = count < 0 ? (uint64_t) - (int64_t) count : (uint64_t) count * (unsigned) channel->block_size;
	uint64_t start;
	struct vmc_error ignored;

	if (__builtin_mul_overflow (block, (uint64_t) channel->block_size, &start) || start > view->length ||
	    bytes > view->length - start)
		return EXT2_ET_SHORT_READ;
	if (vmc_source_read (view->source, data, view->offset + start, bytes, &ignored) < 0)
		return EIO;
	return 0;
}

static errcode_t io_write64 (io_channel channel, unsigned long long block, int count, const void *data)
{
	(void) channel;
	(void) block;
	(void) count;
	(void) data;
	return EROFS;
}

/* --- the proofs ------------------------------------------------------------------------------- */

static int refuse (struct vmc_error *err, const char *what)
{
	return vmc_fail (err, VMC_REFUSED, 0, "%s", what);
}

static bool inside (ext2_filsys fs, uint64_t block, uint64_t count)
{
	uint64_t blocks = ext2fs_blocks_count (fs->super);

	return block >= fs->super->s_first_data_block && block < blocks && count <= blocks - block;
}

static int check_descriptors (ext2_filsys fs, struct vmc_error *err)
{
	for (dgrp_t group = 0; ext2fs_has_group_desc_csum (fs) && group < fs->group_desc_count; group++)
		if (!ext2fs_group_desc_csum_verify (fs, group))
			return refuse (err, "a group descriptor has a wrong checksum");
	return 0;
}

/* The journal's superblock: its s_start is 0 when there is nothing to replay. */
static int check_journal (ext2_filsys fs, struct vmc_error *err)
{
	struct ext2_inode inode;
	unsigned char *block;
	uint32_t magic, start, error;
	blk64_t where;

	if (!ext2fs_has_feature_journal (fs->super))
		return 0;
	if (fs->super->s_journal_inum != EXT2_JOURNAL_INO || fs->super->s_journal_dev != 0)
		return refuse (err, "its journal is not inside of it");
	if (ext2fs_read_inode (fs, EXT2_JOURNAL_INO, &inode) != 0 ||
	    ext2fs_bmap2 (fs, EXT2_JOURNAL_INO, &inode, NULL, 0, 0, NULL, &where) != 0 || !inside (fs, where, 1))
		return refuse (err, "its journal cannot be found");
	block = malloc (fs->blocksize);
	if (block == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the journal");
	if (io_channel_read_blk64 (fs->io, where, 1, block) != 0) {
		free (block);
		return refuse (err, "its journal cannot be read");
	}
	memcpy (&magic, block, 4);
	memcpy (&start, block + 28, 4);
	memcpy (&error, block + 32, 4);
	free (block);
	if (be32toh (magic) != JOURNAL_MAGIC)
		return refuse (err, "its journal has no superblock");
	if (start != 0)
		return refuse (err, "its journal is not empty: it was not frozen, or not shut down cleanly");
	return error == 0 ? 0 : refuse (err, "its journal is marked as having errors; run e2fsck in the guest");
}

/* --- the bitmaps ------------------------------------------------------------------------------- */

struct mapping {
	ext2_filsys fs;
	uint64_t offset;           /* bytes, of the filesystem on the disk */
	struct vmc_extents layout; /* blocks that are never free */
	size_t next;               /* the first of its ranges that does not end before the group */
	unsigned char *bits;       /* the bitmap of one group: set is used */
	struct vmc_extents *map;
};

/* One group: its first block, and its clusters, of which the last may be cut off by the end of the filesystem. */
struct group {
	dgrp_t number;
	uint64_t first, end; /* blocks */
	uint32_t clusters;
	bool never_written; /* its bitmap: all is free but what the layout names */
};

static struct group get_group (ext2_filsys fs, dgrp_t number)
{
	struct group group = {.number = number,
			      .first = ext2fs_group_first_block2 (fs, number),
			      .end = ext2fs_group_last_block2 (fs, number) + 1};

	group.clusters = (uint32_t) ((group.end - group.first + EXT2FS_CLUSTER_MASK (fs)) >> fs->cluster_ratio_bits);
	group.never_written =
		ext2fs_has_group_desc_csum (fs) && ext2fs_bg_flags_test (fs, number, EXT2_BG_BLOCK_UNINIT);
	return group;
}

static int read_bitmap (struct mapping *mapping, const struct group *group, struct vmc_error *err)
{
	ext2_filsys fs = mapping->fs;

	memset (mapping->bits, 0, fs->blocksize);
	if (group->never_written)
		return 0;
	if (io_channel_read_blk64 (fs->io, ext2fs_block_bitmap_loc (fs, group->number), 1, mapping->bits) != 0)
		return refuse (err, "a block bitmap cannot be read");
	if (!ext2fs_block_bitmap_csum_verify (fs, group->number, (char *) mapping->bits,
					      (int) (fs->super->s_clusters_per_group / 8)))
		return refuse (err, "a block bitmap has a wrong checksum");
	return 0;
}

static bool get_bit (const unsigned char *bits, uint64_t bit)
{
	return (bits[bit / 8] >> bit % 8 & 1) != 0;
}

/* What is never free must be in use in the bitmap; a bitmap that was never written is made here. */
static int check_layout (struct mapping *mapping, const struct group *group, struct vmc_error *err)
{
	const struct vmc_extents *layout = &mapping->layout;
	unsigned shift = (unsigned) mapping->fs->cluster_ratio_bits;

	while (mapping->next < layout->count &&
	       layout->items[mapping->next].start + layout->items[mapping->next].length <= group->first)
		mapping->next++;
	for (size_t i = mapping->next; i < layout->count && layout->items[i].start < group->end; i++) {
		uint64_t start = layout->items[i].start, end = start + layout->items[i].length;

		if (start < group->first)
			start = group->first;
		if (end > group->end)
			end = group->end;
		/* By clusters: a range may begin in the middle of one and end in another. */
		for (uint64_t bit = (start - group->first) >> shift; bit <= (end - 1 - group->first) >> shift; bit++) {
			if (group->never_written)
				mapping->bits[bit / 8] |= (unsigned char) (1 << bit % 8);
			else if (!get_bit (mapping->bits, bit))
				return refuse (err, "a bitmap calls free where a table or the journal lies");
		}
	}
	return 0;
}

/* The first bit from FROM on that is SET, or END. */
static uint32_t find_bit (const unsigned char *bits, uint32_t from, uint32_t end, bool set)
{
	unsigned char dull = set ? 0 : 0xFF;

	while (from < end) {
		if (from % 8 == 0 && bits[from / 8] == dull)
			from += 8;
		else if (get_bit (bits, from) == set)
			return from;
		else
			from++;
	}
	return end;
}

/* Clusters [FIRST, END) of the group are free. Of more ranges than a map may have, the rest counts as used. */
static int add_free (struct mapping *mapping, const struct group *group, uint32_t first, uint32_t end,
		     struct vmc_error *err)
{
	ext2_filsys fs = mapping->fs;
	uint64_t start_block = group->first + ((uint64_t) first << fs->cluster_ratio_bits),
		 end_block = group->first + ((uint64_t) end << fs->cluster_ratio_bits);

	if (end_block > group->end)
		end_block = group->end;
	if (mapping->map->count == VMC_MAP_MAX_RANGES)
		return 0;
	return vmc_extents_add (mapping->map, mapping->offset + start_block * fs->blocksize,
				(end_block - start_block) * fs->blocksize, err);
}

/* Add the free blocks of one group to the map, count the free clusters in *COUNT. */
static int map_group (struct mapping *mapping, dgrp_t number, uint64_t *count, struct vmc_error *err)
{
	struct group group = get_group (mapping->fs, number);
	uint32_t start, end;

	*count = 0;
	if (read_bitmap (mapping, &group, err) < 0 || check_layout (mapping, &group, err) < 0)
		return -1;
	for (start = find_bit (mapping->bits, 0, group.clusters, false); start < group.clusters;
	     start = find_bit (mapping->bits, end, group.clusters, false)) {
		end = find_bit (mapping->bits, start, group.clusters, true);
		if (add_free (mapping, &group, start, end, err) < 0)
			return -1;
		*count += end - start;
	}
	return 0;
}

static int map_groups (struct mapping *mapping, struct vmc_error *err)
{
	ext2_filsys fs = mapping->fs;
	uint64_t total = 0;

	for (dgrp_t group = 0; group < fs->group_desc_count; group++) {
		uint64_t count;

		if (map_group (mapping, group, &count, err) < 0)
			return -1;
		if (count != ext2fs_bg_free_blocks_count (fs, group))
			return refuse (err, "the bitmap of a group does not have as many free blocks as its descriptor "
					    "says");
		total += count;
	}
	/* The descriptors count clusters, the superblock counts blocks. */
	if (total << fs->cluster_ratio_bits != ext2fs_free_blocks_count (fs->super))
		return refuse (err, "its groups do not have as many free blocks as its superblock says");
	return 0;
}

static int map_open (ext2_filsys fs, const struct vmc_ext4_geometry *geometry, uint64_t offset, struct vmc_extents *map,
		     struct vmc_error *err)
{
	struct mapping mapping = {.fs = fs, .offset = offset, .map = map};
	int result;

	if (fs->group_desc_count != geometry->groups || fs->blocksize != geometry->block_bytes ||
	    (uint32_t) EXT2FS_CLUSTER_RATIO (fs) != geometry->cluster_blocks ||
	    ext2fs_blocks_count (fs->super) != geometry->blocks)
		return refuse (err, "libext2fs sees another geometry");
	mapping.bits = malloc (fs->blocksize);
	if (mapping.bits == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for a block bitmap");
	result = vmc_ext4_layout (fs, &mapping.layout, err);
	if (result == 0)
		result = check_descriptors (fs, err);
	if (result == 0)
		result = check_journal (fs, err);
	if (result == 0)
		result = map_groups (&mapping, err);
	free (mapping.bits);
	vmc_extents_clear (&mapping.layout);
	return result;
}

int vmc_ext4_map (struct vmc_source *source, uint64_t offset, uint64_t length, struct vmc_ext4_geometry *geometry,
		  struct vmc_extents *map, struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents found = {0};
	unsigned char superblock[VMC_EXT4_SUPERBLOCK_BYTES];
	ext2_filsys fs = NULL;
	int result;

	*geometry = (struct vmc_ext4_geometry) {0};
	if (length < VMC_EXT4_SUPERBLOCK_OFFSET + VMC_EXT4_SUPERBLOCK_BYTES)
		return refuse (err, "the place is too small for a filesystem");
	if (vmc_source_read (source, superblock, offset + VMC_EXT4_SUPERBLOCK_OFFSET, sizeof superblock, err) < 0 ||
	    vmc_ext4_gate (superblock, length, geometry, err) < 0)
		return -1;
	opening = (struct view) {source, offset, length};
	if (ext2fs_open2 ("base", NULL, EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP, 0, 0, &manager, &fs) != 0)
		return refuse (err, "libext2fs cannot open it, or its superblock has a wrong checksum");
	result = map_open (fs, geometry, offset, &found, err);
	ext2fs_free (fs);
	return result < 0 ? -1 : vmc_extents_take (map, &found, err);
}
