/* qemu_agent.c - tests of what is taken from qemu-guest-agent's list of filesystems (host/qemu_agent.c) */
#include "unit.h"

#include "qemu_agent.h"

#define MIB (UINT64_C (1) << 20)

static virTypedParameterPtr params;
static int count, room;

static int begin (void **state)
{
	(void) state;
	params = NULL;
	count = room = 0;
	return 0;
}

static int end (void **state)
{
	(void) state;
	virTypedParamsFree (params, count);
	return 0;
}

static const char *name (unsigned number, const char *key)
{
	static char text[VIR_TYPED_PARAM_FIELD_LENGTH];

	(void) snprintf (text, sizeof text, "fs.%u.%s", number, key);
	return text;
}

static void add_text (unsigned number, const char *key, const char *text)
{
	assert_int_equal (virTypedParamsAddString (&params, &count, &room, name (number, key), text), 0);
}

static void add_number (unsigned number, const char *key, unsigned value)
{
	assert_int_equal (virTypedParamsAddUInt (&params, &count, &room, name (number, key), value), 0);
}

static void add_bytes (unsigned number, const char *key, uint64_t bytes)
{
	assert_int_equal (virTypedParamsAddULLong (&params, &count, &room, name (number, key), bytes), 0);
}

static void add_count (unsigned filesystems)
{
	assert_int_equal (virTypedParamsAddUInt (&params, &count, &room, "fs.count", filesystems), 0);
}

/* A filesystem of 100 MiB, 30 of them used, on one disk or two. */
static void add (unsigned number, const char *device, const char *type, const char *disk, const char *other)
{
	add_text (number, "name", device);
	add_text (number, "mountpoint", "/somewhere");
	add_text (number, "fstype", type);
	add_bytes (number, "total-bytes", 100 * MIB);
	add_bytes (number, "used-bytes", 30 * MIB);
	add_number (number, "disk.count", other ? 2 : 1);
	add_text (number, "disk.0.alias", disk);
	if (other != NULL)
		add_text (number, "disk.1.alias", other);
}

static void assert_counted (const char *target, unsigned mounted, unsigned mounted_ext, uint64_t free_bytes,
			    uint64_t used_bytes)
{
	struct vmc_qemu_filesystems found = {.mounted = 77};

	vmc_qemu_agent_count (params, count, target, &found);
	assert_int_equal (found.mounted, mounted);
	assert_int_equal (found.mounted_ext, mounted_ext);
	assert_int_equal (found.free_bytes, free_bytes);
	assert_int_equal (found.used_bytes, used_bytes);
}

static void each_disk_has_its_own (void **state)
{
	(void) state;
	add_count (4);
	add (0, "vda1", "ext4", "vda", NULL);
	add (1, "vda2", "ext3", "vda", NULL);
	add (2, "sda", "ext4", "sda", NULL);
	add (3, "vda3", "xfs", "vda", NULL);
	assert_counted ("vda", 3, 2, 210 * MIB, 90 * MIB);
	assert_counted ("sda", 1, 1, 70 * MIB, 30 * MIB);
	assert_counted ("vdb", 0, 0, 0, 0);
	assert_counted ("", 0, 0, 0, 0);
}

static void add_disks (unsigned disks, const char *const names[])
{
	assert_int_equal (virTypedParamsAddUInt (&params, &count, &room, "disk.count", disks), 0);
	for (unsigned i = 0; names[i] != NULL; i++) {
		char key[40];

		(void) snprintf (key, sizeof key, "disk.%u.name", i);
		assert_int_equal (virTypedParamsAddString (&params, &count, &room, key, names[i]), 0);
	}
}

static void assert_bare_loops (unsigned bare)
{
	struct vmc_qemu_filesystems found = {.bare_loops = 77};

	vmc_qemu_agent_count (params, count, "vda", &found);
	assert_int_equal (found.bare_loops, bare);
}

static void loop_devices_count_unless_they_are_mounted (void **state)
{
	(void) state;
	assert_bare_loops (VMC_LOOPS_UNKNOWN);
	add_count (2);
	add (0, "vda1", "ext4", "vda", NULL);
	add (1, "loop1", "squashfs", "", NULL);
	assert_bare_loops (VMC_LOOPS_UNKNOWN);
	add_disks (5, (const char *[]) {"/dev/vda", "/dev/loop0", "/dev/vda1", "/dev/loop1", "/dev/loop11", NULL});
	assert_bare_loops (2);
}

static void disks_without_a_loop_device (void **state)
{
	(void) state;
	add_count (0);
	add_disks (2, (const char *[]) {"/dev/vda", "/dev/vda1", NULL});
	assert_bare_loops (0);
}

static void disks_of_which_some_are_not_named (void **state)
{
	(void) state;
	add_count (0);
	add_disks (2, (const char *[]) {"/dev/vda", NULL});
	assert_bare_loops (VMC_LOOPS_UNKNOWN);
}

static void a_bind_mount_is_no_filesystem (void **state)
{
	(void) state;
	add_count (3);
	add (0, "vda1", "ext4", "vda", NULL);
	add (1, "vda1", "ext4", "vda", NULL);
	add (2, "vda1", "ext4", "vda", NULL);
	assert_counted ("vda", 1, 1, 70 * MIB, 30 * MIB);
}

static void what_lies_over_a_mapping_is_not_direct (void **state)
{
	static const char *const devices[] = {"dm-0", "md127", "bcache0", "loop1", "nbd0", ""};

	(void) state;
	add_count (UNIT_COUNT (devices));
	for (unsigned i = 0; i < UNIT_COUNT (devices); i++)
		add (i, devices[i], "ext4", "vda", NULL);
	assert_counted ("vda", UNIT_COUNT (devices), 0, UNIT_COUNT (devices) * 70 * MIB,
			UNIT_COUNT (devices) * 30 * MIB);
}

static void over_two_disks_it_is_not_known_how_much_is_where (void **state)
{
	(void) state;
	add_count (2);
	add (0, "dm-0", "ext4", "vda", "vdb");
	add (1, "vda1", "ext4", "vda", NULL);
	assert_counted ("vda", 2, 1, 70 * MIB, 30 * MIB);
	assert_counted ("vdb", 1, 0, 0, 0);
}

static void an_old_agent_names_no_sizes (void **state)
{
	(void) state;
	add_count (1);
	add_text (0, "name", "vda1");
	add_text (0, "fstype", "ext4");
	add_number (0, "disk.count", 1);
	add_text (0, "disk.0.alias", "vda");
	assert_counted ("vda", 1, 1, 0, 0);
}

static void nonsense_counts_for_nothing (void **state)
{
	(void) state;
	assert_counted ("vda", 0, 0, 0, 0);
	add_count (3);
	add_text (0, "name", "vda1");
	add_text (0, "fstype", "ext4");
	add_bytes (0, "total-bytes", 1);
	add_bytes (0, "used-bytes", 2);
	add_number (0, "disk.count", 1);
	add_text (0, "disk.0.alias", "vda");
	add_text (1, "name", "vda2");
	add_text (1, "fstype", "ext4");
	add_number (1, "disk.count", UINT32_MAX);
	add_bytes (2, "disk.count", 1);
	assert_counted ("vda", 1, 1, 0, 0);
}

static void too_many_are_none (void **state)
{
	(void) state;
	add_count (VMC_FILESYSTEMS_MAX + 1);
	add (0, "vda1", "ext4", "vda", NULL);
	assert_counted ("vda", 0, 0, 0, 0);
}

static void sums_that_do_not_fit_are_left_out (void **state)
{
	(void) state;
	add_count (2);
	add (0, "vda1", "ext4", "vda", NULL);
	add_text (1, "name", "vda2");
	add_text (1, "fstype", "ext4");
	add_bytes (1, "total-bytes", UINT64_MAX);
	add_bytes (1, "used-bytes", UINT64_MAX);
	add_number (1, "disk.count", 1);
	add_text (1, "disk.0.alias", "vda");
	assert_counted ("vda", 2, 2, 70 * MIB, 30 * MIB);
}

#define AGENT_TEST(test) cmocka_unit_test_setup_teardown (test, begin, end)

static const struct CMUnitTest tests[] = {
	AGENT_TEST (each_disk_has_its_own),
	AGENT_TEST (loop_devices_count_unless_they_are_mounted),
	AGENT_TEST (disks_without_a_loop_device),
	AGENT_TEST (disks_of_which_some_are_not_named),
	AGENT_TEST (a_bind_mount_is_no_filesystem),
	AGENT_TEST (what_lies_over_a_mapping_is_not_direct),
	AGENT_TEST (over_two_disks_it_is_not_known_how_much_is_where),
	AGENT_TEST (an_old_agent_names_no_sizes),
	AGENT_TEST (nonsense_counts_for_nothing),
	AGENT_TEST (too_many_are_none),
	AGENT_TEST (sums_that_do_not_fit_are_left_out),
};

int main (void)
{
	return virInitialize () < 0 ? 1 : UNIT_RUN (tests);
}
