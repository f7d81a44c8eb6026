/* interrupt.h - Ctrl-C, SIGTERM and SIGHUP: noted, and asked for between steps
 *
 * A signal never ends the program by itself: every wait looks here, and what was begun is brought home first. */
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

#endif
