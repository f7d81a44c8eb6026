/* filesystems.c - see filesystems.h
 *
 * A filesystem lies on the block device whose number it has. One with a number that the kernel made up (btrfs) lies on the
 * device that it was mounted from, and, if it is btrfs, on all that /sys/fs/btrfs/UUID/devices names.
 *
 * It can be mapped if the kernel has FS_IOC_GETFSMAP for its type (ext4, XFS), and ranges of its device can be followed down
 * to disks. It can be trimmed if its device takes discards: a LUKS device does so only when it was opened for that. Its free
 * space can be zeroed unless the zeros would be something else on the disk.
 */
#include "filesystems.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "devices.h"
#include "fsmap.h"
#include "snapshots.h"
#include "sysfs.h"

#define BTRFS_DIRECTORY "/sys/fs/btrfs"
#define EXT4_DIRECTORY "/sys/fs/ext4"
#define XFS_DIRECTORY "/sys/fs/xfs"

#define READ_ONLY "it is mounted read-only"
#define HAS_ERRORS "the kernel has found errors in it; it must be checked first"

static void why_not (char *reason, const char *text)
{
	vmc_text_copy (reason, VMC_TEXT_SIZE, text);
}

/* --- what it lies on ---------------------------------------------------------------------------- */

static int add_device (struct vmc_filesystem *filesystem, dev_t number, bool probe, struct vmc_list *devices,
		       struct vmc_error *err)
{
	struct vmc_name *names;
	char name[VMC_NAME_SIZE];

	vmc_device_name (number, name);
	if (vmc_names_have (&filesystem->devices, name) || filesystem->devices.count == VMC_DEVICES_MAX)
		return 0;
	names = reallocarray (filesystem->devices.items, filesystem->devices.count + 1, sizeof *names);
	if (names == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the devices");
	memcpy (names[filesystem->devices.count++].name, name, sizeof name);
	filesystem->devices.items = names;
	return vmc_devices_add (devices, number, probe, err);
}

/* The others of a btrfs that lies on several. */
static int add_btrfs_devices (struct vmc_filesystem *filesystem, bool probe, struct vmc_list *devices,
			      struct vmc_error *err)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int result = 0;
	DIR *directory;

	(void) snprintf (path, sizeof path, BTRFS_DIRECTORY "/%s/devices", filesystem->uuid);
	directory = opendir (path);
	while (directory != NULL && result == 0 && (entry = readdir (directory)) != NULL) {
		char one[PATH_MAX];
		dev_t number;

		if (entry->d_name[0] != '.' &&
		    snprintf (one, sizeof one, "%s/%s", path, entry->d_name) < (int) sizeof one &&
		    vmc_sysfs_device (one, &number))
			result = add_device (filesystem, number, probe, devices, err);
	}
	if (directory != NULL)
		(void) closedir (directory);
	return result;
}

static int add_devices (const struct vmc_mount *mount, bool probe, struct vmc_list *devices,
			struct vmc_filesystem *filesystem, struct vmc_error *err)
{
	const struct vmc_device *device;
	char name[VMC_NAME_SIZE];

	if (add_device (filesystem, mount->device, probe, devices, err) < 0)
		return -1;
	vmc_device_name (mount->device, name);
	device = vmc_stack_find (devices, name);
	if (device != NULL)
		memcpy (filesystem->uuid, device->uuid, sizeof filesystem->uuid);
	if (strcmp (filesystem->type, "btrfs") == 0 && filesystem->uuid[0] != 0)
		return add_btrfs_devices (filesystem, probe, devices, err);
	return 0;
}

/* --- what can be done ----------------------------------------------------------------------------- */

/* ext4 counts the errors that the kernel has found, until e2fsck mends them: then what it calls free may be in use. */
bool vmc_filesystem_has_errors (const struct vmc_list *devices, const char *name)
{
	const struct vmc_device *device = vmc_stack_find (devices, name);
	char directory[sizeof EXT4_DIRECTORY + VMC_NAME_SIZE];

	if (device == NULL)
		return false;
	(void) snprintf (directory, sizeof directory, EXT4_DIRECTORY "/%s", device->name);
	return vmc_sysfs_number (directory, "errors_count") > 0;
}

/* Each superblock has a directory as long as it lives. */
bool vmc_filesystem_lives (const char *name)
{
	char link[sizeof "/sys/dev/block/" + VMC_NAME_SIZE], directory[PATH_MAX];
	const char *device;

	(void) snprintf (link, sizeof link, "/sys/dev/block/%s", name);
	if (realpath (link, directory) == NULL)
		return false;
	device = vmc_sysfs_last_name (directory);
	return vmc_sysfs_exists (EXT4_DIRECTORY, device) || vmc_sysfs_exists (XFS_DIRECTORY, device);
}

/* A freeze of what is read-only does nothing and does not fail: what the kernel has in mind of it need not be what the disk has. */
static void say_why_not_map (const struct vmc_mount *mount, const struct vmc_list *devices,
			     struct vmc_filesystem *filesystem)
{
	const struct vmc_name *names = filesystem->devices.items;

	if (strcmp (filesystem->type, "ext4") != 0 && strcmp (filesystem->type, "xfs") != 0)
		why_not (filesystem->why_not_map, "its type cannot be mapped, only ext4 and XFS");
	else if (mount->read_only)
		why_not (filesystem->why_not_map, READ_ONLY);
	else if (vmc_filesystem_has_errors (devices, names[0].name))
		why_not (filesystem->why_not_map, HAS_ERRORS);
	else if (vmc_fsmap_why_not (mount)[0] != 0)
		why_not (filesystem->why_not_map, vmc_fsmap_why_not (mount));
	else if (!vmc_snapshots_possible (filesystem->why_not_map))
		why_not (filesystem->why_not_map, vmc_stack_why_not_map (devices, names[0].name));
}

static void say_why_not_trim (const struct vmc_mount *mount, struct vmc_filesystem *filesystem)
{
	if (mount->read_only)
		why_not (filesystem->why_not_trim, READ_ONLY);
	else if (!vmc_device_takes_discards (mount->device))
		why_not (filesystem->why_not_trim, "its device does not pass discards on");
}

/* Does what is written to it need new space in one of the devices below? */
static bool takes_space (const struct vmc_list *devices, const char *name)
{
	const struct vmc_device *all = devices->items;

	for (size_t i = 0; i < devices->count; i++)
		if (all[i].takes_space && vmc_stack_uses (devices, name, all[i].device))
			return true;
	return false;
}

static void say_why_not_zero (const struct vmc_mount *mount, const struct vmc_list *devices,
			      struct vmc_filesystem *filesystem)
{
	const struct vmc_name *names = filesystem->devices.items;

	if (mount->read_only)
		why_not (filesystem->why_not_zero, READ_ONLY);
	for (size_t i = 0; i < filesystem->devices.count && filesystem->why_not_zero[0] == 0; i++)
		if (vmc_stack_encrypted (devices, names[i].name))
			why_not (filesystem->why_not_zero,
				 "it lies on dm-crypt, where zeros become noise, so zeroing is pointless");
		else if (takes_space (devices, names[i].name))
			why_not (filesystem->why_not_zero,
				 "zeros would fill up a snapshot or a thin pool that it lies on");
		else if (vmc_filesystem_has_errors (devices, names[i].name))
			why_not (filesystem->why_not_zero, HAS_ERRORS);
}

static void describe_space (const struct vmc_mount *mount, struct vmc_filesystem *filesystem)
{
	struct statvfs space;

	if (statvfs (mount->mount_point, &space) == 0) {
		filesystem->size_bytes = (uint64_t) space.f_blocks * space.f_frsize;
		filesystem->free_bytes = (uint64_t) space.f_bfree * space.f_frsize;
	}
}

void vmc_filesystem_clear (struct vmc_filesystem *filesystem)
{
	free (filesystem->devices.items);
	filesystem->devices = (struct vmc_list) {0};
}

int vmc_filesystem_describe (const struct vmc_mount *mount, bool probe, struct vmc_list *devices,
			     struct vmc_filesystem *filesystem, struct vmc_error *err)
{
	*filesystem = (struct vmc_filesystem) {0};
	(void) snprintf (filesystem->filesystem, sizeof filesystem->filesystem, "%u:%u", mount->major, mount->minor);
	vmc_text_copy (filesystem->type, sizeof filesystem->type, mount->type);
	vmc_text_copy (filesystem->mount_point, sizeof filesystem->mount_point, mount->mount_point);
	if (add_devices (mount, probe, devices, filesystem, err) < 0) {
		if (err->code != VMC_UNSUPPORTED)
			return -1;
		vmc_filesystem_clear (filesystem); /* of its devices, as many as they are */
		why_not (filesystem->why_not_map, err->text);
		why_not (filesystem->why_not_zero, err->text);
	}
	if (filesystem->why_not_map[0] == 0)
		say_why_not_map (mount, devices, filesystem);
	say_why_not_trim (mount, filesystem);
	say_why_not_zero (mount, devices, filesystem);
	describe_space (mount, filesystem);
	return 0;
}

/* --- the list ------------------------------------------------------------------------------------- */

/* All tables must fit into one answer: devices that come after too many legs are given up. */
static void limit_tables (struct vmc_list *devices)
{
	size_t legs = 0;

	for (size_t i = 0; i < devices->count; i++) {
		struct vmc_device *device = (struct vmc_device *) devices->items + i;
		const struct vmc_target *targets = device->targets.items;

		for (size_t j = 0; j < device->targets.count; j++)
			legs += targets[j].legs.count;
		if (legs > VMC_LEGS_ALL_MAX && device->targets.count > 0)
			vmc_stack_give_up (device, "the tables of the devices are too long to be told");
	}
}

int vmc_filesystems_list (struct vmc_filesystems_result *result, struct vmc_error *err)
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
	result->filesystems.items = filesystems;
	if (vmc_devices_add_disks (&result->devices, err) < 0)
		return -1;
	for (size_t i = 0; i < mounts.count; i++) {
		result->filesystems.count++;
		if (vmc_filesystem_describe (&mounts.items[i], true, &result->devices, &filesystems[i], err) < 0)
			return -1;
	}
	limit_tables (&result->devices);
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
