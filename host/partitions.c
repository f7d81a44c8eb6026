/* partitions.c - see partitions.h
 *
 * libblkid gets a file in memory that holds the disk's first and last bytes and zeros between them. That is all a GPT and the
 * primary partitions of an MBR need. Logical partitions lie in a chain of tables across the disk: the table in an extended
 * partition's first sector tells of a partition and of the next table. The chain is followed here, only to copy its sectors to
 * where libblkid will look for them and to see that it is sound; what the entries mean is left to libblkid.
 *
 * A table that is not copied reads as zeros, and what it tells of counts as used.
 */
#include "partitions.h"

#include <blkid/blkid.h>
#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "memory_file.h"

#define EDGE_BYTES (1024 * 1024) /* of the disk at each end */
#define SECTOR 512

#define MBR_ENTRIES 446 /* where four of 16 bytes begin */
#define MBR_COUNT 4

/* --- the chain of logical partitions ------------------------------------------------------------------------------------ */

struct entry {
	unsigned char type;
	uint32_t start, sectors;
};

struct chains {
	struct vmc_source *source;
	int memory_fd;
	uint64_t tables[VMC_PARTITIONS_MAX]; /* bytes: where each of the chain lies */
	size_t count;
	struct vmc_place extended[MBR_COUNT];
	size_t extended_count;
};

/* False: the sector is no table. The first byte of an entry tells whether to boot from it, and has two values; a boot sector
 * with code in their place is none either, also for libblkid. */
static bool get_entries (const unsigned char *sector, struct entry *entries)
{
	bool sound = sector[510] == 0x55 && sector[511] == 0xAA;

	for (int i = 0; i < MBR_COUNT; i++) {
		const unsigned char *bytes = sector + MBR_ENTRIES + 16 * i;

		sound &= (bytes[0] & 0x7F) == 0;
		entries[i].type = bytes[4];
		memcpy (&entries[i].start, bytes + 8, 4);
		memcpy (&entries[i].sectors, bytes + 12, 4);
		entries[i].start = le32toh (entries[i].start);
		entries[i].sectors = le32toh (entries[i].sectors);
	}
	return sound;
}

static bool is_extended (const struct entry *entry)
{
	return entry->sectors > 0 && (entry->type == 0x05 || entry->type == 0x0F || entry->type == 0x85);
}

/* The table at OFFSET: noted, copied for libblkid, its entries read. 1: it is a table, 0: it is none. */
static int take_table (struct chains *chains, uint64_t offset, struct entry *entries, struct vmc_error *err)
{
	unsigned char sector[SECTOR];

	for (size_t i = 0; i < chains->count; i++)
		if (chains->tables[i] == offset)
			return vmc_fail (err, VMC_REFUSED, 0, "the chain of logical partitions runs in a circle");
	if (chains->count == VMC_PARTITIONS_MAX)
		return vmc_fail (err, VMC_REFUSED, 0, "the chain of logical partitions is too long");
	chains->tables[chains->count++] = offset;
	if (vmc_source_read (chains->source, sector, offset, sizeof sector, err) < 0 ||
	    vmc_memory_file_copy (chains->memory_fd, offset, chains->source, offset, sizeof sector, err) < 0)
		return -1;
	return get_entries (sector, entries);
}

static int follow (struct chains *chains, const struct vmc_place *extended, struct vmc_error *err)
{
	uint64_t at = 0; /* in the extended partition */

	for (;;) {
		struct entry entries[MBR_COUNT];
		int result, next = 0;

		if (at > extended->length - SECTOR)
			return vmc_fail (err, VMC_REFUSED, 0, "the chain of logical partitions leaves its partition");
		result = take_table (chains, extended->offset + at, entries, err);
		if (result <= 0)
			return result;
		while (next < MBR_COUNT && !is_extended (&entries[next]))
			next++;
		if (next == MBR_COUNT)
			return 0;
		at = (uint64_t) entries[next].start * SECTOR;
	}
}

static int follow_all (struct chains *chains, struct vmc_error *err)
{
	struct entry entries[MBR_COUNT];
	unsigned char sector[SECTOR];

	if (chains->source->size_bytes < SECTOR)
		return 0;
	if (vmc_source_read (chains->source, sector, 0, sizeof sector, err) < 0)
		return -1;
	if (!get_entries (sector, entries))
		return 0;
	for (int i = 0; i < MBR_COUNT; i++) {
		struct vmc_place *place = &chains->extended[chains->extended_count];

		if (!is_extended (&entries[i]))
			continue;
		*place = (struct vmc_place) {(uint64_t) entries[i].start * SECTOR,
					     (uint64_t) entries[i].sectors * SECTOR};
		chains->extended_count++;
		if (follow (chains, place, err) < 0)
			return -1;
	}
	return 0;
}

/* --- the places ----------------------------------------------------------------------------------------------------------- */

static bool overlap (const struct vmc_place *a, const struct vmc_place *b)
{
	return a->offset < b->offset + b->length && b->offset < a->offset + a->length;
}

static int add (struct vmc_partitions *partitions, const struct vmc_place *place, uint64_t disk_bytes,
		struct vmc_error *err)
{
	if (partitions->count == VMC_PARTITIONS_MAX)
		return vmc_fail (err, VMC_REFUSED, 0, "the disk has more than %d partitions", VMC_PARTITIONS_MAX);
	if (place->length == 0 || place->offset > disk_bytes || place->length > disk_bytes - place->offset)
		return vmc_fail (err, VMC_REFUSED, 0, "a partition leaves the disk");
	for (size_t i = 0; i < partitions->count; i++)
		if (overlap (place, &partitions->items[i]))
			return vmc_fail (err, VMC_REFUSED, 0, "two partitions overlap");
	partitions->items[partitions->count++] = *place;
	return 0;
}

/* A logical partition lies in an extended one, any other lies outside of all; and none lies on a table of the chain. */
static int check_chains (const struct chains *chains, const struct vmc_place *place, bool logical,
			 struct vmc_error *err)
{
	bool inside = false;

	for (size_t i = 0; i < chains->extended_count; i++) {
		const struct vmc_place *extended = &chains->extended[i];

		if (!logical && overlap (place, extended))
			return vmc_fail (err, VMC_REFUSED, 0, "two partitions overlap");
		inside |= place->offset >= extended->offset &&
			  place->offset + place->length <= extended->offset + extended->length;
	}
	if (logical && !inside)
		return vmc_fail (err, VMC_REFUSED, 0, "a logical partition leaves its extended one");
	for (size_t i = 0; i < chains->count; i++)
		if (overlap (place, &(struct vmc_place) {chains->tables[i], SECTOR}))
			return vmc_fail (err, VMC_REFUSED, 0, "a partition covers the table of another one");
	return 0;
}

static int add_all (blkid_partlist list, const struct chains *chains, struct vmc_partitions *partitions,
		    struct vmc_error *err)
{
	for (int i = 0; i < blkid_partlist_numof_partitions (list); i++) {
		blkid_partition one = blkid_partlist_get_partition (list, i);
		blkid_loff_t start = blkid_partition_get_start (one), size = blkid_partition_get_size (one);
		struct vmc_place place;

		if (blkid_partition_is_extended (one))
			continue;
		if (start < 0 || size <= 0 || start > INT64_MAX / SECTOR || size > INT64_MAX / SECTOR)
			return vmc_fail (err, VMC_REFUSED, 0, "a partition leaves the disk");
		place = (struct vmc_place) {(uint64_t) start * SECTOR, (uint64_t) size * SECTOR};
		if (add (partitions, &place, chains->source->size_bytes, err) < 0 ||
		    check_chains (chains, &place, blkid_partition_is_logical (one), err) < 0)
			return -1;
	}
	return 0;
}

static int probe (const struct chains *chains, struct vmc_partitions *partitions, struct vmc_error *err)
{
	uint64_t disk_bytes = chains->source->size_bytes;
	blkid_probe blkid = blkid_new_probe ();
	blkid_partlist list;
	int result;

	if (blkid == NULL || blkid_probe_set_device (blkid, chains->memory_fd, 0, (blkid_loff_t) disk_bytes) < 0) {
		blkid_free_probe (blkid);
		return vmc_fail (err, VMC_FAILED, 0, "libblkid cannot look at the disk");
	}
	(void) blkid_probe_enable_superblocks (blkid, 0);
	(void) blkid_probe_enable_partitions (blkid, 1);
	list = blkid_probe_get_partitions (blkid);
	if (list != NULL && blkid_partlist_numof_partitions (list) > 0)
		result = add_all (list, chains, partitions, err);
	else
		result = add (partitions, &(struct vmc_place) {0, disk_bytes}, disk_bytes, err);
	blkid_free_probe (blkid);
	return result;
}

int vmc_partitions_find (struct vmc_source *source, int memory_fd, struct vmc_partitions *partitions,
			 struct vmc_error *err)
{
	struct chains chains = {.source = source, .memory_fd = memory_fd};

	partitions->count = 0;
	if (vmc_memory_file_edges (memory_fd, source, 0, source->size_bytes, EDGE_BYTES, err) < 0 ||
	    follow_all (&chains, err) < 0)
		return -1;
	return probe (&chains, partitions, err);
}
