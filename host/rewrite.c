/* rewrite.c - see rewrite.h
 *
 *   create    a nameless file (O_TMPFILE) in the directory; programs of QEMU reach it as /proc/OUR PID/fd/N; where there are no
 *             nameless files, one with a name that says that it is not complete
 *   copy      from a qemu-nbd over the old image to one over the new file (copy.c)
 *   settle    its length, its header as it shall be, owner and attributes of the old file; fsync, whose failure is final
 *   verify    both are read and compared (copy.c)
 *
 * All of it in one process's hands: when we are killed, the programs die with us, and the kernel removes the file. Only
 * vmc_rewrite_name makes it last. The old image is only ever opened for reading. Its format is always said, and the backing
 * file named as the domain's XML does, so that nothing is looked up beside /proc.
 */
#include "rewrite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "attributes.h"
#include "clock.h"
#include "copy.h"
#include "directories.h"
#include "fault.h"
#include "qcow2.h"
#include "text.h"
#include "transfer.h"

#define CLUSTER_MIN 512
#define CLUSTER_MAX (2u << 20)
#define CLUSTER_USUAL 65536
#define EXTENDED_L2_CLUSTER_MIN 16384
#define EXTENDED_L2_PARTS 32
#define REFCOUNT_BITS_USUAL 16
#define L1_MAX_BYTES (UINT64_C (32) << 20) /* QCOW_MAX_L1_SIZE of QEMU */
#define RAW_GRAIN 4096
#define SECTOR 512
#define SLACK_BYTES (UINT64_C (16) << 20)
#define SLACK_PART 50 /* 2 % for the tables of a qcow2 image */
#define TOOL_MS 600000

struct job {
	const struct vmc_rewrite *rewrite;
	const char *format;      /* of the new image */
	struct vmc_qcow2 wanted; /* the header of the new image, where that is qcow2 */
	int old_fd, new_fd;
	int raw_old_fd, raw_new_fd; /* opened once more to be compared, where they are raw */
	struct vmc_pace pace;
};

static void close_fd (int *fd)
{
	if (*fd >= 0)
		(void) close (*fd);
	*fd = -1;
}

#define CLEANUP_JOB __attribute__ ((cleanup (clear_job)))

static void clear_job (struct job *job)
{
	close_fd (&job->old_fd);
	vmc_rewrite_drop (job->new_fd);
	job->new_fd = -1;
	close_fd (&job->raw_old_fd);
	close_fd (&job->raw_new_fd);
}

static bool is_qcow2 (const char *format)
{
	return strcmp (format, "qcow2") == 0;
}

/* --- can it be done? --------------------------------------------------------------------------- */

static int read_header (int fd, struct vmc_qcow2 *facts, struct vmc_error *err)
{
	unsigned char header[VMC_QCOW2_HEADER_BYTES];
	ssize_t length = pread (fd, header, sizeof header, 0);

	if (length < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot read the header of the image");
	return vmc_qcow2_check (header, (size_t) length, facts, err);
}

static int open_old (struct job *job, struct vmc_error *err)
{
	const char *path = job->rewrite->disk->path;
	const struct vmc_image *image = job->rewrite->image;
	struct stat status;

	job->old_fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (job->old_fd < 0)
		return vmc_fail (err, VMC_REFUSED, errno, "cannot open '%s'", path);
	if (fstat (job->old_fd, &status) < 0 || !vmc_image_is (image, &status))
		return vmc_fail (err, VMC_FAILED, 0, "'%s' is another file than before", path);
	if ((uint64_t) status.st_size != image->length_bytes)
		return vmc_fail (err, VMC_FAILED, 0, "'%s' has another length than before", path);
	return 0;
}

/* What a copy would lose without a word. */
static int check_old_header (const struct vmc_qcow2 *old, const struct vmc_image *image, struct vmc_error *err)
{
	if (old->bitmaps)
		return vmc_fail (err, VMC_REFUSED, 0, "the image holds persistent bitmaps, which would be lost");
	if (old->more_sections)
		return vmc_fail (err, VMC_REFUSED, 0,
				 "the header of the image holds something that is not known here and would be lost");
	if (old->virtual_bytes != image->virtual_bytes || old->virtual_bytes % SECTOR != 0)
		return vmc_fail (err, VMC_REFUSED, 0, "the size of the disk is no multiple of %d bytes", SECTOR);
	return 0;
}

static int check_clusters (const struct vmc_qcow2 *wanted, struct vmc_error *err)
{
	uint64_t cluster = wanted->cluster_bytes, entry = wanted->extended_l2 ? 16 : 8, per_table;

	if (cluster < CLUSTER_MIN || cluster > CLUSTER_MAX || (cluster & (cluster - 1)) != 0)
		return vmc_fail (err, VMC_REFUSED, 0, "clusters must be a power of two, from %d bytes to 2 MiB",
				 CLUSTER_MIN);
	if (wanted->extended_l2 && cluster < EXTENDED_L2_CLUSTER_MIN)
		return vmc_fail (err, VMC_REFUSED, 0,
				 "an image with extended L2 entries needs clusters of %d KiB or more",
				 EXTENDED_L2_CLUSTER_MIN / 1024);
	per_table = cluster / entry * cluster;
	if (wanted->virtual_bytes / per_table >= L1_MAX_BYTES / 8)
		return vmc_fail (err, VMC_REFUSED, 0, "clusters of %llu bytes are too small for a disk of this size",
				 (unsigned long long) cluster);
	return 0;
}

static int find_wanted (struct job *job, struct vmc_error *err)
{
	const struct vmc_rewrite *rewrite = job->rewrite;
	struct vmc_qcow2 *wanted = &job->wanted;

	*wanted =
		(struct vmc_qcow2) {.version = 3, .cluster_bytes = CLUSTER_USUAL, .refcount_bits = REFCOUNT_BITS_USUAL};
	if (is_qcow2 (rewrite->disk->format) &&
	    (read_header (job->old_fd, wanted, err) < 0 || check_old_header (wanted, rewrite->image, err) < 0))
		return -1;
	wanted->virtual_bytes = rewrite->image->virtual_bytes;
	wanted->dirty = false;
	if (rewrite->wish.cluster_bytes != 0)
		wanted->cluster_bytes = rewrite->wish.cluster_bytes;
	return is_qcow2 (job->format) ? check_clusters (wanted, err) : 0;
}

static int check_formats (const struct job *job, struct vmc_error *err)
{
	const struct vmc_rewrite *rewrite = job->rewrite;
	const char *old = rewrite->disk->format;

	if (strcmp (old, "raw") != 0 && !is_qcow2 (old))
		return vmc_fail (err, VMC_REFUSED, 0, "images of the format '%s' cannot be rewritten", old);
	if (strcmp (job->format, "raw") != 0 && !is_qcow2 (job->format))
		return vmc_fail (err, VMC_REFUSED, 0, "images cannot be rewritten as '%s'", job->format);
	if (is_qcow2 (job->format))
		return rewrite->image->virtual_bytes % SECTOR == 0 || !is_qcow2 (job->format) || is_qcow2 (old)
			       ? 0
			       : vmc_fail (err, VMC_REFUSED, 0,
					   "the length of the raw image is no multiple of %d bytes, which that of a "
					   "qcow2 disk must be",
					   SECTOR);
	if (rewrite->disk->backing_count > 0)
		return vmc_fail (err, VMC_REFUSED, 0, "a raw image cannot have a backing file");
	if (rewrite->wish.compress)
		return vmc_fail (err, VMC_REFUSED, 0, "a raw image cannot be compressed");
	if (rewrite->wish.cluster_bytes != 0)
		return vmc_fail (err, VMC_REFUSED, 0, "a raw image has no clusters");
	return 0;
}

static int begin (const struct vmc_rewrite *rewrite, struct job *job, struct vmc_error *err)
{
	*job = (struct job) {.rewrite = rewrite, .old_fd = -1, .new_fd = -1, .raw_old_fd = -1, .raw_new_fd = -1};
	job->format = rewrite->wish.format ? rewrite->wish.format : rewrite->disk->format;
	if (check_formats (job, err) < 0 || open_old (job, err) < 0)
		return -1;
	return find_wanted (job, err);
}

/* One that is there already is what a run that was killed has left: we hold the lock that each run on this image has. */
static void remove_part (const char *part)
{
	struct stat status;

	if (lstat (part, &status) == 0 && S_ISREG (status.st_mode))
		(void) unlink (part);
}

static int make_part (struct job *job, struct vmc_error *err)
{
	const char *part = job->rewrite->part;

	remove_part (part);
	job->new_fd = open (part, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	return job->new_fd >= 0 ? 0 : vmc_fail (err, VMC_REFUSED, errno, "cannot make the file '%s'", part);
}

static int make_nameless (struct job *job, struct vmc_error *err)
{
	const char *directory = job->rewrite->directory;

	job->new_fd = open (directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (job->new_fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOSYS))
		return make_part (job, err);
	if (job->new_fd < 0)
		return vmc_fail (err, VMC_REFUSED, errno, "cannot make a file in '%s'", directory);
	return 0;
}

int vmc_rewrite_check (const struct vmc_rewrite *rewrite, uint64_t used_bytes, struct vmc_error *err)
{
	CLEANUP_JOB struct job job;
	char needed[16], room[16];
	struct statvfs space;
	uint64_t needed_bytes, room_bytes;

	if (begin (rewrite, &job, err) < 0 || make_nameless (&job, err) < 0)
		return -1;
	if (fstatvfs (job.new_fd, &space) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot look at the directory '%s'", rewrite->directory);
	room_bytes = (uint64_t) space.f_bavail * space.f_frsize;
	if (used_bytes > INT64_MAX / 2)
		return vmc_fail (err, VMC_REFUSED, 0, "the image uses more than 2^62 bytes");
	needed_bytes = used_bytes + used_bytes / SLACK_PART + SLACK_BYTES;
	if (room_bytes < needed_bytes)
		return vmc_fail (err, VMC_REFUSED, ENOSPC, "the new image needs %s in '%s', where only %s are free",
				 vmc_text_size (needed, needed_bytes), rewrite->directory,
				 vmc_text_size (room, room_bytes));
	return 0;
}

/* --- the new file ------------------------------------------------------------------------------ */

/* The path under which programs that we start reach FD. */
static void path_of (int fd, char path[64])
{
	(void) snprintf (path, 64, "/proc/%ld/fd/%d", (long) getpid (), fd);
}

/* What compresses needs whole clusters: the disk has them until all is written. */
static uint64_t size_while_written (const struct job *job)
{
	uint64_t cluster = job->wanted.cluster_bytes, size = job->wanted.virtual_bytes;

	return job->rewrite->wish.compress ? (size + cluster - 1) & ~(cluster - 1) : size;
}

static int create_qcow2 (const struct job *job, struct vmc_error *err)
{
	const struct vmc_qcow2 *wanted = &job->wanted;
	char options[256], path[64], size[32];
	const char *const alone[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-o", options, path, size, NULL};
	const char *const backed[] = {"qemu-img", "create",
				      "-q",       "-f",
				      "qcow2",    "-o",
				      options,    "-u",
				      "-b",       wanted->backing,
				      "-F",       wanted->backing_format,
				      path,       size,
				      NULL};

	path_of (job->new_fd, path);
	(void) snprintf (size, sizeof size, "%llu", (unsigned long long) size_while_written (job));
	/* The last two only where needed: an older qemu-img does not know them. */
	(void) snprintf (options, sizeof options, "compat=%s,cluster_size=%llu,refcount_bits=%u,lazy_refcounts=%s%s%s",
			 wanted->version == 2 ? "0.10" : "1.1", (unsigned long long) wanted->cluster_bytes,
			 wanted->refcount_bits, wanted->lazy_refcounts ? "on" : "off",
			 wanted->extended_l2 ? ",extended_l2=on" : "", wanted->zstd ? ",compression_type=zstd" : "");
	return vmc_process_run (wanted->backing[0] ? backed : alone, vmc_now_ms () + TOOL_MS, err);
}

static int create (struct job *job, struct vmc_error *err)
{
	if (make_nameless (job, err) < 0)
		return -1;
	if (is_qcow2 (job->format))
		return create_qcow2 (job, err);
	if (ftruncate (job->new_fd, (off_t) job->rewrite->image->virtual_bytes) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot give the new image its length");
	return 0;
}

/* Is the header that of the old image, as far as it shall be? */
static int check_new_header (const struct job *job, struct vmc_error *err)
{
	const struct vmc_qcow2 *wanted = &job->wanted;
	struct vmc_qcow2 got = {0};

	if (read_header (job->new_fd, &got, err) < 0)
		return vmc_fail_in (err, "the new image");
	if (got.virtual_bytes != wanted->virtual_bytes || got.cluster_bytes != wanted->cluster_bytes ||
	    got.version != wanted->version || got.refcount_bits != wanted->refcount_bits ||
	    got.lazy_refcounts != wanted->lazy_refcounts || got.extended_l2 != wanted->extended_l2 ||
	    got.zstd != wanted->zstd || got.dirty || got.bitmaps || got.more_sections ||
	    strcmp (got.backing, wanted->backing) != 0 || strcmp (got.backing_format, wanted->backing_format) != 0)
		return vmc_fail (err, VMC_FAILED, 0, "the header of the new image is not what it shall be");
	return 0;
}

static int settle_qcow2 (const struct job *job, struct vmc_error *err)
{
	char options[VMC_IMAGE_OPTIONS_SIZE * 2], path[64], size[32];
	const char *const argv[] = {"qemu-img", "resize", "-q", "--shrink", "--image-opts", options, size, NULL};

	path_of (job->new_fd, path);
	vmc_image_options_over (job->rewrite->disk, job->format, path, false, options);
	(void) snprintf (size, sizeof size, "%llu", (unsigned long long) job->wanted.virtual_bytes);
	if (size_while_written (job) != job->wanted.virtual_bytes &&
	    vmc_process_run (argv, vmc_now_ms () + TOOL_MS, err) < 0)
		return -1;
	return check_new_header (job, err);
}

/* QEMU rounds a raw image up to whole sectors when it writes the last one. */
static int settle_raw (const struct job *job, struct vmc_error *err)
{
	if (ftruncate (job->new_fd, (off_t) job->rewrite->image->virtual_bytes) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot give the new image its length");
	return 0;
}

/* After this nothing writes to it any more. */
static int settle (const struct job *job, struct vmc_error *err)
{
	if ((is_qcow2 (job->format) ? settle_qcow2 (job, err) : settle_raw (job, err)) < 0 ||
	    vmc_attributes_copy (job->old_fd, job->new_fd, err) < 0)
		return -1;
	if (fsync (job->new_fd) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot sync the new image");
	/* It is to be read from the disk when it is verified. That is a wish only: the kernel may keep pages. */
	(void) posix_fadvise (job->new_fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

/* --- copying ----------------------------------------------------------------------------------- */

/* A qcow2 file that was cut short reads as zeros there, and so would its copy: then the damage could not be seen any more. */
static int check_not_cut (const struct job *job, struct vmc_error *err)
{
	uint64_t length = job->rewrite->image->length_bytes;
	struct vmc_qcow2 old;

	if (!is_qcow2 (job->rewrite->disk->format))
		return 0;
	if (read_header (job->old_fd, &old, err) < 0)
		return -1;
	/* The last cluster may be written in part only. */
	length = (length + old.cluster_bytes - 1) & ~(old.cluster_bytes - 1);
	if (job->rewrite->stored_end <= length)
		return 0;
	return vmc_fail (err, VMC_REFUSED, 0, "the image stores data beyond its end; run qemu-img check");
}

/* Through the page cache, a read of what is a hole would fill the host's memory with zeros, and take ten times as long. */
static enum vmc_export_mode reading (const struct job *job, const char *path)
{
	const struct vmc_disk *disk = job->rewrite->disk;
	bool direct = vmc_export_direct (path);

	for (size_t i = 0; i < disk->backing_count; i++)
		direct &= vmc_export_direct (disk->backing[i]);
	return direct ? VMC_EXPORT_READ_DIRECT : VMC_EXPORT_READ;
}

static int start (const struct job *job, struct vmc_export *export, bool old, bool writable, struct vmc_error *err)
{
	const struct vmc_rewrite *rewrite = job->rewrite;
	char options[2 * VMC_IMAGE_OPTIONS_SIZE], path[64], name[96];

	path_of (old ? job->old_fd : job->new_fd, path);
	vmc_image_options_over (rewrite->disk, old ? rewrite->disk->format : job->format, path,
				writable && rewrite->wish.compress, options);
	if ((size_t) snprintf (name, sizeof name, "%s.%s", rewrite->name, old ? "old" : "new") >= sizeof name)
		return vmc_fail (err, VMC_FAILED, ENAMETOOLONG, "the name of a socket is too long");
	return vmc_export_start (export, name, options, writable ? VMC_EXPORT_WRITE : reading (job, path),
				 old ? "the image" : "the new image", err);
}

static uint64_t grain_bytes (const struct job *job)
{
	if (!is_qcow2 (job->format))
		return RAW_GRAIN;
	if (job->wanted.extended_l2 && !job->rewrite->wish.compress)
		return job->wanted.cluster_bytes / EXTENDED_L2_PARTS;
	return job->wanted.cluster_bytes;
}

static int write_new (struct job *job, struct vmc_copy *copy, struct vmc_error *err)
{
	VMC_CLEANUP_EXPORT struct vmc_export to = VMC_EXPORT_INIT;

	if (start (job, &to, false, true, err) < 0)
		return -1;
	copy->to = &to;
	job->pace.bandwidth_bytes_per_s = job->rewrite->wish.bandwidth_bytes_per_s;
	if (vmc_copy_run (copy, err) < 0)
		return -1;
	return vmc_export_finish (&to, &job->pace, err);
}

/* Past the page cache if that can be: a hole is read from the filesystem's tables then, and fast. */
static int open_raw (int fd, const char *format, int *raw_fd, struct vmc_error *err)
{
	char path[64];

	path_of (fd, path);
	if (is_qcow2 (format))
		return 0;
	*raw_fd = open (path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (*raw_fd < 0)
		*raw_fd = open (path, O_RDONLY | O_CLOEXEC);
	return *raw_fd < 0 ? vmc_fail (err, VMC_FAILED, errno, "cannot open a raw image anew") : 0;
}

static int verify_new (struct job *job, struct vmc_copy *copy, struct vmc_error *err)
{
	VMC_CLEANUP_EXPORT struct vmc_export to = VMC_EXPORT_INIT;

	if (start (job, &to, false, false, err) < 0 ||
	    open_raw (job->old_fd, job->rewrite->disk->format, &job->raw_old_fd, err) < 0 ||
	    open_raw (job->new_fd, job->format, &job->raw_new_fd, err) < 0)
		return -1;
	copy->to = &to;
	copy->raw_from_fd = job->raw_old_fd;
	copy->raw_to_fd = job->raw_new_fd;
	return vmc_copy_verify (copy, err);
}

static int copy_and_verify (struct job *job, struct vmc_copy *copy, struct vmc_error *err)
{
	if (write_new (job, copy, err) < 0)
		return -1;
	vmc_fault_point ("written");
	if (settle (job, err) < 0)
		return -1;
	vmc_fault_point ("settled");
	return verify_new (job, copy, err);
}

static int rewrite_image (struct job *job, const struct vmc_extents *free, struct vmc_error *err)
{
	VMC_CLEANUP_EXPORT struct vmc_export from = VMC_EXPORT_INIT;
	struct vmc_copy copy = {.from = &from,
				.free = free,
				.backed = job->rewrite->disk->backing_count > 0,
				.grain_bytes = grain_bytes (job),
				.to_fd = job->new_fd,
				.raw_from_fd = -1,
				.raw_to_fd = -1,
				.compressed = job->rewrite->wish.compress,
				.pace = &job->pace};
	int result;

	if (start (job, &from, true, false, err) < 0)
		return -1;
	result = copy_and_verify (job, &copy, err);
	vmc_copy_clear (&copy);
	return result;
}

int vmc_rewrite_run (const struct vmc_rewrite *rewrite, const struct vmc_extents *free, vmc_punch_between *between,
		     void *opaque, struct vmc_error *err)
{
	CLEANUP_JOB struct job job;
	int fd;

	if (begin (rewrite, &job, err) < 0)
		return -1;
	if (!vmc_extents_valid (free, rewrite->image->virtual_bytes))
		return vmc_fail (err, VMC_FAILED, 0, "the free map is not one of this disk");
	job.pace = (struct vmc_pace) {.between = between, .opaque = opaque};
	if (check_not_cut (&job, err) < 0 || create (&job, err) < 0 || rewrite_image (&job, free, err) < 0)
		return vmc_fail_in (err, "cannot rewrite '%s'", rewrite->disk->path);
	fd = job.new_fd;
	job.new_fd = -1;
	return fd;
}

/* --- names ------------------------------------------------------------------------------------- */

int vmc_rewrite_part (const char *path, char *part, struct vmc_error *err)
{
	if (snprintf (part, VMC_PATH_SIZE, "%s" VMC_PART_SUFFIX, path) < VMC_PATH_SIZE)
		return 0;
	return vmc_fail (err, VMC_REFUSED, ENAMETOOLONG, "the path of the new image is too long");
}

/* The name that FD has although it is not complete, into a buffer of VMC_PATH_SIZE. False: it is nameless. */
static bool part_of (int fd, char *part)
{
	size_t suffix = strlen (VMC_PART_SUFFIX), length;
	char link[64];
	ssize_t got;

	path_of (fd, link);
	got = readlink (link, part, VMC_PATH_SIZE - 1);
	length = got > 0 ? (size_t) got : 0;
	part[length] = 0;
	return length > suffix && strcmp (part + length - suffix, VMC_PART_SUFFIX) == 0;
}

void vmc_rewrite_tidy (const char *path)
{
	char part[VMC_PATH_SIZE];
	struct vmc_error ignored;

	if (vmc_rewrite_part (path, part, &ignored) == 0)
		remove_part (part);
}

void vmc_rewrite_drop (int fd)
{
	char part[VMC_PATH_SIZE];

	if (fd < 0)
		return;
	if (part_of (fd, part))
		(void) unlink (part);
	(void) close (fd);
}

int vmc_rewrite_name (int fd, const char *path, struct vmc_error *err)
{
	char old[64], part[VMC_PATH_SIZE], directory[VMC_PATH_SIZE];
	int result;

	path_of (fd, old);
	if (part_of (fd, part))
		result = renameat2 (AT_FDCWD, part, AT_FDCWD, path, RENAME_NOREPLACE);
	else
		result = linkat (AT_FDCWD, old, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
	/* Not every filesystem that lacks nameless files knows that flag. */
	if (result < 0 && errno == EINVAL && access (path, F_OK) < 0 && errno == ENOENT)
		result = rename (part, path);
	if (result < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot give the new image the name '%s'", path);
	vmc_image_directory (path, directory);
	return vmc_directory_sync (directory, err);
}
