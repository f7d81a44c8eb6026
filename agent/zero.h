/* zero.h - free space of a filesystem filled with zeros, in a worker, in slices, with progress */
#ifndef VMC_ZERO_H
#define VMC_ZERO_H

#include <sys/types.h>

#include "worker.h"

struct vmc_zero_job {
	int fd;       /* an open directory of the filesystem */
	dev_t device; /* that it lies on */
	char type[VMC_NAME_SIZE];
	uint64_t reserve_bytes;    /* that must stay available; 0: the default (bounds.h) */
	uint64_t rate_bytes_per_s; /* 0: as fast as it goes */
};

/* A vmc_worker_main; ARGUMENT is a struct vmc_zero_job. Ends with VMC_REPORT_DONE (value: bytes that were zeroed;
 * zero_bytes: bytes that were found to be zero) or VMC_REPORT_FAILED. What it has reserved is free again before it reports,
 * and as soon as it dies. That there is no room above the reserve is no failure. */
void vmc_zero_worker (int fd, void *argument);

#endif
