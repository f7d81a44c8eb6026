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

/* --- asking a program ------------------------------------------------------------------------- */

/* The program that was asked last. It takes longer to load than many a step of a run, so it is asked once, and early. */
static struct {
	struct stat file;
	struct vmc_process process; /* pid 0: it has answered */
	unsigned long version;      /* 0: not known */
} asked = {.process = VMC_PROCESS_INIT};

static bool is_asked (const struct stat *file)
{
	return file->st_dev == asked.file.st_dev && file->st_ino == asked.file.st_ino &&
	       file->st_ctim.tv_sec == asked.file.st_ctim.tv_sec &&
	       file->st_ctim.tv_nsec == asked.file.st_ctim.tv_nsec && (asked.version != 0 || asked.process.pid > 0);
}

/* False: it cannot be run. */
static bool ask (const char *program)
{
	const char *const argv[] = {program, "--version", NULL};
	struct vmc_error ignored;
	struct stat file;

	if (access (program, X_OK) < 0 || stat (program, &file) < 0)
		return false;
	if (is_asked (&file))
		return true;
	vmc_process_end (&asked.process);
	asked.version = 0;
	asked.file = file;
	return vmc_process_start (&asked.process, argv, -1, &ignored) == 0;
}

/* By the first line that it prints. */
static unsigned long take_answer (void)
{
	struct pollfd entry = {.fd = asked.process.output_fd, .events = POLLIN};
	struct vmc_error ignored;
	char text[256] = "";

	if (asked.process.pid > 0 && poll (&entry, 1, ANSWER_MS) > 0 &&
	    read (asked.process.output_fd, text, sizeof text - 1) > 0 &&
	    vmc_process_wait (&asked.process, vmc_now_ms () + ANSWER_MS, &ignored) == 0)
		asked.version = vmc_qemu_version_parse (text);
	vmc_process_end (&asked.process);
	return asked.version;
}

/* --- asking for a domain ---------------------------------------------------------------------- */

/* What the domain's process runs. False: it is not known. A file that was replaced reads as "PATH (deleted)", and cannot be run under
 * that name. */
static bool find_program (long pid, char *program)
{
	ssize_t length;
	char link[64];

	(void) snprintf (link, sizeof link, "/proc/%ld/exe", pid);
	length = readlink (link, program, PATH_MAX - 1);
	if (length <= 0)
		return false;
	program[length] = 0;
	return true;
}

void vmc_qemu_version_begin (virDomainPtr domain)
{
	char program[PATH_MAX];
	long pid = find_pid (domain);

	if (pid != 0 && find_program (pid, program))
		(void) ask (program);
}

unsigned long vmc_qemu_version (virDomainPtr domain)
{
	char program[PATH_MAX];
	unsigned long installed = 0;
	long pid = find_pid (domain);

	if (pid == 0)
		return VMC_LIBVIRT (virConnectGetVersion (virDomainGetConnect (domain), &installed)) < 0 ? 0
													 : installed;
	return find_program (pid, program) && ask (program) ? take_answer () : 0;
}

char *vmc_version_text (unsigned long version, char *text)
{
	(void) snprintf (text, 40, "%lu.%lu.%lu", version / 1000000, version / 1000 % 1000, version % 1000);
	return text;
}
