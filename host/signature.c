/* signature.c - see signature.h
 *
 * libblkid gets the file in memory, as long as the place, with the first and the last bytes of the place in it: nearly every
 * signature lies there. NTFS keeps its own far inside; its boot sector says where, and that much is copied, too. All else
 * reads as zeros. So the number of bytes that are read for a place has a bound, whatever is in it.
 */
#include "signature.h"

#include <blkid/blkid.h>
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "memory_file.h"
#include "stack.h"

#define EDGE_BYTES (1024 * 1024 + 4096) /* of the place at each end: that of VMFS lies at 1 MiB */
#define NTFS_TABLE_BYTES 65536          /* the first records of its table of files */

/* The place of NTFS's table of files, in bytes; 0: this is no boot sector of it. */
static uint64_t find_ntfs_table (const unsigned char *sector)
{
	uint16_t sector_bytes;
	uint64_t cluster, offset;
	unsigned sectors = sector[13];

	memcpy (&sector_bytes, sector + 11, sizeof sector_bytes);
	memcpy (&cluster, sector + 48, sizeof cluster);
	sector_bytes = le16toh (sector_bytes);
	if (memcmp (sector + 3, "NTFS    ", 8) != 0 || sectors == 0)
		return 0;
	if (sectors > 0x80) /* minus the logarithm */
		sectors = 256 - sectors < 31 ? 1u << (256 - sectors) : 0;
	return __builtin_mul_overflow (le64toh (cluster), (uint64_t) sector_bytes * sectors, &offset) ? 0 : offset;
}

static int copy_ntfs_table (struct vmc_source *source, int memory_fd, uint64_t offset, uint64_t length,
			    struct vmc_error *err)
{
	unsigned char sector[512];
	uint64_t table;

	if (length < sizeof sector)
		return 0;
	if (vmc_source_read (source, sector, offset, sizeof sector, err) < 0)
		return -1;
	table = find_ntfs_table (sector);
	if (table == 0 || table >= length || NTFS_TABLE_BYTES > length - table)
		return 0;
	return vmc_memory_file_copy (memory_fd, table, source, offset + table, NTFS_TABLE_BYTES, err);
}

static int probe (int memory_fd, uint64_t length, struct vmc_signature *signature, struct vmc_error *err)
{
	blkid_probe blkid = blkid_new_probe ();
	const char *type = NULL, *uuid = NULL;
	int found;

	if (blkid == NULL || blkid_probe_set_device (blkid, memory_fd, 0, (blkid_loff_t) length) < 0) {
		blkid_free_probe (blkid);
		return vmc_fail (err, VMC_FAILED, 0, "libblkid cannot look at a place of the disk");
	}
	(void) blkid_probe_enable_superblocks (blkid, 1);
	(void) blkid_probe_set_superblocks_flags (blkid, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID);
	found = blkid_do_safeprobe (blkid);
	signature->ambiguous = found == -2;
	if (found == 0 && blkid_probe_lookup_value (blkid, "TYPE", &type, NULL) == 0)
		(void) snprintf (signature->type, sizeof signature->type, "%s", type);
	if (found == 0 && blkid_probe_lookup_value (blkid, vmc_stack_uuid_tag (signature->type), &uuid, NULL) == 0)
		(void) snprintf (signature->uuid, sizeof signature->uuid, "%s", uuid);
	blkid_free_probe (blkid);
	return 0;
}

int vmc_signature_find (struct vmc_source *source, int memory_fd, uint64_t offset, uint64_t length,
			struct vmc_signature *signature, struct vmc_error *err)
{
	*signature = (struct vmc_signature) {0};
	if (vmc_memory_file_edges (memory_fd, source, offset, length, EDGE_BYTES, err) < 0 ||
	    copy_ntfs_table (source, memory_fd, offset, length, err) < 0)
		return -1;
	return probe (memory_fd, length, signature, err);
}
