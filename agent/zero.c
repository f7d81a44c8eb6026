/* zero.c - see zero.h
 *
 * ext4 and XFS: free space is reserved for a file without a name (placeholder.c), which nothing is written to; the kernel tells
 * where it lies; and the device below is zeroed there (eraser.c). That takes no time where the device deallocates, and the
 * image of the guest does not grow, as it would if zeros were written to a file. Slice by slice:
 *
 *   1  look: so much is available above the reserve
 *   2  reserve a slice, and wait until the disk knows it
 *   3  ask where it lies, twice: the same both times, on the device, nobody else's, nothing written to it
 *   4  zero the device there, piece by piece
 *   5  ask again: it must not have moved meanwhile
 *
 * and so on until only the reserve is left. What was zeroed stays reserved until the end, or the next slice would be the same
 * blocks again. Before the first slice one block is written through the file and read from the device at the place that the
 * kernel names: if it is not there, nothing is zeroed. (ext4 with data=journal writes it to the journal first, for example.)
 *
 * Other filesystems, and ext4 without extents: zeros are written to such a file, past the page cache where that can be done.
 *
 * The guest must not notice. The space that is available to everybody is never brought below the reserve: it is looked at before
 * and after each slice, before each piece, and every 20 ms while a rate is kept; a slice is a quarter of the reserve at most. When
 * it is found below the reserve, others write, and all that was reserved is given back at once, zeroed or not; the job ends there,
 * for it was near its end. A kill, by the agent or by the kernel when the agent dies, gives it back as well: nobody else has
 * the files.
 *
 * What remains:
 *
 *   A program that takes more than the reserve between two looks sees that the disk is full although it was not before. It would
 *   have to write 256 MiB in the milliseconds of one piece, or ask for that much in one call, as fallocate(2) does. While a device
 *   takes long to answer, nobody looks, but then the others wait for it, too.
 *   btrfs counts what was given back as free only after its next commit, but finds it when somebody needs it.
 *   The filesystem cannot be unmounted meanwhile. Quotas count the files as root's.
 *   A snapshot that somebody makes with LVM in the guest meanwhile keeps what was zeroed, and fills up.
 *   ext4 sets up groups of blocks that were never used: the next e2fsck has more to read.
 *   On a FAT filesystem a guest that crashes in the middle leaves lost clusters for fsck.
 */
#include "zero.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "eraser.h"
#include "placeholder.h"

#define SLICE_MAX_BYTES (UINT64_C (1) << 30)
#define SLICE_MIN_BYTES (UINT64_C (1) << 20) /* and all slices are multiples of it */
#define SLICES_A_SECOND 4                    /* at least, when a rate is kept */
#define RESERVE_SLICES 4                     /* in the reserve, at least */
#define SYNC_BYTES (UINT64_C (32) << 20)     /* that may wait in the page cache */

/* Kept free above the reserve: what the filesystem itself needs to note a slice of single blocks, and a little for logs, or the
 * last slice would seem to be a sign that others write. */
#define MARGIN_PART 16 /* of the reserve */
#define MARGIN_MAX_BYTES (UINT64_C (64) << 20)

/* btrfs sets space for metadata aside in chunks of a tenth of the filesystem, at most 1 GiB, and twice. */
#define BTRFS_MARGIN_PART 5 /* of the filesystem */
#define BTRFS_MARGIN_MAX_BYTES (UINT64_C (2) << 30)

#define LOOK_MS 20
#define REPORT_MS 200

struct zero {
	const struct vmc_zero_job *job;
	int report_fd;
	struct vmc_placeholder placeholder;
	struct vmc_eraser eraser;
	struct vmc_layout layout, again;
	uint64_t size_bytes; /* of the filesystem */
	uint64_t reserve_bytes, expected_bytes;
	uint64_t started_ms, reported_ms;
	uint64_t unsynced_bytes;
	struct vmc_zero_result count;
};

/* Steps return 1: go on; 0: it ends here, for want of space; -1: see ERR. */

/* --- looking around ----------------------------------------------------------------------------- */

static int look (const struct zero *zero, struct statvfs *space, struct vmc_error *err)
{
	int fd = zero->placeholder.count > 0 ? vmc_placeholder_file (&zero->placeholder) : zero->job->fd;

	if (fstatvfs (fd, space) < 0 || space->f_frsize == 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot ask for the free space");
	return 0;
}

static uint64_t margin_bytes (const struct zero *zero)
{
	bool btrfs = strcmp (zero->job->type, "btrfs") == 0;
	uint64_t margin = btrfs ? zero->size_bytes / BTRFS_MARGIN_PART : zero->reserve_bytes / MARGIN_PART;
	uint64_t most = btrfs ? BTRFS_MARGIN_MAX_BYTES : MARGIN_MAX_BYTES;

	return margin < most ? margin : most;
}

static uint64_t available_bytes (const struct statvfs *space)
{
	return (uint64_t) space->f_bavail * space->f_frsize;
}

/* What can be taken now, in bytes. */
static uint64_t usable_bytes (const struct zero *zero, const struct statvfs *space)
{
	uint64_t available = available_bytes (space), kept = zero->reserve_bytes;

	kept = kept < UINT64_MAX - margin_bytes (zero) ? kept + margin_bytes (zero) : UINT64_MAX;
	return available > kept ? available - kept : 0;
}

static uint64_t done_bytes (const struct zero *zero)
{
	return zero->count.zeroed_bytes + zero->count.zero_bytes;
}

/* Nobody waits for the result any more when it cannot be sent: then all ends, and the space is free. */
static void show_progress (struct zero *zero)
{
	struct vmc_report report = {.kind = VMC_REPORT_PROGRESS, .total_bytes = zero->expected_bytes};

	report.done_bytes = done_bytes (zero) < report.total_bytes ? done_bytes (zero) : report.total_bytes;
	zero->reported_ms = vmc_now_ms ();
	if (!vmc_worker_report (zero->report_fd, &report))
		_exit (0);
}

/* Do others need the space? */
static int watch (struct zero *zero, struct vmc_error *err)
{
	struct statvfs space;

	if (look (zero, &space, err) < 0)
		return -1;
	if (available_bytes (&space) < zero->reserve_bytes) {
		vmc_placeholder_release (&zero->placeholder);
		return 0;
	}
	if (vmc_now_ms () - zero->reported_ms >= REPORT_MS)
		show_progress (zero);
	return 1;
}

/* Wait until so much may have been done, watching all the time. */
static int pace (struct zero *zero, struct vmc_error *err)
{
	static const struct timespec nap = {.tv_nsec = LOOK_MS * 1000000};
	uint64_t rate = zero->job->rate_bytes_per_s;
	int result = 1;

	if (rate == 0)
		return 1;
	while (result == 1 && vmc_now_ms () - zero->started_ms < done_bytes (zero) / (rate / 1000)) {
		(void) nanosleep (&nap, NULL);
		result = watch (zero, err);
	}
	return result;
}

/* How much to take next; 0: nothing any more. */
static int next_slice (struct zero *zero, uint64_t *bytes, struct vmc_error *err)
{
	uint64_t rate = zero->job->rate_bytes_per_s, slice = SLICE_MAX_BYTES, usable;
	struct statvfs space;

	if (look (zero, &space, err) < 0)
		return -1;
	usable = usable_bytes (zero, &space);
	if (slice > zero->reserve_bytes / RESERVE_SLICES)
		slice = zero->reserve_bytes / RESERVE_SLICES;
	if (rate != 0 && slice > rate / SLICES_A_SECOND)
		slice = rate / SLICES_A_SECOND;
	if (slice < SLICE_MIN_BYTES)
		slice = SLICE_MIN_BYTES;
	if (slice > usable)
		slice = usable;
	*bytes = slice - slice % SLICE_MIN_BYTES;
	return *bytes > 0 && done_bytes (zero) < zero->size_bytes; /* or zeros take no space there */
}

/* --- on the device ------------------------------------------------------------------------------ */

static int zero_stretch (struct zero *zero, struct vmc_stretch stretch, struct vmc_error *err)
{
	while (stretch.length > 0) {
		uint64_t before = done_bytes (zero), done;
		int result = watch (zero, err);

		if (result <= 0)
			return result;
		if (vmc_eraser_run (&zero->eraser, vmc_placeholder_file (&zero->placeholder), &stretch, &zero->count,
				    err) < 0)
			return -1;
		done = done_bytes (zero) - before;
		stretch = (struct vmc_stretch) {stretch.logical + done, stretch.physical + done, stretch.length - done};
		result = pace (zero, err);
		if (result <= 0)
			return result;
	}
	return 1;
}

/* Where START to END of the file lies, or the first part of it. */
static int ask (struct zero *zero, uint64_t start, uint64_t end, bool written, struct vmc_layout *layout,
		struct vmc_error *err)
{
	return vmc_placeholder_layout (&zero->placeholder, start, end, zero->eraser.device_bytes, written, layout, err);
}

/* Zero START to END of the file, or as much as the layout has room for: *DONE is where it ends. */
static int zero_part (struct zero *zero, uint64_t start, uint64_t end, uint64_t *done, struct vmc_error *err)
{
	struct vmc_layout *layout = &zero->layout, *again = &zero->again;
	int result = 1;

	if (ask (zero, start, end, false, layout, err) < 0 || ask (zero, start, layout->end, false, again, err) < 0)
		return -1;
	if (!vmc_layout_same (layout, again))
		return vmc_fail (err, VMC_UNSUPPORTED, 0, "the reserved space moves");
	for (size_t i = 0; i < layout->count && result == 1; i++)
		result = zero_stretch (zero, layout->stretches[i], err);
	if (result <= 0)
		return result;
	*done = layout->end;
	if (ask (zero, start, layout->end, zero->eraser.way == VMC_ERASER_THROUGH, again, err) < 0)
		return vmc_fail_in (err, "after it was zeroed");
	if (!vmc_layout_same (layout, again))
		return vmc_fail (err, VMC_FAILED, 0, "the reserved space has moved while it was zeroed");
	return 1;
}

static int zero_on_device (struct zero *zero, struct vmc_error *err)
{
	for (;;) {
		uint64_t slice, done;
		int result = next_slice (zero, &slice, err);

		if (result == 1)
			result = vmc_placeholder_reserve (&zero->placeholder, slice, err);
		if (result <= 0)
			return result;
		for (done = zero->placeholder.end - slice; done < zero->placeholder.end;) {
			result = zero_part (zero, done, zero->placeholder.end, &done, err);
			if (result <= 0)
				return result;
		}
	}
}

/* --- is it that device? --------------------------------------------------------------------------- */

static int write_block (struct zero *zero, const char *block, struct vmc_error *err)
{
	int file = vmc_placeholder_file (&zero->placeholder);

	if (pwrite (file, block, zero->eraser.block_bytes, 0) != (ssize_t) zero->eraser.block_bytes ||
	    fdatasync (file) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot write a block to the reserved space");
	return 0;
}

static bool is_repeated (const char *buffer, size_t bytes, const char *pattern, size_t pattern_bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (buffer[i] != pattern[i % pattern_bytes])
			return false;
	return true;
}

/* Write something to the first block of the file, and look for it on the device. */
static int compare_block (struct zero *zero, struct vmc_error *err)
{
	size_t block_bytes = zero->eraser.block_bytes;
	char *buffer = zero->eraser.buffer, random[256];

	if (getrandom (random, sizeof random, 0) != sizeof random)
		return vmc_fail (err, VMC_FAILED, errno, "no random bytes");
	for (size_t i = 0; i < block_bytes; i++)
		buffer[i] = random[i % sizeof random];
	if (write_block (zero, buffer, err) < 0 || ask (zero, 0, block_bytes, true, &zero->again, err) < 0)
		return -1;
	memset (buffer, 0, block_bytes);
	if (vmc_eraser_read (&zero->eraser, zero->again.stretches[0].physical, block_bytes, err) < 0)
		return -1;
	if (is_repeated (buffer, block_bytes, random, sizeof random) && vmc_layout_same (&zero->layout, &zero->again))
		return write_block (zero, zero->eraser.zeros, err);
	return vmc_fail (err, VMC_UNSUPPORTED, 0, "what is written to a file is not where the kernel says");
}

/* The first block of the file is reserved. */
static int prove_place (struct zero *zero, size_t block_bytes, struct vmc_error *err)
{
	int file = vmc_placeholder_file (&zero->placeholder);
	struct stat status;

	if (fstat (file, &status) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "a file cannot be looked at");
	if (status.st_dev != zero->job->device)
		return vmc_fail (err, VMC_UNSUPPORTED, 0, "it does not lie on one device");
	if (!zero->placeholder.direct)
		return vmc_fail (err, VMC_UNSUPPORTED, 0, "its files cannot be written past the page cache");
	if (vmc_eraser_open (&zero->eraser, zero->job->device, block_bytes, err) < 0 ||
	    ask (zero, 0, block_bytes, false, &zero->layout, err) < 0 || compare_block (zero, err) < 0)
		return -1;
	if (ftruncate (file, 0) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot give a block back");
	zero->placeholder.end = 0;
	return 1;
}

/* *POSSIBLE: its blocks have places on the device that can be zeroed. That it has none is no failure. */
static int try_device (struct zero *zero, bool *possible, struct vmc_error *err)
{
	const char *type = zero->job->type;
	struct statvfs space;
	int result;

	*possible = false;
	if ((strcmp (type, "ext4") != 0 && strcmp (type, "xfs") != 0) || zero->placeholder.realtime)
		return 1;
	if (look (zero, &space, err) < 0)
		return -1;
	result = vmc_placeholder_reserve (&zero->placeholder, space.f_bsize, err);
	if (result < 0 && err->code == VMC_UNSUPPORTED)
		return 1;
	*possible = true;
	return result == 1 ? prove_place (zero, space.f_bsize, err) : result;
}

/* --- through a file ------------------------------------------------------------------------------- */

static int write_piece (struct zero *zero, uint64_t bytes, uint64_t *written, struct vmc_error *err)
{
	int result = watch (zero, err);

	if (result == 1)
		result = vmc_placeholder_write (&zero->placeholder, bytes, written, err);
	if (result <= 0)
		return result;
	zero->count.zeroed_bytes += *written;
	zero->unsynced_bytes += *written;
	if (zero->unsynced_bytes >= SYNC_BYTES) {
		zero->unsynced_bytes = 0;
		if (vmc_placeholder_sync (&zero->placeholder, err) < 0)
			return -1;
	}
	return pace (zero, err);
}

static int zero_through_files (struct zero *zero, struct vmc_error *err)
{
	for (;;) {
		uint64_t slice, written = 0;
		int result = next_slice (zero, &slice, err);

		for (; result == 1 && slice > 0; slice -= written)
			result = write_piece (zero, slice, &written, err);
		if (result < 0)
			return -1;
		if (result == 0)
			return zero->placeholder.count > 0 ? vmc_placeholder_sync (&zero->placeholder, err) : 0;
	}
}

/* --- the worker --------------------------------------------------------------------------------- */

/* The default, by the size of the filesystem. */
static void set_reserve (struct zero *zero)
{
	uint64_t part = zero->size_bytes / 100 * VMC_ZERO_RESERVE_PERCENT;

	zero->reserve_bytes = zero->job->reserve_bytes;
	if (zero->reserve_bytes == 0)
		zero->reserve_bytes = part > VMC_ZERO_RESERVE_BYTES ? part : VMC_ZERO_RESERVE_BYTES;
}

static int run (struct zero *zero, struct vmc_error *err)
{
	struct statvfs space;
	bool device;
	int result;

	if (look (zero, &space, err) < 0)
		return -1;
	zero->size_bytes = (uint64_t) space.f_blocks * space.f_frsize;
	set_reserve (zero);
	zero->expected_bytes = usable_bytes (zero, &space);
	show_progress (zero); /* and find out whether the agent died before we could be told */
	if (zero->expected_bytes < SLICE_MIN_BYTES)
		return 0;
	if (vmc_placeholder_open (&zero->placeholder, zero->job->fd, zero->job->type, err) < 0)
		return -1;
	result = try_device (zero, &device, err);
	if (result <= 0)
		return result;
	return device ? zero_on_device (zero, err) : zero_through_files (zero, err);
}

void vmc_zero_worker (int fd, void *argument)
{
	static struct zero zero; /* 48 KiB: not on the stack */
	struct vmc_report report = {.kind = VMC_REPORT_DONE};

	(void) prctl (PR_SET_PDEATHSIG, SIGKILL); /* nobody waits for the result any more */
	(void) signal (SIGXFSZ, SIG_IGN);
	zero.job = argument;
	zero.eraser.fd = -1;
	zero.report_fd = fd;
	zero.started_ms = vmc_now_ms ();
	if (run (&zero, &report.error) < 0)
		report.kind = VMC_REPORT_FAILED;
	vmc_placeholder_release (&zero.placeholder);
	vmc_eraser_close (&zero.eraser);
	(void) close (zero.job->fd); /* who has heard that we are done may unmount */
	report.value = zero.count.zeroed_bytes;
	report.zero_bytes = zero.count.zero_bytes;
	(void) vmc_worker_report (fd, &report);
}
