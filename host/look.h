/* look.h - the facts about a disk of a domain, gathered: from libvirt, the image, and who answers in the guest */
#ifndef VMC_LOOK_H
#define VMC_LOOK_H

#include "facts.h"
#include "method.h"

/* All that FACTS refers to. */
struct vmc_look {
	struct vmc_domain_facts domain;
	struct vmc_filesystems_result filesystems;
	struct vmc_disk_facts facts; /* of the run's options only "zero" is in it */
};

#define VMC_CLEANUP_LOOK __attribute__ ((cleanup (vmc_look_clear)))

void vmc_look_clear (struct vmc_look *look) __attribute__ ((nonnull));

/* Greet the agent of a running domain: RUN gets it, or why there is none. */
void vmc_look_for_agent (struct vmc_run *run) __attribute__ ((nonnull));

/* Look at DISK, one of the run's, and fill LOOK, which must not be moved, and what REPORT has of it. Of a domain that is off, or of what
 * is no disk, it gathers the domain's part only. LOOK is to be cleared whatever is returned. */
int vmc_look (struct vmc_run *run, const struct vmc_disk *disk, struct vmc_look *look, struct vmc_disk_report *report,
	      struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
