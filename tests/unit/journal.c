/* journal.c - tests of host/journal.c, whose directory is a new tmpfs in each of them, seen by this process alone */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apart.h"
#include "directories.h"
#include "journal.h"

#define UUID "11111111-2222-3333-4444-555555555555"
#define OTHER_UUID "66666666-7777-8888-9999-aaaaaaaaaaaa"
#define PATH VMC_STATE_DIRECTORY "/" UUID ".journal"
#define NEW_PATH PATH ".new"

static struct vmc_journal journal;

/* An empty /var/lib, and a journal that is not written yet. */
static int make_room (void **state)
{
	(void) state;
	memset (&journal, 0, sizeof journal);
	strcpy (journal.uuid, UUID);
	strcpy (journal.name, "vm1");
	strcpy (journal.target, "vda");
	strcpy (journal.base, "/images/vm1.qcow2");
	strcpy (journal.overlay, "/images/vm1.qcow2.vmcompact-overlay");
	journal.base_inode = 123455;
	journal.overlay_inode = 123456;
	journal.overlay_bytes = 196616;
	journal.inactive_xml = strdup ("<domain type='kvm'>\n  <name>vm1</name>\n</domain>\n");
	strcpy (journal.next, "/images/vm1.qcow2.vmcompact-overlay2");
	strcpy (journal.new_format, "raw");
	journal.next_inode = 123457;
	journal.new_inode = 123458;
	journal.old_inode = 123459;
	journal.step = VMC_STEP_COMMIT;
	journal.paused = true;
	strcpy (journal.frozen, "7@0123/89abcdef");
	return mount ("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755");
}

static int remove_room (void **state)
{
	(void) state;
	vmc_journal_clear (&journal);
	return umount2 ("/var/lib", MNT_DETACH);
}

static void write_journal (void)
{
	struct vmc_error err;

	if (vmc_journal_write (&journal, &err) < 0)
		fail_msg ("%s", err.text);
}

static void assert_not_written (const char *reason)
{
	struct vmc_error err;

	assert_int_equal (vmc_journal_write (&journal, &err), -1);
	assert_contains (err.text, reason);
	assert_int_equal (access (NEW_PATH, F_OK), -1);
}

/* What is read is JOURNAL. */
static void assert_read (void)
{
	struct vmc_journal read;
	struct vmc_error err;

	if (vmc_journal_read (UUID, &read, &err) != 1)
		fail_msg ("%s", err.text);
	assert_string_equal (read.uuid, journal.uuid);
	assert_string_equal (read.name, journal.name);
	assert_string_equal (read.target, journal.target);
	assert_string_equal (read.base, journal.base);
	assert_string_equal (read.overlay, journal.overlay);
	assert_string_equal (read.next, journal.next);
	assert_string_equal (read.new_format, journal.new_format);
	assert_int_equal (read.base_inode, journal.base_inode);
	assert_int_equal (read.next_inode, journal.next_inode);
	assert_int_equal (read.new_inode, journal.new_inode);
	assert_int_equal (read.old_inode, journal.old_inode);
	assert_int_equal (read.over_new, journal.over_new);
	assert_int_equal (read.keep_old, journal.keep_old);
	assert_int_equal (read.former, journal.former);
	assert_int_equal (read.overlay_inode, journal.overlay_inode);
	assert_int_equal (read.overlay_bytes, journal.overlay_bytes);
	assert_int_equal (read.step, journal.step);
	assert_int_equal (read.paused, journal.paused);
	assert_string_equal (read.frozen, journal.frozen);
	assert_int_equal (read.inactive_xml == NULL, journal.inactive_xml == NULL);
	if (read.inactive_xml != NULL)
		assert_string_equal (read.inactive_xml, journal.inactive_xml);
	vmc_journal_clear (&read);
	assert_null (read.inactive_xml);
}

static void assert_unreadable (const char *what, const char *reason)
{
	struct vmc_journal read;
	struct vmc_error err;

	if (vmc_journal_read (UUID, &read, &err) != -1)
		fail_msg ("this was taken: %s", what);
	if (strstr (err.text, reason) == NULL)
		fail_msg ("%s: '%s' is not in '%s'", what, reason, err.text);
	assert_int_equal (err.code, VMC_INTERRUPTED);
	assert_null (read.inactive_xml);
	assert_string_equal (read.overlay, "");
}

static void assert_absent (void)
{
	struct vmc_journal read;
	struct vmc_error err;

	assert_int_equal (vmc_journal_read (UUID, &read, &err), 0);
	assert_null (read.inactive_xml);
}

/* Put LENGTH bytes of TEXT where the journal is. */
static void put (const char *path, const char *text, size_t length)
{
	int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true (fd >= 0);
	assert_int_equal (write (fd, text, length), length);
	assert_return_code (close (fd), 0);
}

/* The text of the journal, to be freed. */
static char *get (size_t *length)
{
	int fd = open (PATH, O_RDONLY);
	struct stat status;
	char *text;

	assert_true (fd >= 0);
	assert_return_code (fstat (fd, &status), 0);
	*length = (size_t) status.st_size;
	text = malloc (*length);
	assert_int_equal (read (fd, text, *length), *length);
	assert_return_code (close (fd), 0);
	return text;
}

/* --- round trips ------------------------------------------------------------------------------ */

static void every_field_is_kept (void **state)
{
	(void) state;
	write_journal ();
	assert_read ();
}

static void every_step_is_kept (void **state)
{
	(void) state;
	for (int step = 0; step < VMC_STEPS; step++) {
		journal.step = (enum vmc_journal_step) step;
		journal.paused = step % 2 == 0;
		journal.over_new = step % 3 == 0;
		journal.keep_old = step % 3 == 1;
		journal.former = step % 4 == 1;
		write_journal ();
		assert_read ();
	}
}

static void every_byte_is_kept (void **state)
{
	static const char *const texts[] = {
		"",
		"/a \"b\" 'c' \\d\\ \\u0041 \\",
		"/h\xC3\xA4user/\xE2\x82\xAC/\xF0\x9F\x98\x80",
		"/\xFF\xFE/\xC3/\xED\xA0\x80/\x80",
		"/a\nb\r\tc\x01\x1F\x7F",
		"/* no */ // no #{}[],:",
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (texts); i++) {
		strcpy (journal.name, texts[i]);
		strcpy (journal.target, texts[i]);
		strcpy (journal.base, texts[i]);
		strcpy (journal.overlay, texts[i]);
		free (journal.inactive_xml);
		journal.inactive_xml = strdup (texts[i]);
		write_journal ();
		assert_read ();
	}
}

static void fill (char *text, size_t size)
{
	memset (text, '"', size - 1);
	text[size - 1] = 0;
}

/* 4 MiB are what libvirt sends at most. */
static void the_longest_is_kept (void **state)
{
	(void) state;
	fill (journal.name, sizeof journal.name);
	fill (journal.target, sizeof journal.target);
	fill (journal.base, sizeof journal.base);
	fill (journal.overlay, sizeof journal.overlay);
	free (journal.inactive_xml);
	journal.inactive_xml = malloc ((4 << 20) + 1);
	fill (journal.inactive_xml, (4 << 20) + 1);
	write_journal ();
	assert_read ();
}

static void numbers_are_kept (void **state)
{
	static const uint64_t numbers[] = {0, 1, INT64_MAX, UINT64_C (1) << 63, UINT64_MAX};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (numbers); i++) {
		journal.base_inode = numbers[UNIT_COUNT (numbers) - 1 - i];
		journal.overlay_inode = numbers[i];
		journal.overlay_bytes = numbers[i];
		journal.next_inode = numbers[i];
		journal.new_inode = numbers[UNIT_COUNT (numbers) - 1 - i];
		journal.old_inode = numbers[i];
		write_journal ();
		assert_read ();
	}
}

static void xml_that_is_not_known_stays_so (void **state)
{
	(void) state;
	free (journal.inactive_xml);
	journal.inactive_xml = NULL;
	write_journal ();
	assert_read ();
}

static void it_is_for_us_alone (void **state)
{
	mode_t before = umask (0);
	struct stat status;

	(void) state;
	write_journal ();
	(void) umask (before);
	assert_return_code (lstat (PATH, &status), 0);
	assert_int_equal (status.st_mode, S_IFREG | 0600);
	assert_return_code (lstat (VMC_STATE_DIRECTORY, &status), 0);
	assert_int_equal (status.st_mode, S_IFDIR | 0700);
	assert_int_equal (access (NEW_PATH, F_OK), -1);
}

/* --- what is not used ------------------------------------------------------------------------- */

static const char *const keys[] = {"version",       "uuid",      "domain",    "target",        "base",
				   "base_inode",    "overlay",   "next",      "overlay_inode", "next_inode",
				   "overlay_bytes", "new_inode", "old_inode", "new_format",    "over_new",
				   "former",        "keep_old",  "step",      "paused",        "frozen",
				   "inactive_xml"};

/* Write the journal with KEY changed to VALUE, JSON text; NULL: without KEY. */
static void put_changed (const char *key, const char *value)
{
	struct json_object *object;
	const char *text;

	write_journal ();
	object = json_object_from_file (PATH);
	assert_non_null (object);
	assert_int_equal (json_object_object_length (object), UNIT_COUNT (keys));
	json_object_object_del (object, key);
	if (value != NULL)
		json_object_object_add (object, key, json_tokener_parse (value));
	text = json_object_to_json_string (object);
	put (PATH, text, strlen (text));
	json_object_put (object);
}

static void a_key_that_is_missing_is_damage (void **state)
{
	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (keys); i++) {
		put_changed (keys[i], NULL);
		assert_unreadable (keys[i], "is damaged; compare the domain's disks with their images");
	}
}

static void a_value_of_another_type_is_damage (void **state)
{
	static const char *const values[] = {"[]", "{}", "1.0", "[1]", "{\"a\":\"b\"}"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (keys); i++)
		for (size_t j = 0; j < UNIT_COUNT (values); j++) {
			put_changed (keys[i], values[j]);
			assert_unreadable (keys[i], "is damaged");
		}
}

static void a_value_that_cannot_be_is_damage (void **state)
{
	static const struct {
		const char *key, *value;
	} cases[] = {
		{"version", "1"},
		{"version", "2"},
		{"version", "5"},
		{"version", "0"},
		{"version", "\"1\""},
		{"version", "true"},
		{"version", "null"},
		{"uuid", "\"\""},
		{"uuid", "\"" OTHER_UUID "\""},
		{"uuid", "1"},
		{"uuid", "null"},
		{"uuid", "\"" UUID "0\""},
		{"domain", "null"},
		{"base", "1"},
		{"base", "false"},
		{"base", "null"},
		{"overlay", "null"},
		{"base_inode", "-1"},
		{"overlay_inode", "-1"},
		{"overlay_inode", "\"1\""},
		{"next", "null"},
		{"new_format", "1"},
		{"next_inode", "-1"},
		{"new_inode", "\"1\""},
		{"old_inode", "null"},
		{"over_new", "0"},
		{"former", "null"},
		{"keep_old", "\"true\""},
		{"overlay_bytes", "-1"},
		{"overlay_bytes", "null"},
		{"step", "\"pivot\""},
		{"step", "\"\""},
		{"step", "\"COMMIT\""},
		{"step", "3"},
		{"step", "null"},
		{"paused", "1"},
		{"paused", "\"true\""},
		{"paused", "null"},
		{"frozen", "null"},
		{"frozen", "true"},
		{"inactive_xml", "1"},
		{"inactive_xml", "true"},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		put_changed (cases[i].key, cases[i].value);
		assert_unreadable (cases[i].value, "is damaged");
	}
}

/* The program may have been replaced by a newer one over a run that died. */
static void one_of_version_3_is_read (void **state)
{
	struct json_object *object;
	const char *text;

	(void) state;
	write_journal ();
	object = json_object_from_file (PATH);
	assert_non_null (object);
	json_object_object_del (object, "base_inode");
	json_object_object_add (object, "version", json_object_new_int (3));
	text = json_object_to_json_string (object);
	put (PATH, text, strlen (text));
	json_object_put (object);
	journal.base_inode = 0;
	assert_read ();
}

static void put_long (const char *key, size_t length)
{
	char value[VMC_PATH_SIZE + 4];

	memset (value, 'x', sizeof value);
	value[0] = value[length + 1] = '"';
	value[length + 2] = 0;
	put_changed (key, value);
}

static void a_text_is_never_cut (void **state)
{
	static const struct {
		const char *key;
		size_t size;
	} cases[] = {{"domain", sizeof journal.name}, {"target", sizeof journal.target},
		     {"base", sizeof journal.base},   {"overlay", sizeof journal.overlay},
		     {"next", sizeof journal.next},   {"new_format", sizeof journal.new_format}};
	struct vmc_journal read;
	struct vmc_error err;

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		put_long (cases[i].key, cases[i].size - 1);
		assert_int_equal (vmc_journal_read (UUID, &read, &err), 1);
		vmc_journal_clear (&read);
		put_long (cases[i].key, cases[i].size);
		assert_unreadable (cases[i].key, "is damaged");
	}
}

static void further_keys_do_no_harm (void **state)
{
	(void) state;
	put_changed ("further", "{\"step\": 1, \"more\": [null]}");
	assert_read ();
}

static void a_part_of_a_journal_is_damage (void **state)
{
	size_t length;
	char *text;

	(void) state;
	write_journal ();
	text = get (&length);
	for (size_t part = 0; part < length; part++) {
		put (PATH, text, part);
		assert_unreadable ("a part", "is damaged");
	}
	put (PATH, text, length);
	assert_read ();
	free (text);
}

/* Put the journal there with LENGTH bytes of END in place of its last CUT. */
static void put_with_end (size_t cut, const char *end, size_t length)
{
	size_t whole;
	char *text;

	write_journal ();
	text = get (&whole);
	assert_true (whole > cut);
	text = realloc (text, whole - cut + length);
	assert_non_null (text);
	memcpy (text + whole - cut, end, length);
	put (PATH, text, whole - cut + length);
	free (text);
}

static void what_follows_a_journal_is_damage (void **state)
{
	static const struct {
		const char *text;
		size_t length;
	} cases[] = {{"x", 1}, {"{}", 2}, {"}", 1}, {"\0", 1}, {"\0\0\0\0", 4}, {"\0x", 2}};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		put_with_end (0, cases[i].text, cases[i].length);
		assert_unreadable ("something behind it", "is damaged");
	}
}

/* We write none of this, so it is not ours. */
static void what_is_nearly_json_is_damage (void **state)
{
	static const char *const ends[] = {",}", "/**/}"};

	(void) state;
	put_with_end (1, "}", 1);
	assert_read ();
	for (size_t i = 0; i < UNIT_COUNT (ends); i++) {
		put_with_end (1, ends[i], strlen (ends[i]));
		assert_unreadable (ends[i], "is damaged");
	}
}

static void what_is_nearly_json_is_damage_in_any_language (void **state)
{
	strcpy (journal.name, "m\xC3\xA4rz \xFF");
	what_is_nearly_json_is_damage (state);
}

static void what_is_no_object_is_damage (void **state)
{
	static const char *const texts[] = {"", " ", "null", "[]", "1", "\"a\"", "{}", "x", "{\"version\":1}"};

	(void) state;
	write_journal ();
	for (size_t i = 0; i < UNIT_COUNT (texts); i++) {
		put (PATH, texts[i], strlen (texts[i]));
		assert_unreadable (texts[i], "is damaged");
	}
}

static void a_file_that_is_too_large_is_not_read (void **state)
{
	(void) state;
	write_journal ();
	assert_return_code (truncate (PATH, 1 << 30), 0);
	assert_unreadable ("1 GiB", "cannot read the journal");
}

/* None of them blocks, or is followed. */
static void what_is_no_file_is_not_read (void **state)
{
	(void) state;
	write_journal ();
	assert_return_code (rename (PATH, VMC_STATE_DIRECTORY "/elsewhere"), 0);
	assert_return_code (symlink ("elsewhere", PATH), 0);
	assert_unreadable ("a symlink", "cannot open the journal");
	assert_return_code (unlink (PATH), 0);
	assert_return_code (symlink ("nowhere", PATH), 0);
	assert_unreadable ("a symlink to nothing", "cannot open the journal");
	assert_return_code (unlink (PATH), 0);
	assert_return_code (mkfifo (PATH, 0600), 0);
	assert_unreadable ("a FIFO", "cannot read the journal");
	assert_return_code (unlink (PATH), 0);
	assert_return_code (mkdir (PATH, 0700), 0);
	assert_unreadable ("a directory", "cannot read the journal");
}

static void a_file_of_another_is_not_read (void **state)
{
	static const mode_t modes[] = {0620, 0602, 0666};

	(void) state;
	write_journal ();
	for (size_t i = 0; i < UNIT_COUNT (modes); i++) {
		assert_return_code (chmod (PATH, modes[i]), 0);
		assert_unreadable ("a file that others can write to", "cannot read the journal");
	}
	assert_return_code (chmod (PATH, 0644), 0);
	assert_read ();
	assert_return_code (chown (PATH, 1, 0), 0);
	assert_unreadable ("a file of another user", "cannot read the journal");
}

static void no_journal_is_no_error (void **state)
{
	(void) state;
	assert_absent (); /* not even the directory */
	write_journal ();
	assert_return_code (unlink (PATH), 0);
	assert_absent ();
}

/* --- writing that fails ----------------------------------------------------------------------- */

/* Write a journal, and have JOURNAL differ from it. */
static void write_and_change (void)
{
	write_journal ();
	journal.step = VMC_STEP_MOVE;
	journal.paused = false;
}

/* The old one is still what is read. */
static void assert_old (void)
{
	strcpy (journal.next, "/images/vm1.qcow2.vmcompact-overlay2");
	strcpy (journal.new_format, "raw");
	journal.next_inode = 123457;
	journal.new_inode = 123458;
	journal.old_inode = 123459;
	journal.step = VMC_STEP_COMMIT;
	journal.paused = true;
	assert_read ();
}

static void the_new_replaces_the_old (void **state)
{
	(void) state;
	write_and_change ();
	put (NEW_PATH, "left over, and longer than", 26);
	write_journal ();
	assert_read ();
	assert_int_equal (access (NEW_PATH, F_OK), -1);
}

/* A directory with room for KIB. */
static void make_small (int kib)
{
	char options[100];

	(void) snprintf (options, sizeof options, "mode=0700,size=%dk", kib);
	assert_return_code (mkdir (VMC_STATE_DIRECTORY, 0700), 0);
	assert_return_code (mount ("tmpfs", VMC_STATE_DIRECTORY, "tmpfs", 0, options), 0);
}

static void without_room_the_old_stays (void **state)
{
	char *before = journal.inactive_xml;

	(void) state;
	make_small (64);
	write_and_change ();
	journal.inactive_xml = malloc (100001);
	fill (journal.inactive_xml, 100001);
	assert_not_written ("cannot keep the journal of the run");
	vmc_journal_note (&journal);
	assert_int_equal (access (NEW_PATH, F_OK), -1);
	free (journal.inactive_xml);
	journal.inactive_xml = before;
	assert_old ();
}

static void without_any_room_there_is_none (void **state)
{
	char block[4096] = "";

	(void) state;
	make_small (4);
	put (VMC_STATE_DIRECTORY "/full", block, sizeof block);
	assert_not_written ("cannot write '" NEW_PATH "'");
	assert_absent ();
}

static void on_a_read_only_disk_the_old_stays (void **state)
{
	(void) state;
	write_and_change ();
	assert_return_code (mount ("none", "/var/lib", "none", MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_not_written ("cannot open '" NEW_PATH "'");
	vmc_journal_note (&journal);
	assert_old ();
}

static void what_cannot_be_renamed_is_taken_away (void **state)
{
	(void) state;
	assert_return_code (mkdir (VMC_STATE_DIRECTORY, 0700), 0);
	assert_return_code (mkdir (PATH, 0700), 0);
	assert_not_written ("cannot rename '" NEW_PATH "'");
}

static void a_symlink_is_not_written_through (void **state)
{
	(void) state;
	write_and_change ();
	put ("/var/lib/target", "x", 1);
	assert_return_code (symlink ("/var/lib/target", NEW_PATH), 0);
	assert_not_written ("cannot open '" NEW_PATH "'");
	assert_old ();
}

static void a_directory_that_is_not_ours_alone_is_refused (void **state)
{
	struct vmc_error err;

	(void) state;
	write_and_change ();
	assert_return_code (chmod (VMC_STATE_DIRECTORY, 0770), 0);
	assert_not_written ("is not a directory of ours alone");
	assert_return_code (chmod (VMC_STATE_DIRECTORY, 0702), 0);
	assert_not_written ("is not a directory of ours alone");
	assert_return_code (chmod (VMC_STATE_DIRECTORY, 0700), 0);
	assert_return_code (chown (VMC_STATE_DIRECTORY, 1, 0), 0);
	assert_int_equal (vmc_journal_write (&journal, &err), -1);
	assert_error (err, VMC_REFUSED, "is not a directory of ours alone");
	assert_old ();
}

/* --- the end of one, and all of them ---------------------------------------------------------- */

static void removing_is_idempotent (void **state)
{
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_journal_remove (UUID, &err), 0); /* not even the directory */
	write_journal ();
	put (NEW_PATH, "x", 1);
	assert_int_equal (vmc_journal_remove (UUID, &err), 0);
	assert_int_equal (access (PATH, F_OK), -1);
	assert_int_equal (access (NEW_PATH, F_OK), -1);
	assert_absent ();
	assert_int_equal (vmc_journal_remove (UUID, &err), 0);
	put (NEW_PATH, "x", 1);
	assert_int_equal (vmc_journal_remove (UUID, &err), 0);
	assert_int_equal (access (NEW_PATH, F_OK), -1);
}

static void removing_leaves_others_alone (void **state)
{
	struct vmc_error err;

	(void) state;
	write_journal ();
	assert_int_equal (vmc_journal_remove (OTHER_UUID, &err), 0);
	assert_read ();
}

static void what_cannot_be_removed_is_told (void **state)
{
	struct vmc_error err;

	(void) state;
	assert_return_code (mkdir (VMC_STATE_DIRECTORY, 0700), 0);
	assert_return_code (mkdir (PATH, 0700), 0);
	assert_int_equal (vmc_journal_remove (UUID, &err), -1);
	assert_error (err, VMC_FAILED, "cannot remove the journal '" PATH "'");
}

struct list {
	int result; /* what each call returns */
	int count, ours, others;
};

static int note_one (void *opaque, const char *uuid, struct vmc_error *err)
{
	struct list *list = opaque;

	list->count++;
	list->ours += strcmp (uuid, UUID) == 0;
	list->others += strcmp (uuid, OTHER_UUID) == 0;
	return list->result < 0 ? vmc_fail (err, VMC_FAILED, 0, "enough") : list->result;
}

static void names_of_others_are_not_listed (void **state)
{
	static const char *const names[] = {
		"journal",           ".journal",       UUID,
		UUID ".journal.new", UUID ".journal~", UUID ".JOURNAL",
		"1" UUID ".journal", "vm1.journal",    "1111111-2222-3333-4444-555555555555.journal",
		UUID ".journax",     UUID "xjournal",
	};
	struct list list = {0};
	struct vmc_error err;

	(void) state;
	write_journal ();
	strcpy (journal.uuid, OTHER_UUID);
	write_journal ();
	for (size_t i = 0; i < UNIT_COUNT (names); i++) {
		char path[200];

		(void) snprintf (path, sizeof path, VMC_STATE_DIRECTORY "/%s", names[i]);
		put (path, "x", 1);
	}
	assert_int_equal (vmc_journal_list (note_one, &list, &err), 0);
	assert_int_equal (list.count, 2);
	assert_int_equal (list.ours, 1);
	assert_int_equal (list.others, 1);
}

static void the_list_ends_when_told_to (void **state)
{
	struct list positive = {.result = 1}, negative = {.result = -1};
	struct vmc_error err;

	(void) state;
	write_journal ();
	strcpy (journal.uuid, OTHER_UUID);
	write_journal ();
	assert_int_equal (vmc_journal_list (note_one, &positive, &err), 1);
	assert_int_equal (positive.count, 1);
	assert_int_equal (vmc_journal_list (note_one, &negative, &err), -1);
	assert_int_equal (negative.count, 1);
	assert_error (err, VMC_FAILED, "enough");
}

static void without_a_directory_the_list_is_empty (void **state)
{
	struct list list = {0};
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_journal_list (note_one, &list, &err), 0);
	assert_int_equal (list.count, 0);
	put (VMC_STATE_DIRECTORY, "x", 1);
	assert_int_equal (vmc_journal_list (note_one, &list, &err), -1);
	assert_error (err, VMC_FAILED, "cannot open '" VMC_STATE_DIRECTORY "'");
}

#define ROOM_TEST(test) cmocka_unit_test_setup_teardown (test, make_room, remove_room)

static const struct CMUnitTest tests[] = {
	ROOM_TEST (every_field_is_kept),
	ROOM_TEST (every_step_is_kept),
	ROOM_TEST (every_byte_is_kept),
	ROOM_TEST (the_longest_is_kept),
	ROOM_TEST (numbers_are_kept),
	ROOM_TEST (xml_that_is_not_known_stays_so),
	ROOM_TEST (it_is_for_us_alone),
	ROOM_TEST (a_key_that_is_missing_is_damage),
	ROOM_TEST (a_value_of_another_type_is_damage),
	ROOM_TEST (a_value_that_cannot_be_is_damage),
	ROOM_TEST (one_of_version_3_is_read),
	ROOM_TEST (a_text_is_never_cut),
	ROOM_TEST (further_keys_do_no_harm),
	ROOM_TEST (a_part_of_a_journal_is_damage),
	ROOM_TEST (what_follows_a_journal_is_damage),
	ROOM_TEST (what_is_nearly_json_is_damage),
	ROOM_TEST (what_is_nearly_json_is_damage_in_any_language),
	ROOM_TEST (what_is_no_object_is_damage),
	ROOM_TEST (a_file_that_is_too_large_is_not_read),
	ROOM_TEST (what_is_no_file_is_not_read),
	ROOM_TEST (a_file_of_another_is_not_read),
	ROOM_TEST (no_journal_is_no_error),
	ROOM_TEST (the_new_replaces_the_old),
	ROOM_TEST (without_room_the_old_stays),
	ROOM_TEST (without_any_room_there_is_none),
	ROOM_TEST (on_a_read_only_disk_the_old_stays),
	ROOM_TEST (what_cannot_be_renamed_is_taken_away),
	ROOM_TEST (a_symlink_is_not_written_through),
	ROOM_TEST (a_directory_that_is_not_ours_alone_is_refused),
	ROOM_TEST (removing_is_idempotent),
	ROOM_TEST (removing_leaves_others_alone),
	ROOM_TEST (what_cannot_be_removed_is_told),
	ROOM_TEST (names_of_others_are_not_listed),
	ROOM_TEST (the_list_ends_when_told_to),
	ROOM_TEST (without_a_directory_the_list_is_empty),
};

int main (void)
{
	return unit_apart () ? UNIT_RUN (tests) : 0;
}
