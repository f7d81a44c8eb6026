/* offline.h - a disk at rest: of a domain that is switched off, or a file that belongs to no domain */
#ifndef VMC_OFFLINE_H
#define VMC_OFFLINE_H

#include "guard.h"
#include "method.h"
#include "reader.h"

/* An image that nobody can write to, and what is free in it. */
struct vmc_offline {
	struct vmc_run *run;
	const struct vmc_disk_facts *facts;
	struct vmc_disk_report *report;
	struct vmc_guard guard;
	char name[64]; /* no other run has it now: for sockets */
	struct vmc_reading reading;
	struct vmc_extents free; /* of the virtual disk */
};

/* All that is done with one disk at rest: facts, plan, method, measure. RUN has no domain handle for a file without a domain. */
int vmc_offline_disk (struct vmc_run *run, const struct vmc_domain_facts *domain, const struct vmc_disk *disk,
		      struct vmc_disk_report *report, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The step NAME is next: -1 when the run is to end. */
int vmc_offline_step (const struct vmc_offline *offline, const char *name, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
