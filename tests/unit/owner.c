/* owner.c - tests of host/owner.c, on a file with the attributes that libvirt sets
 *
 * Only root may give files away and see attributes of the kind "trusted", and not every filesystem has them: /var/tmp is the
 * most likely one.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "owner.h"

#define DAC "trusted.libvirt.security.dac"
#define SELINUX "trusted.libvirt.security.selinux"
#define LABEL "security.selinux"
#define USER 1234
#define GROUP 1235

static char path[64];
static int file = -1;

static int make_file (void **state)
{
	(void) state;
	strcpy (path, "/var/tmp/vmcompact-unit-XXXXXX");
	file = mkstemp (path);
	return file >= 0 ? fchown (file, USER, GROUP) : -1;
}

static int remove_file (void **state)
{
	(void) state;
	(void) close (file);
	return unlink (path);
}

static void remember (const char *name, const char *text)
{
	assert_return_code (setxattr (path, name, text, strlen (text), 0), 0);
}

static void assert_remembered (unsigned user, unsigned group, const char *label)
{
	struct vmc_owner owner;
	struct vmc_error err;

	memset (&owner, 'x', sizeof owner);
	if (vmc_owner_remembered (path, &owner, &err) < 0)
		fail_msg ("%s", err.text);
	assert_int_equal (owner.user, user);
	assert_int_equal (owner.group, group);
	assert_string_equal (owner.label, label);
}

/* --- whose is it? ----------------------------------------------------------------------------- */

static void the_owner_now_is_the_files (void **state)
{
	struct vmc_owner owner;
	struct vmc_error err;

	(void) state;
	memset (&owner, 'x', sizeof owner);
	remember (DAC, "+7:+8");
	remember (SELINUX, "u:r:t:s0");
	assert_int_equal (vmc_owner_of (path, &owner, &err), 0);
	assert_int_equal (owner.user, USER);
	assert_int_equal (owner.group, GROUP);
	assert_string_equal (owner.label, "");
}

static void what_libvirt_remembers_counts_more (void **state)
{
	(void) state;
	remember (DAC, "+7:+8");
	assert_remembered (7, 8, "");
	remember (DAC, "+0:+0");
	assert_remembered (0, 0, "");
	remember (DAC, "+4294967294:+65534");
	assert_remembered (4294967294U, 65534, "");
}

static void if_nothing_is_remembered_it_is_the_owner_now (void **state)
{
	(void) state;
	assert_remembered (USER, GROUP, "");
}

static void what_is_malformed_is_not_remembered (void **state)
{
	static const char *const texts[] = {"",       "+",        "+7",        "+7:",     "+7:+",   "7:8",    "+7:8",
					    "7:+8",   "+7:+8x",   "+7:+8 ",    "+7:+8\n", " +7:+8", "x+7:+8", "+7.+8",
					    "+7:+8:", "+7:+8:+9", "root:root", "+x:+8",   "+7:+x",  "+7+:+8", "-7:+8"};
	char *long_text;

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (texts); i++) {
		remember (DAC, texts[i]);
		assert_remembered (USER, GROUP, "");
	}
	assert_true (asprintf (&long_text, "+%070d:+8", 7) > 0); /* not read as what its beginning says */
	remember (DAC, long_text);
	assert_remembered (USER, GROUP, "");
	free (long_text);
}

static void the_label_is_remembered_too (void **state)
{
	(void) state;
	remember (SELINUX, "system_u:object_r:virt_image_t:s0");
	assert_remembered (USER, GROUP, "system_u:object_r:virt_image_t:s0");
	remember (DAC, "+7:+8");
	assert_remembered (7, 8, "system_u:object_r:virt_image_t:s0");
}

static void a_label_is_never_cut (void **state)
{
	char label[300];

	(void) state;
	memset (label, 'l', sizeof label);
	label[255] = 0;
	remember (SELINUX, label);
	assert_remembered (USER, GROUP, label);
	label[255] = 'l';
	label[256] = 0;
	remember (SELINUX, label);
	assert_remembered (USER, GROUP, "");
}

static void a_file_that_is_not_there_has_no_owner (void **state)
{
	struct vmc_owner owner;
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_owner_of ("/dev/null/file", &owner, &err), -1);
	assert_error (err, VMC_FAILED, "cannot look at '/dev/null/file'");
	assert_int_equal (err.errnum, ENOTDIR);
	assert_int_equal (vmc_owner_remembered ("/dev/null/file", &owner, &err), -1);
	assert_error (err, VMC_FAILED, "cannot look at '/dev/null/file'");
}

/* --- giving ----------------------------------------------------------------------------------- */

static void a_file_is_given_away (void **state)
{
	const struct vmc_owner owner = {.user = 77, .group = 88};
	struct stat status;
	char label[16];

	(void) state;
	assert_int_equal (vmc_owner_give (&owner, file), 0);
	assert_return_code (fstat (file, &status), 0);
	assert_int_equal (status.st_uid, 77);
	assert_int_equal (status.st_gid, 88);
	assert_int_equal (status.st_mode & 07777, 0600);
	if (fgetxattr (file, LABEL, label, sizeof label) >= 0) /* the directory's, if it has one */
		assert_string_not_equal (label, "");
}

/* With the final zero, as SELinux's own tools do it. A host that has SELinux refuses a label that it does not know. */
static void a_file_is_given_its_label (void **state)
{
	const struct vmc_owner owner = {.user = 77, .group = 88, .label = "system_u:object_r:virt_image_t:s0"};
	char label[256] = "";
	struct stat status;
	ssize_t length;

	(void) state;
	assert_int_equal (vmc_owner_give (&owner, file), 0);
	assert_return_code (fstat (file, &status), 0);
	assert_int_equal (status.st_uid, 77);
	length = fgetxattr (file, LABEL, label, sizeof label);
	assert_int_equal (length, sizeof "system_u:object_r:virt_image_t:s0");
	assert_string_equal (label, owner.label);
}

/* A pipe can be given away, and has no labels. */
static void a_label_that_cannot_be_set_is_left_out (void **state)
{
	const struct vmc_owner owner = {.user = 77, .group = 88, .label = "system_u:object_r:virt_image_t:s0"};
	struct stat status;
	int ends[2];

	(void) state;
	assert_return_code (pipe (ends), 0);
	assert_int_equal (fsetxattr (ends[0], LABEL, "x", 2, 0), -1);
	assert_int_equal (vmc_owner_give (&owner, ends[0]), 0);
	assert_return_code (fstat (ends[0], &status), 0);
	assert_int_equal (status.st_uid, 77);
	(void) close (ends[0]);
	(void) close (ends[1]);
}

static void what_cannot_be_given_away_is_an_error (void **state)
{
	const struct vmc_owner owner = {.user = 77, .group = 88};

	(void) state;
	errno = 0;
	assert_int_equal (vmc_owner_give (&owner, -1), -1);
	assert_int_equal (errno, EBADF);
}

#define FILE_TEST(test) cmocka_unit_test_setup_teardown (test, make_file, remove_file)

static const struct CMUnitTest tests[] = {
	FILE_TEST (the_owner_now_is_the_files),
	FILE_TEST (what_libvirt_remembers_counts_more),
	FILE_TEST (if_nothing_is_remembered_it_is_the_owner_now),
	FILE_TEST (what_is_malformed_is_not_remembered),
	FILE_TEST (the_label_is_remembered_too),
	FILE_TEST (a_label_is_never_cut),
	FILE_TEST (a_file_that_is_not_there_has_no_owner),
	FILE_TEST (a_file_is_given_away),
	FILE_TEST (a_file_is_given_its_label),
	FILE_TEST (a_label_that_cannot_be_set_is_left_out),
	FILE_TEST (what_cannot_be_given_away_is_an_error),
};

static bool can_remember (void)
{
	bool can = make_file (NULL) == 0 && setxattr (path, DAC, "+1:+2", 5, 0) == 0;

	if (file >= 0)
		(void) remove_file (NULL);
	return can;
}

int main (void)
{
	if (can_remember ())
		return UNIT_RUN (tests);
	(void) printf ("1..0 # SKIP only root has trusted attributes, and /var/tmp must have them\n");
	return 0;
}
