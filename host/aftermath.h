/* aftermath.h - what a run leaves for others to see: history, metrics, the system's log, and a command on failure */
#ifndef VMC_AFTERMATH_H
#define VMC_AFTERMATH_H

#include "options.h"
#include "report.h"

/* Tell everybody about the run on a domain that took DURATION_MS. -1: something that was asked for could not be done; what was done to
 * the domain is not touched by that. */
int vmc_aftermath (const struct vmc_report *report, const struct vmc_options *options, uint64_t duration_ms,
		   struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
