/* worker.h - one forked child for what can block: FITRIM, zeroing, FIFREEZE, sync
 *
 * The agent's only thread must always be able to answer "cancel" and "ping" and to keep a deadline, so everything that
 * may wait for a disk runs here. Child and parent talk over a socket pair that keeps message borders; when either
 * dies, the other sees the end of the file.
 */
#ifndef VMC_WORKER_H
#define VMC_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "extent.h"

/* Ranges in one report: 16 KiB, well below the socket's buffer. */
#define VMC_REPORT_RANGES 1024

struct vmc_report {
	enum vmc_report_kind {
		VMC_REPORT_PROGRESS,    /* done_bytes, total_bytes */
		VMC_REPORT_RANGES_PART, /* ranges */
		VMC_REPORT_FROZEN,      /* flag: the map is complete */
		VMC_REPORT_DONE,        /* value; flag, or zero_bytes */
		VMC_REPORT_FAILED,      /* error */
	} kind;
	uint64_t done_bytes, total_bytes, value, zero_bytes;
	bool flag;
	struct vmc_error error;
	uint32_t count;
	struct vmc_extent ranges[VMC_REPORT_RANGES];
};

struct vmc_worker {
	pid_t pid;     /* 0: no worker */
	int fd;        /* our end of the pair */
	pid_t leaving; /* a worker that was let go and is not dead yet; 0: none */
};

/* What runs in the child: reports on FD and returns; the child exits then. */
typedef void vmc_worker_main (int fd, void *argument);

/* Fork a child that runs MAIN. -1: it could not be started. */
int vmc_worker_start (struct vmc_worker *worker, vmc_worker_main *main, void *argument, struct vmc_error *err)
	__attribute__ ((nonnull (1, 2, 4), warn_unused_result));

/* Child: send a report (only as many bytes as its kind needs). False when the parent is gone. */
bool vmc_worker_report (int fd, const struct vmc_report *report) __attribute__ ((nonnull));

/* Parent: receive a report without waiting. 1: got one; 0: none yet; -1: the child is gone. */
int vmc_worker_receive (struct vmc_worker *worker, struct vmc_report *report) __attribute__ ((nonnull));

/* Parent: let the child go: close the pair, kill it if KILL_IT, and reap it if it dies within a moment. One that is in the
 * middle of a system call may take longer: vmc_worker_gone. True when it is dead. */
bool vmc_worker_end (struct vmc_worker *worker, bool kill_it) __attribute__ ((nonnull));

/* Parent: is the worker that was let go dead? Does not wait. */
bool vmc_worker_gone (struct vmc_worker *worker) __attribute__ ((nonnull));

#endif
