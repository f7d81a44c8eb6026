/* lock.h - one run at a time for a domain */
#ifndef VMC_LOCK_H
#define VMC_LOCK_H

#include "error.h"

/* Take the lock for UUID, within WAIT_MS; the descriptor that holds it, to be closed by the caller. The kernel releases it when
 * we die. VMC_BUSY when another run has it. */
int vmc_lock_domain (const char *uuid, unsigned wait_ms, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
