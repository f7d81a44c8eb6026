/* unnoticed.c - see unnoticed.h
 *
 * The same steps as home.c takes through libvirt, with the same journal. Killed anywhere, the next run finds QEMU still on the
 * overlay, and perhaps the job, which has a name of its own; or on the base, as libvirt says.
 */
#include "unnoticed.h"

#include <errno.h>

#include "clock.h"
#include "progress.h"
#include "qemu_version.h"
#include "qmp.h"

#define JOB "vmcompact-home"
#define LOOK_MS 20
#define READY_MAX_MS 3600000
#define MOVE_MAX_MS 60000

static int start (struct vmc_overlay *overlay, struct vmc_pause *pause, const struct vmc_qmp_disk *disk,
		  struct vmc_error *err)
{
	if (disk->base[0] == 0)
		return vmc_fail (err, VMC_INTERRUPTED, 0,
				 "QEMU writes to '%s', libvirt has not noted it, and QEMU does not name '%s'; do not "
				 "switch the guest off",
				 overlay->journal.overlay, overlay->journal.base);
	overlay->journal.step = VMC_STEP_COMMIT;
	vmc_journal_note (&overlay->journal);
	if (vmc_qemu_loses_writes (vmc_qemu_version (overlay->domain->handle)) &&
	    vmc_pause_begin (pause, overlay->domain, &overlay->journal, err) < 0)
		return -1;
	return vmc_qmp_commit (overlay->domain, JOB, disk, err);
}

/* Until the job is as far as WANTED. */
static int await_job (struct vmc_overlay *overlay, int wanted, unsigned max_ms, struct vmc_error *err)
{
	uint64_t until_ms = vmc_now_ms () + max_ms;

	do {
		int job = vmc_qmp_job (overlay->domain, JOB, err);

		vmc_overlay_measure (overlay);
		if (job == wanted)
			return 0;
		if (job < 0)
			return -1;
		if (job == 0)
			return vmc_fail (err, VMC_FAILED, 0, "QEMU has ended the commit before it was ready");
		vmc_events_pause (LOOK_MS);
	} while (vmc_now_ms () < until_ms);
	return vmc_fail (err, VMC_INTERRUPTED, ETIMEDOUT, "the commit of '%s' does not come to its end",
			 overlay->journal.overlay);
}

int vmc_unnoticed_moved (struct vmc_overlay *overlay, struct vmc_error *err)
{
	struct vmc_qmp_disk disk;

	if (vmc_qmp_find_disk (overlay->domain, overlay->journal.overlay, overlay->journal.base, &disk, err) < 0)
		return -1;
	if (disk.top[0] != 0 || disk.base[0] == 0)
		return 0;
	/* Before it is closed: afterwards nothing tells this from a domain that never left. */
	if (vmc_overlay_step (overlay, VMC_STEP_ON_BASE, err) < 0)
		return -1;
	return vmc_qmp_close (overlay->domain, overlay->journal.overlay, err) < 0 ? -1 : 1;
}

/* As home.c does: the guest stands still until the journal says where it is. VMC_STEP_MOVE is never written: libvirt's XML names
 * the base all the time, so only VMC_STEP_ON_BASE may say that it is there. */
static int move (struct vmc_overlay *overlay, struct vmc_pause *pause, struct vmc_error *err)
{
	int moved;

	if (vmc_pause_begin (pause, overlay->domain, &overlay->journal, err) < 0 || vmc_pause_check (pause, err) < 0 ||
	    vmc_qmp_complete (overlay->domain, JOB, err) < 0 || await_job (overlay, 0, MOVE_MAX_MS, err) < 0)
		return -1;
	moved = vmc_unnoticed_moved (overlay, err);
	if (moved == 0)
		return vmc_fail (err, VMC_FAILED, 0, "QEMU has not left the overlay '%s'", overlay->journal.overlay);
	return moved < 0 ? -1 : 0;
}

/* libvirtd died before it: QEMU has only opened the overlay. */
static int close_overlay (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	int closed = vmc_qmp_close (overlay->domain, overlay->journal.overlay, err);

	if (closed != 0)
		return closed < 0 ? -1 : 0;
	return vmc_fail (err, VMC_FAILED, 0, "somebody else than the guest has '%s' open for writing",
			 overlay->journal.overlay);
}

int vmc_unnoticed_end (struct vmc_overlay *overlay, struct vmc_pause *pause, struct vmc_error *err)
{
	const struct vmc_journal *journal = &overlay->journal;
	int job = vmc_qmp_job (overlay->domain, JOB, err);
	struct vmc_qmp_disk disk;

	vmc_progress_step (journal->target, "commit, which libvirt does not know of");
	if (job < 0 || vmc_qmp_find_disk (overlay->domain, journal->overlay, journal->base, &disk, err) < 0)
		return -1;
	if (disk.top[0] == 0)
		return close_overlay (overlay, err);
	if (job != 0 && vmc_qemu_loses_writes (vmc_qemu_version (overlay->domain->handle)))
		return vmc_qmp_cancel (overlay->domain, JOB, err); /* who knows how it was started */
	if (job == 0 && start (overlay, pause, &disk, err) < 0)
		return -1;
	return await_job (overlay, 2, READY_MAX_MS, err) < 0 ? -1 : move (overlay, pause, err);
}
