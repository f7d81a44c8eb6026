/* freeze_child.c - the keeper's side of freeze.h: it freezes, and thaws when it is told to, when the time is over, or when the run has died
 *
 * Whether there is a freeze of ours is known from what libvirt says. An error of the agent itself means that there is none: it has refused,
 * or has thawed what it had frozen. After any other failure there may be one, also one that is yet to come: the agent may read the
 * request when it goes on. The thaw is sent after it, and the agent takes one after the other; so when the thaw has succeeded,
 * nothing of ours is frozen or will be.
 *
 * Once the run has died it is thawed at once, without the domain's lock, which the next run may have while it waits for just that. The
 * lock is taken to remove the mark from the journal.
 */
#include <errno.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "freeze.h"
#include "journal.h"
#include "keeper.h"
#include "keeper_child.h"
#include "lock.h"
#include "qemu_agent.h"

struct freezer {
	struct vmc_domain *domain;
	const char *mark;
	bool frozen; /* there is a freeze of ours, or may be */
	bool asked;  /* to thaw */
	bool late;
	int thawed; /* filesystems */
	uint64_t began_ms, late_ms, ended_ms;
};

/* If nobody hears it, the run has died: that is seen at the next word. */
static void answer (const struct freezer *freezer, int count, const struct vmc_error *error)
{
	struct vmc_freeze_answer answer = {.count = count,
					   .frozen = freezer->frozen,
					   .late = freezer->late,
					   .frozen_ms = freezer->ended_ms - freezer->began_ms,
					   .error = *error};
	ssize_t ignored = write (STDOUT_FILENO, &answer, sizeof answer);

	(void) ignored;
}

/* --- freeze ----------------------------------------------------------------------------------- */

/* The call has failed: may it have frozen something all the same, or do so later? */
static bool may_freeze (void)
{
	switch (virGetLastErrorCode ()) {
	case VIR_ERR_OPERATION_TIMEOUT: /* another agent call is at work: it was not sent */
	case VIR_ERR_OPERATION_INVALID:
	case VIR_ERR_OPERATION_UNSUPPORTED:
	case VIR_ERR_OPERATION_DENIED:
	case VIR_ERR_ARGUMENT_UNSUPPORTED:
	case VIR_ERR_ACCESS_DENIED:
	case VIR_ERR_NO_SUPPORT:
	case VIR_ERR_NO_DOMAIN:
		return false;
	default:
		return !vmc_qemu_agent_refused ("guest-fsfreeze-freeze");
	}
}

static int try_freeze (struct freezer *freezer, unsigned max_ms, struct vmc_error *err)
{
	int count;

	freezer->began_ms = freezer->ended_ms = vmc_now_ms ();
	freezer->late_ms = freezer->began_ms + max_ms;
	count = VMC_LIBVIRT (virDomainFSFreeze (freezer->domain->handle, NULL, 0, 0));
	if (count == 0)
		return vmc_fail (err, VMC_BUSY, EBUSY,
				 "qemu-guest-agent found nothing to freeze: somebody else has frozen it");
	freezer->frozen = count > 0 || may_freeze ();
	return count > 0 ? count : vmc_qemu_agent_fail (err, "qemu-guest-agent cannot freeze the guest");
}

static void freeze (struct freezer *freezer, unsigned max_ms)
{
	struct vmc_error error = {0};
	int count = try_freeze (freezer, max_ms, &error);

	if (freezer->frozen && count < 0)
		freezer->late_ms = vmc_now_ms (); /* it is ended at once */
	answer (freezer, count, &error);
}

/* --- thaw ------------------------------------------------------------------------------------- */

/* A script of the guest's that is called after the thaw may fail: then the thaw fails, but the agent takes itself for thawed, and so
 * answers to what it does not answer to while it is frozen. */
static bool is_thawed (const struct vmc_domain *domain)
{
	struct vmc_qemu_filesystems unused;
	struct vmc_error ignored;

	return vmc_qemu_agent_refused ("guest-fsfreeze-thaw") &&
	       vmc_qemu_agent_ask (domain, "", &unused, &ignored) == 0;
}

static bool try_thaw (struct freezer *freezer)
{
	struct vmc_domain *domain = freezer->domain;
	struct vmc_error ignored;
	int lasts, count = 0;

	if (vmc_domain_revive (domain, &ignored) < 0)
		return false;
	lasts = domain->handle == NULL ? 0 : vmc_freeze_can_last (domain, freezer->mark, &ignored);
	if (lasts == 1) {
		count = VMC_LIBVIRT (virDomainFSThaw (domain->handle, NULL, 0, 0));
		if (count < 0 && is_thawed (domain))
			count = 0;
	}
	if (lasts < 0 || count < 0)
		return false;
	freezer->thawed = count;
	freezer->frozen = false;
	freezer->ended_ms = vmc_now_ms ();
	return true;
}

/* --- alone ------------------------------------------------------------------------------------ */

/* Has nobody else thawed since? Who does, removes the mark. */
static bool is_marked (const struct freezer *freezer)
{
	struct vmc_journal journal;
	struct vmc_error ignored;
	int found = vmc_journal_read (freezer->domain->uuid, &journal, &ignored);
	bool marked = found < 0 || (found == 1 && strcmp (journal.frozen, freezer->mark) == 0);

	vmc_journal_clear (&journal);
	return marked;
}

static int remove_mark (const struct freezer *freezer, struct vmc_error *err)
{
	int lock = vmc_lock_domain (freezer->domain->uuid, 0, err), result;
	struct vmc_journal journal;

	if (lock < 0)
		return -1;
	result = vmc_journal_read (freezer->domain->uuid, &journal, err);
	if (result == 1 && strcmp (journal.frozen, freezer->mark) == 0) {
		journal.frozen[0] = 0;
		result = vmc_journal_write (&journal, err);
	}
	vmc_journal_clear (&journal);
	(void) close (lock);
	return result < 0 ? -1 : 0;
}

static int end_alone (struct freezer *freezer)
{
	uint64_t until_ms = vmc_now_ms () + VMC_KEEPER_GIVE_UP_MS;
	struct vmc_error ignored;

	do {
		if (!is_marked (freezer))
			return 0;
		if ((!freezer->frozen || try_thaw (freezer)) && remove_mark (freezer, &ignored) == 0)
			return 0;
	} while (poll (NULL, 0, VMC_KEEPER_AGAIN_MS) == 0 && vmc_now_ms () < until_ms);
	return 1;
}

/* --- with the run ----------------------------------------------------------------------------- */

/* When there is something to be done without a word. */
static uint64_t next_ms (const struct freezer *freezer)
{
	if (!freezer->frozen)
		return UINT64_MAX;
	return freezer->asked || freezer->late ? vmc_now_ms () + VMC_KEEPER_AGAIN_MS : freezer->late_ms;
}

static void hear (struct freezer *freezer, int word, unsigned max_ms)
{
	static const struct vmc_error none;

	if (word == VMC_KEEPER_DO_FREEZE)
		freeze (freezer, max_ms);
	freezer->asked = freezer->asked || word == VMC_KEEPER_DO_THAW;
	freezer->late = freezer->late || (word == VMC_KEEPER_LATE && !freezer->asked);
	if (freezer->frozen && (freezer->asked || freezer->late) && !try_thaw (freezer))
		return;
	if (freezer->asked)
		answer (freezer, freezer->thawed, &none);
	freezer->asked = false;
}

int vmc_keeper_freeze (struct vmc_domain *domain, unsigned max_ms, const char *mark, bool frozen)
{
	struct freezer freezer = {.domain = domain, .mark = mark, .frozen = frozen};
	int word = frozen ? VMC_KEEPER_DO_THAW : vmc_keeper_word (UINT64_MAX);

	for (; word != VMC_KEEPER_DONE && word != VMC_KEEPER_ALONE; word = vmc_keeper_word (next_ms (&freezer)))
		hear (&freezer, word, max_ms);
	return word == VMC_KEEPER_DONE && !freezer.frozen ? 0 : end_alone (&freezer);
}
