/* qemu_version.c - see qemu_version.h
 *
 * libvirt could be made to ask QEMU itself, but marks a domain as tainted for that. The pid file and /proc tell as well: the
 * program that the process runs is asked for its version.
 */
#include "qemu_version.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "connection.h"
#include "process.h"

#define ANSWER_MS 10000

bool vmc_qemu_loses_writes (unsigned long version)
{
	return version == 0 || (version >= 8002000 && version < 10000010) ||
	       (version >= 10001000 && version < 10002002);
}

unsigned long vmc_qemu_version_parse (const char *text)
{
	const char *number = strstr (text, "version ");
	unsigned major, minor, release = 0;

	if (number == NULL || sscanf (number + 8, "%u.%u.%u", &major, &minor, &release) < 2 || major > 999 ||
	    minor > 999 || release > 999)
		return 0;
	return major * 1000000UL + minor * 1000UL + release;
}

/* The process of the domain, 0 when libvirt's note of it is not found. */
static long find_pid (virDomainPtr domain)
{
	char path[PATH_MAX];
	long pid = 0;
	FILE *file;

	if (snprintf (path, sizeof path, "/run/libvirt/qemu/%s.pid", virDomainGetName (domain)) >= (int) sizeof path)
		return 0;
	file = fopen (path, "re");
	if (file == NULL)
		return 0;
	if (fscanf (file, "%ld", &pid) != 1 || pid <= 1)
		pid = 0;
	(void) fclose (file);
	return pid;
}

/* The first line that PROGRAM prints. */
static unsigned long ask (const char *program)
{
	VMC_CLEANUP_PROCESS struct vmc_process process = VMC_PROCESS_INIT;
	const char *const argv[] = {program, "--version", NULL};
	struct vmc_error ignored;
	char text[256] = "";
	struct pollfd entry = {.events = POLLIN};

	if (vmc_process_start (&process, argv, -1, &ignored) < 0)
		return 0;
	entry.fd = process.output_fd;
	if (poll (&entry, 1, ANSWER_MS) <= 0 || read (process.output_fd, text, sizeof text - 1) <= 0 ||
	    vmc_process_wait (&process, vmc_now_ms () + ANSWER_MS, &ignored) < 0)
		return 0;
	return vmc_qemu_version_parse (text);
}

/* It was asked before, if it is the same file: a run needs to know more than once. */
static unsigned long ask_once (const char *program)
{
	static struct stat asked;
	static unsigned long version;
	struct stat now;

	if (access (program, X_OK) < 0 || stat (program, &now) < 0)
		return 0;
	if (version != 0 && now.st_dev == asked.st_dev && now.st_ino == asked.st_ino &&
	    now.st_ctim.tv_sec == asked.st_ctim.tv_sec && now.st_ctim.tv_nsec == asked.st_ctim.tv_nsec)
		return version;
	asked = now;
	version = ask (program);
	return version;
}

unsigned long vmc_qemu_version (virDomainPtr domain)
{
	char link[64], program[PATH_MAX];
	unsigned long installed = 0;
	long pid = find_pid (domain);
	ssize_t length;

	if (pid == 0)
		return VMC_LIBVIRT (virConnectGetVersion (virDomainGetConnect (domain), &installed)) < 0 ? 0
													 : installed;
	(void) snprintf (link, sizeof link, "/proc/%ld/exe", pid);
	length = readlink (link, program, sizeof program - 1);
	if (length <= 0)
		return 0;
	program[length] = 0;
	/* A file that was replaced reads as "PATH (deleted)" and cannot be run under that name. */
	return ask_once (program);
}

char *vmc_version_text (unsigned long version, char *text)
{
	(void) snprintf (text, 40, "%lu.%lu.%lu", version / 1000000, version / 1000 % 1000, version % 1000);
	return text;
}
