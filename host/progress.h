/* progress.h - what a person sees while it works: a bar for each step on a terminal, a line for each step with -v */
#ifndef VMC_PROGRESS_H
#define VMC_PROGRESS_H

#include <stdint.h>

#include "options.h"

/* Decide by OPTIONS and by what the standard error stream is. */
void vmc_progress_setup (const struct vmc_options *options) __attribute__ ((nonnull));

/* A new step begins. Both texts are ours or escaped. */
void vmc_progress_step (const char *target, const char *step) __attribute__ ((nonnull));

/* DONE of TOTAL bytes of the step; TOTAL 0: not known. Cheap: draws at most ten times a second. */
void vmc_progress_show (uint64_t done_bytes, uint64_t total_bytes);

/* Remove the bar, before anything else is printed. */
void vmc_progress_end (void);

#endif
