/* schedule.c - see schedule.h */
#include "schedule.h"

#include <time.h>

#define FIRST_MS 60000                          /* a run of which nothing is known takes at least this, */
#define FIRST_BYTES_PER_S (UINT64_C (50) << 20) /* and copies what it has to at the pace of an old disk */

static bool share_place (const struct vmc_task *one, const struct vmc_task *other)
{
	if (one->place_count == 0 || other->place_count == 0)
		return true;
	for (size_t i = 0; i < one->place_count; i++)
		for (size_t j = 0; j < other->place_count; j++)
			if (one->places[i] == other->places[j])
				return true;
	return false;
}

/* Is somebody at work whom it would get in the way of? */
static bool is_blocked (const struct vmc_task *tasks, size_t count, const struct vmc_task *task)
{
	for (size_t i = 0; i < count; i++)
		if (tasks[i].state == VMC_TASK_RUNNING && (tasks[i].alone || task->alone) &&
		    share_place (&tasks[i], task))
			return true;
	return false;
}

static bool is_late (const struct vmc_task *task, int64_t now_s)
{
	int64_t begins_s = task->opens_s > now_s ? task->opens_s : now_s;

	return task->closes_s != 0 && begins_s + (int64_t) (task->expected_ms + 999) / 1000 > task->closes_s;
}

/* What the clock says of one that waits. */
static void look_at_clock (struct vmc_task *task, int64_t now_s)
{
	bool late = is_late (task, now_s);

	if (task->stranded)
		task->home_only = task->left_out || late || task->opens_s > now_s;
	else if (late)
		task->state = VMC_TASK_LATE;
}

static bool goes_before (const struct vmc_task *task, const struct vmc_task *other)
{
	if (task->stranded != other->stranded)
		return task->stranded;
	return task->reclaimable_bytes > other->reclaimable_bytes;
}

int vmc_schedule_next (struct vmc_task *tasks, size_t count, int64_t now_s, unsigned jobs, int64_t *wake_s)
{
	unsigned running = 0;
	int best = -1;

	*wake_s = 0;
	for (size_t i = 0; i < count; i++) {
		struct vmc_task *task = &tasks[i];

		if (task->state == VMC_TASK_WAITING)
			look_at_clock (task, now_s);
		running += task->state == VMC_TASK_RUNNING;
		if (task->state != VMC_TASK_WAITING)
			continue;
		if (task->opens_s > now_s && !task->home_only)
			*wake_s = *wake_s == 0 || task->opens_s < *wake_s ? task->opens_s : *wake_s;
		else if (!is_blocked (tasks, count, task) && (best < 0 || goes_before (task, &tasks[best])))
			best = (int) i;
	}
	return running < jobs ? best : -1;
}

int64_t vmc_schedule_at (int64_t now_s, int minutes)
{
	time_t now = (time_t) now_s, then;
	struct tm day, local;

	(void) localtime_r (&now, &day);
	for (int later = 0;; later++) {
		local = day;
		local.tm_mday += later;
		local.tm_hour = minutes / 60;
		local.tm_min = minutes % 60;
		local.tm_sec = 0;
		local.tm_isdst = -1; /* the night in which clocks are put forward or back has its own length */
		then = mktime (&local);
		if (then > now)
			return then;
	}
}

void vmc_schedule_window (int64_t now_s, int from, int until, int64_t *opens_s, int64_t *closes_s)
{
	int64_t next_from = vmc_schedule_at (now_s, from), next_until = vmc_schedule_at (now_s, until);

	*opens_s = next_until <= next_from ? now_s : next_from; /* it ends before it begins anew: it is open */
	*closes_s = *opens_s == now_s ? next_until : vmc_schedule_at (next_from, until);
}

uint64_t vmc_schedule_expect (const uint64_t *runs_ms, size_t count, uint64_t copied_bytes)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < count; i++)
		longest = runs_ms[i] > longest ? runs_ms[i] : longest;
	if (longest > 0)
		return longest + longest / 4;
	return FIRST_MS + copied_bytes / FIRST_BYTES_PER_S * 1000;
}
