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

static bool same_bus (const struct vmc_disk *disk, const struct vmc_device *device)
{
	const char *prefix = strcmp (disk->bus, "virtio") == 0 ? "virtio " : "scsi ";

	return device->address[0] == 0 || strncmp (device->address, prefix, strlen (prefix)) == 0;
}

/* A serial that both know decides; else the address that the XML has. The kernel cuts the serial of a virtio disk after 20
 * characters. */
static bool may_be (const struct vmc_disk *disk, uint64_t virtual_bytes, const struct vmc_device *device)
{
	if (strcmp (device->kind, VMC_KIND_DISK) != 0 || device->bytes != virtual_bytes || !same_bus (disk, device))
		return false;
	if (disk->serial[0] != 0 && device->serial[0] != 0)
		return strncmp (disk->serial, device->serial, 20) == 0;
	return disk->address[0] == 0 || same_address (disk->address, device->address);
}

static bool is_there (const struct vmc_list *devices, const char *address)
{
	const struct vmc_device *all = devices->items;

	for (size_t i = 0; i < devices->count; i++)
		if (strcmp (all[i].kind, VMC_KIND_DISK) == 0 && same_address (address, all[i].address))
			return true;
	return false;
}

/* The firmware of a guest need not number its PCI buses as libvirt's XML does: a bridge shifts them. Then the address of one disk is
 * that of another one, and one of them has none. Has each disk of the XML one of the guest's at its address? */
static bool addresses_agree (const struct vmc_disks *disks, const struct vmc_list *devices)
{
	for (size_t i = 0; disks != NULL && i < disks->count; i++)
		if (strncmp (disks->items[i].address, "virtio ", 7) == 0 &&
		    strcmp (disks->items[i].bus, "virtio") == 0 && !is_there (devices, disks->items[i].address))
			return false;
	return true;
}

/* The guest's disk, or NULL. */
static const struct vmc_device *choose_disk (struct vmc_disk_facts *facts, uint64_t virtual_bytes,
					     const struct vmc_list *devices)
{
	const struct vmc_device *all = devices->items, *only = NULL;

	for (size_t i = 0; i < devices->count; i++) {
		if (!may_be (facts->disk, virtual_bytes, &all[i]))
			continue;
		if (only != NULL) {
			(void) snprintf (facts->why_no_guest_disk, sizeof facts->why_no_guest_disk,
					 "it cannot be told which of the guest's disks this is; give it a <serial>");
			return NULL;
		}
		only = &all[i];
	}
	if (only == NULL)
		(void) snprintf (facts->why_no_guest_disk, sizeof facts->why_no_guest_disk,
				 "the guest shows no disk of this size at the address of the XML");
	else if (!(facts->disk->serial[0] != 0 && only->serial[0] != 0) && !addresses_agree (facts->disks, devices)) {
		(void) snprintf (facts->why_no_guest_disk, sizeof facts->why_no_guest_disk,
				 "the guest's PCI addresses are not those of the XML; give each disk a <serial>");
		return NULL;
	}
	return only;
}

const char *vmc_facts_device (const struct vmc_filesystem *filesystem)
{
	return filesystem->devices.count == 1 ? ((const struct vmc_name *) filesystem->devices.items)[0].name : NULL;
}

/* ABOVE: what lies on the disk (vmc_stack_mark_above). */
static bool lies_on_disk (const struct vmc_disk_facts *facts, const struct vmc_filesystem *filesystem,
			  const bool *above)
{
	const struct vmc_name *names = filesystem->devices.items;

	for (size_t i = 0; i < filesystem->devices.count; i++) {
		const struct vmc_device *device = vmc_stack_find (facts->devices, names[i].name);

		if (device != NULL && above[device - (const struct vmc_device *) facts->devices->items])
			return true;
	}
	return false;
}

/* BYTES of a filesystem, or as much of them as it has on this disk, by the part of its device that lies here. */
static uint64_t share (const struct vmc_disk_facts *facts, const struct vmc_filesystem *filesystem, uint64_t bytes)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents here = {0};
	const char *name = vmc_facts_device (filesystem);
	const struct vmc_device *device = name ? vmc_stack_find (facts->devices, name) : NULL;
	struct vmc_error ignored;
	uint64_t total;

	if (device == NULL || device->bytes == 0 ||
	    vmc_stack_map (facts->devices, name, &(struct vmc_extent) {0, device->bytes}, facts->guest_disk->device,
			   &here, &ignored) < 0)
		return bytes;
	total = vmc_extents_total (&here);
	return total >= device->bytes ? bytes : (uint64_t) ((double) bytes / (double) device->bytes * (double) total);
}

void vmc_facts_match (struct vmc_disk_facts *facts, uint64_t virtual_bytes, const struct vmc_filesystems_result *guest)
{
	const struct vmc_filesystem *all = guest->filesystems.items;
	bool above[VMC_DEVICES_MAX];

	facts->devices = &guest->devices;
	facts->guest_disk = choose_disk (facts, virtual_bytes, &guest->devices);
	if (facts->guest_disk == NULL)
		return;
	vmc_stack_mark_above (facts->devices, facts->guest_disk->device, above);
	for (size_t i = 0; i < guest->filesystems.count; i++) {
		uint64_t used = all[i].size_bytes > all[i].free_bytes ? all[i].size_bytes - all[i].free_bytes : 0;

		if (!lies_on_disk (facts, &all[i], above))
			continue;
		facts->filesystems[facts->filesystem_count++] = &all[i];
		facts->free_bytes += share (facts, &all[i], all[i].free_bytes);
		facts->used_bytes += share (facts, &all[i], used);
	}
	if (facts->filesystem_count == 0)
		(void) snprintf (facts->why_no_guest_disk, sizeof facts->why_no_guest_disk,
				 "the guest has no filesystem mounted that lies on this disk");
}
