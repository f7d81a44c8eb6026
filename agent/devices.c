/* devices.c - see devices.h
 *
 * Where a device lies is read from the kernel, never from what is written on a disk:
 *
 *   sysfs            /sys/dev/block/MAJOR:MINOR is the device. A file "partition" in it means that its parent is the disk and
 *                    "start" its place. "slaves" names what a stacked device lies on.
 *   device mapper    the table that is in use now, by ioctl (device_mapper.c). linear, striped and crypt are understood.
 *   md               raid0 and linear, from the files below "md" in sysfs (md.c).
 *
 * Whatever else a table has in it (a thin pool, a snapshot, a cache, a mirror, several paths) moves blocks around or keeps
 * them more than once: such a device is "not mappable", and says why. What is below it is listed all the same, so that it is
 * known which disks the filesystem is on. Positions are claims: the host verifies them against the image.
 */
#include "devices.h"

#include <blkid/blkid.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "device_mapper.h"
#include "md.h"
#include "sysfs.h"

/* --- names ------------------------------------------------------------------------------------ */

void vmc_device_name (dev_t number, char *name)
{
	(void) snprintf (name, VMC_NAME_SIZE, "%u:%u", major (number), minor (number));
}

/* The directory in sysfs, without links, into a buffer of PATH_MAX. */
static bool find_directory (dev_t number, char *directory)
{
	char link[64];

	(void) snprintf (link, sizeof link, "/sys/dev/block/%u:%u", major (number), minor (number));
	return realpath (link, directory) != NULL;
}

uint64_t vmc_device_bytes (dev_t number)
{
	char directory[PATH_MAX];

	return find_directory (number, directory) ? vmc_sysfs_number (directory, "size") * VMC_SECTOR_BYTES : 0;
}

/* A limit of its queue: more than 0? OTHERWISE is for where the kernel does not tell. A partition has the queue of its disk. */
static bool has_limit (dev_t number, const char *limit, bool otherwise)
{
	char directory[PATH_MAX], text[32];

	if (!find_directory (number, directory))
		return otherwise;
	if (vmc_sysfs_exists (directory, "partition"))
		*strrchr (directory, '/') = 0;
	return vmc_sysfs_text (directory, limit, text, sizeof text) ? strtoull (text, NULL, 10) > 0 : otherwise;
}

bool vmc_device_takes_discards (dev_t number)
{
	return has_limit (number, "queue/discard_max_bytes", true);
}

bool vmc_device_takes_zeros (dev_t number)
{
	return has_limit (number, "queue/write_zeroes_max_bytes", false);
}

int vmc_device_open (dev_t number, int flags)
{
	char directory[PATH_MAX], path[PATH_MAX];
	struct stat status;
	int fd;

	if (!find_directory (number, directory) ||
	    snprintf (path, sizeof path, "/dev/%s", vmc_sysfs_last_name (directory)) >= (int) sizeof path) {
		errno = ENODEV;
		return -1;
	}
	for (char *bang = strchr (path, '!'); bang != NULL; bang = strchr (bang, '!')) /* sysfs has no "cciss/c0d0" */
		*bang = '/';
	fd = open (path, flags | O_CLOEXEC);
	if (fd < 0 || (fstat (fd, &status) == 0 && S_ISBLK (status.st_mode) && status.st_rdev == number))
		return fd;
	(void) close (fd);
	errno = ENODEV;
	return -1;
}

/* --- one device ------------------------------------------------------------------------------- */

/* "device" of a virtio disk is .../0000:00:04.0/virtio2, of a SCSI disk .../target0:0:1/0:0:1:0. */
static void describe_address (const char *directory, struct vmc_device *device)
{
	char link[PATH_MAX], path[PATH_MAX], text[VMC_NAME_SIZE];
	const char *name;

	if (snprintf (link, sizeof link, "%s/device", directory) >= (int) sizeof link || realpath (link, path) == NULL)
		return;
	name = vmc_sysfs_last_name (path);
	if (strncmp (name, "virtio", 6) == 0) {
		*strrchr (path, '/') = 0;
		if (snprintf (text, sizeof text, "virtio %s", vmc_sysfs_last_name (path)) >= (int) sizeof text)
			return;
	} else if (strstr (path, "/target") != NULL) {
		if (snprintf (text, sizeof text, "scsi %s", name) >= (int) sizeof text)
			return;
	} else {
		return;
	}
	vmc_text_copy (device->address, sizeof device->address, text);
}

/* A SCSI disk has it in its vital product data, page 0x80 (SPC-4, 7.8.14): four bytes, the last of which is the length. */
static void describe_unit_serial (const char *directory, struct vmc_device *device)
{
	unsigned char page[4 + VMC_NAME_SIZE] = {0};
	char path[PATH_MAX];
	ssize_t got = -1;
	int fd;

	if (snprintf (path, sizeof path, "%s/device/vpd_pg80", directory) >= (int) sizeof path)
		return;
	fd = open (path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		got = read (fd, page, sizeof page - 1);
		(void) close (fd);
	}
	if (got <= 4 || page[1] != 0x80 || page[2] != 0 || page[3] > got - 4)
		return;
	page[4 + page[3]] = 0;
	vmc_text_copy (device->serial, sizeof device->serial, (const char *) page + 4);
}

static void describe_disk (const char *directory, struct vmc_device *device)
{
	char serial[VMC_NAME_SIZE];

	vmc_text_copy (device->kind, sizeof device->kind, VMC_KIND_DISK);
	if (vmc_sysfs_text (directory, "serial", serial, sizeof serial))
		vmc_text_copy (device->serial, sizeof device->serial, serial);
	else
		describe_unit_serial (directory, device);
	describe_address (directory, device);
}

/* What libblkid finds in it: the host will look for the same at the place that we name. */
static void probe_content (dev_t number, struct vmc_device *device)
{
	int fd = vmc_device_open (number, O_RDONLY);
	blkid_probe probe = fd < 0 ? NULL : blkid_new_probe ();
	const char *value;

	device->probed = true;
	if (probe != NULL && blkid_probe_set_device (probe, fd, 0, 0) == 0) {
		(void) blkid_probe_enable_superblocks (probe, 1);
		(void) blkid_probe_set_superblocks_flags (probe, BLKID_SUBLKS_UUID | BLKID_SUBLKS_TYPE);
		if (blkid_do_safeprobe (probe) == 0) {
			if (blkid_probe_lookup_value (probe, "TYPE", &value, NULL) == 0)
				vmc_text_copy (device->content, sizeof device->content, value);
			if (blkid_probe_lookup_value (probe, vmc_stack_uuid_tag (device->content), &value, NULL) == 0)
				vmc_text_copy (device->uuid, sizeof device->uuid, value);
		}
	}
	blkid_free_probe (probe);
	if (fd >= 0)
		(void) close (fd);
}

/* --- what it lies on ---------------------------------------------------------------------------- */

static int add_below (struct vmc_list *list, struct vmc_device *device, dev_t number, bool probe, struct vmc_error *err)
{
	struct vmc_name *names = reallocarray (device->below.items, device->below.count + 1, sizeof *names);

	if (names == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the devices");
	device->below.items = names;
	vmc_device_name (number, names[device->below.count++].name);
	return vmc_devices_add (list, number, probe, err);
}

/* Each of the devices in "slaves". */
static int add_slaves (struct vmc_list *list, struct vmc_device *device, const char *directory, bool probe,
		       struct vmc_error *err)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int result = 0;
	DIR *slaves;

	if (snprintf (path, sizeof path, "%s/slaves", directory) >= (int) sizeof path)
		return 0;
	slaves = opendir (path);
	while (slaves != NULL && result == 0 && (entry = readdir (slaves)) != NULL) {
		char slave[PATH_MAX];
		dev_t number;

		if (entry->d_name[0] != '.' &&
		    snprintf (slave, sizeof slave, "%s/%s", path, entry->d_name) < (int) sizeof slave &&
		    vmc_sysfs_device (slave, &number) && device->below.count < VMC_DEVICES_MAX)
			result = add_below (list, device, number, probe, err);
	}
	if (slaves != NULL)
		(void) closedir (slaves);
	return result;
}

static int describe_partition (struct vmc_list *list, struct vmc_device *device, const char *directory, bool probe,
			       struct vmc_error *err)
{
	uint64_t start = vmc_sysfs_number (directory, "start") * VMC_SECTOR_BYTES;
	char parent[PATH_MAX];
	dev_t number;

	vmc_text_copy (device->kind, sizeof device->kind, VMC_KIND_PARTITION);
	(void) snprintf (parent, sizeof parent, "%s", directory);
	*strrchr (parent, '/') = 0;
	if (!vmc_sysfs_device (parent, &number)) {
		vmc_text_copy (device->why_not_map, sizeof device->why_not_map, "its disk is not known");
		return 0;
	}
	if (add_below (list, device, number, probe, err) < 0)
		return -1;
	return vmc_stack_add_target (device, 0, device->bytes, 0, err) < 0
		       ? -1
		       : vmc_stack_add_leg (device, ((struct vmc_name *) device->below.items)[0].name, start, err);
}

/* The name of a kind by the prefix of the UUID that its maker gave it. Whether it is encrypted must be known also where its
 * table cannot be read. */
static const char *device_mapper_kind (const char *directory, struct vmc_device *device)
{
	char uuid[VMC_NAME_SIZE * 4] = "";

	(void) vmc_sysfs_text (directory, "dm/uuid", uuid, sizeof uuid);
	device->encrypted = strncmp (uuid, "CRYPT-", 6) == 0;
	return strncmp (uuid, "LVM-", 4) == 0          ? "LVM"
	       : strncmp (uuid, "CRYPT-LUKS", 10) == 0 ? "LUKS"
						       : "device-mapper";
}

static int describe_stacked (struct vmc_list *list, struct vmc_device *device, const char *directory, dev_t number,
			     bool probe, struct vmc_error *err)
{
	bool mapper = vmc_sysfs_exists (directory, "dm");

	vmc_text_copy (device->kind, sizeof device->kind, mapper ? device_mapper_kind (directory, device) : "RAID");
	if (add_slaves (list, device, directory, probe, err) < 0)
		return -1;
	return mapper ? vmc_device_mapper_read (number, device, err) : vmc_md_read (directory, device, err);
}

static int describe (struct vmc_list *list, struct vmc_device *device, dev_t number, bool probe, struct vmc_error *err)
{
	char directory[PATH_MAX];

	vmc_device_name (number, device->device);
	if (!find_directory (number, directory)) {
		vmc_text_copy (device->kind, sizeof device->kind, VMC_KIND_DISK);
		vmc_text_copy (device->why_not_map, sizeof device->why_not_map, "the kernel does not list its device");
		return 0;
	}
	vmc_text_copy (device->name, sizeof device->name, vmc_sysfs_last_name (directory));
	device->bytes = vmc_sysfs_number (directory, "size") * VMC_SECTOR_BYTES;
	if (probe)
		probe_content (number, device);
	if (vmc_sysfs_exists (directory, "dm") || vmc_sysfs_exists (directory, "md"))
		return describe_stacked (list, device, directory, number, probe, err);
	if (vmc_sysfs_exists (directory, "partition"))
		return describe_partition (list, device, directory, probe, err);
	describe_disk (directory, device);
	return 0;
}

/* Only a table that can be followed is sent, and only of what lies on something. */
static void settle_table (struct vmc_device *device)
{
	if (device->below.count == 0)
		vmc_text_copy (device->kind, sizeof device->kind, VMC_KIND_DISK);
	else if (device->targets.count == 0)
		vmc_stack_give_up (device, "the kernel shows no table of its device");
}

int vmc_devices_add (struct vmc_list *list, dev_t number, bool probe, struct vmc_error *err)
{
	struct vmc_device device = {0}, *items, *known;
	char name[VMC_NAME_SIZE];

	vmc_device_name (number, name);
	known = (struct vmc_device *) vmc_stack_find (list, name);
	if (known != NULL) {
		if (probe && !known->probed)
			probe_content (number, known);
		return 0;
	}
	if (describe (list, &device, number, probe, err) < 0) {
		vmc_fields_clear (vmc_device_fields, &device);
		return -1;
	}
	settle_table (&device);
	items = list->count < VMC_DEVICES_MAX ? reallocarray (list->items, list->count + 1, sizeof *items) : NULL;
	if (items == NULL) {
		vmc_fields_clear (vmc_device_fields, &device);
		return list->count < VMC_DEVICES_MAX
			       ? vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the devices")
			       : vmc_fail (err, VMC_UNSUPPORTED, 0, "there are more than %d block devices",
					   VMC_DEVICES_MAX);
	}
	items[list->count++] = device;
	list->items = items;
	return 0;
}

/* One entry of /sys/block: a loop device, a piece of memory, a stacked device has no "device", a CD-ROM has, but is none. */
static int add_disk (struct vmc_list *list, const char *name, struct vmc_error *err)
{
	char directory[PATH_MAX];
	dev_t number;

	if (name[0] == '.' || strncmp (name, "sr", 2) == 0 ||
	    snprintf (directory, sizeof directory, "/sys/block/%s", name) >= (int) sizeof directory ||
	    !vmc_sysfs_exists (directory, "device") || !vmc_sysfs_device (directory, &number))
		return 0;
	return vmc_devices_add (list, number, false, err);
}

int vmc_devices_add_disks (struct vmc_list *list, struct vmc_error *err)
{
	DIR *disks = opendir ("/sys/block");
	struct dirent *entry;
	int result = 0;

	while (disks != NULL && result == 0 && (entry = readdir (disks)) != NULL)
		result = add_disk (list, entry->d_name, err);
	if (disks != NULL)
		(void) closedir (disks);
	return result;
}
