/* eraser.c - see eraser.h
 *
 * fallocate(PUNCH_HOLE | KEEP_SIZE) on a block device zeroes with the leave to deallocate, and fails where the device cannot do
 * it: nothing is written then (blkdev_fallocate in block/fops.c). BLKZEROOUT forbids to deallocate, and writes pages of zeros
 * where the device cannot do it, which makes a guest's image grow; it is used only where sysfs says that the device can.
 *
 * What is left is to read first, and to write zeros only over blocks that are not zero: these are allocated in the image
 * already. A kernel built without BLK_DEV_WRITE_MOUNTED lets nobody write to a device that is mounted (EBUSY), and one that was
 * made read-only under a mounted filesystem refuses, too (EPERM): then the zeros are written to the file that has the blocks.
 *
 * The kernel first throws the range out of the device's page cache, and fails with EBUSY where it cannot, because somebody is
 * just reading it, or because a page of it also has a block of metadata that is not written yet. Such a piece is read first,
 * and the next one is tried again.
 *
 * All calls are synchronous. The kernel finishes what it has sent to the device before a process that is killed lets go of
 * its files, so a zero never lands in a block that is somebody else's by then.
 */
#include "eraser.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices.h"

#define OFFLOADED_BYTES (UINT64_C (64) << 20) /* in one go: a disk does that in some milliseconds */

/* --- opening ------------------------------------------------------------------------------------ */

static bool refuses_writing (int errnum)
{
	return errnum == EBUSY || errnum == EPERM || errnum == EACCES || errnum == EROFS;
}

/* A system without udev or devtmpfs may have no node for it, or another one of that name. */
static int open_private_node (dev_t device, int flags)
{
	char path[64];
	uint64_t random;
	int fd, saved;

	if (getrandom (&random, sizeof random, 0) != sizeof random)
		return -1;
	(void) snprintf (path, sizeof path, "/dev/.vmcompact-zero-%016llx", (unsigned long long) random);
	if (mknod (path, S_IFBLK | 0600, device) < 0)
		return -1;
	fd = open (path, flags | O_CLOEXEC | O_NOFOLLOW);
	saved = errno;
	(void) unlink (path);
	errno = saved;
	return fd;
}

static int open_node (dev_t device, int flags)
{
	int fd = vmc_device_open (device, flags);

	return fd >= 0 || refuses_writing (errno) ? fd : open_private_node (device, flags);
}

static int open_device (struct vmc_eraser *eraser)
{
	int fd = open_node (eraser->device, O_RDWR | O_DIRECT);

	if (fd >= 0 || !refuses_writing (errno))
		return fd;
	eraser->way = VMC_ERASER_THROUGH;
	return open_node (eraser->device, O_RDONLY | O_DIRECT);
}

int vmc_eraser_open (struct vmc_eraser *eraser, dev_t device, size_t block_bytes, struct vmc_error *err)
{
	static char buffer[VMC_ERASER_BUFFER_BYTES] __attribute__ ((aligned (65536)));
	static char zeros[VMC_ERASER_BUFFER_BYTES] __attribute__ ((aligned (65536)));
	int sector = 0;

	*eraser = (struct vmc_eraser) {.device = device, .block_bytes = block_bytes, .buffer = buffer, .zeros = zeros};
	eraser->fd = open_device (eraser);
	if (eraser->fd < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot open the device of the filesystem");
	if (ioctl (eraser->fd, BLKGETSIZE64, &eraser->device_bytes) < 0 || ioctl (eraser->fd, BLKSSZGET, &sector) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot ask for the size of the device");
	if (sector <= 0 || block_bytes == 0 || block_bytes > VMC_ERASER_BUFFER_BYTES ||
	    (block_bytes & (block_bytes - 1)) != 0 || block_bytes % (size_t) sector != 0)
		return vmc_fail (err, VMC_UNSUPPORTED, 0, "its blocks of %zu bytes do not fit the device's sectors",
				 block_bytes);
	return 0;
}

void vmc_eraser_close (struct vmc_eraser *eraser)
{
	if (eraser->fd >= 0)
		(void) close (eraser->fd);
	eraser->fd = -1;
}

/* --- the device does it by itself --------------------------------------------------------------- */

static int offload (const struct vmc_eraser *eraser, uint64_t offset, uint64_t bytes)
{
	uint64_t range[2] = {offset, bytes};

	if (eraser->way == VMC_ERASER_PUNCH)
		return fallocate (eraser->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t) offset,
				  (off_t) bytes);
	return ioctl (eraser->fd, BLKZEROOUT, range);
}

static bool cannot (int errnum)
{
	return errnum == EOPNOTSUPP || errnum == ENOTTY || errnum == ENOSYS || errnum == ENODEV || errnum == EINVAL ||
	       errnum == EPERM || errnum == EACCES || errnum == EREMOTEIO;
}

/* 1: done; 0: not this time, or not in this way; -1: see ERR. */
static int try_offload (struct vmc_eraser *eraser, uint64_t offset, uint64_t bytes, struct vmc_error *err)
{
	while (eraser->way < VMC_ERASER_WRITE) {
		if (offload (eraser, offset, bytes) == 0)
			return 1;
		if (errno == EINTR)
			continue;
		if (errno == EBUSY)
			return 0;
		if (!cannot (errno))
			return vmc_fail (err, VMC_FAILED, errno, "cannot zero a range of the device");
		eraser->way = eraser->way == VMC_ERASER_PUNCH && vmc_device_takes_zeros (eraser->device)
				      ? VMC_ERASER_ZEROOUT
				      : VMC_ERASER_WRITE;
	}
	return 0;
}

/* --- reading first ------------------------------------------------------------------------------ */

int vmc_eraser_read (struct vmc_eraser *eraser, uint64_t offset, size_t bytes, struct vmc_error *err)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t got = pread (eraser->fd, eraser->buffer + done, bytes - done, (off_t) (offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return vmc_fail (err, VMC_FAILED, got < 0 ? errno : EIO, "cannot read the device");
		done += (size_t) got;
	}
	return 0;
}

static int write_zeros (const struct vmc_eraser *eraser, int fd, uint64_t offset, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t got = pwrite (fd, eraser->zeros, bytes - done, (off_t) (offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		done += (size_t) got;
	}
	return 0;
}

/* Zeros over BYTES that begin AT bytes behind the start of STRETCH. */
static int overwrite (struct vmc_eraser *eraser, int file, const struct vmc_stretch *stretch, size_t at, size_t bytes,
		      struct vmc_error *err)
{
	if (eraser->way != VMC_ERASER_THROUGH) {
		if (write_zeros (eraser, eraser->fd, stretch->physical + at, bytes) == 0)
			return 0;
		if (!refuses_writing (errno))
			return vmc_fail (err, VMC_FAILED, errno, "cannot write zeros to the device");
		eraser->way = VMC_ERASER_THROUGH;
	}
	if (write_zeros (eraser, file, stretch->logical + at, bytes) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot write zeros to the reserved space");
	return 0;
}

static bool is_zero (const struct vmc_eraser *eraser, size_t at)
{
	return memcmp (eraser->buffer + at, eraser->zeros, eraser->block_bytes) == 0;
}

static int read_first (struct vmc_eraser *eraser, int file, const struct vmc_stretch *stretch,
		       struct vmc_zero_result *count, struct vmc_error *err)
{
	size_t bytes = stretch->length < VMC_ERASER_BUFFER_BYTES ? (size_t) stretch->length : VMC_ERASER_BUFFER_BYTES;
	size_t block = eraser->block_bytes, start, end;

	if (vmc_eraser_read (eraser, stretch->physical, bytes, err) < 0)
		return -1;
	for (start = 0; start < bytes; start = end) {
		bool zero = is_zero (eraser, start);

		for (end = start + block; end < bytes && is_zero (eraser, end) == zero;)
			end += block;
		if (!zero && overwrite (eraser, file, stretch, start, end - start, err) < 0)
			return -1;
		*(zero ? &count->zero_bytes : &count->zeroed_bytes) += end - start;
	}
	return 0;
}

int vmc_eraser_run (struct vmc_eraser *eraser, int file, const struct vmc_stretch *stretch,
		    struct vmc_zero_result *count, struct vmc_error *err)
{
	uint64_t bytes = stretch->length < OFFLOADED_BYTES ? stretch->length : OFFLOADED_BYTES;
	int result;

	if (((stretch->logical | stretch->physical | stretch->length) & (eraser->block_bytes - 1)) != 0 ||
	    stretch->length == 0)
		return vmc_fail (err, VMC_UNSUPPORTED, 0, "the reserved space does not end with a block");
	result = try_offload (eraser, stretch->physical, bytes, err);
	if (result > 0)
		count->zeroed_bytes += bytes;
	return result != 0 ? (result < 0 ? -1 : 0) : read_first (eraser, file, stretch, count, err);
}
