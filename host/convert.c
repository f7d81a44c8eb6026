/* convert.c - the method "convert" for a running domain: the image is written anew, and the guest is moved onto it
 *
 *   rest       the guest writes to an overlay; what is free in the base is known (base.c)
 *   rewrite    the base into a nameless file without what is free, verified and synced (rewrite.c)
 *   name       BASE.vmcompact-new: from here on the new image is in the journal
 *   move       the guest to a second overlay, over the new image
 *   swap       the new image gets the base's path, the old one another name (new_image.c)
 *   move       the guest to a third overlay, over the base's path
 *   commit     that overlay into the new image, pause, pivot, go on (home.c, as for the method "commit")
 *
 * What the guest runs on and what is found under the paths of its chain are the same files all the time, so that the domain can be
 * switched off, started, or lose its host at any point. Until the first move nothing needs to be undone but the overlay; after
 * it, the way home is the way forward. The two images say the same wherever the guest has put anything.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base.h"
#include "clock.h"
#include "fault.h"
#include "new_image.h"
#include "progress.h"
#include "rewrite.h"

#define MAP_MS 600000

static int between_copies (void *opaque, uint64_t done_bytes, uint64_t total_bytes, struct vmc_error *err)
{
	vmc_fault_point ("rewriting");
	return vmc_base_go_on (opaque, done_bytes, total_bytes, err);
}

/* How much of the image is in use, for the report and for the space that is needed. */
static int measure_used (struct vmc_base *base, uint64_t *used_bytes, uint64_t *stored_end, struct vmc_error *err)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};
	const struct vmc_disk *disk = base->facts->disk;

	if (vmc_base_step (base, "map the image", err) < 0 ||
	    vmc_allocation_read (disk->format, disk->path, false, vmc_now_ms () + MAP_MS, &allocation, err) < 0 ||
	    vmc_base_draw (base, &allocation, err) < 0)
		return -1;
	base->report->reclaimable_bytes = base->report->picture.freed_bytes;
	*used_bytes = base->report->picture.used_bytes;
	*stored_end = vmc_allocation_end (&allocation);
	return 0;
}

/* The new image has a name: with the journal, the next run knows what it is. */
static int name_new (struct vmc_base *base, int fd, struct vmc_error *err)
{
	struct vmc_journal *journal = &base->overlay.journal;
	const char *format = base->run->options->wish.format;
	char path[VMC_PATH_SIZE];
	struct stat status;

	if (fstat (fd, &status) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot look at the new image");
	if (!vmc_new_image_name (journal->base, VMC_NEW_SUFFIX, path))
		return vmc_fail (err, VMC_FAILED, ENAMETOOLONG, "the path of the image is too long");
	journal->new_inode = status.st_ino;
	journal->old_inode = base->image.inode;
	journal->keep_old = base->run->options->keep_old;
	(void) snprintf (journal->new_format, sizeof journal->new_format, "%s",
			 format ? format : base->facts->disk->format);
	if (vmc_overlay_step (&base->overlay, VMC_STEP_REWRITE, err) < 0)
		return -1;
	vmc_fault_point ("name");
	if (vmc_rewrite_name (fd, path, err) < 0)
		return -1;
	vmc_fault_point ("named");
	return vmc_new_image_prepare (journal, err);
}

static int rewrite (struct vmc_base *base, struct vmc_error *err)
{
	char directory[VMC_PATH_SIZE], part[VMC_PATH_SIZE];
	struct vmc_rewrite rewrite = {.disk = base->facts->disk,
				      .image = &base->image,
				      .directory = directory,
				      .part = part,
				      .name = base->run->domain.uuid,
				      .wish = base->run->options->wish};
	uint64_t used_bytes;
	int fd, result;

	vmc_image_directory (base->facts->disk->path, directory);
	if (vmc_rewrite_part (base->facts->disk->path, part, err) < 0 ||
	    measure_used (base, &used_bytes, &rewrite.stored_end, err) < 0 ||
	    vmc_rewrite_check (&rewrite, used_bytes, err) < 0 || vmc_base_step (base, "write the image anew", err) < 0)
		return -1;
	vmc_fault_point ("rewrite");
	fd = vmc_rewrite_run (&rewrite, &base->free, between_copies, base, err);
	if (fd < 0)
		return -1;
	result = vmc_run_check (base->run, err);
	if (result == 0)
		result = vmc_overlay_check (&base->overlay, err);
	if (result == 0)
		result = name_new (base, fd, err);
	vmc_rewrite_drop (fd);
	return result;
}

int vmc_convert_run (struct vmc_run *run, const struct vmc_disk_facts *facts, struct vmc_disk_report *report,
		     struct vmc_error *err)
{
	struct vmc_base base = VMC_BASE_INIT (run, facts, report);
	int result = vmc_base_begin (&base, err);

	if (result == 0)
		result = rewrite (&base, err);
	base.overlay.forward = result == 0;
	return vmc_base_end (&base, result, err);
}
