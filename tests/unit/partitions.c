/* partitions.c - tests of host/partitions.c, on tables made by sfdisk and by hand */
#include "file_source.h"

#include "partitions.h"

#define MIB (UINT64_C (1) << 20)
#define SECTORS(mib) ((uint32_t) ((mib) *2048))

static int try (struct vmc_source *source, struct vmc_partitions *partitions, struct vmc_error *err)
{
	int memory_fd = vmc_partitions_memory (err), result;

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

/* Also where the start of their chain happens to lie in the bytes that are read. */
static void logical_partitions_are_left_out (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);
	struct vmc_partitions partitions;

	(void) state;
	put_entry (&disk, 0, 0x83, SECTORS (40), SECTORS (10));
	put_entry (&disk, 1, 0x05, 100, SECTORS (30));
	put_entry_at (&disk, 100 * 512, 0, 0x83, 2048, SECTORS (5));
	find (&disk, &partitions);
	assert_int_equal (partitions.count, 1);
	assert_place (&partitions, 0, 40 * MIB, 10 * MIB);
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
	cmocka_unit_test (logical_partitions_are_left_out),
	cmocka_unit_test (partitions_may_touch),
	cmocka_unit_test (partitions_that_overlap_are_refused),
	cmocka_unit_test (a_partition_past_the_end_is_refused),
	cmocka_unit_test (a_disk_that_cannot_be_read_fails),
};

int main (void)
{
	return unit_missing ("sfdisk") ? 0 : UNIT_RUN (tests);
}
