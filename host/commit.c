/* commit.c - the method "commit": free blocks are given back from a base at rest, while the guest writes to an overlay
 *
 *   rest       the guest writes to an overlay; what is free in the base is known (base.c)
 *   punch      what agent and reader both call free, where it takes space in the file
 *   commit     the overlay back into the base, pause, pivot, go on; the overlay is removed (home.c)
 *
 * Whatever fails before the commit, the commit is done all the same: it is the way home.
 */
#include "base.h"
#include "clock.h"
#include "fault.h"
#include "image_check.h"
#include "progress.h"
#include "punch.h"

#define MAP_MS 600000

/* A QEMU that is started anew on a block device has a node of it on which there are no locks of ours (nodes.h). */
static int between_punches (void *opaque, uint64_t done_bytes, uint64_t total_bytes, struct vmc_error *err)
{
	struct vmc_base *base = opaque;

	vmc_fault_point ("punching");
	if (base->image.is_block && vmc_overlay_check (&base->overlay, err) < 0)
		return -1;
	return vmc_base_go_on (base, done_bytes, total_bytes, err);
}

static int punch (struct vmc_base *base, struct vmc_error *err)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};
	VMC_CLEANUP_EXTENTS struct vmc_extents ranges = {0};
	const struct vmc_disk *disk = base->facts->disk;
	const struct vmc_meanwhile meanwhile = {vmc_base_meanwhile, base};

	if (vmc_base_step (base, "map the image", err) < 0 ||
	    vmc_allocation_read (disk->format, disk->path, false, vmc_now_ms () + MAP_MS, &allocation, err) < 0 ||
	    vmc_allocation_locate (&allocation, &base->free, &ranges, err) < 0 ||
	    vmc_base_draw (base, &allocation, err) < 0)
		return -1;
	base->report->reclaimable_bytes = vmc_extents_total (&ranges);
	vmc_extents_align_inward (&ranges, base->image.punch_bytes);
	if (ranges.count > 0 && vmc_image_check (disk->format, disk->path, vmc_now_ms () + MAP_MS, &meanwhile, err) < 0)
		return -1;
	if (vmc_base_step (base, "give space back", err) < 0 || vmc_overlay_check (&base->overlay, err) < 0 ||
	    vmc_overlay_step (&base->overlay, VMC_STEP_PUNCH, err) < 0)
		return -1;
	vmc_fault_point ("punch");
	return vmc_punch (&base->guard, disk->path, &base->image, &ranges, between_punches, base, err);
}

int vmc_commit_run (struct vmc_run *run, const struct vmc_disk_facts *facts, struct vmc_disk_report *report,
		    struct vmc_error *err)
{
	struct vmc_base base = VMC_BASE_INIT (run, facts, report);
	int result = vmc_base_begin (&base, err);

	if (result == 0)
		result = punch (&base, err);
	return vmc_base_end (&base, result, err);
}
