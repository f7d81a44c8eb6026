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
	 EXT4_FEATURE_RO_COMPAT_QUOTA | EXT4_FEATURE_RO_COMPAT_BIGALLOC | EXT4_FEATURE_RO_COMPAT_METADATA_CSUM | \
	 EXT4_FEATURE_RO_COMPAT_PROJECT | EXT4_FEATURE_RO_COMPAT_VERITY | EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT)

#define LOG_BLOCK_MAX 6    /* 64 KiB */
#define LOG_CLUSTER_MAX 19 /* 512 MiB, EXT2_MAX_CLUSTER_SIZE */
#define LOG_FLEX_MAX 31

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
	if ((compat & ~COMPAT_ALLOWED) | (incompat & ~INCOMPAT_ALLOWED) | (ro_compat & ~RO_COMPAT_ALLOWED))
		return vmc_fail (err, VMC_REFUSED, 0, "it has features that are not known here (%x, %x, %x)",
				 compat & ~COMPAT_ALLOWED, incompat & ~INCOMPAT_ALLOWED,
				 ro_compat & ~RO_COMPAT_ALLOWED);
	if ((incompat & EXT2_FEATURE_INCOMPAT_META_BG) && (compat & EXT2_FEATURE_COMPAT_RESIZE_INODE))
		return refuse (err, "its descriptors are in two places at once (meta_bg and resize_inode)");
	if ((ro_compat & EXT4_FEATURE_RO_COMPAT_METADATA_CSUM) && super->s_checksum_type != EXT2_CRC32C_CHKSUM)
		return refuse (err, "its checksums are of a type that is not known here");
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
		return refuse (err, "it is not marked as clean: boot it and shut it down cleanly, or run e2fsck");
	return 0;
}

/* The superblock in numbers of this machine, as far as it is looked at more than once. */
struct numbers {
	uint32_t log_block, log_cluster, first, per_group, clusters_per_group, inodes_per_group;
	uint32_t desc_bytes, inode_bytes, reserved_tables, first_meta_bg;
	bool bits64, bigalloc, meta_bg;
};

static struct numbers get_numbers (const struct ext2_super_block *super)
{
	uint32_t incompat = le32toh (super->s_feature_incompat);

	return (struct numbers) {
		.log_block = le32toh (super->s_log_block_size),
		.log_cluster = le32toh (super->s_log_cluster_size),
		.first = le32toh (super->s_first_data_block),
		.per_group = le32toh (super->s_blocks_per_group),
		.clusters_per_group = le32toh (super->s_clusters_per_group),
		.inodes_per_group = le32toh (super->s_inodes_per_group),
		.desc_bytes = le16toh (super->s_desc_size),
		.inode_bytes = le16toh (super->s_inode_size),
		.reserved_tables = le16toh (super->s_reserved_gdt_blocks),
		.first_meta_bg = le32toh (super->s_first_meta_bg),
		.bits64 = (incompat & EXT4_FEATURE_INCOMPAT_64BIT) != 0,
		.bigalloc = (le32toh (super->s_feature_ro_compat) & EXT4_FEATURE_RO_COMPAT_BIGALLOC) != 0,
		.meta_bg = (incompat & EXT2_FEATURE_INCOMPAT_META_BG) != 0,
	};
}

static int check_blocks (const struct numbers *numbers, struct vmc_error *err)
{
	if (numbers->log_block > LOG_BLOCK_MAX ||
	    numbers->first != (numbers->log_block == 0 && !numbers->bigalloc ? 1u : 0u))
		return refuse (err, "its blocks have a size that no ext4 has");
	if (numbers->bigalloc ? numbers->log_cluster < numbers->log_block || numbers->log_cluster > LOG_CLUSTER_MAX
			      : numbers->log_cluster != numbers->log_block)
		return refuse (err, "its clusters have a size that no ext4 has");
	return 0;
}

/* The sizes of one group, whose bitmaps are one block each. */
static int check_group (const struct numbers *numbers, struct vmc_error *err)
{
	uint32_t block_bytes = 1024u << numbers->log_block, inode_bytes = numbers->inode_bytes,
		 inodes = numbers->inodes_per_group, desc = numbers->desc_bytes;
	uint64_t per_group = (uint64_t) numbers->clusters_per_group << (numbers->log_cluster - numbers->log_block);

	if (numbers->clusters_per_group < 256 || numbers->clusters_per_group > block_bytes * 8 ||
	    numbers->clusters_per_group % 8 != 0 || numbers->per_group != per_group)
		return refuse (err, "its block groups have a size that no ext4 has");
	if (inode_bytes < 128 || inode_bytes > block_bytes || (inode_bytes & (inode_bytes - 1)) != 0 || inodes == 0 ||
	    inodes > block_bytes * 8 || inodes < block_bytes / inode_bytes)
		return refuse (err, "its inodes have a size or number that no ext4 has");
	if (numbers->bits64 ? desc < EXT2_MIN_DESC_SIZE_64BIT || desc > 1024 || (desc & (desc - 1)) != 0
			    : desc != 0 && desc != EXT2_MIN_DESC_SIZE)
		return refuse (err, "its group descriptors have a size that no ext4 has");
	return 0;
}

/* The descriptors lie in one piece in the first group, or with meta_bg in each of the groups that they tell about. */
static int check_descriptors (const struct ext2_super_block *super, const struct numbers *numbers, uint64_t groups,
			      struct vmc_error *err)
{
	uint32_t block_bytes = 1024u << numbers->log_block;
	uint32_t per_block = block_bytes / (numbers->bits64 ? numbers->desc_bytes : EXT2_MIN_DESC_SIZE);
	uint64_t tables = (groups + per_block - 1) / per_block, together = tables + numbers->reserved_tables;

	if (numbers->reserved_tables > block_bytes / 4)
		return refuse (err, "more room is reserved for its group descriptors than in any ext4");
	if (numbers->meta_bg) {
		if (numbers->first_meta_bg > tables)
			return refuse (err, "its group descriptors begin where no group is");
		together = numbers->first_meta_bg;
	}
	if (together + 2 > numbers->per_group)
		return refuse (err, "its group descriptors do not fit into a group");
	if (super->s_log_groups_per_flex > LOG_FLEX_MAX)
		return refuse (err, "its groups of groups have a size that no ext4 has");
	if ((le32toh (super->s_feature_compat) & EXT4_FEATURE_COMPAT_SPARSE_SUPER2) &&
	    (le32toh (super->s_backup_bgs[0]) >= groups || le32toh (super->s_backup_bgs[1]) >= groups))
		return refuse (err, "the copies of its superblock lie in groups that it does not have");
	return 0;
}

bool vmc_ext4_magic (const unsigned char *superblock)
{
	struct ext2_super_block super;

	memcpy (&super, superblock, sizeof super);
	return le16toh (super.s_magic) == EXT2_SUPER_MAGIC;
}

bool vmc_ext4_in_use (const unsigned char *superblock)
{
	struct ext2_super_block super;

	memcpy (&super, superblock, sizeof super);
	return (le32toh (super.s_feature_compat) & EXT3_FEATURE_COMPAT_HAS_JOURNAL) != 0 &&
	       (le32toh (super.s_feature_incompat) & EXT3_FEATURE_INCOMPAT_RECOVER) != 0;
}

bool vmc_ext4_checksums (const unsigned char *superblock)
{
	struct ext2_super_block super;

	memcpy (&super, superblock, sizeof super);
	return (le32toh (super.s_feature_ro_compat) & EXT4_FEATURE_RO_COMPAT_METADATA_CSUM) != 0;
}

int vmc_ext4_gate (const unsigned char *superblock, uint64_t length, struct vmc_ext4_geometry *geometry,
		   struct vmc_error *err)
{
	struct ext2_super_block super;
	struct numbers numbers;
	uint64_t groups;

	memcpy (&super, superblock, sizeof super);
	memcpy (geometry->uuid, super.s_uuid, sizeof geometry->uuid);
	numbers = get_numbers (&super);
	if (check_state (&super, err) < 0 || check_features (&super, err) < 0 || check_blocks (&numbers, err) < 0)
		return -1;
	geometry->block_bytes = 1024u << numbers.log_block;
	geometry->cluster_blocks = 1u << (numbers.log_cluster - numbers.log_block);
	geometry->blocks = le32toh (super.s_blocks_count);
	if (numbers.bits64)
		geometry->blocks |= (uint64_t) le32toh (super.s_blocks_count_hi) << 32;
	if (check_group (&numbers, err) < 0)
		return -1;
	if (geometry->blocks <= numbers.first + 8 || geometry->blocks > length / geometry->block_bytes)
		return refuse (err, "it is larger than the place where it lies");
	groups = (geometry->blocks - numbers.first + numbers.per_group - 1) / numbers.per_group;
	if (groups > UINT32_MAX || groups * numbers.inodes_per_group != le32toh (super.s_inodes_count))
		return refuse (err, "its number of inodes does not fit its number of groups");
	if (check_descriptors (&super, &numbers, groups, err) < 0)
		return -1;
	geometry->groups = (uint32_t) groups;
	geometry->metadata_csum = (le32toh (super.s_feature_ro_compat) & EXT4_FEATURE_RO_COMPAT_METADATA_CSUM) != 0;
	return 0;
}
