/* mounts.c - tests of agent/mounts.c */
#include "unit.h"

#include <sys/sysmacros.h>
#include <unistd.h>

#include "mounts.h"

static void parse (const char *text, struct vmc_mounts *mounts)
{
	struct vmc_error err;

	if (vmc_mounts_parse (text, mounts, &err) < 0)
		fail_msg ("%s", err.text);
}

static void a_line_is_read (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};

	(void) state;
	parse ("36 35 254:17 / /srv rw,noatime shared:1 master:2 - ext4 /dev/vdb1 rw,errors=remount-ro\n", &mounts);
	assert_int_equal (mounts.count, 1);
	assert_int_equal (mounts.items[0].major, 254);
	assert_int_equal (mounts.items[0].minor, 17);
	assert_string_equal (mounts.items[0].type, "ext4");
	assert_string_equal (mounts.items[0].mount_point, "/srv");
	assert_false (mounts.items[0].read_only);
}

static void optional_fields_may_be_missing (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};

	(void) state;
	parse ("36 35 8:1 / / rw - xfs /dev/sda1 rw", &mounts);
	assert_int_equal (mounts.count, 1);
	assert_string_equal (mounts.items[0].type, "xfs");
}

static void several_filesystems_keep_their_order (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};

	(void) state;
	parse ("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /home rw - ext4 /dev/sda2 rw\n3 1 8:3 / /var rw - xfs "
	       "/dev/sda3 rw\n",
	       &mounts);
	assert_int_equal (mounts.count, 3);
	assert_string_equal (mounts.items[0].mount_point, "/");
	assert_string_equal (mounts.items[1].mount_point, "/home");
	assert_string_equal (mounts.items[2].mount_point, "/var");
}

static void filesystems_without_a_device_are_left_out (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};

	(void) state;
	parse ("1 0 0:22 / /proc rw - proc proc rw\n2 0 0:23 / /data rw - btrfs /dev/vdb rw\n3 0 8:1 / / rw - ext4 "
	       "/dev/sda1 rw\n",
	       &mounts);
	assert_int_equal (mounts.count, 2);
	assert_string_equal (mounts.items[1].mount_point, "/");
	/* btrfs makes its number up; which device it is on is looked up by the name. */
	assert_string_equal (mounts.items[0].source, "/dev/vdb");
	assert_true (mounts.items[0].device == 0);
	assert_true (mounts.items[1].device == makedev (8, 1));
}

static void a_bind_mount_is_no_second_filesystem (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};

	(void) state;
	parse ("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:1 /home /mnt rw - ext4 /dev/sda1 rw\n3 1 8:1 / /again rw - "
	       "ext4 /dev/sda1 rw\n",
	       &mounts);
	assert_int_equal (mounts.count, 1);
	assert_string_equal (mounts.items[0].mount_point, "/");
}

/* A container runtime may list /etc/hosts of the same device first; a file cannot be opened as a directory. */
static void the_whole_filesystem_comes_before_a_bind_mount (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_mounts_parse ("20 1 8:1 /hosts /etc/hosts rw - ext4 /dev/sda1 rw\n"
					    "21 1 8:1 / /data rw - ext4 /dev/sda1 rw\n",
					    &mounts, &err),
			  0);
	assert_int_equal (mounts.count, 1);
	assert_string_equal (mounts.items[0].mount_point, "/data");
}

static void a_bind_mount_alone_stands_for_its_filesystem (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};

	(void) state;
	parse ("2 1 8:1 /home /mnt rw - ext4 /dev/sda1 rw\n", &mounts);
	assert_int_equal (mounts.count, 1);
	assert_string_equal (mounts.items[0].mount_point, "/mnt");
}

static void filesystems_over_each_other_are_both_listed (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};

	(void) state;
	parse ("1 0 8:1 / /mnt rw - ext4 /dev/sda1 rw\n2 1 8:2 / /mnt rw - ext4 /dev/sda2 rw\n", &mounts);
	assert_int_equal (mounts.count, 2);
	assert_int_equal (mounts.items[1].minor, 2);
}

static void escapes_in_a_path_are_undone (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};

	(void) state;
	parse ("1 0 8:1 / /a\\040b\\011c\\012d\\134e rw - ext4 /dev/sda1 rw\n", &mounts);
	assert_string_equal (mounts.items[0].mount_point, "/a b\tc\nd\\e");
}

/* An undone backslash must not start another escape. */
static void escapes_are_undone_once (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};

	(void) state;
	parse ("1 0 8:1 / /a\\134040b rw - ext4 /dev/sda1 rw\n", &mounts);
	assert_string_equal (mounts.items[0].mount_point, "/a\\040b");
}

static void what_only_looks_like_an_escape_stays (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};

	(void) state;
	parse ("1 0 8:1 / /a\\04 rw - ext4 /dev/sda1 rw\n2 0 8:2 / /a\\089\\ rw - ext4 /dev/sda2 rw\n", &mounts);
	assert_string_equal (mounts.items[0].mount_point, "/a\\04");
	assert_string_equal (mounts.items[1].mount_point, "/a\\089\\");
}

/* fstrim and freezing care for the filesystem: a mount that is read-only says nothing about it. */
static void read_only_is_about_the_filesystem (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};

	(void) state;
	parse ("1 0 8:1 / /a ro - ext4 /dev/sda1 rw\n"
	       "2 0 8:2 / /b rw - ext4 /dev/sda2 ro\n"
	       "3 0 8:3 / /c rw - ext4 /dev/sda3 ro,errors=continue\n"
	       "4 0 8:4 / /d rw - ext4 /dev/sda4 rootcontext=x\n",
	       &mounts);
	assert_int_equal (mounts.count, 4);
	assert_false (mounts.items[0].read_only);
	assert_true (mounts.items[1].read_only);
	assert_true (mounts.items[2].read_only);
	assert_false (mounts.items[3].read_only);
}

/* The deeper one is frozen first. */
static void children_are_deeper_than_their_parents (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};

	(void) state;
	parse ("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 0 8:2 / /var rw - ext4 /dev/sda2 rw\n3 0 8:3 / /var/lib/x rw - "
	       "ext4 /dev/sda3 rw\n",
	       &mounts);
	assert_true (mounts.items[0].depth < mounts.items[1].depth);
	assert_true (mounts.items[1].depth < mounts.items[2].depth);
}

static void junk_is_passed_over (void **state)
{
	static const char *const lines[] = {
		"",
		"junk",
		"1 0 8:1",
		"1 0 8:1 / / rw ext4 /dev/sda1 rw",
		"1 0 x:1 / / rw - ext4 /dev/sda1 rw",
		"1 0 8 / / rw - ext4 /dev/sda1 rw",
		" - ",
		" - ext4 /dev/sda1 rw",
		"1 0 8:1 / / rw - ",
		"1 0 8:1 / - ext4 /dev/sda1 rw",
		"\xFF\xFE\x01",
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (lines); i++) {
		VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};
		char text[200];

		sprintf (text, "%s\n7 0 8:7 / /good rw - ext4 /dev/sda7 rw\n", lines[i]);
		parse (text, &mounts);
		if (mounts.count != 1 || strcmp (mounts.items[0].mount_point, "/good") != 0)
			fail_msg ("this was taken: %s", lines[i]);
	}
}

static void a_line_without_super_options_is_writable (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};

	(void) state;
	parse ("1 0 8:1 / / rw - ext4 /dev/sda1\n", &mounts);
	assert_int_equal (mounts.count, 1);
	assert_false (mounts.items[0].read_only);
}

static void an_empty_text_has_no_mounts (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};

	(void) state;
	parse ("", &mounts);
	assert_int_equal (mounts.count, 0);
}

static void the_list_has_a_limit (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};
	char *text = malloc (100 * (VMC_FILESYSTEMS_MAX + 50)), *to = text;

	(void) state;
	for (int i = 0; i < VMC_FILESYSTEMS_MAX + 50; i++)
		to += sprintf (to, "%d 0 8:%d / /m%d rw - ext4 /dev/x rw\n", i, i, i);
	parse (text, &mounts);
	free (text);
	assert_int_equal (mounts.count, VMC_FILESYSTEMS_MAX);
}

static void clearing_empties (void **state)
{
	struct vmc_mounts mounts = {0};

	(void) state;
	parse ("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n", &mounts);
	vmc_mounts_clear (&mounts);
	assert_null (mounts.items);
	assert_int_equal (mounts.count, 0);
}

static void the_kernels_own_list_is_read (void **state)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_mounts_read (&mounts, &err), 0);
	for (size_t i = 0; i < mounts.count; i++)
		assert_true (mounts.items[i].major != 0 && mounts.items[i].mount_point[0] == '/');
}

/* Nothing with major 8 and this minor lies at "/proc": as if it were mounted over. */
static void opening_proves_which_filesystem_it_is (void **state)
{
	struct vmc_mount mount = {.major = 8, .minor = 77, .mount_point = (char *) "/proc"};
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_mount_open (&mount, &err), -1);
	assert_error (err, VMC_UNSUPPORTED, "another filesystem is mounted over '/proc'");
}

static void opening_what_is_not_there_fails (void **state)
{
	struct vmc_mount mount = {.major = 8, .minor = 77, .mount_point = (char *) "/proc/no such place"};
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_mount_open (&mount, &err), -1);
	assert_error (err, VMC_FAILED, "cannot open");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (a_line_is_read),
	cmocka_unit_test (optional_fields_may_be_missing),
	cmocka_unit_test (several_filesystems_keep_their_order),
	cmocka_unit_test (filesystems_without_a_device_are_left_out),
	cmocka_unit_test (a_bind_mount_is_no_second_filesystem),
	cmocka_unit_test (the_whole_filesystem_comes_before_a_bind_mount),
	cmocka_unit_test (a_bind_mount_alone_stands_for_its_filesystem),
	cmocka_unit_test (filesystems_over_each_other_are_both_listed),
	cmocka_unit_test (escapes_in_a_path_are_undone),
	cmocka_unit_test (escapes_are_undone_once),
	cmocka_unit_test (what_only_looks_like_an_escape_stays),
	cmocka_unit_test (read_only_is_about_the_filesystem),
	cmocka_unit_test (children_are_deeper_than_their_parents),
	cmocka_unit_test (junk_is_passed_over),
	cmocka_unit_test (a_line_without_super_options_is_writable),
	cmocka_unit_test (an_empty_text_has_no_mounts),
	cmocka_unit_test (the_list_has_a_limit),
	cmocka_unit_test (clearing_empties),
	cmocka_unit_test (the_kernels_own_list_is_read),
	cmocka_unit_test (opening_proves_which_filesystem_it_is),
	cmocka_unit_test (opening_what_is_not_there_fails),
};

UNIT_MAIN (tests)
