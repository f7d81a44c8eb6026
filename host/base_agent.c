/* base_agent.c - base.h with our agent in the guest: it freezes, with a deadline that it keeps itself, and is the second witness
 *
 * Hung up on, it thaws by itself. Its map of what the reader reads, too, it may take just before the freeze: what becomes free or used
 * until then, the reader sees in the base. It maps once more after the thaw: what was allocated in spite of the freeze (agent/freeze.c)
 * may be in the base without any trace there that it is used.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base.h"
#include "clock.h"
#include "trust.h"

#define MAP_MS 300000 /* to map and to sync: a busy guest, or one of 16 TiB, takes its time */

static void add_name (struct vmc_list *list, const struct vmc_filesystem *filesystem)
{
	memcpy (((struct vmc_name *) list->items)[list->count++].name, filesystem->filesystem,
		sizeof filesystem->filesystem);
}

static unsigned patience_ms (const struct vmc_base *base)
{
	unsigned ms = vmc_run_patience_ms (base->run);

	return ms < MAP_MS ? ms : MAP_MS;
}

static int freeze (struct vmc_base *base, struct vmc_error *err)
{
	const struct vmc_disk_facts *facts = base->facts;
	struct vmc_name names[VMC_FILESYSTEMS_MAX], early[VMC_FILESYSTEMS_MAX];
	struct vmc_freeze_params params = {.filesystems.items = names,
					   .early.items = early,
					   .deadline_ms = base->run->options->freeze_timeout_ms};

	vmc_text_copy (params.disk, sizeof params.disk, facts->guest_disk->device);
	for (size_t i = 0; i < facts->filesystem_count; i++) {
		const struct vmc_filesystem *filesystem = facts->filesystems[i];

		if (filesystem->why_not_map[0] == 0)
			add_name (&params.filesystems, filesystem);
		if (vmc_trust_reads (facts, filesystem))
			add_name (&params.early, filesystem);
	}
	base->early.items = base->early_names;
	if (vmc_agent_freeze (base->run->agent, &params, patience_ms (base), base->token, &base->early, err) == 0)
		return 0;
	vmc_run_drop_agent (base->run); /* whatever it did: it thaws now */
	return vmc_run_check (base->run, err) < 0 ? -1 : vmc_fail_in (err, "cannot freeze the guest");
}

static int thaw (struct vmc_base *base, struct vmc_error *err)
{
	struct vmc_thaw_result result;

	if (vmc_agent_thaw (base->run->agent, base->token, &result, err) < 0) {
		vmc_run_drop_agent (base->run);
		return vmc_fail_in (err, "cannot thaw the guest; it thaws by itself");
	}
	base->report->frozen_ms = result.frozen_ms;
	return result.held ? 0 : vmc_fail (err, VMC_NOT_HELD, 0, "the freeze did not hold until the overlay was there");
}

static int read_base (struct vmc_base *base, struct vmc_error *err)
{
	const struct vmc_meanwhile meanwhile = {vmc_base_meanwhile, base};
	struct vmc_claims claims = {0};
	int result = vmc_trust_claims (base->facts, &claims, err);

	if (result == 0)
		result = vmc_guard_read (&base->guard, base->report->virtual_bytes, &claims,
					 vmc_now_ms () + VMC_BASE_READER_MS, &meanwhile, &base->reading, err);
	free (claims.filesystems.items);
	return result;
}

static int find_free (struct vmc_base *base, struct vmc_error *err)
{
	struct vmc_disk_report *report = base->report;

	if (vmc_agent_map (base->run->agent, base->token, report->virtual_bytes, patience_ms (base), &base->agent_map,
			   err) < 0 ||
	    read_base (base, err) < 0)
		return -1;
	if (vmc_trust (base->facts, &base->reading, &base->agent_map, &base->early, &base->free, report, err) < 0)
		return -1;
	vmc_extents_clear (&base->agent_map);
	vmc_reading_clear (&base->reading);
	return 0;
}

const struct vmc_base_way vmc_base_by_agent = {.freeze = freeze, .thaw = thaw, .find_free = find_free};
