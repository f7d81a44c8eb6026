/* fault.c - see fault.h */
#include "fault.h"

#include <fcntl.h>
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

/* Which of the names in LIST is NAME? -1: none. */
static int place_in (const char *list, const char *name)
{
	size_t length = strlen (name);

	for (int i = 0; list != NULL; i++) {
		if (strncmp (list, name, length) == 0 && (list[length] == 0 || list[length] == ','))
			return i;
		list = strchr (list, ',');
		list = list ? list + 1 : NULL;
	}
	return -1;
}

void vmc_fault_point (const char *name)
{
	const char *action = getenv ("VMC_FAULT_ACTION");
	int place = place_in (getenv ("VMC_FAULT_POINT"), name);
	static unsigned fired;
	char pid[32];

	note (name);
	if (place < 0 || place > 31 || action == NULL || (fired & 1U << place) != 0)
		return;
	fired |= 1U << place;
	(void) snprintf (pid, sizeof pid, "%ld", (long) getpid ());
	(void) setenv ("PID", pid, 1);
	(void) setenv ("POINT", name, 1);
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
