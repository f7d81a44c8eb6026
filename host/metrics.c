/* metrics.c - see metrics.h
 *
 * The text format of Prometheus: for each metric its help, its type, and a line for each disk. No line has a time of its own: the
 * collector refuses files that do. A number that is not known has no line.
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

/* One metric of all disks. */
struct page {
	FILE *out;
	const struct metric *metric; /* NULL: success */
};

static void print_label (FILE *out, const char *value)
{
	for (; *value != 0; value++) {
		if (*value == '\\' || *value == '"')
			(void) fputc ('\\', out);
		(void) fputs (*value == '\n' ? "\\n" : (const char[]) {*value, 0}, out);
	}
}

static void print_line (FILE *out, const char *name, const struct vmc_history *history,
			const struct vmc_history_disk *disk, double value)
{
	(void) fprintf (out, "vmcompact_%s{domain=\"", name);
	print_label (out, history->domain);
	(void) fprintf (out, "\",disk=\"");
	print_label (out, disk->target);
	(void) fprintf (out, "\"} %.15g\n", value);
}

static void print_domain (void *opaque, const struct vmc_history *history)
{
	const struct page *page = opaque;

	for (size_t i = 0; i < history->count; i++) {
		const struct vmc_history_disk *disk = &history->disks[i];
		uint64_t value;

		if (page->metric == NULL) {
			print_line (page->out, "success", history, disk, strcmp (disk->result, "done") == 0);
			continue;
		}
		value = *(const uint64_t *) ((const char *) disk + page->metric->offset);
		if (value != VMC_UNKNOWN)
			print_line (page->out, page->metric->name, history, disk,
				    (double) value / page->metric->divisor);
	}
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

static int print_disks (FILE *out, struct vmc_error *err)
{
	struct page page = {.out = out};

	print_head (out, "success", "gauge", "1 if the last run on the disk went well, else 0.");
	if (vmc_history_list (print_domain, &page, err) < 0)
		return -1;
	for (size_t i = 0; i < N_METRICS; i++) {
		page.metric = &metrics[i];
		print_head (out, page.metric->name, page.metric->type, page.metric->help);
		if (vmc_history_list (print_domain, &page, err) < 0)
			return -1;
	}
	return 0;
}

char *vmc_metrics_text (struct vmc_error *err)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream (&text, &length);
	int result;

	if (out == NULL) {
		(void) vmc_fail (err, VMC_FAILED, errno, "no memory for the metrics");
		return NULL;
	}
	result = print_disks (out, err);
	print_all (out);
	if (fclose (out) != 0 && result == 0)
		result = vmc_fail (err, VMC_FAILED, errno, "no memory for the metrics");
	if (result == 0)
		return text;
	free (text);
	return NULL;
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
