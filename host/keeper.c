/* keeper.c - the keeper of pause.h: resumes the guest when the run that paused it has died, or is stuck
 *
 * It waits for one word from the run. If the run ends without it, the keeper takes the domain's lock (while another run has it,
 * which resumes the guest by itself, it waits), writes down where the domain is, and resumes. If that cannot be written down, the
 * guest goes on when its time is over, and the keeper tries again, for a day. If the run only takes too long, the keeper resumes,
 * and again, for as long as the run lives and has not said its word: the pause may be yet to come. Killed together with the run, it
 * leaves the journal, and the next run resumes.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"
#include "home.h"
#include "lock.h"
#include "pause.h"

#define AGAIN_MS 100
#define GIVE_UP_MS 86400000 /* a day without libvirtd */

enum word { DONE, DIED, LATE };

static enum word await_word (unsigned max_ms)
{
	uint64_t until_ms = vmc_now_ms () + max_ms;

	for (;;) {
		struct pollfd entry = {.fd = STDIN_FILENO, .events = POLLIN};
		uint64_t now_ms = vmc_now_ms ();
		char byte;

		if (now_ms >= until_ms)
			return LATE;
		if (poll (&entry, 1, (int) (until_ms - now_ms)) > 0)
			return read (STDIN_FILENO, &byte, 1) == 1 ? DONE : DIED;
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
	uint64_t late_ms = vmc_now_ms () + max_ms, until_ms = vmc_now_ms () + GIVE_UP_MS;
	struct vmc_error ignored;

	do {
		if (vmc_domain_revive (domain, &ignored) < 0)
			continue;
		if (domain->handle == NULL)
			return 0;
		if (take_over (domain, vmc_now_ms () >= late_ms, &ignored) == 0)
			return 0;
	} while (poll (NULL, 0, AGAIN_MS) == 0 && vmc_now_ms () < until_ms);
	return 1;
}

int vmc_keeper_main (char **arguments)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGALRM};
	struct vmc_connection connection;
	struct vmc_domain domain;
	struct vmc_error ignored;
	enum word word;
	unsigned max_ms = (unsigned) strtoul (arguments[2], NULL, 10), ms = max_ms;

	vmc_fault_disarm (); /* they were meant for the run */
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		(void) signal (numbers[i], SIG_IGN);
	if (vmc_connection_open (&connection, arguments[0][0] ? arguments[0] : NULL, &ignored) < 0 ||
	    vmc_domain_find (&connection, arguments[1], &domain, &ignored) < 0 || write (STDOUT_FILENO, "r", 1) != 1)
		return 1;
	while ((word = await_word (ms)) == LATE) {
		ms = AGAIN_MS; /* the pause may be yet to come: the run is slow */
		resume_late (&domain);
	}
	return word == DONE ? 0 : resume (&domain, max_ms);
}
