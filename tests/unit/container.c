/* container.c - tests of host/container.c, on what the distribution's tools have made */
#include "file_source.h"

#include <endian.h>

#include "container.h"

#define MIB (UINT64_C (1) << 20)
#define SIZE (64 * MIB)
#define AT (3 * MIB) /* where the container lies on the disk */

/* A disk on which COMMAND has made something of SIZE, for $DISK, at AT. */
static struct file_source make (const char *command)
{
	struct file_source inner = file_source_make (SIZE), disk = file_source_make (AT + SIZE);
	char bytes[65536];

	file_source_run (&inner, command);
	for (uint64_t at = 0; at < SIZE; at += sizeof bytes) {
		file_source_get (&inner, at, bytes, sizeof bytes);
		file_source_put (&disk, AT + at, bytes, sizeof bytes);
	}
	file_source_end (&inner);
	return disk;
}

static void expect (const char *command, const char *type, uint64_t data)
{
	struct file_source disk = make (command);

	assert_int_equal (vmc_container_data (&disk.source, AT, SIZE, type), data);
	file_source_end (&disk);
}

#define LUKS "printf secret | cryptsetup -q luksFormat --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "

static void luks_has_its_payload_behind_the_header (void **state)
{
	(void) state;
	expect (LUKS "--type luks1 $DISK -", "crypto_LUKS", 2 * MIB);
	expect (LUKS "--type luks2 $DISK -", "crypto_LUKS", 16 * MIB);
	expect (LUKS "--type luks2 --offset 65536 $DISK -", "crypto_LUKS", 32 * MIB);
}

/* pvcreate wants block devices: the label and the header as LVM writes them. */
static void a_volume_of_lvm_has_data_behind_its_metadata (void **state)
{
	struct file_source disk = file_source_make (AT + SIZE);
	uint64_t area = htole64 (MIB);

	(void) state;
	file_source_put (&disk, AT + 512, "LABELONE", 8);
	file_source_put (&disk, AT + 512 + 24, "LVM2 001", 8);
	file_source_put (&disk, AT + 512 + 72, &area, 8);
	assert_int_equal (vmc_container_data (&disk.source, AT, SIZE, "LVM2_member"), MIB);
	area = 0;
	file_source_put (&disk, AT + 512 + 72, &area, 8);
	assert_int_equal (vmc_container_data (&disk.source, AT, SIZE, "LVM2_member"), SIZE);
	file_source_end (&disk);
}

/* mdadm wants block devices, too. */
static void a_member_of_a_raid_says_where_its_data_begin (void **state)
{
	struct file_source disk = file_source_make (AT + SIZE);
	uint32_t magic = htole32 (0xA92B4EFC), version = htole32 (1);
	uint64_t sectors = htole64 (2048);

	(void) state;
	file_source_put (&disk, AT + 4096, &magic, 4);
	file_source_put (&disk, AT + 4096 + 4, &version, 4);
	file_source_put (&disk, AT + 4096 + 128, &sectors, 8);
	assert_int_equal (vmc_container_data (&disk.source, AT, SIZE, "linux_raid_member"), MIB);
	version = 0;
	file_source_put (&disk, AT + 4096 + 4, &version, 4);
	assert_int_equal (vmc_container_data (&disk.source, AT, SIZE, "linux_raid_member"), SIZE);
	file_source_end (&disk);
}

static void what_is_no_container_has_no_data (void **state)
{
	(void) state;
	expect ("true", "LVM2_member", SIZE);
	expect ("true", "crypto_LUKS", SIZE);
	expect ("true", "linux_raid_member", SIZE);
	expect (LUKS "--type luks2 $DISK -", "ext4", SIZE);
	expect (LUKS "--type luks2 $DISK -", "", SIZE);
}

/* The JSON is what a guest has written there. */
static void a_header_that_makes_no_sense_has_no_data (void **state)
{
	static const char *const jsons[] = {
		"",
		"{",
		"[]",
		"{\"segments\":[]}",
		"{\"segments\":{}}",
		"{\"segments\":{\"0\":{}}}",
		"{\"segments\":{\"0\":{\"offset\":16777216}}}",
		"{\"segments\":{\"0\":{\"offset\":\"\"}}}",
		"{\"segments\":{\"0\":{\"offset\":\"-1\"}}}",
		"{\"segments\":{\"0\":{\"offset\":\"0\"}}}",
		"{\"segments\":{\"0\":{\"offset\":\"32767\"}}}", /* inside of the two headers */
		"{\"segments\":{\"0\":{\"offset\":\"16777216\"},\"1\":{}}}",
		"{\"segments\":{\"0\":{\"offset\":\"99999999999999999999999\"}}}",
	};
	struct file_source disk = make (LUKS "--type luks2 $DISK -");
	static const char zeros[12288];
	uint64_t sizes[] = {0, htobe64 (4096), htobe64 (UINT64_MAX), htobe64 (8 * MIB)};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (jsons); i++) {
		file_source_put (&disk, AT + 4096, zeros, sizeof zeros);
		file_source_put (&disk, AT + 4096, jsons[i], strlen (jsons[i]));
		if (vmc_container_data (&disk.source, AT, SIZE, "crypto_LUKS") != SIZE)
			fail_msg ("'%s' was believed", jsons[i]);
	}
	for (size_t i = 0; i < UNIT_COUNT (sizes); i++) {
		file_source_put (&disk, AT + 8, &sizes[i], sizeof sizes[i]);
		assert_int_equal (vmc_container_data (&disk.source, AT, SIZE, "crypto_LUKS"), SIZE);
	}
	file_source_end (&disk);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (luks_has_its_payload_behind_the_header),
	cmocka_unit_test (a_volume_of_lvm_has_data_behind_its_metadata),
	cmocka_unit_test (a_member_of_a_raid_says_where_its_data_begin),
	cmocka_unit_test (what_is_no_container_has_no_data),
	cmocka_unit_test (a_header_that_makes_no_sense_has_no_data),
};

int main (void)
{
	return unit_missing ("cryptsetup") ? 0 : UNIT_RUN (tests);
}
