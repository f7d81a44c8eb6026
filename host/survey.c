/* survey.c - see survey.h */
#include "survey.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "clock.h"
#include "interrupt.h"
#include "process.h"

#define SURVEY_MS 300000 /* the metadata of a large disk at rest are read for it */
#define POLL_MS 500

/* A disk that does not turn serves many at once. Not known for what is no plain device, as NFS, btrfs: it is taken for one that does. */
static bool is_quick (dev_t device)
{
	static const char *const whole[] = {"", "../"}; /* the disk of a partition */
	char path[128];

	for (size_t i = 0; i < 2; i++) {
		FILE *file;
		int turns;

		(void) snprintf (path, sizeof path, "/sys/dev/block/%u:%u/%squeue/rotational", major (device),
				 minor (device), whole[i]);
		file = fopen (path, "re");
		if (file == NULL)
			continue;
		turns = fgetc (file);
		(void) fclose (file);
		return turns == '0';
	}
	return false;
}

static void add_place (struct vmc_task *task, const char *path)
{
	struct stat status;
	dev_t device;

	if (stat (path, &status) < 0)
		return;
	device = S_ISBLK (status.st_mode) ? status.st_rdev : status.st_dev;
	for (size_t i = 0; i < task->place_count; i++)
		if (task->places[i] == device)
			return;
	if (task->place_count == VMC_TASK_PLACES_MAX)
		return;
	task->alone = task->alone || !is_quick (device);
	task->places[task->place_count++] = device;
}

static uint64_t number (struct json_object *disk, const char *key)
{
	struct json_object *member;

	return json_object_object_get_ex (disk, key, &member) && json_object_is_type (member, json_type_int)
		       ? json_object_get_uint64 (member)
		       : 0;
}

static const char *word (struct json_object *object, const char *key)
{
	struct json_object *member;

	return json_object_object_get_ex (object, key, &member) && json_object_is_type (member, json_type_string)
		       ? json_object_get_string (member)
		       : "";
}

/* A disk whose method is not known may be converted. */
static bool is_copied (struct json_object *disk)
{
	const char *method = word (disk, "method");

	return strcmp (method, "trim") != 0 && strcmp (method, "commit") != 0;
}

static void add_disk (struct vmc_task *task, struct json_object *disk, uint64_t *copied_bytes)
{
	const char *path = word (disk, "path");

	task->reclaimable_bytes += number (disk, "reclaimable_bytes");
	*copied_bytes += is_copied (disk) ? number (disk, "allocated_before_bytes") : 0;
	if (path[0] != 0)
		add_place (task, path);
}

void vmc_survey_read (const char *line, struct vmc_task *task, uint64_t *copied_bytes)
{
	struct json_object *object = json_tokener_parse (line), *disks;

	task->stranded = strcmp (word (object, "result"), vmc_code_name (VMC_INTERRUPTED)) == 0;
	if (json_object_object_get_ex (object, "disks", &disks) && json_object_is_type (disks, json_type_array))
		for (size_t i = 0; i < json_object_array_length (disks); i++)
			add_disk (task, json_object_array_get_idx (disks, i), copied_bytes);
	json_object_put (object);
}

/* All that PROCESS writes, until it ends; what is too long is cut. */
static void read_output (const struct vmc_process *process, char *text, size_t size)
{
	uint64_t until_ms = vmc_now_ms () + SURVEY_MS;
	size_t used = 0;

	while (used < size - 1 && vmc_now_ms () < until_ms && !vmc_interrupted ()) {
		struct pollfd entry = {.fd = process->output_fd, .events = POLLIN};
		ssize_t got;

		if (poll (&entry, 1, POLL_MS) <= 0)
			continue;
		got = read (process->output_fd, text + used, size - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += (size_t) got;
	}
	text[used] = 0;
}

void vmc_survey (const char *const argv[], struct vmc_task *task, uint64_t *copied_bytes)
{
	VMC_CLEANUP_PROCESS struct vmc_process process = VMC_PROCESS_INIT;
	char *text = malloc (VMC_SURVEY_TEXT_SIZE);
	struct vmc_error unheard;

	*copied_bytes = 0;
	if (text != NULL && vmc_process_start (&process, argv, -1, &unheard) == 0) {
		read_output (&process, text, VMC_SURVEY_TEXT_SIZE);
		vmc_survey_read (text, task, copied_bytes);
	}
	task->alone = task->alone || task->place_count == 0;
	free (text);
}
