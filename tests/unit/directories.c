/* directories.c - tests of host/directories.c */
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "directories.h"

static char room[] = "/tmp/vmcompact-unit-XXXXXX", path[sizeof room + 10];

static int make_room (void **state)
{
	(void) state;
	strcpy (room + sizeof room - 7, "XXXXXX");
	if (mkdtemp (room) == NULL)
		return -1;
	(void) snprintf (path, sizeof path, "%s/own", room);
	return 0;
}

static int remove_room (void **state)
{
	(void) state;
	(void) rmdir (path);
	(void) unlink (path);
	return rmdir (room);
}

static void assert_prepared (void)
{
	struct vmc_error err;

	if (vmc_directory_prepare (path, &err) < 0)
		fail_msg ("%s", err.text);
}

static void assert_refused (const char *reason)
{
	struct vmc_error err;

	assert_int_equal (vmc_directory_prepare (path, &err), -1);
	assert_error (err, VMC_REFUSED, reason);
	assert_contains (err.text, "vmcompact must be run as root");
}

static void it_is_made_for_us_alone (void **state)
{
	mode_t before = umask (0);
	struct stat status;

	(void) state;
	assert_prepared ();
	(void) umask (before);
	assert_return_code (lstat (path, &status), 0);
	assert_int_equal (status.st_mode, S_IFDIR | 0700);
	assert_prepared ();
}

static void others_may_read_but_not_write (void **state)
{
	static const struct {
		mode_t mode;
		bool taken;
	} cases[] = {{0700, true},  {0750, true},  {0755, true},  {0711, true},
		     {0720, false}, {0770, false}, {0702, false}, {01777, false}};

	(void) state;
	assert_return_code (mkdir (path, 0700), 0);
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		assert_return_code (chmod (path, cases[i].mode), 0);
		if (cases[i].taken)
			assert_prepared ();
		else
			assert_refused ("is not a directory of ours alone");
	}
}

/* The directory of a user who is not us: root's, unless we are root. */
static void that_of_another_is_refused (void **state)
{
	(void) state;
	if (geteuid () == 0)
		assert_return_code (mkdir (path, 0700) < 0 ? -1 : chown (path, 1, 0), 0);
	else
		assert_return_code (symlink ("/", path), 0);
	assert_refused ("is not a directory of ours alone");
}

static void a_symlink_is_refused (void **state)
{
	(void) state;
	assert_return_code (symlink (".", path), 0);
	assert_refused ("is not a directory of ours alone");
}

static void a_file_is_refused (void **state)
{
	FILE *file = fopen (path, "w");

	(void) state;
	assert_non_null (file);
	(void) fclose (file);
	assert_return_code (chmod (path, 0600), 0);
	assert_refused ("is not a directory of ours alone");
}

static void the_one_above_must_be_there (void **state)
{
	struct vmc_error err;
	char deep[sizeof path + 10];

	(void) state;
	(void) snprintf (deep, sizeof deep, "%s/deep", path);
	assert_int_equal (vmc_directory_prepare (deep, &err), -1);
	assert_error (err, VMC_REFUSED, "cannot make");
}

static void only_a_directory_is_synced (void **state)
{
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_directory_sync (path, &err), -1);
	assert_error (err, VMC_FAILED, "cannot open");
	assert_return_code (mkdir (path, 0700), 0);
	assert_int_equal (vmc_directory_sync (path, &err), 0);
	assert_int_equal (vmc_directory_sync ("/dev/null", &err), -1);
	assert_error (err, VMC_FAILED, "cannot open");
}

#define ROOM_TEST(test) cmocka_unit_test_setup_teardown (test, make_room, remove_room)

static const struct CMUnitTest tests[] = {
	ROOM_TEST (it_is_made_for_us_alone),    ROOM_TEST (others_may_read_but_not_write),
	ROOM_TEST (that_of_another_is_refused), ROOM_TEST (a_symlink_is_refused),
	ROOM_TEST (a_file_is_refused),          ROOM_TEST (the_one_above_must_be_there),
	ROOM_TEST (only_a_directory_is_synced),
};

UNIT_MAIN (tests)
