/* home.h - the way home: the overlay committed into its base, the domain back on the base, overlay and journal gone */
#ifndef VMC_HOME_H
#define VMC_HOME_H

#include "overlay.h"

/* Bring the domain home from whatever state it is in: running on the overlay, with or without a commit at work, shut off
 * meanwhile, gone. The guest is paused for a moment, for PAUSE_MAX_MS at most. Does not end with an interrupt: it is what an
 * interrupt leads to. 0: the disk is on its base, the overlay is gone. VMC_INTERRUPTED: it could not be done, or not surely
 * without loss; the domain is left as it is, with a chain that boots. */
int vmc_home (struct vmc_overlay *overlay, unsigned pause_max_ms, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Only let the guest go on if the run of JOURNAL has paused it, and write down where it is. 0 also when there is nothing to
 * do. */
int vmc_home_go_on (struct vmc_domain *domain, struct vmc_journal *journal, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
