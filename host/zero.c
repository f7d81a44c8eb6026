/* zero.c - the guest fills what is free with zeros, where nobody can map it: see method.h
 *
 * The agent does it, safely (agent/zero.c): on most disks the device is told to make the blocks zero, and nothing is written. With
 * discard='unmap' QEMU gives them back at once; else they are zeros in the image, which a convert leaves out. Nothing on the
 * host is changed here: the only steps are requests to the agent.
 */
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "method.h"
#include "progress.h"
#include "text.h"

static void show (void *opaque, uint64_t done_bytes, uint64_t total_bytes)
{
	(void) opaque;
	vmc_progress_show (done_bytes, total_bytes);
}

static void note_result (struct vmc_disk_report *report, const char *mount_point, const struct vmc_zero_result *result)
{
	char text[80], zeroed[16], zero[16];

	(void) snprintf (text, sizeof text, "%s zeroed, %s were zero already",
			 vmc_text_size (zeroed, result->zeroed_bytes), vmc_text_size (zero, result->zero_bytes));
	vmc_report_note (report, mount_point, text);
}

/* 1: zeroed; 0: the guest cannot, which is noted. */
static int zero_one (struct vmc_run *run, const struct vmc_filesystem *filesystem, struct vmc_disk_report *report,
		     struct vmc_error *err)
{
	struct vmc_zero_result result = {0};

	if (filesystem->why_not_zero[0] != 0) {
		vmc_report_left_out (report, filesystem->mount_point, filesystem->why_not_zero);
		return 0;
	}
	if (vmc_run_check (run, err) < 0)
		return -1;
	vmc_fault_point ("zero");
	if (vmc_agent_zero (run->agent, filesystem->filesystem, 0, run->options->wish.bandwidth_bytes_per_s,
			    vmc_run_patience_ms (run), &result, err) < 0) {
		if (err->code == VMC_UNSUPPORTED) {
			vmc_report_left_out (report, filesystem->mount_point, err->text);
			return 0;
		}
		vmc_run_drop_agent (run); /* it stops, and the guest has its space back */
		return vmc_fail_in (err, "cannot fill '%s' with zeros", filesystem->mount_point);
	}
	vmc_fault_point ("zeroed");
	note_result (report, filesystem->mount_point, &result);
	return 1;
}

int vmc_zero_run (struct vmc_run *run, const struct vmc_disk_facts *facts, struct vmc_disk_report *report,
		  struct vmc_error *err)
{
	int zeroed = 0;

	report->free_bytes = facts->free_bytes;
	vmc_agent_on_progress (run->agent, show, NULL);
	vmc_progress_step (facts->disk->target, "fill with zeros");
	for (size_t i = 0; i < facts->filesystem_count; i++) {
		int done = zero_one (run, facts->filesystems[i], report, err);

		if (done < 0)
			return -1;
		zeroed += done;
	}
	return zeroed > 0 ? 0
			  : vmc_fail (err, VMC_REFUSED, 0, "no filesystem can be filled with zeros: %s", report->notes);
}
