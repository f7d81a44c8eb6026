/* view.c - see view.h */
#include "view.h"

#include <string.h>

static int read_view (struct vmc_source *source, void *buffer, uint64_t offset, size_t length, struct vmc_error *err)
{
	const struct vmc_view_source *view = (const struct vmc_view_source *) source;
	char *bytes = buffer;

	while (length > 0) {
		struct vmc_spot spot;
		size_t part;

		if (vmc_stack_spot (view->devices, view->device, offset, &spot, err) < 0)
			return -1;
		if (strcmp (spot.disk->device, view->disk) != 0)
			return vmc_fail (err, VMC_REFUSED, 0, "a part of it lies on another disk");
		part = spot.length < length ? (size_t) spot.length : length;
		if (vmc_source_read (view->disk_source, bytes, spot.offset, part, err) < 0)
			return -1;
		bytes += part;
		offset += part;
		length -= part;
	}
	return 0;
}

int vmc_view_open (struct vmc_view_source *view, struct vmc_source *disk_source, const char *disk,
		   const struct vmc_list *devices, const char *device, struct vmc_error *err)
{
	const struct vmc_device *top = vmc_stack_find (devices, device), *bottom = vmc_stack_find (devices, disk);

	if (top == NULL || bottom == NULL || bottom->bytes != disk_source->size_bytes)
		return vmc_fail (err, VMC_REFUSED, 0, "the guest sees a disk of another size");
	if (vmc_stack_encrypted (devices, device))
		return vmc_fail (err, VMC_REFUSED, 0, "it is encrypted");
	*view = (struct vmc_view_source) {.source = {top->bytes, read_view},
					  .disk_source = disk_source,
					  .devices = devices,
					  .device = device,
					  .disk = disk};
	return 0;
}

int vmc_view_locate (const struct vmc_view_source *view, const struct vmc_extents *ranges, struct vmc_extents *out,
		     struct vmc_error *err)
{
	for (size_t i = 0; i < ranges->count; i++)
		if (vmc_stack_map (view->devices, view->device, &ranges->items[i], view->disk, out, err) < 0)
			return -1;
	vmc_extents_normalise (out);
	return 0;
}
