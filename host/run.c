/* run.c - see run.h
 *
 * The order of a run: lock, what an earlier run has left, facts, plan, method, measure; one disk is finished before the next
 * is begun. What was left is brought home first, unless it is a dry run; otherwise nothing is changed before the plan of a disk
 * says so. All facts are gathered anew for each step that is planned: hours may lie between.
 */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "connection.h"
#include "guard.h"
#include "interrupt.h"
#include "lock.h"
#include "method.h"
#include "new_image.h"
#include "offline.h"
#include "overlay.h"
#include "plan.h"
#include "progress.h"
#include "qemu_agent.h"
#include "recover.h"
#include "text.h"

#define HELLO_MS 5000
#define CHANNEL_MS 1000
#define RATE_MS 100 /* over which the guest's writes are counted, at least */

/* --- facts ------------------------------------------------------------------------------------ */

/* The overlay's name; false: it does not fit. There is none beside a block device. */
static bool name_overlay (const struct vmc_run *run, struct vmc_disk_facts *facts)
{
	const char *directory = run->options->overlay_dir, *path = facts->disk->path;
	int length;

	if (directory == NULL && strcmp (facts->disk->type, "block") == 0)
		return true;
	if (directory == NULL)
		length = snprintf (facts->overlay_path, sizeof facts->overlay_path, "%s" VMC_OVERLAY_SUFFIX, path);
	else
		length = snprintf (facts->overlay_path, sizeof facts->overlay_path, "%s/%s-%s" VMC_OVERLAY_SUFFIX,
				   directory, run->domain.uuid, facts->disk->target);
	return length < (int) sizeof facts->overlay_path;
}

static void note_in_the_way (struct vmc_disk_facts *facts, const char *path)
{
	struct stat status;

	if (lstat (path, &status) == 0)
		(void) snprintf (facts->in_the_way, sizeof facts->in_the_way, "%s", path);
}

/* Files with the names that a run needs; false: one of the names does not fit. */
static bool look_for_names (const struct vmc_run *run, struct vmc_disk_facts *facts)
{
	char path[VMC_PATH_SIZE];

	if (!name_overlay (run, facts))
		return false;
	if (facts->overlay_path[0] == 0)
		return true;
	note_in_the_way (facts, facts->overlay_path);
	if (run->options->method != VMC_METHOD_CONVERT || facts->in_the_way[0] != 0)
		return true;
	if (!vmc_overlay_next_name (facts->overlay_path, path))
		return false;
	note_in_the_way (facts, path);
	return facts->in_the_way[0] != 0 || vmc_new_image_in_the_way (facts->disk->path, facts->in_the_way) >= 0;
}

static int look_at_image (struct vmc_run *run, struct vmc_disk_facts *facts, struct vmc_error *err)
{
	struct vmc_error why;

	if (!look_for_names (run, facts))
		return vmc_fail (err, VMC_REFUSED, 0, "the path of the image is too long");
	if (vmc_image_look (facts->disk, facts->overlay_path[0] ? facts->overlay_path : facts->disk->path,
			    &facts->image, &why) < 0) {
		(void) snprintf (facts->why_no_image, sizeof facts->why_no_image, "%s", why.text);
		return 0;
	}
	facts->image_known = true;
	facts->other_writer = vmc_guard_writers (facts->disk->path) > 1;
	if (vmc_image_can_punch (facts->disk->path, &why) < 0)
		(void) snprintf (facts->why_no_punch, sizeof facts->why_no_punch, "%s", why.text);
	return vmc_domain_other_user (&run->domain, facts->disk->target, &facts->image, facts->used_by,
				      sizeof facts->used_by, err);
}

/* The size that the guest sees, and whether a block job is at work. */
static int look_at_block (struct vmc_run *run, struct vmc_disk_facts *facts, struct vmc_disk_report *report,
			  struct vmc_error *err)
{
	virDomainBlockInfo info;
	virDomainBlockJobInfo job;
	int jobs;

	if (VMC_LIBVIRT (virDomainGetBlockInfo (run->domain.handle, facts->disk->target, &info, 0)) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the size of the disk");
	jobs = VMC_LIBVIRT (virDomainGetBlockJobInfo (run->domain.handle, facts->disk->target, &job, 0));
	if (jobs < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the block jobs of the disk");
	facts->block_job = jobs > 0;
	report->virtual_bytes = info.capacity;
	return 0;
}

static int ask_qemu_agent (struct vmc_run *run, struct vmc_disk_facts *facts, struct vmc_disk_report *report,
			   struct vmc_error *err)
{
	struct vmc_qemu_filesystems filesystems;

	if (vmc_qemu_agent_filesystems (&run->domain, facts->disk->target, &filesystems, err) < 0)
		return -1;
	facts->mounted = filesystems.mounted;
	facts->mounted_ext = filesystems.mounted_ext;
	facts->free_bytes = filesystems.free_bytes;
	facts->used_bytes = filesystems.used_bytes;
	if (facts->used_bytes > 0)
		report->used_bytes = facts->used_bytes;
	return 0;
}

static int look_at_guest (struct vmc_run *run, struct vmc_disk_facts *facts, struct vmc_filesystems_result *filesystems,
			  struct vmc_disk_report *report, struct vmc_error *err)
{
	if (look_at_block (run, facts, report, err) < 0)
		return -1;
	if (run->agent == NULL)
		return facts->domain->qemu_agent ? ask_qemu_agent (run, facts, report, err) : 0;
	if (vmc_agent_filesystems (run->agent, filesystems, err) < 0)
		return -1;
	vmc_facts_match (facts, report->virtual_bytes, filesystems);
	if (facts->filesystem_count > 0)
		report->used_bytes = facts->used_bytes;
	return 0;
}

/* What the guest has written to the disk since it was started; 0 where that is not known. */
static uint64_t written_bytes (const struct vmc_run *run, const struct vmc_disk_facts *facts)
{
	virDomainBlockStatsStruct stats;

	if (VMC_LIBVIRT (virDomainBlockStats (run->domain.handle, facts->disk->target, &stats, sizeof stats)) < 0)
		return 0;
	return stats.wr_bytes > 0 ? (uint64_t) stats.wr_bytes : 0;
}

/* Everything about the disk; meanwhile the guest writes, and how much is a fact, too. */
static int look_at_disk (struct vmc_run *run, struct vmc_disk_facts *facts, struct vmc_filesystems_result *filesystems,
			 struct vmc_disk_report *report, struct vmc_error *err)
{
	uint64_t began_ms = vmc_now_ms (), before = written_bytes (run, facts), took_ms, after;

	if (facts->disk->path[0] != 0 && look_at_image (run, facts, err) < 0)
		return -1;
	if (facts->image_known && report->allocated_before_bytes == VMC_UNKNOWN)
		report->allocated_before_bytes = facts->image.allocated_bytes;
	if (look_at_guest (run, facts, filesystems, report, err) < 0)
		return -1;
	took_ms = vmc_now_ms () - began_ms;
	if (took_ms < RATE_MS)
		vmc_events_pause ((unsigned) (RATE_MS - took_ms));
	took_ms = vmc_now_ms () - began_ms;
	after = written_bytes (run, facts);
	if (after > before && after - before < UINT64_MAX / 1000)
		facts->write_bytes_per_s = (after - before) * 1000 / (took_ms + 1);
	return 0;
}

/* The stream of a run that has just ended may still be there for a moment. */
static struct vmc_transport *open_channel (const struct vmc_run *run, struct vmc_error *err)
{
	uint64_t until_ms = vmc_now_ms () + CHANNEL_MS;
	struct vmc_transport *transport;

	while ((transport = vmc_stream_open (run->domain.handle, err)) == NULL && vmc_now_ms () < until_ms)
		vmc_events_pause (CHANNEL_MS / 10);
	return transport;
}

/* Where it is not there either. */
static void name_other_way (const struct vmc_disks *disks, struct vmc_error *why)
{
	size_t used = strlen (why->text);

	(void) snprintf (why->text + used, sizeof why->text - used, "; or %s",
			 disks->qemu_channel ? "start qemu-guest-agent in the guest"
					     : "use qemu-guest-agent, with the channel '" VMC_QEMU_CHANNEL_NAME "'");
}

/* Greet the agent; a domain without one, and without qemu-guest-agent, is refused by the plan. */
static void find_agent (struct vmc_run *run)
{
	struct vmc_transport *transport = NULL;
	struct vmc_error why = {0};

	if (!run->disks.channel)
		(void) vmc_fail (&why, VMC_NO_AGENT, 0,
				 "the domain has no channel for the agent; add <channel type='unix'><target "
				 "type='virtio' name='" VMC_CHANNEL_NAME
				 "'/></channel> and install vmcompact-agent in the guest");
	else if (!run->disks.channel_connected)
		(void) vmc_fail (&why, VMC_NO_AGENT, 0,
				 "no agent has the channel open; install vmcompact-agent in the guest and start it");
	else
		transport = open_channel (run, &why);
	if (transport != NULL)
		run->agent = vmc_agent_open (transport, HELLO_MS, &why);
	if (run->agent == NULL)
		name_other_way (&run->disks, &why);
	memcpy (run->why_no_agent, why.text, sizeof run->why_no_agent);
}

/* --- one disk --------------------------------------------------------------------------------- */

static void measure (const struct vmc_disk_facts *facts, struct vmc_disk_report *report)
{
	struct vmc_error ignored;
	uint64_t after;

	if (vmc_image_allocated (facts->disk->path, &after, &ignored) < 0)
		return;
	report->allocated_after_bytes = after;
	if (after != VMC_UNKNOWN && report->allocated_before_bytes != VMC_UNKNOWN)
		report->reclaimed_bytes =
			report->allocated_before_bytes > after ? report->allocated_before_bytes - after : 0;
}

/* What a step of a plan comes to, and why. */
struct next {
	enum vmc_method_choice method; /* VMC_METHOD_AUTO: nothing more */
	const char *why;
	bool zeroed;
};

/* After a trim or zeros: is there so much left on the host that what was planned for that case is due? Zeros that QEMU keeps are
 * always left; of those that it gives back, a reserve was not made. */
static bool left_something (const struct vmc_run *run, const struct vmc_plan *plan, const struct vmc_disk_facts *facts,
			    const struct vmc_disk_report *report)
{
	if (plan->then == VMC_METHOD_AUTO || vmc_interrupted () || (run->agent == NULL && !facts->domain->qemu_agent))
		return false;
	if (plan->zero && strcmp (facts->disk->discard, "unmap") != 0)
		return true;
	if (report->allocated_after_bytes == VMC_UNKNOWN)
		return false;
	if (plan->zero)
		return vmc_plan_trim_dropped (report->virtual_bytes, facts->free_bytes, report->allocated_before_bytes,
					      report->allocated_after_bytes);
	return vmc_plan_left_over (report->virtual_bytes, facts->free_bytes, report->allocated_after_bytes) > 0;
}

static vmc_method_run *const methods[] = {
	[VMC_METHOD_TRIM] = vmc_trim_run, [VMC_METHOD_COMMIT] = vmc_commit_run, [VMC_METHOD_CONVERT] = vmc_convert_run};

/* What the plan says; a trim of which the host got nothing is no failure if something else follows. */
static int take_step (struct vmc_run *run, const struct vmc_plan *plan, const struct vmc_disk_facts *facts,
		      struct vmc_disk_report *report, struct next *next, struct vmc_error *err)
{
	int result = (plan->zero ? vmc_zero_run : methods[plan->method]) (run, facts, report, err);

	measure (facts, report);
	if ((plan->zero && result < 0) || !left_something (run, plan, facts, report))
		return result;
	*next = (struct next) {plan->then,
			       plan->zero ? "the guest has filled with zeros what it does not use"
					  : "a trim left free space behind on the host",
			       plan->zero};
	return 0;
}

static int act (struct vmc_run *run, const struct vmc_disk_facts *facts, enum vmc_method_choice wanted,
		struct vmc_disk_report *report, struct next *next, struct vmc_error *err)
{
	struct vmc_plan plan;

	if (vmc_plan_disk (facts, wanted, &plan, err) < 0)
		return -1;
	report->method = plan.zero ? "zero" : vmc_method_choice_name (plan.method);
	memcpy (report->reason, plan.reason, sizeof report->reason);
	report->free_bytes = facts->free_bytes;
	if (!run->options->dry_run)
		return take_step (run, &plan, facts, report, next, err);
	if (report->allocated_before_bytes != VMC_UNKNOWN)
		report->reclaimable_bytes =
			vmc_plan_left_over (report->virtual_bytes, facts->free_bytes, report->allocated_before_bytes);
	return 0;
}

static bool can_look (const struct vmc_disk *disk)
{
	if (strcmp (disk->type, "network") == 0)
		return true;
	return (strcmp (disk->type, "file") == 0 || strcmp (disk->type, "block") == 0) && disk->path[0] != 0;
}

/* What cannot be looked at is refused by the plan before it asks for the rest. */
static int look_and_act (struct vmc_run *run, const struct vmc_disk *disk, const struct next *wanted,
			 struct vmc_disk_report *report, struct next *next, struct vmc_error *err)
{
	struct vmc_domain_facts domain = {.agent = run->agent != NULL, .qemu_agent = run->disks.qemu_channel_connected};
	struct vmc_filesystems_result filesystems = {0};
	struct vmc_disk_facts facts = {.domain = &domain,
				       .disk = disk,
				       .disks = &run->disks,
				       .why_wanted = wanted->why,
				       .zero = run->options->zero,
				       .zeroed = wanted->zeroed};
	int result;

	memcpy (domain.why_no_agent, run->why_no_agent, sizeof domain.why_no_agent);
	result = vmc_domain_facts (&run->domain, &domain, err);
	if (result == 0 && !domain.active)
		return vmc_offline_disk (run, &domain, disk, report, err);
	if (result == 0 && domain.active && domain.local && can_look (disk))
		result = look_at_disk (run, &facts, &filesystems, report, err);
	if (result == 0)
		result = act (run, &facts, wanted->method, report, next, err);
	vmc_fields_clear (vmc_method (VMC_FILESYSTEMS)->result, &filesystems);
	return result;
}

static int run_disk (struct vmc_run *run, const char *target, const struct next *wanted, struct vmc_disk_report *report,
		     struct next *next, struct vmc_error *err)
{
	const struct vmc_disk *disk;

	if (vmc_domain_disks (&run->domain, &run->disks, err) < 0) /* somebody may have changed the domain since */
		return -1;
	disk = vmc_disks_find (&run->disks, target);
	if (disk == NULL || strcmp (disk->path, report->path) != 0)
		return vmc_fail (err, VMC_FAILED, 0, "somebody else has changed the disk of the domain");
	return look_and_act (run, disk, wanted, report, next, err);
}

static void run_and_report (struct vmc_run *run, const char *target, struct vmc_disk_report *report)
{
	struct next wanted = {run->options->method, "asked for", false}, next = {.method = VMC_METHOD_AUTO};
	uint64_t began_ms = vmc_now_ms ();
	int result = run_disk (run, target, &wanted, report, &next, &report->error);

	if (next.method != VMC_METHOD_AUTO) {
		vmc_extents_clear (&report->used);
		vmc_extents_clear (&report->freed);
		wanted = next;
		result = run_disk (run, target, &wanted, report, &next, &report->error);
	}
	report->failed = result < 0;
	if (!run->options->dry_run)
		report->duration_ms = vmc_now_ms () - began_ms;
	vmc_progress_end ();
}

/* --- the domain ------------------------------------------------------------------------------- */

static bool chosen (const struct vmc_options *options, const char *target)
{
	for (size_t i = 0; i < options->disk_count; i++)
		if (strcmp (options->disks[i], target) == 0)
			return true;
	return options->disk_count == 0;
}

static int check_choice (const struct vmc_run *run, struct vmc_error *err)
{
	for (size_t i = 0; i < run->options->disk_count; i++)
		if (vmc_disks_find (&run->disks, run->options->disks[i]) == NULL)
			return vmc_fail (err, VMC_USAGE, 0, "the domain has no disk '%.40s'", run->options->disks[i]);
	return 0;
}

static int add_disks (const struct vmc_run *run, struct vmc_report *report, struct vmc_error *err)
{
	for (size_t i = 0; i < run->disks.count; i++) {
		const struct vmc_disk *disk = &run->disks.items[i];

		if (!chosen (run->options, disk->target) ||
		    (run->options->disk_count == 0 && strcmp (disk->device, "disk") != 0))
			continue;
		if (vmc_report_add (report, disk) == NULL)
			return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the report");
	}
	return 0;
}

/* qemu-guest-agent trims all disks of a guest at once: what each took before is counted before the first. */
static void measure_before (const struct vmc_run *run, struct vmc_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct vmc_disk *disk = vmc_disks_find (&run->disks, report->disks[i].target);
		struct vmc_error ignored;
		uint64_t bytes;

		if (strcmp (disk->device, "disk") == 0 && strcmp (disk->type, "file") == 0 &&
		    vmc_image_allocated (disk->path, &bytes, &ignored) == 0)
			report->disks[i].allocated_before_bytes = bytes;
	}
}

static int run_locked (struct vmc_run *run, struct vmc_report *report, struct vmc_error *err)
{
	int active = VMC_LIBVIRT (virDomainIsActive (run->domain.handle));
	bool stranded = false; /* one disk at a time may be away from home */

	if (active < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the state of the domain");
	if (vmc_domain_disks (&run->domain, &run->disks, err) < 0 || check_choice (run, err) < 0)
		return -1;
	if (add_disks (run, report, err) < 0)
		return -1;
	if (active == 1 && vmc_connection_local (run->domain.connection))
		find_agent (run);
	if (run->agent == NULL && run->disks.qemu_channel_connected)
		measure_before (run, report);
	for (size_t i = 0; i < report->count; i++) {
		if (vmc_run_check (run, err) < 0)
			return -1;
		if (stranded) {
			report->disks[i].failed = true;
			(void) vmc_fail (&report->disks[i].error, VMC_CANCELLED, 0,
					 "not begun, because another disk of the domain is not home");
			continue;
		}
		run_and_report (run, report->disks[i].target, &report->disks[i]);
		stranded = report->disks[i].failed && report->disks[i].error.code == VMC_INTERRUPTED;
	}
	return 0;
}

/* A dry run changes nothing: it does not even recover. */
static int recover_first (struct vmc_run *run, struct vmc_error *err)
{
	int pending;

	if (!run->options->dry_run)
		return vmc_recover_domain (&run->domain, run->options->freeze_timeout_ms, err);
	pending = vmc_recover_pending (&run->domain, err);
	return pending <= 0 ? pending
			    : vmc_fail (err, VMC_INTERRUPTED, 0,
					"an earlier run was interrupted; run vmcompact --recover first");
}

static int run_domain (struct vmc_run *run, struct vmc_connection *connection, const char *name,
		       struct vmc_report *report, struct vmc_error *err)
{
	const struct vmc_options *options = run->options;
	int lock, result;

	vmc_text_escape (report->domain, sizeof report->domain, name);
	result = options->recover ? vmc_recover_find (connection, name, &run->domain, err)
				  : vmc_domain_find (connection, name, &run->domain, err);
	if (result < 0)
		return -1;
	memcpy (report->domain, run->domain.name, sizeof report->domain);
	memcpy (report->uuid, run->domain.uuid, sizeof report->uuid);
	lock = vmc_lock_domain (run->domain.uuid, options->lock_wait_ms, err);
	if (lock < 0)
		return -1;
	result = recover_first (run, err);
	if (result == 0 && !options->recover)
		result = run_locked (run, report, err);
	vmc_run_drop_agent (run); /* the next run may wait for both */
	(void) close (lock);
	return result;
}

void vmc_run_domain (struct vmc_connection *connection, const char *name, const struct vmc_options *options,
		     struct vmc_report *report)
{
	struct vmc_run run = {.options = options, .deadline_ms = UINT64_MAX};

	if (options->timeout_ms > 0)
		run.deadline_ms = vmc_now_ms () + options->timeout_ms;
	report->failed = run_domain (&run, connection, name, report, &report->error) < 0;
	vmc_run_drop_agent (&run);
	vmc_disks_clear (&run.disks);
	vmc_domain_clear (&run.domain);
}
