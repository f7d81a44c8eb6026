/* stack.c - see stack.h
 *
 * A target with several legs deals its chunks out in turns: chunk k lies on leg k % n, as its chunk k / n (dm-stripe,
 * md raid0 whose members are of one size). So what a range has on one leg is again one range.
 *
 * A list from a guest may be made to cost time: sixteen legs, each on the same device, and so on downwards. Each question
 * therefore has a number of steps that it may take.
 */
#include "stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct vmc_field leg_fields[] = {VMC_TEXT (struct vmc_leg, device), VMC_NUMBER (struct vmc_leg, offset),
					      VMC_FIELDS_END};
static const struct vmc_field target_fields[] = {VMC_NUMBER (struct vmc_target, start),
						 VMC_NUMBER (struct vmc_target, length),
						 VMC_NUMBER (struct vmc_target, chunk_bytes),
						 VMC_LIST (struct vmc_target, legs, VMC_LEGS_MAX, leg_fields,
							   struct vmc_leg),
						 VMC_FIELDS_END};
const struct vmc_field vmc_device_fields[] = {VMC_TEXT (struct vmc_device, device),
					      VMC_TEXT (struct vmc_device, name),
					      VMC_TEXT (struct vmc_device, kind),
					      VMC_TEXT (struct vmc_device, content),
					      VMC_TEXT (struct vmc_device, uuid),
					      VMC_TEXT (struct vmc_device, serial),
					      VMC_TEXT (struct vmc_device, address),
					      VMC_TEXT (struct vmc_device, why_not_map),
					      VMC_BOOL (struct vmc_device, encrypted),
					      VMC_NUMBER (struct vmc_device, bytes),
					      VMC_LIST (struct vmc_device, below, VMC_DEVICES_MAX, vmc_name_fields,
							struct vmc_name),
					      VMC_LIST (struct vmc_device, targets, VMC_TARGETS_MAX, target_fields,
							struct vmc_target),
					      VMC_FIELDS_END};
static const struct vmc_field list_fields[] = {{"devices", VMC_FIELD_LIST, 0, VMC_DEVICES_MAX, vmc_device_fields,
						sizeof (struct vmc_device)},
					       VMC_FIELDS_END};

void vmc_stack_clear (struct vmc_list *devices)
{
	vmc_fields_clear (list_fields, devices);
}

/* --- making a list ------------------------------------------------------------------------------ */

/* One more element of SIZE bytes at the end of LIST, all zero; NULL: no memory. */
static void *append (struct vmc_list *list, size_t size)
{
	char *items = reallocarray (list->items, list->count + 1, size);

	if (items == NULL)
		return NULL;
	list->items = items;
	return memset (items + size * list->count++, 0, size);
}

int vmc_stack_add_target (struct vmc_device *device, uint64_t start, uint64_t length, uint64_t chunk_bytes,
			  struct vmc_error *err)
{
	struct vmc_target *target;

	if (device->why_not_map[0] != 0)
		return 0;
	if (device->targets.count == VMC_TARGETS_MAX) {
		vmc_stack_give_up (device, "its device has a table of too many parts");
		return 0;
	}
	target = append (&device->targets, sizeof *target);
	if (target == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the table of a device");
	*target = (struct vmc_target) {.start = start, .length = length, .chunk_bytes = chunk_bytes};
	return 0;
}

int vmc_stack_add_leg (struct vmc_device *device, const char *below, uint64_t offset, struct vmc_error *err)
{
	struct vmc_target *target;
	struct vmc_leg *leg;

	if (device->why_not_map[0] != 0)
		return 0;
	target = (struct vmc_target *) device->targets.items + device->targets.count - 1;
	if (target->legs.count == VMC_LEGS_MAX) {
		vmc_stack_give_up (device, "its device has too many stripes");
		return 0;
	}
	leg = append (&target->legs, sizeof *leg);
	if (leg == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the table of a device");
	leg->offset = offset;
	vmc_text_copy (leg->device, sizeof leg->device, below);
	return 0;
}

void vmc_stack_give_up (struct vmc_device *device, const char *why)
{
	static const struct vmc_field targets_field[] = {VMC_LIST (struct vmc_device, targets, VMC_TARGETS_MAX,
								   target_fields, struct vmc_target),
							 VMC_FIELDS_END};

	vmc_fields_clear (targets_field, device);
	if (device->why_not_map[0] == 0)
		vmc_text_copy (device->why_not_map, sizeof device->why_not_map, why);
}

static const struct vmc_device *get (const struct vmc_list *devices, size_t i)
{
	return (const struct vmc_device *) devices->items + i;
}

static const char *below_name (const struct vmc_device *device, size_t i)
{
	return ((const struct vmc_name *) device->below.items)[i].name;
}

const struct vmc_device *vmc_stack_find (const struct vmc_list *devices, const char *name)
{
	for (size_t i = 0; i < devices->count; i++)
		if (strcmp (get (devices, i)->device, name) == 0)
			return get (devices, i);
	return NULL;
}

/* --- is the list sound? ------------------------------------------------------------------------ */

static int unsound (struct vmc_error *err, const struct vmc_device *device, const char *what)
{
	return vmc_fail (err, VMC_PROTOCOL, EBADMSG, "the device '%s' %s", device->device, what);
}

static bool lies_on (const struct vmc_device *device, const char *name)
{
	for (size_t i = 0; i < device->below.count; i++)
		if (strcmp (below_name (device, i), name) == 0)
			return true;
	return false;
}

/* EARLIER: the devices before it in the list. */
static int check_below (const struct vmc_list *earlier, const struct vmc_device *device, struct vmc_error *err)
{
	if (device->device[0] == 0 || vmc_stack_find (earlier, device->device) != NULL)
		return unsound (err, device, "has no name of its own");
	if ((device->below.count == 0) != (strcmp (device->kind, VMC_KIND_DISK) == 0))
		return unsound (err, device, "is a disk with devices below, or none without");
	for (size_t i = 0; i < device->below.count; i++)
		if (vmc_stack_find (earlier, below_name (device, i)) == NULL)
			return unsound (err, device, "lies on a device that is not listed before");
	for (size_t i = 1; i < device->below.count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp (below_name (device, i), below_name (device, j)) == 0)
				return unsound (err, device, "lies on a device twice");
	return 0;
}

static int check_target (const struct vmc_device *device, const struct vmc_target *target, uint64_t start,
			 struct vmc_error *err)
{
	const struct vmc_leg *legs = target->legs.items;

	if (target->start != start || target->length == 0 || target->length > device->bytes - start)
		return unsound (err, device, "has a table with gaps, or one that leaves it");
	if (target->legs.count == 0 || (target->legs.count > 1 && target->chunk_bytes == 0))
		return unsound (err, device, "has a table without legs, or without chunks");
	for (size_t i = 0; i < target->legs.count; i++)
		if (!lies_on (device, legs[i].device))
			return unsound (err, device, "has a table that names what it does not lie on");
	return 0;
}

static int check_targets (const struct vmc_device *device, struct vmc_error *err)
{
	const struct vmc_target *targets = device->targets.items;
	bool may_have = device->below.count > 0 && device->why_not_map[0] == 0;
	uint64_t start = 0;

	if (device->bytes > INT64_MAX || (device->targets.count > 0) != may_have)
		return unsound (err, device, "has a table and should not, or none and should");
	for (size_t i = 0; i < device->targets.count; i++) {
		if (check_target (device, &targets[i], start, err) < 0)
			return -1;
		start += targets[i].length;
	}
	return may_have && start != device->bytes ? unsound (err, device, "has a table that does not fill it") : 0;
}

int vmc_stack_check (const struct vmc_list *devices, struct vmc_error *err)
{
	size_t below = 0;

	for (size_t i = 0; i < devices->count; i++) {
		const struct vmc_list earlier = {devices->items, i};

		below += get (devices, i)->below.count;
		if (below > VMC_BELOW_ALL_MAX)
			return unsound (err, get (devices, i), "is in a list of too many that lie on each other");
		if (check_below (&earlier, get (devices, i), err) < 0 || check_targets (get (devices, i), err) < 0)
			return -1;
	}
	return 0;
}

/* --- following a range -------------------------------------------------------------------------- */

struct walk {
	const struct vmc_list *devices;
	const char *disk;
	struct vmc_extents *out;
	unsigned steps; /* left */
};

static int take_step (unsigned *steps, struct vmc_error *err)
{
	if (*steps == 0)
		return vmc_fail (err, VMC_UNSUPPORTED, 0, "the devices below it are too many");
	(*steps)--;
	return 0;
}

/* What [START, END) of a target, counted from its start, has on its leg number I: one range of that leg. */
static bool range_on_leg (const struct vmc_target *target, uint64_t start, uint64_t end, size_t i,
			  struct vmc_extent *range)
{
	uint64_t chunk = target->chunk_bytes, count = target->legs.count, first, last, leg_start, leg_end;

	if (count == 1) {
		*range = (struct vmc_extent) {start, end - start};
		return true;
	}
	first = start / chunk;
	last = (end - 1) / chunk;
	first += (i + count - first % count) % count;
	if (first > last)
		return false;
	last -= (last % count + count - i) % count;
	leg_start = first / count * chunk + (first == start / chunk ? start % chunk : 0);
	leg_end = last / count * chunk + (last == (end - 1) / chunk ? (end - 1) % chunk + 1 : chunk);
	*range = (struct vmc_extent) {leg_start, leg_end - leg_start};
	return true;
}

static int map_range (struct walk *walk, const char *name, uint64_t start, uint64_t length, struct vmc_error *err);

static int map_target (struct walk *walk, const struct vmc_target *target, uint64_t start, uint64_t end,
		       struct vmc_error *err)
{
	const struct vmc_leg *legs = target->legs.items;

	for (size_t i = 0; i < target->legs.count; i++) {
		struct vmc_extent range;

		if (!range_on_leg (target, start, end, i, &range))
			continue;
		if (legs[i].offset > INT64_MAX - range.start)
			return vmc_fail (err, VMC_PROTOCOL, ERANGE, "a table leaves the device below");
		if (map_range (walk, legs[i].device, legs[i].offset + range.start, range.length, err) < 0)
			return -1;
	}
	return 0;
}

static int map_range (struct walk *walk, const char *name, uint64_t start, uint64_t length, struct vmc_error *err)
{
	const struct vmc_device *device = vmc_stack_find (walk->devices, name);
	const struct vmc_target *targets;

	if (device == NULL || take_step (&walk->steps, err) < 0)
		return device == NULL ? vmc_fail (err, VMC_PROTOCOL, ENODEV, "no device '%s' is listed", name) : -1;
	if (start > device->bytes || length > device->bytes - start)
		return vmc_fail (err, VMC_PROTOCOL, ERANGE, "a range leaves the device '%s'", name);
	if (device->why_not_map[0] != 0)
		return vmc_fail (err, VMC_UNSUPPORTED, 0, "%s", device->why_not_map);
	if (device->below.count == 0)
		return strcmp (name, walk->disk) == 0 ? vmc_extents_add (walk->out, start, length, err) : 0;
	targets = device->targets.items;
	for (size_t i = 0; i < device->targets.count; i++) {
		uint64_t from = targets[i].start > start ? targets[i].start : start,
			 target_end = targets[i].start + targets[i].length,
			 to = target_end < start + length ? target_end : start + length;

		if (from < to &&
		    map_target (walk, &targets[i], from - targets[i].start, to - targets[i].start, err) < 0)
			return -1;
	}
	return 0;
}

int vmc_stack_map (const struct vmc_list *devices, const char *device, const struct vmc_extent *range, const char *disk,
		   struct vmc_extents *out, struct vmc_error *err)
{
	struct walk walk = {devices, disk, out, VMC_STACK_STEPS_MAX};

	return map_range (&walk, device, range->start, range->length, err);
}

static const struct vmc_target *target_at (const struct vmc_device *device, uint64_t offset)
{
	const struct vmc_target *targets = device->targets.items;

	for (size_t i = 0; i < device->targets.count; i++)
		if (offset - targets[i].start < targets[i].length)
			return &targets[i];
	return NULL;
}

/* One device down. LENGTH becomes smaller where less lies together. */
static const char *step_down (const struct vmc_target *target, uint64_t *offset, uint64_t *length)
{
	uint64_t inside = *offset - target->start, left = target->length - inside, chunk = target->chunk_bytes;
	const struct vmc_leg *legs = target->legs.items;
	size_t leg = 0;

	if (target->legs.count > 1) {
		leg = inside / chunk % target->legs.count;
		left = left < chunk - inside % chunk ? left : chunk - inside % chunk;
		inside = inside / chunk / target->legs.count * chunk + inside % chunk;
	}
	*offset = legs[leg].offset + inside;
	*length = left < *length ? left : *length;
	return legs[leg].device;
}

int vmc_stack_spot (const struct vmc_list *devices, const char *device, uint64_t offset, struct vmc_spot *spot,
		    struct vmc_error *err)
{
	uint64_t length = INT64_MAX;

	for (size_t steps = 0; steps <= devices->count; steps++) {
		const struct vmc_device *here = vmc_stack_find (devices, device);
		const struct vmc_target *target;

		if (here == NULL || offset >= here->bytes)
			return vmc_fail (err, VMC_PROTOCOL, ERANGE, "a range leaves the device '%s'", device);
		if (here->why_not_map[0] != 0)
			return vmc_fail (err, VMC_UNSUPPORTED, 0, "%s", here->why_not_map);
		length = here->bytes - offset < length ? here->bytes - offset : length;
		if (here->below.count == 0) {
			*spot = (struct vmc_spot) {here, offset, length};
			return 0;
		}
		target = target_at (here, offset);
		if (target == NULL)
			break;
		device = step_down (target, &offset, &length);
	}
	return vmc_fail (err, VMC_PROTOCOL, ERANGE, "the device '%s' has no table for a range", device);
}

/* --- what lies below ---------------------------------------------------------------------------- */

/* Mark what lies below DEVICE, itself included, in MARKS (one for each of DEVICES). The lower ones come first in the list,
 * so one turn from the last to the first finds them all. */
void vmc_stack_mark_below (const struct vmc_list *devices, const char *device, bool *marks)
{
	for (size_t i = devices->count; i-- > 0;) {
		const struct vmc_device *one = get (devices, i);

		marks[i] = strcmp (one->device, device) == 0;
		for (size_t j = i + 1; j < devices->count && !marks[i]; j++)
			marks[i] = marks[j] && lies_on (get (devices, j), one->device);
	}
}

void vmc_stack_mark_above (const struct vmc_list *devices, const char *below, bool *marks)
{
	for (size_t i = 0; i < devices->count; i++) {
		const struct vmc_device *one = get (devices, i);

		marks[i] = strcmp (one->device, below) == 0;
		for (size_t j = 0; j < i && !marks[i]; j++)
			marks[i] = marks[j] && lies_on (one, get (devices, j)->device);
	}
}

bool vmc_stack_uses (const struct vmc_list *devices, const char *device, const char *below)
{
	bool marks[VMC_DEVICES_MAX];

	vmc_stack_mark_below (devices, device, marks);
	for (size_t i = 0; i < devices->count; i++)
		if (marks[i] && strcmp (get (devices, i)->device, below) == 0)
			return true;
	return false;
}

bool vmc_stack_encrypted (const struct vmc_list *devices, const char *device)
{
	bool marks[VMC_DEVICES_MAX];

	vmc_stack_mark_below (devices, device, marks);
	for (size_t i = 0; i < devices->count; i++)
		if (marks[i] && get (devices, i)->encrypted)
			return true;
	return false;
}

const char *vmc_stack_why_not_map (const struct vmc_list *devices, const char *device)
{
	bool marks[VMC_DEVICES_MAX];

	vmc_stack_mark_below (devices, device, marks);
	for (size_t i = devices->count; i-- > 0;)
		if (marks[i] && get (devices, i)->why_not_map[0] != 0)
			return get (devices, i)->why_not_map;
	return "";
}

const char *vmc_stack_uuid_tag (const char *content)
{
	return strcmp (content, "linux_raid_member") == 0 ? "UUID_SUB" : "UUID";
}

/* --- comparing ----------------------------------------------------------------------------------- */

static bool same_target (const struct vmc_target *a, const struct vmc_target *b)
{
	const struct vmc_leg *a_legs = a->legs.items, *b_legs = b->legs.items;

	if (a->start != b->start || a->length != b->length || a->chunk_bytes != b->chunk_bytes ||
	    a->legs.count != b->legs.count)
		return false;
	for (size_t i = 0; i < a->legs.count; i++)
		if (strcmp (a_legs[i].device, b_legs[i].device) != 0 || a_legs[i].offset != b_legs[i].offset)
			return false;
	return true;
}

bool vmc_stack_same_device (const struct vmc_device *a, const struct vmc_device *b)
{
	const struct vmc_target *a_targets = a->targets.items, *b_targets = b->targets.items;

	if (strcmp (a->device, b->device) != 0 || strcmp (a->kind, b->kind) != 0 || a->encrypted != b->encrypted ||
	    a->bytes != b->bytes || strcmp (a->why_not_map, b->why_not_map) != 0 ||
	    a->targets.count != b->targets.count)
		return false;
	for (size_t i = 0; i < a->targets.count; i++)
		if (!same_target (&a_targets[i], &b_targets[i]))
			return false;
	return true;
}
