/* lock.h - one run at a time for a domain, or for a file that belongs to none */
#ifndef VMC_LOCK_H
#define VMC_LOCK_H

#include "image.h"

/* Take the lock for UUID, within WAIT_MS; the descriptor that holds it, to be closed by the caller. The kernel releases it when
 * we die. VMC_BUSY when another run has it. */
int vmc_lock_domain (const char *uuid, unsigned wait_ms, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The same for a file that belongs to no domain, whatever its name. */
int vmc_lock_image (const struct vmc_image *image, unsigned wait_ms, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The same for --all, of which one is at work on a host, */
int vmc_lock_all (unsigned wait_ms, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* and for the file of metrics, which every run writes. */
int vmc_lock_metrics (struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
