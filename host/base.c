/* base.c - see base.h
 *
 *   freeze     the guest's filesystems, with a deadline
 *   overlay    takes the guest's writes from now on; the base does not change any more
 *   thaw       the guest goes on; if the freeze had a gap, nothing is given back
 *   guard      the base is locked as QEMU locks images: nobody can write to it; qemu-nbd serves it read-only
 *   witness    the reader proves each filesystem in the base and names its free ranges
 *
 * Who freezes, and whether somebody in the guest is a second witness, is a matter of the way (base_agent.c, base_qemu_agent.c).
 *
 * The journal is begun before the overlay is made, and says from then on what there is to be brought home. Nothing here changes
 * the base.
 */
#include "base.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"
#include "home.h"
#include "interrupt.h"
#include "new_image.h"
#include "progress.h"

#define ROOM_LOW_BYTES (UINT64_C (64) << 20)

/* The overlay grows with what the guest writes, and the base may have to grow by as much when it is committed. Before there is no
 * room for that, the run gives way. */
static int check_room (struct vmc_base *base, struct vmc_error *err)
{
	uint64_t room;

	vmc_overlay_measure (&base->overlay);
	if (vmc_image_room (base->facts->disk->path, base->facts->overlay_path, &room, err) < 0)
		return -1;
	if (room < ROOM_LOW_BYTES + base->overlay.peak_bytes)
		return vmc_fail (err, VMC_FAILED, ENOSPC, "the host runs low on space beside '%s'",
				 base->facts->overlay_path);
	return 0;
}

int vmc_base_step (struct vmc_base *base, const char *name, struct vmc_error *err)
{
	if (vmc_run_check (base->run, err) < 0 || check_room (base, err) < 0)
		return -1;
	vmc_progress_step (base->facts->disk->target, name);
	return 0;
}

/* --- freeze, overlay, thaw -------------------------------------------------------------------- */

/* The overlay has the size that the disk had when it was looked at: behind that, a disk that has grown since would give errors. The guest
 * stands still now, so the image is asked, not QEMU, which takes its time. */
static int check_size (const struct vmc_base *base, struct vmc_error *err)
{
	struct vmc_image now;

	if (vmc_image_look (base->facts->disk, base->facts->overlay_path, &now, err) < 0)
		return -1;
	return now.virtual_bytes == base->facts->image.virtual_bytes
		       ? 0
		       : vmc_fail (err, VMC_FAILED, 0,
				   "somebody else has changed the size of the disk; run vmcompact again");
}

static int redirect (struct vmc_base *base, struct vmc_error *err)
{
	struct vmc_error second;
	int created, thawed;

	if (vmc_base_step (base, "freeze", err) < 0)
		return -1;
	vmc_fault_point ("freeze");
	if (base->way->freeze (base, err) < 0)
		return -1;
	vmc_fault_point ("frozen");
	created = check_size (base, err);
	if (created == 0)
		created = vmc_overlay_create (&base->overlay, &base->run->disks, err);
	if (created == 0) /* before the guest writes to it */
		created = vmc_overlay_settle (&base->overlay, err);
	thawed = base->way->thaw (base, created < 0 ? &second : err);
	vmc_fault_point ("thawed");
	return created < 0 || thawed < 0 ? -1 : 0;
}

/* --- the free map ----------------------------------------------------------------------------- */

/* Now nobody can write to the base any more. Is all as it was when the plan was made: the domain directly over it, the same
 * file, no internal snapshot that shares its clusters, nobody else's backing file? */
static int check_base (struct vmc_base *base, struct vmc_error *err)
{
	const struct vmc_disk *disk = base->facts->disk;
	char user[VMC_NAME_SIZE * 2];

	if (vmc_overlay_check (&base->overlay, err) < 0)
		return -1;
	if (vmc_image_look (disk, base->facts->overlay_path, &base->image, err) < 0)
		return -1;
	if (base->image.device != base->facts->image.device || base->image.inode != base->facts->image.inode)
		return vmc_fail (err, VMC_FAILED, 0, "'%s' is another file than before", disk->path);
	/* The domain itself has it below the overlay on this disk. */
	if (vmc_domain_other_user (&base->run->domain, disk->target, &base->image, user, sizeof user, err) < 0)
		return -1;
	return user[0] == 0 ? 0 : vmc_fail (err, VMC_FAILED, 0, "the domain '%s' has begun to use the same file", user);
}

static int guard_base (struct vmc_base *base, struct vmc_error *err)
{
	const struct vmc_disk *disk = base->facts->disk;

	if (vmc_base_step (base, "guard the base", err) < 0 ||
	    vmc_guard_start (&base->guard, base->run->domain.uuid, disk->format, disk->path, err) < 0)
		return -1;
	vmc_fault_point ("guarded");
	return check_base (base, err);
}

static int find_free (struct vmc_base *base, struct vmc_error *err)
{
	/* A guest that stands still for want of space does not answer: look for it before. */
	if (vmc_base_step (base, "read the base", err) < 0 || base->way->find_free (base, err) < 0)
		return -1;
	base->report->free_bytes = vmc_extents_total (&base->free);
	return 0;
}

/* --- nobody ----------------------------------------------------------------------------------- */

static int do_nothing (struct vmc_base *base, struct vmc_error *err)
{
	(void) base;
	(void) err;
	return 0;
}

/* Nothing can be mapped: then nothing is left out as free, and a copy of all there is needs no freeze. The plan has allowed it. */
static const struct vmc_base_way by_nobody = {.freeze = do_nothing, .thaw = do_nothing, .find_free = do_nothing};

static const struct vmc_base_way *choose_way (const struct vmc_base *base)
{
	if (base->run->agent == NULL)
		return &vmc_base_by_qemu_agent;
	for (size_t i = 0; i < base->facts->filesystem_count; i++)
		if (base->facts->filesystems[i]->why_not_map[0] == 0)
			return &vmc_base_by_agent;
	return &by_nobody;
}

/* --- begin and end ---------------------------------------------------------------------------- */

int vmc_base_begin (struct vmc_base *base, struct vmc_error *err)
{
	base->way = choose_way (base);
	if (base->way->look != NULL && base->way->look (base, err) < 0)
		return -1;
	if (vmc_overlay_prepare (&base->run->domain, base->facts->disk, base->facts->overlay_path,
				 base->report->virtual_bytes, &base->overlay, err) < 0)
		return -1;
	base->overlay.bandwidth_bytes_per_s = base->run->options->wish.bandwidth_bytes_per_s;
	if (redirect (base, err) < 0 || guard_base (base, err) < 0)
		return -1;
	return find_free (base, err);
}

int vmc_base_draw (struct vmc_base *base, const struct vmc_allocation *allocation, struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents allocated = {0};

	if (vmc_allocation_ranges (allocation, &allocated, err) < 0)
		return -1;
	vmc_picture_draw (&base->report->picture, base->report->virtual_bytes, &allocated, &base->free);
	return 0;
}

int vmc_base_meanwhile (void *opaque, struct vmc_error *err)
{
	struct vmc_base *base = opaque;

	return vmc_guard_check (&base->guard, err) < 0 || check_room (base, err) < 0 ? -1
										     : vmc_run_check (base->run, err);
}

int vmc_base_go_on (struct vmc_base *base, uint64_t done_bytes, uint64_t total_bytes, struct vmc_error *err)
{
	vmc_progress_show (done_bytes, total_bytes);
	return vmc_base_meanwhile (base, err);
}

/* Is the domain on the new image, if there was one for it? What was given up may have come to its end all the same. */
static int check_forward (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	if (overlay->journal.new_inode == 0 || vmc_new_image_in_place (&overlay->journal))
		return 0;
	if (overlay->why_not_forward.text[0] == 0)
		return vmc_fail (err, VMC_FAILED, 0,
				 "somebody has switched the guest off, or changed its disk, before it was on the new "
				 "image; it is on the old one");
	*err = overlay->why_not_forward;
	return vmc_fail_in (err, "the guest could not be moved to the new image, it is on the old one");
}

/* The first error is the one that is told, unless the way home failed: that is worse. */
static int bring_home (struct vmc_base *base, int result, struct vmc_error *err)
{
	struct vmc_error home_error;

	if (vmc_home (&base->overlay, base->run->options->freeze_timeout_ms, &home_error) < 0) {
		*err = home_error;
		return -1;
	}
	if (result == 0 && check_forward (&base->overlay, err) < 0)
		return -1;
	if (vmc_overlay_check_xml (&base->overlay, &home_error) < 0 && result == 0) {
		*err = home_error;
		return -1;
	}
	return result;
}

int vmc_base_end (struct vmc_base *base, int result, struct vmc_error *err)
{
	vmc_guard_drop (&base->guard);
	result = base->overlay.domain == NULL ? result : bring_home (base, result, err);
	base->report->paused_ms = base->overlay.paused_ms;
	base->report->peak_overlay_bytes = base->overlay.peak_bytes;
	vmc_overlay_clear (&base->overlay);
	vmc_extents_clear (&base->agent_map);
	vmc_extents_clear (&base->free);
	vmc_reading_clear (&base->look);
	vmc_reading_clear (&base->reading);
	return result;
}
