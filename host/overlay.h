/* overlay.h - the overlay that takes the guest's writes during a run
 *
 * Making it is the first step that changes something; from then on there is a journal, and the domain must be brought home
 * (home.h).
 */
#ifndef VMC_OVERLAY_H
#define VMC_OVERLAY_H

#include <stdbool.h>

#include "domain.h"
#include "journal.h"

/* What the name of an overlay ends with, and what the second one has behind that. */
#define VMC_OVERLAY_SUFFIX ".vmcompact-overlay"
#define VMC_OVERLAY_SECOND "2"

struct vmc_overlay {
	struct vmc_domain *domain;
	struct vmc_journal journal;       /* of this run, or found from one that was killed */
	char *live_xml_before;            /* NULL: not known */
	struct vmc_error why_not_forward; /* why it has not taken it */
	bool defined;                     /* the XML of the next start was put on an overlay by us, not by libvirt */
	bool forward;                     /* the new image is to take the place of the base (new_image.h) */
	uint64_t bandwidth_bytes_per_s;   /* of commits and copies; 0: no limit */
	uint64_t paused_ms;               /* how long the guest was paused for it */
	uint64_t peak_bytes;              /* the most that it took on the host */
};

/* Where the disk is now. */
struct vmc_overlay_state {
	enum {
		VMC_ON_BASE,
		VMC_ON_OVERLAY,
		VMC_ON_NEXT,   /* on the next overlay, or still on the one before */
		VMC_BURIED,    /* somebody has put another overlay on ours */
		VMC_UNCOVERED, /* the same, but ours is no longer between it and the base */
		VMC_FORGOTTEN, /* libvirt says on the overlay, but QEMU writes to the base or the next: it was moved */
		VMC_UNNOTICED, /* libvirt says on the base, but QEMU writes to the overlay */
		VMC_ELSEWHERE, /* somebody has changed the disk */
		VMC_GONE       /* there is no such domain */
	} where;
	bool active;
	bool orphan;                    /* libvirt says that it is off, but a QEMU has one of the files open */
	bool on_target;                 /* QEMU writes to where it is to be moved, and no longer to the overlay */
	bool job;                       /* a commit of the overlay into the base is at work, or: */
	bool copy;                      /* a copy of the overlay to the next one */
	bool stray_copy;                /* a copy to the next one of what somebody else has put on the overlay */
	bool ready;                     /* and the domain can be moved */
	bool moving;                    /* and it is being moved */
	bool any_job, other_job;        /* a block job is at work, one that is not ours */
	bool lost_job;                  /* a commit that libvirt does not have in its XML */
	bool below_job;                 /* a commit below the top layer is at work: no pivot at its end */
	uint64_t done_bytes, all_bytes; /* of the job */
};

/* Look up where the disk is, from libvirt's XML. */
int vmc_overlay_look (const struct vmc_overlay *overlay, struct vmc_overlay_state *state, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* What XML alone says of it, the live one if STATE->active says so. Whether there is a job, and how far it is, was asked before
 * and stays. Never VMC_UNNOTICED or VMC_GONE. */
int vmc_overlay_look_in (const struct vmc_journal *journal, const char *xml, struct vmc_overlay_state *state,
			 struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Note how large the overlay has become. */
void vmc_overlay_measure (struct vmc_overlay *overlay) __attribute__ ((nonnull));

/* Write down what there is before, and make the empty overlay PATH for a disk of VIRTUAL_BYTES, with the owner of the base. The
 * domain does not know of it yet. VMC_REFUSED when something is there already. */
int vmc_overlay_prepare (struct vmc_domain *domain, const struct vmc_disk *disk, const char *path,
			 uint64_t virtual_bytes, struct vmc_overlay *overlay, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Redirect the disk to the overlay; the other disks in DISKS stay as they are. 0: the domain writes to it now. */
int vmc_overlay_create (struct vmc_overlay *overlay, const struct vmc_disks *disks, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Have libvirt's XML that names the overlay on the disk, before the guest writes to it. */
int vmc_overlay_settle (struct vmc_overlay *overlay, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Make the next overlay, over the new image or, if the overlay is over that, over the base. Nobody uses it yet. Its name is in the
 * journal before it is made. */
int vmc_overlay_prepare_next (struct vmc_overlay *overlay, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The domain is on the next overlay: from now on that one counts; the one before has its place, to be removed. */
void vmc_overlay_adopt_next (struct vmc_overlay *overlay) __attribute__ ((nonnull));

/* The name of the overlay that comes after OVERLAY, into a buffer of VMC_PATH_SIZE. False: it does not fit. */
bool vmc_overlay_next_name (const char *overlay, char *next) __attribute__ ((nonnull, warn_unused_result));

/* Does the domain still write to the overlay, so that the base is at rest? VMC_FAILED if not. */
int vmc_overlay_check (struct vmc_overlay *overlay, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Write down that STEP is next. */
int vmc_overlay_step (struct vmc_overlay *overlay, enum vmc_journal_step step, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The same where a failure does not matter; there is no step back from VMC_STEP_ON_BASE. */
void vmc_overlay_note (struct vmc_overlay *overlay, enum vmc_journal_step step) __attribute__ ((nonnull));

/* Has nobody ever written to it? */
bool vmc_overlay_unused (const struct vmc_overlay *overlay) __attribute__ ((nonnull));

/* BEFORE, an XML from before the run, as it is to be now: with another format if the new image is in place. To be freed by the
 * caller; NULL: no memory. */
char *vmc_overlay_wanted_xml (const struct vmc_overlay *overlay, const char *before) __attribute__ ((nonnull (1)));

/* The path of the disk, live or at the next start, into a buffer of VMC_PATH_SIZE; empty: there is no such disk. */
int vmc_overlay_find_path (const struct vmc_overlay *overlay, bool inactive, char *path, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Have the domain's next start on the disk that it had before the run, of another format if the new image is in place. */
int vmc_overlay_define_wanted (const struct vmc_overlay *overlay, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Are the XML, live and inactive, what they are to be? */
int vmc_overlay_check_xml (const struct vmc_overlay *overlay, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

void vmc_overlay_clear (struct vmc_overlay *overlay) __attribute__ ((nonnull));

#endif
