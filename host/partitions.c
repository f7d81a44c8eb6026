/* partitions.c - see partitions.h
 *
 * libblkid reads descriptors, not callbacks: it gets a nameless file in memory, as long as the disk, that holds the
 * disk's first and last bytes and zeros between them. That is all an MBR and a GPT need. Logical partitions lie in a
 * chain across the disk and are not found: what is in them counts as used.
 */
#include "partitions.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define EDGE_BYTES (1024 * 1024) /* of the disk at each end */
#define SECTOR 512

static int copy_edge (struct vmc_source *source, int fd, uint64_t offset, size_t length, struct vmc_error *err)
{
	char *buffer = malloc (length);
	int result;

	if (buffer == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the partition table");
	result = vmc_source_read (source, buffer, offset, length, err);
	if (result == 0 && pwrite (fd, buffer, length, (off_t) offset) != (ssize_t) length)
		result = vmc_fail (err, VMC_FAILED, errno, "cannot copy the partition table");
	free (buffer);
	return result;
}

static int copy_edges (struct vmc_source *source, int fd, struct vmc_error *err)
{
	size_t edge = source->size_bytes < EDGE_BYTES ? (size_t) source->size_bytes : EDGE_BYTES;

	if (ftruncate (fd, (off_t) source->size_bytes) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot make a file in memory");
	if (copy_edge (source, fd, 0, edge, err) < 0)
		return -1;
	return copy_edge (source, fd, source->size_bytes - edge, edge, err);
}

static int add (struct vmc_partitions *partitions, uint64_t offset, uint64_t length, uint64_t disk_bytes,
		struct vmc_error *err)
{
	if (partitions->count == VMC_PARTITIONS_MAX)
		return vmc_fail (err, VMC_REFUSED, 0, "the disk has more than %d partitions", VMC_PARTITIONS_MAX);
	if (length == 0 || offset > disk_bytes || length > disk_bytes - offset)
		return vmc_fail (err, VMC_REFUSED, 0, "a partition leaves the disk");
	for (size_t i = 0; i < partitions->count; i++) {
		const struct vmc_place *other = &partitions->items[i];

		if (offset < other->offset + other->length && other->offset < offset + length)
			return vmc_fail (err, VMC_REFUSED, 0, "two partitions overlap");
	}
	partitions->items[partitions->count++] = (struct vmc_place) {offset, length};
	return 0;
}

static int add_all (blkid_partlist list, struct vmc_partitions *partitions, uint64_t disk_bytes, struct vmc_error *err)
{
	for (int i = 0; i < blkid_partlist_numof_partitions (list); i++) {
		blkid_partition one = blkid_partlist_get_partition (list, i);
		blkid_loff_t start = blkid_partition_get_start (one), size = blkid_partition_get_size (one);

		if (blkid_partition_is_extended (one) || blkid_partition_is_logical (one))
			continue;
		if (start < 0 || size <= 0 || start > INT64_MAX / SECTOR || size > INT64_MAX / SECTOR)
			return vmc_fail (err, VMC_REFUSED, 0, "a partition leaves the disk");
		if (add (partitions, (uint64_t) start * SECTOR, (uint64_t) size * SECTOR, disk_bytes, err) < 0)
			return -1;
	}
	return 0;
}

static int probe (int fd, struct vmc_partitions *partitions, uint64_t disk_bytes, struct vmc_error *err)
{
	blkid_probe blkid = blkid_new_probe ();
	blkid_partlist list;
	int result;

	if (blkid == NULL || blkid_probe_set_device (blkid, fd, 0, (blkid_loff_t) disk_bytes) < 0) {
		blkid_free_probe (blkid);
		return vmc_fail (err, VMC_FAILED, 0, "libblkid cannot look at the disk");
	}
	(void) blkid_probe_enable_superblocks (blkid, 0);
	(void) blkid_probe_enable_partitions (blkid, 1);
	list = blkid_probe_get_partitions (blkid);
	if (list != NULL && blkid_partlist_numof_partitions (list) > 0)
		result = add_all (list, partitions, disk_bytes, err);
	else
		result = add (partitions, 0, disk_bytes, disk_bytes, err);
	blkid_free_probe (blkid);
	return result;
}

int vmc_partitions_memory (struct vmc_error *err)
{
	int fd = memfd_create ("disk", MFD_CLOEXEC);

	return fd >= 0 ? fd : vmc_fail (err, VMC_FAILED, errno, "cannot make a file in memory");
}

int vmc_partitions_find (struct vmc_source *source, int memory_fd, struct vmc_partitions *partitions,
			 struct vmc_error *err)
{
	partitions->count = 0;
	if (copy_edges (source, memory_fd, err) < 0)
		return -1;
	return probe (memory_fd, partitions, source->size_bytes, err);
}
