/* interrupt.c - see interrupt.h */
#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static volatile sig_atomic_t noted;

static void note (int number)
{
	noted = number;
}

int vmc_interrupt_setup (struct vmc_error *err)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (sigaction (numbers[i], &action, NULL) < 0)
			return vmc_fail (err, VMC_FAILED, errno, "cannot catch signals");
	(void) signal (SIGPIPE, SIG_IGN);
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
