/* partitions.c - tests of host/partitions.c, on tables made by sfdisk and by hand */
#include "file_source.h"

#include "memory_file.h"
#include "partitions.h"

#define MIB (UINT64_C (1) << 20)
#define SECTORS(mib) ((uint32_t) ((mib) *2048))

static int try (struct vmc_source *source, struct vmc_partitions *partitions, struct vmc_error *err)
{
	int memory_fd = vmc_memory_file_make (err), result;

	assert_true (memory_fd >= 0);
	result = vmc_partitions_find (source, memory_fd, partitions, err);
	(void) close (memory_fd);
	return result;
}

static void find (struct file_source *disk, struct vmc_partitions *partitions)
{
	struct vmc_error err;

	if (try (&disk->source, partitions, &err) < 0)
		fail_msg ("%s", err.text);
}

static void assert_refused (struct file_source *disk, const char *reason)
{
	struct vmc_partitions partitions;
	struct vmc_error err;

	assert_int_equal (try (&disk->source, &partitions, &err), -1);
	assert_error (err, VMC_REFUSED, reason);
}

static void assert_place (const struct vmc_partitions *partitions, size_t i, uint64_t offset, uint64_t length)
{
	assert_true (i < partitions->count);
	assert_int_equal (partitions->items[i].offset, offset);
	assert_int_equal (partitions->items[i].length, length);
}

/* Entry I of an MBR, or of what has its form elsewhere. */
static void put_entry_at (struct file_source *disk, uint64_t offset, int i, uint8_t type, uint32_t start,
			  uint32_t sectors)
{
	unsigned char entry[16] = {0, 0, 0, 0, type};

	for (int byte = 0; byte < 4; byte++) {
		entry[8 + byte] = (unsigned char) (start >> 8 * byte);
		entry[12 + byte] = (unsigned char) (sectors >> 8 * byte);
	}
	file_source_put (disk, offset + 446 + (uint64_t) i * 16, entry, sizeof entry);
	file_source_put (disk, offset + 510, "\x55\xAA", 2);
}

static void put_entry (struct file_source *disk, int i, uint8_t type, uint32_t start, uint32_t sectors)
{
	put_entry_at (disk, 0, i, type, start, sectors);
}

static void without_a_table_the_disk_is_one_place (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);
	struct vmc_partitions partitions;

	(void) state;
	find (&disk, &partitions);
	assert_int_equal (partitions.count, 1);
	assert_place (&partitions, 0, 0, 64 * MIB);
	file_source_end (&disk);
}

static void a_disk_smaller_than_the_edges_is_one_place (void **state)
{
	struct file_source disk = file_source_make (100 * 512);
	struct vmc_partitions partitions;

	(void) state;
	find (&disk, &partitions);
	assert_int_equal (partitions.count, 1);
	assert_place (&partitions, 0, 0, 100 * 512);
	file_source_end (&disk);
}

static void a_gpt_is_read (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);
	struct vmc_partitions partitions;

	(void) state;
	file_source_run (&disk, "printf 'label: gpt\\nstart=2048,size=20480\\nstart=40960,size=2048\\n' | sfdisk "
				"--no-reread $DISK");
	find (&disk, &partitions);
	assert_int_equal (partitions.count, 2);
	assert_place (&partitions, 0, MIB, 10 * MIB);
	assert_place (&partitions, 1, 20 * MIB, MIB);
	file_source_end (&disk);
}

/* Up to the last sector that a GPT leaves for partitions. */
static void a_gpt_partition_to_the_end_is_read (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);
	struct vmc_partitions partitions;

	(void) state;
	file_source_run (&disk, "printf 'label: gpt\\nlast-lba: 131038\\nstart=2048,size=128991\\n' | sfdisk "
				"--no-reread $DISK");
	find (&disk, &partitions);
	assert_int_equal (partitions.count, 1);
	assert_place (&partitions, 0, MIB, 128991 * 512);
	file_source_end (&disk);
}

/* Everything between the two ends of a large disk stays unread. */
static void a_gpt_on_a_large_disk_is_read (void **state)
{
	struct file_source disk = file_source_make (UINT64_C (3) << 40);
	struct vmc_partitions partitions;

	(void) state;
	file_source_run (&disk, "printf 'label: gpt\\nstart=4294967296,size=1073741824\\n' | sfdisk --no-reread $DISK");
	find (&disk, &partitions);
	assert_int_equal (partitions.count, 1);
	assert_place (&partitions, 0, UINT64_C (2) << 40, UINT64_C (1) << 39);
	file_source_end (&disk);
}

/* The copy at the end of the disk stands in for a table that is damaged. */
static void a_gpt_is_read_from_its_copy (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);
	struct vmc_partitions partitions;

	(void) state;
	file_source_run (&disk, "printf 'label: gpt\\nstart=2048,size=20480\\n' | sfdisk --no-reread $DISK");
	file_source_put (&disk, 512, "damaged", 7);
	find (&disk, &partitions);
	assert_int_equal (partitions.count, 1);
	assert_place (&partitions, 0, MIB, 10 * MIB);
	file_source_end (&disk);
}

static void an_mbr_is_read (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);
	struct vmc_partitions partitions;

	(void) state;
	file_source_run (&disk, "printf 'label: dos\\nstart=2048,size=20480\\nstart=40960,size=90112\\n' | sfdisk "
				"--no-reread $DISK");
	find (&disk, &partitions);
	assert_int_equal (partitions.count, 2);
	assert_place (&partitions, 0, MIB, 10 * MIB);
	assert_place (&partitions, 1, 20 * MIB, 44 * MIB);
	file_source_end (&disk);
}

static void logical_partitions_are_read (void **state)
{
	struct file_source disk = file_source_make (200 * MIB);
	struct vmc_partitions partitions;

	(void) state;
	file_source_run (&disk,
			 "printf 'label: dos\\nstart=2048,size=20480\\nstart=40960,size=300000,type=5\\n"
			 "start=43008,size=20480\\nstart=81920,size=40960\\nstart=200000,size=20480\\n' | sfdisk "
			 "--no-reread $DISK");
	find (&disk, &partitions);
	assert_int_equal (partitions.count, 4);
	assert_place (&partitions, 0, MIB, 10 * MIB);
	assert_place (&partitions, 1, 21 * MIB, 10 * MIB);
	assert_place (&partitions, 2, 40 * MIB, 20 * MIB);
	assert_place (&partitions, 3, 200000 * 512, 10 * MIB);
	file_source_end (&disk);
}

/* Fifty of them, and behind the bytes that are copied at once. */
static void many_logical_partitions_are_read (void **state)
{
	struct file_source disk = file_source_make (700 * MIB);
	struct vmc_partitions partitions;

	(void) state;
	file_source_run (&disk, "{ printf 'label: dos\\nstart=20480,type=f\\n'; for i in $(seq 50); do printf "
				"'start=%d,size=4096\\n' $((i * 20480 + 2048)); done; } | sfdisk --no-reread $DISK");
	find (&disk, &partitions);
	assert_int_equal (partitions.count, 50);
	for (size_t i = 0; i < 50; i++)
		assert_place (&partitions, i, (i + 1) * 10 * MIB + MIB, 2 * MIB);
	file_source_end (&disk);
}

/* An extended partition of 50 MiB at 10 MiB with this for its first table; the next tables are at 20 and 30 MiB. */
static struct file_source make_chain (uint32_t next)
{
	struct file_source disk = file_source_make (64 * MIB);

	put_entry (&disk, 0, 0x05, SECTORS (10), SECTORS (50));
	put_entry_at (&disk, 10 * MIB, 0, 0x83, 2048, SECTORS (5));
	put_entry_at (&disk, 10 * MIB, 1, 0x05, next, SECTORS (10));
	put_entry_at (&disk, 20 * MIB, 0, 0x83, 2048, SECTORS (5));
	put_entry_at (&disk, 20 * MIB, 1, 0x05, SECTORS (20), SECTORS (10));
	put_entry_at (&disk, 30 * MIB, 0, 0x83, 2048, SECTORS (5));
	return disk;
}

static void a_chain_is_followed (void **state)
{
	struct file_source disk = make_chain (SECTORS (10));
	struct vmc_partitions partitions;

	(void) state;
	find (&disk, &partitions);
	assert_int_equal (partitions.count, 3);
	assert_place (&partitions, 2, 31 * MIB, 5 * MIB);
	file_source_end (&disk);
}

/* Also backwards: that alone is no circle. */
static void a_chain_that_runs_in_a_circle_is_refused (void **state)
{
	struct file_source disk = make_chain (SECTORS (10));
	struct vmc_partitions partitions;

	(void) state;
	put_entry_at (&disk, 30 * MIB, 1, 0x05, SECTORS (17), SECTORS (3));
	put_entry_at (&disk, 27 * MIB, 0, 0x83, 2048, SECTORS (1));
	find (&disk, &partitions);
	assert_true (partitions.count == 3 || partitions.count == 4); /* newer versions of libblkid do not go back */
	put_entry_at (&disk, 30 * MIB, 1, 0x05, SECTORS (10), SECTORS (10));
	assert_refused (&disk, "runs in a circle");
	put_entry_at (&disk, 30 * MIB, 1, 0x05, 0, SECTORS (10));
	assert_refused (&disk, "runs in a circle");
	put_entry_at (&disk, 30 * MIB, 1, 0x05, SECTORS (20), SECTORS (10));
	assert_refused (&disk, "runs in a circle");
	file_source_end (&disk);
}

static void a_chain_that_leaves_its_partition_is_refused (void **state)
{
	static const uint32_t next[] = {SECTORS (50), SECTORS (51), SECTORS (1000), UINT32_MAX};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (next); i++) {
		struct file_source disk = make_chain (next[i]);

		assert_refused (&disk, "leaves its partition");
		file_source_end (&disk);
	}
}

static void a_chain_that_is_too_long_is_refused (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);

	(void) state;
	put_entry (&disk, 0, 0x05, 2048, SECTORS (60));
	for (uint64_t i = 0; i < 200; i++)
		put_entry_at (&disk, MIB + i * 4096, 1, 0x05, (uint32_t) (i + 1) * 8, 8);
	assert_refused (&disk, "is too long");
	file_source_end (&disk);
}

static void an_extended_partition_behind_the_disk_is_refused (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);

	(void) state;
	put_entry (&disk, 0, 0x05, SECTORS (64), SECTORS (10));
	assert_refused (&disk, "beyond the end of the disk");
	file_source_end (&disk);
}

static void logical_partitions_that_are_not_where_they_belong_are_refused (void **state)
{
	static const struct {
		uint32_t start, sectors;
		const char *reason;
	} cases[] = {
		{2048, SECTORS (12), "covers the table"}, /* its neighbour's */
		{SECTORS (40), SECTORS (11), "leaves"},
		{SECTORS (12), SECTORS (3), "overlap"},
		{2048, SECTORS (60), "leaves"},
	};
	struct vmc_partitions partitions;
	struct vmc_error err;

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		struct file_source disk = make_chain (SECTORS (10));

		put_entry_at (&disk, 10 * MIB, 0, 0x83, cases[i].start, cases[i].sectors);
		if (i == 0)
			put_entry_at (&disk, 20 * MIB, 0, 0, 0, 0);
		if (try (&disk.source, &partitions, &err) < 0)
			assert_error (err, VMC_REFUSED, cases[i].reason);
		else /* newer versions of libblkid leave it out themselves */
			for (size_t j = 0; j < partitions.count; j++)
				assert_int_not_equal (partitions.items[j].offset,
						      10 * MIB + cases[i].start * UINT64_C (512));
		file_source_end (&disk);
	}
}

static void a_primary_partition_in_an_extended_one_is_refused (void **state)
{
	struct file_source disk = make_chain (SECTORS (10));

	(void) state;
	put_entry (&disk, 1, 0x83, SECTORS (50), SECTORS (5));
	assert_refused (&disk, "two partitions overlap");
	file_source_end (&disk);
}

/* Code where a table would be: not a table for libblkid, and none here. */
static void a_boot_sector_is_no_chain (void **state)
{
	struct file_source disk = make_chain (SECTORS (10));
	struct vmc_partitions partitions;

	(void) state;
	put_entry_at (&disk, 10 * MIB, 1, 0x05, UINT32_MAX, 1);
	file_source_put (&disk, 446 + 16, "\x33", 1);
	find (&disk, &partitions);
	assert_int_equal (partitions.count, 1);
	assert_place (&partitions, 0, 0, 64 * MIB);
	file_source_end (&disk);
}

static void partitions_may_touch (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);
	struct vmc_partitions partitions;

	(void) state;
	put_entry (&disk, 0, 0x83, SECTORS (10), SECTORS (10));
	put_entry (&disk, 1, 0x83, SECTORS (1), SECTORS (9));
	put_entry (&disk, 2, 0x83, SECTORS (20), SECTORS (44));
	find (&disk, &partitions);
	assert_int_equal (partitions.count, 3);
	file_source_end (&disk);
}

static void partitions_that_overlap_are_refused (void **state)
{
	static const struct {
		uint32_t start, sectors;
	} seconds[] = {
		{SECTORS (10), SECTORS (10)}, /* the same */
		{SECTORS (19), SECTORS (10)}, {SECTORS (5), SECTORS (5) + 1},
		{SECTORS (12), SECTORS (2)},  {SECTORS (5), SECTORS (30)},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (seconds); i++) {
		struct file_source disk = file_source_make (64 * MIB);

		put_entry (&disk, 0, 0x83, SECTORS (10), SECTORS (10));
		put_entry (&disk, 1, 0x83, seconds[i].start, seconds[i].sectors);
		assert_refused (&disk, "two partitions overlap");
		file_source_end (&disk);
	}
}

static void a_partition_past_the_end_is_refused (void **state)
{
	static const struct {
		uint32_t start, sectors;
	} cases[] = {
		{SECTORS (10), SECTORS (54) + 1}, {SECTORS (64), 1}, {SECTORS (100), SECTORS (10)}, {2048, UINT32_MAX},
		{UINT32_MAX, UINT32_MAX},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		struct file_source disk = file_source_make (64 * MIB);

		put_entry (&disk, 0, 0x83, cases[i].start, cases[i].sectors);
		assert_refused (&disk, "a partition leaves the disk");
		file_source_end (&disk);
	}
}

static int failing_read (struct vmc_source *source, void *buffer, uint64_t offset, size_t length, struct vmc_error *err)
{
	(void) source;
	(void) buffer;
	(void) offset;
	(void) length;
	return vmc_fail (err, VMC_FAILED, 0, "no bytes today");
}

static void a_disk_that_cannot_be_read_fails (void **state)
{
	struct vmc_source source = {64 * MIB, failing_read};
	struct vmc_partitions partitions;
	struct vmc_error err;

	(void) state;
	assert_int_equal (try (&source, &partitions, &err), -1);
	assert_error (err, VMC_FAILED, "no bytes today");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (without_a_table_the_disk_is_one_place),
	cmocka_unit_test (a_disk_smaller_than_the_edges_is_one_place),
	cmocka_unit_test (a_gpt_is_read),
	cmocka_unit_test (a_gpt_partition_to_the_end_is_read),
	cmocka_unit_test (a_gpt_on_a_large_disk_is_read),
	cmocka_unit_test (a_gpt_is_read_from_its_copy),
	cmocka_unit_test (an_mbr_is_read),
	cmocka_unit_test (logical_partitions_are_read),
	cmocka_unit_test (many_logical_partitions_are_read),
	cmocka_unit_test (a_chain_is_followed),
	cmocka_unit_test (a_chain_that_runs_in_a_circle_is_refused),
	cmocka_unit_test (a_chain_that_leaves_its_partition_is_refused),
	cmocka_unit_test (a_chain_that_is_too_long_is_refused),
	cmocka_unit_test (an_extended_partition_behind_the_disk_is_refused),
	cmocka_unit_test (logical_partitions_that_are_not_where_they_belong_are_refused),
	cmocka_unit_test (a_primary_partition_in_an_extended_one_is_refused),
	cmocka_unit_test (a_boot_sector_is_no_chain),
	cmocka_unit_test (partitions_may_touch),
	cmocka_unit_test (partitions_that_overlap_are_refused),
	cmocka_unit_test (a_partition_past_the_end_is_refused),
	cmocka_unit_test (a_disk_that_cannot_be_read_fails),
};

int main (void)
{
	return unit_missing ("sfdisk") ? 0 : UNIT_RUN (tests);
}
