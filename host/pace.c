/* pace.c - see pace.h */
#include "pace.h"

#include "clock.h"

#define BETWEEN_MS 200
#define WAIT_MAX_MS 100

unsigned vmc_pace_wait_ms (const struct vmc_pace *pace, uint64_t asked_bytes)
{
	uint64_t gone_ms = vmc_now_ms () - pace->begun_ms;
	double due_ms;

	if (pace->bandwidth_bytes_per_s == 0)
		return 0;
	due_ms = (double) asked_bytes * 1000.0 / (double) pace->bandwidth_bytes_per_s;
	if (due_ms <= (double) gone_ms)
		return 0;
	return due_ms - (double) gone_ms < WAIT_MAX_MS ? (unsigned) (due_ms - (double) gone_ms) + 1 : WAIT_MAX_MS;
}

int vmc_pace_check (struct vmc_pace *pace, struct vmc_error *err)
{
	uint64_t now_ms = vmc_now_ms ();
	uint64_t done = pace->done_bytes < pace->total_bytes ? pace->done_bytes : pace->total_bytes;

	if (pace->between == NULL || now_ms < pace->asked_ms + BETWEEN_MS)
		return 0;
	pace->asked_ms = now_ms;
	return pace->between (pace->opaque, done, pace->total_bytes, err) == 0 ? 0 : -1;
}
