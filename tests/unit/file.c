/* file.c - tests of host/file.c: read from a nameless file, written into a directory of its own */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

static int file = -1;

static int make_file (void **state)
{
	(void) state;
	file = memfd_create ("file", MFD_CLOEXEC);
	return file < 0;
}

static int close_file (void **state)
{
	(void) state;
	return close (file);
}

static void put (const char *bytes, size_t length)
{
	assert_int_equal (pwrite (file, bytes, length, 0), length);
}

static void all_of_it_is_read (void **state)
{
	size_t length = 99;
	char *text;

	(void) state;
	put ("one\0two\n", 8);
	text = vmc_file_read (file, 8, &length);
	assert_non_null (text);
	assert_int_equal (length, 8);
	assert_memory_equal (text, "one\0two\n", 9);
	free (text);
}

static void nothing_is_an_empty_text (void **state)
{
	size_t length = 99;
	char *text;

	(void) state;
	text = vmc_file_read (file, 0, &length);
	assert_non_null (text);
	assert_int_equal (length, 0);
	assert_string_equal (text, "");
	free (text);
}

static void more_than_asked_for_is_not_read (void **state)
{
	size_t length;

	(void) state;
	put ("123456789", 9);
	errno = 0;
	assert_null (vmc_file_read (file, 8, &length));
	assert_int_equal (errno, EINVAL);
}

static void what_is_no_file_is_not_read (void **state)
{
	int ends[2];
	size_t length;

	(void) state;
	assert_return_code (pipe (ends), errno);
	errno = 0;
	assert_null (vmc_file_read (ends[0], 8, &length));
	assert_int_equal (errno, EINVAL);
	(void) close (ends[0]);
	(void) close (ends[1]);
}

static void what_cannot_be_read_is_said (void **state)
{
	char path[64];
	size_t length;
	int writer;

	(void) state;
	put ("12345678", 8);
	(void) snprintf (path, sizeof path, "/proc/self/fd/%d", file);
	writer = open (path, O_WRONLY | O_CLOEXEC);
	assert_true (writer >= 0);
	errno = 0;
	assert_null (vmc_file_read (writer, 8, &length));
	assert_int_equal (errno, EBADF);
	(void) close (writer);
}

/* --- writing ------------------------------------------------------------------------------------- */

static char directory[64], path[80];

static int make_directory (void **state)
{
	(void) state;
	(void) umask (022);
	strcpy (directory, "/tmp/vmcompact-file-XXXXXX");
	if (mkdtemp (directory) == NULL)
		return -1;
	(void) snprintf (path, sizeof path, "%s/file", directory);
	return 0;
}

static int remove_directory (void **state)
{
	(void) state;
	(void) unlink (path);
	return rmdir (directory); /* nothing else has been left there */
}

static void replace (const char *text, mode_t mode)
{
	struct vmc_error err;

	if (vmc_file_replace (path, text, mode, &err) < 0)
		fail_msg ("%s", err.text);
}

static void assert_holds (const char *text)
{
	int fd = open (path, O_RDONLY);
	size_t length;
	char *have;

	assert_true (fd >= 0);
	have = vmc_file_read (fd, 1 << 20, &length);
	(void) close (fd);
	assert_non_null (have);
	assert_string_equal (have, text);
	free (have);
}

static void a_file_is_made_and_replaced (void **state)
{
	static char large[300000];

	(void) state;
	memset (large, 'x', sizeof large - 1);
	replace ("one\n", 0600);
	assert_holds ("one\n");
	replace (large, 0600);
	assert_holds (large);
	replace ("", 0600);
	assert_holds ("");
}

static void the_mode_is_what_is_asked_for (void **state)
{
	static const mode_t modes[] = {0600, 0644, 0666, 0400};
	struct stat status;

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (modes); i++) {
		(void) umask (i % 2 ? 0 : 077);
		replace ("one", modes[i]);
		assert_return_code (stat (path, &status), errno);
		assert_int_equal (status.st_mode & 07777, modes[i]);
	}
}

/* Whoever has the old one open goes on to read all of it. */
static void who_reads_the_old_one_is_not_disturbed (void **state)
{
	size_t length;
	char *text;
	int fd;

	(void) state;
	replace ("the old one", 0600);
	fd = open (path, O_RDONLY);
	assert_true (fd >= 0);
	replace ("new", 0600);
	text = vmc_file_read (fd, 100, &length);
	(void) close (fd);
	assert_string_equal (text, "the old one");
	free (text);
}

/* One that was killed has left it. */
static void what_is_left_of_another_time_is_replaced (void **state)
{
	char new[100];
	int fd;

	(void) state;
	(void) snprintf (new, sizeof new, "%s" VMC_FILE_NEW, path);
	fd = open (new, O_WRONLY | O_CREAT, 0666);
	assert_int_equal (write (fd, "much longer than the new one", 28), 28);
	(void) close (fd);
	replace ("one", 0600);
	assert_holds ("one");
	assert_int_equal (access (new, F_OK), -1);
}

static void no_symlink_is_written_through (void **state)
{
	char new[100], victim[100];
	struct vmc_error err;

	(void) state;
	(void) snprintf (new, sizeof new, "%s" VMC_FILE_NEW, path);
	(void) snprintf (victim, sizeof victim, "%s/victim", directory);
	replace ("one", 0600);
	assert_return_code (symlink (victim, new), errno);
	assert_int_equal (vmc_file_replace (path, "two", 0600, &err), -1);
	assert_int_equal (err.errnum, ELOOP);
	assert_holds ("one");
	assert_int_equal (access (victim, F_OK), -1);
	assert_return_code (unlink (path), errno);
	assert_return_code (symlink (victim, path), errno); /* it is replaced itself */
	(void) unlink (new);
	replace ("three", 0600);
	assert_int_equal (access (victim, F_OK), -1);
	assert_holds ("three");
}

static void what_cannot_be_written_leaves_the_old_one (void **state)
{
	static char name[5000];
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_file_replace ("/nowhere/file", "one", 0600, &err), -1);
	assert_error (err, VMC_FAILED, "cannot open '/nowhere/file" VMC_FILE_NEW "'");
	assert_int_equal (err.errnum, ENOENT);
	memset (name, 'n', sizeof name - 1);
	assert_int_equal (vmc_file_replace (name, "one", 0600, &err), -1);
	assert_error (err, VMC_FAILED, "cannot write 'nnn");
	assert_int_equal (err.errnum, ENAMETOOLONG);
	assert_return_code (mkdir (path, 0700), errno);
	assert_int_equal (vmc_file_replace (path, "one", 0600, &err), -1);
	assert_error (err, VMC_FAILED, "cannot rename '");
	assert_return_code (rmdir (path), errno);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown (all_of_it_is_read, make_file, close_file),
	cmocka_unit_test_setup_teardown (nothing_is_an_empty_text, make_file, close_file),
	cmocka_unit_test_setup_teardown (more_than_asked_for_is_not_read, make_file, close_file),
	cmocka_unit_test_setup_teardown (what_is_no_file_is_not_read, make_file, close_file),
	cmocka_unit_test_setup_teardown (what_cannot_be_read_is_said, make_file, close_file),
	cmocka_unit_test_setup_teardown (a_file_is_made_and_replaced, make_directory, remove_directory),
	cmocka_unit_test_setup_teardown (the_mode_is_what_is_asked_for, make_directory, remove_directory),
	cmocka_unit_test_setup_teardown (who_reads_the_old_one_is_not_disturbed, make_directory, remove_directory),
	cmocka_unit_test_setup_teardown (what_is_left_of_another_time_is_replaced, make_directory, remove_directory),
	cmocka_unit_test_setup_teardown (no_symlink_is_written_through, make_directory, remove_directory),
	cmocka_unit_test_setup_teardown (what_cannot_be_written_leaves_the_old_one, make_directory, remove_directory),
};

UNIT_MAIN (tests)
