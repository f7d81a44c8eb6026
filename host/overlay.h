/* overlay.h - the overlay that takes the guest's writes during a run
 *
 * Making it is the first step that changes something; from then on the domain must be brought home (home.h).
 */
#ifndef VMC_OVERLAY_H
#define VMC_OVERLAY_H

#include <stdbool.h>
#include <sys/types.h>

#include "domain.h"

struct vmc_overlay {
	const struct vmc_domain *domain;
	char target[VMC_NAME_SIZE];
	char path[VMC_PATH_SIZE];
	char base[VMC_PATH_SIZE];
	char *inactive_before; /* the domain's XML before the run, and the disk in its live XML */
	char *live_disk_before;
	bool made; /* the file exists: we made it, and this is it: */
	dev_t device;
	ino_t inode;
	bool attempted;      /* libvirt was asked to use it: it may be in use */
	bool used;           /* the domain was seen on it */
	bool committed;      /* all of it is in the base, and nobody has written to it since */
	bool pivot_asked;    /* the base may be newer than the overlay */
	int domain_id;       /* which run of the domain that was */
	uint64_t peak_bytes; /* the most that it took on the host */
};

/* Where the disk is now. */
struct vmc_overlay_state {
	enum { VMC_ON_BASE, VMC_ON_OVERLAY, VMC_ELSEWHERE, VMC_GONE } where; /* the last: there is no such domain */
	bool active;
	int id;         /* of this run of the domain */
	bool job;       /* a commit of the overlay into the base is at work */
	bool ready;     /* and can be pivoted */
	bool other_job; /* another block job is */
};

/* Look up where the disk is, from libvirt's XML. */
int vmc_overlay_look (const struct vmc_overlay *overlay, struct vmc_overlay_state *state, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Note how large the overlay has become. */
void vmc_overlay_measure (struct vmc_overlay *overlay) __attribute__ ((nonnull));

/* Note what there is before, and make the empty overlay PATH for a disk of VIRTUAL_BYTES, with the owner of the base. The
 * domain does not know of it yet. VMC_REFUSED when something is there already. */
int vmc_overlay_prepare (const struct vmc_domain *domain, const struct vmc_disk *disk, const char *path,
			 uint64_t virtual_bytes, struct vmc_overlay *overlay, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Redirect the disk to the overlay; the other disks in DISKS stay as they are. 0: the domain writes to it now. */
int vmc_overlay_create (struct vmc_overlay *overlay, const struct vmc_disks *disks, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Does the domain still write to the overlay, so that the base is at rest? VMC_FAILED if not. */
int vmc_overlay_check (struct vmc_overlay *overlay, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Are the XML, live and inactive, what they were before? */
int vmc_overlay_check_xml (const struct vmc_overlay *overlay, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

void vmc_overlay_clear (struct vmc_overlay *overlay) __attribute__ ((nonnull));

#endif
