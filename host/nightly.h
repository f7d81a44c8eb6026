/* nightly.h - what a guest's own metadata in libvirt say about --all
 *
 *     virsh metadata GUEST --uri urn:vmcompact:domain:1 --key vmcompact --set '<nightly skip="yes"/>' --config --live
 *
 * Whoever cares for a guest says there when, how and whether it is compacted at night; it goes where the guest goes. */
#ifndef VMC_NIGHTLY_H
#define VMC_NIGHTLY_H

#include <libvirt/libvirt.h>

#include "options.h"

#define VMC_NIGHTLY_URI "urn:vmcompact:domain:1"

struct vmc_nightly {
	bool skip;
	bool method_known;
	enum vmc_method_choice method;
	bool min_reclaim_known;
	uint64_t min_reclaim_bytes;
	int from_minutes, until_minutes; /* since midnight, local time; both -1: at any time */
};

/* Read the metadata of DOMAIN; without any, all is left open. VMC_USAGE for what makes no sense. */
int vmc_nightly_read (virDomainPtr domain, struct vmc_nightly *nightly, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The same from its XML. */
int vmc_nightly_parse (const char *xml, struct vmc_nightly *nightly, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
