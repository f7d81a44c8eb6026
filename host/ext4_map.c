/* ext4_map.c - see ext4_map.h
 *
 * libext2fs reads through an I/O manager of ours: blocks of the filesystem are bytes of the source, and what would be a
 * write fails. The library does not look at needs_recovery, at the error state or at where the bitmaps lie (a bitmap
 * outside the device reads as a group that is all free), so that is done here. Nothing is believed until all of it holds:
 * the ranges are collected in a list of their own and handed over at the end.
 */
#include "ext4_map.h"

#include <endian.h>
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdlib.h>
#include <string.h>

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

static int check_group (ext2_filsys fs, dgrp_t group, bool checksums, struct vmc_error *err)
{
	if (!inside (fs, ext2fs_block_bitmap_loc (fs, group), 1) ||
	    !inside (fs, ext2fs_inode_bitmap_loc (fs, group), 1) ||
	    !inside (fs, ext2fs_inode_table_loc (fs, group), fs->inode_blocks_per_group))
		return refuse (err, "a bitmap or table lies outside of it");
	if (checksums && !ext2fs_group_desc_csum_verify (fs, group))
		return refuse (err, "a group descriptor has a wrong checksum");
	return 0;
}

static int check_groups (ext2_filsys fs, bool checksums, struct vmc_error *err)
{
	for (dgrp_t group = 0; group < fs->group_desc_count; group++)
		if (check_group (fs, group, checksums, err) < 0)
			return -1;
	return 0;
}

/* The journal's superblock: its s_start is 0 when there is nothing to replay. */
static int check_journal (ext2_filsys fs, struct vmc_error *err)
{
	struct ext2_inode inode;
	unsigned char *block;
	uint32_t magic, start, error;
	blk64_t where;

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

/* Add the free blocks of one group to MAP, count them in *COUNT. */
static int map_group (ext2_filsys fs, dgrp_t group, uint64_t offset, struct vmc_extents *map, uint64_t *count,
		      struct vmc_error *err)
{
	blk64_t block = ext2fs_group_first_block2 (fs, group), last = ext2fs_group_last_block2 (fs, group);

	*count = 0;
	while (block <= last) {
		blk64_t start, end;

		if (ext2fs_find_first_zero_block_bitmap2 (fs->block_map, block, last, &start) != 0)
			break;
		if (ext2fs_find_first_set_block_bitmap2 (fs->block_map, start, last, &end) != 0)
			end = last + 1;
		if (vmc_extents_add (map, offset + start * fs->blocksize, (end - start) * fs->blocksize, err) < 0)
			return -1;
		*count += end - start;
		block = end;
	}
	return 0;
}

static int map_groups (ext2_filsys fs, uint64_t offset, struct vmc_extents *map, struct vmc_error *err)
{
	uint64_t total = 0;

	for (dgrp_t group = 0; group < fs->group_desc_count; group++) {
		uint64_t count;

		if (map_group (fs, group, offset, map, &count, err) < 0)
			return -1;
		if (count != ext2fs_bg_free_blocks_count (fs, group))
			return refuse (err, "the bitmap of a group does not have as many free blocks as its descriptor "
					    "says");
		total += count;
	}
	if (total != ext2fs_free_blocks_count (fs->super))
		return refuse (err, "its groups do not have as many free blocks as its superblock says");
	return 0;
}

static int map_open (ext2_filsys fs, const struct vmc_ext4_geometry *geometry, uint64_t offset, struct vmc_extents *map,
		     struct vmc_error *err)
{
	if (fs->group_desc_count != geometry->groups || fs->blocksize != geometry->block_bytes ||
	    ext2fs_blocks_count (fs->super) != geometry->blocks)
		return refuse (err, "libext2fs sees another geometry");
	if (check_groups (fs, geometry->metadata_csum || ext2fs_has_feature_gdt_csum (fs->super), err) < 0 ||
	    check_journal (fs, err) < 0)
		return -1;
	if (ext2fs_read_block_bitmap (fs) != 0)
		return refuse (err, "a block bitmap cannot be read or has a wrong checksum");
	return map_groups (fs, offset, map, err);
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
	for (size_t i = 0; result == 0 && i < found.count; i++)
		result = vmc_extents_add (map, found.items[i].start, found.items[i].length, err);
	return result;
}
