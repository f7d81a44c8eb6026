/* xfs_disk.h - the bytes of an XFS filesystem, for the parts of its reader: bounded, and with their checksums */
#ifndef VMC_XFS_DISK_H
#define VMC_XFS_DISK_H

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "source.h"
#include "xfs_gate.h"

struct vmc_xfs {
	struct vmc_source *source;
	uint64_t offset; /* bytes, of the filesystem on the disk */
	struct vmc_xfs_geometry *geometry;
};

/* VMC_REFUSED, with WHAT as the reason. */
int vmc_xfs_refuse (struct vmc_error *err, const char *what) __attribute__ ((nonnull));

/* Read LENGTH bytes at byte START of the filesystem. VMC_REFUSED: they do not lie inside of it. */
int vmc_xfs_read (const struct vmc_xfs *xfs, void *buffer, uint64_t start, size_t length, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Is the checksum of LENGTH bytes right that is kept AT one of them, and counts as zero itself? */
bool vmc_xfs_checksum_right (const unsigned char *bytes, size_t length, size_t at) __attribute__ ((nonnull));

/* Numbers as they lie on the disk. */
static inline uint16_t vmc_xfs_get16 (const unsigned char *bytes)
{
	uint16_t value;

	memcpy (&value, bytes, sizeof value);
	return be16toh (value);
}

static inline uint32_t vmc_xfs_get32 (const unsigned char *bytes)
{
	uint32_t value;

	memcpy (&value, bytes, sizeof value);
	return be32toh (value);
}

static inline uint64_t vmc_xfs_get64 (const unsigned char *bytes)
{
	uint64_t value;

	memcpy (&value, bytes, sizeof value);
	return be64toh (value);
}

#endif
