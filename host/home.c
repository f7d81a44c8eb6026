/* home.c - see home.h
 *
 * State is never remembered from what a call returned (a time-out does not mean "it failed"): in each round it is looked up,
 * one step is taken, and it is looked up again. libvirtd may come and go meanwhile.
 *
 *   running, on the overlay      commit (active, shallow), wait until ready, pause, pivot, go on
 *   off, on the overlay          qemu-img commit, then the disk of the old XML goes back into the XML
 *   on the base, forgotten       libvirtd died before it had noted the pivot: the XML is mended for the next start
 *   on the overlay, unnoticed    libvirtd died before it had noted it: QEMU is brought back (unnoticed.h)
 *   below another overlay        somebody took a snapshot: ours is committed from under it, while the domain runs
 *   on the base                  home, if all of the overlay is in the base: the overlay is removed, then the journal
 *   anywhere else, or gone       somebody has edited, moved or undefined the domain: its disks and the overlay are not touched
 *
 * Which of the two counts, if the XML is found on the overlay? Before the pivot the guest is paused, and goes on only when the
 * journal says that the domain is on the base, or the XML that libvirt has saved no longer names the overlay. So until then the
 * overlay counts, or both say the same, whatever QEMU and libvirt have done before they died; and from then on the overlay is
 * never committed again. A journal that can no longer be written does not stop the way home. One thing weakens all this, only if
 * the host crashes in the same moment: a pause that takes so long that the keeper ends it, because the host is slow, or because
 * neither the journal nor libvirt's XML can be written.
 *
 * Unsure means hands off: a domain that is off because it was saved or moved, one that is on its base although the overlay
 * has data that we did not commit, an overlay that holds somebody's internal snapshot, a base that is another file now. And the
 * overlay is removed only if it is the very file that we made.
 *
 * Killed at any point, the domain runs on (or boots from) the overlay over its base, which is a complete chain, or on its base.
 * Only while a redirection is unnoticed, a domain that is switched off would boot from its base without what is in the overlay;
 * the journal and the overlay are still there then, and say so.
 */
#include "home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "directories.h"
#include "fault.h"
#include "freeze.h"
#include "guard.h"
#include "image.h"
#include "lock_reach.h"
#include "move.h"
#include "new_image.h"
#include "pause.h"
#include "process.h"
#include "progress.h"
#include "replace.h"
#include "rewrite.h"
#include "saved_xml.h"
#include "unnoticed.h"

#define LOOK_MS 50         /* between two looks at a block job */
#define AGAIN_MS 500       /* after something failed */
#define AWAY_MAX_MS 120000 /* libvirtd may be away for so long */
#define OTHER_MAX_MS 30000 /* somebody else's block job, or somebody who reads the image and locks it */
#define DYING_MAX_MS 5000  /* a QEMU that is ending may hold its locks for so long after libvirt says that it is off */
#define PAUSE_MIN_MS 1000  /* less than that a busy host may need */
#define ROUNDS_MAX 200
#define OUTBOUND_TRIES 2 /* to move the guest to the new image, before it goes back to the old one */
#define JOB_TRIES 3      /* of a block job that takes longer than OTHER_MAX_MS */
#define OFFLINE_COMMIT_MS 3600000

struct home {
	struct vmc_overlay *overlay;
	struct vmc_move move;
	uint64_t dying_until_ms; /* vmc_now_ms: from then on an orphan is one; 0: none was seen yet */
	uint64_t until_ms;   /* vmc_now_ms: so long it is tried again after a failure; UINT64_MAX: none was seen yet */
	unsigned setbacks;   /* on the way to the new image */
	unsigned ended_jobs; /* that were started by us, and ended too early */
};

/* A QEMU that is ending closes one file after the other: what is seen between the two is not where the domain is. */
static int look (const struct vmc_overlay *overlay, struct vmc_overlay_state *state, struct vmc_error *err)
{
	if (vmc_overlay_look (overlay, state, err) < 0)
		return -1;
	if (!state->orphan)
		return 0;
	vmc_events_pause (LOOK_MS);
	return vmc_overlay_look (overlay, state, err);
}

/* --- going on --------------------------------------------------------------------------------- */

/* The XML that libvirt has saved does not name the overlay, for good. It may have to be told: libvirtd may have been started anew
 * from a file that it could not save. Not if somebody's overlay is over the base: the next start needs that. 1: it is not known
 * where it saves. */
static int settle_base (const struct vmc_overlay *overlay, const struct vmc_overlay_state *state, struct vmc_error *err)
{
	int result = vmc_saved_xml_settle (overlay->domain, overlay->journal.overlay, false, err);

	if (result >= 0 || state->where == VMC_UNCOVERED || overlay->journal.inactive_xml == NULL ||
	    vmc_overlay_define_wanted (overlay, err) < 0)
		return result;
	return vmc_saved_xml_settle (overlay->domain, overlay->journal.overlay, false, err);
}

/* The domain is on its base. One of the two that a crash leaves must say so for good before the guest goes on: the XML that
 * libvirt has saved, or the journal. */
static int note_base (struct vmc_overlay *overlay, const struct vmc_overlay_state *state, struct vmc_error *err)
{
	enum vmc_journal_step before = overlay->journal.step;
	int saved, noted;

	vmc_fault_point ("moved");
	saved = settle_base (overlay, state, err);
	noted = vmc_overlay_step (overlay, VMC_STEP_ON_BASE, err);
	if (saved == 0 || noted == 0)
		return 0;
	overlay->journal.step = before; /* as it is on the disk */
	return -1;
}

/* The same for the next overlay. 1: it counts now. */
static int note_next (struct vmc_overlay *overlay, struct vmc_error *err)
{
	struct vmc_journal before = overlay->journal;
	int saved, noted;

	vmc_fault_point ("moved-next");
	saved = vmc_saved_xml_settle (overlay->domain, before.next, true, err);
	vmc_overlay_adopt_next (overlay);
	noted = vmc_journal_write (&overlay->journal, err);
	if (saved == 0 || noted == 0)
		return 1;
	overlay->journal = before;
	return -1;
}

/* Has the domain been moved? 1: it has, and that is not written down yet. */
static int has_moved (struct vmc_overlay *overlay, const struct vmc_overlay_state *state, struct vmc_error *err)
{
	enum vmc_journal_step step = overlay->journal.step;

	if (state->where == VMC_UNNOTICED && step == VMC_STEP_COMMIT)
		return vmc_unnoticed_moved (overlay, err);
	if (state->orphan)
		return step == VMC_STEP_MOVE && state->on_target;
	/* Also if somebody else has ended our copy with a pivot: it was complete then. */
	if (overlay->journal.next[0] != 0)
		return !overlay->journal.former &&
		       (state->where == VMC_ON_NEXT || (state->where == VMC_FORGOTTEN && step == VMC_STEP_MOVE));
	if (step != VMC_STEP_MOVE)
		return 0;
	return state->where == VMC_ON_BASE || state->where == VMC_UNCOVERED || state->where == VMC_FORGOTTEN;
}

static int fail_orphan (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	return vmc_fail (err, VMC_INTERRUPTED, 0,
			 "libvirt says that the domain is off, but somebody has '%s' or its overlay open for writing: "
			 "if its QEMU still runs, shut the guest down from inside, then run vmcompact --recover",
			 overlay->journal.base);
}

/* libvirt says that it is off, but somebody writes: a QEMU that is just ending, or one that libvirt has lost? */
static int step_orphan (struct home *home, struct vmc_error *err)
{
	struct vmc_overlay_state state;

	if (home->dying_until_ms == 0)
		home->dying_until_ms = vmc_now_ms () + DYING_MAX_MS;
	while (vmc_now_ms () < home->dying_until_ms) {
		vmc_events_pause (LOOK_MS);
		if (vmc_overlay_look (home->overlay, &state, err) < 0)
			return -1;
		if (!state.orphan)
			return 0;
	}
	return fail_orphan (home->overlay, err);
}

/* Where the domain is is written down before the guest goes on. While it is being moved it has to wait. 1: it is on the next
 * overlay now, so that STATE is no longer true. */
static int go_on (struct vmc_pause *pause, struct vmc_overlay *overlay, const struct vmc_overlay_state *state,
		  struct vmc_error *err)
{
	int moved = has_moved (overlay, state, err), adopted = 0;

	if (moved < 0)
		return -1;
	if (moved == 1)
		adopted = overlay->journal.next[0] != 0 ? note_next (overlay, err) : note_base (overlay, state, err);
	if (adopted < 0)
		return -1;
	if ((state->moving && state->where != VMC_FORGOTTEN) || (!state->active && !state->orphan) ||
	    !overlay->journal.paused)
		return adopted;
	if (overlay->journal.step == VMC_STEP_MOVE && !state->on_target)
		vmc_overlay_note (overlay, VMC_STEP_COMMIT); /* not moved: it writes to the overlay from now on */
	return vmc_pause_end (pause, overlay->domain, &overlay->journal, err) < 0 ? -1 : adopted;
}

int vmc_home_go_on (struct vmc_domain *domain, struct vmc_journal *journal, struct vmc_error *err)
{
	struct vmc_overlay overlay = {.domain = domain, .journal = *journal};
	struct vmc_pause none = VMC_PAUSE_INIT (0);
	struct vmc_overlay_state state;
	int result = look (&overlay, &state, err);

	if (result == 0 && state.moving && state.where != VMC_FORGOTTEN)
		return vmc_fail (err, VMC_BUSY, 0, "the domain is being moved");
	if (result == 0 && state.where != VMC_GONE)
		result = go_on (&none, &overlay, &state, err);
	*journal = overlay.journal;
	return result < 0 ? -1 : 0;
}

/* The disk of the domain's next start is the overlay, for good. */
static int define_overlay (struct vmc_overlay *overlay, struct vmc_error *err)
{
	const struct vmc_journal *journal = &overlay->journal;
	char *now = vmc_domain_xml (overlay->domain->handle, true, err), *mended;
	int result = -1;

	if (now == NULL)
		return -1;
	mended = vmc_domain_xml_on_image (now, journal->target, journal->overlay, "qcow2");
	free (now);
	if (mended == NULL)
		return vmc_fail (err, VMC_FAILED, 0, "the disk is no longer in the domain's XML");
	overlay->defined = true;
	if (vmc_domain_define (overlay->domain, mended, err) == 0)
		result = vmc_saved_xml_settle (overlay->domain, journal->overlay, true, err);
	free (mended);
	return result;
}

/* The XML that libvirt has saved names the overlay, for good. It may have to be told, as in settle_base. */
static int settle_overlay (struct vmc_overlay *overlay, struct vmc_error *err)
{
	int result = vmc_saved_xml_settle (overlay->domain, overlay->journal.overlay, true, err);

	return result >= 0 ? result : define_overlay (overlay, err);
}

/* --- overlays that are no longer needed ------------------------------------------------------- */

/* Made, but the journal did not come to say which file it is: then it is empty. */
static bool is_own_file (uint64_t inode, const struct stat *status)
{
	if (inode == 0)
		return S_ISREG (status->st_mode) && status->st_size == 0;
	return status->st_ino == inode; /* the device may have another number after a boot */
}

static int remove_file (const char *path, uint64_t inode, struct vmc_error *err)
{
	char directory[VMC_PATH_SIZE];
	struct stat status;

	if (path[0] == 0 || lstat (path, &status) < 0)
		return 0;
	if (!is_own_file (inode, &status)) /* ours is gone; what has its name now is somebody's */
		return 0;
	vmc_fault_point ("remove");
	if (unlink (path) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot remove the overlay '%s'", path);
	vmc_fault_point ("removed");
	vmc_image_directory (path, directory);
	return vmc_directory_sync (directory, err);
}

/* Locked, it does not come into use while we look. On a filesystem without locks we only look. -1: it is written to. */
static int lock_file (struct vmc_guard *guard, const char *path, struct vmc_error *err)
{
	if (path[0] != 0 && access (path, F_OK) == 0 && vmc_guard_lock (guard, path, err) < 0 &&
	    vmc_guard_written (path))
		return -1;
	return 0;
}

/* The domain does not want the next overlay at its next start either. */
static int settle_without_next (struct vmc_overlay *overlay, const struct vmc_overlay_state *state,
				struct vmc_error *err)
{
	int result = vmc_saved_xml_settle (overlay->domain, overlay->journal.next, false, err);

	return result < 0 && state->where == VMC_ON_OVERLAY ? settle_overlay (overlay, err) : result;
}

/* The domain is on the overlay, and no block job is at work: the next one is not in use, or no longer. */
static int drop_next (struct vmc_overlay *overlay, const struct vmc_overlay_state *state, struct vmc_error *err)
{
	VMC_CLEANUP_GUARD struct vmc_guard guard = VMC_GUARD_INIT;
	struct vmc_journal *journal = &overlay->journal;

	if (lock_file (&guard, journal->next, err) < 0 || settle_without_next (overlay, state, err) < 0 ||
	    remove_file (journal->next, journal->next_inode, err) < 0)
		return -1;
	journal->next[0] = 0;
	journal->next_inode = 0;
	journal->former = false;
	return vmc_journal_write (journal, err);
}

/* --- running ---------------------------------------------------------------------------------- */

static int fail_stale (const char *from, const char *to, struct vmc_error *err)
{
	return vmc_fail (err, VMC_INTERRUPTED, 0,
			 "the domain runs on the overlay '%s', although it had been moved to '%s', which is newer; "
			 "destroy it, then run vmcompact --recover",
			 from, to);
}

/* Over the old image, and the new one is to be had. */
static bool is_outbound (const struct vmc_overlay *overlay)
{
	return overlay->forward && !overlay->journal.over_new && !vmc_new_image_in_place (&overlay->journal);
}

/* No block job is at work. Over the new image, that is to get the base's path, under which the domain is to have it: one more
 * move. Over the base: a new image, if there is one to go to; else home. */
static int step_next_move (struct home *home, const struct vmc_overlay_state *state, struct vmc_error *err)
{
	struct vmc_overlay *overlay = home->overlay;

	if (home->move.started) {
		home->move.started = false; /* once more, if there have not been too many tries */
		home->ended_jobs++;
		return vmc_move_fail_ended (overlay, err);
	}
	if (overlay->journal.next[0] != 0)
		return drop_next (overlay, state, err);
	if (overlay->journal.over_new && vmc_new_image_swap (&overlay->journal, err) < 0)
		return -1;
	return vmc_move_start (&home->move, overlay->journal.over_new || is_outbound (overlay), err);
}

/* Somebody may have defined the domain anew, from a copy of its XML, so that its next start is on the base: where it is after the
 * pivot could not be told from the XML then. Another disk for the next start is somebody's wish, and stays. */
static int settle_before_move (struct vmc_overlay *overlay, struct vmc_error *err)
{
	char path[VMC_PATH_SIZE];

	if (vmc_overlay_find_path (overlay, true, path, err) < 0)
		return -1;
	return strcmp (path, overlay->journal.base) == 0 ? define_overlay (overlay, err) : 0;
}

static int step_running (struct home *home, const struct vmc_overlay_state *state, struct vmc_error *err)
{
	struct vmc_overlay *overlay = home->overlay;

	if (overlay->journal.step == VMC_STEP_ON_BASE)
		return fail_stale (overlay->journal.overlay, overlay->journal.base, err);
	if (state->other_job)
		return vmc_move_wait_for_other (overlay, err);
	if (!state->job)
		return step_next_move (home, state, err);
	if (!state->moving) {
		int good = vmc_move_check_start (&home->move, state, err);

		if (good != 1)
			return good;
	}
	if (!state->ready)
		return vmc_move_wait (overlay, err);
	return settle_before_move (overlay, err) < 0 ? -1 : vmc_move_pivot (&home->move, err);
}

/* libvirtd died when QEMU had moved. It cannot be told where the running domain is, but where the next start finds it. */
static int step_forgotten (struct vmc_overlay *overlay, const struct vmc_overlay_state *state, struct vmc_error *err)
{
	const struct vmc_journal *journal = &overlay->journal;
	bool on_base = journal->step == VMC_STEP_ON_BASE, on_overlay = !on_base && journal->former;

	if ((!on_base && !on_overlay) ||
	    (on_base ? settle_base (overlay, state, err) : settle_overlay (overlay, err)) < 0)
		return vmc_fail (err, VMC_INTERRUPTED, 0,
				 "QEMU writes to '%s', but libvirt names the overlay '%s'; do not switch the guest off "
				 "before the domain's XML names the former",
				 on_overlay              ? journal->overlay
				 : journal->next[0] != 0 ? journal->next
							 : journal->base,
				 on_overlay ? journal->next : journal->overlay);
	return vmc_fail (err, VMC_INTERRUPTED, 0,
			 "the domain has been moved to '%s', but libvirtd died before it had noted that; "
			 "when the guest has been switched off, run vmcompact --recover",
			 on_base ? journal->base : journal->overlay);
}

/* Somebody has put an overlay on ours just before our copy began: it is a copy of that one alone. A pivot, by whomever, would lose
 * what ours has. */
static int end_stray_copy (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	if (VMC_LIBVIRT (virDomainBlockJobAbort (overlay->domain->handle, overlay->journal.target, 0)) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot end the copy of somebody else's overlay");
	return 0;
}

/* Somebody's overlay lies on ours. Ours can be committed from under it; no pivot, no choice to be made. */
static int step_buried (struct vmc_overlay *overlay, const struct vmc_overlay_state *state, struct vmc_error *err)
{
	if (overlay->journal.step == VMC_STEP_ON_BASE)
		return fail_stale (overlay->journal.overlay, overlay->journal.base, err);
	if (!state->active)
		return vmc_fail (err, VMC_INTERRUPTED, 0,
				 "the domain is off, and a snapshot lies on its overlay '%s'; start it, then run "
				 "vmcompact --recover",
				 overlay->journal.overlay);
	if (vmc_move_is_copying (overlay, state))
		return vmc_move_wait (overlay, err);
	if (state->other_job)
		return vmc_move_wait_for_other (overlay, err);
	if (overlay->journal.next[0] != 0)
		return drop_next (overlay, state, err);
	vmc_progress_step (overlay->journal.target, "commit, from below a snapshot");
	vmc_overlay_note (overlay, VMC_STEP_MOVE); /* nobody writes to it any more */
	if (VMC_LIBVIRT (virDomainBlockCommit (overlay->domain->handle, overlay->journal.target, overlay->journal.base,
					       overlay->journal.overlay, vmc_fault_number ("VMC_FAULT_MIB_PER_S", 0),
					       0)) < 0) {
		vmc_overlay_note (overlay, VMC_STEP_COMMIT);
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot commit the overlay from below a snapshot");
	}
	return vmc_move_wait (overlay, err);
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

/* QEMU's image locks keep the domain from starting meanwhile: here, and on other hosts only if they reach them, where it may run by now
 * although it is off here. -d: the overlay stays as it is, in case of anything. */
static int commit_offline (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	const char *const argv[] = {"qemu-img", "commit", "-q", "-d", "-f", "qcow2", overlay->journal.overlay, NULL};
	const struct vmc_journal *journal = &overlay->journal;

	if (vmc_lock_reach_check (journal->overlay, err) < 0) { /* without it, the base is of no use elsewhere */
		err->code = VMC_INTERRUPTED;
		return vmc_fail_in (err, "the overlay '%s' is committed only while the domain runs here",
				    journal->overlay);
	}
	vmc_fault_point ("commit-offline");
	if (vmc_process_run (argv, vmc_now_ms () + OFFLINE_COMMIT_MS, err) < 0 || sync_file (journal->base, err) < 0)
		return vmc_fail_in (err, "cannot commit the overlay of the domain, which is off");
	vmc_fault_point ("committed-offline");
	return 0;
}

/* When was it written to last? */
static struct timespec written_at (const char *path)
{
	struct stat status;

	return stat (path, &status) == 0 ? status.st_mtim : (struct timespec) {0};
}

/* While the overlay is locked the domain cannot start on it. Has it been started, and has it written to the overlay, since the commit
 * ended at AT? Then all of it is to be done again. */
static int restore_xml (struct vmc_overlay *overlay, const struct timespec *at, struct vmc_error *err)
{
	VMC_CLEANUP_GUARD struct vmc_guard guard = VMC_GUARD_INIT;
	struct vmc_overlay_state state;
	struct timespec now;

	if (vmc_guard_lock (&guard, overlay->journal.overlay, err) < 0 || vmc_overlay_look (overlay, &state, err) < 0)
		return -1;
	now = written_at (overlay->journal.overlay);
	if (state.active || state.where != VMC_ON_OVERLAY || now.tv_sec != at->tv_sec || now.tv_nsec != at->tv_nsec)
		return 0;
	vmc_overlay_note (overlay, VMC_STEP_MOVE);
	vmc_fault_point ("define");
	return vmc_overlay_define_wanted (overlay, err);
}

/* Will nobody go on with its memory over the overlay? */
static int check_off (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	int off = vmc_domain_switched_off (overlay->domain, err);

	if (off != 0)
		return off < 0 ? -1 : 0;
	return vmc_fail (err, VMC_INTERRUPTED, 0,
			 "the domain is off, but was not simply switched off (saved? moved?) and needs the overlay "
			 "'%s' now; start it, then run vmcompact --recover",
			 overlay->journal.overlay);
}

/* Only one overlay is left, and the next start wants it: after that, VMC_STEP_MOVE means to the base. 1: it was so already. */
static int leave_one (struct vmc_overlay *overlay, const struct vmc_overlay_state *state, struct vmc_error *err)
{
	if (state->where == VMC_ON_NEXT)
		return define_overlay (overlay, err) < 0 ? -1 : 0;
	if (overlay->journal.next[0] != 0)
		return drop_next (overlay, state, err);
	return 1;
}

static int step_off (struct vmc_overlay *overlay, const struct vmc_overlay_state *state, struct vmc_error *err)
{
	struct timespec at;
	int one;

	if (overlay->journal.inactive_xml == NULL)
		return vmc_fail (err, VMC_INTERRUPTED, 0,
				 "the domain is off and has the overlay '%s', but there is no journal that tells which "
				 "is newer, it or '%s'",
				 overlay->journal.overlay, overlay->journal.base);
	if (check_off (overlay, err) < 0)
		return -1;
	if (overlay->journal.step == VMC_STEP_ON_BASE) /* libvirt had no time to note it */
		return vmc_overlay_define_wanted (overlay, err);
	one = leave_one (overlay, state, err);
	if (one != 1)
		return one;
	if (overlay->journal.over_new && vmc_new_image_swap (&overlay->journal, err) < 0)
		return -1;
	if (commit_offline (overlay, err) < 0)
		return -1;
	at = written_at (overlay->journal.overlay);
	return restore_xml (overlay, &at, err);
}

/* --- there ------------------------------------------------------------------------------------ */

/* The domain is on the base. Was it us who brought it there, or has it never left? */
static int check_arrival (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	const struct vmc_journal *journal = &overlay->journal;

	if (journal->step == VMC_STEP_PREPARE || journal->step == VMC_STEP_ON_BASE || vmc_overlay_unused (overlay))
		return 0;
	return vmc_fail (err, VMC_INTERRUPTED, 0,
			 "the disk no longer lies on the overlay '%s', but it was not us who committed that; remove it "
			 "if you have committed it into '%s'",
			 journal->overlay, journal->base);
}

/* There may be more about the disk in the XML of the next start than was there before: libvirt adds it after some moves. */
static int restore_xml_after (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	struct vmc_error unheard;

	return overlay->journal.inactive_xml == NULL || vmc_overlay_check_xml (overlay, &unheard) == 0
		       ? 0
		       : vmc_overlay_define_wanted (overlay, err);
}

/* The disk is home. That the guest is frozen no more is the last thing that the journal is needed for. */
static int end_journal (struct vmc_overlay *overlay, struct vmc_error *err)
{
	if (vmc_freeze_end_left (overlay->domain, &overlay->journal, err) < 0)
		return -1;
	return vmc_journal_remove (overlay->journal.uuid, err);
}

/* QEMU pauses a guest whose write found no space. The overlay is in the base, and gone: the guest can go on. */
static int arrive (struct vmc_overlay *overlay, const struct vmc_overlay_state *state, struct vmc_error *err)
{
	VMC_CLEANUP_GUARD struct vmc_guard guard = VMC_GUARD_INIT, next_guard = VMC_GUARD_INIT;
	const struct vmc_journal *journal = &overlay->journal;

	if (lock_file (&guard, journal->overlay, err) < 0 || lock_file (&next_guard, journal->next, err) < 0 ||
	    check_arrival (overlay, err) < 0)
		return -1;
	if (journal->step != VMC_STEP_PREPARE && settle_base (overlay, state, err) < 0)
		return -1;
	if (state->where == VMC_ON_BASE && (overlay->defined || vmc_new_image_in_place (journal)) &&
	    restore_xml_after (overlay, err) < 0)
		return -1;
	if (remove_file (journal->overlay, journal->overlay_inode, err) < 0 ||
	    remove_file (journal->next, journal->next_inode, err) < 0 || vmc_new_image_tidy (journal, err) < 0)
		return -1;
	vmc_rewrite_tidy (journal->base);
	if (state->active && vmc_domain_resume (overlay->domain, VIR_DOMAIN_PAUSED_IOERROR, err) < 0)
		return vmc_fail_in (err, "the guest was paused by a write error");
	vmc_fault_point ("home");
	return end_journal (overlay, err);
}

static bool is_gone (const char *path)
{
	return path[0] == 0 || (access (path, F_OK) < 0 && errno == ENOENT);
}

/* A domain that is not known here: its overlay is of no use without it, but it is not ours to say so. */
static int leave_gone (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	const struct vmc_journal *journal = &overlay->journal;

	if (is_gone (journal->overlay) && is_gone (journal->next))
		return vmc_journal_remove (journal->uuid, err);
	return vmc_fail (err, VMC_INTERRUPTED, 0,
			 "the domain is no longer known here; its image '%s' is complete only with the overlay '%s'; "
			 "define it again with the overlay as its disk and run vmcompact --recover, or commit it with "
			 "qemu-img and remove " VMC_STATE_DIRECTORY "/%s.journal",
			 journal->base, journal->overlay, journal->uuid);
}

/* Somebody has taken an internal snapshot while the guest wrote to our file: it lies there. A commit would change the base below it, and
 * it would be removed with the file. While a block job is at work, libvirt takes none. */
static int check_snapshots (const struct vmc_journal *journal, struct vmc_error *err)
{
	const char *const paths[] = {journal->overlay, journal->next};

	for (size_t i = 0; i < 2; i++) {
		int found = vmc_image_has_snapshots (paths[i], err);

		if (found < 0)
			return -1;
		if (found == 1)
			return vmc_fail (err, VMC_INTERRUPTED, 0,
					 "the overlay '%s' holds an internal snapshot, which would be lost with it; "
					 "delete that (virsh snapshot-delete), then run vmcompact --recover",
					 paths[i]);
	}
	return 0;
}

/* Somebody may have put another file in the place of the base, a backup say. It matters as long as the overlay is to be committed. */
static int check_base (const struct vmc_journal *journal, const struct vmc_overlay_state *state, struct vmc_error *err)
{
	bool away = state->where == VMC_ON_OVERLAY || state->where == VMC_ON_NEXT || state->where == VMC_BURIED ||
		    state->where == VMC_UNNOTICED;

	return away && journal->step != VMC_STEP_ON_BASE ? vmc_new_image_check_base (journal, err) : 0;
}

/* One step. 1: home. */
static int step_home (struct home *home, struct vmc_error *err)
{
	struct vmc_overlay *overlay = home->overlay;
	struct vmc_overlay_state state = {0};
	int adopted;

	if (vmc_replace_is (&overlay->journal))
		return vmc_replace_recover (overlay, err) < 0 ? -1 : 1;
	if (overlay->journal.step == VMC_STEP_PREPARE) /* the domain never heard of it */
		return arrive (overlay, &state, err) < 0 ? -1 : 1;
	if (look (overlay, &state, err) < 0)
		return -1;
	adopted = go_on (&home->move.pause, overlay, &state, err);
	if (adopted == 1)
		home->move.started = false;
	if (adopted != 0)
		return adopted < 0 ? -1 : 0;
	if (state.orphan)
		return step_orphan (home, err);
	if (state.stray_copy && !state.moving)
		return end_stray_copy (overlay, err);
	if (check_snapshots (&overlay->journal, err) < 0 || check_base (&overlay->journal, &state, err) < 0)
		return -1;
	switch (state.where) {
	case VMC_ON_OVERLAY:
		return state.active ? step_running (home, &state, err) : step_off (overlay, &state, err);
	case VMC_ON_NEXT: /* which no longer counts */
		return state.active ? fail_stale (overlay->journal.next, overlay->journal.overlay, err)
				    : step_off (overlay, &state, err);
	case VMC_FORGOTTEN:
		return step_forgotten (overlay, &state, err);
	case VMC_UNNOTICED:
		return vmc_unnoticed_end (overlay, &home->move.pause, err);
	case VMC_BURIED:
		return step_buried (overlay, &state, err);
	case VMC_ON_BASE:
	case VMC_UNCOVERED:
		return arrive (overlay, &state, err) < 0 ? -1 : 1;
	case VMC_GONE:
		return leave_gone (overlay, err) < 0 ? -1 : 1;
	default:
		if (is_gone (overlay->journal.overlay) &&
		    is_gone (overlay->journal.next)) /* and brought it to an end */
			return end_journal (overlay, err) < 0 ? -1 : 1;
		return vmc_fail (err, VMC_INTERRUPTED, 0,
				 "somebody has changed the disk in the domain's XML; its overlay is '%s', over '%s'",
				 overlay->journal.overlay, overlay->journal.base);
	}
}

/* libvirtd may be restarted at any time. */
static int await_libvirt (struct vmc_domain *domain, struct vmc_error *err)
{
	uint64_t until_ms = vmc_now_ms () + AWAY_MAX_MS;
	struct vmc_error last;

	while (vmc_domain_revive (domain, &last) < 0) {
		if (vmc_now_ms () >= until_ms) {
			*err = last;
			return -1;
		}
		vmc_events_pause (LOOK_MS);
	}
	return 0;
}

static bool libvirt_is_there (const struct home *home)
{
	return virConnectIsAlive (home->overlay->domain->connection->handle) == 1;
}

/* The new image is not to be had: the way home leads back to the old one, as long as the domain is over that. A copy that is at
 * work is ended (vmc_move_check_start). That libvirtd is away is no reason. */
static bool give_up_forward (struct home *home, const struct vmc_error *why)
{
	struct vmc_overlay *overlay = home->overlay;

	if (!is_outbound (overlay))
		return false;
	if (why->code != VMC_INTERRUPTED && (!libvirt_is_there (home) || ++home->setbacks < OUTBOUND_TRIES))
		return false;
	overlay->forward = false;
	overlay->why_not_forward = *why;
	home->move.started = false;
	return true;
}

/* What has taken its time since SINCE_MS, and did not fail, is no reason to lose patience. */
static void be_patient (struct home *home, uint64_t since_ms)
{
	if (home->until_ms != UINT64_MAX)
		home->until_ms += vmc_now_ms () - since_ms;
}

/* After a failure that is not final. */
static int wait_to_try_again (struct home *home, struct vmc_error *err)
{
	uint64_t since_ms;

	if (home->until_ms == UINT64_MAX)
		home->until_ms = vmc_now_ms () + vmc_fault_number ("VMC_FAULT_PATIENCE_MS", OTHER_MAX_MS);
	if (!home->move.pause.on && libvirt_is_there (home))
		vmc_events_pause (AGAIN_MS);
	since_ms = vmc_now_ms ();
	if (await_libvirt (home->overlay->domain, err) < 0)
		return -1;
	be_patient (home, since_ms);
	return 0;
}

static int go_home (struct home *home, struct vmc_error *err)
{
	(void) vmc_fail (err, VMC_FAILED, 0, "it does not come home");
	for (int rounds = 0; rounds < ROUNDS_MAX && vmc_now_ms () < home->until_ms; rounds++) {
		uint64_t began_ms = vmc_now_ms ();
		int result = step_home (home, err);

		if (result == 1)
			return 0;
		if (result == 0 && home->ended_jobs < JOB_TRIES)
			be_patient (home, began_ms);
		if (result == 0 || give_up_forward (home, err))
			continue;
		if (err->code == VMC_INTERRUPTED)
			return -1;
		if (wait_to_try_again (home, err) < 0)
			break;
	}
	err->code = VMC_INTERRUPTED;
	return vmc_fail_in (err, "the domain may still run on the overlay '%s'; run vmcompact --recover",
			    home->overlay->journal.overlay);
}

int vmc_home (struct vmc_overlay *overlay, unsigned pause_max_ms, struct vmc_error *err)
{
	unsigned max_ms = pause_max_ms < PAUSE_MIN_MS ? PAUSE_MIN_MS : pause_max_ms;
	struct home home = {.overlay = overlay,
			    .until_ms = UINT64_MAX,
			    .move = {.overlay = overlay,
				     .pause = VMC_PAUSE_INIT (vmc_fault_number ("VMC_FAULT_PAUSE_MS", max_ms))}};
	int result = go_home (&home, err);

	if (home.move.pause.on)
		vmc_pause_leave (&home.move.pause);
	overlay->paused_ms = home.move.pause.total_ms;
	if (result == 0)
		vmc_deadline_means (VMC_FAILED);
	return result;
}
