/* trim.c - the method "trim": the guest discards what is free, QEMU gives it back
 *
 * Nothing on the host is changed by us: the only steps are requests to the agent, ours or qemu-guest-agent. What the guest says
 * it trimmed proves nothing, for QEMU takes every discard and drops it unless the disk has discard='unmap': the host's blocks are
 * counted before and after. When more is left than the guest's free space allows, the trim is done once more with force, because
 * ext4 sends nothing for what it trimmed before, even if that was dropped.
 */
#include <stdio.h>
#include <string.h>

#include "allocation.h"
#include "clock.h"
#include "fault.h"
#include "method.h"
#include "plan.h"
#include "progress.h"
#include "qemu_agent.h"
#include "text.h"

#define MAP_MS 60000

/* --- by our agent ----------------------------------------------------------------------------- */

static void show (void *opaque, uint64_t done_bytes, uint64_t total_bytes)
{
	(void) opaque;
	vmc_progress_show (done_bytes, total_bytes);
}

/* 1: trimmed, and *BYTES is what the guest says; 0: its kernel cannot. */
static int trim_one (struct vmc_run *run, const struct vmc_filesystem *filesystem, bool force, uint64_t *bytes,
		     struct vmc_error *err)
{
	if (vmc_run_check (run, err) < 0)
		return -1;
	vmc_fault_point ("trim");
	if (vmc_agent_trim (run->agent, filesystem->filesystem, force, vmc_run_patience_ms (run), bytes, err) < 0) {
		if (err->code == VMC_UNSUPPORTED)
			return 0;
		vmc_run_drop_agent (run); /* it stops the trim */
		return vmc_fail_in (err, "cannot trim '%s'", filesystem->mount_point);
	}
	vmc_fault_point ("trimmed");
	return 1;
}

/* Trim each filesystem that can be trimmed; the sum of what the guest says. VMC_REFUSED: none can. */
static int trim_all (struct vmc_run *run, const struct vmc_disk_facts *facts, bool force,
		     struct vmc_disk_report *report, uint64_t *trimmed_bytes, struct vmc_error *err)
{
	size_t trimmed = 0;

	*trimmed_bytes = 0;
	report->notes[0] = 0;
	vmc_agent_on_progress (run->agent, show, NULL);
	vmc_progress_step (facts->disk->target, force ? "trim again" : "trim");
	for (size_t i = 0; i < facts->filesystem_count; i++) {
		const struct vmc_filesystem *filesystem = facts->filesystems[i];
		const char *why_not = filesystem->why_not_trim;
		uint64_t bytes = 0;
		int done = why_not[0] ? 0 : trim_one (run, filesystem, force, &bytes, err);

		if (done < 0)
			return -1;
		if (done == 0)
			vmc_report_left_out (report, filesystem->mount_point, why_not[0] ? why_not : err->text);
		trimmed += (size_t) done;
		*trimmed_bytes += bytes;
	}
	return trimmed > 0 ? 0 : vmc_fail (err, VMC_REFUSED, 0, "no filesystem can be trimmed: %s", report->notes);
}

static int say_dropped (const struct vmc_disk *disk, uint64_t trimmed_bytes, struct vmc_error *err)
{
	char size[16];

	vmc_text_size (size, trimmed_bytes);
	if (strcmp (disk->discard, "unmap") == 0)
		return vmc_fail (err, VMC_DROPPED, 0,
				 "the guest trimmed %s, but the host got nothing back although the disk has "
				 "discard='unmap'; use --method=commit",
				 size);
	return vmc_fail (err, VMC_DROPPED, 0,
			 "the guest trimmed %s, but the host got nothing back: the <driver> of disk '%s' has no "
			 "discard='unmap' in the "
			 "domain's XML; add it with virsh edit and restart the guest, or use --method=commit",
			 size, disk->target);
}

static int trim (struct vmc_run *run, const struct vmc_disk_facts *facts, struct vmc_disk_report *report,
		 struct vmc_error *err)
{
	uint64_t trimmed, after;

	if (trim_all (run, facts, false, report, &trimmed, err) < 0 ||
	    vmc_image_allocated (facts->disk->path, &after, err) < 0)
		return -1;
	if (after ==
	    VMC_UNKNOWN) /* what was trimmed before, and dropped, is sent again, for nothing tells that it was not */
		return trim_all (run, facts, true, report, &trimmed, err);
	if (vmc_plan_left_over (report->virtual_bytes, facts->free_bytes, after) == 0)
		return 0;
	if (trim_all (run, facts, true, report, &trimmed, err) < 0 ||
	    vmc_image_allocated (facts->disk->path, &after, err) < 0)
		return -1;
	if (vmc_plan_trim_dropped (report->virtual_bytes, trimmed, report->allocated_before_bytes, after))
		return say_dropped (facts->disk, trimmed, err);
	return 0;
}

/* --- by qemu-guest-agent ---------------------------------------------------------------------- */

/* ext4 sends what it has trimmed before once more if the last request had a larger minimum. One that is larger than a block group is
 * refused, and such a request leaves no trace: 128 MiB is the group of a filesystem with blocks of 4 KiB, 8 MiB that of one with
 * 1 KiB. The smaller one first, they send nothing where all is trimmed already. */
static const uint64_t minimums[] = {UINT64_C (8) << 20, UINT64_C (128) << 20, 0};
#define N_MINIMUMS (sizeof minimums / sizeof minimums[0])

static int may_go_on (const void *opaque, struct vmc_error *err)
{
	const struct vmc_run *run = opaque;

	return vmc_run_check (run, err);
}

/* All filesystems of the guest: this agent cannot be asked for one disk. */
static int ask (struct vmc_run *run, const struct vmc_disk_facts *facts, bool force, struct vmc_error *err)
{
	if (vmc_run_check (run, err) < 0)
		return -1;
	vmc_progress_step (facts->disk->target, force ? "trim again" : "trim");
	for (size_t i = force ? 0 : N_MINIMUMS - 1; i < N_MINIMUMS; i++) {
		vmc_fault_point ("trim");
		if (vmc_qemu_agent_trim (&run->domain, minimums[i], may_go_on, run, err) < 0)
			return -1;
		vmc_fault_point ("trimmed");
	}
	return 0;
}

/* It does not say what it has trimmed. But what it calls free was trimmed or should have been. */
static int say_no_effect (const struct vmc_disk_facts *facts, struct vmc_error *err)
{
	char size[16];

	return vmc_fail (err, VMC_DROPPED, 0,
			 "qemu-guest-agent says that %s are free, and has trimmed, but the host got nothing back "
			 "although the disk has discard='unmap'; use --method=commit",
			 vmc_text_size (size, facts->free_bytes));
}

static int trim_by_qemu_agent (struct vmc_run *run, const struct vmc_disk_facts *facts, struct vmc_disk_report *report,
			       struct vmc_error *err)
{
	uint64_t after;

	if (ask (run, facts, false, err) < 0 || vmc_image_allocated (facts->disk->path, &after, err) < 0)
		return -1;
	if (after == VMC_UNKNOWN)
		return ask (run, facts, true, err);
	if (facts->free_bytes > 0 && vmc_plan_left_over (report->virtual_bytes, facts->free_bytes, after) == 0)
		return 0;
	if (ask (run, facts, true, err) < 0 || vmc_image_allocated (facts->disk->path, &after, err) < 0)
		return -1;
	if (vmc_plan_trim_dropped (report->virtual_bytes, facts->free_bytes, report->allocated_before_bytes, after))
		return say_no_effect (facts, err);
	return 0;
}

/* --- the method ------------------------------------------------------------------------------- */

/* For the picture only: where it cannot be had, there is none. */
static void look (const struct vmc_disk *disk, struct vmc_extents *allocated)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};
	struct vmc_error ignored;

	if (disk->path[0] == 0)
		return;
	if (vmc_allocation_read (disk->format, disk->path, true, vmc_now_ms () + MAP_MS, &allocation, &ignored) < 0 ||
	    vmc_allocation_ranges (&allocation, allocated, &ignored) < 0)
		vmc_extents_clear (allocated);
}

int vmc_trim_run (struct vmc_run *run, const struct vmc_disk_facts *facts, struct vmc_disk_report *report,
		  struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents before = {0}, after = {0}, gone = {0};
	struct vmc_error ignored;
	int result;

	look (facts->disk, &before);
	report->free_bytes = facts->free_bytes;
	result = run->agent != NULL ? trim (run, facts, report, err) : trim_by_qemu_agent (run, facts, report, err);
	look (facts->disk, &after);
	if (vmc_extents_subtract (&before, &after, &gone, &ignored) < 0)
		return result;
	report->picture = (struct vmc_picture) {0};
	vmc_picture_draw (&report->picture, report->virtual_bytes, &after, &gone);
	vmc_picture_draw (&report->picture, report->virtual_bytes, &gone, &gone);
	return result;
}
