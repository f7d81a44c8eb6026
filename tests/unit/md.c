/* md.c - tests of agent/md.c, on a directory that looks like one in sysfs */
#include "unit.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "md.h"

#define MIB 1048576

static char directory[] = "/tmp/vmcompact-md-XXXXXX";
static struct vmc_device device;

static void put (const char *file, const char *text)
{
	char path[200];
	FILE *out;

	(void) snprintf (path, sizeof path, "%s/%s", directory, file);
	out = fopen (path, "w");
	assert_non_null (out);
	assert_true (fprintf (out, "%s\n", text) > 0 && fclose (out) == 0);
}

static void make_directory (const char *name)
{
	char path[200];

	(void) snprintf (path, sizeof path, "%s/%s", directory, name);
	assert_int_equal (mkdir (path, 0700), 0);
}

static void member (int slot, const char *device_number, const char *offset, const char *size_kib)
{
	char name[64];

	(void) snprintf (name, sizeof name, "md/rd%d", slot);
	make_directory (name);
	(void) snprintf (name, sizeof name, "md/rd%d/block", slot);
	make_directory (name);
	(void) snprintf (name, sizeof name, "md/rd%d/block/dev", slot);
	put (name, device_number);
	(void) snprintf (name, sizeof name, "md/rd%d/offset", slot);
	put (name, offset);
	(void) snprintf (name, sizeof name, "md/rd%d/size", slot);
	put (name, size_kib);
}

static void array (const char *level, const char *chunk, const char *disks, uint64_t bytes)
{
	make_directory ("md");
	put ("md/level", level);
	put ("md/chunk_size", chunk);
	put ("md/raid_disks", disks);
	device.bytes = bytes;
}

static int set_up (void **state)
{
	(void) state;
	strcpy (directory + strlen (directory) - 6, "XXXXXX");
	device = (struct vmc_device) {0};
	return mkdtemp (directory) == NULL;
}

static int tear_down (void **state)
{
	char command[100];

	(void) state;
	vmc_fields_clear (vmc_device_fields, &device);
	(void) snprintf (command, sizeof command, "rm -r %s", directory);
	return system (command);
}

static void read_it (void)
{
	struct vmc_error err;

	if (vmc_md_read (directory, &device, &err) < 0)
		fail_msg ("%s", err.text);
}

static const struct vmc_target *targets (void)
{
	return device.targets.items;
}

static const struct vmc_leg *legs (size_t i)
{
	return targets ()[i].legs.items;
}

static void a_raid0_of_equal_members_has_stripes (void **state)
{
	(void) state;
	array ("raid0", "524288", "2", 200 * MIB);
	member (0, "254:1", "2048", "102400");
	member (1, "254:17", "4096", "102500"); /* less than a chunk more does not count */
	read_it ();
	assert_string_equal (device.why_not_map, "");
	assert_int_equal (device.targets.count, 1);
	assert_int_equal (targets ()[0].length, 200 * MIB);
	assert_int_equal (targets ()[0].chunk_bytes, 524288);
	assert_int_equal (targets ()[0].legs.count, 2);
	assert_string_equal (legs (0)[0].device, "254:1");
	assert_int_equal (legs (0)[0].offset, MIB);
	assert_string_equal (legs (0)[1].device, "254:17");
	assert_int_equal (legs (0)[1].offset, 2 * MIB);
}

static void a_raid0_of_different_members_is_given_up (void **state)
{
	(void) state;
	array ("raid0", "524288", "2", 300 * MIB);
	member (0, "254:1", "2048", "102400");
	member (1, "254:17", "2048", "204800");
	read_it ();
	assert_contains (device.why_not_map, "different sizes");
}

static void a_linear_array_is_one_member_after_the_other (void **state)
{
	(void) state;
	array ("linear", "0", "2", 300 * MIB);
	member (0, "254:1", "2048", "102400");
	member (1, "254:17", "0", "204800");
	read_it ();
	assert_string_equal (device.why_not_map, "");
	assert_int_equal (device.targets.count, 2);
	assert_int_equal (targets ()[1].start, 100 * MIB);
	assert_int_equal (targets ()[1].length, 200 * MIB);
	assert_string_equal (legs (1)[0].device, "254:17");
}

static void levels_with_redundancy_are_given_up (void **state)
{
	(void) state;
	array ("raid1", "0", "2", 100 * MIB);
	member (0, "254:1", "2048", "102400");
	member (1, "254:17", "2048", "102400");
	read_it ();
	assert_contains (device.why_not_map, "more than once");
}

static void what_does_not_add_up_is_given_up (void **state)
{
	(void) state;
	array ("raid0", "524288", "2", 200 * MIB + 512);
	member (0, "254:1", "2048", "102400");
	member (1, "254:17", "2048", "102400");
	read_it ();
	assert_contains (device.why_not_map, "do not add up");
}

static void a_member_that_is_missing_is_given_up (void **state)
{
	(void) state;
	array ("raid0", "524288", "3", 200 * MIB);
	member (0, "254:1", "2048", "102400");
	member (1, "254:17", "2048", "102400");
	read_it ();
	assert_contains (device.why_not_map, "do not add up");
}

static void more_members_than_are_told_are_given_up (void **state)
{
	(void) state;
	array ("raid0", "524288", "33", 100 * MIB);
	read_it ();
	assert_contains (device.why_not_map, "do not add up");
}

#define MD_TEST(function) cmocka_unit_test_setup_teardown (function, set_up, tear_down)

static const struct CMUnitTest tests[] = {
	MD_TEST (a_raid0_of_equal_members_has_stripes),
	MD_TEST (a_raid0_of_different_members_is_given_up),
	MD_TEST (a_linear_array_is_one_member_after_the_other),
	MD_TEST (levels_with_redundancy_are_given_up),
	MD_TEST (what_does_not_add_up_is_given_up),
	MD_TEST (a_member_that_is_missing_is_given_up),
	MD_TEST (more_members_than_are_told_are_given_up),
};

UNIT_MAIN (tests)
