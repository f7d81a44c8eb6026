/* process.h - the one way to run another program */
#ifndef VMC_PROCESS_H
#define VMC_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

/* A running child: in a process group of its own, so that a Ctrl-C on the terminal does not reach it, and killed by the
 * kernel should we die. Owned by the caller, released with vmc_process_end. */
struct vmc_process {
	pid_t pid;     /* 0: none */
	int output_fd; /* its standard output, or -1 */
	int error_fd;  /* its standard error stream (the last words go into an error text) */
	int status;    /* when vmc_process_wait has seen its end: its exit status, or minus the signal that ended it */
	char name[32];
};

#define VMC_CLEANUP_PROCESS __attribute__ ((cleanup (vmc_process_end)))
#define VMC_PROCESS_INIT \
	{ \
		.output_fd = -1, .error_fd = -1 \
	}

/* Start ARGV[0], looked up in PATH. INPUT_FD becomes its standard input (-1: /dev/null). */
int vmc_process_start (struct vmc_process *process, const char *const argv[], int input_fd, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The same with another descriptor, ALSO_FD, which becomes its descriptor 3 (-1: none). */
int vmc_process_start_with (struct vmc_process *process, const char *const argv[], int input_fd, int also_fd,
			    struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* The same for one that moves much data: it is told to keep the memory that it has once asked for. By default, each of its buffers of
 * some hundred KiB is a new mapping, whose pages the kernel clears one by one: half of the time of a copy. */
int vmc_process_start_copier (struct vmc_process *process, const char *const argv[], struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The same for one that goes on should we die. */
int vmc_process_start_survivor (struct vmc_process *process, const char *const argv[], int input_fd,
				struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Start ARGV[0] with our own standard output and error stream. It gets SIGTERM should we die. Reaped with vmc_process_reap; the
 * descriptors of PROCESS are -1. */
int vmc_process_start_run (struct vmc_process *process, const char *const argv[], struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Has it ended? Then it is gone, and STATUS is its exit status, or minus the signal that ended it. Does not wait. */
bool vmc_process_reap (struct vmc_process *process, int *status) __attribute__ ((nonnull, warn_unused_result));

/* Wait for its end, at most until DEADLINE_MS (vmc_now_ms). 0: it ended with status 0. -1: anything else, with its
 * last words in the error; it still runs after a VMC_TIMEOUT. */
int vmc_process_wait (struct vmc_process *process, uint64_t deadline_ms, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Has it ended? Does not wait. */
bool vmc_process_ended (struct vmc_process *process) __attribute__ ((nonnull));

/* Read exactly LENGTH bytes of its output, until DEADLINE_MS (vmc_now_ms). VMC_TIMEOUT, or VMC_FAILED with EPIPE when it has ended
 * before: the text says that of NAME. */
int vmc_process_read (int output_fd, const char *name, void *data, size_t length, uint64_t deadline_ms,
		      struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Connect to the Unix socket PATH that it serves, as soon as it does; a descriptor. -1 also when it ends before. */
int vmc_process_connect (struct vmc_process *process, const char *path, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Kill it if it still runs, reap it, close the descriptors. */
void vmc_process_end (struct vmc_process *process) __attribute__ ((nonnull));

/* Close the descriptors, and let it run. */
void vmc_process_let_go (struct vmc_process *process) __attribute__ ((nonnull));

/* Start, wait, end. */
int vmc_process_run (const char *const argv[], uint64_t deadline_ms, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
