/* overlay.h - the overlay that takes the guest's writes during a run: made, and brought home again
 *
 * Making it is the first step that changes something; from then on the domain must be brought home: the overlay committed
 * into its base, the domain back on the base, the overlay gone.
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

/* Bring the domain home from whatever state it is in: running on the overlay, with or without a commit at work, shut off
 * meanwhile, gone. Does not end with an interrupt: it is what an interrupt leads to. 0: the disk is on its base, the
 * overlay is gone. VMC_INTERRUPTED: it could not be done, or not surely without loss; the domain is left as it is, with a
 * chain that boots. */
int vmc_overlay_home (struct vmc_overlay *overlay, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Are the XML, live and inactive, what they were before? */
int vmc_overlay_check_xml (const struct vmc_overlay *overlay, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

void vmc_overlay_clear (struct vmc_overlay *overlay) __attribute__ ((nonnull));

#endif
