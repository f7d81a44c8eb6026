/* xfs_gate.h - is this superblock one of an XFS filesystem whose free space can be read here?
 *
 * The gate trusts no number of the sector that it is shown. It lets through only geometries that mkfs.xfs and growfs make and
 * features that are known here to leave the meaning of the free-space trees alone.
 */
#ifndef VMC_XFS_GATE_H
#define VMC_XFS_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/* What the gate looks at: the first bytes of the filesystem. Its sector may be longer. */
#define VMC_XFS_SUPERBLOCK_BYTES 512

/* Each allocation group begins with as many sectors: superblock, AGF, AGI and AGFL. */
#define VMC_XFS_HEADER_SECTORS 4

struct vmc_xfs_geometry {
	uint64_t blocks; /* of the data section, block_bytes each */
	uint32_t block_bytes, sector_bytes;
	uint32_t groups;       /* allocation groups */
	uint32_t group_blocks; /* blocks of each, the last one may have less */
	uint64_t log_block;    /* where the log begins, in blocks of the data section */
	uint32_t log_blocks;
	bool finobt, rmapbt, reflink; /* which other trees a group has */
	bool unmounted;               /* the last thing in its log is an unmount */
	unsigned char uuid[16];       /* the one that people see */
	unsigned char block_uuid[16]; /* the one that is in each block of metadata: the same, unless it was changed */
};

/* Does SUPERBLOCK have XFS's magic number at all? */
bool vmc_xfs_magic (const unsigned char *superblock) __attribute__ ((nonnull));

/* Check SUPERBLOCK of a filesystem in LENGTH bytes, but not its checksum, and fill GEOMETRY but for unmounted. VMC_REFUSED, with
 * what is wrong or not handled; then only the UUID in GEOMETRY means anything. */
int vmc_xfs_gate (const unsigned char *superblock, uint64_t length, struct vmc_xfs_geometry *geometry,
		  struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* How many blocks group GROUP has, which must be one. */
uint32_t vmc_xfs_group_length (const struct vmc_xfs_geometry *geometry, uint32_t group) __attribute__ ((nonnull));

/* How many blocks at its start are never free: those with the headers in them. */
uint32_t vmc_xfs_header_blocks (const struct vmc_xfs_geometry *geometry) __attribute__ ((nonnull));

#endif
