/* trim.h - FITRIM in a worker, in slices, with progress */
#ifndef VMC_TRIM_H
#define VMC_TRIM_H

#include "worker.h"

struct vmc_trim_job {
	int fd;              /* an open directory of the filesystem */
	uint64_t size_bytes; /* of its device */
	uint64_t minimum_bytes;
	bool force;
};

/* A vmc_worker_main; ARGUMENT is a struct vmc_trim_job. Ends with VMC_REPORT_DONE (value: bytes that the kernel says it
 * trimmed) or VMC_REPORT_FAILED. FITRIM ends early on a fatal signal, so a kill cancels it. */
void vmc_trim_worker (int fd, void *argument);

#endif
