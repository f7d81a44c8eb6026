/* qmp.h - a few questions to QEMU itself, through libvirt, for what libvirt does not know
 *
 * Only for a domain that libvirt knows wrongly: libvirt marks it as tainted by this until it is started anew.
 */
#ifndef VMC_QMP_H
#define VMC_QMP_H

#include "domain.h"

/* Where QEMU has a disk, whatever libvirt says. */
struct vmc_qmp_disk {
	char top[VMC_NAME_SIZE];  /* the node that the guest's device writes to, if it is the overlay; or empty */
	char base[VMC_NAME_SIZE]; /* the node of the base, or empty */
};

/* Look for the nodes whose files are OVERLAY and BASE. */
int vmc_qmp_find_disk (const struct vmc_domain *domain, const char *overlay, const char *base,
		       struct vmc_qmp_disk *disk, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Start an active commit of the node TOP into the node BASE, as the job JOB. */
int vmc_qmp_commit (const struct vmc_domain *domain, const char *job, const struct vmc_qmp_disk *disk,
		    struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* How far is JOB? 0: there is none; 1: it is at work; 2: it is ready. */
int vmc_qmp_job (const struct vmc_domain *domain, const char *job, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Let JOB, which is ready, move the device to the base. */
int vmc_qmp_complete (const struct vmc_domain *domain, const char *job, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* End JOB; the device stays where it is. */
int vmc_qmp_cancel (const struct vmc_domain *domain, const char *job, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Close every node over the file PATH, which nothing uses any more; how many there were. */
int vmc_qmp_close (const struct vmc_domain *domain, const char *path, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
