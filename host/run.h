/* run.h - one run on one domain, from its name to its report */
#ifndef VMC_RUN_H
#define VMC_RUN_H

#include "connection.h"
#include "options.h"
#include "report.h"

/* Run on the domain NAME, or with --recover only bring it home; everything that happens is in REPORT. */
void vmc_run_domain (struct vmc_connection *connection, const char *name, const struct vmc_options *options,
		     struct vmc_report *report) __attribute__ ((nonnull));

#endif
