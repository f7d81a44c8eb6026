/* extent.c - see extent.h */
#include "extent.h"

#include <errno.h>
#include <stdlib.h>

void vmc_extents_clear (struct vmc_extents *list)
{
	free (list->items);
	*list = (struct vmc_extents) {0};
}

static uint64_t end_of (const struct vmc_extent *extent)
{
	return extent->start + extent->length;
}

static int make_room (struct vmc_extents *list, struct vmc_error *err)
{
	size_t room = list->room ? list->room * 2 : 64;
	struct vmc_extent *items;

	if (list->count < list->room)
		return 0;
	items = reallocarray (list->items, room, sizeof *items);
	if (items == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for a list of %zu ranges", room);
	list->items = items;
	list->room = room;
	return 0;
}

int vmc_extents_add (struct vmc_extents *list, uint64_t start, uint64_t length, struct vmc_error *err)
{
	struct vmc_extent *last = list->count ? &list->items[list->count - 1] : NULL;

	if (length == 0)
		return 0;
	if (start > INT64_MAX || length > INT64_MAX - start)
		return vmc_fail (err, VMC_PROTOCOL, ERANGE, "a range ends beyond 2^63 bytes");
	if (last != NULL && end_of (last) == start) {
		last->length += length;
		return 0;
	}
	if (make_room (list, err) < 0)
		return -1;
	list->items[list->count++] = (struct vmc_extent) {start, length};
	return 0;
}

int vmc_extents_take (struct vmc_extents *list, struct vmc_extents *from, struct vmc_error *err)
{
	if (list->count == 0) {
		vmc_extents_clear (list);
		*list = *from;
		*from = (struct vmc_extents) {0};
		return 0;
	}
	for (size_t i = 0; i < from->count; i++)
		if (vmc_extents_add (list, from->items[i].start, from->items[i].length, err) < 0)
			return -1;
	vmc_extents_clear (from);
	return 0;
}

static int by_start (const void *a, const void *b)
{
	const struct vmc_extent *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static bool in_order (const struct vmc_extents *list)
{
	for (size_t i = 1; i < list->count; i++)
		if (list->items[i].start < list->items[i - 1].start)
			return false;
	return true;
}

void vmc_extents_normalise (struct vmc_extents *list)
{
	size_t kept = 0;

	if (list->count == 0)
		return;
	if (!in_order (list)) /* qsort takes as much memory again */
		qsort (list->items, list->count, sizeof *list->items, by_start);
	for (size_t i = 1; i < list->count; i++) {
		struct vmc_extent *last = &list->items[kept], next = list->items[i];

		if (next.start > end_of (last))
			list->items[++kept] = next;
		else if (end_of (&next) > end_of (last))
			last->length = end_of (&next) - last->start;
	}
	list->count = kept + 1;
}

bool vmc_extents_valid (const struct vmc_extents *list, uint64_t end)
{
	uint64_t free_from = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct vmc_extent *extent = &list->items[i];

		if (extent->length == 0 || extent->start < free_from || extent->start > end ||
		    extent->length > end - extent->start)
			return false;
		free_from = end_of (extent);
	}
	return true;
}

int vmc_extents_intersect (const struct vmc_extents *a, const struct vmc_extents *b, struct vmc_extents *out,
			   struct vmc_error *err)
{
	for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
		const struct vmc_extent *x = &a->items[i], *y = &b->items[j];
		uint64_t start = x->start > y->start ? x->start : y->start;
		uint64_t end = end_of (x) < end_of (y) ? end_of (x) : end_of (y);

		if (start < end && vmc_extents_add (out, start, end - start, err) < 0)
			return -1;
		if (end_of (x) < end_of (y))
			i++;
		else
			j++;
	}
	return 0;
}

int vmc_extents_subtract (const struct vmc_extents *a, const struct vmc_extents *b, struct vmc_extents *out,
			  struct vmc_error *err)
{
	size_t j = 0;

	for (size_t i = 0; i < a->count; i++) {
		uint64_t start = a->items[i].start, end = end_of (&a->items[i]);

		while (j < b->count && end_of (&b->items[j]) <= start)
			j++;
		for (size_t k = j; k < b->count && b->items[k].start < end; k++) {
			if (b->items[k].start > start &&
			    vmc_extents_add (out, start, b->items[k].start - start, err) < 0)
				return -1;
			start = end_of (&b->items[k]);
		}
		if (start < end && vmc_extents_add (out, start, end - start, err) < 0)
			return -1;
	}
	return 0;
}

void vmc_extents_align_inward (struct vmc_extents *list, uint64_t align)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		uint64_t start = (list->items[i].start + align - 1) & ~(align - 1);
		uint64_t end = end_of (&list->items[i]) & ~(align - 1);

		if (start < end)
			list->items[kept++] = (struct vmc_extent) {start, end - start};
	}
	list->count = kept;
}

void vmc_extents_align_outward (struct vmc_extents *list, uint64_t align, uint64_t end)
{
	for (size_t i = 0; i < list->count; i++) {
		struct vmc_extent *extent = &list->items[i];
		uint64_t extent_end = (end_of (extent) + align - 1) & ~(align - 1);

		extent->start &= ~(align - 1);
		extent->length = (extent_end < end ? extent_end : end) - extent->start;
	}
	vmc_extents_normalise (list);
}

size_t vmc_extents_first_behind (const struct vmc_extents *list, uint64_t offset)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (end_of (&list->items[middle]) <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint64_t vmc_extents_total (const struct vmc_extents *list)
{
	uint64_t total = 0;

	for (size_t i = 0; i < list->count; i++)
		total += list->items[i].length;
	return total;
}
