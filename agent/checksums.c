/* checksums.c - see checksums.h
 *
 * ext4: Documentation/filesystems/ext4/super.rst; XFS: struct xfs_dsb in fs/xfs/libxfs/xfs_format.h. Only the superblock of the type
 * that is mounted counts: not every mkfs removes that of another type, which was there before.
 */
#include "checksums.h"

#include <endian.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "devices.h"

#define START_BYTES 2048 /* of the device: both superblocks lie in it */

#define EXT4_SUPER 1024
#define EXT4_MAGIC_AT (EXT4_SUPER + 0x38)
#define EXT4_MAGIC 0xEF53
#define EXT4_RO_COMPAT_AT (EXT4_SUPER + 0x64)
#define EXT4_METADATA_CSUM 0x400

#define XFS_MAGIC "XFSB"
#define XFS_VERSION_AT 100
#define XFS_VERSION_MASK 0xF
#define XFS_VERSION_CRC 5

static bool read_start (dev_t device, unsigned char *start)
{
	int fd = vmc_device_open (device, O_RDONLY);
	ssize_t got = fd < 0 ? -1 : pread (fd, start, START_BYTES, 0);

	if (fd >= 0)
		(void) close (fd);
	return got == START_BYTES;
}

static bool ext4_has (const unsigned char *start)
{
	uint16_t magic;
	uint32_t features;

	memcpy (&magic, start + EXT4_MAGIC_AT, sizeof magic);
	memcpy (&features, start + EXT4_RO_COMPAT_AT, sizeof features);
	return le16toh (magic) == EXT4_MAGIC && (le32toh (features) & EXT4_METADATA_CSUM) != 0;
}

static bool xfs_has (const unsigned char *start)
{
	uint16_t version;

	memcpy (&version, start + XFS_VERSION_AT, sizeof version);
	return memcmp (start, XFS_MAGIC, strlen (XFS_MAGIC)) == 0 &&
	       (be16toh (version) & XFS_VERSION_MASK) == XFS_VERSION_CRC;
}

bool vmc_checksums_cover (dev_t device, const char *type)
{
	unsigned char start[START_BYTES];

	if (!read_start (device, start))
		return false;
	return (strcmp (type, "ext4") == 0 && ext4_has (start)) || (strcmp (type, "xfs") == 0 && xfs_has (start));
}
