/* keeper_child.c - the keeper of keeper.h; and its job for pause.h: it resumes the guest when the run that paused it has died, or is stuck
 *
 * It waits for one word from the run. If the run ends without it, the keeper takes the domain's lock (while another run has it,
 * which resumes the guest by itself, it waits), writes down where the domain is, and resumes. If that cannot be written down, the
 * guest goes on when its time is over, and the keeper tries again, for a day. If the run only takes too long, the keeper resumes,
 * and again, for as long as the run lives and has not said its word: the pause may be yet to come. Killed together with the run, it
 * leaves the journal, and the next run resumes.
 */
#include "keeper_child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"
#include "home.h"
#include "keeper.h"
#include "lock.h"

int vmc_keeper_word (uint64_t until_ms)
{
	for (;;) {
		struct pollfd entry = {.fd = STDIN_FILENO, .events = POLLIN};
		uint64_t now_ms = vmc_now_ms ();
		char byte;

		if (now_ms >= until_ms)
			return VMC_KEEPER_LATE;
		if (poll (&entry, 1, (int) (until_ms - now_ms < 60000 ? until_ms - now_ms : 60000)) > 0)
			return read (STDIN_FILENO, &byte, 1) == 1 ? byte : VMC_KEEPER_ALONE;
	}
}

/* The run is stuck, or very slow. It looks itself where the domain is, should it go on. */
static void resume_late (struct vmc_domain *domain)
{
	struct vmc_error ignored;

	if (vmc_domain_revive (domain, &ignored) < 0 || domain->handle == NULL ||
	    vmc_domain_resume (domain, VIR_DOMAIN_PAUSED_USER, &ignored) < 0)
		return;
}

/* The run has died. 0: the guest goes on, or there is nothing left to do. LATE: first of all it goes on. */
static int take_over (struct vmc_domain *domain, bool late, struct vmc_error *err)
{
	struct vmc_journal journal;
	int lock = vmc_lock_domain (domain->uuid, 0, err), result;

	if (lock < 0)
		return -1;
	result = vmc_journal_read (domain->uuid, &journal, err);
	journal.paused = true; /* why else are we here: the journal could not be written */
	result = result == 1 ? vmc_home_go_on (domain, &journal, err)
			     : vmc_domain_resume (domain, VIR_DOMAIN_PAUSED_USER, err);
	if (result < 0 && late)
		resume_late (domain);
	vmc_journal_clear (&journal);
	(void) close (lock);
	return result;
}

static int resume (struct vmc_domain *domain, unsigned max_ms)
{
	uint64_t late_ms = vmc_now_ms () + max_ms, until_ms = vmc_now_ms () + VMC_KEEPER_GIVE_UP_MS;
	struct vmc_error ignored;

	do {
		if (vmc_domain_revive (domain, &ignored) < 0)
			continue;
		if (domain->handle == NULL)
			return 0;
		if (take_over (domain, vmc_now_ms () >= late_ms, &ignored) == 0)
			return 0;
	} while (poll (NULL, 0, VMC_KEEPER_AGAIN_MS) == 0 && vmc_now_ms () < until_ms);
	return 1;
}

static int keep_pause (struct vmc_domain *domain, unsigned max_ms)
{
	unsigned ms = max_ms;
	int word;

	while ((word = vmc_keeper_word (vmc_now_ms () + ms)) == VMC_KEEPER_LATE) {
		ms = VMC_KEEPER_AGAIN_MS; /* the pause may be yet to come: the run is slow */
		resume_late (domain);
	}
	return word == VMC_KEEPER_DONE ? 0 : resume (domain, max_ms);
}

int vmc_keeper_main (char **arguments)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGALRM};
	const char *job = arguments[0], *uri = arguments[1], *uuid = arguments[2], *mark = arguments[4];
	unsigned max_ms = (unsigned) strtoul (arguments[3], NULL, 10);
	struct vmc_connection connection;
	struct vmc_domain domain;
	struct vmc_error ignored;

	vmc_fault_disarm (); /* they were meant for the run */
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		(void) signal (numbers[i], SIG_IGN);
	if (vmc_connection_open (&connection, uri[0] ? uri : NULL, &ignored) < 0 ||
	    vmc_domain_find (&connection, uuid, &domain, &ignored) < 0 || write (STDOUT_FILENO, "r", 1) != 1)
		return 1;
	if (strcmp (job, VMC_KEEPER_PAUSE) == 0)
		return keep_pause (&domain, max_ms);
	return vmc_keeper_freeze (&domain, max_ms, mark, strcmp (job, VMC_KEEPER_THAW) == 0);
}
