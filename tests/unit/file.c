/* file.c - tests of host/file.c, on a nameless file */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
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

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown (all_of_it_is_read, make_file, close_file),
	cmocka_unit_test_setup_teardown (nothing_is_an_empty_text, make_file, close_file),
	cmocka_unit_test_setup_teardown (more_than_asked_for_is_not_read, make_file, close_file),
	cmocka_unit_test_setup_teardown (what_is_no_file_is_not_read, make_file, close_file),
	cmocka_unit_test_setup_teardown (what_cannot_be_read_is_said, make_file, close_file),
};

UNIT_MAIN (tests)
