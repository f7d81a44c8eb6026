/* pause.c - see pause.h */
#include "pause.h"

#include <errno.h>

#include "clock.h"
#include "fault.h"
#include "guard.h"
#include "orphan.h"

int vmc_pause_begin (struct vmc_pause *pause, const struct vmc_domain *domain, struct vmc_journal *journal,
		     struct vmc_error *err)
{
	int state, reason;

	if (pause->on)
		return 0;
	if (vmc_domain_state (domain, &state, &reason, err) < 0)
		return -1;
	if (state == VIR_DOMAIN_PAUSED)
		return 0;
	if (vmc_keeper_start (&pause->keeper, domain, VMC_KEEPER_PAUSE, pause->max_ms, "", err) < 0) {
		vmc_keeper_dismiss (&pause->keeper);
		return -1;
	}
	pause->began_ms = vmc_now_ms (); /* as the keeper counts */
	journal->paused = true;
	vmc_journal_note (journal); /* a full disk does not stop us here: the keeper is there */
	vmc_fault_point ("pause");
	pause->on = true;
	pause->since_ms = vmc_now_ms ();
	if (VMC_LIBVIRT (virDomainSuspend (domain->handle)) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot pause the guest");
	vmc_fault_point ("paused");
	return 0;
}

int vmc_pause_to_move (struct vmc_pause *pause, const struct vmc_domain *domain, struct vmc_journal *journal,
		       struct vmc_error *err)
{
	enum vmc_journal_step before = journal->step;
	bool already = pause->on;
	int result;

	journal->step = VMC_STEP_MOVE;
	result = vmc_pause_begin (pause, domain, journal, err);
	if (pause->on && !already)
		return result; /* written with the pause */
	if (result < 0)
		journal->step = before;
	vmc_journal_note (journal); /* it stands still by somebody else's hand, or does not */
	return result;
}

int vmc_pause_check (const struct vmc_pause *pause, struct vmc_error *err)
{
	if (!pause->on || vmc_now_ms () - pause->began_ms < pause->max_ms / 2)
		return 0;
	return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT, "the host is too busy to move the domain in the time given");
}

/* libvirtd may have lost the domain when it died: then QEMU is asked itself. If nobody has the images open, it is off indeed, and
 * nothing stands still. */
static int resume (const struct vmc_domain *domain, const struct vmc_journal *journal, struct vmc_error *err)
{
	int active = VMC_LIBVIRT (virDomainIsActive (domain->handle));

	if (active != 0)
		return vmc_domain_resume (domain, VIR_DOMAIN_PAUSED_USER, err);
	if (!vmc_guard_written (journal->overlay) && !vmc_guard_written (journal->next) &&
	    !vmc_guard_written (journal->base))
		return 0;
	if (vmc_orphan_resume (domain, err) == 0)
		return 0;
	return vmc_fail_in (err,
			    "libvirt says that the domain is off, but somebody has '%s' or its overlay open for "
			    "writing, and its guest may be paused",
			    journal->base);
}

int vmc_pause_end (struct vmc_pause *pause, const struct vmc_domain *domain, struct vmc_journal *journal,
		   struct vmc_error *err)
{
	if (!journal->paused)
		return 0;
	vmc_fault_point ("resume");
	if (resume (domain, journal, err) < 0)
		return -1;
	vmc_fault_point ("resumed");
	pause->total_ms += pause->on ? vmc_now_ms () - pause->since_ms : 0;
	vmc_keeper_dismiss (&pause->keeper);
	pause->on = false;
	journal->paused = false;
	vmc_journal_note (journal);
	return 0;
}

void vmc_pause_leave (struct vmc_pause *pause)
{
	pause->on = false;
	vmc_keeper_leave (&pause->keeper);
}
