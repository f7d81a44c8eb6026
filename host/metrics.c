/* metrics.c - see metrics.h
 *
 * The text format of Prometheus: for each metric its help, its type, and a line for each disk. No line has a time of its own, and
 * none is there twice: the collector refuses files that do. So of two domains that have had the same name, the one that ran last
 * counts. A number that is not known has no line.
 */
#include "metrics.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "history.h"
#include "lock.h"

static const struct metric {
	const char *name, *type, *help;
	size_t offset;  /* in struct vmc_history_disk */
	double divisor; /* from its unit to that of the metric */
} metrics[] = {
	{"duration_seconds", "gauge", "How long the last run on the disk took.",
	 offsetof (struct vmc_history_disk, duration_ms), 1000},
	{"frozen_seconds", "gauge", "How long the guest's filesystems were frozen in the last run.",
	 offsetof (struct vmc_history_disk, frozen_ms), 1000},
	{"reclaimed_bytes", "gauge", "What the last run gave back to the host.",
	 offsetof (struct vmc_history_disk, reclaimed_bytes), 1},
	{"reclaimed_bytes_total", "counter", "What all runs have given back to the host.",
	 offsetof (struct vmc_history_disk, reclaimed_total_bytes), 1},
	{"reclaimable_bytes", "gauge", "What the last run found free in the guest and allocated on the host.",
	 offsetof (struct vmc_history_disk, reclaimable_bytes), 1},
	{"allocated_bytes", "gauge", "What the image took on the host after the last run.",
	 offsetof (struct vmc_history_disk, allocated_bytes), 1},
	{"virtual_bytes", "gauge", "The size of the disk as the guest sees it.",
	 offsetof (struct vmc_history_disk, virtual_bytes), 1},
	{"last_run_timestamp_seconds", "gauge", "When the last run on the disk ended.",
	 offsetof (struct vmc_history_disk, time_s), 1},
	{"last_success_timestamp_seconds", "gauge", "When the last run on the disk that went well ended.",
	 offsetof (struct vmc_history_disk, success_s), 1},
};
#define N_METRICS (sizeof metrics / sizeof metrics[0])

/* One disk of one domain. */
struct row {
	char domain[VMC_NAME_SIZE * 4];
	struct vmc_history_disk disk;
};

struct rows {
	struct row *items;
	size_t count;
	bool incomplete; /* there was no memory */
};

/* --- rows ------------------------------------------------------------------------------------- */

static void add_rows (void *opaque, const struct vmc_history *history)
{
	struct rows *rows = opaque;
	struct row *items = reallocarray (rows->items, rows->count + history->count + 1, sizeof *items);

	if (items == NULL) {
		rows->incomplete = true;
		return;
	}
	rows->items = items;
	for (size_t i = 0; i < history->count; i++) {
		struct row *row = &items[rows->count++];

		(void) snprintf (row->domain, sizeof row->domain, "%s", history->domain);
		row->disk = history->disks[i];
	}
}

static bool are_same (const struct row *one, const struct row *other)
{
	return strcmp (one->domain, other->domain) == 0 && strcmp (one->disk.target, other->disk.target) == 0;
}

/* By domain and disk; the younger one first. */
static int compare (const void *one_row, const void *other_row)
{
	const struct row *one = one_row, *other = other_row;
	int result = strcmp (one->domain, other->domain);

	if (result == 0)
		result = strcmp (one->disk.target, other->disk.target);
	if (result == 0)
		result = (one->disk.time_s < other->disk.time_s) - (one->disk.time_s > other->disk.time_s);
	return result;
}

static int read_rows (struct rows *rows, struct vmc_error *err)
{
	size_t kept = 0;

	if (vmc_history_list (add_rows, rows, err) < 0)
		return -1;
	if (rows->incomplete)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the metrics");
	if (rows->count > 0)
		qsort (rows->items, rows->count, sizeof *rows->items, compare);
	for (size_t i = 0; i < rows->count; i++)
		if (i == 0 || !are_same (&rows->items[kept - 1], &rows->items[i]))
			rows->items[kept++] = rows->items[i];
	rows->count = kept;
	return 0;
}

/* --- text ------------------------------------------------------------------------------------- */

static void print_label (FILE *out, const char *value)
{
	for (; *value != 0; value++) {
		if (*value == '\\' || *value == '"')
			(void) fputc ('\\', out);
		(void) fputs (*value == '\n' ? "\\n" : (const char[]) {*value, 0}, out);
	}
}

static void print_line (FILE *out, const char *name, const struct row *row, double value)
{
	(void) fprintf (out, "vmcompact_%s{domain=\"", name);
	print_label (out, row->domain);
	(void) fprintf (out, "\",disk=\"");
	print_label (out, row->disk.target);
	(void) fprintf (out, "\"} %.15g\n", value);
}

static void print_head (FILE *out, const char *name, const char *type, const char *help)
{
	(void) fprintf (out, "# HELP vmcompact_%s %s\n# TYPE vmcompact_%s %s\n", name, help, name, type);
}

static void print_all (FILE *out)
{
	uint64_t time_s;
	int exit_status;

	if (!vmc_history_read_all (&time_s, &exit_status))
		return;
	print_head (out, "all_timestamp_seconds", "gauge", "When the last vmcompact --all came to its end.");
	(void) fprintf (out, "vmcompact_all_timestamp_seconds %llu\n", (unsigned long long) time_s);
	print_head (out, "all_exit_status", "gauge", "The exit status of that: 0 if all went well.");
	(void) fprintf (out, "vmcompact_all_exit_status %d\n", exit_status);
}

static void print_metric (FILE *out, const struct metric *metric, const struct rows *rows)
{
	print_head (out, metric->name, metric->type, metric->help);
	for (size_t i = 0; i < rows->count; i++) {
		const struct row *row = &rows->items[i];
		uint64_t value = *(const uint64_t *) ((const char *) &row->disk + metric->offset);

		if (value != VMC_UNKNOWN)
			print_line (out, metric->name, row, (double) value / metric->divisor);
	}
}

static void print_disks (FILE *out, const struct rows *rows)
{
	print_head (out, "success", "gauge", "1 if the last run on the disk went well, else 0.");
	for (size_t i = 0; i < rows->count; i++)
		print_line (out, "success", &rows->items[i], strcmp (rows->items[i].disk.result, "done") == 0);
	for (size_t i = 0; i < N_METRICS; i++)
		print_metric (out, &metrics[i], rows);
}

static char *print_text (const struct rows *rows, struct vmc_error *err)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream (&text, &length);

	if (out != NULL) {
		print_disks (out, rows);
		print_all (out);
	}
	if (out != NULL && fclose (out) == 0)
		return text;
	(void) vmc_fail (err, VMC_FAILED, errno, "no memory for the metrics");
	free (text);
	return NULL;
}

char *vmc_metrics_text (struct vmc_error *err)
{
	struct rows rows = {0};
	char *text = read_rows (&rows, err) == 0 ? print_text (&rows, err) : NULL;

	free (rows.items);
	return text;
}

int vmc_metrics_write (const char *directory, struct vmc_error *err)
{
	char path[VMC_PATH_SIZE], *text;
	int lock = vmc_lock_metrics (err), result;

	if (lock < 0)
		return -1;
	(void) snprintf (path, sizeof path, "%s/" VMC_METRICS_FILE, directory);
	text = vmc_metrics_text (err);
	result = text ? vmc_file_replace (path, text, 0644, err) : -1;
	free (text);
	(void) close (lock);
	return result;
}
