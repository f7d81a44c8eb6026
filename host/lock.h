/* lock.h - one run at a time for a domain */
#ifndef VMC_LOCK_H
#define VMC_LOCK_H

#include "error.h"

/* Take the lock for UUID; the descriptor that holds it, to be closed by the caller. The kernel releases it when we die.
 * VMC_BUSY at once when another run has it. */
int vmc_lock_domain (const char *uuid, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* The directory for locks and sockets, made if need be; root's alone. */
const char *vmc_run_directory (struct vmc_error *err) __attribute__ ((nonnull));

#endif
