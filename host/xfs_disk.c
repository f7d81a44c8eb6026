/* xfs_disk.c - see xfs_disk.h */
#include "xfs_disk.h"

#include <ext2fs/ext2fs.h>

int vmc_xfs_refuse (struct vmc_error *err, const char *what)
{
	return vmc_fail (err, VMC_REFUSED, 0, "%s", what);
}

int vmc_xfs_read (const struct vmc_xfs *xfs, void *buffer, uint64_t start, size_t length, struct vmc_error *err)
{
	uint64_t bytes = xfs->geometry->blocks * xfs->geometry->block_bytes;

	if (start > bytes || length > bytes - start)
		return vmc_xfs_refuse (err, "something lies beyond its end");
	return vmc_source_read (xfs->source, buffer, xfs->offset + start, length, err);
}

bool vmc_xfs_checksum_right (const unsigned char *bytes, size_t length, size_t at)
{
	static const unsigned char zeros[4];
	uint32_t stored, sum = ext2fs_crc32c_le (~0U, bytes, at);

	memcpy (&stored, bytes + at, sizeof stored);
	sum = ext2fs_crc32c_le (sum, zeros, sizeof zeros);
	sum = ext2fs_crc32c_le (sum, bytes + at + sizeof zeros, length - at - sizeof zeros);
	return le32toh (stored) == ~sum;
}
