/* move.c - see move.h
 *
 * Where the domain is is not remembered from what a call returned: the caller looks it up again (overlay.h). A job goes on when we
 * are killed, until it is ready, and stays there.
 */
#include "move.h"

#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "fault.h"
#include "image.h"
#include "progress.h"
#include "qemu_version.h"

#define LOOK_MS 50           /* between two looks at a block job; the first ones follow each other sooner */
#define QUIET_MAX_MS 300000  /* a job that makes no progress for so long is left alone */
#define READY_MAX_MS 3600000 /* a guest that writes faster than the job copies is not stopped for it */
#define OTHER_MAX_MS 30000   /* somebody else's block job */
#define ROOM_LIMIT_BYTES (UINT64_C (256) << 20)
#define ROOM_LOW_BYTES (UINT64_C (16) << 20)

/* Since the job has begun to count, what the guest writes is seen by it. */
static int wait_for_start (struct vmc_overlay *overlay, unsigned max_ms, struct vmc_error *err)
{
	uint64_t until_ms = vmc_now_ms () + max_ms;
	struct vmc_overlay_state state;

	do {
		if (vmc_overlay_look (overlay, &state, err) < 0)
			return -1;
		if (!state.job || state.ready || state.all_bytes > 1)
			return 0;
		vmc_events_pause (1);
	} while (vmc_now_ms () < until_ms);
	return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT, "the block job does not start in the time given");
}

/* No base and no top, but shallow: the top layer into its own backing file, never further. */
static int call_commit (struct vmc_overlay *overlay, struct vmc_error *err)
{
	if (VMC_LIBVIRT (virDomainBlockCommit (overlay->domain->handle, overlay->journal.target, NULL, NULL,
					       overlay->bandwidth_bytes_per_s,
					       VIR_DOMAIN_BLOCK_COMMIT_ACTIVE | VIR_DOMAIN_BLOCK_COMMIT_SHALLOW |
						       VIR_DOMAIN_BLOCK_COMMIT_BANDWIDTH_BYTES)) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot start the commit");
	return 0;
}

/* Shallow: what the overlay has, and nothing of what lies below. The file is there already. A transient job is one that would not
 * come back after a restart of the domain, which is what libvirt asks us to accept for a persistent domain. */
static int call_copy (struct vmc_overlay *overlay, struct vmc_error *err)
{
	char *xml = vmc_domain_xml_copy (overlay->journal.next);
	virTypedParameter bandwidth = {.field = VIR_DOMAIN_BLOCK_COPY_BANDWIDTH,
				       .type = VIR_TYPED_PARAM_ULLONG,
				       .value.ul = overlay->bandwidth_bytes_per_s};
	int result;

	if (xml == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the copy's XML");
	result = VMC_LIBVIRT (virDomainBlockCopy (overlay->domain->handle, overlay->journal.target, xml, &bandwidth,
						  overlay->bandwidth_bytes_per_s > 0,
						  VIR_DOMAIN_BLOCK_COPY_SHALLOW | VIR_DOMAIN_BLOCK_COPY_REUSE_EXT |
							  VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB));
	free (xml);
	return result < 0 ? vmc_fail_libvirt (err, VMC_FAILED, "cannot start the copy of the overlay") : 0;
}

static void say_start (const struct vmc_overlay *overlay, bool copy, bool loses)
{
	static const char *const steps[2][2] = {{"commit", "commit, the guest paused at its start"},
						{"move to the new image",
						 "move to the new image, the guest paused at its start"}};

	vmc_progress_step (overlay->journal.target, steps[copy][loses]);
}

int vmc_move_start (struct vmc_move *move, bool copy, struct vmc_error *err)
{
	struct vmc_overlay *overlay = move->overlay;
	bool loses = vmc_qemu_loses_writes (vmc_qemu_version (overlay->domain->handle));

	say_start (overlay, copy, loses);
	vmc_overlay_note (overlay, VMC_STEP_COMMIT);
	if (copy && vmc_overlay_prepare_next (overlay, err) < 0)
		return -1;
	if (loses && vmc_pause_begin (&move->pause, overlay->domain, &overlay->journal, err) < 0)
		return -1;
	vmc_fault_point (copy ? "copy" : "commit");
	if ((copy ? call_copy (overlay, err) : call_commit (overlay, err)) < 0)
		return -1;
	vmc_fault_point (copy ? "copying" : "committing");
	if (loses && (wait_for_start (overlay, move->pause.max_ms, err) < 0 || vmc_pause_check (&move->pause, err) < 0))
		return -1;
	move->started = true;
	return 0;
}

int vmc_move_check_start (const struct vmc_move *move, const struct vmc_overlay_state *state, struct vmc_error *err)
{
	const struct vmc_domain *domain = move->overlay->domain;

	if (move->started || (!state->copy && !vmc_qemu_loses_writes (vmc_qemu_version (domain->handle))))
		return 1;
	if (VMC_LIBVIRT (virDomainBlockJobAbort (domain->handle, move->overlay->journal.target, 0)) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot begin the move anew");
	return 0;
}

/* libvirt does not tell why a job has failed. */
int vmc_move_fail_ended (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	struct vmc_error unheard;
	uint64_t room;

	if (vmc_image_room (overlay->journal.base, overlay->journal.base, &room, &unheard) == 0 &&
	    room < ROOM_LOW_BYTES)
		return vmc_fail (err, VMC_FAILED, ENOSPC,
				 "the block job failed, and the host is low on space beside '%s'",
				 overlay->journal.base);
	return vmc_fail (err, VMC_FAILED, 0,
			 "the block job over '%s' ended too early: an I/O error, or somebody else ended it",
			 overlay->journal.base);
}

/* Does our commit still copy? Below a snapshot, one that was started there (VMC_STEP_MOVE) is ours. */
bool vmc_move_is_copying (const struct vmc_overlay *overlay, const struct vmc_overlay_state *state)
{
	if (!state->active)
		return false;
	if (state->where == VMC_BURIED)
		return state->below_job && overlay->journal.step == VMC_STEP_MOVE;
	return state->where == VMC_ON_OVERLAY && state->job && !state->ready;
}

/* With a limit on its speed, a job may be slower than the guest, and the overlay grows. Before there is no room, the limit falls. */
static void check_limit (struct vmc_overlay *overlay)
{
	struct vmc_error unheard;
	uint64_t room;

	if (overlay->bandwidth_bytes_per_s == 0 ||
	    vmc_image_room (overlay->journal.base, overlay->journal.overlay, &room, &unheard) < 0 ||
	    room >= ROOM_LIMIT_BYTES)
		return;
	if (VMC_LIBVIRT (virDomainBlockJobSetSpeed (overlay->domain->handle, overlay->journal.target, 0,
						    VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES)) == 0)
		overlay->bandwidth_bytes_per_s = 0;
}

/* Wait while the job is at work and not ready. 0: something is different now, look again. */
int vmc_move_wait (struct vmc_overlay *overlay, struct vmc_error *err)
{
	uint64_t since_ms = vmc_now_ms (), quiet_since_ms = since_ms, last = UINT64_MAX;

	for (unsigned pause_ms = 4;; pause_ms = pause_ms * 2 < LOOK_MS ? pause_ms * 2 : LOOK_MS) {
		struct vmc_overlay_state state;

		vmc_overlay_measure (overlay);
		if (vmc_overlay_look (overlay, &state, err) < 0)
			return -1;
		if (!vmc_move_is_copying (overlay, &state))
			return 0;
		vmc_progress_show (state.done_bytes, state.all_bytes);
		check_limit (overlay);
		if (state.done_bytes != last)
			quiet_since_ms = vmc_now_ms ();
		last = state.done_bytes;
		if (vmc_now_ms () - quiet_since_ms > QUIET_MAX_MS)
			return vmc_fail (err, VMC_INTERRUPTED, ETIMEDOUT, "the commit of '%s' makes no progress",
					 overlay->journal.overlay);
		if (state.where == VMC_ON_OVERLAY && vmc_now_ms () - since_ms > READY_MAX_MS)
			return vmc_fail (err, VMC_INTERRUPTED, ETIMEDOUT,
					 "the guest writes faster than the commit of '%s' copies",
					 overlay->journal.overlay);
		vmc_events_pause (pause_ms);
	}
}

/* Whatever the call returns: where the domain is then is looked up, and the guest goes on. */
int vmc_move_pivot (struct vmc_move *move, struct vmc_error *err)
{
	struct vmc_overlay *overlay = move->overlay;

	if (vmc_pause_to_move (&move->pause, overlay->domain, &overlay->journal, err) < 0)
		return -1;
	vmc_fault_point (move->overlay->journal.next[0] != 0 ? "hop" : "pivot");
	if (vmc_pause_check (&move->pause, err) < 0)
		return -1;
	if (VMC_LIBVIRT (virDomainBlockJobAbort (overlay->domain->handle, overlay->journal.target,
						 VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot pivot");
	vmc_fault_point (move->overlay->journal.next[0] != 0 ? "hopped" : "pivoted");
	return 0;
}

/* Somebody else's job ends some time. */
int vmc_move_wait_for_other (struct vmc_overlay *overlay, struct vmc_error *err)
{
	uint64_t until_ms = vmc_now_ms () + vmc_fault_number ("VMC_FAULT_OTHER_MS", OTHER_MAX_MS);
	struct vmc_overlay_state state;

	do {
		vmc_events_pause (LOOK_MS);
		if (vmc_overlay_look (overlay, &state, err) < 0)
			return -1;
		if (!state.other_job)
			return 0;
	} while (vmc_now_ms () < until_ms);
	if (state.lost_job)
		return vmc_fail (err, VMC_INTERRUPTED, 0,
				 "libvirtd died while it started the commit and has lost track of it; do not end that "
				 "block job, which crashes libvirtd; when the guest has been switched off, run "
				 "vmcompact --recover");
	return vmc_fail (err, VMC_INTERRUPTED, 0,
			 "somebody else's block job is at work on the disk; when it has ended, run vmcompact "
			 "--recover");
}
