/* commit.c - the method "commit": free blocks are given back from a base at rest, while the guest writes to an overlay
 *
 *   freeze     the guest's filesystems, with a deadline that the guest keeps itself
 *   overlay    takes the guest's writes from now on; the base does not change any more
 *   thaw       the guest goes on; if the freeze had a gap, nothing is given back
 *   guard      the base is locked as QEMU locks images: nobody can write to it; qemu-nbd serves it read-only
 *   witness    the reader proves each filesystem in the base and names its free ranges
 *   punch      what agent and reader both call free, where it takes space in the file
 *   commit     the overlay back into the base, pause, pivot, go on; the overlay is removed (home.c)
 *
 * Whatever fails before the commit, the commit is done all the same: it is the way home. Punched ranges are free in the
 * base; what the guest has put there since lies in the overlay, and the commit writes it. The journal is begun before the
 * overlay is made, and says from then on what there is to be brought home.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "allocation.h"
#include "clock.h"
#include "fault.h"
#include "guard.h"
#include "home.h"
#include "interrupt.h"
#include "method.h"
#include "progress.h"
#include "punch.h"
#include "reader.h"

#define FREEZE_ANSWER_MS 60000 /* the agent syncs first: a busy guest takes its time */
#define ROOM_LOW_BYTES (UINT64_C (64) << 20)
#define TOOL_MS 600000 /* qemu-img map, the reader */

struct commit {
	struct vmc_run *run;
	const struct vmc_disk_facts *facts;
	struct vmc_disk_report *report;
	struct vmc_overlay overlay;
	char token[VMC_NAME_SIZE];
	struct vmc_guard guard;
	struct vmc_extents agent_map;
	struct vmc_reading reading;
	struct vmc_extents free; /* what both witnesses call free */
};

/* The overlay grows with what the guest writes, and the base may have to grow by as much when it is committed. Before there is no
 * room for that, the run gives way. */
static int check_room (struct commit *commit, struct vmc_error *err)
{
	uint64_t room;

	vmc_overlay_measure (&commit->overlay);
	if (vmc_image_room (commit->facts->disk->path, commit->facts->overlay_path, &room, err) < 0)
		return -1;
	if (room < ROOM_LOW_BYTES + commit->overlay.peak_bytes)
		return vmc_fail (err, VMC_FAILED, ENOSPC, "the host runs low on space beside '%s'",
				 commit->facts->overlay_path);
	return 0;
}

static int begin_step (struct commit *commit, const char *name, struct vmc_error *err)
{
	if (vmc_run_check (commit->run, err) < 0 || check_room (commit, err) < 0)
		return -1;
	vmc_progress_step (commit->facts->disk->target, name);
	return 0;
}

/* --- freeze, overlay, thaw -------------------------------------------------------------------- */

static int freeze (struct commit *commit, struct vmc_error *err)
{
	const struct vmc_disk_facts *facts = commit->facts;
	unsigned deadline_ms = commit->run->options->freeze_timeout_ms;
	struct vmc_name names[VMC_FILESYSTEMS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < facts->filesystem_count; i++)
		if (facts->filesystems[i]->why_not_map[0] == 0)
			memcpy (names[count++].name, facts->filesystems[i]->filesystem, sizeof names[0].name);
	if (vmc_agent_freeze (commit->run->agent, names, count, deadline_ms, FREEZE_ANSWER_MS, commit->token, err) == 0)
		return 0;
	vmc_run_drop_agent (commit->run); /* whatever it did: it thaws now */
	return vmc_fail_in (err, "cannot freeze the guest");
}

static int thaw (struct commit *commit, struct vmc_error *err)
{
	struct vmc_thaw_result result;

	if (vmc_agent_thaw (commit->run->agent, commit->token, &result, err) < 0) {
		vmc_run_drop_agent (commit->run);
		return vmc_fail_in (err, "cannot thaw the guest; it thaws by itself");
	}
	commit->report->frozen_ms = result.frozen_ms;
	return result.held ? 0 : vmc_fail (err, VMC_NOT_HELD, 0, "the freeze did not hold until the overlay was there");
}

static int redirect (struct commit *commit, struct vmc_error *err)
{
	struct vmc_error second;
	int created, thawed;

	if (begin_step (commit, "freeze", err) < 0)
		return -1;
	vmc_fault_point ("freeze");
	if (freeze (commit, err) < 0)
		return -1;
	vmc_fault_point ("frozen");
	created = vmc_overlay_create (&commit->overlay, &commit->run->disks, err);
	if (created == 0) /* before the guest writes to it */
		created = vmc_overlay_settle (&commit->overlay, err);
	thawed = thaw (commit, created < 0 ? &second : err);
	vmc_fault_point ("thawed");
	return created < 0 || thawed < 0 ? -1 : 0;
}

/* --- the free map ----------------------------------------------------------------------------- */

/* Now nobody can write to the base any more. Is all as it was when the plan was made: the domain directly over it, the same
 * file, no internal snapshot that shares its clusters, nobody else's backing file? */
static int check_base (struct commit *commit, struct vmc_error *err)
{
	const struct vmc_disk *disk = commit->facts->disk;
	char user[VMC_NAME_SIZE * 2];
	struct vmc_image now;

	if (vmc_overlay_check (&commit->overlay, err) < 0)
		return -1;
	if (vmc_image_look (disk, commit->facts->overlay_path, &now, err) < 0)
		return -1;
	if (now.device != commit->facts->image.device || now.inode != commit->facts->image.inode)
		return vmc_fail (err, VMC_FAILED, 0, "'%s' is another file than before", disk->path);
	/* The domain itself has it below the overlay on this disk. */
	if (vmc_domain_other_user (&commit->run->domain, disk->target, &now, user, sizeof user, err) < 0)
		return -1;
	return user[0] == 0 ? 0 : vmc_fail (err, VMC_FAILED, 0, "the domain '%s' has begun to use the same file", user);
}

static int guard_base (struct commit *commit, struct vmc_error *err)
{
	const struct vmc_disk *disk = commit->facts->disk;

	if (begin_step (commit, "guard the base", err) < 0 ||
	    vmc_guard_start (&commit->guard, commit->run->domain.uuid, disk->format, disk->path, err) < 0)
		return -1;
	vmc_fault_point ("guarded");
	return check_base (commit, err);
}

static int read_base (struct commit *commit, struct vmc_error *err)
{
	int fd, result;

	fd = vmc_guard_connect (&commit->guard, err);
	if (fd < 0)
		return -1;
	result = vmc_reader_run (fd, commit->report->virtual_bytes, vmc_now_ms () + TOOL_MS, &commit->reading, err);
	(void) close (fd);
	return result;
}

static const struct vmc_witness *find_place (const struct vmc_reading *reading, const struct vmc_filesystem *filesystem)
{
	for (size_t i = 0; i < reading->count; i++)
		if (reading->places[i].offset == filesystem->offset &&
		    strcmp (reading->places[i].uuid, filesystem->uuid) == 0)
			return &reading->places[i];
	return NULL;
}

static void note (struct vmc_disk_report *report, const char *what, const char *why)
{
	size_t used = strlen (report->notes);

	(void) snprintf (report->notes + used, sizeof report->notes - used, "%s%s: %s", used ? "; " : "", what, why);
}

/* Keep of the reader's ranges those in filesystems that the agent froze, by place and UUID. */
static int trusted_ranges (struct commit *commit, struct vmc_extents *trusted, struct vmc_error *err)
{
	const char *last_reason = "the reader finds none of the guest's filesystems where the guest says they are";
	struct vmc_extents places = {0};
	int result = 0;

	for (size_t i = 0; i < commit->facts->filesystem_count && result == 0; i++) {
		const struct vmc_filesystem *filesystem = commit->facts->filesystems[i];
		const struct vmc_witness *place = find_place (&commit->reading, filesystem);

		if (filesystem->why_not_map[0] != 0) {
			note (commit->report, filesystem->mount_point, filesystem->why_not_map);
		} else if (place == NULL || !place->usable) {
			last_reason = place ? place->why_not
					    : "the base has no ext4 with its UUID at the place that the guest names";
			note (commit->report, filesystem->mount_point, last_reason);
		} else {
			result = vmc_extents_add (&places, place->offset, place->length, err);
		}
	}
	if (result == 0 && places.count == 0)
		result = vmc_fail (err, VMC_REFUSED, 0, "nothing in the base can be trusted: %s", last_reason);
	vmc_extents_normalise (&places);
	if (result == 0)
		result = vmc_extents_intersect (&commit->reading.free, &places, trusted, err);
	vmc_extents_clear (&places);
	return result;
}

static int find_free (struct commit *commit, struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents trusted = {0};

	/* A guest that stands still for want of space does not answer: look for it before. */
	if (begin_step (commit, "read the base", err) < 0 ||
	    vmc_agent_map (commit->run->agent, commit->token, commit->report->virtual_bytes, &commit->agent_map, err) <
		    0 ||
	    read_base (commit, err) < 0 || trusted_ranges (commit, &trusted, err) < 0 ||
	    vmc_extents_intersect (&trusted, &commit->agent_map, &commit->free, err) < 0)
		return -1;
	commit->report->free_bytes = vmc_extents_total (&commit->free);
	return 0;
}

/* --- punching --------------------------------------------------------------------------------- */

static int between_punches (void *opaque, uint64_t done_bytes, uint64_t total_bytes, struct vmc_error *err)
{
	struct commit *commit = opaque;

	vmc_fault_point ("punching");
	vmc_progress_show (done_bytes, total_bytes);
	if (vmc_guard_check (&commit->guard, err) < 0 || check_room (commit, err) < 0)
		return -1;
	return vmc_run_check (commit->run, err);
}

static int draw_picture (struct commit *commit, const struct vmc_allocation *allocation, struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents allocated = {0};

	if (vmc_allocation_ranges (allocation, &allocated, err) < 0 ||
	    vmc_extents_intersect (&allocated, &commit->free, &commit->report->freed, err) < 0)
		return -1;
	return vmc_extents_subtract (&allocated, &commit->free, &commit->report->used, err);
}

static int punch (struct commit *commit, struct vmc_error *err)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};
	VMC_CLEANUP_EXTENTS struct vmc_extents ranges = {0};
	const struct vmc_disk *disk = commit->facts->disk;

	if (begin_step (commit, "map the image", err) < 0 ||
	    vmc_allocation_read (disk->format, disk->path, false, vmc_now_ms () + TOOL_MS, &allocation, err) < 0 ||
	    vmc_allocation_locate (&allocation, &commit->free, &ranges, err) < 0 ||
	    draw_picture (commit, &allocation, err) < 0)
		return -1;
	commit->report->reclaimable_bytes = vmc_extents_total (&ranges);
	vmc_extents_align_inward (&ranges, commit->facts->image.punch_bytes);
	if (begin_step (commit, "give space back", err) < 0 || vmc_overlay_check (&commit->overlay, err) < 0 ||
	    vmc_overlay_step (&commit->overlay, VMC_STEP_PUNCH, err) < 0)
		return -1;
	vmc_fault_point ("punch");
	return vmc_punch (disk->path, &commit->facts->image, &ranges, between_punches, commit, err);
}

static int reclaim (struct commit *commit, struct vmc_error *err)
{
	if (redirect (commit, err) < 0 || guard_base (commit, err) < 0 || find_free (commit, err) < 0)
		return -1;
	return punch (commit, err);
}

/* --- the method ------------------------------------------------------------------------------- */

/* The first error is the one that is told, unless the way home failed: that is worse. */
static int bring_home (struct commit *commit, int result, struct vmc_error *err)
{
	struct vmc_error home_error;

	if (vmc_home (&commit->overlay, commit->run->options->freeze_timeout_ms, &home_error) < 0) {
		*err = home_error;
		return -1;
	}
	if (vmc_overlay_check_xml (&commit->overlay, &home_error) < 0 && result == 0) {
		*err = home_error;
		return -1;
	}
	return result;
}

int vmc_commit_run (struct vmc_run *run, const struct vmc_disk_facts *facts, struct vmc_disk_report *report,
		    struct vmc_error *err)
{
	struct commit commit = {.run = run, .facts = facts, .report = report, .guard = VMC_GUARD_INIT};
	int result = vmc_overlay_prepare (&run->domain, facts->disk, facts->overlay_path, report->virtual_bytes,
					  &commit.overlay, err);

	if (result == 0)
		result = reclaim (&commit, err);
	vmc_guard_drop (&commit.guard);
	result = bring_home (&commit, result, err);
	report->paused_ms = commit.overlay.paused_ms;
	report->peak_overlay_bytes = commit.overlay.peak_bytes;
	vmc_overlay_clear (&commit.overlay);
	vmc_extents_clear (&commit.agent_map);
	vmc_extents_clear (&commit.free);
	vmc_reading_clear (&commit.reading);
	return result;
}
