/* method.c - see method.h */
#include "method.h"

#include <stdio.h>

#include "clock.h"
#include "interrupt.h"

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
