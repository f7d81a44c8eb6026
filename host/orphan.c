/* orphan.c - see orphan.h
 *
 * libvirt keeps a domain's monitor at a known place, in a directory with the domain's id and the beginning of its name. Which
 * QEMU answers there is asked first: it must have the UUID of the domain.
 */
#include "orphan.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define MONITORS "/var/lib/libvirt/qemu/domain-*/monitor.sock"
#define ANSWER_S 2
#define NAME_CUT 20 /* characters of the domain's name */

static int connect_to (const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = ANSWER_S};
	int fd;

	if (snprintf (address.sun_path, sizeof address.sun_path, "%s", path) >= (int) sizeof address.sun_path)
		return -1;
	fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
	    setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
	    connect (fd, (struct sockaddr *) &address, sizeof address) == 0)
		return fd;
	if (fd >= 0)
		(void) close (fd);
	return -1;
}

/* Send COMMAND, unless it is empty, and read one line that has WANTED in it; events may come before it. */
static bool talk (int fd, const char *command, const char *wanted)
{
	char line[8192];
	size_t used = 0;

	if (send (fd, command, strlen (command), MSG_NOSIGNAL) != (ssize_t) strlen (command))
		return false;
	while (used < sizeof line - 1 && read (fd, line + used, 1) == 1) {
		if (line[used++] != '\n')
			continue;
		line[used] = 0;
		used = 0;
		if (strstr (line, wanted) != NULL)
			return true;
		if (strstr (line, "\"event\"") == NULL)
			return false;
	}
	return false;
}

static bool resume_at (const char *path, const char *uuid)
{
	int fd = connect_to (path);
	bool resumed = fd >= 0 && talk (fd, "", "\"QMP\"") &&
		       talk (fd, "{\"execute\":\"qmp_capabilities\"}\n", "\"return\"") &&
		       talk (fd, "{\"execute\":\"query-uuid\"}\n", uuid) &&
		       talk (fd, "{\"execute\":\"cont\"}\n", "\"return\"");

	if (fd >= 0)
		(void) close (fd);
	return resumed;
}

/* The name of the directory ends with the domain's, which is cut after some characters (virDomainDefGetShortName in libvirt). */
static bool has_name (const char *path, const char *name)
{
	char end[NAME_CUT + sizeof "-/monitor.sock"];
	size_t length, path_length = strlen (path);

	length = (size_t) snprintf (end, sizeof end, "-%.*s/monitor.sock", NAME_CUT, name);
	return path_length > length && strcmp (path + path_length - length, end) == 0;
}

int vmc_orphan_resume (const struct vmc_domain *domain, struct vmc_error *err)
{
	const char *name = virDomainGetName (domain->handle);
	bool resumed = false;
	glob_t found = {0};

	/* Those with the name first: a monitor that libvirt holds does not answer, and there may be hundreds. */
	if (glob (MONITORS, GLOB_NOSORT, NULL, &found) == 0)
		for (size_t i = 0; i < 2 * found.gl_pathc && !resumed; i++) {
			const char *path = found.gl_pathv[i % found.gl_pathc];

			if (has_name (path, name) == (i < found.gl_pathc))
				resumed = resume_at (path, domain->uuid);
		}
	globfree (&found);
	return resumed ? 0 : vmc_fail (err, VMC_FAILED, 0, "no QEMU of the domain answers");
}
