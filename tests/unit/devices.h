/* devices.h - a list of block devices for tests, as the agent would tell it */
#ifndef VMC_UNIT_DEVICES_H
#define VMC_UNIT_DEVICES_H

#include "stack.h"
#include "unit.h"

static struct vmc_list list;

static inline struct vmc_device *add_device (const char *name, const char *kind, uint64_t bytes)
{
	struct vmc_device *devices = reallocarray (list.items, list.count + 1, sizeof *devices);

	assert_non_null (devices);
	list.items = devices;
	devices[list.count] = (struct vmc_device) {.bytes = bytes};
	strcpy (devices[list.count].device, name);
	strcpy (devices[list.count].kind, kind);
	return &devices[list.count++];
}

static inline void lies_on (struct vmc_device *device, const char *below)
{
	struct vmc_name *names = reallocarray (device->below.items, device->below.count + 1, sizeof *names);

	assert_non_null (names);
	device->below.items = names;
	strcpy (names[device->below.count++].name, below);
}

static inline void add_target (struct vmc_device *device, uint64_t start, uint64_t length, uint64_t chunk)
{
	struct vmc_error err;

	assert_int_equal (vmc_stack_add_target (device, start, length, chunk, &err), 0);
}

static inline void add_leg (struct vmc_device *device, const char *below, uint64_t offset)
{
	struct vmc_error err;

	assert_int_equal (vmc_stack_add_leg (device, below, offset, &err), 0);
}

/* One that lies, as it is, on a part of another. */
static inline struct vmc_device *add_part (const char *name, const char *kind, uint64_t bytes, const char *below,
					   uint64_t offset)
{
	struct vmc_device *device = add_device (name, kind, bytes);

	lies_on (device, below);
	add_target (device, 0, bytes, 0);
	add_leg (device, below, offset);
	return device;
}

static inline struct vmc_device *get (const char *name)
{
	return (struct vmc_device *) vmc_stack_find (&list, name);
}

#endif
