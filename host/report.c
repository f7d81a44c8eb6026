/* report.c - see report.h */
#include "report.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json_member.h"
#include "table.h"
#include "text.h"

void vmc_report_clear (struct vmc_report *report)
{
	free (report->disks);
	*report = (struct vmc_report) {0};
}

static void add_note (struct vmc_disk_report *disk, const char *before, const char *what, const char *text)
{
	size_t used = strlen (disk->notes);

	(void) snprintf (disk->notes + used, sizeof disk->notes - used, "%s%s%s: %s", used ? "; " : "", before, what,
			 text);
}

void vmc_report_note (struct vmc_disk_report *disk, const char *what, const char *text)
{
	add_note (disk, "", what, text);
}

void vmc_report_left_out (struct vmc_disk_report *disk, const char *what, const char *why)
{
	add_note (disk, "left out: ", what, why);
}

struct vmc_disk_report *vmc_report_add (struct vmc_report *report, const struct vmc_disk *disk)
{
	struct vmc_disk_report *disks = reallocarray (report->disks, report->count + 1, sizeof *disks), *one;

	if (disks == NULL)
		return NULL;
	report->disks = disks;
	one = &disks[report->count++];
	memset (one, 0, sizeof *one);
	memcpy (one->target, disk->target, sizeof one->target);
	memcpy (one->path, disk->path, sizeof one->path);
	memcpy (one->format, disk->format, sizeof one->format);
	memcpy (one->discard, disk->discard, sizeof one->discard);
	one->virtual_bytes = one->used_bytes = one->free_bytes = one->reclaimable_bytes = VMC_UNKNOWN;
	one->allocated_before_bytes = one->allocated_after_bytes = one->reclaimed_bytes = VMC_UNKNOWN;
	one->frozen_ms = one->duration_ms = one->peak_overlay_bytes = VMC_UNKNOWN;
	return one;
}

/* From bad to worse, as a person would see it: a domain that is not at home is the worst. */
static int badness_of_status (int exit_status)
{
	static const int badness[] = {0, 4, 5, 2, 1, 6, 3};

	return badness[exit_status];
}

static int badness (enum vmc_code code)
{
	return badness_of_status (vmc_code_exit_status (code));
}

int vmc_worse_status (int one, int other)
{
	return badness_of_status (one) >= badness_of_status (other) ? one : other;
}

enum vmc_code vmc_report_worst (const struct vmc_report *report, bool *any)
{
	enum vmc_code worst = report->error.code;

	*any = report->failed;
	for (size_t i = 0; i < report->count; i++) {
		if (!report->disks[i].failed)
			continue;
		if (!*any || badness (report->disks[i].error.code) > badness (worst))
			worst = report->disks[i].error.code;
		*any = true;
	}
	return worst;
}

/* --- JSON ------------------------------------------------------------------------------------- */

static struct json_object *disk_json (const struct vmc_disk_report *disk)
{
	struct json_object *object = json_object_new_object ();

	vmc_json_text (object, "target", disk->target[0] ? disk->target : NULL);
	vmc_json_text (object, "path", disk->path);
	vmc_json_text (object, "format", disk->format);
	vmc_json_text (object, "method", disk->method);
	vmc_json_text (object, "reason", disk->reason);
	vmc_json_number (object, "virtual_bytes", disk->virtual_bytes);
	vmc_json_number (object, "free_bytes", disk->free_bytes);
	vmc_json_number (object, "reclaimable_bytes", disk->reclaimable_bytes);
	vmc_json_number (object, "allocated_before_bytes", disk->allocated_before_bytes);
	vmc_json_number (object, "allocated_after_bytes", disk->allocated_after_bytes);
	vmc_json_number (object, "reclaimed_bytes", disk->reclaimed_bytes);
	vmc_json_number (object, "frozen_ms", disk->frozen_ms);
	vmc_json_number (object, "duration_ms", disk->duration_ms);
	vmc_json_number (object, "peak_overlay_bytes", disk->peak_overlay_bytes);
	vmc_json_text (object, "error", disk->failed ? disk->error.text : NULL);
	return object;
}

char *vmc_report_json (const struct vmc_report *report, const struct vmc_options *options)
{
	struct json_object *object = json_object_new_object (), *disks = json_object_new_array ();
	bool any;
	enum vmc_code worst = vmc_report_worst (report, &any);
	const char *text;
	char *line;

	vmc_json_text (object, "domain", options->image ? NULL : report->domain);
	vmc_json_text (object, "uuid", report->uuid[0] ? report->uuid : NULL);
	vmc_json_text (object, "result", any ? vmc_code_name (worst) : "done");
	for (size_t i = 0; i < report->count; i++)
		json_object_array_add (disks, disk_json (&report->disks[i]));
	json_object_object_add (object, "disks", disks);
	text = json_object_to_json_string_ext (object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	line = text ? strdup (text) : NULL;
	json_object_put (object);
	return line;
}

static int print_json (const struct vmc_report *report, const struct vmc_options *options)
{
	char *line = vmc_report_json (report, options);
	int result = line ? puts (line) : -1;

	free (line);
	return result < 0 ? -1 : 0;
}

/* --- the table -------------------------------------------------------------------------------- */

static const char *label (const struct vmc_disk_report *disk)
{
	return disk->target[0] ? disk->target : "image";
}

static void print_row (const struct vmc_disk_report *disk, bool dry_run)
{
	char frozen[32] = "-";

	if (disk->frozen_ms != VMC_UNKNOWN)
		(void) snprintf (frozen, sizeof frozen, "%llu ms", (unsigned long long) disk->frozen_ms);
	(void) printf ("%-5s %-6s", label (disk), disk->method ? disk->method : "-");
	vmc_table_bytes (disk->virtual_bytes, false);
	vmc_table_bytes (disk->used_bytes, false);
	vmc_table_bytes (disk->allocated_before_bytes, false);
	vmc_table_bytes (disk->allocated_after_bytes, false);
	vmc_table_bytes (dry_run ? disk->reclaimable_bytes : disk->reclaimed_bytes, dry_run);
	(void) printf (" %9s\n", frozen);
	vmc_picture_print (&disk->picture);
}

/* The name of the whole: of the domain, or of the file. Escaped. */
static const char *title (const struct vmc_report *report, const struct vmc_options *options)
{
	static char text[VMC_PATH_SIZE];

	if (options->image == NULL)
		return report->domain;
	vmc_text_escape (text, sizeof text, options->image);
	return text;
}

static void print_table (const struct vmc_report *report, const struct vmc_options *options)
{
	bool dry_run = options->dry_run;

	if (report->count == 0)
		return;
	(void) printf ("%s\n", title (report, options));
	(void) printf ("%-5s %-6s %11s %11s %11s %11s %11s %9s\n", "disk", "method", "virtual", "guest uses", "before",
		       "after", dry_run ? "reclaimable" : "reclaimed", "frozen");
	for (size_t i = 0; i < report->count; i++)
		print_row (&report->disks[i], dry_run);
}

static void print_reasons (const struct vmc_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct vmc_disk_report *disk = &report->disks[i];

		if (disk->method != NULL)
			(void) printf ("      %s: %s, because %s\n", label (disk), disk->method, disk->reason);
		else if (disk->reason[0] != 0)
			(void) printf ("      %s: nothing, because %s\n", label (disk), disk->reason);
		if (disk->paused_ms > 0)
			(void) printf ("      %s: the guest was paused for %llu ms in all\n", label (disk),
				       (unsigned long long) disk->paused_ms);
		if (disk->notes[0] != 0)
			(void) printf ("      %s: %s\n", label (disk), disk->notes);
	}
}

static void print_error (const char *domain, const char *target, const struct vmc_error *error)
{
	const char *name = vmc_errno_name (error->errnum);

	if (target != NULL && target[0] == 0)
		target = NULL;
	(void) fprintf (stderr, "vmcompact: %s%s%s%s: %s%s%s%s\n", domain, target ? " (" : "", target ? target : "",
			target ? ")" : "", error->text, *name ? " (" : "", name, *name ? ")" : "");
}

static int print_output (const struct vmc_report *report, const struct vmc_options *options)
{
	if (options->json && print_json (report, options) < 0)
		return -1;
	if (!options->json && !options->quiet && (options->verbose || options->dry_run || isatty (STDOUT_FILENO))) {
		print_table (report, options);
		if (options->verbose || options->dry_run)
			print_reasons (report);
	}
	return fflush (stdout) == 0 ? 0 : -1;
}

int vmc_report_print (const struct vmc_report *report, const struct vmc_options *options)
{
	int result = print_output (report, options); /* if that has no room, the errors may have */

	if (report->failed)
		print_error (title (report, options), NULL, &report->error);
	for (size_t i = 0; i < report->count; i++)
		if (report->disks[i].failed)
			print_error (title (report, options), report->disks[i].target, &report->disks[i].error);
	return result;
}
