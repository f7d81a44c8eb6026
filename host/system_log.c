/* system_log.c - see system_log.h
 *
 * systemd's journal takes datagrams of "FIELD=value" lines on a socket (systemd.io/JOURNAL_NATIVE_PROTOCOL); where there is no such
 * socket the message goes to syslog. Values have no newlines: they are numbers, our own words, or escaped (text.h).
 */
#include "system_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "text.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define MESSAGE_SIZE 1024

/* True: the journal has it. */
static bool send_to_journal (const char *fields, size_t length)
{
	static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
	int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ssize_t sent;

	if (fd < 0)
		return false;
	sent = sendto (fd, fields, length, MSG_NOSIGNAL, (const struct sockaddr *) &address, sizeof address);
	(void) close (fd);
	return sent == (ssize_t) length;
}

static void print_number (FILE *out, const char *field, uint64_t value)
{
	if (value != VMC_UNKNOWN)
		(void) fprintf (out, "%s=%llu\n", field, (unsigned long long) value);
}

static void print_disk (FILE *out, const struct vmc_disk_report *disk)
{
	(void) fprintf (out, "VMCOMPACT_DISK=%s\nVMCOMPACT_METHOD=%s\n", disk->target,
			disk->method ? disk->method : "");
	print_number (out, "VMCOMPACT_RECLAIMED_BYTES", disk->reclaimed_bytes);
	print_number (out, "VMCOMPACT_ALLOCATED_BYTES", disk->allocated_after_bytes);
	print_number (out, "VMCOMPACT_FROZEN_MS", disk->frozen_ms);
	print_number (out, "VMCOMPACT_DURATION_MS", disk->duration_ms);
}

/* One entry; DISK is NULL for the domain as a whole. */
static void tell (const struct vmc_report *report, const struct vmc_disk_report *disk, const char *message,
		  const struct vmc_error *error)
{
	int priority = error ? LOG_ERR : LOG_INFO;
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream (&text, &length);

	if (out == NULL)
		return;
	(void) fprintf (out,
			"MESSAGE=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=vmcompact\nVMCOMPACT_DOMAIN=%s\nVMCOMPACT_UUID=%s\n"
			"VMCOMPACT_RESULT=%s\n",
			message, priority, report->domain, report->uuid, error ? vmc_code_name (error->code) : "done");
	if (disk != NULL)
		print_disk (out, disk);
	if (fclose (out) == 0 && !send_to_journal (text, length))
		syslog (LOG_DAEMON | priority, "%s", message);
	free (text);
}

static void tell_disk (const struct vmc_report *report, const struct vmc_disk_report *disk)
{
	char message[MESSAGE_SIZE], size[16];

	if (disk->failed)
		(void) snprintf (message, sizeof message, "%s (%s): %s", report->domain, disk->target,
				 disk->error.text);
	else if (disk->reclaimed_bytes == VMC_UNKNOWN || disk->method == NULL)
		(void) snprintf (message, sizeof message, "%s (%s): %s", report->domain, disk->target, disk->reason);
	else
		(void) snprintf (message, sizeof message, "%s (%s): %s reclaimed by %s", report->domain, disk->target,
				 vmc_text_size (size, disk->reclaimed_bytes), disk->method);
	tell (report, disk, message, disk->failed ? &disk->error : NULL);
}

void vmc_system_log (const struct vmc_report *report)
{
	char message[MESSAGE_SIZE];

	openlog ("vmcompact", LOG_PID, LOG_DAEMON);
	if (report->failed) {
		(void) snprintf (message, sizeof message, "%s: %s", report->domain, report->error.text);
		tell (report, NULL, message, &report->error);
	}
	for (size_t i = 0; i < report->count; i++)
		tell_disk (report, &report->disks[i]);
	closelog ();
}
