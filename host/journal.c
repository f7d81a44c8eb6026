/* journal.c - see journal.h
 *
 * A JSON object, written to a new file, synced, renamed over the old one, the directory synced: whoever reads it finds the old
 * one or the new one, never a part. A file that does not have exactly what is expected is not used at all.
 */
#include "journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "directories.h"
#include "file.h"

#define SUFFIX ".journal"
#define JOURNAL_MAX_BYTES (16 << 20) /* libvirt sends at most 4 MiB of XML, every byte of which may be escaped here */
#define JOURNAL_VERSION 4
#define JOURNAL_VERSION_BEFORE 3 /* without base_inode; this program may have taken the place of an older one */

static const char *const step_names[VMC_STEPS] = {"prepare", "redirect", "punch",  "rewrite",
						  "commit",  "move",     "on-base"};

static const struct {
	const char *key;
	size_t offset, size;
} texts[] = {
#define TEXT(key, member) \
	{ \
		key, offsetof (struct vmc_journal, member), sizeof ((struct vmc_journal *) NULL)->member \
	}
	TEXT ("uuid", uuid),       TEXT ("domain", name), TEXT ("target", target),         TEXT ("base", base),
	TEXT ("overlay", overlay), TEXT ("next", next),   TEXT ("new_format", new_format), TEXT ("frozen", frozen),
};
#define N_TEXTS (sizeof texts / sizeof texts[0])

static const struct {
	const char *key;
	size_t offset;
} numbers[] = {
	{"base_inode", offsetof (struct vmc_journal, base_inode)},
	{"overlay_inode", offsetof (struct vmc_journal, overlay_inode)},
	{"overlay_bytes", offsetof (struct vmc_journal, overlay_bytes)},
	{"next_inode", offsetof (struct vmc_journal, next_inode)},
	{"new_inode", offsetof (struct vmc_journal, new_inode)},
	{"old_inode", offsetof (struct vmc_journal, old_inode)},
};
#define N_NUMBERS (sizeof numbers / sizeof numbers[0])

static const struct {
	const char *key;
	size_t offset;
} flags[] = {
	{"paused", offsetof (struct vmc_journal, paused)},
	{"over_new", offsetof (struct vmc_journal, over_new)},
	{"former", offsetof (struct vmc_journal, former)},
	{"keep_old", offsetof (struct vmc_journal, keep_old)},
};
#define N_FLAGS (sizeof flags / sizeof flags[0])

#define MEMBER(type, journal, offset) ((type *) ((char *) (journal) + (offset)))

static void name_file (const char *uuid, const char *suffix, char *path, size_t size)
{
	(void) snprintf (path, size, "%s/%s%s", VMC_STATE_DIRECTORY, uuid, suffix);
}

void vmc_journal_clear (struct vmc_journal *journal)
{
	free (journal->inactive_xml);
	*journal = (struct vmc_journal) {0};
}

/* --- writing ---------------------------------------------------------------------------------- */

static struct json_object *encode (const struct vmc_journal *journal)
{
	struct json_object *object = json_object_new_object ();

	json_object_object_add (object, "version", json_object_new_int (JOURNAL_VERSION));
	for (size_t i = 0; i < N_TEXTS; i++)
		json_object_object_add (object, texts[i].key,
					json_object_new_string ((const char *) journal + texts[i].offset));
	for (size_t i = 0; i < N_NUMBERS; i++)
		json_object_object_add (object, numbers[i].key,
					json_object_new_uint64 (*MEMBER (const uint64_t, journal, numbers[i].offset)));
	for (size_t i = 0; i < N_FLAGS; i++)
		json_object_object_add (object, flags[i].key,
					json_object_new_boolean (*MEMBER (const bool, journal, flags[i].offset)));
	json_object_object_add (object, "step", json_object_new_string (step_names[journal->step]));
	json_object_object_add (object, "inactive_xml",
				journal->inactive_xml ? json_object_new_string (journal->inactive_xml) : NULL);
	return object;
}

static int decode (const char *text, size_t length, const char *uuid, struct vmc_journal *journal);

/* Out of memory, json-c leaves things out. What cannot be read back is not written over what can. */
static bool reads_back (const char *text, const struct vmc_journal *journal)
{
	struct vmc_journal read = {0};
	bool good = decode (text, strlen (text), journal->uuid, &read) == 0 &&
		    (read.inactive_xml != NULL) == (journal->inactive_xml != NULL);

	vmc_journal_clear (&read);
	return good;
}

int vmc_journal_write (const struct vmc_journal *journal, struct vmc_error *err)
{
	struct json_object *object;
	char path[128];
	const char *text;
	int result;

	if (vmc_directory_prepare (VMC_STATE_DIRECTORY, err) < 0)
		return -1;
	name_file (journal->uuid, SUFFIX, path, sizeof path);
	object = encode (journal);
	text = json_object_to_json_string_ext (object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	result = text != NULL && reads_back (text, journal)
			 ? vmc_file_replace (path, text, 0600, err)
			 : vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the journal");
	json_object_put (object);
	if (result == 0)
		return vmc_directory_sync (VMC_STATE_DIRECTORY, err);
	return vmc_fail_in (err, "cannot keep the journal of the run");
}

void vmc_journal_note (const struct vmc_journal *journal)
{
	struct vmc_error unheard;

	if (vmc_journal_write (journal, &unheard) < 0)
		return;
}

/* --- reading ---------------------------------------------------------------------------------- */

static int decode_texts (struct json_object *object, struct vmc_journal *journal)
{
	for (size_t i = 0; i < N_TEXTS; i++) {
		struct json_object *member;

		if (!json_object_object_get_ex (object, texts[i].key, &member) ||
		    !json_object_is_type (member, json_type_string) ||
		    (size_t) json_object_get_string_len (member) >= texts[i].size)
			return -1;
		memcpy ((char *) journal + texts[i].offset, json_object_get_string (member),
			(size_t) json_object_get_string_len (member) + 1);
	}
	return 0;
}

static int decode_number (struct json_object *object, const char *key, uint64_t *number)
{
	struct json_object *member;

	if (!json_object_object_get_ex (object, key, &member) || !json_object_is_type (member, json_type_int) ||
	    json_object_get_int64 (member) < 0)
		return -1;
	*number = json_object_get_uint64 (member);
	return 0;
}

static int decode_numbers (struct json_object *object, struct vmc_journal *journal)
{
	for (size_t i = 0; i < N_NUMBERS; i++)
		if (decode_number (object, numbers[i].key, MEMBER (uint64_t, journal, numbers[i].offset)) < 0)
			return -1;
	return 0;
}

static int decode_flags (struct json_object *object, struct vmc_journal *journal)
{
	for (size_t i = 0; i < N_FLAGS; i++) {
		struct json_object *member;

		if (!json_object_object_get_ex (object, flags[i].key, &member) ||
		    !json_object_is_type (member, json_type_boolean))
			return -1;
		*MEMBER (bool, journal, flags[i].offset) = json_object_get_boolean (member);
	}
	return 0;
}

static int decode_step (struct json_object *object, struct vmc_journal *journal)
{
	struct json_object *step;

	if (!json_object_object_get_ex (object, "step", &step) || !json_object_is_type (step, json_type_string))
		return -1;
	for (int i = 0; i < VMC_STEPS; i++) {
		journal->step = (enum vmc_journal_step) i;
		if (strcmp (json_object_get_string (step), step_names[i]) == 0)
			return 0;
	}
	return -1;
}

static int decode_xml (struct json_object *object, struct vmc_journal *journal)
{
	struct json_object *xml;

	if (!json_object_object_get_ex (object, "inactive_xml", &xml))
		return -1;
	if (xml == NULL)
		return 0;
	journal->inactive_xml =
		json_object_is_type (xml, json_type_string) ? strdup (json_object_get_string (xml)) : NULL;
	return journal->inactive_xml ? 0 : -1;
}

static struct json_object *parse_as (int how, const char *text, size_t length)
{
	struct json_tokener *tokener = json_tokener_new ();
	struct json_object *object;

	if (tokener == NULL)
		return NULL;
	json_tokener_set_flags (tokener, how);
	object = json_tokener_parse_ex (tokener, text, (int) length + 1);
	if (json_tokener_get_error (tokener) != json_tokener_success || json_tokener_get_parse_end (tokener) < length) {
		json_object_put (object);
		object = NULL;
	}
	json_tokener_free (tokener);
	return object;
}

/* Is TEXT one value of JSON, strictly, and nothing behind it? Where json-c 0.18 is to be strict, it takes bytes for signed, and
 * each above 0x7F for a control character. Such a byte can only stand where a letter can, so a letter is put in its place. */
static bool well_formed (const char *text, size_t length)
{
	struct json_object *object;
	char *ascii = malloc (length + 1);
	bool result;

	if (ascii == NULL)
		return false;
	for (size_t i = 0; i < length; i++)
		ascii[i] = (unsigned char) text[i] > 0x7F ? 'x' : text[i];
	ascii[length] = 0;
	object = parse_as (JSON_TOKENER_STRICT, ascii, length);
	result = object != NULL;
	json_object_put (object);
	free (ascii);
	return result;
}

/* NULL if it is not one value of JSON and nothing behind it. */
static struct json_object *parse (const char *text, size_t length)
{
	return well_formed (text, length) ? parse_as (0, text, length) : NULL;
}

/* One of an older version becomes one of this. */
static int decode_version (struct json_object *object)
{
	uint64_t version;

	if (decode_number (object, "version", &version) < 0)
		return -1;
	if (version == JOURNAL_VERSION_BEFORE)
		return json_object_object_add (object, "base_inode", json_object_new_int (0));
	return version == JOURNAL_VERSION ? 0 : -1;
}

static int decode (const char *text, size_t length, const char *uuid, struct vmc_journal *journal)
{
	struct json_object *object = parse (text, length);
	int result = -1;

	if (object != NULL && json_object_is_type (object, json_type_object) && decode_version (object) == 0 &&
	    decode_texts (object, journal) == 0 && strcmp (journal->uuid, uuid) == 0 &&
	    decode_numbers (object, journal) == 0 && decode_flags (object, journal) == 0 &&
	    decode_step (object, journal) == 0)
		result = decode_xml (object, journal);
	json_object_put (object);
	return result;
}

/* What is in it is believed, so it must be a file that only we can have written. NULL with errno set. */
static char *read_own (int fd, size_t *length)
{
	struct stat status;

	if (fstat (fd, &status) < 0)
		return NULL;
	if (S_ISREG (status.st_mode) && (status.st_uid != geteuid () || (status.st_mode & 022) != 0)) {
		errno = EPERM;
		return NULL;
	}
	return vmc_file_read (fd, JOURNAL_MAX_BYTES, length);
}

int vmc_journal_read (const char *uuid, struct vmc_journal *journal, struct vmc_error *err)
{
	char path[128], *text;
	size_t length;
	int fd, result;

	*journal = (struct vmc_journal) {0};
	name_file (uuid, SUFFIX, path, sizeof path);
	fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0)
		return vmc_fail (err, VMC_INTERRUPTED, errno, "cannot open the journal '%s'", path);
	text = read_own (fd, &length);
	(void) close (fd);
	if (text == NULL)
		return vmc_fail (err, VMC_INTERRUPTED, errno, "cannot read the journal '%s'", path);
	result = decode (text, length, uuid, journal);
	free (text);
	if (result == 0)
		return 1;
	vmc_journal_clear (journal);
	return vmc_fail (err, VMC_INTERRUPTED, 0,
			 "the journal '%s' is damaged; compare the domain's disks with their images, then remove it",
			 path);
}

/* --- the end of one, and all of them ---------------------------------------------------------- */

int vmc_journal_remove (const char *uuid, struct vmc_error *err)
{
	char path[128];

	name_file (uuid, SUFFIX VMC_FILE_NEW, path, sizeof path);
	(void) unlink (path); /* of a run that was killed while it wrote */
	name_file (uuid, SUFFIX, path, sizeof path);
	if (access (path, F_OK) < 0 && errno == ENOENT)
		return 0;
	if (unlink (path) == 0)
		return vmc_directory_sync (VMC_STATE_DIRECTORY, err);
	return errno == ENOENT ? 0 : vmc_fail (err, VMC_FAILED, errno, "cannot remove the journal '%s'", path);
}

int vmc_journal_list (int (*each) (void *opaque, const char *uuid, struct vmc_error *err), void *opaque,
		      struct vmc_error *err)
{
	DIR *directory = opendir (VMC_STATE_DIRECTORY);
	struct dirent *entry;
	int result = 0;

	if (directory == NULL)
		return errno == ENOENT ? 0 : vmc_fail (err, VMC_FAILED, errno, "cannot open '" VMC_STATE_DIRECTORY "'");
	while (result == 0 && (entry = readdir (directory)) != NULL) {
		char uuid[VMC_UUID_SIZE];
		size_t length = strlen (entry->d_name);

		if (length != VMC_UUID_SIZE - 1 + strlen (SUFFIX) ||
		    strcmp (entry->d_name + VMC_UUID_SIZE - 1, SUFFIX) != 0)
			continue;
		memcpy (uuid, entry->d_name, VMC_UUID_SIZE - 1);
		uuid[VMC_UUID_SIZE - 1] = 0;
		result = each (opaque, uuid, err);
	}
	(void) closedir (directory);
	return result;
}
