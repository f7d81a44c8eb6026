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
#include <unistd.h>

#include "clock.h"
#include "connection.h"
#include "interrupt.h"
#include "lock.h"
#include "look.h"
#include "method.h"
#include "offline.h"
#include "plan.h"
#include "progress.h"
#include "qemu_version.h"
#include "recover.h"
#include "text.h"

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
	report->reclaimable_bytes =
		vmc_plan_reclaimable (facts->used_bytes, facts->free_bytes, report->allocated_before_bytes);
	if (vmc_run_too_little (run, report) || run->options->dry_run)
		return 0;
	return take_step (run, &plan, facts, report, next, err);
}

static int look_and_act (struct vmc_run *run, const struct vmc_disk *disk, const struct next *wanted,
			 struct vmc_disk_report *report, struct next *next, struct vmc_error *err)
{
	VMC_CLEANUP_LOOK struct vmc_look look = {0};

	if (vmc_look (run, disk, &look, report, err) < 0)
		return -1;
	if (!look.domain.active)
		return vmc_offline_disk (run, &look.domain, disk, report, err);
	look.facts.why_wanted = wanted->why;
	look.facts.zeroed = wanted->zeroed;
	return act (run, &look.facts, wanted->method, report, next, err);
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
		report->picture = (struct vmc_picture) {0};
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

static void name_agent (const struct vmc_run *run, struct vmc_report *report)
{
	char version[VMC_NAME_SIZE];

	if (run->agent != NULL) {
		vmc_text_escape (version, sizeof version, vmc_agent_version (run->agent));
		(void) snprintf (report->agent, sizeof report->agent, "vmcompact-agent %s", version);
	} else if (run->disks.qemu_channel_connected) {
		(void) snprintf (report->agent, sizeof report->agent, "qemu-guest-agent");
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
	if (active == 1 && vmc_connection_local (run->domain.connection)) {
		vmc_qemu_version_begin (run->domain.handle); /* it takes as long as the agent */
		vmc_look_for_agent (run);
	}
	name_agent (run, report);
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
	result = options->action == VMC_ACTION_RECOVER ? vmc_recover_find (connection, name, &run->domain, err)
						       : vmc_domain_find (connection, name, &run->domain, err);
	if (result < 0)
		return -1;
	memcpy (report->domain, run->domain.name, sizeof report->domain);
	memcpy (report->uuid, run->domain.uuid, sizeof report->uuid);
	vmc_deadline_names (report->domain);
	report->active = run->domain.handle != NULL && VMC_LIBVIRT (virDomainIsActive (run->domain.handle)) == 1;
	lock = vmc_lock_domain (run->domain.uuid, options->lock_wait_ms, err);
	if (lock < 0)
		return -1;
	result = recover_first (run, err);
	if (result == 0 && options->action != VMC_ACTION_RECOVER)
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
