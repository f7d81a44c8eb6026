/* run.c - see run.h
 *
 * The order of a run: lock, facts, plan, method, measure; one disk is finished before the next is begun. Nothing is changed
 * before the plan of a disk says so. Facts about a disk are gathered anew for each, right before its turn.
 */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "connection.h"
#include "interrupt.h"
#include "lock.h"
#include "plan.h"
#include "progress.h"
#include "text.h"

#define HELLO_MS 5000

int vmc_run_check (const struct vmc_run *run, struct vmc_error *err)
{
	if (vmc_interrupt_check (err) < 0)
		return -1;
	if (vmc_now_ms () >= run->deadline_ms)
		return vmc_fail (err, VMC_CANCELLED, 0, "the time given with --timeout is over");
	return 0;
}

void vmc_run_drop_agent (struct vmc_run *run)
{
	vmc_agent_close (run->agent);
	run->agent = NULL;
}

/* --- facts ----------------------------------------------------------------------------------------------------------- */

/* The overlay's name; false: it does not fit. */
static bool name_overlay (const struct vmc_run *run, struct vmc_disk_facts *facts)
{
	const char *directory = run->options->overlay_dir, *path = facts->disk->path;
	int length;

	if (directory == NULL)
		length = snprintf (facts->overlay_path, sizeof facts->overlay_path, "%s" VMC_OVERLAY_SUFFIX, path);
	else
		length = snprintf (facts->overlay_path, sizeof facts->overlay_path, "%s/%s-%s" VMC_OVERLAY_SUFFIX, directory,
				   run->domain.uuid, facts->disk->target);
	return length < (int) sizeof facts->overlay_path;
}

static int look_at_image (struct vmc_run *run, struct vmc_disk_facts *facts, struct vmc_error *err)
{
	char directory[VMC_PATH_SIZE], base_directory[VMC_PATH_SIZE];
	struct vmc_error why;
	struct stat status;

	if (!name_overlay (run, facts))
		return vmc_fail (err, VMC_REFUSED, 0, "the path of the image is too long");
	vmc_image_directory (facts->overlay_path, directory);
	vmc_image_directory (facts->disk->path, base_directory);
	facts->in_the_way = lstat (facts->overlay_path, &status) == 0;
	if (vmc_image_look (facts->disk, directory, &facts->image, &why) < 0) {
		(void) snprintf (facts->why_no_image, sizeof facts->why_no_image, "%s", why.text);
		return 0;
	}
	facts->image_known = true;
	if (vmc_image_can_punch (base_directory, &why) < 0)
		(void) snprintf (facts->why_no_punch, sizeof facts->why_no_punch, "%s", why.text);
	return vmc_domain_other_user (&run->domain, facts->disk->target, &facts->image, facts->used_by, sizeof facts->used_by, err);
}

static int look_at_guest (struct vmc_run *run, struct vmc_disk_facts *facts, struct vmc_filesystems_result *filesystems,
			  struct vmc_disk_report *report, struct vmc_error *err)
{
	virDomainBlockInfo info;

	if (virDomainGetBlockInfo (run->domain.handle, facts->disk->target, &info, 0) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the size of the disk");
	report->virtual_bytes = info.capacity;
	if (run->agent == NULL)
		return 0;
	if (vmc_agent_filesystems (run->agent, filesystems, err) < 0)
		return -1;
	vmc_facts_match (facts, info.capacity, filesystems->filesystems.items, filesystems->filesystems.count);
	if (facts->filesystem_count > 0)
		report->used_bytes = facts->used_bytes;
	return 0;
}

/* Greet the agent; a domain without one is refused by the plan. */
static void find_agent (struct vmc_run *run, struct vmc_domain_facts *facts)
{
	struct vmc_transport *transport = NULL;
	struct vmc_error why = {0};

	if (!run->disks.channel)
		(void) vmc_fail (&why, VMC_NO_AGENT, 0,
				 "the domain has no channel for the agent; add <channel type='unix'><target type='virtio' name='"
				 VMC_CHANNEL_NAME "'/></channel> and install vmcompact-agent in the guest");
	else if (!run->disks.channel_connected)
		(void) vmc_fail (&why, VMC_NO_AGENT, 0, "no agent has the channel open; install vmcompact-agent in the guest and start it");
	else
		transport = vmc_stream_open (run->domain.handle, &why);
	if (transport != NULL)
		run->agent = vmc_agent_open (transport, HELLO_MS, &why);
	facts->agent = run->agent != NULL;
	memcpy (facts->why_no_agent, why.text, sizeof facts->why_no_agent);
}

/* --- one disk ---------------------------------------------------------------------------------------------------------- */

static bool trim_left_something (const struct vmc_disk_facts *facts, const struct vmc_disk_report *report)
{
	uint64_t after;
	struct vmc_error ignored;

	return vmc_image_allocated (facts->disk->path, &after, &ignored) == 0 &&
	       vmc_plan_left_over (report->virtual_bytes, facts->free_bytes, after) > 0;
}

static int run_method (struct vmc_run *run, const struct vmc_disk_facts *facts, const struct vmc_plan *plan,
		       struct vmc_disk_report *report, struct vmc_error *err)
{
	int result;

	if (plan->method == VMC_METHOD_COMMIT)
		return vmc_commit_run (run, facts, report, err);
	result = vmc_trim_run (run, facts, report, err);
	if (!plan->then_commit || run->agent == NULL || vmc_interrupted () || !trim_left_something (facts, report))
		return result;
	report->method = vmc_method_choice_name (VMC_METHOD_COMMIT);
	(void) snprintf (report->reason, sizeof report->reason, "a trim left free space behind on the host");
	vmc_extents_clear (&report->used);
	vmc_extents_clear (&report->freed);
	return vmc_commit_run (run, facts, report, err);
}

static void measure (const struct vmc_disk_facts *facts, struct vmc_disk_report *report)
{
	struct vmc_error ignored;
	uint64_t after;

	if (vmc_image_allocated (facts->disk->path, &after, &ignored) < 0)
		return;
	report->allocated_after_bytes = after;
	report->reclaimed_bytes = report->allocated_before_bytes > after ? report->allocated_before_bytes - after : 0;
}

static int act (struct vmc_run *run, const struct vmc_disk_facts *facts, struct vmc_disk_report *report, struct vmc_error *err)
{
	uint64_t began_ms = vmc_now_ms ();
	struct vmc_plan plan;
	int result;

	if (vmc_plan_disk (facts, run->options->method, &plan, err) < 0)
		return -1;
	report->method = vmc_method_choice_name (plan.method);
	memcpy (report->reason, plan.reason, sizeof report->reason);
	report->free_bytes = facts->free_bytes;
	if (run->options->dry_run) {
		report->reclaimable_bytes = vmc_plan_left_over (report->virtual_bytes, facts->free_bytes, report->allocated_before_bytes);
		return 0;
	}
	result = run_method (run, facts, &plan, report, err);
	measure (facts, report);
	report->duration_ms = vmc_now_ms () - began_ms;
	return result;
}

static int run_disk (struct vmc_run *run, const struct vmc_domain_facts *domain, const struct vmc_disk *disk,
		     struct vmc_disk_report *report, struct vmc_error *err)
{
	struct vmc_filesystems_result filesystems = {0};
	struct vmc_disk_facts facts = {.domain = domain, .disk = disk};
	int result = 0;

	/* What is no file with a running guest is refused by the plan before it looks at the rest. */
	if (domain->active && domain->local && strcmp (disk->type, "file") == 0 && disk->path[0] != 0) {
		result = look_at_image (run, &facts, err);
		if (facts.image_known)
			report->allocated_before_bytes = facts.image.allocated_bytes;
		if (result == 0)
			result = look_at_guest (run, &facts, &filesystems, report, err);
	}
	if (result == 0)
		result = act (run, &facts, report, err);
	vmc_fields_clear (vmc_method (VMC_FILESYSTEMS)->result, &filesystems);
	return result;
}

/* --- the domain ----------------------------------------------------------------------------------------------------------- */

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

static int run_disks (struct vmc_run *run, const struct vmc_domain_facts *facts, struct vmc_report *report,
		      struct vmc_error *err)
{
	for (size_t i = 0; i < run->disks.count; i++) {
		const struct vmc_disk *disk = &run->disks.items[i];
		struct vmc_disk_report *one;

		if (!chosen (run->options, disk->target) ||
		    (run->options->disk_count == 0 && strcmp (disk->device, "disk") != 0))
			continue;
		if (vmc_run_check (run, err) < 0)
			return -1;
		one = vmc_report_add (report, disk);
		if (one == NULL)
			return vmc_fail (err, VMC_FAILED, 0, "no memory for the report");
		one->failed = run_disk (run, facts, disk, one, &one->error) < 0;
		vmc_progress_end ();
	}
	return 0;
}

static int run_locked (struct vmc_run *run, struct vmc_report *report, struct vmc_error *err)
{
	struct vmc_domain_facts facts = {0};
	char *xml;
	int result;

	if (vmc_domain_facts (&run->domain, &facts, err) < 0)
		return -1;
	xml = vmc_domain_xml (run->domain.handle, false, err);
	if (xml == NULL)
		return -1;
	result = vmc_domain_xml_parse (xml, &run->disks, err);
	free (xml);
	if (result < 0 || check_choice (run, err) < 0)
		return -1;
	if (!facts.active)
		return vmc_fail (err, VMC_REFUSED, 0, "the domain is not running");
	if (facts.local)
		find_agent (run, &facts);
	result = run_disks (run, &facts, report, err);
	vmc_run_drop_agent (run);
	return result;
}

static int run_domain (struct vmc_run *run, virConnectPtr connection, const char *name, struct vmc_report *report,
		       struct vmc_error *err)
{
	int lock, result;

	vmc_text_escape (report->domain, sizeof report->domain, name);
	if (vmc_domain_find (connection, name, &run->domain, err) < 0)
		return -1;
	memcpy (report->domain, run->domain.name, sizeof report->domain);
	memcpy (report->uuid, run->domain.uuid, sizeof report->uuid);
	lock = vmc_lock_domain (run->domain.uuid, err);
	if (lock < 0)
		return -1;
	result = run_locked (run, report, err);
	(void) close (lock);
	return result;
}

void vmc_run_domain (virConnectPtr connection, const char *name, const struct vmc_options *options,
		     struct vmc_report *report)
{
	struct vmc_run run = {.options = options, .deadline_ms = UINT64_MAX};

	if (options->timeout_ms > 0)
		run.deadline_ms = vmc_now_ms () + options->timeout_ms;
	report->failed = run_domain (&run, connection, name, report, &report->error) < 0;
	vmc_progress_end ();
	vmc_disks_clear (&run.disks);
	vmc_domain_clear (&run.domain);
}
