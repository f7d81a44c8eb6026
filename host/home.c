/* home.c - see home.h
 *
 * State is never remembered from what a call returned (a time-out does not mean "it failed"): in each round it is looked up,
 * one step is taken, and it is looked up again.
 *
 *   running, on the overlay      commit (active, shallow), wait until ready, pivot
 *   off, on the overlay          qemu-img commit, then the disk of the old XML goes back into the XML
 *   on the base                  home, if all of the overlay is in the base: the overlay is removed
 *   anywhere else, or gone       somebody has edited, moved or undefined the domain: nothing is touched
 *
 * Unsure means hands off. Once a pivot was asked for, the base may be newer than the overlay: a domain that is found off, or
 * started anew, and on the overlay then, is left to a person. So is one that is off for another reason than that it was
 * switched off (saved, migrated away), or gone. And the overlay is removed only if it is the very file that we made.
 *
 * Killed at any point, the domain runs on (or boots from) the overlay over its base, which is a complete chain.
 */
#include "home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "connection.h"
#include "process.h"
#include "progress.h"

#define LOOK_MS 50           /* between two looks at a block job; events come earlier */
#define QUIET_MAX_MS 300000  /* a job that makes no progress for so long is left alone */
#define READY_MAX_MS 3600000 /* a guest that writes faster than the commit copies is not stopped for it */
#define TRIES_MAX 5
#define ROUNDS_MAX 100
#define OFFLINE_COMMIT_MS 3600000

/* --- running --------------------------------------------------------------------------------- */

static int start_commit (struct vmc_overlay *overlay, struct vmc_error *err)
{
	/* No base and no top, but shallow: the top layer into its own backing file, never further. */
	if (virDomainBlockCommit (overlay->domain->handle, overlay->target, NULL, NULL, 0,
				  VIR_DOMAIN_BLOCK_COMMIT_ACTIVE | VIR_DOMAIN_BLOCK_COMMIT_SHALLOW) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot start the commit");
	return 0;
}

/* Wait while the job is at work and not ready. 0: something is different now, look again. */
static int wait_for_job (struct vmc_overlay *overlay, struct vmc_error *err)
{
	uint64_t since_ms = vmc_now_ms (), quiet_since_ms = since_ms, last = UINT64_MAX;

	for (;;) {
		virDomainBlockJobInfo info = {0};
		struct vmc_overlay_state state;

		vmc_overlay_measure (overlay);
		if (vmc_overlay_look (overlay, &state, err) < 0)
			return -1;
		if (!state.active || !state.job || state.ready)
			return 0;
		if (virDomainGetBlockJobInfo (overlay->domain->handle, overlay->target, &info, 0) == 1) {
			vmc_progress_show (info.cur, info.end);
			if (info.cur != last)
				quiet_since_ms = vmc_now_ms ();
			last = info.cur;
		}
		if (vmc_now_ms () - quiet_since_ms > QUIET_MAX_MS)
			return vmc_fail (err, VMC_INTERRUPTED, ETIMEDOUT, "the commit of '%s' makes no progress",
					 overlay->path);
		if (vmc_now_ms () - since_ms > READY_MAX_MS)
			return vmc_fail (err, VMC_INTERRUPTED, ETIMEDOUT,
					 "the guest writes faster than the commit of '%s' copies", overlay->path);
		vmc_events_pause (LOOK_MS);
	}
}

static int pivot (struct vmc_overlay *overlay, const struct vmc_overlay_state *state, struct vmc_error *err)
{
	overlay->pivot_asked = true;
	overlay->domain_id = state->id;
	if (virDomainBlockJobAbort (overlay->domain->handle, overlay->target, VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot pivot to the base");
	overlay->committed = true;
	return 0;
}

static int fail_unsure (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	return vmc_fail (err, VMC_INTERRUPTED, 0,
			 "the domain went off during the pivot; '%s' or its overlay '%s' may be newer", overlay->base,
			 overlay->path);
}

static int step_running (struct vmc_overlay *overlay, const struct vmc_overlay_state *state, struct vmc_error *err)
{
	overlay->used = true;
	if (overlay->pivot_asked && state->id != overlay->domain_id)
		return fail_unsure (overlay, err);
	overlay->committed = overlay->pivot_asked = false; /* the guest writes to the overlay */
	if (state->other_job)
		return vmc_fail (err, VMC_FAILED, 0, "somebody else's block job is at work on the disk");
	if (!state->job)
		return start_commit (overlay, err);
	return state->ready ? pivot (overlay, state, err) : wait_for_job (overlay, err);
}

/* --- off ------------------------------------------------------------------------------------- */

static int sync_file (const char *path, struct vmc_error *err)
{
	int fd = open (path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync (fd) < 0) {
		(void) vmc_fail (err, VMC_FAILED, errno, "cannot sync '%s'", path);
		if (fd >= 0)
			(void) close (fd);
		return -1;
	}
	return close (fd) < 0 ? vmc_fail (err, VMC_FAILED, errno, "cannot close '%s'", path) : 0;
}

/* QEMU's image locks keep the domain from starting meanwhile. -d: the overlay stays as it is, in case of anything. */
static int commit_offline (struct vmc_overlay *overlay, struct vmc_error *err)
{
	const char *const argv[] = {"qemu-img", "commit", "-q", "-d", "-f", "qcow2", overlay->path, NULL};

	if (overlay->committed)
		return 0;
	if (vmc_process_run (argv, vmc_now_ms () + OFFLINE_COMMIT_MS, err) < 0 || sync_file (overlay->base, err) < 0)
		return vmc_fail_in (err, "cannot commit the overlay of the domain, which is off");
	overlay->committed = true;
	return 0;
}

static int restore_xml (struct vmc_overlay *overlay, struct vmc_error *err)
{
	char *now = vmc_domain_xml (overlay->domain->handle, true, err), *restored = NULL;
	virDomainPtr defined = NULL;

	if (now == NULL)
		return -1;
	restored = vmc_domain_xml_with_disk (now, overlay->inactive_before, overlay->target);
	free (now);
	if (restored == NULL)
		return vmc_fail (err, VMC_FAILED, 0, "the disk is no longer in the domain's XML");
	defined = virDomainDefineXML (overlay->domain->connection, restored);
	free (restored);
	if (defined == NULL)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot define the domain's XML as it was");
	(void) virDomainFree (defined);
	return 0;
}

/* Was it switched off, so that nobody will go on with its memory over the overlay? */
static int check_off (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	int state, reason, saved = virDomainHasManagedSaveImage (overlay->domain->handle, 0);

	if (saved < 0 || virDomainGetState (overlay->domain->handle, &state, &reason, 0) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask why the domain is off");
	if (state == VIR_DOMAIN_SHUTOFF && saved == 0 &&
	    (reason == VIR_DOMAIN_SHUTOFF_SHUTDOWN || reason == VIR_DOMAIN_SHUTOFF_DESTROYED ||
	     reason == VIR_DOMAIN_SHUTOFF_CRASHED))
		return 0;
	return vmc_fail (err, VMC_INTERRUPTED, 0,
			 "the domain is off, but was not simply switched off (saved? moved?) and needs the overlay "
			 "'%s' now",
			 overlay->path);
}

static int step_off (struct vmc_overlay *overlay, struct vmc_error *err)
{
	overlay->used = true;
	if (overlay->pivot_asked && !overlay->committed)
		return fail_unsure (overlay, err);
	if (check_off (overlay, err) < 0 || commit_offline (overlay, err) < 0)
		return -1;
	return restore_xml (overlay, err);
}

/* --- there ----------------------------------------------------------------------------------- */

static int remove_overlay (struct vmc_overlay *overlay, struct vmc_error *err)
{
	struct stat status;

	if (!overlay->made || stat (overlay->path, &status) < 0)
		return 0;
	if (status.st_dev != overlay->device || status.st_ino != overlay->inode)
		return vmc_fail (err, VMC_FAILED, 0, "'%s' is not the overlay that was made; it is left alone",
				 overlay->path);
	if (unlink (overlay->path) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot remove the overlay '%s'", overlay->path);
	return 0;
}

static int arrive (struct vmc_overlay *overlay, struct vmc_error *err)
{
	if (overlay->used && !overlay->committed)
		return vmc_fail (err, VMC_INTERRUPTED, 0,
				 "the domain is on '%s' again, but its overlay '%s' was not committed by us",
				 overlay->base, overlay->path);
	return remove_overlay (overlay, err);
}

/* QEMU pauses a guest whose write found no space. The overlay is in the base now: the guest can go on. */
static int resume (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	int state, reason;

	if (virDomainGetState (overlay->domain->handle, &state, &reason, 0) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the state of the domain");
	if (state != VIR_DOMAIN_PAUSED || reason != VIR_DOMAIN_PAUSED_IOERROR)
		return 0;
	if (virDomainResume (overlay->domain->handle) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED,
					 "the guest was paused by a write error and cannot be resumed");
	return 0;
}

/* One step. 1: home. */
static int step_home (struct vmc_overlay *overlay, struct vmc_error *err)
{
	struct vmc_overlay_state state;

	if (!overlay->attempted) /* the domain never heard of it */
		return arrive (overlay, err) < 0 ? -1 : 1;
	if (vmc_overlay_look (overlay, &state, err) < 0)
		return -1;
	if (state.where == VMC_GONE)
		return vmc_fail (err, VMC_INTERRUPTED, 0, "the domain is no longer known here; its overlay is '%s'",
				 overlay->path);
	if (state.where == VMC_ELSEWHERE)
		return vmc_fail (err, VMC_INTERRUPTED, 0,
				 "somebody has changed the disk in the domain's XML; its overlay is '%s'",
				 overlay->path);
	if (state.where == VMC_ON_OVERLAY)
		return state.active ? step_running (overlay, &state, err) : step_off (overlay, err);
	/* Whatever the call returned: libvirt has noted the base as the disk, so the pivot is done. */
	overlay->committed = overlay->committed || overlay->pivot_asked;
	return arrive (overlay, err) < 0 || (state.active && resume (overlay, err) < 0) ? -1 : 1;
}

int vmc_home (struct vmc_overlay *overlay, struct vmc_error *err)
{
	(void) vmc_fail (err, VMC_FAILED, 0, "it does not come home");
	for (int tries = 0, rounds = 0; tries < TRIES_MAX && rounds < ROUNDS_MAX; rounds++) {
		int result = step_home (overlay, err);

		if (result == 1)
			return 0;
		if (result == 0)
			continue;
		if (err->code == VMC_INTERRUPTED)
			return -1;
		tries++;
		vmc_events_pause (500);
	}
	err->code = VMC_INTERRUPTED;
	return vmc_fail_in (err, "the domain may still run on the overlay '%s'", overlay->path);
}
