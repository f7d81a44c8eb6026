/* freeze.c - our side of freeze.h
 *
 * A mark is the domain's id and the boot of this host, which together no other QEMU has ever had, and a number that no other freeze
 * has: a keeper that comes late does not take the mark of the next run for its own.
 */
#include "freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"

#define ANSWER_MS 5000 /* to a freeze, beyond the time that it may take */
#define THAW_MS 10000

/* --- the mark --------------------------------------------------------------------------------- */

static void read_boot (char *boot, size_t size)
{
	int fd = open ("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read (fd, boot, size - 1);

	if (fd >= 0)
		(void) close (fd);
	boot[length > 0 ? length : 0] = 0;
	boot[strcspn (boot, "\n")] = 0;
}

/* "7@BOOT/", of the QEMU that runs now; empty: none does. The id is asked for anew: that of a handle is from when it was made. */
static int name_qemu (const struct vmc_domain *domain, char *name, struct vmc_error *err)
{
	virDomainPtr now = VMC_LIBVIRT (virDomainLookupByUUIDString (domain->connection->handle, domain->uuid));
	unsigned id = (unsigned) -1;
	char boot[40];

	name[0] = 0;
	if (now == NULL)
		return virGetLastErrorCode () == VIR_ERR_NO_DOMAIN
			       ? 0
			       : vmc_fail_libvirt (err, VMC_FAILED, "cannot find the domain");
	id = virDomainGetID (now);
	(void) virDomainFree (now);
	read_boot (boot, sizeof boot);
	if (id != (unsigned) -1)
		(void) snprintf (name, VMC_NAME_SIZE, "%u@%s/", id, boot);
	return 0;
}

static int make_mark (const struct vmc_domain *domain, char *mark, struct vmc_error *err)
{
	unsigned number;
	size_t used;

	if (name_qemu (domain, mark, err) < 0)
		return -1;
	if (getrandom (&number, sizeof number, 0) != sizeof number)
		return vmc_fail (err, VMC_FAILED, errno, "no random number");
	used = strlen (mark);
	(void) snprintf (mark + used, VMC_NAME_SIZE - used, "%08x", number);
	return 0;
}

int vmc_freeze_can_last (const struct vmc_domain *domain, const char *mark, struct vmc_error *err)
{
	char now[VMC_NAME_SIZE];

	if (name_qemu (domain, now, err) < 0)
		return -1;
	return now[0] != 0 && strncmp (mark, now, strlen (now)) == 0;
}

/* Nothing is frozen any more. That may be written down later: then it is thawed once more. */
static void drop_mark (struct vmc_journal *journal)
{
	journal->frozen[0] = 0;
	vmc_journal_note (journal);
}

/* --- what the keeper says --------------------------------------------------------------------- */

/* 1: it has died. */
static int hear (const struct vmc_keeper *keeper, unsigned ms, struct vmc_freeze_answer *answer, struct vmc_error *err)
{
	if (vmc_process_read (keeper->process.output_fd, "the keeper", answer, sizeof *answer, vmc_now_ms () + ms,
			      err) == 0)
		return 0;
	return err->errnum == EPIPE ? 1 : -1;
}

static int fail_silent (struct vmc_freeze *freeze, const char *what, struct vmc_error *err)
{
	vmc_keeper_leave (&freeze->keeper);
	return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT,
			 "qemu-guest-agent does not answer when it is to %s the guest; as soon as it does, it is told "
			 "to thaw",
			 what);
}

/* Killed by somebody: whether the guest is frozen nobody knows. */
static int replace_keeper (struct vmc_freeze *freeze, const struct vmc_domain *domain, struct vmc_journal *journal,
			   struct vmc_error *err)
{
	vmc_keeper_dismiss (&freeze->keeper);
	if (vmc_freeze_end_left (domain, journal, err) < 0)
		return -1;
	return vmc_fail (err, VMC_NOT_HELD, 0, "the process that held the freeze has died; the guest is thawed");
}

/* --- freeze and thaw -------------------------------------------------------------------------- */

static int start (struct vmc_freeze *freeze, const struct vmc_domain *domain, struct vmc_journal *journal,
		  struct vmc_error *err)
{
	char mark[VMC_NAME_SIZE];

	if (make_mark (domain, mark, err) < 0 ||
	    vmc_keeper_start (&freeze->keeper, domain, VMC_KEEPER_FREEZE, freeze->max_ms, mark, err) < 0)
		return -1;
	memcpy (journal->frozen, mark, sizeof journal->frozen);
	if (vmc_journal_write (journal, err) == 0)
		return 0;
	journal->frozen[0] = 0;
	return -1;
}

/* The freeze has failed. If nobody knows what has become of it, it is being ended. */
static int end_failed (struct vmc_freeze *freeze, const struct vmc_domain *domain, struct vmc_journal *journal,
		       const struct vmc_freeze_answer *answer, struct vmc_error *err)
{
	if (answer->frozen && vmc_freeze_end (freeze, domain, journal, err) < 0 && err->code != VMC_NOT_HELD)
		return -1;
	if (!answer->frozen) {
		vmc_keeper_dismiss (&freeze->keeper);
		drop_mark (journal);
	}
	*err = answer->error;
	return -1;
}

int vmc_freeze_begin (struct vmc_freeze *freeze, const struct vmc_domain *domain, struct vmc_journal *journal,
		      struct vmc_error *err)
{
	struct vmc_freeze_answer answer;
	int heard;

	if (start (freeze, domain, journal, err) < 0) {
		vmc_keeper_dismiss (&freeze->keeper);
		return -1;
	}
	vmc_fault_point ("freezing");
	(void) vmc_keeper_tell (&freeze->keeper, VMC_KEEPER_DO_FREEZE);
	heard = hear (&freeze->keeper, freeze->max_ms + vmc_fault_number ("VMC_FAULT_ANSWER_MS", ANSWER_MS), &answer,
		      err);
	if (heard != 0)
		return heard > 0 ? replace_keeper (freeze, domain, journal, err) : fail_silent (freeze, "freeze", err);
	freeze->count = answer.count;
	return answer.count > 0 ? 0 : end_failed (freeze, domain, journal, &answer, err);
}

static int judge (struct vmc_freeze *freeze, const struct vmc_freeze_answer *answer, struct vmc_error *err)
{
	freeze->frozen_ms = answer->frozen_ms;
	if (answer->late)
		return vmc_fail (err, VMC_NOT_HELD, 0,
				 "the freeze took longer than %u ms, so the guest was thawed; see --freeze-timeout",
				 freeze->max_ms);
	if (answer->count < freeze->count)
		return vmc_fail (err, VMC_NOT_HELD, 0,
				 "the freeze did not hold: of %d frozen filesystems, only %d were still frozen",
				 freeze->count, answer->count);
	freeze->more = answer->count - freeze->count;
	return 0;
}

int vmc_freeze_end (struct vmc_freeze *freeze, const struct vmc_domain *domain, struct vmc_journal *journal,
		    struct vmc_error *err)
{
	struct vmc_freeze_answer answer;
	int heard;

	(void) vmc_keeper_tell (&freeze->keeper, VMC_KEEPER_DO_THAW);
	heard = hear (&freeze->keeper, vmc_fault_number ("VMC_FAULT_THAW_MS", THAW_MS), &answer, err);
	if (heard != 0)
		return heard > 0 ? replace_keeper (freeze, domain, journal, err) : fail_silent (freeze, "thaw", err);
	vmc_keeper_dismiss (&freeze->keeper);
	drop_mark (journal);
	return judge (freeze, &answer, err);
}

/* --- what is left ----------------------------------------------------------------------------- */

static int thaw_left (const struct vmc_domain *domain, const struct vmc_journal *journal, struct vmc_error *err)
{
	struct vmc_keeper keeper = VMC_KEEPER_INIT;
	struct vmc_freeze_answer answer;
	int heard = -1;

	if (vmc_keeper_start (&keeper, domain, VMC_KEEPER_THAW, 0, journal->frozen, err) == 0)
		heard = hear (&keeper, vmc_fault_number ("VMC_FAULT_THAW_MS", THAW_MS), &answer, err);
	if (heard >= 0 || err->code != VMC_TIMEOUT) {
		vmc_keeper_dismiss (&keeper);
		return heard == 0 ? 0 : -1;
	}
	vmc_keeper_leave (&keeper);
	return vmc_fail (err, VMC_INTERRUPTED, 0,
			 "the guest may be frozen, and qemu-guest-agent does not answer; as soon as it does, it is "
			 "told to thaw; then run vmcompact --recover");
}

int vmc_freeze_end_left (const struct vmc_domain *domain, struct vmc_journal *journal, struct vmc_error *err)
{
	int lasts;

	if (journal->frozen[0] == 0)
		return 0;
	lasts = domain->handle == NULL ? 0 : vmc_freeze_can_last (domain, journal->frozen, err);
	if (lasts < 0 || (lasts == 1 && thaw_left (domain, journal, err) < 0))
		return -1;
	drop_mark (journal);
	return 0;
}
