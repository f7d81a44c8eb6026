/* method.c - see method.h */
#include "method.h"

#include <stdio.h>

#include "clock.h"
#include "interrupt.h"
#include "text.h"

#define PATIENCE_MS 3600000 /* one filesystem; --timeout and Ctrl-C end it sooner */

int vmc_run_check (const struct vmc_run *run, struct vmc_error *err)
{
	if (vmc_interrupt_check (err) < 0)
		return -1;
	if (vmc_now_ms () >= run->deadline_ms)
		return vmc_fail (err, VMC_CANCELLED, 0, "the time given with --timeout is over");
	return 0;
}

unsigned vmc_run_patience_ms (const struct vmc_run *run)
{
	uint64_t now_ms = vmc_now_ms ();

	if (run->deadline_ms <= now_ms)
		return 1;
	return run->deadline_ms - now_ms < PATIENCE_MS ? (unsigned) (run->deadline_ms - now_ms) : PATIENCE_MS;
}

void vmc_run_drop_agent (struct vmc_run *run)
{
	vmc_agent_close (run->agent);
	run->agent = NULL;
	(void) snprintf (run->why_no_agent, sizeof run->why_no_agent, "the connection to the agent was lost");
}

bool vmc_run_too_little (const struct vmc_run *run, struct vmc_disk_report *report)
{
	const struct vmc_rewrite_wish *wish = &run->options->wish;
	uint64_t min_bytes = run->options->min_reclaim_bytes;
	char there[16], min[16];

	if (report->reclaimable_bytes == VMC_UNKNOWN || report->reclaimable_bytes >= min_bytes ||
	    report->reclaimed_bytes != VMC_UNKNOWN || /* this is a second step */
	    wish->format != NULL || wish->cluster_bytes != 0 || wish->compress || run->options->output != NULL)
		return false;
	report->method = NULL;
	if (!run->options->dry_run)
		report->reclaimed_bytes = 0;
	(void) snprintf (report->reason, sizeof report->reason, "there are %s to give back, less than --min-reclaim=%s",
			 vmc_text_size (there, report->reclaimable_bytes), vmc_text_size (min, min_bytes));
	return true;
}
