/* overlay.c - see overlay.h
 *
 * How the domain comes home. State is never remembered from what a call returned (a time-out does not mean "it failed"):
 * in each round it is looked up, one step is taken, and it is looked up again.
 *
 *   running, on the overlay      commit (active, shallow), wait until ready, pivot
 *   off, on the overlay          qemu-img commit, then the disk of the old XML goes back into the XML
 *   gone (a transient domain)    qemu-img commit
 *   on the base                  home, if all of the overlay is in the base: the overlay is removed
 *   anywhere else                somebody has edited the domain: nothing is touched
 *
 * Two commits are never made blindly. Once a pivot was asked for, the base may be newer than the overlay, and a domain that
 * is found off and on the overlay then is left to a person. And the overlay is removed only by its inode.
 *
 * Killed at any point, the domain runs on (or boots from) the overlay over its base, which is a complete chain.
 */
#include "overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "connection.h"
#include "process.h"
#include "progress.h"

#define LOOK_MS 50          /* between two looks at a block job; events come earlier */
#define QUIET_MAX_MS 300000 /* a job that makes no progress for so long is left alone */
#define TRIES_MAX 5
#define ROUNDS_MAX 100
#define OFFLINE_COMMIT_MS 3600000

struct state {
	enum { ON_BASE, ON_OVERLAY, ELSEWHERE, GONE } where;
	bool active;
	bool job;        /* a commit into our base */
	bool ready;
	bool other_job;
};

/* --- looking --------------------------------------------------------------------------------------------------------- */

static int look_at_disk (const struct vmc_overlay *overlay, const struct vmc_disk *disk, struct state *state)
{
	state->where = disk == NULL                                ? ELSEWHERE
		       : strcmp (disk->path, overlay->path) == 0 ? ON_OVERLAY
		       : strcmp (disk->path, overlay->base) == 0 ? ON_BASE
								 : ELSEWHERE;
	if (disk == NULL || !disk->mirror)
		return 0;
	state->job = state->where == ON_OVERLAY && strcmp (disk->mirror_path, overlay->base) == 0;
	state->other_job = !state->job;
	state->ready = disk->mirror_ready;
	return 0;
}

static int look (const struct vmc_overlay *overlay, struct state *state, struct vmc_error *err)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	int active = virDomainIsActive (overlay->domain->handle), result;
	char *xml;

	*state = (struct state) {.where = GONE};
	if (active < 0 && virGetLastErrorCode () == VIR_ERR_NO_DOMAIN)
		return 0;
	if (active < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the state of the domain");
	state->active = active == 1;
	xml = vmc_domain_xml (overlay->domain->handle, !state->active, err);
	if (xml == NULL)
		return virGetLastErrorCode () == VIR_ERR_NO_DOMAIN ? 0 : -1;
	result = vmc_domain_xml_parse (xml, &disks, err);
	free (xml);
	return result < 0 ? -1 : look_at_disk (overlay, vmc_disks_find (&disks, overlay->target), state);
}

/* Note which file the overlay is, and how large it became. */
static void measure (struct vmc_overlay *overlay)
{
	struct stat status;

	if (stat (overlay->path, &status) < 0)
		return;
	if (overlay->inode == 0) {
		overlay->device = status.st_dev;
		overlay->inode = status.st_ino;
	}
	if ((uint64_t) status.st_blocks * 512 > overlay->peak_bytes)
		overlay->peak_bytes = (uint64_t) status.st_blocks * 512;
}

int vmc_overlay_check (struct vmc_overlay *overlay, struct vmc_error *err)
{
	struct state state;

	measure (overlay);
	if (look (overlay, &state, err) < 0)
		return -1;
	if (!state.active)
		return vmc_fail (err, VMC_FAILED, 0, "the guest was switched off in the middle");
	if (state.where == ON_OVERLAY && !state.job && !state.other_job)
		return 0;
	return vmc_fail (err, VMC_FAILED, 0, "somebody else has changed the disk of the domain in the middle");
}

/* --- making ---------------------------------------------------------------------------------------------------------- */

int vmc_overlay_prepare (const struct vmc_domain *domain, const struct vmc_disk *disk, const char *path,
			 struct vmc_overlay *overlay, struct vmc_error *err)
{
	char *live;

	*overlay = (struct vmc_overlay) {.domain = domain};
	memcpy (overlay->target, disk->target, sizeof overlay->target);
	memcpy (overlay->base, disk->path, sizeof overlay->base);
	(void) snprintf (overlay->path, sizeof overlay->path, "%s", path);
	overlay->inactive_before = vmc_domain_xml (domain->handle, true, err);
	live = vmc_domain_xml (domain->handle, false, err);
	if (live != NULL)
		overlay->live_disk_before = vmc_domain_xml_disk_text (live, disk->target);
	free (live);
	if (overlay->inactive_before == NULL || live == NULL)
		return -1;
	if (overlay->live_disk_before == NULL)
		return vmc_fail (err, VMC_FAILED, 0, "the disk is no longer in the domain's XML");
	return 0;
}

int vmc_overlay_create (struct vmc_overlay *overlay, const struct vmc_disks *disks, struct vmc_error *err)
{
	const unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA |
			       VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC;
	char *xml = vmc_domain_xml_snapshot (disks, overlay->target, overlay->path);
	virDomainSnapshotPtr snapshot;

	if (xml == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the snapshot's XML");
	overlay->attempted = true;
	snapshot = virDomainSnapshotCreateXML (overlay->domain->handle, xml, flags);
	free (xml);
	if (snapshot == NULL)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot redirect the disk to an overlay");
	(void) virDomainSnapshotFree (snapshot);
	overlay->used = true;
	measure (overlay);
	return 0;
}

/* --- home, running --------------------------------------------------------------------------------------------------- */

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
	uint64_t quiet_since_ms = vmc_now_ms (), last = UINT64_MAX;

	for (;;) {
		virDomainBlockJobInfo info = {0};
		struct state state;

		measure (overlay);
		if (look (overlay, &state, err) < 0)
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
			return vmc_fail (err, VMC_INTERRUPTED, ETIMEDOUT, "the commit of '%s' makes no progress", overlay->path);
		vmc_events_pause (LOOK_MS);
	}
}

static int pivot (struct vmc_overlay *overlay, struct vmc_error *err)
{
	overlay->pivot_asked = true;
	if (virDomainBlockJobAbort (overlay->domain->handle, overlay->target, VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot pivot to the base");
	overlay->committed = true;
	return 0;
}

static int step_running (struct vmc_overlay *overlay, const struct state *state, struct vmc_error *err)
{
	overlay->used = true;
	overlay->committed = overlay->pivot_asked = false; /* the guest writes to the overlay */
	if (state->other_job)
		return vmc_fail (err, VMC_FAILED, 0, "somebody else's block job is at work on the disk");
	if (!state->job)
		return start_commit (overlay, err);
	return state->ready ? pivot (overlay, err) : wait_for_job (overlay, err);
}

/* --- home, off ----------------------------------------------------------------------------------------------------------- */

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

static int step_off (struct vmc_overlay *overlay, const struct state *state, struct vmc_error *err)
{
	overlay->used = true;
	if (overlay->pivot_asked && !overlay->committed)
		return vmc_fail (err, VMC_INTERRUPTED, 0,
				 "the domain went off during the pivot; it cannot be told whether '%s' or its overlay '%s' is newer",
				 overlay->base, overlay->path);
	if (commit_offline (overlay, err) < 0)
		return -1;
	return state->where == GONE ? 0 : restore_xml (overlay, err);
}

/* --- home ---------------------------------------------------------------------------------------------------------------- */

static int remove_overlay (struct vmc_overlay *overlay, struct vmc_error *err)
{
	struct stat status;

	if (!overlay->attempted || stat (overlay->path, &status) < 0)
		return 0;
	if (overlay->inode != 0 && (status.st_dev != overlay->device || status.st_ino != overlay->inode))
		return vmc_fail (err, VMC_FAILED, 0, "'%s' is not the overlay that was made; it is left alone", overlay->path);
	if (unlink (overlay->path) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot remove the overlay '%s'", overlay->path);
	return 0;
}

static int arrive (struct vmc_overlay *overlay, struct vmc_error *err)
{
	if (overlay->used && !overlay->committed)
		return vmc_fail (err, VMC_INTERRUPTED, 0, "the domain is on '%s' again, but its overlay '%s' was not committed by us",
				 overlay->base, overlay->path);
	return remove_overlay (overlay, err);
}

/* One step. 1: home. */
static int step_home (struct vmc_overlay *overlay, struct vmc_error *err)
{
	struct state state;

	if (look (overlay, &state, err) < 0)
		return -1;
	if (state.where == ELSEWHERE)
		return vmc_fail (err, VMC_INTERRUPTED, 0, "somebody has changed the disk in the domain's XML; its overlay is '%s'",
				 overlay->path);
	if (state.where == ON_OVERLAY && state.active)
		return step_running (overlay, &state, err);
	if (state.where == ON_OVERLAY || (state.where == GONE && overlay->used && !overlay->committed))
		return step_off (overlay, &state, err);
	return arrive (overlay, err) < 0 ? -1 : 1;
}

int vmc_overlay_home (struct vmc_overlay *overlay, struct vmc_error *err)
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

/* --- afterwards ------------------------------------------------------------------------------------------------------------ */

static bool same (char *now, const char *before)
{
	bool equal = now != NULL && strcmp (now, before) == 0;

	free (now);
	return equal;
}

int vmc_overlay_check_xml (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	int active = virDomainIsActive (overlay->domain->handle);
	char *live;

	if (active < 0)
		return virGetLastErrorCode () == VIR_ERR_NO_DOMAIN ? 0 : vmc_fail_libvirt (err, VMC_FAILED, "cannot look at the domain");
	if (!same (vmc_domain_xml (overlay->domain->handle, true, err), overlay->inactive_before))
		return vmc_fail (err, VMC_FAILED, 0, "the XML of the domain is not what it was before the run; compare it with your own copy");
	if (active == 0)
		return 0;
	live = vmc_domain_xml (overlay->domain->handle, false, err);
	if (live == NULL)
		return -1;
	if (!same (vmc_domain_xml_disk_text (live, overlay->target), overlay->live_disk_before)) {
		free (live);
		return vmc_fail (err, VMC_FAILED, 0, "the disk in the live XML of the domain is not what it was before the run");
	}
	free (live);
	return 0;
}

void vmc_overlay_clear (struct vmc_overlay *overlay)
{
	free (overlay->inactive_before);
	free (overlay->live_disk_before);
	overlay->inactive_before = overlay->live_disk_before = NULL;
}
