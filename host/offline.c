/* offline.c - see offline.h; and the method "commit" for it: in place
 *
 *   lock       nobody else has the image open; it is locked as QEMU locks images: no QEMU can open it for writing, so that the
 *              domain cannot be started meanwhile; qemu-nbd serves it read-only
 *   look       now that it is at rest: still switched off, still the same file, still nobody else's
 *   witness    the reader proves each filesystem, alone: there is no guest to ask
 *   punch      what is free, where it takes space in the file
 *
 * One lock is held from before the reader looks until the holes are on the disk. Nothing but holes is changed in the file, in
 * ranges that are free, and none of a qcow2's tables: killed at any point, by anything, the image is as it was, with less or
 * more holes. So there is no journal, and nothing to recover. The kernel releases the lock and ends qemu-nbd when we die.
 */
#include "offline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocation.h"
#include "clock.h"
#include "fault.h"
#include "guard.h"
#include "image_check.h"
#include "lock_reach.h"
#include "lone_reader.h"
#include "plan.h"
#include "new_image.h"
#include "progress.h"
#include "punch.h"
#include "reader.h"
#include "replace.h"
#include "rewrite.h"

#define TOOL_MS 600000 /* qemu-img map, the reader */
#define DYING_MAX_MS 2000
#define LOOK_MS 50
#define SECTOR_BYTES 512

/* An image that nobody can write to, and what is free in it. */
struct vmc_offline {
	struct vmc_run *run;
	const struct vmc_disk_facts *facts;
	struct vmc_disk_report *report;
	struct vmc_guard guard;
	char name[64]; /* no other run has it now: for sockets */
	struct vmc_reading reading;
	struct vmc_extents free; /* of the virtual disk */
	uint64_t stored_end;     /* vmc_allocation_end */
};

static int begin_step (const struct vmc_offline *offline, const char *name, struct vmc_error *err)
{
	if (vmc_run_check (offline->run, err) < 0)
		return -1;
	vmc_progress_step (offline->report->target[0] ? offline->report->target : "image", name);
	return 0;
}

/* While the reader is awaited. */
static int meanwhile (void *opaque, struct vmc_error *err)
{
	struct vmc_offline *offline = opaque;

	return vmc_guard_check (&offline->guard, err) < 0 ? -1 : vmc_run_check (offline->run, err);
}

/* Before what cannot be taken back: nobody has written to the image since it was locked, and nobody is about to. */
static int check_still (struct vmc_offline *offline, struct vmc_error *err)
{
	return vmc_guard_unwritten (offline->facts->disk->path, err) < 0 ? -1 : meanwhile (offline, err);
}

/* In the middle of a step. */
static int go_on (struct vmc_offline *offline, uint64_t done_bytes, uint64_t total_bytes, struct vmc_error *err)
{
	vmc_progress_show (done_bytes, total_bytes);
	return meanwhile (offline, err);
}

/* --- lock ------------------------------------------------------------------------------------- */

/* Does a domain use it, other than the one whose disk it is? A host without libvirt has none. */
static int find_user (struct vmc_run *run, const struct vmc_disk *disk, const struct vmc_image *image, char *user,
		      size_t size, struct vmc_error *err)
{
	user[0] = 0;
	if (run->domain.connection->handle == NULL)
		return 0;
	return vmc_domain_other_user (&run->domain, disk->target, image, user, size, err);
}

/* Now nobody can write to the image any more. Is all as it was when the plan was made? */
static int check_image (const struct vmc_offline *offline, struct vmc_error *err)
{
	const struct vmc_disk *disk = offline->facts->disk;
	const struct vmc_image *before = &offline->facts->image;
	char user[VMC_NAME_SIZE * 2];
	struct vmc_image now;
	int off = offline->run->domain.handle ? vmc_domain_switched_off (&offline->run->domain, err) : 1;

	if (off < 0)
		return -1;
	if (off == 0)
		return vmc_fail (err, VMC_REFUSED, 0, "somebody starts the domain, or has saved it, in this moment");
	if (vmc_image_look (disk, disk->path, &now, err) < 0)
		return -1;
	if (now.device != before->device || now.inode != before->inode || now.virtual_bytes != before->virtual_bytes)
		return vmc_fail (err, VMC_FAILED, 0, "'%s' is another file than before", disk->path);
	if (find_user (offline->run, disk, &now, user, sizeof user, err) < 0)
		return -1;
	return user[0] == 0 ? 0
			    : vmc_fail (err, VMC_REFUSED, 0, "the domain '%s' has begun to use the same file", user);
}

/* A QEMU that is just ending holds its locks for a moment after libvirt says that the domain is off. */
static int await_alone (const char *path, struct vmc_error *err)
{
	uint64_t until_ms = vmc_now_ms () + DYING_MAX_MS;

	while (vmc_guard_alone (path, err) < 0) {
		if (vmc_now_ms () >= until_ms)
			return -1;
		vmc_events_pause (LOOK_MS);
	}
	return 0;
}

static int lock_image (struct vmc_offline *offline, struct vmc_error *err)
{
	const struct vmc_disk *disk = offline->facts->disk;

	vmc_image_name (&offline->facts->image, offline->name);
	if (begin_step (offline, "lock the image", err) < 0 || await_alone (disk->path, err) < 0)
		return -1;
	vmc_fault_point ("lock");
	if (vmc_guard_start (&offline->guard, offline->name, disk->format, disk->path, err) < 0)
		return -1;
	vmc_fault_point ("locked");
	return check_image (offline, err);
}

/* --- witness ---------------------------------------------------------------------------------- */

/* Keep of the reader's ranges those in places that it may be believed about. */
static int keep_trusted (struct vmc_offline *offline, struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents places = {0};
	struct vmc_disk_report *report = offline->report;
	const char *why;
	int believed = vmc_lone_reader_trust (NULL, &offline->reading, &places, &offline->free, report, &why, err);

	if (believed < 0)
		return -1;
	if (believed == 0)
		return vmc_fail (err, VMC_REFUSED, 0,
				 "nothing in the image can be trusted: %s; if the guest was not shut down cleanly, "
				 "start it and shut it down, or run e2fsck",
				 why);
	vmc_extents_clear (&offline->reading.free);
	report->free_bytes = vmc_extents_total (&offline->free);
	report->used_bytes = vmc_extents_total (&places) - report->free_bytes;
	return 0;
}

static int find_free (struct vmc_offline *offline, struct vmc_error *err)
{
	const struct vmc_meanwhile look = {meanwhile, offline};

	if (begin_step (offline, "read the image", err) < 0 ||
	    vmc_guard_read (&offline->guard, offline->report->virtual_bytes, NULL, vmc_now_ms () + TOOL_MS, &look,
			    &offline->reading, err) < 0)
		return -1;
	return keep_trusted (offline, err);
}

/* --- in place --------------------------------------------------------------------------------- */

static int between_punches (void *opaque, uint64_t done_bytes, uint64_t total_bytes, struct vmc_error *err)
{
	vmc_fault_point ("punching");
	return go_on (opaque, done_bytes, total_bytes, err);
}

static int draw_picture (struct vmc_offline *offline, const struct vmc_allocation *allocation, struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents allocated = {0};

	if (vmc_allocation_ranges (allocation, &allocated, err) < 0)
		return -1;
	vmc_picture_draw (&offline->report->picture, offline->report->virtual_bytes, &allocated, &offline->free);
	return 0;
}

/* Where in the file are the free ranges that take space? */
static int locate (struct vmc_offline *offline, struct vmc_extents *ranges, struct vmc_error *err)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};
	const struct vmc_disk *disk = offline->facts->disk;

	if (begin_step (offline, "map the image", err) < 0 ||
	    vmc_allocation_read (disk->format, disk->path, false, vmc_now_ms () + TOOL_MS, &allocation, err) < 0 ||
	    vmc_allocation_locate (&allocation, &offline->free, ranges, err) < 0 ||
	    draw_picture (offline, &allocation, err) < 0)
		return -1;
	vmc_extents_align_inward (ranges, offline->facts->image.punch_bytes);
	offline->report->reclaimable_bytes = vmc_extents_total (ranges);
	offline->stored_end = vmc_allocation_end (&allocation);
	return 0;
}

static int punch (struct vmc_offline *offline, const struct vmc_extents *ranges, struct vmc_error *err)
{
	const struct vmc_disk *disk = offline->facts->disk;
	const struct vmc_meanwhile look = {meanwhile, offline};

	if (ranges->count == 0)
		return 0;
	if (vmc_image_check (disk->format, disk->path, vmc_now_ms () + TOOL_MS, &look, err) < 0 ||
	    begin_step (offline, "give space back", err) < 0 || check_still (offline, err) < 0)
		return -1;
	vmc_fault_point ("punch");
	if (vmc_punch (&offline->guard, disk->path, &offline->facts->image, ranges, between_punches, offline, err) < 0)
		return -1;
	vmc_fault_point ("punched");
	return 0;
}

/* --- written anew ----------------------------------------------------------------------------- */

static int between_copies (void *opaque, uint64_t done_bytes, uint64_t total_bytes, struct vmc_error *err)
{
	vmc_fault_point ("rewriting");
	return go_on (opaque, done_bytes, total_bytes, err);
}

#define NOT_WRITTEN (-2) /* a dry run */

/* The image without what is free, as a nameless file in the directory of PATH: its descriptor. */
static int rewrite (struct vmc_offline *offline, const char *path, const char *step, struct vmc_error *err)
{
	const struct vmc_options *options = offline->run->options;
	char directory[VMC_PATH_SIZE], part[VMC_PATH_SIZE];
	const struct vmc_rewrite rewrite = {.disk = offline->facts->disk,
					    .image = &offline->facts->image,
					    .directory = directory,
					    .part = part,
					    .name = offline->name,
					    .stored_end = offline->stored_end,
					    .wish = options->wish};

	vmc_image_directory (path, directory);
	if (vmc_rewrite_part (path, part, err) < 0 ||
	    vmc_rewrite_check (&rewrite, offline->report->picture.used_bytes, err) < 0)
		return -1;
	if (options->dry_run)
		return NOT_WRITTEN;
	if (begin_step (offline, step, err) < 0)
		return -1;
	vmc_fault_point ("rewrite");
	return vmc_rewrite_run (&rewrite, &offline->free, between_copies, offline, err);
}

/* --- a copy ----------------------------------------------------------------------------------- */

/* The name must be free, and the backing file must be found from where the copy is. */
static int check_output (const struct vmc_disk *disk, const char *output, const char *directory, struct vmc_error *err)
{
	char source_directory[VMC_PATH_SIZE];
	struct stat status, source;

	if (strlen (output) >= VMC_PATH_SIZE)
		return vmc_fail (err, VMC_REFUSED, ENAMETOOLONG, "the path of the copy is too long");
	if (lstat (output, &status) == 0 || errno != ENOENT)
		return vmc_fail (err, VMC_REFUSED, 0, "'%s' exists already, or cannot be made", output);
	vmc_image_directory (disk->path, source_directory);
	if (disk->backing_count > 0 && (stat (directory, &status) < 0 || stat (source_directory, &source) < 0 ||
					status.st_dev != source.st_dev || status.st_ino != source.st_ino))
		return vmc_fail (err, VMC_REFUSED, 0,
				 "the image has a backing file, so its copy must lie in the same directory");
	return 0;
}

/* The image is only read. The copy has no name until it is complete, verified and on the disk. */
static int copy (struct vmc_offline *offline, struct vmc_error *err)
{
	const char *output = offline->run->options->output;
	char directory[VMC_PATH_SIZE];
	int fd, result;

	vmc_image_directory (output, directory);
	if (check_output (offline->facts->disk, output, directory, err) < 0)
		return -1;
	fd = rewrite (offline, output, "write the copy", err);
	if (fd < 0)
		return fd == NOT_WRITTEN ? 0 : -1;
	vmc_fault_point ("name");
	result = check_still (offline, err);
	if (result == 0)
		result = vmc_rewrite_name (fd, output, err);
	vmc_rewrite_drop (fd);
	vmc_fault_point ("named");
	return result;
}

/* --- another image in its place --------------------------------------------------------------- */

/* libvirt gives the image to QEMU's user for a moment when somebody tries to start the domain, and takes it back: the new image
 * must have been made from what is the rule. */
static int check_owner (const char *path, const struct stat *new, struct vmc_error *err)
{
	struct stat old;

	if (stat (path, &old) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot look at '%s'", path);
	if (old.st_uid == new->st_uid && old.st_gid == new->st_gid &&old.st_mode == new->st_mode)
		return 0;
	return vmc_fail (err, VMC_FAILED, 0,
			 "the owner or mode of '%s' has changed: somebody tries to start the domain", path);
}

static int replace (struct vmc_offline *offline, int fd, struct vmc_error *err)
{
	const struct vmc_disk *disk = offline->facts->disk;
	const struct vmc_options *options = offline->run->options;
	struct vmc_overlay overlay = {.domain = &offline->run->domain};
	struct vmc_journal *journal = &overlay.journal;
	struct stat status;
	int result;

	if (fstat (fd, &status) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot look at the new image");
	if (check_owner (disk->path, &status, err) < 0)
		return -1;
	memcpy (journal->uuid, overlay.domain->uuid, sizeof journal->uuid);
	memcpy (journal->name, overlay.domain->name, sizeof journal->name);
	memcpy (journal->target, disk->target, sizeof journal->target);
	memcpy (journal->base, disk->path, sizeof journal->base);
	(void) snprintf (journal->new_format, sizeof journal->new_format, "%s",
			 options->wish.format ? options->wish.format : disk->format);
	journal->new_inode = status.st_ino;
	journal->old_inode = offline->facts->image.inode;
	journal->keep_old = options->keep_old;
	result = overlay.domain->handle != NULL ? vmc_replace_disk (&overlay, fd, err)
						: vmc_replace_file (journal, fd, err);
	vmc_overlay_clear (&overlay);
	return result;
}

/* Written beside the image: without a name until it is complete, verified and on the disk. */
static int convert (struct vmc_offline *offline, struct vmc_error *err)
{
	int fd, result;

	fd = rewrite (offline, offline->facts->disk->path, "write the image anew", err);
	if (fd < 0)
		return fd == NOT_WRITTEN ? 0 : -1;
	vmc_fault_point ("rewritten");
	result = check_image (offline, err);
	if (result == 0)
		result = check_still (offline, err);
	if (result == 0)
		result = replace (offline, fd, err);
	vmc_rewrite_drop (fd);
	return result;
}

static int compact (struct vmc_offline *offline, enum vmc_method_choice method, struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents ranges = {0};

	if (lock_image (offline, err) < 0 || find_free (offline, err) < 0 || locate (offline, &ranges, err) < 0)
		return -1;
	if (vmc_run_too_little (offline->run, offline->report))
		return 0;
	if (offline->facts->copied)
		return copy (offline, err);
	if (method == VMC_METHOD_CONVERT)
		return convert (offline, err);
	return offline->run->options->dry_run ? 0 : punch (offline, &ranges, err);
}

/* --- one disk --------------------------------------------------------------------------------- */

/* What is not as it should be is a fact, too, and the plan refuses it. */
static int look (struct vmc_run *run, struct vmc_disk *disk, struct vmc_disk_facts *facts, struct vmc_error *err)
{
	struct vmc_error why;

	if (vmc_image_find_chain (disk, &why) < 0 || vmc_image_look (disk, disk->path, &facts->image, &why) < 0) {
		(void) snprintf (facts->why_no_image, sizeof facts->why_no_image, "%s", why.text);
		return 0;
	}
	facts->image_known = true;
	if (vmc_new_image_in_the_way (disk->path, facts->in_the_way) < 0)
		return vmc_fail (err, VMC_REFUSED, 0, "the path of the image is too long");
	if (vmc_image_can_punch (disk->path, &why) < 0)
		(void) snprintf (facts->why_no_punch, sizeof facts->why_no_punch, "%s", why.text);
	if (vmc_lock_reach_check (disk->path, &why) < 0)
		(void) snprintf (facts->why_no_lock, sizeof facts->why_no_lock, "%s", why.text);
	return find_user (run, disk, &facts->image, facts->used_by, sizeof facts->used_by, err);
}

/* QEMU sees whole sectors. */
static void note_sizes (const struct vmc_image *image, struct vmc_disk_report *report)
{
	report->virtual_bytes = (image->virtual_bytes + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;
	report->allocated_before_bytes = image->allocated_bytes;
}

/* A copy gives nothing back: the image is still there. */
static void measure (const struct vmc_offline *offline, struct vmc_disk_report *report)
{
	bool copied = offline->facts->copied;
	struct vmc_error ignored;
	uint64_t after;

	if (vmc_image_allocated (copied ? offline->run->options->output : offline->facts->disk->path, &after,
				 &ignored) < 0)
		return;
	report->allocated_after_bytes = after;
	if (copied)
		return;
	report->reclaimed_bytes = report->allocated_before_bytes > after ? report->allocated_before_bytes - after : 0;
}

static int act (struct vmc_offline *offline, enum vmc_method_choice method, struct vmc_error *err)
{
	int result = compact (offline, method, err);

	vmc_guard_drop (&offline->guard);
	vmc_reading_clear (&offline->reading);
	vmc_extents_clear (&offline->free);
	if (!offline->run->options->dry_run && (result == 0 || !offline->facts->copied))
		measure (offline, offline->report);
	return result;
}

int vmc_offline_disk (struct vmc_run *run, const struct vmc_domain_facts *domain, const struct vmc_disk *disk,
		      struct vmc_disk_report *report, struct vmc_error *err)
{
	struct vmc_disk complete = *disk;
	struct vmc_disk_facts facts = {.domain = domain,
				       .disk = &complete,
				       .why_wanted = "asked for",
				       .zero = run->options->zero,
				       .copied = run->options->output != NULL};
	struct vmc_offline offline = {.run = run, .facts = &facts, .report = report, .guard = VMC_GUARD_INIT};
	struct vmc_plan plan;

	if (domain->local && (strcmp (disk->type, "file") == 0 || strcmp (disk->type, "block") == 0) &&
	    disk->path[0] != 0 && look (run, &complete, &facts, err) < 0)
		return -1;
	if (facts.image_known)
		note_sizes (&facts.image, report);
	if (vmc_plan_disk (&facts, run->options->method, &plan, err) < 0)
		return -1;
	report->method = vmc_method_choice_name (plan.method);
	memcpy (report->reason, plan.reason, sizeof report->reason);
	return act (&offline, plan.method, err);
}
