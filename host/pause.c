/* pause.c - see pause.h */
#include "pause.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"
#include "guard.h"
#include "orphan.h"

#define READY_MS 30000 /* for the keeper to connect to libvirt */
#define END_MS 2000

/* --- the keeper ------------------------------------------------------------------------------- */

/* It says one byte when it has found the domain. */
static int await_keeper (struct vmc_process *keeper, struct vmc_error *err)
{
	struct pollfd entry = {.fd = keeper->output_fd, .events = POLLIN};
	char byte;
	int result;

	do
		result = poll (&entry, 1, READY_MS);
	while (result < 0 && errno == EINTR);
	if (result > 0 && read (keeper->output_fd, &byte, 1) == 1)
		return 0;
	return vmc_fail (err, VMC_FAILED, 0, "the process that would resume the guest does not start");
}

static int start_keeper (struct vmc_pause *pause, const struct vmc_domain *domain, struct vmc_error *err)
{
	const char *uri = domain->connection->uri ? domain->connection->uri : "";
	char milliseconds[32];
	const char *const argv[] = {"/proc/self/exe", VMC_KEEPER_OPTION, uri, domain->uuid, milliseconds, NULL};
	int line[2], result;

	(void) snprintf (milliseconds, sizeof milliseconds, "%u", pause->max_ms);
	if (pipe2 (line, O_CLOEXEC) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "no pipe for the keeper");
	result = vmc_process_start_survivor (&pause->keeper, argv, line[0], err);
	(void) close (line[0]);
	pause->line_fd = line[1];
	if (result == 0)
		result = await_keeper (&pause->keeper, err);
	return result;
}

static void hang_up (struct vmc_pause *pause)
{
	if (pause->line_fd >= 0)
		(void) close (pause->line_fd);
	pause->line_fd = -1;
	pause->on = false;
}

static void dismiss_keeper (struct vmc_pause *pause)
{
	struct pollfd end = {.fd = pause->keeper.output_fd, .events = POLLIN};

	if (pause->line_fd >= 0 && write (pause->line_fd, "d", 1) == 1)
		(void) poll (&end, 1, END_MS);
	hang_up (pause);
	vmc_process_end (&pause->keeper);
}

/* --- pausing ---------------------------------------------------------------------------------- */

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
	if (start_keeper (pause, domain, err) < 0) {
		dismiss_keeper (pause);
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
	dismiss_keeper (pause);
	journal->paused = false;
	vmc_journal_note (journal);
	return 0;
}

void vmc_pause_leave (struct vmc_pause *pause)
{
	hang_up (pause);
	vmc_process_let_go (&pause->keeper);
}
