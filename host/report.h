/* report.h - what happened to a domain's disks, and how it is told: a table, JSON, sentences */
#ifndef VMC_REPORT_H
#define VMC_REPORT_H

#include <stdbool.h>

#include "domain_xml.h"
#include "options.h"
#include "picture.h"

#define VMC_UNKNOWN UINT64_MAX /* a number that is not known: null in JSON */

/* One disk. Bytes and milliseconds. */
struct vmc_disk_report {
	char target[VMC_NAME_SIZE]; /* empty: a file that belongs to no domain */
	char path[VMC_PATH_SIZE];
	char format[VMC_NAME_SIZE];
	char discard[VMC_NAME_SIZE]; /* as in the XML, or empty */
	const char *method;          /* "trim", "commit", "convert", "zero", or NULL */
	char reason[VMC_TEXT_SIZE];
	uint64_t virtual_bytes, used_bytes, free_bytes, reclaimable_bytes;
	uint64_t allocated_before_bytes, allocated_after_bytes, reclaimed_bytes;
	uint64_t frozen_ms, duration_ms, peak_overlay_bytes;
	uint64_t paused_ms; /* by libvirt, around the pivot; 0: not */
	bool failed;
	struct vmc_error error;
	char notes[VMC_TEXT_SIZE];  /* what was left out, and why, and what else is to be said */
	struct vmc_picture picture; /* on the host still, given back */
};

struct vmc_report {
	char domain[VMC_NAME_SIZE * 4]; /* escaped; empty with --image */
	char uuid[37];
	bool active;
	char agent[VMC_NAME_SIZE * 2]; /* who answers in the guest, and its version; empty: nobody */
	bool failed;                   /* before any disk was looked at */
	struct vmc_error error;
	struct vmc_disk_report *disks;
	size_t count;
};

void vmc_report_clear (struct vmc_report *report) __attribute__ ((nonnull));

/* A new, empty entry for DISK; NULL when memory runs out. It moves when the next one is added. */
struct vmc_disk_report *vmc_report_add (struct vmc_report *report, const struct vmc_disk *disk)
	__attribute__ ((nonnull));

/* Add to the notes of DISK what is to be said about WHAT. What does not fit is cut. */
void vmc_report_note (struct vmc_disk_report *disk, const char *what, const char *text) __attribute__ ((nonnull));

/* The same for WHAT was left alone, and why. */
void vmc_report_left_out (struct vmc_disk_report *disk, const char *what, const char *why) __attribute__ ((nonnull));

/* The worst code of the report; *ANY is false when nothing went wrong. */
enum vmc_code vmc_report_worst (const struct vmc_report *report, bool *any) __attribute__ ((nonnull));

/* The worse one of two exit statuses, as a person would see it. */
int vmc_worse_status (int one, int other);

/* One line of JSON, without a newline, to be freed by the caller; NULL when memory runs out. */
char *vmc_report_json (const struct vmc_report *report, const struct vmc_options *options) __attribute__ ((nonnull));

/* Print what OPTIONS ask for: JSON or a table on the standard output, one sentence for each failure on the standard
 * error stream. -1: it could not be written. */
int vmc_report_print (const struct vmc_report *report, const struct vmc_options *options) __attribute__ ((nonnull));

#endif
