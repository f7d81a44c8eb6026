/* ext4_gate.c - see ext4_gate.h
 *
 * Field positions are those of struct ext2_super_block in <ext2fs/ext2_fs.h>, which is used for nothing but its layout
 * and its constants.
 */
#include "ext4_gate.h"

#include <endian.h>
#include <ext2fs/ext2_fs.h>
#include <string.h>

/* What changes nothing in how the block bitmaps are read, or is handled by libext2fs: */
#define COMPAT_ALLOWED \
	(EXT3_FEATURE_COMPAT_HAS_JOURNAL | EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_RESIZE_INODE | \
	 EXT2_FEATURE_COMPAT_DIR_INDEX | EXT4_FEATURE_COMPAT_SPARSE_SUPER2 | EXT4_FEATURE_COMPAT_STABLE_INODES | \
	 EXT4_FEATURE_COMPAT_ORPHAN_FILE)
#define INCOMPAT_ALLOWED \
	(EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS | EXT4_FEATURE_INCOMPAT_64BIT | \
	 EXT4_FEATURE_INCOMPAT_FLEX_BG | EXT4_FEATURE_INCOMPAT_EA_INODE | EXT4_FEATURE_INCOMPAT_CSUM_SEED | \
	 EXT4_FEATURE_INCOMPAT_LARGEDIR | EXT4_FEATURE_INCOMPAT_INLINE_DATA | EXT4_FEATURE_INCOMPAT_ENCRYPT | \
	 EXT4_FEATURE_INCOMPAT_CASEFOLD | EXT2_FEATURE_INCOMPAT_META_BG)
#define RO_COMPAT_ALLOWED \
	(EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE | EXT4_FEATURE_RO_COMPAT_HUGE_FILE | \
	 EXT4_FEATURE_RO_COMPAT_GDT_CSUM | EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE | \
	 EXT4_FEATURE_RO_COMPAT_QUOTA | EXT4_FEATURE_RO_COMPAT_METADATA_CSUM | EXT4_FEATURE_RO_COMPAT_PROJECT | \
	 EXT4_FEATURE_RO_COMPAT_VERITY | EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT)

#define LOG_BLOCK_MAX 6 /* 64 KiB */

static int refuse (struct vmc_error *err, const char *what)
{
	return vmc_fail (err, VMC_REFUSED, 0, "%s", what);
}

static int check_features (const struct ext2_super_block *super, struct vmc_error *err)
{
	uint32_t compat = le32toh (super->s_feature_compat), incompat = le32toh (super->s_feature_incompat),
		 ro_compat = le32toh (super->s_feature_ro_compat);

	if (incompat & EXT3_FEATURE_INCOMPAT_RECOVER)
		return refuse (err, "its journal needs recovery: it was not frozen, or not shut down cleanly");
	if (ro_compat & EXT4_FEATURE_RO_COMPAT_BIGALLOC)
		return refuse (err, "it has bigalloc, which is not handled");
	if ((compat & ~COMPAT_ALLOWED) | (incompat & ~INCOMPAT_ALLOWED) | (ro_compat & ~RO_COMPAT_ALLOWED))
		return vmc_fail (err, VMC_REFUSED, 0, "it has features that are not known here (%x, %x, %x)",
				 compat & ~COMPAT_ALLOWED, incompat & ~INCOMPAT_ALLOWED,
				 ro_compat & ~RO_COMPAT_ALLOWED);
	if (!(compat & EXT3_FEATURE_COMPAT_HAS_JOURNAL))
		return refuse (err, "it has no journal, so nothing proves that it is complete");
	return 0;
}

static int check_state (const struct ext2_super_block *super, struct vmc_error *err)
{
	if (le16toh (super->s_magic) != EXT2_SUPER_MAGIC || le32toh (super->s_rev_level) != EXT2_DYNAMIC_REV)
		return refuse (err, "it is not ext4 of a revision known here");
	if (le32toh (super->s_creator_os) != EXT2_OS_LINUX)
		return refuse (err, "it was not made by Linux");
	if (le16toh (super->s_state) & EXT2_ERROR_FS)
		return refuse (err, "it is marked as having errors; run e2fsck in the guest");
	if (!(le16toh (super->s_state) & EXT2_VALID_FS))
		return refuse (err, "it is not marked as valid; run e2fsck in the guest");
	return 0;
}

/* The sizes of one group, whose bitmaps are one block each. */
static int check_group (const struct ext2_super_block *super, uint32_t block_bytes, bool bits64, struct vmc_error *err)
{
	uint32_t per_group = le32toh (super->s_blocks_per_group), inodes = le32toh (super->s_inodes_per_group);
	uint32_t desc = le16toh (super->s_desc_size), inode_bytes = le16toh (super->s_inode_size);

	if (per_group < 256 || per_group > block_bytes * 8 || per_group % 8 != 0 ||
	    le32toh (super->s_clusters_per_group) != per_group ||
	    le32toh (super->s_log_cluster_size) != le32toh (super->s_log_block_size))
		return refuse (err, "its block groups have a size that no ext4 has");
	if (inode_bytes < 128 || inode_bytes > block_bytes || (inode_bytes & (inode_bytes - 1)) != 0 || inodes == 0 ||
	    inodes > block_bytes * 8 || inodes < block_bytes / inode_bytes)
		return refuse (err, "its inodes have a size or number that no ext4 has");
	if (bits64 ? desc < EXT2_MIN_DESC_SIZE_64BIT || desc > 1024 || (desc & (desc - 1)) != 0
		   : desc != 0 && desc != EXT2_MIN_DESC_SIZE)
		return refuse (err, "its group descriptors have a size that no ext4 has");
	return 0;
}

bool vmc_ext4_magic (const unsigned char *superblock)
{
	struct ext2_super_block super;

	memcpy (&super, superblock, sizeof super);
	return le16toh (super.s_magic) == EXT2_SUPER_MAGIC;
}

int vmc_ext4_gate (const unsigned char *superblock, uint64_t length, struct vmc_ext4_geometry *geometry,
		   struct vmc_error *err)
{
	struct ext2_super_block super;
	uint32_t log_block, first, per_group;
	uint64_t groups;
	bool bits64;

	memcpy (&super, superblock, sizeof super);
	memcpy (geometry->uuid, super.s_uuid, sizeof geometry->uuid);
	log_block = le32toh (super.s_log_block_size);
	first = le32toh (super.s_first_data_block);
	per_group = le32toh (super.s_blocks_per_group);
	if (check_state (&super, err) < 0 || check_features (&super, err) < 0)
		return -1;
	if (log_block > LOG_BLOCK_MAX || first != (log_block == 0 ? 1u : 0u))
		return refuse (err, "its blocks have a size that no ext4 has");
	bits64 = (le32toh (super.s_feature_incompat) & EXT4_FEATURE_INCOMPAT_64BIT) != 0;
	geometry->block_bytes = 1024u << log_block;
	geometry->blocks = le32toh (super.s_blocks_count);
	if (bits64)
		geometry->blocks |= (uint64_t) le32toh (super.s_blocks_count_hi) << 32;
	if (check_group (&super, geometry->block_bytes, bits64, err) < 0)
		return -1;
	if (geometry->blocks <= first + 8 || geometry->blocks > length / geometry->block_bytes)
		return refuse (err, "it is larger than the place where it lies");
	groups = (geometry->blocks - first + per_group - 1) / per_group;
	if (groups > UINT32_MAX || groups * le32toh (super.s_inodes_per_group) != le32toh (super.s_inodes_count))
		return refuse (err, "its number of inodes does not fit its number of groups");
	geometry->groups = (uint32_t) groups;
	geometry->metadata_csum = (le32toh (super.s_feature_ro_compat) & EXT4_FEATURE_RO_COMPAT_METADATA_CSUM) != 0;
	return 0;
}
