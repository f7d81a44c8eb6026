/* history.h - how the last runs on a domain went: kept on the host for the status, the metrics and the plan of a night
 *
 * One file for each domain, below VMC_HISTORY_DIRECTORY. Nothing that is done to a disk rests on it: one that is lost or damaged is
 * begun anew. */
#ifndef VMC_HISTORY_H
#define VMC_HISTORY_H

#include "report.h"

#define VMC_HISTORY_DIRECTORY VMC_STATE_DIRECTORY "/history"
#define VMC_HISTORY_RUNS 5

/* Of one disk, by its last run; bytes, milliseconds, and seconds since 1970. VMC_UNKNOWN: not known. */
struct vmc_history_disk {
	char target[VMC_NAME_SIZE]; /* empty: the run failed before any disk was looked at */
	char method[VMC_NAME_SIZE];
	char result[VMC_NAME_SIZE]; /* "done", or the name of a vmc_code */
	uint64_t time_s, success_s; /* of the last run; of the last one that went well */
	uint64_t duration_ms, frozen_ms;
	uint64_t virtual_bytes, allocated_bytes, reclaimable_bytes, reclaimed_bytes;
	uint64_t reclaimed_total_bytes; /* by all runs */
};

struct vmc_history {
	char domain[VMC_NAME_SIZE * 4]; /* escaped */
	char uuid[37];
	uint64_t runs_ms
		[VMC_HISTORY_RUNS]; /* how long the last runs on the domain took that went well, newest first; 0: none */
	struct vmc_history_disk *disks;
	size_t count;
};

#define VMC_CLEANUP_HISTORY __attribute__ ((cleanup (vmc_history_clear)))

void vmc_history_clear (struct vmc_history *history) __attribute__ ((nonnull));

/* Read that of the domain UUID. HISTORY is empty where there is none, and for one that is damaged. */
void vmc_history_read (const char *uuid, struct vmc_history *history) __attribute__ ((nonnull));

/* The disk TARGET of it, or NULL. */
const struct vmc_history_disk *vmc_history_find (const struct vmc_history *history, const char *target)
	__attribute__ ((nonnull));

/* Add a run that REPORT tells of, and that took DURATION_MS in all. */
int vmc_history_note (const struct vmc_report *report, uint64_t duration_ms, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Call EACH with the history of every domain. */
int vmc_history_list (void (*each) (void *opaque, const struct vmc_history *history), void *opaque,
		      struct vmc_error *err) __attribute__ ((nonnull (1, 3), warn_unused_result));

/* Forget the domain UUID. */
void vmc_history_forget (const char *uuid) __attribute__ ((nonnull));

/* The last --all that came to its end: when, and with which exit status. */
int vmc_history_note_all (int exit_status, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* False: there was none. */
bool vmc_history_read_all (uint64_t *time_s, int *exit_status) __attribute__ ((nonnull));

#endif
