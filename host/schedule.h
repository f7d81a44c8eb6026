/* schedule.h - which domain is compacted next in a night, decided from facts; no I/O, no clock of its own
 *
 * Times are seconds since 1970. */
#ifndef VMC_SCHEDULE_H
#define VMC_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VMC_TASK_PLACES_MAX 8

/* One domain. */
struct vmc_task {
	uint64_t reclaimable_bytes;
	uint64_t expected_ms;      /* how long it will take, as far as one can know */
	int64_t opens_s, closes_s; /* it is to be begun not before, and ended by then; closes_s 0: at any time */
	dev_t places[VMC_TASK_PLACES_MAX]; /* the storage that its images lie on */
	size_t place_count;                /* 0: not known */
	bool alone;                        /* nobody else may work on its storage at the same time */
	bool stranded;                     /* an earlier run has left it away from home */
	bool left_out;                     /* besides, nothing more than that is to be done about it */
	bool home_only;                    /* that, or no time for more: set by vmc_schedule_next */
	enum { VMC_TASK_WAITING, VMC_TASK_RUNNING, VMC_TASK_DONE, VMC_TASK_LATE, VMC_TASK_GONE } state;
};

/* The one of COUNT TASKS to begin at NOW_S while at most JOBS are at work: the one with most to give back of those that may begin, will
 * have ended in time, and do not share storage that can serve but one. Those that can no longer end in time become VMC_TASK_LATE. Those
 * that are stranded go before all others, at any time: their images grow until they are home. -1: none now; then *WAKE_S is when the
 * next one may begin, or 0 if that hangs on another one's end, or on nothing. */
int vmc_schedule_next (struct vmc_task *tasks, size_t count, int64_t now_s, unsigned jobs, int64_t *wake_s)
	__attribute__ ((nonnull (5)));

/* The next time after NOW_S that local clocks show MINUTES since midnight. */
int64_t vmc_schedule_at (int64_t now_s, int minutes);

/* When a window of the day from FROM to UNTIL (minutes since midnight; it may span midnight) opens, NOW_S if it is open, and when it
 * closes then. */
void vmc_schedule_window (int64_t now_s, int from, int until, int64_t *opens_s, int64_t *closes_s)
	__attribute__ ((nonnull));

/* How long a run may take: RUNS are the COUNT last ones (0: none), in ms; the first of all copies COPIED_BYTES at a moderate pace. */
uint64_t vmc_schedule_expect (const uint64_t *runs_ms, size_t count, uint64_t copied_bytes) __attribute__ ((nonnull));

#endif
