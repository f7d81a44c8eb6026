/* facts.c - see facts.h */
#include "facts.h"

#include <stdio.h>
#include <string.h>

/* libvirt's "scsi 0:1:0" is channel, target and unit; the guest puts its host number before them. */
static bool same_address (const char *xml, const char *guest)
{
	if (strcmp (xml, guest) == 0)
		return true;
	if (strncmp (xml, "scsi ", 5) != 0 || strncmp (guest, "scsi ", 5) != 0)
		return false;
	guest = strchr (guest, ':');
	return guest != NULL && strcmp (xml + 5, guest + 1) == 0;
}

static bool same_bus (const struct vmc_disk *disk, const struct vmc_filesystem *filesystem)
{
	const char *prefix = strcmp (disk->bus, "virtio") == 0 ? "virtio " : "scsi ";

	return filesystem->address[0] == 0 || strncmp (filesystem->address, prefix, strlen (prefix)) == 0;
}

/* A serial that both know decides; else the address, where both know it. The kernel cuts the serial of a virtio disk after 20
 * characters. */
static bool may_be (const struct vmc_disk *disk, uint64_t virtual_bytes, const struct vmc_filesystem *filesystem)
{
	if (filesystem->disk[0] == 0 || filesystem->disk_bytes != virtual_bytes || !same_bus (disk, filesystem))
		return false;
	if (disk->serial[0] != 0 && filesystem->serial[0] != 0)
		return strncmp (disk->serial, filesystem->serial, 20) == 0;
	return disk->address[0] == 0 || filesystem->address[0] == 0 ||
	       same_address (disk->address, filesystem->address);
}

/* The name of the guest's disk, or NULL. */
static const char *choose_disk (struct vmc_disk_facts *facts, uint64_t virtual_bytes, const struct vmc_filesystem *all,
				size_t count)
{
	const char *only = NULL;

	for (size_t i = 0; i < count; i++) {
		if (!may_be (facts->disk, virtual_bytes, &all[i]))
			continue;
		if (only != NULL && strcmp (only, all[i].disk) != 0) {
			(void) snprintf (facts->why_no_guest_disk, sizeof facts->why_no_guest_disk,
					 "it cannot be told which of the guest's disks this is; give it a <serial>");
			return NULL;
		}
		only = all[i].disk;
	}
	if (only == NULL)
		(void) snprintf (facts->why_no_guest_disk, sizeof facts->why_no_guest_disk,
				 "the guest has no filesystem mounted that lies directly on this disk or a partition "
				 "of it");
	return only;
}

void vmc_facts_match (struct vmc_disk_facts *facts, uint64_t virtual_bytes, const struct vmc_filesystem *all,
		      size_t count)
{
	const char *disk = choose_disk (facts, virtual_bytes, all, count);

	for (size_t i = 0; disk != NULL && i < count && facts->filesystem_count < VMC_FILESYSTEMS_MAX; i++) {
		if (strcmp (all[i].disk, disk) != 0)
			continue;
		facts->filesystems[facts->filesystem_count++] = &all[i];
		facts->free_bytes += all[i].free_bytes;
		facts->used_bytes += all[i].size_bytes > all[i].free_bytes ? all[i].size_bytes - all[i].free_bytes : 0;
	}
}
