/* metrics.h - the history of all domains as a file for the textfile collector of Prometheus' node exporter */
#ifndef VMC_METRICS_H
#define VMC_METRICS_H

#include "error.h"

#define VMC_METRICS_FILE "vmcompact.prom"

/* Write DIRECTORY/VMC_METRICS_FILE anew, readable for all. */
int vmc_metrics_write (const char *directory, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* The text of it, to be freed by the caller; NULL: see ERR. */
char *vmc_metrics_text (struct vmc_error *err) __attribute__ ((nonnull));

#endif
