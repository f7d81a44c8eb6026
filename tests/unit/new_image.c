/* new_image.c - tests of host/new_image.c: the names of both images, on files in a directory of our own
 *
 * What lies under the four names is written as four letters, for BASE, -new, -swap and -old: O is the old image, N the new one,
 * F a file of somebody else, and - means that there is none.
 */
#include "unit.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "new_image.h"

#define NAMES 4
static const char *const suffixes[NAMES] = {"", VMC_NEW_SUFFIX, VMC_SWAP_SUFFIX, VMC_OLD_SUFFIX};

static char room[] = "/tmp/vmcompact-unit-XXXXXX";
static struct vmc_journal journal;

static const char *path_of (const char *name)
{
	static char paths[2][sizeof room + 40];
	static unsigned next;
	char *path = paths[next++ % 2];

	(void) snprintf (path, sizeof paths[0], "%s/%s", room, name);
	return path;
}

static const char *path_with (const char *suffix)
{
	char name[40];

	(void) snprintf (name, sizeof name, "image%s", suffix);
	return path_of (name);
}

static uint64_t make_file (const char *name, char letter)
{
	int fd = open (path_of (name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct stat status;

	assert_true (fd >= 0);
	assert_int_equal (write (fd, &letter, 1), 1);
	assert_return_code (fstat (fd, &status), 0);
	assert_return_code (close (fd), 0);
	return status.st_ino;
}

/* The two images, under names that nobody looks at. */
static int make_room (void **state)
{
	(void) state;
	strcpy (room + sizeof room - 7, "XXXXXX");
	if (mkdtemp (room) == NULL)
		return -1;
	journal = (struct vmc_journal) {0};
	(void) snprintf (journal.base, sizeof journal.base, "%s", path_with (""));
	journal.old_inode = make_file ("old", 'O');
	journal.new_inode = make_file ("new", 'N');
	return 0;
}

static int remove_room (void **state)
{
	(void) state;
	for (size_t i = 0; i < NAMES; i++)
		if (unlink (path_with (suffixes[i])) < 0)
			(void) rmdir (path_with (suffixes[i]));
	(void) unlink (path_of ("old"));
	(void) unlink (path_of ("new"));
	return rmdir (room);
}

static void lay_out (const char *letters)
{
	for (size_t i = 0; i < NAMES; i++) {
		char name[40];

		(void) unlink (path_with (suffixes[i]));
		(void) snprintf (name, sizeof name, "image%s", suffixes[i]);
		if (letters[i] == 'F')
			(void) make_file (name, 'F');
		else if (letters[i] != '-')
			assert_return_code (link (path_of (letters[i] == 'O' ? "old" : "new"), path_of (name)), 0);
	}
}

static char letter_at (const char *path)
{
	int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char letter = '-';

	if (fd < 0)
		return letter;
	assert_int_equal (read (fd, &letter, 1), 1);
	(void) close (fd);
	return letter;
}

static void assert_names (const char *from, const char *wanted)
{
	char letters[NAMES + 1] = "";

	for (size_t i = 0; i < NAMES; i++)
		letters[i] = letter_at (path_with (suffixes[i]));
	if (strcmp (letters, wanted) != 0)
		fail_msg ("%s became %s, not %s", from, letters, wanted);
}

/* --- names ------------------------------------------------------------------------------------ */

static void a_name_has_the_suffix (void **state)
{
	char path[VMC_PATH_SIZE];

	(void) state;
	assert_true (vmc_new_image_name ("/images/a b", VMC_NEW_SUFFIX, path));
	assert_string_equal (path, "/images/a b.vmcompact-new");
	assert_true (vmc_new_image_name ("/images/a b", "", path));
	assert_string_equal (path, "/images/a b");
}

static void a_name_that_does_not_fit_is_none (void **state)
{
	char base[VMC_PATH_SIZE], path[VMC_PATH_SIZE];
	size_t fits = VMC_PATH_SIZE - 1 - strlen (VMC_OLD_SUFFIX);

	(void) state;
	memset (base, 'b', sizeof base);
	base[fits] = 0;
	assert_true (vmc_new_image_name (base, VMC_OLD_SUFFIX, path));
	assert_int_equal (strlen (path), VMC_PATH_SIZE - 1);
	base[fits] = 'b';
	base[fits + 1] = 0;
	assert_false (vmc_new_image_name (base, VMC_OLD_SUFFIX, path));
}

/* The path of the base as long as a path may be: "/tmp/x/././././image". */
static void lengthen_base (void)
{
	size_t used = (size_t) sprintf (journal.base, "%s/", room);

	while (used < VMC_PATH_SIZE - 1 - strlen ("./image"))
		used += (size_t) sprintf (journal.base + used, "./");
	strcpy (journal.base + used, "image");
}

static void without_room_for_the_names_nothing_is_swapped (void **state)
{
	struct vmc_error err;

	(void) state;
	lay_out ("ON--");
	lengthen_base ();
	assert_int_equal (letter_at (journal.base), 'O');
	assert_int_equal (vmc_new_image_swap (&journal, &err), -1);
	assert_error (err, VMC_INTERRUPTED, "the path of the image is too long");
	assert_names ("ON--", "ON--");
}

/* --- which is it? ----------------------------------------------------------------------------- */

static void the_inode_tells_which_image_it_is (void **state)
{
	static const struct {
		const char *letters;
		bool in_place;
	} cases[] = {{"ON--", false}, {"ONNO", false}, {"NN-O", true},  {"N---", true},
		     {"FN--", false}, {"-N--", false}, {"----", false}, {"OFFF", false}};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		lay_out (cases[i].letters);
		if (vmc_new_image_in_place (&journal) != cases[i].in_place)
			fail_msg ("%s", cases[i].letters);
	}
}

static void without_a_new_image_it_is_not_in_place (void **state)
{
	(void) state;
	journal.new_inode = 0;
	lay_out ("O---");
	assert_false (vmc_new_image_in_place (&journal));
	lay_out ("----"); /* there is no inode to compare with either */
	assert_false (vmc_new_image_in_place (&journal));
}

static void a_link_to_the_new_image_is_not_the_new_image (void **state)
{
	(void) state;
	lay_out ("----");
	assert_return_code (symlink (path_of ("new"), path_with ("")), 0);
	assert_false (vmc_new_image_in_place (&journal));
}

static int check_base (void)
{
	struct vmc_error err;

	if (vmc_new_image_check_base (&journal, &err) == 0)
		return 0;
	assert_error (err, VMC_INTERRUPTED, "image' is not the file that the overlay '");
	return -1;
}

static void the_overlay_belongs_over_the_old_image_and_the_new (void **state)
{
	static const struct {
		const char *letters;
		int result;
	} cases[] = {{"O---", 0}, {"ON--", 0}, {"NN-O", 0}, {"F---", -1}, {"FN-O", -1}, {"----", -1}};

	(void) state;
	journal.base_inode = journal.old_inode;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		lay_out (cases[i].letters);
		if (check_base () != cases[i].result)
			fail_msg ("%s", cases[i].letters);
	}
	journal.base_inode = 0; /* not known */
	lay_out ("F---");
	assert_int_equal (check_base (), 0);
}

static void it_may_belong_over_what_a_link_leads_to (void **state)
{
	(void) state;
	journal.base_inode = journal.old_inode;
	lay_out ("----");
	assert_return_code (symlink (path_of ("old"), path_with ("")), 0);
	assert_int_equal (check_base (), 0);
	journal.base_inode = journal.new_inode + 1000;
	assert_int_equal (check_base (), -1);
}

/* --- swapping --------------------------------------------------------------------------------- */

static void swap (const char *from, const char *wanted)
{
	struct vmc_error err;

	if (vmc_new_image_swap (&journal, &err) < 0)
		fail_msg ("%s: %s", from, err.text);
	assert_names (from, wanted);
}

/* From where a run may have been killed: before it, after the link, after the swap name, after the rename; and at the end of
 * it, when some of the names have been removed already. */
static void from_wherever_it_was_killed_it_is_swapped (void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {{"ON--", "NN-O"}, {"ON-O", "NN-O"}, {"ONNO", "NN-O"}, {"ONN-", "NN-O"},
		     {"NN-O", "NN-O"}, {"NN--", "NN--"}, {"N--O", "N--O"}, {"N---", "N---"}};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		lay_out (cases[i].from);
		swap (cases[i].from, cases[i].to);
		swap (cases[i].from, cases[i].to);
	}
}

/* Neither a symbolic link to it nor a copy of it is the file that the run has left there. */
static void only_the_very_file_is_swapped_in (void **state)
{
	struct vmc_error err;

	(void) state;
	lay_out ("O---");
	assert_return_code (symlink (path_of ("new"), path_with (VMC_NEW_SUFFIX)), 0);
	assert_int_equal (vmc_new_image_swap (&journal, &err), -1);
	assert_error (err, VMC_INTERRUPTED, "image.vmcompact-new' is another file than the run has left there");
	assert_int_equal (letter_at (journal.base), 'O');
	lay_out ("O---");
	(void) make_file ("image" VMC_NEW_SUFFIX, 'N');
	assert_int_equal (vmc_new_image_swap (&journal, &err), -1);
	assert_error (err, VMC_INTERRUPTED, "image.vmcompact-new' is another file than the run has left there");
	assert_int_equal (letter_at (journal.base), 'O');
}

/* What is already wrong changes nothing; a name that is taken is found out when the old image has its second name. */
static const struct {
	const char *from, *to, *reason;
} refused[] = {
	{"FN--", "FN--", "image' is another file"},
	{"FN-O", "FN-O", "image' is another file"},
	{"FNNO", "FNNO", "image' is another file"},
	{"-N--", "-N--", "image' is another file"},
	{"-N-O", "-N-O", "image' is another file"},
	{"ON-F", "ON-F", "cannot name"},
	{"ONNF", "ONNF", "cannot name"},
	{"ON-N", "ON-N", "cannot name"},
	{"O---", "O---", "image.vmcompact-new' is another file"},
	{"O--O", "O--O", "image.vmcompact-new' is another file"},
	{"OF--", "OF--", "image.vmcompact-new' is another file"},
	{"O-NO", "O-NO", "image.vmcompact-new' is another file"},
	{"OO--", "OO--", "image.vmcompact-new' is another file"},
	{"ONF-", "ONFO", "cannot name"},
	{"ONFO", "ONFO", "cannot name"},
	{"ONOO", "ONOO", "cannot name"},
};

static void a_file_that_is_not_what_it_was_stops_it (void **state)
{
	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (refused); i++) {
		struct vmc_error err;

		lay_out (refused[i].from);
		if (vmc_new_image_swap (&journal, &err) == 0)
			fail_msg ("%s was swapped", refused[i].from);
		assert_error (err, VMC_INTERRUPTED, refused[i].reason);
		assert_names (refused[i].from, refused[i].to);
	}
}

static void a_directory_in_the_way_stops_it (void **state)
{
	struct vmc_error err;

	(void) state;
	lay_out ("ON--");
	assert_return_code (mkdir (path_with (VMC_OLD_SUFFIX), 0700), 0);
	assert_int_equal (vmc_new_image_swap (&journal, &err), -1);
	assert_error (err, VMC_INTERRUPTED, "cannot name");
	assert_int_equal (letter_at (journal.base), 'O');
}

static void add_event (char *seen, size_t size, const struct inotify_event *event)
{
	static const struct {
		uint32_t mask;
		const char *name;
	} kinds[] = {{IN_CREATE, "made"}, {IN_DELETE, "removed"}, {IN_MOVED_FROM, "from"}, {IN_MOVED_TO, "to"}};
	size_t used = strlen (seen);

	for (size_t i = 0; i < UNIT_COUNT (kinds); i++)
		if ((event->mask & kinds[i].mask) != 0)
			(void) snprintf (seen + used, size - used, "%s %s;", kinds[i].name, event->name);
}

/* The old image has another name before it loses its own, and no moment sees the path without a file. */
static void the_path_is_never_without_an_image (void **state)
{
	_Alignas(struct inotify_event) char events[4096];
	int watch = inotify_init1 (IN_CLOEXEC | IN_NONBLOCK);
	char seen[1000] = "";
	ssize_t length;

	(void) state;
	lay_out ("ON--");
	assert_true (inotify_add_watch (watch, room, IN_CREATE | IN_DELETE | IN_MOVE) >= 0);
	swap ("ON--", "NN-O");
	length = read (watch, events, sizeof events);
	for (char *at = events; length > 0 && at < events + length;) {
		struct inotify_event *event = (struct inotify_event *) at;

		add_event (seen, sizeof seen, event);
		at += sizeof *event + event->len;
	}
	(void) close (watch);
	assert_string_equal (seen, "made image.vmcompact-old;made image.vmcompact-swap;from image.vmcompact-swap;"
				   "to image;");
}

/* --- tidying ---------------------------------------------------------------------------------- */

static void tidy (const char *from, const char *wanted)
{
	struct vmc_error err;

	if (vmc_new_image_tidy (&journal, &err) < 0)
		fail_msg ("%s: %s", from, err.text);
	assert_names (from, wanted);
}

static const struct {
	const char *from, *to, *kept; /* KEPT: with --keep-old */
} tidied[] = {
	/* The new image is in its place, and what a run that was killed has removed is gone. */
	{"NN-O", "N---", "N--O"},
	{"N--O", "N---", "N--O"},
	{"NN--", "N---", "N---"},
	{"NNNO", "N---", "N--O"},
	{"N---", "N---", "N---"},

	/* It never came there: its image is what was to become the old one, under any of its names. */
	{"ON--", "O---", "O---"},
	{"ON-O", "O---", "O---"},
	{"ONNO", "O---", "O---"},
	{"O--O", "O---", "O---"},
	{"O---", "O---", "O---"},

	/* Files of others stay. */
	{"NF-O", "NF--", "NF-O"},
	{"NNFO", "N-F-", "N-FO"},
	{"NN-F", "N--F", "N--F"},
	{"NFFF", "NFFF", "NFFF"},
	{"OFFF", "OFFF", "OFFF"},
	{"ONF-", "O-F-", "O-F-"},

	/* Under a name that it never had, not even one of ours is removed. */
	{"NO-O", "NO--", "NO-O"},
	{"NN-N", "N--N", "N--N"},
};

static void what_is_no_longer_needed_is_removed (void **state)
{
	(void) state;
	for (size_t i = 0; i < 2 * UNIT_COUNT (tidied); i++) {
		const char *from = tidied[i / 2].from;

		journal.keep_old = i % 2 == 1;
		lay_out (from);
		tidy (from, journal.keep_old ? tidied[i / 2].kept : tidied[i / 2].to);
		tidy (from, journal.keep_old ? tidied[i / 2].kept : tidied[i / 2].to);
	}
}

static void over_an_unknown_base_nothing_is_removed (void **state)
{
	static const char *const cases[] = {"FN-O", "FNNO", "-N-O", "F--O", "----"};

	(void) state;
	for (size_t i = 0; i < 2 * UNIT_COUNT (cases); i++) {
		struct vmc_error err;

		journal.keep_old = i % 2 == 1;
		lay_out (cases[i / 2]);
		assert_int_equal (vmc_new_image_tidy (&journal, &err), -1);
		assert_error (err, VMC_INTERRUPTED, "is neither the image from before the run nor the new one");
		assert_names (cases[i / 2], cases[i / 2]);
	}
}

static void without_a_new_image_there_is_nothing_to_tidy (void **state)
{
	static const char *const cases[] = {"O---", "ON-O", "FFFF", "----"};

	(void) state;
	journal.new_inode = 0;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		lay_out (cases[i]);
		tidy (cases[i], cases[i]);
	}
}

static void what_was_refused_in_the_middle_is_tidied (void **state)
{
	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (refused); i++) {
		struct vmc_error err;

		if (refused[i].from[0] != 'O')
			continue;
		lay_out (refused[i].from);
		assert_int_equal (vmc_new_image_swap (&journal, &err), -1);
		if (vmc_new_image_tidy (&journal, &err) < 0)
			fail_msg ("%s: %s", refused[i].from, err.text);
		assert_int_equal (letter_at (journal.base), 'O');
		for (size_t j = 1; j < NAMES; j++)
			if (refused[i].from[j] == 'F')
				assert_int_equal (letter_at (path_with (suffixes[j])), 'F');
	}
}

#define ROOM_TEST(test) cmocka_unit_test_setup_teardown (test, make_room, remove_room)

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (a_name_has_the_suffix),
	cmocka_unit_test (a_name_that_does_not_fit_is_none),
	ROOM_TEST (without_room_for_the_names_nothing_is_swapped),
	ROOM_TEST (the_inode_tells_which_image_it_is),
	ROOM_TEST (without_a_new_image_it_is_not_in_place),
	ROOM_TEST (a_link_to_the_new_image_is_not_the_new_image),
	ROOM_TEST (the_overlay_belongs_over_the_old_image_and_the_new),
	ROOM_TEST (it_may_belong_over_what_a_link_leads_to),
	ROOM_TEST (from_wherever_it_was_killed_it_is_swapped),
	ROOM_TEST (only_the_very_file_is_swapped_in),
	ROOM_TEST (a_file_that_is_not_what_it_was_stops_it),
	ROOM_TEST (a_directory_in_the_way_stops_it),
	ROOM_TEST (the_path_is_never_without_an_image),
	ROOM_TEST (what_is_no_longer_needed_is_removed),
	ROOM_TEST (over_an_unknown_base_nothing_is_removed),
	ROOM_TEST (without_a_new_image_there_is_nothing_to_tidy),
	ROOM_TEST (what_was_refused_in_the_middle_is_tidied),
};

UNIT_MAIN (tests)
