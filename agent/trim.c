/* trim.c - see trim.h
 *
 * ext4 remembers which block groups it has trimmed, in memory, and sends nothing for them again, even when the host
 * dropped the discards. It forgets when a FITRIM has a smaller minimum than the last one had ("minblocks <
 * s_last_trim_minblks" in fs/ext4/mballoc.c). A forced trim therefore goes, before each slice, through one block with
 * the largest minimum that the kernel accepts: that costs nothing and makes the next FITRIM send everything.
 */
#include "trim.h"

#include <errno.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "clock.h"

#define SLICE_BYTES (UINT64_C (4) << 30) /* between two reports of progress */
#define REPORT_MS 200

/* The largest minimum: a block group is 8 * block size blocks, so at most 64 Ki blocks of 64 KiB each; at least the
 * 64 blocks of 1 KiB that the smallest group may have. */
#define PRIME_MAX_BYTES (UINT64_C (1) << 35)
#define PRIME_MIN_BYTES (UINT64_C (1) << 16)

/* Make the kernel forget what it has trimmed. XFS and others do not remember and refuse the minimum: no harm. */
static void forget_trimmed (int fd, uint64_t start)
{
	for (uint64_t minimum = PRIME_MAX_BYTES; minimum >= PRIME_MIN_BYTES; minimum /= 2) {
		struct fstrim_range range = {.start = start, .len = 65536, .minlen = minimum};

		if (ioctl (fd, FITRIM, &range) == 0)
			return;
	}
}

static void report_failure (int fd, int errnum)
{
	struct vmc_report report = {.kind = VMC_REPORT_FAILED};

	if (errnum == EOPNOTSUPP || errnum == ENOTTY)
		(void) vmc_fail (&report.error, VMC_UNSUPPORTED, errnum,
				 "the filesystem or its disk does not accept discards");
	else
		(void) vmc_fail (&report.error, VMC_FAILED, errnum, "FITRIM failed");
	(void) vmc_worker_report (fd, &report);
}

void vmc_trim_worker (int fd, void *argument)
{
	const struct vmc_trim_job *job = argument;
	struct vmc_report report = {.kind = VMC_REPORT_PROGRESS, .total_bytes = job->size_bytes};
	uint64_t reported = vmc_now_ms ();

	(void) prctl (PR_SET_PDEATHSIG, SIGKILL); /* nobody waits for the result any more */
	for (uint64_t start = 0; start < job->size_bytes || start == 0; start += SLICE_BYTES) {
		uint64_t left = job->size_bytes - start;
		struct fstrim_range range = {.start = start,
					     .len = left > SLICE_BYTES ? SLICE_BYTES : left,
					     .minlen = job->minimum_bytes};

		if (job->force)
			forget_trimmed (job->fd, start);
		if (ioctl (job->fd, FITRIM, &range) < 0) {
			if (errno == EINVAL && start > 0) /* the filesystem is smaller than its device */
				break;
			report_failure (fd, errno);
			return;
		}
		report.value += range.len;
		report.done_bytes = start + SLICE_BYTES < job->size_bytes ? start + SLICE_BYTES : job->size_bytes;
		if (vmc_now_ms () - reported < REPORT_MS)
			continue;
		reported = vmc_now_ms ();
		if (!vmc_worker_report (fd, &report))
			return;
	}
	report.kind = VMC_REPORT_DONE;
	(void) vmc_worker_report (fd, &report);
}
