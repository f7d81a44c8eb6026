/* status.c - see status.h
 *
 * A dry run of each domain, and what the history of it says. Nothing is changed.
 */
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "history.h"
#include "json_member.h"
#include "report.h"
#include "run.h"
#include "table.h"
#include "text.h"

/* The status of several domains, and the worst so far. */
struct overview {
	struct vmc_connection *connection;
	const struct vmc_options *options;
	struct vmc_options look; /* the same for a dry run */
	int worst;
};

/* --- the image -------------------------------------------------------------------------------- */

/* Where the last block of FD that takes space ends; -1: it cannot be told. */
static off_t end_of_data (int fd)
{
	off_t end = 0, data;

	while ((data = lseek (fd, end, SEEK_DATA)) >= 0) {
		end = lseek (fd, data, SEEK_HOLE);
		if (end < 0)
			return -1;
	}
	return errno == ENXIO ? end : -1;
}

/* How much of a qcow2 file lies behind the last block that takes space: a convert leaves it out. Of a raw image that is a part of the
 * disk. */
static uint64_t tail_bytes (const struct vmc_disk_report *disk)
{
	int fd = strcmp (disk->format, "qcow2") == 0 ? open (disk->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	struct stat status;
	uint64_t tail = VMC_UNKNOWN;
	off_t end;

	if (fd < 0)
		return VMC_UNKNOWN;
	if (fstat (fd, &status) == 0 && S_ISREG (status.st_mode) && (end = end_of_data (fd)) >= 0)
		tail = status.st_size > end ? (uint64_t) (status.st_size - end) : 0;
	(void) close (fd);
	return tail;
}

/* --- JSON ------------------------------------------------------------------------------------- */

/* What is empty is not known. */
static void add_or_null (struct json_object *object, const char *key, const char *value)
{
	vmc_json_text (object, key, value[0] ? value : NULL);
}

static struct json_object *last_run_json (const struct vmc_history_disk *last)
{
	struct json_object *object = last ? json_object_new_object () : NULL;

	if (object == NULL)
		return NULL;
	vmc_json_number (object, "time", last->time_s);
	vmc_json_number (object, "success_time", last->success_s);
	add_or_null (object, "result", last->result);
	add_or_null (object, "method", last->method);
	vmc_json_number (object, "reclaimed_bytes", last->reclaimed_bytes);
	vmc_json_number (object, "reclaimed_total_bytes", last->reclaimed_total_bytes);
	vmc_json_number (object, "duration_ms", last->duration_ms);
	vmc_json_number (object, "frozen_ms", last->frozen_ms);
	return object;
}

static struct json_object *disk_json (const struct vmc_disk_report *disk, const struct vmc_history *history)
{
	struct json_object *object = json_object_new_object ();

	if (object == NULL)
		return NULL;
	add_or_null (object, "target", disk->target);
	add_or_null (object, "path", disk->path);
	add_or_null (object, "format", disk->format);
	add_or_null (object, "discard", disk->discard);
	vmc_json_number (object, "virtual_bytes", disk->virtual_bytes);
	vmc_json_number (object, "used_bytes", disk->used_bytes);
	vmc_json_number (object, "allocated_bytes", disk->allocated_before_bytes);
	vmc_json_number (object, "reclaimable_bytes", disk->reclaimable_bytes);
	vmc_json_number (object, "tail_bytes", tail_bytes (disk));
	add_or_null (object, "method", disk->method ? disk->method : "");
	add_or_null (object, "reason", disk->failed ? disk->error.text : disk->reason);
	(void) json_object_object_add (object, "last_run", last_run_json (vmc_history_find (history, disk->target)));
	return object;
}

static void print_json (const struct vmc_report *report, const struct vmc_history *history)
{
	struct json_object *object = json_object_new_object (), *disks = json_object_new_array ();

	add_or_null (object, "domain", report->domain);
	add_or_null (object, "uuid", report->uuid);
	add_or_null (object, "state", report->active ? "running" : "off");
	add_or_null (object, "agent", report->agent);
	add_or_null (object, "error", report->failed ? report->error.text : "");
	for (size_t i = 0; i < report->count; i++)
		(void) json_object_array_add (disks, disk_json (&report->disks[i], history));
	(void) json_object_object_add (object, "disks", disks);
	(void) puts (json_object_to_json_string_ext (object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put (object);
}

/* --- the table -------------------------------------------------------------------------------- */

/* How many of the picture's cells BYTES of TOTAL fill. */
static unsigned cells (uint64_t bytes, uint64_t total)
{
	return bytes == VMC_UNKNOWN || total == 0
		       ? 0
		       : (unsigned) ((double) bytes / (double) total * VMC_TABLE_CELLS + 0.5);
}

/* Amounts, not places: those are only known when the guest stands still. */
static void print_picture (const struct vmc_disk_report *disk)
{
	const char *const *marks = vmc_table_marks ();
	unsigned allocated = cells (disk->allocated_before_bytes, disk->virtual_bytes),
		 reclaimable = cells (disk->reclaimable_bytes, disk->virtual_bytes);

	if (disk->virtual_bytes == VMC_UNKNOWN || disk->allocated_before_bytes == VMC_UNKNOWN)
		return;
	(void) fputs ("      [", stdout);
	for (unsigned i = 0; i < VMC_TABLE_CELLS; i++)
		(void) fputs (i + reclaimable < allocated ? marks[0] : i < allocated ? marks[1] : marks[2], stdout);
	(void) printf ("]  %s needed  %s reclaimable  %s not allocated\n", marks[0], marks[1], marks[2]);
}

static void print_last_run (const struct vmc_history_disk *last)
{
	char when[32] = "?", size[16];
	time_t time_s;
	struct tm local;

	if (last == NULL) {
		(void) printf ("      no run yet\n");
		return;
	}
	time_s = (time_t) last->time_s;
	if (localtime_r (&time_s, &local) != NULL)
		(void) strftime (when, sizeof when, "%Y-%m-%d %H:%M", &local);
	(void) printf ("      last run %s: %s", when, last->result);
	if (last->reclaimed_bytes != VMC_UNKNOWN)
		(void) printf (", %s reclaimed", vmc_text_size (size, last->reclaimed_bytes));
	if (last->method[0] != 0)
		(void) printf (" by %s", last->method);
	if (last->reclaimed_total_bytes != VMC_UNKNOWN)
		(void) printf (" (%s in all)", vmc_text_size (size, last->reclaimed_total_bytes));
	if (last->duration_ms != VMC_UNKNOWN)
		(void) printf (" in %.1f s", (double) last->duration_ms / 1000);
	(void) printf ("\n");
}

static void print_disk (const struct vmc_disk_report *disk, const struct vmc_history *history)
{
	(void) printf ("%-5s %-6s", disk->target, disk->method ? disk->method : "-");
	vmc_table_bytes (disk->virtual_bytes, false);
	vmc_table_bytes (disk->used_bytes, false);
	vmc_table_bytes (disk->allocated_before_bytes, false);
	vmc_table_bytes (disk->reclaimable_bytes, true);
	vmc_table_bytes (tail_bytes (disk), false);
	(void) printf (" %8s\n", disk->discard[0] ? disk->discard : "default");
	print_picture (disk);
	if (disk->failed)
		(void) printf ("      refused: %s\n", disk->error.text);
	print_last_run (vmc_history_find (history, disk->target));
}

static void print_table (const struct vmc_report *report, const struct vmc_history *history)
{
	(void) printf ("%s (%s", report->domain, report->active ? "running" : "off");
	if (report->active)
		(void) printf (", %s", report->agent[0] ? report->agent : "no agent");
	(void) printf (")\n");
	if (report->failed)
		(void) printf ("      %s\n", report->error.text);
	if (report->count == 0)
		return;
	(void) printf ("%-5s %-6s %11s %11s %11s %11s %11s %8s\n", "disk", "method", "virtual", "guest uses",
		       "allocated", "reclaimable", "dead tail", "discard");
	for (size_t i = 0; i < report->count; i++)
		print_disk (&report->disks[i], history);
}

/* --- domains ---------------------------------------------------------------------------------- */

static void show (struct overview *overview, const char *name)
{
	VMC_CLEANUP_HISTORY struct vmc_history history = {0};
	struct vmc_report report = {0};

	vmc_run_domain (overview->connection, name, &overview->look, &report);
	if (report.uuid[0] == 0) { /* there is no such domain */
		(void) fprintf (stderr, "vmcompact: %s: %s\n", report.domain, report.error.text);
		overview->worst = vmc_worse_status (overview->worst, vmc_code_exit_status (report.error.code));
	} else {
		vmc_history_read (report.uuid, &history);
		(overview->options->json ? print_json : print_table) (&report, &history);
	}
	(void) fflush (stdout);
	vmc_report_clear (&report);
}

static void show_all (struct overview *overview)
{
	virDomainPtr *domains = NULL;
	int count = VMC_LIBVIRT (virConnectListAllDomains (overview->connection->handle, &domains, 0));
	struct vmc_error error;

	if (count < 0) {
		(void) vmc_fail_libvirt (&error, VMC_FAILED, "cannot list the domains");
		(void) fprintf (stderr, "vmcompact: %s\n", error.text);
		overview->worst = vmc_code_exit_status (error.code);
	}
	for (int i = 0; i < count; i++) {
		char uuid[VIR_UUID_STRING_BUFLEN];

		if (virDomainGetUUIDString (domains[i], uuid) == 0 && !vmc_interrupted ())
			show (overview, uuid);
		(void) virDomainFree (domains[i]);
	}
	free (domains);
}

int vmc_status (struct vmc_connection *connection, const struct vmc_options *options)
{
	struct overview overview = {.connection = connection, .options = options, .look = *options};

	overview.look.dry_run = true;
	overview.look.min_reclaim_bytes = 0;
	for (size_t i = 0; i < options->domain_count && !vmc_interrupted (); i++)
		show (&overview, options->domains[i]);
	if (options->domain_count == 0)
		show_all (&overview);
	return overview.worst;
}
