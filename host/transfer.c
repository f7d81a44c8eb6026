/* transfer.c - see transfer.h
 *
 * A ring of windows. Three counters go round it, each behind the one before: BEGUN windows are being read, of ENDED ones the
 * end function was called (they may be being written), DONE ones are empty again.
 */
#include "transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define TURN_MS 100

struct ring {
	struct vmc_window windows[VMC_WINDOWS];
	uint64_t begun, ended, done;
	uint64_t asked_bytes; /* of the whole transfer */
	uint64_t position;    /* where the next window may begin */
};

bool vmc_window_part (const struct vmc_window *window, const struct vmc_extents *list, size_t *index,
		      struct vmc_extent *part)
{
	uint64_t window_end = window->start + window->length, end;

	*index = *index == 0 ? vmc_extents_first_behind (list, window->start) : *index;
	if (*index >= list->count || list->items[*index].start >= window_end)
		return false;
	part->start = list->items[*index].start;
	end = part->start + list->items[*index].length;
	part->start = part->start > window->start ? part->start : window->start;
	part->length = (end < window_end ? end : window_end) - part->start;
	(*index)++;
	return true;
}

static uint64_t bytes_in (const struct vmc_window *window, const struct vmc_extents *list)
{
	struct vmc_extent part;
	uint64_t bytes = 0;

	for (size_t i = 0; vmc_window_part (window, list, &i, &part);)
		bytes += part.length;
	return bytes;
}

int vmc_window_read (struct vmc_window *window, struct vmc_export *export, unsigned char *buffer,
		     const struct vmc_extents *list, struct vmc_error *err)
{
	struct vmc_extent part;

	if (bytes_in (window, list) < window->length)
		memset (buffer, 0, window->length);
	for (size_t i = 0; vmc_window_part (window, list, &i, &part);)
		if (vmc_export_read (export, buffer + (part.start - window->start), part.start, part.length,
				     &window->waiting, err) < 0)
			return -1;
	return 0;
}

/* Find the place of the next window. False: there is none. */
static bool place (struct vmc_transfer *transfer, struct ring *ring, struct vmc_window *window)
{
	const struct vmc_extents *todo = transfer->todo;
	size_t i = vmc_extents_first_behind (todo, ring->position);
	uint64_t left;

	if (i >= todo->count)
		return false;
	window->start = todo->items[i].start > ring->position ? todo->items[i].start : ring->position;
	window->start &= ~(VMC_WINDOW_BYTES - 1);
	left = transfer->exports[0]->size_bytes - window->start;
	window->length = left < VMC_WINDOW_BYTES ? left : VMC_WINDOW_BYTES;
	ring->position = window->start + window->length;
	return true;
}

/* 1: one was begun. 0: no room, nothing left, or not yet. */
static int try_begin (struct vmc_transfer *transfer, struct ring *ring, struct vmc_error *err)
{
	struct vmc_window *window = &ring->windows[ring->begun % VMC_WINDOWS];

	if (ring->begun == ring->done + VMC_WINDOWS || vmc_pace_wait_ms (transfer->pace, ring->asked_bytes) > 0 ||
	    !place (transfer, ring, window))
		return 0;
	ring->asked_bytes += bytes_in (window, transfer->todo);
	ring->begun++;
	return transfer->begin (transfer, window, err) < 0 ? -1 : 1;
}

static int try_end (struct vmc_transfer *transfer, struct ring *ring, struct vmc_error *err)
{
	struct vmc_window *window = &ring->windows[ring->ended % VMC_WINDOWS];

	if (ring->ended == ring->begun || window->waiting > 0 || (transfer->one_by_one && ring->done != ring->ended))
		return 0;
	/* What was answered with an error is no data. */
	for (int i = 0; i < 2; i++)
		if (transfer->exports[i]->errnum != 0)
			return vmc_export_turn (transfer->exports, 2, 0, transfer->pace, err);
	ring->ended++;
	return transfer->end (transfer, window, err) < 0 ? -1 : 1;
}

static int try_done (struct vmc_transfer *transfer, struct ring *ring)
{
	struct vmc_window *window = &ring->windows[ring->done % VMC_WINDOWS];

	if (ring->done == ring->ended || window->waiting > 0)
		return 0;
	transfer->pace->done_bytes += bytes_in (window, transfer->todo);
	ring->done++;
	return 1;
}

/* 1: something has changed. */
static int step (struct vmc_transfer *transfer, struct ring *ring, struct vmc_error *err)
{
	int begun, ended;

	begun = try_begin (transfer, ring, err);
	if (begun < 0)
		return -1;
	ended = try_end (transfer, ring, err);
	if (ended < 0)
		return -1;
	return begun | ended | try_done (transfer, ring);
}

static bool all_done (const struct vmc_transfer *transfer, const struct ring *ring)
{
	return ring->done == ring->begun &&
	       vmc_extents_first_behind (transfer->todo, ring->position) >= transfer->todo->count;
}

static int go_round (struct vmc_transfer *transfer, struct ring *ring, struct vmc_error *err)
{
	while (!all_done (transfer, ring)) {
		unsigned wait_ms = vmc_pace_wait_ms (transfer->pace, ring->asked_bytes);
		int changed = step (transfer, ring, err);

		if (changed < 0)
			return -1;
		if (changed > 0)
			wait_ms = 0;
		else if (wait_ms == 0 || ring->begun == ring->done + VMC_WINDOWS)
			wait_ms = TURN_MS;
		if (vmc_export_turn (transfer->exports, 2, wait_ms, transfer->pace, err) < 0)
			return -1;
	}
	return 0;
}

int vmc_transfer_run (struct vmc_transfer *transfer, struct vmc_error *err)
{
	unsigned char *memory = aligned_alloc (VMC_WINDOW_ALIGN, 2 * VMC_WINDOWS * VMC_WINDOW_BYTES);
	struct ring ring = {0};
	int result;

	if (memory == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory to copy with");
	for (size_t i = 0; i < 2 * VMC_WINDOWS; i++)
		ring.windows[i / 2].buffers[i % 2] = memory + i * VMC_WINDOW_BYTES;
	transfer->pace->begun_ms = vmc_now_ms ();
	result = go_round (transfer, &ring, err);
	if (result < 0) { /* before the memory goes that requests read into */
		vmc_export_drop (transfer->exports[0]);
		vmc_export_drop (transfer->exports[1]);
	}
	free (memory);
	return result;
}
