/* interrupt.h - Ctrl-C, SIGTERM and SIGHUP: noted, and asked for between steps; and calls that never return
 *
 * These signals never end the program by themselves: every wait looks here, and what was begun is brought home first. */
#ifndef VMC_INTERRUPT_H
#define VMC_INTERRUPT_H

#include <stdbool.h>

#include "error.h"

/* Note signals from now on. */
int vmc_interrupt_setup (struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Was there one? */
bool vmc_interrupted (void);

/* -1 with VMC_CANCELLED if there was one. */
int vmc_interrupt_check (struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* A call begins that cannot be given a deadline and may never return: after VMC_CALL_MAX_S the process ends, with one sentence.
 * What is to be done then is what is to be done after a crash. Main thread only. */
void vmc_deadline_begin (void);
void vmc_deadline_end (void);

#define VMC_CALL_MAX_S 180

/* That sentence names DOMAIN from now on, which is escaped already. */
void vmc_deadline_names (const char *domain) __attribute__ ((nonnull));

/* The exit status of an end by deadline is that of CODE: is there something to recover by now? */
void vmc_deadline_means (enum vmc_code code);

#endif
