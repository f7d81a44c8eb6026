/* filesystems.c - see filesystems.h
 *
 * Everything comes from sysfs: /sys/dev/block/MAJOR:MINOR is the device; a file "partition" in it means that its
 * parent is the disk and "start" (in units of 512 bytes) its place. The UUID comes from libblkid, which reads the
 * superblock. Positions are claims: the host verifies them against the image.
 */
#include "filesystems.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SECTOR 512 /* sysfs counts in these, whatever the disk's own sector size */

static bool read_text (const char *directory, const char *file, char *text, size_t size)
{
	char path[PATH_MAX];
	ssize_t length;
	int fd;

	if (snprintf (path, sizeof path, "%s/%s", directory, file) >= (int) sizeof path)
		return false;
	fd = open (path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	length = read (fd, text, size - 1);
	(void) close (fd);
	if (length < 0)
		return false;
	text[length] = 0;
	text[strcspn (text, "\n")] = 0;
	return true;
}

static uint64_t read_sectors (const char *directory, const char *file)
{
	char text[32];
	unsigned long long sectors;

	if (!read_text (directory, file, text, sizeof text))
		return 0;
	sectors = strtoull (text, NULL, 10);
	return sectors < INT64_MAX / SECTOR ? sectors * SECTOR : 0;
}

static const char *last_name (const char *path)
{
	const char *slash = strrchr (path, '/');

	return slash ? slash + 1 : path;
}

static bool exists_in (const char *directory, const char *file)
{
	char path[PATH_MAX];

	return snprintf (path, sizeof path, "%s/%s", directory, file) < (int) sizeof path && access (path, F_OK) == 0;
}

/* "device" of a virtio disk is .../0000:00:04.0/virtio2, of a SCSI disk .../target0:0:1/0:0:1:0. */
static void describe_address (const char *disk_dir, struct vmc_filesystem *filesystem)
{
	char link[PATH_MAX], path[PATH_MAX], text[VMC_NAME_SIZE];
	const char *name;

	if (snprintf (link, sizeof link, "%s/device", disk_dir) >= (int) sizeof link || realpath (link, path) == NULL)
		return;
	name = last_name (path);
	if (strncmp (name, "virtio", 6) == 0) {
		*strrchr (path, '/') = 0;
		if (snprintf (text, sizeof text, "virtio %s", last_name (path)) >= (int) sizeof text)
			return;
	} else if (strstr (path, "/target") != NULL) {
		if (snprintf (text, sizeof text, "scsi %s", name) >= (int) sizeof text)
			return;
	} else {
		return;
	}
	vmc_text_copy (filesystem->address, sizeof filesystem->address, text);
}

/* What lies between the filesystem and the disk. Returns false for what is neither a disk nor a partition of one. */
static bool describe_place (const struct vmc_mount *mount, struct vmc_filesystem *filesystem)
{
	char link[64], dir[PATH_MAX], serial[VMC_NAME_SIZE];

	(void) snprintf (link, sizeof link, "/sys/dev/block/%u:%u", mount->major, mount->minor);
	if (realpath (link, dir) == NULL)
		return false;
	vmc_text_copy (filesystem->device, sizeof filesystem->device, last_name (dir));
	if (exists_in (dir, "dm") || exists_in (dir, "md")) {
		vmc_text_copy (filesystem->stack, sizeof filesystem->stack,
			       exists_in (dir, "dm") ? "device-mapper" : "md");
		return false;
	}
	vmc_text_copy (filesystem->stack, sizeof filesystem->stack, "disk");
	if (exists_in (dir, "partition")) {
		vmc_text_copy (filesystem->stack, sizeof filesystem->stack, "partition");
		filesystem->offset = read_sectors (dir, "start");
		*strrchr (dir, '/') = 0;
	}
	vmc_text_copy (filesystem->disk, sizeof filesystem->disk, last_name (dir));
	filesystem->disk_bytes = read_sectors (dir, "size");
	if (read_text (dir, "serial", serial, sizeof serial))
		vmc_text_copy (filesystem->serial, sizeof filesystem->serial, serial);
	describe_address (dir, filesystem);
	return true;
}

/* The node that sysfs names, proved by its number. */
static bool device_node (const struct vmc_mount *mount, const char *device, char *path, size_t size)
{
	struct stat status;

	return snprintf (path, size, "/dev/%s", device) < (int) size && stat (path, &status) == 0 &&
	       S_ISBLK (status.st_mode) && status.st_rdev == makedev (mount->major, mount->minor);
}

static void describe_uuid (const struct vmc_mount *mount, struct vmc_filesystem *filesystem)
{
	char path[PATH_MAX];
	const char *uuid;
	blkid_probe probe;

	if (!device_node (mount, filesystem->device, path, sizeof path))
		return;
	probe = blkid_new_probe_from_filename (path);
	if (probe == NULL)
		return;
	(void) blkid_probe_enable_superblocks (probe, 1);
	(void) blkid_probe_set_superblocks_flags (probe, BLKID_SUBLKS_UUID | BLKID_SUBLKS_TYPE);
	if (blkid_do_safeprobe (probe) == 0 && blkid_probe_lookup_value (probe, "UUID", &uuid, NULL) == 0)
		vmc_text_copy (filesystem->uuid, sizeof filesystem->uuid, uuid);
	blkid_free_probe (probe);
}

static void describe_space (const struct vmc_mount *mount, struct vmc_filesystem *filesystem)
{
	struct statvfs space;

	if (statvfs (mount->mount_point, &space) == 0) {
		filesystem->size_bytes = (uint64_t) space.f_blocks * space.f_frsize;
		filesystem->free_bytes = (uint64_t) space.f_bfree * space.f_frsize;
	}
}

static void why_not (char *reason, const char *text)
{
	vmc_text_copy (reason, VMC_TEXT_SIZE, text);
}

void vmc_filesystem_describe (const struct vmc_mount *mount, struct vmc_filesystem *filesystem)
{
	bool ext = strcmp (mount->type, "ext4") == 0 || strcmp (mount->type, "ext3") == 0 ||
		   strcmp (mount->type, "ext2") == 0;

	*filesystem = (struct vmc_filesystem) {0};
	(void) snprintf (filesystem->filesystem, sizeof filesystem->filesystem, "%u:%u", mount->major, mount->minor);
	vmc_text_copy (filesystem->type, sizeof filesystem->type, mount->type);
	vmc_text_copy (filesystem->mount_point, sizeof filesystem->mount_point, mount->mount_point);
	if (!describe_place (mount, filesystem))
		why_not (filesystem->why_not_map, "it does not lie directly on a disk or partition");
	else if (strcmp (mount->type, "ext4") != 0)
		why_not (filesystem->why_not_map, "only ext4 can be mapped");
	if (mount->read_only)
		why_not (filesystem->why_not_trim, "it is mounted read-only");
	if (ext)
		describe_uuid (mount, filesystem);
	describe_space (mount, filesystem);
}

int vmc_filesystems_list (struct vmc_list *list, struct vmc_error *err)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};
	struct vmc_filesystem *filesystems;

	if (vmc_mounts_read (&mounts, err) < 0)
		return -1;
	if (mounts.count == 0)
		return 0;
	filesystems = calloc (mounts.count, sizeof *filesystems);
	if (filesystems == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the list of filesystems");
	for (size_t i = 0; i < mounts.count; i++)
		vmc_filesystem_describe (&mounts.items[i], &filesystems[i]);
	*list = (struct vmc_list) {filesystems, mounts.count};
	return 0;
}

const struct vmc_mount *vmc_filesystems_find (const struct vmc_mounts *mounts, const char *name)
{
	for (size_t i = 0; i < mounts->count; i++) {
		char own[VMC_NAME_SIZE];

		(void) snprintf (own, sizeof own, "%u:%u", mounts->items[i].major, mounts->items[i].minor);
		if (strcmp (own, name) == 0)
			return &mounts->items[i];
	}
	return NULL;
}
