/* xfs_gate.c - see xfs_gate.h
 *
 * Positions and bits are those of struct xfs_dsb in Linux's fs/xfs/libxfs/xfs_format.h; all numbers are big-endian.
 *
 * Which features are let through, and why they leave the free-space trees alone: ftype, bigtime, nrext64 and parent change what is
 * in inodes and directories; sparse inodes, finobt and inobtcount how inodes are found; exchange what can be logged; rmapbt and
 * reflink add trees of their own, whose blocks are used like all others. meta_uuid says which UUID is in the blocks. metadir moves
 * the inodes of quotas and of a realtime device into a directory. A realtime device is another device; the data section is still
 * all that the superblock counts. With "zoned" it may lie on this one, behind the data section, so that is refused.
 */
#include "xfs_gate.h"

#include <string.h>

#include "xfs_disk.h"

#define MAGIC 0x58465342u /* "XFSB" */

#define VERSION_MASK 0x000Fu
#define VERSION_SHARED 0x0200u /* which no kernel ever knew */

#define COMPAT_ALLOWED 0u
#define RO_COMPAT_FINOBT 0x1u
#define RO_COMPAT_RMAPBT 0x2u
#define RO_COMPAT_REFLINK 0x4u
#define RO_COMPAT_INOBTCNT 0x8u
#define RO_COMPAT_ALLOWED (RO_COMPAT_FINOBT | RO_COMPAT_RMAPBT | RO_COMPAT_REFLINK | RO_COMPAT_INOBTCNT)
#define INCOMPAT_FTYPE 0x1u
#define INCOMPAT_SPINODES 0x2u
#define INCOMPAT_META_UUID 0x4u
#define INCOMPAT_BIGTIME 0x8u
#define INCOMPAT_NEEDSREPAIR 0x10u
#define INCOMPAT_NREXT64 0x20u
#define INCOMPAT_EXCHRANGE 0x40u
#define INCOMPAT_PARENT 0x80u
#define INCOMPAT_METADIR 0x100u
#define INCOMPAT_ZONED 0x200u
#define INCOMPAT_ALLOWED \
	(INCOMPAT_FTYPE | INCOMPAT_SPINODES | INCOMPAT_META_UUID | INCOMPAT_BIGTIME | INCOMPAT_NREXT64 | \
	 INCOMPAT_EXCHRANGE | INCOMPAT_PARENT | INCOMPAT_METADIR)
/* What is in the log then is not known here; kernels set and clear these bits while they run. */
#define LOG_INCOMPAT_ALLOWED 0u

/* Logarithms to base 2 of sizes in bytes. */
#define LOG_BLOCK_MIN 10
#define LOG_BLOCK_MAX 16
#define LOG_SECTOR_MIN 9
#define LOG_SECTOR_MAX 15
#define GROUP_MIN_BYTES (UINT64_C (1) << 24)
#define GROUP_MAX_BYTES (UINT64_C (1) << 40)
#define LAST_GROUP_MIN_BLOCKS 64
#define LOG_MIN_BLOCKS 512
#define LOG_MAX_BLOCKS (1024u * 1024)
#define LOG_MAX_BYTES (UINT64_C (1) << 31)

/* Fields, in bytes from the start. */
enum field {
	SB_MAGIC = 0,
	SB_BLOCK_BYTES = 4,
	SB_BLOCKS = 8,
	SB_UUID = 32,
	SB_LOG_START = 48,
	SB_GROUP_BLOCKS = 84,
	SB_GROUPS = 88,
	SB_LOG_BLOCKS = 96,
	SB_VERSION = 100,
	SB_SECTOR_BYTES = 102,
	SB_LOG2_BLOCK = 120,
	SB_LOG2_SECTOR = 121,
	SB_LOG2_GROUP = 124,
	SB_IN_PROGRESS = 126,
	SB_SHARED_VERSION = 179,
	SB_COMPAT = 208,
	SB_RO_COMPAT = 212,
	SB_INCOMPAT = 216,
	SB_LOG_INCOMPAT = 220,
	SB_META_UUID = 248,
};

bool vmc_xfs_magic (const unsigned char *superblock)
{
	return vmc_xfs_get32 (superblock + SB_MAGIC) == MAGIC;
}

static int check_version (const unsigned char *super, struct vmc_error *err)
{
	uint16_t version = vmc_xfs_get16 (super + SB_VERSION);

	if (!vmc_xfs_magic (super))
		return vmc_xfs_refuse (err, "it is not XFS");
	if ((version & VERSION_MASK) < 5)
		return vmc_xfs_refuse (err, "it is XFS of an old version, which has no checksums");
	if ((version & VERSION_MASK) > 5 || (version & VERSION_SHARED) || super[SB_SHARED_VERSION] != 0)
		return vmc_xfs_refuse (err, "it is not XFS of a version known here");
	if (super[SB_IN_PROGRESS] != 0)
		return vmc_xfs_refuse (err, "mkfs.xfs has not finished it");
	return 0;
}

static int check_features (const unsigned char *super, struct vmc_error *err)
{
	uint32_t compat = vmc_xfs_get32 (super + SB_COMPAT), incompat = vmc_xfs_get32 (super + SB_INCOMPAT),
		 ro_compat = vmc_xfs_get32 (super + SB_RO_COMPAT),
		 log_incompat = vmc_xfs_get32 (super + SB_LOG_INCOMPAT);

	if (incompat & INCOMPAT_NEEDSREPAIR)
		return vmc_xfs_refuse (err, "it is marked as in need of repair; run xfs_repair in the guest");
	if (incompat & INCOMPAT_ZONED)
		return vmc_xfs_refuse (err, "it has zones, which are not understood here");
	if ((compat & ~COMPAT_ALLOWED) | (ro_compat & ~RO_COMPAT_ALLOWED) | (incompat & ~INCOMPAT_ALLOWED) |
	    (log_incompat & ~LOG_INCOMPAT_ALLOWED))
		return vmc_fail (err, VMC_REFUSED, 0, "it has features that are not known here (%x, %x, %x, %x)",
				 compat & ~COMPAT_ALLOWED, ro_compat & ~RO_COMPAT_ALLOWED, incompat & ~INCOMPAT_ALLOWED,
				 log_incompat & ~LOG_INCOMPAT_ALLOWED);
	return 0;
}

static void take_features (const unsigned char *super, struct vmc_xfs_geometry *geometry)
{
	uint32_t ro_compat = vmc_xfs_get32 (super + SB_RO_COMPAT);
	bool meta_uuid = (vmc_xfs_get32 (super + SB_INCOMPAT) & INCOMPAT_META_UUID) != 0;

	geometry->finobt = (ro_compat & RO_COMPAT_FINOBT) != 0;
	geometry->rmapbt = (ro_compat & RO_COMPAT_RMAPBT) != 0;
	geometry->reflink = (ro_compat & RO_COMPAT_REFLINK) != 0;
	memcpy (geometry->block_uuid, super + (meta_uuid ? SB_META_UUID : SB_UUID), sizeof geometry->block_uuid);
}

/* Blocks and sectors: each size is there twice, as a number and as its logarithm. */
static int check_blocks (const unsigned char *super, struct vmc_xfs_geometry *geometry, struct vmc_error *err)
{
	unsigned log_block = super[SB_LOG2_BLOCK], log_sector = super[SB_LOG2_SECTOR];

	if (log_block < LOG_BLOCK_MIN || log_block > LOG_BLOCK_MAX ||
	    vmc_xfs_get32 (super + SB_BLOCK_BYTES) != 1u << log_block)
		return vmc_xfs_refuse (err, "its blocks have a size that no XFS has");
	if (log_sector < LOG_SECTOR_MIN || log_sector > LOG_SECTOR_MAX || log_sector > log_block ||
	    vmc_xfs_get16 (super + SB_SECTOR_BYTES) != 1u << log_sector)
		return vmc_xfs_refuse (err, "its sectors have a size that no XFS has");
	geometry->block_bytes = 1u << log_block;
	geometry->sector_bytes = 1u << log_sector;
	return 0;
}

/* The smallest number of bits that any block of a group can be counted with. */
static unsigned bits_for (uint32_t blocks)
{
	unsigned bits = 0;

	while (bits < 32 && UINT64_C (1) << bits < blocks)
		bits++;
	return bits;
}

static int check_groups (const unsigned char *super, uint64_t length, struct vmc_xfs_geometry *geometry,
			 struct vmc_error *err)
{
	uint32_t groups = vmc_xfs_get32 (super + SB_GROUPS), each = vmc_xfs_get32 (super + SB_GROUP_BLOCKS);
	uint64_t bytes = (uint64_t) each * geometry->block_bytes, blocks = vmc_xfs_get64 (super + SB_BLOCKS),
		 before_last;

	if (bytes < GROUP_MIN_BYTES || bytes > GROUP_MAX_BYTES || super[SB_LOG2_GROUP] != bits_for (each))
		return vmc_xfs_refuse (err, "its allocation groups have a size that no XFS has");
	before_last = groups == 0 ? 0 : (uint64_t) (groups - 1) * each;
	if (groups == 0 || blocks < before_last + LAST_GROUP_MIN_BLOCKS || blocks - before_last > each)
		return vmc_xfs_refuse (err, "its number of blocks does not fit its allocation groups");
	if (blocks > length / geometry->block_bytes)
		return vmc_xfs_refuse (err, "it is larger than the place where it lies");
	geometry->blocks = blocks;
	geometry->groups = groups;
	geometry->group_blocks = each;
	return 0;
}

/* The log lies in one piece in one of the groups. Its start is a number of the group and a block in there. */
static int check_log (const unsigned char *super, struct vmc_xfs_geometry *geometry, struct vmc_error *err)
{
	uint64_t start = vmc_xfs_get64 (super + SB_LOG_START), group = start >> super[SB_LOG2_GROUP],
		 first = start & ((UINT64_C (1) << super[SB_LOG2_GROUP]) - 1);
	uint32_t blocks = vmc_xfs_get32 (super + SB_LOG_BLOCKS), group_length;

	if (start == 0)
		return vmc_xfs_refuse (err, "its log is not inside of it");
	if (blocks < LOG_MIN_BLOCKS || blocks > LOG_MAX_BLOCKS ||
	    (uint64_t) blocks * geometry->block_bytes > LOG_MAX_BYTES)
		return vmc_xfs_refuse (err, "its log has a size that no XFS has");
	group_length = group < geometry->groups ? vmc_xfs_group_length (geometry, (uint32_t) group) : 0;
	if (first < vmc_xfs_header_blocks (geometry) || first >= group_length || blocks > group_length - first)
		return vmc_xfs_refuse (err, "its log does not lie inside of a group");
	geometry->log_block = group * geometry->group_blocks + first;
	geometry->log_blocks = blocks;
	return 0;
}

uint32_t vmc_xfs_group_length (const struct vmc_xfs_geometry *geometry, uint32_t group)
{
	if (group < geometry->groups - 1)
		return geometry->group_blocks;
	return (uint32_t) (geometry->blocks - (uint64_t) group * geometry->group_blocks);
}

uint32_t vmc_xfs_header_blocks (const struct vmc_xfs_geometry *geometry)
{
	return (VMC_XFS_HEADER_SECTORS * geometry->sector_bytes + geometry->block_bytes - 1) / geometry->block_bytes;
}

int vmc_xfs_gate (const unsigned char *superblock, uint64_t length, struct vmc_xfs_geometry *geometry,
		  struct vmc_error *err)
{
	*geometry = (struct vmc_xfs_geometry) {0};
	memcpy (geometry->uuid, superblock + SB_UUID, sizeof geometry->uuid);
	if (check_version (superblock, err) < 0 || check_features (superblock, err) < 0)
		return -1;
	take_features (superblock, geometry);
	if (check_blocks (superblock, geometry, err) < 0 || check_groups (superblock, length, geometry, err) < 0)
		return -1;
	return check_log (superblock, geometry, err);
}
