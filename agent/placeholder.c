/* placeholder.c - see placeholder.h
 *
 * The files are opened with O_TMPFILE. Where the filesystem cannot do that they are created under a name that nobody has and
 * lose it at once: an agent that is killed between these two leaves an empty file ".vmcompact-zero-..." behind. Both kinds are
 * in the filesystem's list of orphans, where it has one, so a guest that crashes has its space back after the next mount.
 *
 * Where their blocks lie is asked for with FIEMAP. The answer is used to write to the device below the filesystem, so it is
 * believed only where nothing in it is out of the ordinary: each extent follows the one before without a gap, is "unwritten",
 * and carries no other mark. The marks that the kernel has for shared, compressed, encrypted, delayed, inline and unknown places,
 * and those that it may yet get, are all refused by that.
 *
 * A reservation is synced before it counts. With data=writeback ext4 gives blocks away again before the disk knows that their
 * file was deleted; after a crash that file would be back, and must not have lost its blocks to us.
 */
#include "placeholder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_EXTENTS 128
#define WRITE_BYTES (1024 * 1024)

/* --- one file --------------------------------------------------------------------------------- */

static int create_and_unlink (int directory)
{
	char name[64];
	uint64_t random;
	int fd;

	if (getrandom (&random, sizeof random, 0) != sizeof random)
		return -1;
	(void) snprintf (name, sizeof name, ".vmcompact-zero-%016llx", (unsigned long long) random);
	fd = openat (directory, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0 && unlinkat (directory, name, 0) < 0) {
		int saved = errno;

		(void) close (fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* O_EXCL: nobody can give it a name later. */
static int create_nameless (int directory)
{
	int fd = openat (directory, ".", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 ||
	    (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL && errno != ENOSYS))
		return fd;
	return create_and_unlink (directory);
}

/* A new file inherits marks from its directory. Zeros that are compressed take no space, and encrypted ones are no zeros. */
static int set_flags (const struct vmc_placeholder *placeholder, int fd, struct vmc_error *err)
{
	bool btrfs = strcmp (placeholder->type, "btrfs") == 0;
	unsigned flags = 0, wanted, got = 0;

	if (ioctl (fd, FS_IOC_GETFLAGS, &flags) < 0)
		return btrfs ? vmc_fail (err, VMC_FAILED, errno, "the flags of a file cannot be read") : 0;
	if (flags & FS_ENCRYPT_FL)
		return vmc_fail (err, VMC_UNSUPPORTED, 0, "its files are encrypted, and zeros become noise");
	wanted = (flags & ~(unsigned) FS_COMPR_FL) | (btrfs ? FS_NOCOW_FL : 0);
	if (wanted == flags)
		return 0;
	if (ioctl (fd, FS_IOC_SETFLAGS, &wanted) == 0 && ioctl (fd, FS_IOC_GETFLAGS, &got) == 0 &&
	    !(got & FS_COMPR_FL) && (!btrfs || (got & FS_NOCOW_FL)))
		return 0;
	return vmc_fail (err, VMC_UNSUPPORTED, 0, "its files are compressed, and zeros take no space");
}

/* xfs_fsr must not move the file while it is zeroed. */
static int set_xfs_flags (struct vmc_placeholder *placeholder, int fd, struct vmc_error *err)
{
	struct fsxattr attributes;

	if (strcmp (placeholder->type, "xfs") != 0)
		return 0;
	if (ioctl (fd, FS_IOC_FSGETXATTR, &attributes) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "the attributes of a file cannot be read");
	placeholder->realtime = (attributes.fsx_xflags & FS_XFLAG_REALTIME) != 0;
	attributes.fsx_xflags |= FS_XFLAG_NODEFRAG;
	if (ioctl (fd, FS_IOC_FSSETXATTR, &attributes) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "the attributes of a file cannot be set");
	return 0;
}

static int check_file (const struct vmc_placeholder *placeholder, int fd, struct vmc_error *err)
{
	struct stat file, directory;

	if (fstat (fd, &file) < 0 || fstat (placeholder->directory, &directory) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "a file cannot be looked at");
	if (!S_ISREG (file.st_mode) || file.st_nlink != 0 || file.st_dev != directory.st_dev)
		return vmc_fail (err, VMC_UNSUPPORTED, 0, "it cannot have files without a name");
	return 0;
}

static int add_file (struct vmc_placeholder *placeholder, struct vmc_error *err)
{
	int fd = create_nameless (placeholder->directory), flags;

	if (fd < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot create a file without a name");
	if (check_file (placeholder, fd, err) < 0 || set_flags (placeholder, fd, err) < 0 ||
	    set_xfs_flags (placeholder, fd, err) < 0) {
		(void) close (fd);
		return -1;
	}
	flags = fcntl (fd, F_GETFL);
	placeholder->direct = flags >= 0 && fcntl (fd, F_SETFL, flags | O_DIRECT) == 0;
	placeholder->files[placeholder->count++] = fd;
	placeholder->end = 0;
	return 0;
}

int vmc_placeholder_open (struct vmc_placeholder *placeholder, int directory, const char *type, struct vmc_error *err)
{
	*placeholder = (struct vmc_placeholder) {.directory = directory};
	(void) snprintf (placeholder->type, sizeof placeholder->type, "%s", type);
	return add_file (placeholder, err);
}

int vmc_placeholder_file (const struct vmc_placeholder *placeholder)
{
	return placeholder->files[placeholder->count - 1];
}

void vmc_placeholder_release (struct vmc_placeholder *placeholder)
{
	for (size_t i = placeholder->count; i-- > 0;) {
		int unheard = ftruncate (placeholder->files[i], 0); /* XFS frees what is only closed in its own time */

		(void) unheard;
		(void) close (placeholder->files[i]);
	}
	placeholder->count = 0;
	placeholder->end = 0;
}

/* --- taking space ------------------------------------------------------------------------------- */

/* After a call failed with ERRNUM. 2: try again with a new file; 0: there is no room; -1: see ERR. */
static int no_room (struct vmc_placeholder *placeholder, int errnum, const char *what, struct vmc_error *err)
{
	if (errnum == ENOSPC || errnum == EDQUOT)
		return 0;
	if (errnum != EFBIG)
		return vmc_fail (err,
				 errnum == EOPNOTSUPP || errnum == ENOSYS || errnum == ENOTTY ? VMC_UNSUPPORTED
											      : VMC_FAILED,
				 errnum, "%s", what);
	if (placeholder->end == 0 || placeholder->count == VMC_PLACEHOLDER_FILES)
		return 0;
	return vmc_placeholder_sync (placeholder, err) < 0 || add_file (placeholder, err) < 0 ? -1 : 2;
}

int vmc_placeholder_reserve (struct vmc_placeholder *placeholder, uint64_t bytes, struct vmc_error *err)
{
	while (fallocate (vmc_placeholder_file (placeholder), 0, (off_t) placeholder->end, (off_t) bytes) < 0) {
		int result = errno == EINTR ? 2 : no_room (placeholder, errno, "cannot reserve space", err);

		if (result < 2)
			return result;
	}
	if (fsync (vmc_placeholder_file (placeholder)) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot sync the reserved space");
	placeholder->end += bytes;
	return 1;
}

/* Some filesystems take the flag and refuse the write. */
static bool give_up_direct (struct vmc_placeholder *placeholder)
{
	int file = vmc_placeholder_file (placeholder), flags = fcntl (file, F_GETFL);

	if (!placeholder->direct || flags < 0 || fcntl (file, F_SETFL, flags & ~O_DIRECT) < 0)
		return false;
	placeholder->direct = false;
	return true;
}

int vmc_placeholder_write (struct vmc_placeholder *placeholder, uint64_t bytes, uint64_t *written,
			   struct vmc_error *err)
{
	static char zeros[WRITE_BYTES] __attribute__ ((aligned (65536)));
	size_t length = bytes < sizeof zeros ? (size_t) bytes : sizeof zeros;

	for (;;) {
		int file = vmc_placeholder_file (placeholder), result;
		ssize_t done = pwrite (file, zeros, length, (off_t) placeholder->end);

		if (done > 0) {
			placeholder->end += (uint64_t) done;
			*written = (uint64_t) done;
			return 1;
		}
		if (done == 0)
			return 0;
		if (errno == EINTR || (errno == EINVAL && give_up_direct (placeholder)))
			continue;
		result = no_room (placeholder, errno, "cannot write zeros to a file", err);
		if (result < 2)
			return result;
	}
}

int vmc_placeholder_sync (struct vmc_placeholder *placeholder, struct vmc_error *err)
{
	if (placeholder->direct)
		return 0;
	if (fdatasync (vmc_placeholder_file (placeholder)) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot bring zeros to the disk");
	(void) posix_fadvise (vmc_placeholder_file (placeholder), 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

/* --- where it lies ------------------------------------------------------------------------------ */

static bool inside (uint64_t start, uint64_t length, uint64_t end)
{
	return start <= end && length <= end - start;
}

/* The extent goes on where the last stretch ends, in the file and on the device. */
static bool goes_on (const struct vmc_layout *layout, uint64_t physical)
{
	const struct vmc_stretch *last;

	if (layout->count == 0)
		return false;
	last = &layout->stretches[layout->count - 1];
	return last->physical + last->length == physical;
}

static int take_extent (const struct fiemap_extent *extent, uint64_t end, uint64_t device_bytes, bool written,
			struct vmc_layout *layout, struct vmc_error *err)
{
	uint32_t marks = extent->fe_flags & ~(uint32_t) (FIEMAP_EXTENT_LAST | FIEMAP_EXTENT_UNWRITTEN);
	uint64_t skipped, length;

	if (marks != 0 || (!written && !(extent->fe_flags & FIEMAP_EXTENT_UNWRITTEN)))
		return vmc_fail (err, VMC_UNSUPPORTED, 0, "the reserved space has a piece with the marks 0x%x",
				 extent->fe_flags);
	if (extent->fe_physical == 0 || extent->fe_length == 0 ||
	    !inside (extent->fe_physical, extent->fe_length, device_bytes) ||
	    !inside (extent->fe_logical, extent->fe_length, INT64_MAX))
		return vmc_fail (err, VMC_UNSUPPORTED, ERANGE, "the reserved space has a piece outside of the device");
	if (extent->fe_logical > layout->end || extent->fe_logical + extent->fe_length <= layout->end)
		return vmc_fail (err, VMC_UNSUPPORTED, 0, "the reserved space has a gap");
	skipped = layout->end - extent->fe_logical;
	length = extent->fe_length - skipped;
	if (length > end - layout->end)
		length = end - layout->end;
	if (goes_on (layout, extent->fe_physical + skipped))
		layout->stretches[layout->count - 1].length += length;
	else if (layout->count < VMC_LAYOUT_STRETCHES)
		layout->stretches[layout->count++] =
			(struct vmc_stretch) {layout->end, extent->fe_physical + skipped, length};
	else
		return 0;
	layout->end += length;
	return 1;
}

/* 1: more was learned; 0: the layout is full. */
static int take_page (int file, uint64_t end, uint64_t device_bytes, bool written, struct vmc_layout *layout,
		      struct vmc_error *err)
{
	union {
		struct fiemap head;
		char room[sizeof (struct fiemap) + PAGE_EXTENTS * sizeof (struct fiemap_extent)];
	} map = {.head = {.fm_start = layout->end,
			  .fm_length = end - layout->end,
			  .fm_flags = FIEMAP_FLAG_SYNC,
			  .fm_extent_count = PAGE_EXTENTS}};
	int result = 1;

	if (ioctl (file, FS_IOC_FIEMAP, &map.head) < 0)
		return vmc_fail (err, VMC_UNSUPPORTED, errno, "the kernel does not tell where the reserved space lies");
	if (map.head.fm_mapped_extents == 0 || map.head.fm_mapped_extents > PAGE_EXTENTS)
		return vmc_fail (err, VMC_UNSUPPORTED, 0, "the reserved space has a gap");
	for (uint32_t i = 0; i < map.head.fm_mapped_extents && result == 1 && layout->end < end; i++)
		result = take_extent (&map.head.fm_extents[i], end, device_bytes, written, layout, err);
	return result;
}

int vmc_placeholder_layout (const struct vmc_placeholder *placeholder, uint64_t start, uint64_t end,
			    uint64_t device_bytes, bool written, struct vmc_layout *layout, struct vmc_error *err)
{
	int result = 1;

	layout->start = layout->end = start;
	layout->count = 0;
	while (layout->end < end && result == 1)
		result = take_page (vmc_placeholder_file (placeholder), end, device_bytes, written, layout, err);
	return result < 0 ? -1 : 0;
}

bool vmc_layout_same (const struct vmc_layout *a, const struct vmc_layout *b)
{
	return a->start == b->start && a->end == b->end && a->count == b->count &&
	       memcmp (a->stretches, b->stretches, a->count * sizeof a->stretches[0]) == 0;
}
