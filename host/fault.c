/* fault.c - see fault.h */
#include "fault.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef VMC_FAULT_POINTS
static void note (const char *name)
{
	const char *path = getenv ("VMC_FAULT_LOG");
	int fd = path ? open (path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return;
	(void) dprintf (fd, "%s\n", name);
	(void) close (fd);
}

void vmc_fault_point (const char *name)
{
	const char *wanted = getenv ("VMC_FAULT_POINT"), *action = getenv ("VMC_FAULT_ACTION");
	static bool fired;
	char pid[32];

	note (name);
	if (fired || wanted == NULL || action == NULL || strcmp (wanted, name) != 0)
		return;
	fired = true;
	(void) snprintf (pid, sizeof pid, "%ld", (long) getpid ());
	(void) setenv ("PID", pid, 1);
	if (system (action) == -1)
		abort (); /* a fault that does not fire must not look like a run that survived it */
}

void vmc_fault_disarm (void)
{
	(void) unsetenv ("VMC_FAULT_POINT");
	(void) unsetenv ("VMC_FAULT_LOG");
}

unsigned vmc_fault_number (const char *name, unsigned usual)
{
	const char *text = getenv (name);

	return text ? (unsigned) strtoul (text, NULL, 10) : usual;
}
#endif
