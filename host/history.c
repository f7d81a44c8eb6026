/* history.c - see history.h
 *
 * JSON, replaced as a whole (file.h). Only this program writes it, but what is read is bounded and checked all the same.
 */
#include "history.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "directories.h"
#include "file.h"

#define SUFFIX ".json"
#define UUID_LENGTH 36
#define DISK_GONE_S (30 * 86400)
#define HISTORY_MAX_BYTES (1 << 20)
#define ALL_FILE VMC_HISTORY_DIRECTORY "/all"

static const struct {
	const char *key;
	size_t offset;
} texts[] = {{"target", offsetof (struct vmc_history_disk, target)},
	     {"method", offsetof (struct vmc_history_disk, method)},
	     {"result", offsetof (struct vmc_history_disk, result)}},
  numbers[] = {{"time_s", offsetof (struct vmc_history_disk, time_s)},
	       {"success_s", offsetof (struct vmc_history_disk, success_s)},
	       {"duration_ms", offsetof (struct vmc_history_disk, duration_ms)},
	       {"frozen_ms", offsetof (struct vmc_history_disk, frozen_ms)},
	       {"virtual_bytes", offsetof (struct vmc_history_disk, virtual_bytes)},
	       {"allocated_bytes", offsetof (struct vmc_history_disk, allocated_bytes)},
	       {"reclaimable_bytes", offsetof (struct vmc_history_disk, reclaimable_bytes)},
	       {"reclaimed_bytes", offsetof (struct vmc_history_disk, reclaimed_bytes)},
	       {"reclaimed_total_bytes", offsetof (struct vmc_history_disk, reclaimed_total_bytes)}};
#define N_TEXTS (sizeof texts / sizeof texts[0])
#define N_NUMBERS (sizeof numbers / sizeof numbers[0])

#define TEXT(disk, i) ((char *) (disk) + texts[i].offset)
#define NUMBER(disk, i) ((uint64_t *) ((char *) (disk) + numbers[i].offset))

void vmc_history_clear (struct vmc_history *history)
{
	free (history->disks);
	*history = (struct vmc_history) {0};
}

static void name_file (const char *uuid, char *path, size_t size)
{
	(void) snprintf (path, size, VMC_HISTORY_DIRECTORY "/%.36s" SUFFIX, uuid);
}

const struct vmc_history_disk *vmc_history_find (const struct vmc_history *history, const char *target)
{
	for (size_t i = 0; i < history->count; i++)
		if (strcmp (history->disks[i].target, target) == 0)
			return &history->disks[i];
	return NULL;
}

/* A new entry for TARGET, about which nothing is known; NULL: no memory. */
static struct vmc_history_disk *add_disk (struct vmc_history *history, const char *target)
{
	struct vmc_history_disk *disks = reallocarray (history->disks, history->count + 1, sizeof *disks), *one;

	if (disks == NULL)
		return NULL;
	history->disks = disks;
	one = &disks[history->count++];
	memset (one, 0, sizeof *one);
	for (size_t i = 0; i < N_NUMBERS; i++)
		*NUMBER (one, i) = VMC_UNKNOWN;
	(void) snprintf (one->target, sizeof one->target, "%s", target);
	return one;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void take_text (struct json_object *object, const char *key, char *text, size_t size)
{
	struct json_object *member;

	if (json_object_object_get_ex (object, key, &member) && json_object_is_type (member, json_type_string))
		(void) snprintf (text, size, "%s", json_object_get_string (member));
}

static bool take_number (struct json_object *member, uint64_t *number)
{
	if (!json_object_is_type (member, json_type_int) || json_object_get_int64 (member) < 0)
		return false;
	*number = json_object_get_uint64 (member);
	return true;
}

static bool decode_disk (struct json_object *object, struct vmc_history *history)
{
	struct vmc_history_disk *disk = add_disk (history, "");
	struct json_object *member;

	if (disk == NULL)
		return false;
	for (size_t i = 0; i < N_TEXTS; i++)
		take_text (object, texts[i].key, TEXT (disk, i), VMC_NAME_SIZE);
	for (size_t i = 0; i < N_NUMBERS; i++)
		if (json_object_object_get_ex (object, numbers[i].key, &member))
			(void) take_number (member, NUMBER (disk, i));
	return disk->time_s != VMC_UNKNOWN;
}

static bool decode (struct json_object *object, struct vmc_history *history)
{
	struct json_object *disks, *runs;

	take_text (object, "domain", history->domain, sizeof history->domain);
	take_text (object, "uuid", history->uuid, sizeof history->uuid);
	if (json_object_object_get_ex (object, "runs_ms", &runs) && json_object_is_type (runs, json_type_array))
		for (size_t i = 0; i < json_object_array_length (runs) && i < VMC_HISTORY_RUNS; i++)
			(void) take_number (json_object_array_get_idx (runs, i), &history->runs_ms[i]);
	if (!json_object_object_get_ex (object, "disks", &disks) || !json_object_is_type (disks, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length (disks); i++)
		if (!decode_disk (json_object_array_get_idx (disks, i), history))
			return false;
	return true;
}

/* The JSON of the file PATH; NULL: none, or none that can be read. */
static struct json_object *read_json (const char *path)
{
	int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct json_object *object;
	size_t length;
	char *text;

	if (fd < 0)
		return NULL;
	text = vmc_file_read (fd, HISTORY_MAX_BYTES, &length);
	(void) close (fd);
	if (text == NULL)
		return NULL;
	object = json_tokener_parse (text);
	free (text);
	return object;
}

void vmc_history_read (const char *uuid, struct vmc_history *history)
{
	struct json_object *object;
	char path[128];

	*history = (struct vmc_history) {0};
	name_file (uuid, path, sizeof path);
	object = read_json (path);
	if (object != NULL && (!decode (object, history) || strcmp (history->uuid, uuid) != 0))
		vmc_history_clear (history);
	json_object_put (object);
}

/* --- writing ---------------------------------------------------------------------------------- */

static struct json_object *encode_disk (const struct vmc_history_disk *disk)
{
	struct json_object *object = json_object_new_object ();

	if (object == NULL)
		return NULL;
	for (size_t i = 0; i < N_TEXTS; i++)
		(void) json_object_object_add (object, texts[i].key, json_object_new_string (TEXT (disk, i)));
	for (size_t i = 0; i < N_NUMBERS; i++)
		if (*NUMBER (disk, i) != VMC_UNKNOWN)
			(void) json_object_object_add (object, numbers[i].key,
						       json_object_new_uint64 (*NUMBER (disk, i)));
	return object;
}

static struct json_object *encode (const struct vmc_history *history)
{
	struct json_object *object = json_object_new_object (), *disks = json_object_new_array (),
			   *runs = json_object_new_array ();

	if (object == NULL || disks == NULL || runs == NULL) {
		json_object_put (object);
		json_object_put (disks);
		json_object_put (runs);
		return NULL;
	}
	for (size_t i = 0; i < VMC_HISTORY_RUNS && history->runs_ms[i] > 0; i++)
		(void) json_object_array_add (runs, json_object_new_uint64 (history->runs_ms[i]));
	for (size_t i = 0; i < history->count; i++)
		(void) json_object_array_add (disks, encode_disk (&history->disks[i]));
	(void) json_object_object_add (object, "domain", json_object_new_string (history->domain));
	(void) json_object_object_add (object, "uuid", json_object_new_string (history->uuid));
	(void) json_object_object_add (object, "runs_ms", runs);
	(void) json_object_object_add (object, "disks", disks);
	return object;
}

static int write_json (const char *path, struct json_object *object, struct vmc_error *err)
{
	const char *text = object ? json_object_to_json_string_ext (object, JSON_C_TO_STRING_PRETTY) : NULL;

	if (text == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the history");
	if (vmc_directory_prepare (VMC_STATE_DIRECTORY, err) < 0 ||
	    vmc_directory_prepare (VMC_HISTORY_DIRECTORY, err) < 0)
		return -1;
	return vmc_file_replace (path, text, 0600, err);
}

/* --- a run ------------------------------------------------------------------------------------ */

static void note_result (struct vmc_history_disk *disk, bool failed, enum vmc_code code, uint64_t now_s)
{
	disk->time_s = now_s;
	if (!failed)
		disk->success_s = now_s;
	(void) snprintf (disk->result, sizeof disk->result, "%s", failed ? vmc_code_name (code) : "done");
}

/* A run that failed knows less than the one before, which then goes on to count. */
static void keep_known (uint64_t *number, uint64_t now)
{
	if (now != VMC_UNKNOWN)
		*number = now;
}

static int note_disk (struct vmc_history *history, const struct vmc_disk_report *report, uint64_t now_s,
		      struct vmc_error *err)
{
	struct vmc_history_disk *disk = (struct vmc_history_disk *) vmc_history_find (history, report->target);
	uint64_t before;

	if (disk == NULL && (disk = add_disk (history, report->target)) == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the history");
	note_result (disk, report->failed, report->error.code, now_s);
	(void) snprintf (disk->method, sizeof disk->method, "%s", report->method ? report->method : "");
	disk->duration_ms = report->duration_ms;
	disk->frozen_ms = report->frozen_ms;
	disk->reclaimed_bytes = report->reclaimed_bytes;
	keep_known (&disk->virtual_bytes, report->virtual_bytes);
	keep_known (&disk->reclaimable_bytes, report->reclaimable_bytes);
	keep_known (&disk->allocated_bytes, report->allocated_after_bytes != VMC_UNKNOWN
						    ? report->allocated_after_bytes
						    : report->allocated_before_bytes);
	before = disk->reclaimed_total_bytes == VMC_UNKNOWN ? 0 : disk->reclaimed_total_bytes;
	disk->reclaimed_total_bytes = before + (report->reclaimed_bytes == VMC_UNKNOWN ? 0 : report->reclaimed_bytes);
	return 0;
}

/* Nothing was looked at: all of its disks fare alike, and one that has none known yet gets one without a name. */
static int note_failure (struct vmc_history *history, const struct vmc_report *report, uint64_t now_s,
			 struct vmc_error *err)
{
	if (history->count == 0 && add_disk (history, "") == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the history");
	for (size_t i = 0; i < history->count; i++)
		note_result (&history->disks[i], true, report->error.code, now_s);
	return 0;
}

/* The entry of a run that failed before any disk was looked at has done its duty when one is; and a disk that no run has looked at for
 * long is gone. */
static void drop_old (struct vmc_history *history, uint64_t now_s)
{
	size_t kept = 0;

	for (size_t i = 0; i < history->count; i++)
		if (history->disks[i].target[0] != 0 && history->disks[i].time_s + DISK_GONE_S >= now_s)
			history->disks[kept++] = history->disks[i];
	history->count = kept;
}

/* Was anything done at all? To find out that there is nothing to do takes no time. */
static bool was_at_work (const struct vmc_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		if (report->disks[i].method != NULL)
			return true;
	return false;
}

static void note_duration (struct vmc_history *history, uint64_t duration_ms)
{
	memmove (history->runs_ms + 1, history->runs_ms, sizeof history->runs_ms - sizeof history->runs_ms[0]);
	history->runs_ms[0] = duration_ms > 0 ? duration_ms : 1;
}

int vmc_history_note (const struct vmc_report *report, uint64_t duration_ms, struct vmc_error *err)
{
	VMC_CLEANUP_HISTORY struct vmc_history history = {0};
	uint64_t now_s = (uint64_t) time (NULL);
	struct json_object *object;
	char path[128];
	bool any;
	int result = 0;

	vmc_history_read (report->uuid, &history);
	(void) snprintf (history.domain, sizeof history.domain, "%s", report->domain);
	(void) snprintf (history.uuid, sizeof history.uuid, "%s", report->uuid);
	if (report->failed)
		result = note_failure (&history, report, now_s, err);
	for (size_t i = 0; result == 0 && i < report->count; i++)
		result = note_disk (&history, &report->disks[i], now_s, err);
	if (result < 0)
		return -1;
	if (report->count > 0)
		drop_old (&history, now_s);
	(void) vmc_report_worst (report, &any);
	if (!any && was_at_work (report))
		note_duration (&history, duration_ms);
	object = encode (&history);
	name_file (report->uuid, path, sizeof path);
	result = write_json (path, object, err);
	json_object_put (object);
	return result;
}

/* --- all of them ------------------------------------------------------------------------------ */

int vmc_history_list (void (*each) (void *opaque, const struct vmc_history *history), void *opaque,
		      struct vmc_error *err)
{
	DIR *directory = opendir (VMC_HISTORY_DIRECTORY);
	struct dirent *entry;

	if (directory == NULL)
		return errno == ENOENT ? 0
				       : vmc_fail (err, VMC_FAILED, errno, "cannot open '" VMC_HISTORY_DIRECTORY "'");
	while ((entry = readdir (directory)) != NULL) {
		VMC_CLEANUP_HISTORY struct vmc_history history = {0};
		char uuid[UUID_LENGTH + 1];

		if (strlen (entry->d_name) != UUID_LENGTH + strlen (SUFFIX) ||
		    strcmp (entry->d_name + UUID_LENGTH, SUFFIX) != 0)
			continue;
		(void) snprintf (uuid, sizeof uuid, "%.36s", entry->d_name);
		vmc_history_read (uuid, &history);
		if (history.count > 0)
			each (opaque, &history);
	}
	(void) closedir (directory);
	return 0;
}

void vmc_history_forget (const char *uuid)
{
	char path[128];

	name_file (uuid, path, sizeof path);
	(void) unlink (path);
}

int vmc_history_note_all (int exit_status, struct vmc_error *err)
{
	struct json_object *object = json_object_new_object ();
	int result;

	if (object != NULL) {
		(void) json_object_object_add (object, "time_s", json_object_new_int64 (time (NULL)));
		(void) json_object_object_add (object, "exit_status", json_object_new_int (exit_status));
	}
	result = write_json (ALL_FILE, object, err);
	json_object_put (object);
	return result;
}

bool vmc_history_read_all (uint64_t *time_s, int *exit_status)
{
	struct json_object *object = read_json (ALL_FILE), *time_member, *status_member;
	bool known = json_object_object_get_ex (object, "time_s", &time_member) &&
		     json_object_object_get_ex (object, "exit_status", &status_member) &&
		     take_number (time_member, time_s);

	if (known)
		*exit_status = json_object_get_int (status_member);
	json_object_put (object);
	return known;
}
