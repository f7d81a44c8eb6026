/* pause.h - a guest that stands still for a moment, and is certain to go on
 *
 * Two moments need it: the start of a commit by a QEMU that loses what is written just then, and the move from the overlay to
 * the base. While the guest stands still in the move, overlay and base say the same, so that a crash leaves nothing to choose
 * wrongly; it goes on when the journal, or the XML that libvirt has saved, says which of the two counts.
 *
 * A second process, the keeper, is there before the guest is paused. It resumes the guest when we die, or are stuck for too
 * long; while libvirtd is away it goes on trying, for a day.
 */
#ifndef VMC_PAUSE_H
#define VMC_PAUSE_H

#include "domain.h"
#include "journal.h"
#include "keeper.h"

struct vmc_pause {
	bool on; /* we have paused it */
	unsigned max_ms;
	uint64_t since_ms; /* vmc_now_ms */
	uint64_t began_ms; /* vmc_now_ms; the keeper resumes the guest when MAX_MS are over */
	uint64_t total_ms; /* how long it has stood still, all pauses together */
	struct vmc_keeper keeper;
};

#define VMC_PAUSE_INIT(ms) \
	{ \
		.max_ms = (ms), .keeper = VMC_KEEPER_INIT \
	}

/* Pause the guest, unless it stands still already by somebody else's hand. Written to JOURNAL before. */
int vmc_pause_begin (struct vmc_pause *pause, const struct vmc_domain *domain, struct vmc_journal *journal,
		     struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Pause it and write VMC_STEP_MOVE into JOURNAL, both or neither. */
int vmc_pause_to_move (struct vmc_pause *pause, const struct vmc_domain *domain, struct vmc_journal *journal,
		       struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* -1 when so much of the time is over that the keeper may resume the guest at any moment: then it is not to be relied upon that it
 * stands still. */
int vmc_pause_check (const struct vmc_pause *pause, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Let it go on: what we have paused, or, as JOURNAL says, a run before us. Nothing is left to be done if the domain is off and
 * nobody writes to the images that JOURNAL names. VMC_FAILED if it does not go on, or that is not known. */
int vmc_pause_end (struct vmc_pause *pause, const struct vmc_domain *domain, struct vmc_journal *journal,
		   struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* We cannot: the keeper goes on trying. */
void vmc_pause_leave (struct vmc_pause *pause) __attribute__ ((nonnull));

#endif
