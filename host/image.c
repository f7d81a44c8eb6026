/* image.c - see image.h */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "qcow2.h"
#include "thin.h"

#define DEVICE_UNIT_BYTES 4096 /* of what is given back of a block device, at least */

void vmc_image_directory (const char *path, char *directory)
{
	char *slash;

	(void) snprintf (directory, VMC_PATH_SIZE, "%s", path);
	slash = strrchr (directory, '/');
	if (slash == NULL)
		(void) snprintf (directory, VMC_PATH_SIZE, ".");
	else
		slash[slash == directory] = 0;
}

void vmc_image_name (const struct vmc_image *image, char *name)
{
	(void) snprintf (name, 64, "image-%jx-%jx", (uintmax_t) image->device, (uintmax_t) image->inode);
}

static bool is_block (const char *path)
{
	struct stat status;

	return stat (path, &status) == 0 && S_ISBLK (status.st_mode);
}

/* Append the options of one layer, each key with PREFIX before it. QEMU's "file" is for files only. */
static void add_layer (const char *prefix, const char *format, const char *path, char *options)
{
	size_t used = strlen (options);

	used += (size_t) snprintf (options + used, VMC_IMAGE_LAYER_SIZE,
				   "%s%sdriver=%s,%sfile.driver=%s,%sfile.filename=", used ? "," : "", prefix, format,
				   prefix, is_block (path) ? "host_device" : "file", prefix);

	/* A comma ends a value unless it is doubled. */
	for (; *path != 0; path++) {
		options[used++] = *path;
		if (*path == ',')
			options[used++] = ',';
	}
	options[used] = 0;
}

void vmc_image_options (const char *format, const char *path, char *options)
{
	options[0] = 0;
	add_layer ("", format, path, options);
}

void vmc_image_options_over (const struct vmc_disk *disk, const char *format, const char *path, bool compress,
			     char *options)
{
	options[0] = 0;
	if (compress)
		(void) strcpy (options, "driver=compress");
	add_layer (compress ? "file." : "", format, path, options);
	if (disk->backing_count > 0)
		add_layer (compress ? "file.backing." : "backing.", disk->backing_format[0], disk->backing[0], options);
}

/* All nodes of a block device are the same image. */
static void identify (const struct stat *status, dev_t *device, ino_t *inode)
{
	bool block = S_ISBLK (status->st_mode);

	*device = block ? status->st_rdev : status->st_dev;
	*inode = block ? 0 : status->st_ino;
}

bool vmc_image_is (const struct vmc_image *image, const struct stat *status)
{
	dev_t device;
	ino_t inode;

	identify (status, &device, &inode);
	return device == image->device && inode == image->inode && S_ISBLK (status->st_mode) == image->is_block;
}

int vmc_image_allocated (const char *path, uint64_t *bytes, struct vmc_error *err)
{
	struct stat status;

	*bytes = UINT64_MAX;
	if (path[0] == 0)
		return 0;
	if (stat (path, &status) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot look at '%s'", path);
	if (!S_ISBLK (status.st_mode))
		*bytes = (uint64_t) status.st_blocks * 512;
	else
		(void) vmc_thin_allocated (status.st_rdev, bytes);
	return 0;
}

static bool same_file (const char *a, const char *b)
{
	struct stat x, y;

	struct vmc_image image = {0};

	if (stat (a, &x) < 0 || stat (b, &y) < 0)
		return false;
	identify (&x, &image.device, &image.inode);
	image.is_block = S_ISBLK (x.st_mode);
	return vmc_image_is (&image, &y);
}

/* The file name in a "json:" name, as {"driver":"qcow2","file":{"driver":"file","filename":"/x"}}; NULL: there is none. */
static const char *json_file_name (struct json_object *object)
{
	struct json_object *inner;

	if (json_object_object_get_ex (object, "file.filename", &inner) ||
	    json_object_object_get_ex (object, "filename", &inner))
		return json_object_get_string (inner);
	if (json_object_object_get_ex (object, "file", &inner) && json_object_is_type (inner, json_type_object))
		return json_file_name (inner);
	return NULL;
}

/* The path of the backing file NAME of the image PATH: relative to the image; QEMU takes "file:" and "json:" as well. Other
 * protocols give a path that does not exist. RESOLVED has room for 2 * VMC_PATH_SIZE. */
static void resolve (const char *path, const char *name, char *resolved)
{
	struct json_object *object = strncmp (name, "json:", 5) == 0 ? json_tokener_parse (name + 5) : NULL;
	const char *inner = object ? json_file_name (object) : NULL;
	char directory[VMC_PATH_SIZE];

	if (inner != NULL)
		name = inner;
	else if (strncmp (name, "file:", 5) == 0)
		name += 5;
	vmc_image_directory (path, directory);
	(void) snprintf (resolved, VMC_PATH_SIZE * 2, "%s%s%s", name[0] == '/' ? "" : directory,
			 name[0] == '/' ? "" : "/", name);
	json_object_put (object);
}

/* The name of the backing file of the qcow2 image PATH; false: there is none, or nothing can be said. */
static bool backing_of (const char *path, char *resolved)
{
	unsigned char header[VMC_QCOW2_HEADER_BYTES];
	struct vmc_qcow2 facts;
	struct vmc_error ignored;
	int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t length = fd < 0 ? -1 : pread (fd, header, sizeof header, 0);

	if (fd >= 0)
		(void) close (fd);
	if (length < 0 || !vmc_qcow2_backing (header, (size_t) length, &facts, &ignored) || facts.backing[0] == 0)
		return false;
	resolve (path, facts.backing, resolved);
	return true;
}

bool vmc_image_chain_has (const char *path, const struct vmc_image *image)
{
	char here[VMC_PATH_SIZE * 2], next[VMC_PATH_SIZE * 2];

	(void) snprintf (here, sizeof here, "%s", path);
	for (int depth = 0; depth <= VMC_CHAIN_MAX; depth++) {
		struct stat status;

		if (stat (here, &status) == 0 && vmc_image_is (image, &status))
			return true;
		if (!backing_of (here, next))
			return false;
		memcpy (here, next, sizeof here);
	}
	return false;
}

static bool is_plain (struct json_object *object)
{
	json_object_object_foreach (object, key, value)
	{
		if (strcmp (key, "file") == 0 && json_object_is_type (value, json_type_object)) {
			if (!is_plain (value))
				return false;
		} else if (strcmp (key, "driver") != 0 && strcmp (key, "file.driver") != 0 &&
			   strcmp (key, "filename") != 0 && strcmp (key, "file.filename") != 0) {
			return false;
		}
	}
	return true;
}

/* Does NAME say nothing but a file and formats? A "json:" one may also name an offset, say, of which the XML knows nothing. */
static bool is_plain_name (const char *name)
{
	struct json_object *object;
	bool plain;

	if (strncmp (name, "json:", 5) != 0)
		return true;
	object = json_tokener_parse (name + 5);
	plain = json_object_is_type (object, json_type_object) && is_plain (object);
	json_object_put (object);
	return plain;
}

/* A layer's header must name the same backing file, of the same format, as the domain's XML does: else a program of QEMU
 * would open something else, or guess a format. LEVEL counts the layers below the top. */
static int check_backing (const struct vmc_disk *disk, size_t level, const char *path, const struct vmc_qcow2 *facts,
			  struct vmc_error *err)
{
	char backing[VMC_PATH_SIZE * 2];

	resolve (path, facts->backing, backing);
	if (facts->backing[0] == 0 && level == disk->backing_count)
		return 0;
	if (facts->backing[0] == 0 || level == disk->backing_count || !is_plain_name (facts->backing) ||
	    !same_file (backing, disk->backing[level]))
		return vmc_fail (err, VMC_REFUSED, 0,
				 "the image names another backing file than the domain; restart the domain or mend the "
				 "chain first");
	if (strcmp (facts->backing_format, disk->backing_format[level]) != 0)
		return vmc_fail (err, VMC_REFUSED, 0,
				 "the image does not say that its backing file is %s; set it with qemu-img rebase -u "
				 "-F",
				 disk->backing_format[level]);
	return 0;
}

static int check_header (const struct vmc_disk *disk, size_t level, const char *path, int fd, uint64_t *virtual_bytes,
			 struct vmc_error *err)
{
	unsigned char header[VMC_QCOW2_HEADER_BYTES];
	struct vmc_qcow2 facts;
	ssize_t length = pread (fd, header, sizeof header, 0);

	if (length < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot read '%s'", path);
	if (vmc_qcow2_check (header, (size_t) length, &facts, err) < 0)
		return -1;
	*virtual_bytes = facts.virtual_bytes;
	return check_backing (disk, level, path, &facts, err);
}

/* The layers below, too: qemu-nbd opens them all. */
static int check_chain (const struct vmc_disk *disk, struct vmc_error *err)
{
	for (size_t level = 0; level < disk->backing_count; level++) {
		uint64_t ignored;
		int fd, result;

		if (strcmp (disk->backing_format[level], "raw") == 0)
			continue;
		if (strcmp (disk->backing_format[level], "qcow2") != 0)
			return vmc_fail (err, VMC_REFUSED, 0, "a backing file is neither qcow2 nor raw");
		fd = open (disk->backing[level], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			return vmc_fail (err, VMC_REFUSED, errno, "cannot open the backing file '%s'",
					 disk->backing[level]);
		result = check_header (disk, level + 1, disk->backing[level], fd, &ignored, err);
		(void) close (fd);
		if (result < 0)
			return vmc_fail_in (err, "backing file");
	}
	return 0;
}

/* --- a chain that the XML does not name ---------------------------------------------------------- */

static int add_backing (struct vmc_disk *disk, const char *path, const struct vmc_qcow2 *facts, struct vmc_error *err)
{
	char resolved[VMC_PATH_SIZE * 2];
	struct stat status;
	size_t level = disk->backing_count;

	if (level == VMC_CHAIN_MAX)
		return vmc_fail (err, VMC_REFUSED, 0, "the image has more than %d backing files", VMC_CHAIN_MAX);
	resolve (path, facts->backing, resolved);
	if (strncmp (facts->backing, "json:", 5) == 0 || strlen (resolved) >= VMC_PATH_SIZE ||
	    stat (resolved, &status) < 0 || (!S_ISREG (status.st_mode) && !S_ISBLK (status.st_mode)))
		return vmc_fail (err, VMC_REFUSED, 0, "the backing file of '%s' cannot be found", path);
	if (strcmp (facts->backing_format, "qcow2") != 0 && strcmp (facts->backing_format, "raw") != 0)
		return vmc_fail (err, VMC_REFUSED, 0,
				 "'%s' does not say that its backing file is qcow2 or raw; set it with qemu-img rebase "
				 "-u -F",
				 path);
	memcpy (disk->backing[level], resolved, VMC_PATH_SIZE);
	memcpy (disk->backing_format[level], facts->backing_format, sizeof facts->backing_format);
	disk->backing_count++;
	return 0;
}

/* How much of it there is; -1 with an error. */
static ssize_t read_header (const char *path, unsigned char *header, struct vmc_error *err)
{
	int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t length = fd < 0 ? -1 : pread (fd, header, VMC_QCOW2_HEADER_BYTES, 0);
	int saved = errno;

	if (fd >= 0)
		(void) close (fd);
	return length >= 0 ? length : vmc_fail (err, VMC_REFUSED, saved, "cannot read '%s'", path);
}

int vmc_image_header (const char *path, struct vmc_qcow2 *facts, struct vmc_error *err)
{
	unsigned char header[VMC_QCOW2_HEADER_BYTES];
	ssize_t length = read_header (path, header, err);

	return length < 0 ? -1 : vmc_qcow2_check (header, (size_t) length, facts, err);
}

int vmc_image_has_snapshots (const char *path, struct vmc_error *err)
{
	unsigned char header[VMC_QCOW2_HEADER_BYTES];
	ssize_t length = read_header (path, header, err);

	if (length < 0)
		return err->errnum == ENOENT ? 0 : -1;
	return vmc_qcow2_has_snapshots (header, (size_t) length) ? 1 : 0;
}

int vmc_image_find_chain (struct vmc_disk *disk, struct vmc_error *err)
{
	const char *path = disk->path, *format = disk->format;

	while (!disk->chain_known && strcmp (format, "qcow2") == 0) {
		struct vmc_qcow2 facts;

		if (vmc_image_header (path, &facts, err) < 0)
			return -1;
		if (facts.backing[0] == 0)
			break;
		if (add_backing (disk, path, &facts, err) < 0)
			return -1;
		path = disk->backing[disk->backing_count - 1];
		format = disk->backing_format[disk->backing_count - 1];
	}
	disk->chain_known = true;
	return 0;
}

bool vmc_image_is_qcow2 (const char *path)
{
	unsigned char magic[4];
	int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool is = fd >= 0 && pread (fd, magic, sizeof magic, 0) == sizeof magic && memcmp (magic, "QFI\xFB", 4) == 0;

	if (fd >= 0)
		(void) close (fd);
	return is;
}

/* What the kernel says of the queue of a block device, or of the disk that it is a partition of; 0: nothing. */
static uint64_t queue_number (dev_t number, const char *file)
{
	static const char *const places[] = {"queue", "../queue"};
	unsigned long long value = 0;
	char path[128];

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		FILE *in;

		(void) snprintf (path, sizeof path, "/sys/dev/block/%u:%u/%s/%s", major (number), minor (number),
				 places[i], file);
		in = fopen (path, "re");
		if (in == NULL)
			continue;
		if (fscanf (in, "%llu", &value) != 1)
			value = 0;
		(void) fclose (in);
		break;
	}
	return value;
}

static int look_at_device (const char *path, int fd, const struct stat *status, struct vmc_image *image,
			   struct vmc_error *err)
{
	uint64_t unit = queue_number (status->st_rdev, "discard_granularity");

	if (ioctl (fd, BLKGETSIZE64, &image->length_bytes) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot ask for the size of '%s'", path);
	image->punch_bytes = unit < DEVICE_UNIT_BYTES ? DEVICE_UNIT_BYTES : unit;
	return 0;
}

/* What a file or a device is by itself. */
static int look_by_kind (const struct vmc_disk *disk, int fd, struct vmc_image *image, struct vmc_error *err)
{
	struct stat status, by_name;
	struct statvfs space;

	if (fstat (fd, &status) < 0 || fstatvfs (fd, &space) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot look at '%s'", disk->path);
	if (!S_ISREG (status.st_mode) && !S_ISBLK (status.st_mode))
		return vmc_fail (err, VMC_REFUSED, 0, "'%s' is neither a file nor a block device", disk->path);
	*image = (struct vmc_image) {.is_block = S_ISBLK (status.st_mode),
				     .length_bytes = (uint64_t) status.st_size,
				     .punch_bytes = space.f_frsize,
				     .names = status.st_nlink,
				     .is_link = lstat (disk->path, &by_name) == 0 && S_ISLNK (by_name.st_mode)};
	identify (&status, &image->device, &image->inode);
	if (image->is_block && look_at_device (disk->path, fd, &status, image, err) < 0)
		return -1;
	return vmc_image_allocated (disk->path, &image->allocated_bytes, err);
}

static int look_at_file (const struct vmc_disk *disk, int fd, struct vmc_image *image, struct vmc_error *err)
{
	if (look_by_kind (disk, fd, image, err) < 0)
		return -1;
	image->virtual_bytes = image->length_bytes;
	if (image->punch_bytes == 0 || (image->punch_bytes & (image->punch_bytes - 1)) != 0)
		return vmc_fail (err, VMC_REFUSED, 0, "what holds '%s' has blocks of an odd size", disk->path);
	if (strcmp (disk->format, "qcow2") != 0)
		return 0;
	if (check_header (disk, 0, disk->path, fd, &image->virtual_bytes, err) < 0)
		return -1;
	return check_chain (disk, err);
}

static int room_beside (const char *path, uint64_t *bytes, struct vmc_error *err)
{
	char directory[VMC_PATH_SIZE];
	struct statvfs space;

	vmc_image_directory (path, directory);
	if (statvfs (directory, &space) < 0)
		return vmc_fail (err, VMC_REFUSED, errno, "cannot look at the directory '%s'", directory);
	*bytes = (uint64_t) space.f_bavail * space.f_frsize;
	return 0;
}

int vmc_image_room (const char *path, const char *overlay, uint64_t *bytes, struct vmc_error *err)
{
	uint64_t there;

	*bytes = UINT64_MAX;
	if ((!is_block (path) && room_beside (path, bytes, err) < 0) || room_beside (overlay, &there, err) < 0)
		return -1;
	*bytes = there < *bytes ? there : *bytes;
	return 0;
}

int vmc_image_look (const struct vmc_disk *disk, const char *overlay, struct vmc_image *image, struct vmc_error *err)
{
	int fd = open (disk->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), result;

	if (fd < 0)
		return vmc_fail (err, VMC_REFUSED, errno, "cannot open '%s' on this host", disk->path);
	result = look_at_file (disk, fd, image, err);
	(void) close (fd);
	return result < 0 ? -1 : vmc_image_room (disk->path, overlay, &image->room_bytes, err);
}

static int can_discard (const char *path, struct vmc_error *err)
{
	struct stat status;

	if (stat (path, &status) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot look at '%s'", path);
	if (queue_number (status.st_rdev, "discard_max_bytes") > 0)
		return 0;
	return vmc_fail (err, VMC_REFUSED, 0,
			 "the block device '%s' takes no discards, so nothing of it can be given back", path);
}

/* A file in DIRECTORY that nobody sees, or only for a moment where there are no nameless ones (NFS, FUSE). */
static int open_to_try (const char *directory)
{
	char name[VMC_PATH_SIZE + 32];
	int fd = open (directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOSYS))
		return fd;
	(void) snprintf (name, sizeof name, "%s/.vmcompact-try-XXXXXX", directory);
	fd = mkostemp (name, O_CLOEXEC);
	if (fd >= 0)
		(void) unlink (name);
	return fd;
}

int vmc_image_can_punch (const char *path, struct vmc_error *err)
{
	static const char data[65536] = {1};
	char directory[VMC_PATH_SIZE];
	int fd, result = 0;

	if (is_block (path))
		return can_discard (path, err);
	vmc_image_directory (path, directory);
	fd = open_to_try (directory);
	if (fd < 0)
		return vmc_fail (err, VMC_REFUSED, errno,
				 "cannot try whether the filesystem of '%s' can punch holes; --method=convert needs "
				 "none",
				 directory);
	if (write (fd, data, sizeof data) != (ssize_t) sizeof data ||
	    fallocate (fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, sizeof data) < 0)
		result = vmc_fail (err, VMC_REFUSED, errno,
				   "the filesystem of '%s' cannot punch holes; --method=convert needs none", directory);
	(void) close (fd);
	return result;
}
