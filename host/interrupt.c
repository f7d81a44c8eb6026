/* interrupt.c - see interrupt.h */
#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fault.h"

static volatile sig_atomic_t noted, stuck_status = 1;
static char stuck_subject[VMC_TEXT_SIZE] = "vmcompact: ";

static void note (int number)
{
	noted = number;
}

/* A sentence in three parts, at once. */
static void end_stuck (int number)
{
	static const char said[] = "libvirt does not return from a call; ", done[] = "there is nothing to recover\n",
			  open[] = "when it answers again, run vmcompact --recover\n";
	const char *end = stuck_status == 1 ? done : open;
	const struct iovec parts[] = {{.iov_base = stuck_subject, .iov_len = strlen (stuck_subject)},
				      {.iov_base = (char *) said, .iov_len = sizeof said - 1},
				      {.iov_base = (char *) end, .iov_len = strlen (end)}};
	ssize_t ignored = writev (2, parts, sizeof parts / sizeof parts[0]);

	(void) number;
	(void) ignored;
	_exit (stuck_status);
}

int vmc_interrupt_setup (struct vmc_error *err)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (sigaction (numbers[i], &action, NULL) < 0)
			return vmc_fail (err, VMC_FAILED, errno, "cannot catch signals");
	(void) signal (SIGPIPE, SIG_IGN);
	(void) signal (SIGALRM, end_stuck);
	return 0;
}

bool vmc_interrupted (void)
{
	return noted != 0;
}

int vmc_interrupt_check (struct vmc_error *err)
{
	return noted == 0 ? 0 : vmc_fail (err, VMC_CANCELLED, EINTR, "interrupted by signal %d", (int) noted);
}

void vmc_deadline_begin (void)
{
	(void) alarm (vmc_fault_number ("VMC_FAULT_CALL_S", VMC_CALL_MAX_S));
}

void vmc_deadline_end (void)
{
	(void) alarm (0);
}

void vmc_deadline_names (const char *domain)
{
	(void) snprintf (stuck_subject, sizeof stuck_subject, "vmcompact: %s: ", domain);
}

void vmc_deadline_means (enum vmc_code code)
{
	stuck_status = vmc_code_exit_status (code);
}
