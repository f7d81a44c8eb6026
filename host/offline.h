/* offline.h - a disk at rest: of a domain that is switched off, or a file that belongs to no domain */
#ifndef VMC_OFFLINE_H
#define VMC_OFFLINE_H

#include "method.h"

/* All that is done with one disk at rest: facts, plan, method, measure. RUN has no domain handle for a file without a domain. */
int vmc_offline_disk (struct vmc_run *run, const struct vmc_domain_facts *domain, const struct vmc_disk *disk,
		      struct vmc_disk_report *report, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
