/* qemu_agent.c - see qemu_agent.h */
#include "qemu_agent.h"

#include <libvirt/virterror.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"
#include "process.h"

#define ANSWER_MS 10000
#define CHECK_MS 500

#define JOB_FILESYSTEMS "filesystems"
#define JOB_TRIM "trim"
#define LOOP "/dev/loop"

/* What the child writes. */
struct answer {
	bool failed;
	struct vmc_error error;
	struct vmc_qemu_filesystems filesystems;
};

/* --- what it says ----------------------------------------------------------------------------- */

/* One of its filesystems, as parameters "fs.NUMBER.KEY". */
struct entry {
	virTypedParameterPtr params;
	int count, number;
};

static const char *text_of (const struct entry *entry, const char *key)
{
	char field[VIR_TYPED_PARAM_FIELD_LENGTH];
	const char *text = NULL;

	(void) snprintf (field, sizeof field, "fs.%d.%s", entry->number, key);
	return virTypedParamsGetString (entry->params, entry->count, field, &text) == 1 && text ? text : "";
}

static uint64_t bytes_of (const struct entry *entry, const char *key)
{
	char field[VIR_TYPED_PARAM_FIELD_LENGTH];
	unsigned long long bytes = 0;

	(void) snprintf (field, sizeof field, "fs.%d.%s", entry->number, key);
	return virTypedParamsGetULLong (entry->params, entry->count, field, &bytes) == 1 ? bytes : 0;
}

static unsigned disks_of (const struct entry *entry)
{
	char field[VIR_TYPED_PARAM_FIELD_LENGTH];
	unsigned disks = 0;

	(void) snprintf (field, sizeof field, "fs.%d.disk.count", entry->number);
	return virTypedParamsGetUInt (entry->params, entry->count, field, &disks) == 1 ? disks : 0;
}

static bool lies_on (const struct entry *entry, const char *target)
{
	unsigned disks = disks_of (entry);

	for (unsigned i = 0; i < disks && i < (unsigned) entry->count; i++) {
		char key[40];

		(void) snprintf (key, sizeof key, "disk.%u.alias", i);
		if (strcmp (text_of (entry, key), target) == 0)
			return true;
	}
	return false;
}

/* A bind mount is listed as another filesystem on the same device. */
static bool is_again (const struct entry *entry)
{
	for (struct entry other = *entry; other.number-- > 0;)
		if (strcmp (text_of (&other, "name"), text_of (entry, "name")) == 0)
			return true;
	return false;
}

/* Its device is the disk or a partition, by the kernel's name for it: no mapping, no RAID. */
static bool is_direct_ext (const struct entry *entry)
{
	const char *name = text_of (entry, "name");

	return disks_of (entry) == 1 && strncmp (text_of (entry, "fstype"), "ext", 3) == 0 &&
	       (strncmp (name, "vd", 2) == 0 || strncmp (name, "sd", 2) == 0);
}

static void add (const struct entry *entry, struct vmc_qemu_filesystems *filesystems)
{
	uint64_t total = bytes_of (entry, "total-bytes"), used = bytes_of (entry, "used-bytes"), sum;

	filesystems->mounted++;
	filesystems->mounted_ext += is_direct_ext (entry);
	if (disks_of (entry) != 1 || used > total || __builtin_add_overflow (filesystems->used_bytes, used, &sum) ||
	    __builtin_add_overflow (filesystems->free_bytes, total - used, &filesystems->free_bytes))
		return;
	filesystems->used_bytes = sum;
}

static bool is_mounted (struct entry entry, unsigned entries, const char *name)
{
	for (entry.number = 0; entry.number < (int) entries; entry.number++)
		if (strcmp (text_of (&entry, "name"), name) == 0)
			return true;
	return false;
}

/* A filesystem on a loop device is frozen before what holds the device's file. Who writes to a loop device without one is not. */
static uint32_t count_bare_loops (const struct entry *entry, unsigned entries)
{
	unsigned disks = 0, bare = 0;

	if (virTypedParamsGetUInt (entry->params, entry->count, "disk.count", &disks) != 1 ||
	    disks > (unsigned) entry->count)
		return VMC_LOOPS_UNKNOWN;
	for (unsigned i = 0; i < disks; i++) {
		const char *name = NULL;
		char key[40];

		(void) snprintf (key, sizeof key, "disk.%u.name", i);
		if (virTypedParamsGetString (entry->params, entry->count, key, &name) != 1)
			return VMC_LOOPS_UNKNOWN;
		if (strncmp (name, LOOP, strlen (LOOP)) == 0)
			bare += !is_mounted (*entry, entries, name + strlen ("/dev/"));
	}
	return bare;
}

void vmc_qemu_agent_count (virTypedParameterPtr params, int count, const char *target,
			   struct vmc_qemu_filesystems *filesystems)
{
	struct entry entry = {.params = params, .count = count};
	unsigned entries = 0;

	*filesystems = (struct vmc_qemu_filesystems) {.bare_loops = VMC_LOOPS_UNKNOWN};
	if (virTypedParamsGetUInt (params, count, "fs.count", &entries) != 1 || entries > VMC_FILESYSTEMS_MAX)
		return;
	filesystems->bare_loops = count_bare_loops (&entry, entries);
	for (; entry.number < (int) entries; entry.number++)
		if (lies_on (&entry, target) && !is_again (&entry))
			add (&entry, filesystems);
}

bool vmc_qemu_agent_refused (const char *command)
{
	const char *message = virGetLastErrorMessage ();
	char quoted[64];

	(void) snprintf (quoted, sizeof quoted, "'%s': ", command);
	return strstr (message, quoted) != NULL;
}

int vmc_qemu_agent_fail (struct vmc_error *err, const char *context)
{
	enum vmc_code code = VMC_REFUSED;

	if (virGetLastErrorCode () == VIR_ERR_AGENT_UNRESPONSIVE)
		code = VMC_NO_AGENT;
	else if (strstr (virGetLastErrorMessage (), "frozen") != NULL)
		code = VMC_BUSY;
	(void) vmc_fail_libvirt (err, code, context);
	return code == VMC_BUSY ? vmc_fail_in (err, "somebody else has frozen the guest") : -1;
}

/* An agent that is older than QEMU 5.2 does not name the disks, and libvirt then says nothing of the filesystems either. */
static int ask_for (const struct vmc_domain *domain, unsigned types, virTypedParameterPtr *params, int *count)
{
	return VMC_LIBVIRT (virDomainGetGuestInfo (domain->handle, types, params, count, 0));
}

int vmc_qemu_agent_ask (const struct vmc_domain *domain, const char *target, struct vmc_qemu_filesystems *filesystems,
			struct vmc_error *err)
{
	virTypedParameterPtr params = NULL;
	int count = 0;

	if (ask_for (domain, VIR_DOMAIN_GUEST_INFO_FILESYSTEM | VIR_DOMAIN_GUEST_INFO_DISKS, &params, &count) < 0 &&
	    ask_for (domain, VIR_DOMAIN_GUEST_INFO_FILESYSTEM, &params, &count) < 0)
		return vmc_qemu_agent_fail (err, "qemu-guest-agent cannot name the guest's filesystems");
	vmc_qemu_agent_count (params, count, target, filesystems);
	virTypedParamsFree (params, count);
	return 0;
}

/* --- the child -------------------------------------------------------------------------------- */

static int do_job (const struct vmc_domain *domain, const char *job, const char *argument, struct answer *answer)
{
	if (strcmp (job, JOB_FILESYSTEMS) == 0)
		return vmc_qemu_agent_ask (domain, argument, &answer->filesystems, &answer->error);
	if (VMC_LIBVIRT (virDomainFSTrim (domain->handle, NULL, strtoull (argument, NULL, 10), 0)) < 0)
		return vmc_qemu_agent_fail (&answer->error, "qemu-guest-agent cannot trim");
	return 0;
}

int vmc_qemu_agent_main (char **arguments)
{
	const char *job = arguments[0], *uri = arguments[1], *uuid = arguments[2], *argument = arguments[3];
	struct vmc_connection connection;
	struct vmc_domain domain;
	struct answer answer = {0};

	vmc_fault_disarm (); /* they were meant for the run */
	(void) signal (SIGALRM, SIG_IGN);
	answer.failed = vmc_connection_open (&connection, uri[0] ? uri : NULL, &answer.error) < 0 ||
			vmc_domain_find (&connection, uuid, &domain, &answer.error) < 0 ||
			do_job (&domain, job, argument, &answer) < 0;
	return write (STDOUT_FILENO, &answer, sizeof answer) != sizeof answer;
}

/* --- the parent ------------------------------------------------------------------------------- */

static int start (struct vmc_process *child, const struct vmc_domain *domain, const char *job, const char *argument,
		  struct vmc_error *err)
{
	const char *uri = domain->connection->uri ? domain->connection->uri : "";
	const char *const argv[] = {"/proc/self/exe", VMC_QEMU_AGENT_OPTION, job, uri, domain->uuid, argument, NULL};

	return vmc_process_start (child, argv, -1, err);
}

static int hear (struct vmc_process *child, uint64_t until_ms, struct answer *answer, struct vmc_error *err)
{
	if (vmc_process_read (child->output_fd, "the child that asks qemu-guest-agent", answer, sizeof *answer,
			      until_ms, err) < 0)
		return -1;
	if (answer->failed)
		*err = answer->error;
	return answer->failed ? -1 : 0;
}

int vmc_qemu_agent_filesystems (const struct vmc_domain *domain, const char *target,
				struct vmc_qemu_filesystems *filesystems, struct vmc_error *err)
{
	VMC_CLEANUP_PROCESS struct vmc_process child = VMC_PROCESS_INIT;
	struct answer answer;

	if (start (&child, domain, JOB_FILESYSTEMS, target, err) < 0)
		return -1;
	if (hear (&child, vmc_now_ms () + vmc_fault_number ("VMC_FAULT_ANSWER_MS", ANSWER_MS), &answer, err) < 0)
		return err->code == VMC_TIMEOUT ? vmc_fail (err, VMC_NO_AGENT, 0, "qemu-guest-agent does not answer")
						: -1;
	*filesystems = answer.filesystems;
	return 0;
}

int vmc_qemu_agent_trim (const struct vmc_domain *domain, uint64_t minimum_bytes,
			 int (*check) (const void *opaque, struct vmc_error *err), const void *opaque,
			 struct vmc_error *err)
{
	VMC_CLEANUP_PROCESS struct vmc_process child = VMC_PROCESS_INIT;
	struct pollfd entry = {.events = POLLIN};
	struct answer answer;
	char minimum[32];

	(void) snprintf (minimum, sizeof minimum, "%llu", (unsigned long long) minimum_bytes);
	if (start (&child, domain, JOB_TRIM, minimum, err) < 0)
		return -1;
	entry.fd = child.output_fd;
	while (poll (&entry, 1, CHECK_MS) <= 0)
		if (check (opaque, err) < 0)
			return -1;
	return hear (&child, vmc_now_ms () + ANSWER_MS, &answer, err);
}
