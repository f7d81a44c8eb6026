/* copy.c - see copy.h
 *
 * Copying. An image without a backing file: what it stores and what is used is read, nothing else; of a cluster that is used in
 * part, the rest becomes zero. An image over a backing file: whole clusters are read as the guest sees them, so that the rest of
 * one is what it was; zero clusters are made zero clusters without being read. Clusters that read as zeros are not written.
 *
 * Verification reads both images: a raw one from its file, a qcow2 one through a qemu-nbd that has it open for reading only; past
 * the page cache where the filesystem can do that, and the new one after its fsync: its bytes come from the disk. What is not read is (1) the free map, which nobody
 * asked for, and (2) what has no entry in the tables of the top layer of *both* images: of such a place, the qcow2 format says
 * that it reads as the backing file, the same one for both, or as zeros; a read would look at the same entry and no further.
 * Holes are not believed: not those of the file (a raw image is read from end to end), not zero clusters, not QEMU's
 * memory of either.
 */
#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transfer.h"

#define WRITE_BEHIND_BYTES (UINT64_C (64) << 20)

/* --- what is to be done ------------------------------------------------------------------------ */

struct plan {
	struct vmc_extents read;  /* these bytes */
	struct vmc_extents write; /* these grains, whose other bytes are zero */
	struct vmc_extents zero;  /* these grains are made zero unread */
};

#define CLEANUP_PLAN __attribute__ ((cleanup (clear_plan)))

static void clear_plan (struct plan *plan)
{
	vmc_extents_clear (&plan->read);
	vmc_extents_clear (&plan->write);
	vmc_extents_clear (&plan->zero);
}

static int add_all (struct vmc_extents *to, const struct vmc_extents *from, struct vmc_error *err)
{
	for (size_t i = 0; i < from->count; i++)
		if (vmc_extents_add (to, from->items[i].start, from->items[i].length, err) < 0)
			return -1;
	vmc_extents_normalise (to);
	return 0;
}

static int plan_alone (const struct vmc_copy *copy, const struct vmc_extents *zero, struct plan *plan,
		       struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents all = {0}, data = {0};

	if (vmc_extents_add (&all, 0, copy->from->size_bytes, err) < 0 ||
	    vmc_extents_subtract (&all, zero, &data, err) < 0 ||
	    vmc_extents_subtract (&data, copy->free, &plan->read, err) < 0 ||
	    add_all (&plan->write, &plan->read, err) < 0)
		return -1;
	vmc_extents_align_outward (&plan->write, copy->grain_bytes, copy->from->size_bytes);
	return 0;
}

/* Zeros that do not fill a grain are read and written with it. */
static int plan_zeros (const struct vmc_copy *copy, const struct vmc_extents *used_zero, struct plan *plan,
		       struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents whole = {0}, touched = {0}, edges = {0};

	if (add_all (&whole, used_zero, err) < 0 || add_all (&touched, used_zero, err) < 0)
		return -1;
	vmc_extents_align_inward (&whole, copy->grain_bytes);
	vmc_extents_align_outward (&touched, copy->grain_bytes, copy->from->size_bytes);
	if (vmc_extents_subtract (&touched, &whole, &edges, err) < 0 || add_all (&plan->write, &edges, err) < 0)
		return -1;
	return vmc_extents_subtract (&whole, &plan->write, &plan->zero, err);
}

static int plan_backed (const struct vmc_copy *copy, const struct vmc_extents *zero, struct plan *plan,
			struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents used = {0}, used_zero = {0};

	if (vmc_extents_subtract (&copy->stored, copy->free, &used, err) < 0 ||
	    vmc_extents_intersect (&used, zero, &used_zero, err) < 0 ||
	    vmc_extents_subtract (&used, zero, &plan->write, err) < 0)
		return -1;
	vmc_extents_align_outward (&plan->write, copy->grain_bytes, copy->from->size_bytes);
	if (plan_zeros (copy, &used_zero, plan, err) < 0)
		return -1;
	return add_all (&plan->read, &plan->write, err);
}

static int make_plan (struct vmc_copy *copy, struct plan *plan, struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents zero = {0};

	if (vmc_export_status (copy->from, &copy->stored, &zero, copy->pace, err) < 0)
		return -1;
	return copy->backed ? plan_backed (copy, &zero, plan, err) : plan_alone (copy, &zero, plan, err);
}

/* --- copying ----------------------------------------------------------------------------------- */

struct copying {
	const struct vmc_copy *copy;
	const struct plan *plan;
	uint64_t unsent_bytes; /* not told yet to go to the disk */
};

static bool is_zero (const unsigned char *bytes, uint64_t length)
{
	return bytes[0] == 0 && memcmp (bytes, bytes + 1, length - 1) == 0;
}

static int begin_copy (struct vmc_transfer *transfer, struct vmc_window *window, struct vmc_error *err)
{
	const struct copying *copying = transfer->opaque;

	return vmc_window_read (window, transfer->exports[0], window->buffers[0], &copying->plan->read, err);
}

/* The LENGTH bytes at OFFSET of the window, all of them zero or none of its grains. */
static int put_run (struct vmc_transfer *transfer, struct vmc_window *window, uint64_t offset, uint64_t length,
		    bool zero, struct vmc_error *err)
{
	struct copying *copying = transfer->opaque;
	uint64_t start = window->start + offset;

	if (!zero) {
		copying->unsent_bytes += length;
		return vmc_export_write (transfer->exports[1], window->buffers[0] + offset, start, length,
					 &window->waiting, err);
	}
	return copying->copy->backed ? vmc_export_zero (transfer->exports[1], start, length, &window->waiting, err) : 0;
}

static int put_part (struct vmc_transfer *transfer, struct vmc_window *window, const struct vmc_extent *part,
		     struct vmc_error *err)
{
	const struct copying *copying = transfer->opaque;
	uint64_t at = part->start - window->start, end = at + part->length, run = at;
	bool run_zero = false;

	while (at < end) {
		uint64_t grain = copying->copy->grain_bytes, length = end - at < grain ? end - at : grain;
		bool zero = is_zero (window->buffers[0] + at, length);

		if (zero != run_zero && at > run && put_run (transfer, window, run, at - run, run_zero, err) < 0)
			return -1;
		run = zero != run_zero ? at : run;
		run_zero = zero;
		at += length;
	}
	return at > run ? put_run (transfer, window, run, at - run, run_zero, err) : 0;
}

static int end_copy (struct vmc_transfer *transfer, struct vmc_window *window, struct vmc_error *err)
{
	struct copying *copying = transfer->opaque;
	struct vmc_extent part;

	for (size_t i = 0; vmc_window_part (window, &copying->plan->write, &i, &part);)
		if (put_part (transfer, window, &part, err) < 0)
			return -1;
	/* So that the fsync at the end is short. An error is kept for it. */
	if (copying->unsent_bytes >= WRITE_BEHIND_BYTES) {
		copying->unsent_bytes = 0;
		(void) sync_file_range (copying->copy->to_fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	}
	return 0;
}

/* For now, verification is taken to read as much as copying writes. */
int vmc_copy_run (struct vmc_copy *copy, struct vmc_error *err)
{
	CLEANUP_PLAN struct plan plan = {0};
	struct copying copying = {.copy = copy, .plan = &plan};
	struct vmc_transfer transfer = {.exports = {copy->from, copy->to},
					.todo = &plan.write,
					.pace = copy->pace,
					.begin = begin_copy,
					.end = end_copy,
					/* Side by side, they would cut the compressed file into pieces. */
					.one_by_one = copy->compressed,
					.opaque = &copying};

	if (make_plan (copy, &plan, err) < 0)
		return -1;
	copy->pace->total_bytes = 2 * vmc_extents_total (&plan.write);
	if (vmc_export_zero_all (copy->to, &plan.zero, copy->pace, err) < 0)
		return -1;
	return vmc_transfer_run (&transfer, err);
}

/* --- verification ------------------------------------------------------------------------------ */

/* All of the window: a raw file is the disk, and what may lack of its last block reads as zeros. */
static int read_raw (int fd, const struct vmc_window *window, unsigned char *buffer, struct vmc_error *err)
{
	uint64_t length = (window->length + VMC_WINDOW_ALIGN - 1) & ~(uint64_t) (VMC_WINDOW_ALIGN - 1), done = 0;
	struct stat status;

	if (fstat (fd, &status) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot look at a raw image");
	while (done < length && window->start + done < (uint64_t) status.st_size) {
		ssize_t got = pread (fd, buffer + done, length - done, (off_t) (window->start + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return vmc_fail (err, VMC_FAILED, got < 0 ? errno : EIO, "cannot read a raw image");
		done += (uint64_t) got;
	}
	if (done < window->length)
		memset (buffer + done, 0, window->length - done);
	return 0;
}

static int begin_compare (struct vmc_transfer *transfer, struct vmc_window *window, struct vmc_error *err)
{
	const struct vmc_copy *copy = transfer->opaque;
	const int raw_fds[2] = {copy->raw_from_fd, copy->raw_to_fd};

	for (int i = 0; i < 2; i++)
		if (raw_fds[i] >= 0 ? read_raw (raw_fds[i], window, window->buffers[i], err) < 0
				    : vmc_window_read (window, transfer->exports[i], window->buffers[i], transfer->todo,
						       err) < 0)
			return -1;
	return 0;
}

static int tell_difference (const struct vmc_window *window, uint64_t at, struct vmc_error *err)
{
	while (window->buffers[0][at] == window->buffers[1][at])
		at++;
	return vmc_fail (err, VMC_FAILED, 0, "the new image is not the same as the old one at byte %llu of the disk",
			 (unsigned long long) (window->start + at));
}

static int end_compare (struct vmc_transfer *transfer, struct vmc_window *window, struct vmc_error *err)
{
	struct vmc_extent part;

	for (size_t i = 0; vmc_window_part (window, transfer->todo, &i, &part);) {
		uint64_t at = part.start - window->start;

		if (memcmp (window->buffers[0] + at, window->buffers[1] + at, part.length) != 0)
			return tell_difference (window, at, err);
	}
	return 0;
}

/* What either of them has an entry for, and the guest uses. */
static int find_what_to_compare (struct vmc_copy *copy, struct vmc_extents *todo, struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents either = {0}, unused_zero = {0};

	if (vmc_export_status (copy->to, &either, &unused_zero, copy->pace, err) < 0 ||
	    add_all (&either, &copy->stored, err) < 0)
		return -1;
	return vmc_extents_subtract (&either, copy->free, todo, err);
}

int vmc_copy_verify (struct vmc_copy *copy, struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents todo = {0};
	struct vmc_transfer transfer = {.exports = {copy->from, copy->to},
					.todo = &todo,
					.pace = copy->pace,
					.begin = begin_compare,
					.end = end_compare,
					.opaque = copy};

	if (copy->from->size_bytes != copy->to->size_bytes)
		return vmc_fail (err, VMC_FAILED, 0, "the new image has another size than the old one");
	if (find_what_to_compare (copy, &todo, err) < 0)
		return -1;
	copy->pace->total_bytes = copy->pace->done_bytes + vmc_extents_total (&todo);
	return vmc_transfer_run (&transfer, err);
}

void vmc_copy_clear (struct vmc_copy *copy)
{
	vmc_extents_clear (&copy->stored);
}
