/* orphan.h - a QEMU that runs on although libvirt has lost its domain
 *
 * libvirt 9.0 saves, for some milliseconds of a pivot, a status file that it cannot read: a libvirtd that dies just then takes
 * the domain for one that is off when it is started again. Nobody is connected to QEMU's monitor then.
 */
#ifndef VMC_ORPHAN_H
#define VMC_ORPHAN_H

#include "domain.h"

/* Let the QEMU of DOMAIN, which libvirt has lost, go on. VMC_FAILED: there is none, or it does not answer. */
int vmc_orphan_resume (const struct vmc_domain *domain, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
