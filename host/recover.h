/* recover.h - what a run that was killed has left: found, and brought home */
#ifndef VMC_RECOVER_H
#define VMC_RECOVER_H

#include "domain.h"

/* Find the domain NAME also when libvirt does not know it any more but a journal does: then its handle is NULL. */
int vmc_recover_find (struct vmc_connection *connection, const char *name, struct vmc_domain *domain,
		      struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Is anything left on DOMAIN of a run that was killed? 1: yes. */
int vmc_recover_pending (struct vmc_domain *domain, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Bring DOMAIN home, if anything is left; with its lock held. As vmc_home. */
int vmc_recover_domain (struct vmc_domain *domain, unsigned pause_max_ms, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Call EACH with the UUID of every domain that has a journal or runs on an overlay of ours. */
int vmc_recover_list (struct vmc_connection *connection, void (*each) (void *opaque, const char *uuid), void *opaque,
		      struct vmc_error *err) __attribute__ ((nonnull (1, 2, 4), warn_unused_result));

#endif
