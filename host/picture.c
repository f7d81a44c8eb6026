/* picture.c - see picture.h */
#include "picture.h"

#include <stdio.h>

static uint64_t lesser (uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* [START, END) may reach over several cells. */
static void add (struct vmc_picture *picture, bool freed, uint64_t start, uint64_t end)
{
	while (start < end) {
		uint64_t cell = start / picture->cell_bytes;
		uint64_t stop = lesser (end, (cell + 1) * picture->cell_bytes);

		if (cell >= VMC_TABLE_CELLS)
			return;
		(freed ? picture->freed : picture->used)[cell] += stop - start;
		*(freed ? &picture->freed_bytes : &picture->used_bytes) += stop - start;
		start = stop;
	}
}

void vmc_picture_draw (struct vmc_picture *picture, uint64_t virtual_bytes, const struct vmc_extents *allocated,
		       const struct vmc_extents *free)
{
	size_t j = 0;

	picture->cell_bytes = virtual_bytes / VMC_TABLE_CELLS + 1;
	for (size_t i = 0; i < allocated->count; i++) {
		uint64_t at = allocated->items[i].start, end = at + allocated->items[i].length;

		while (at < end) {
			bool freed;
			uint64_t stop;

			while (j < free->count && free->items[j].start + free->items[j].length <= at)
				j++;
			freed = j < free->count && free->items[j].start <= at;
			stop = j == free->count ? end : free->items[j].start + (freed ? free->items[j].length : 0);
			add (picture, freed, at, lesser (stop, end));
			at = lesser (stop, end);
		}
	}
}

void vmc_picture_print (const struct vmc_picture *picture)
{
	const char *const *marks = vmc_table_marks ();

	if (picture->used_bytes + picture->freed_bytes == 0)
		return;
	(void) fputs ("      [", stdout);
	for (size_t i = 0; i < VMC_TABLE_CELLS; i++) {
		uint64_t used = picture->used[i], freed = picture->freed[i];

		(void) fputs (used + freed < picture->cell_bytes / 16 ? marks[2]
			      : used >= freed                         ? marks[0]
								      : marks[1],
			      stdout);
	}
	(void) printf ("]  %s used  %s freed  %s never allocated\n", marks[0], marks[1], marks[2]);
}
