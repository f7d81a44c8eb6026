/* move.h - the block jobs that move a domain: its overlay committed into the base, or copied to the next overlay
 *
 * Both go the same way: the job copies until it is ready; the guest is paused; the pivot; whoever called looks where the domain is
 * then, writes it down, and lets the guest go on (home.c).
 */
#ifndef VMC_MOVE_H
#define VMC_MOVE_H

#include "overlay.h"
#include "pause.h"

struct vmc_move {
	struct vmc_overlay *overlay;
	struct vmc_pause pause;
	bool started; /* our block job was there */
};

/* Begin the commit or, with COPY, the copy to the next overlay, which is made for it. */
int vmc_move_start (struct vmc_move *move, bool copy, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* A job that was not started under our eyes: 1: it may be used; 0: it is no longer there. A commit by a QEMU that may have lost
 * writes at its start is not to be relied upon; a copy is given up, because the way home is shorter without it. */
int vmc_move_check_start (const struct vmc_move *move, const struct vmc_overlay_state *state, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Our job is no longer there, and has not moved the domain: -1, with what may be the reason. libvirt does not tell it. */
int vmc_move_fail_ended (const struct vmc_overlay *overlay, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Does our job still copy? Below a snapshot, a commit that was started there (VMC_STEP_MOVE) is ours. */
bool vmc_move_is_copying (const struct vmc_overlay *overlay, const struct vmc_overlay_state *state)
	__attribute__ ((nonnull));

/* Wait while it does. 0: something is different now, look again. */
int vmc_move_wait (struct vmc_overlay *overlay, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Pause the guest and pivot. Whatever it returns, the domain may have moved. */
int vmc_move_pivot (struct vmc_move *move, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Wait for somebody else's job, which ends some time. */
int vmc_move_wait_for_other (struct vmc_overlay *overlay, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
