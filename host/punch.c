/* punch.c - see punch.h
 *
 * fallocate(PUNCH_HOLE) keeps the file's length and makes the range read as zeros; a block device is told to forget the range
 * (BLKDISCARD). It goes in slices, so that a stop
 * is heard soon and one call does not keep the filesystem's journal busy for long. By one thread: the kernel lets one change a file
 * at a time.
 */
#include "punch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pace.h"

#define SLICE_BYTES (UINT64_C (1) << 30)

static int discard_one (int fd, uint64_t start, uint64_t length, struct vmc_error *err)
{
	uint64_t range[2] = {start, length};

	while (ioctl (fd, BLKDISCARD, range) < 0)
		if (errno != EINTR)
			return vmc_fail (err, VMC_FAILED, errno, "cannot discard a part of the block device");
	return 0;
}

static int punch_one (int fd, uint64_t start, uint64_t length, struct vmc_error *err)
{
	while (fallocate (fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t) start, (off_t) length) < 0)
		if (errno != EINTR)
			return vmc_fail (err, VMC_FAILED, errno, "cannot punch a hole into the image");
	return 0;
}

/* One slice, if nobody but us has written to the image until now. */
static int punch_slice (struct vmc_guard *guard, int fd, bool block, uint64_t start, uint64_t length,
			struct vmc_error *err)
{
	if (vmc_guard_untouched (guard, err) < 0 || (block ? discard_one : punch_one) (fd, start, length, err) < 0)
		return -1;
	vmc_guard_wrote (guard);
	return 0;
}

static int punch_all (struct vmc_guard *guard, int fd, bool block, const struct vmc_extents *ranges,
		      vmc_punch_between *between, void *opaque, struct vmc_error *err)
{
	struct vmc_pace pace = {.between = between, .opaque = opaque, .total_bytes = vmc_extents_total (ranges)};

	for (size_t i = 0; i < ranges->count; i++) {
		uint64_t start = ranges->items[i].start, left = ranges->items[i].length;

		while (left > 0) {
			uint64_t length = left < SLICE_BYTES ? left : SLICE_BYTES;

			if (vmc_pace_check (&pace, err) < 0 || punch_slice (guard, fd, block, start, length, err) < 0)
				return -1;
			start += length;
			left -= length;
			pace.done_bytes += length;
		}
	}
	return between (opaque, pace.done_bytes, pace.total_bytes, err);
}

int vmc_punch (struct vmc_guard *guard, const char *path, const struct vmc_image *image,
	       const struct vmc_extents *ranges, vmc_punch_between *between, void *opaque, struct vmc_error *err)
{
	int fd = open (path, O_RDWR | O_CLOEXEC | O_NOCTTY), result;
	struct stat status;

	if (fd < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot open '%s' for writing", path);
	if (fstat (fd, &status) < 0 || !vmc_image_is (image, &status)) {
		(void) close (fd);
		return vmc_fail (err, VMC_FAILED, 0, "'%s' is another file than before", path);
	}
	if (vmc_extents_valid (ranges, image->is_block ? image->length_bytes : (uint64_t) status.st_size))
		result = punch_all (guard, fd, image->is_block, ranges, between, opaque, err);
	else
		result = vmc_fail (err, VMC_REFUSED, 0, "the image stores data beyond its end; run qemu-img check");
	if (fsync (fd) < 0 && result == 0)
		result = vmc_fail (err, VMC_FAILED, errno, "cannot sync '%s'", path);
	if (close (fd) < 0 && result == 0)
		result = vmc_fail (err, VMC_FAILED, errno, "cannot close '%s'", path);
	return result;
}
