/* md.c - see md.h
 *
 * md/rdN is a link to the member in slot N; its "offset" (sectors) is where its data begin, its "size" (KiB) how much of it
 * is used (Documentation/admin-guide/md.rst in the kernel). Only two levels keep each block once:
 *
 *   linear   one member after the other, each rounded down to whole chunks
 *   raid0    chunks in turns. Members of different sizes make zones with different numbers of turns, whose order even depends
 *            on the kernel: only members of one size are followed.
 *
 * What the parts add up to must be the size of the array, or nothing is said about it.
 */
#include "md.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "sysfs.h"

struct member {
	char device[VMC_NAME_SIZE];
	uint64_t offset, bytes;
};

static bool read_member (const char *directory, unsigned slot, struct member *member)
{
	char path[PATH_MAX], block[PATH_MAX];
	dev_t number;

	if (snprintf (path, sizeof path, "%s/md/rd%u", directory, slot) >= (int) sizeof path ||
	    snprintf (block, sizeof block, "%s/block", path) >= (int) sizeof block ||
	    !vmc_sysfs_device (block, &number))
		return false;
	(void) snprintf (member->device, sizeof member->device, "%u:%u", major (number), minor (number));
	member->offset = vmc_sysfs_number (path, "offset") * VMC_SECTOR_BYTES;
	member->bytes = vmc_sysfs_number (path, "size") * 1024;
	return member->bytes > 0;
}

static int add_raid0 (struct vmc_device *device, const struct member *members, unsigned count, uint64_t chunk_bytes,
		      struct vmc_error *err)
{
	for (unsigned i = 0; i < count; i++)
		if (members[i].bytes != members[0].bytes) {
			vmc_stack_give_up (device, "it lies on a RAID 0 whose members have different sizes");
			return 0;
		}
	if (vmc_stack_add_target (device, 0, device->bytes, chunk_bytes, err) < 0)
		return -1;
	for (unsigned i = 0; i < count; i++)
		if (vmc_stack_add_leg (device, members[i].device, members[i].offset, err) < 0)
			return -1;
	return 0;
}

static int add_linear (struct vmc_device *device, const struct member *members, unsigned count, struct vmc_error *err)
{
	uint64_t start = 0;

	for (unsigned i = 0; i < count; i++) {
		if (vmc_stack_add_target (device, start, members[i].bytes, 0, err) < 0 ||
		    vmc_stack_add_leg (device, members[i].device, members[i].offset, err) < 0)
			return -1;
		start += members[i].bytes;
	}
	return 0;
}

int vmc_md_read (const char *directory, struct vmc_device *device, struct vmc_error *err)
{
	uint64_t chunk_bytes = vmc_sysfs_number (directory, "md/chunk_size"), total = 0;
	unsigned count = (unsigned) vmc_sysfs_number (directory, "md/raid_disks"), found = 0;
	struct member members[VMC_LEGS_MAX];
	char level[VMC_NAME_SIZE] = "";
	bool raid0;

	(void) vmc_sysfs_text (directory, "md/level", level, sizeof level);
	raid0 = strcmp (level, "raid0") == 0;
	if (!raid0 && strcmp (level, "linear") != 0) {
		vmc_stack_give_up (device,
				   "it lies on a RAID that keeps blocks more than once, or in an order of its own");
		return 0;
	}
	for (; found < count && found < VMC_LEGS_MAX && read_member (directory, found, &members[found]); found++) {
		if (chunk_bytes > 0)
			members[found].bytes -= members[found].bytes % chunk_bytes;
		total += members[found].bytes;
	}
	if (count == 0 || found < count || total != device->bytes || (raid0 && chunk_bytes == 0)) {
		vmc_stack_give_up (device, "the members of the RAID that it lies on do not add up to its size");
		return 0;
	}
	return raid0 ? add_raid0 (device, members, count, chunk_bytes, err) : add_linear (device, members, count, err);
}
