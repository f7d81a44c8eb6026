/* domain.h - a libvirt domain and what libvirt knows about it */
#ifndef VMC_DOMAIN_H
#define VMC_DOMAIN_H

#include "connection.h"
#include "domain_xml.h"
#include "facts.h"

struct vmc_domain {
	struct vmc_connection *connection; /* borrowed */
	virDomainPtr handle;
	char name[VMC_NAME_SIZE * 4]; /* escaped */
	char uuid[VIR_UUID_STRING_BUFLEN];
};

void vmc_domain_clear (struct vmc_domain *domain) __attribute__ ((nonnull));

/* Find NAME: an id, a UUID or a name, as virsh does. */
int vmc_domain_find (struct vmc_connection *connection, const char *name, struct vmc_domain *domain,
		     struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Connect anew and find it again if the daemon went away. It may have been undefined meanwhile: then its handle is NULL. */
int vmc_domain_revive (struct vmc_domain *domain, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Its state and reason (virDomainState). */
int vmc_domain_state (const struct vmc_domain *domain, int *state, int *reason, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Was it simply switched off, so that nobody will go on with its memory over its disks? 1: yes; 0: it runs, or it was saved, moved,
 * or brought back to a snapshot. After a restart of the host or of libvirtd, libvirt knows of managed saves only. */
int vmc_domain_switched_off (const struct vmc_domain *domain, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Let it run if it is paused for REASON (virDomainPausedReason); otherwise leave it as it is. */
int vmc_domain_resume (const struct vmc_domain *domain, int reason, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Its XML, live or as it will be at the next start; to be freed by the caller. NULL: see ERR. */
char *vmc_domain_xml (virDomainPtr handle, bool inactive, struct vmc_error *err) __attribute__ ((nonnull));

/* Have XML count from the domain's next start on, and libvirt save it. VMC_FAILED if it does not. */
int vmc_domain_define (const struct vmc_domain *domain, const char *xml, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The disks of its XML: the live one while it runs, else that of its next start. What is in DISKS is released first; the caller
 * releases it with vmc_disks_clear, whatever is returned. */
int vmc_domain_disks (const struct vmc_domain *domain, struct vmc_disks *disks, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Fill all of FACTS but the agent. */
int vmc_domain_facts (const struct vmc_domain *domain, struct vmc_domain_facts *facts, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Look through all domains of the connection for one, other than DOMAIN, that uses the file of IMAGE as a disk or a backing
 * file; and through the disks of DOMAIN itself but TARGET. A DOMAIN without a UUID is none: it has only the connection. USER gets
 * its name, escaped, or nothing. */
int vmc_domain_other_user (const struct vmc_domain *domain, const char *target, const struct vmc_image *image,
			   char *user, size_t size, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
