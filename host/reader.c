/* reader.c - the parent's side of reader.h */
#include "reader.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "process.h"
#include "reader_record.h"
#include "text.h"

#define RANGES_AT_ONCE 4096 /* as many as a pipe holds, by default */
#define MEANWHILE_MS 500

void vmc_reading_clear (struct vmc_reading *reading)
{
	for (size_t i = 0; i < reading->view_count; i++)
		vmc_extents_clear (&reading->views[i].free);
	free (reading->views);
	free (reading->places);
	vmc_extents_clear (&reading->free);
	*reading = (struct vmc_reading) {0};
}

/* Where the findings come from. */
struct channel {
	int fd;
	uint64_t deadline_ms;
	const struct vmc_meanwhile *meanwhile; /* may be NULL */
};

static int look_around (const struct channel *channel, struct vmc_error *err)
{
	struct pollfd entry = {.fd = channel->fd, .events = POLLIN};

	if (channel->meanwhile == NULL)
		return 0;
	while (vmc_now_ms () < channel->deadline_ms && poll (&entry, 1, MEANWHILE_MS) <= 0)
		if (channel->meanwhile->look (channel->meanwhile->opaque, err) < 0)
			return -1;
	return 0;
}

/* How many of LENGTH bytes can be read at once; 1, when there are none: the reader has ended. */
static size_t at_once (const struct channel *channel, size_t length)
{
	int ready = 0;

	if (ioctl (channel->fd, FIONREAD, &ready) < 0 || ready <= 0)
		return 1;
	return (size_t) ready < length ? (size_t) ready : length;
}

/* A reader that sends half of something is not waited for without a look around. */
static int get (const struct channel *channel, void *data, size_t length, struct vmc_error *err)
{
	char *bytes = data;

	while (length > 0) {
		size_t part;

		if (look_around (channel, err) < 0)
			return -1;
		part = at_once (channel, length);
		if (vmc_process_read (channel->fd, "the reader", bytes, part, channel->deadline_ms, err) < 0)
			return -1;
		bytes += part;
		length -= part;
	}
	return 0;
}

/* The ranges of one record: sorted, not overlapping, inside [START, END). What all of them together have beyond the bound counts
 * as used. */
static int get_ranges (const struct channel *channel, const struct vmc_record *record, uint64_t start, uint64_t end,
		       struct vmc_reading *reading, struct vmc_extents *free, struct vmc_error *err)
{
	struct vmc_extent some[RANGES_AT_ONCE];

	for (uint64_t i = 0; i < record->ranges; i++) {
		uint64_t left = record->ranges - i, at = i % RANGES_AT_ONCE;
		const struct vmc_extent *one = &some[at];

		if (at == 0 &&
		    get (channel, some, (left < RANGES_AT_ONCE ? left : RANGES_AT_ONCE) * sizeof *some, err) < 0)
			return -1;
		if (one->length == 0 || one->start < start || one->start > end || one->length > end - one->start)
			return vmc_fail (err, VMC_PROTOCOL, 0, "the reader named ranges that are not in order");
		start = one->start + one->length;
		if (reading->ranges >= VMC_MAP_MAX_RANGES)
			continue;
		reading->ranges++;
		if (vmc_extents_add (free, one->start, one->length, err) < 0)
			return -1;
	}
	return 0;
}

static int senseless (struct vmc_error *err)
{
	return vmc_fail (err, VMC_PROTOCOL, 0, "the reader sent what makes no sense");
}

static bool texts_end (const struct vmc_record *record)
{
	return memchr (record->text, 0, sizeof record->text) != NULL &&
	       memchr (record->type, 0, sizeof record->type) != NULL &&
	       memchr (record->name, 0, sizeof record->name) != NULL;
}

static int check_place (const struct vmc_record *record, const struct vmc_reading *reading, uint64_t disk_bytes,
			struct vmc_error *err)
{
	if (record->offset > disk_bytes || record->length > disk_bytes - record->offset ||
	    record->data > record->length || record->ranges > VMC_MAP_MAX_RANGES ||
	    (!record->usable && (record->ranges > 0 || record->alone)) || (record->usable && record->in_use) ||
	    reading->count == VMC_RECORD_PLACES_MAX)
		return senseless (err);
	for (size_t i = 0; i < reading->count; i++)
		if (record->offset < reading->places[i].offset + reading->places[i].length &&
		    reading->places[i].offset < record->offset + record->length)
			return vmc_fail (err, VMC_PROTOCOL, 0, "the reader named places that overlap");
	return 0;
}

static int take_place (const struct channel *channel, const struct vmc_record *record, uint64_t disk_bytes,
		       struct vmc_reading *reading, struct vmc_error *err)
{
	struct vmc_witness *place = &reading->places[reading->count];

	if (check_place (record, reading, disk_bytes, err) < 0)
		return -1;
	reading->count++;
	*place = (struct vmc_witness) {.offset = record->offset,
				       .length = record->length,
				       .data = record->data,
				       .usable = record->usable != 0,
				       .alone = record->alone != 0,
				       .in_use = record->in_use != 0,
				       .checksums = record->checksums != 0};
	vmc_text_escape (place->type, sizeof place->type, record->type);
	vmc_text_escape (place->uuid, sizeof place->uuid, record->name);
	vmc_text_escape (place->why_not, sizeof place->why_not, record->text);
	return get_ranges (channel, record, record->offset, record->offset + record->length, reading, &reading->free,
			   err);
}

static int take_view (const struct channel *channel, const struct vmc_record *record, uint64_t disk_bytes,
		      struct vmc_reading *reading, struct vmc_error *err)
{
	struct vmc_view *view;

	if (record->ranges > VMC_MAP_MAX_RANGES || (!record->usable && record->ranges > 0) ||
	    reading->view_count == VMC_FILESYSTEMS_MAX)
		return senseless (err);
	view = reallocarray (reading->views, reading->view_count + 1, sizeof *view);
	if (view == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the reader's findings");
	reading->views = view;
	view += reading->view_count++;
	*view = (struct vmc_view) {.usable = record->usable != 0, .checksums = record->checksums != 0};
	memcpy (view->filesystem, record->name, sizeof view->filesystem);
	vmc_text_escape (view->why_not, sizeof view->why_not, record->text);
	return get_ranges (channel, record, 0, disk_bytes, reading, &view->free, err);
}

static int tell_failure (struct vmc_record *record, struct vmc_error *err)
{
	char text[200];

	record->text[sizeof record->text - 1] = 0;
	vmc_text_escape (text, sizeof text, record->text);
	return vmc_fail (err, VMC_REFUSED, 0, "the reader: %s", text);
}

static int take_all (const struct channel *channel, uint64_t disk_bytes, struct vmc_reading *reading,
		     struct vmc_error *err)
{
	for (;;) {
		struct vmc_record record;
		int result;

		if (get (channel, &record, sizeof record, err) < 0)
			return -1;
		if (record.kind == VMC_RECORD_END)
			return 0;
		if (record.kind == VMC_RECORD_FAILED)
			return tell_failure (&record, err);
		if (!texts_end (&record) || (record.kind != VMC_RECORD_PLACE && record.kind != VMC_RECORD_VIEW))
			return senseless (err);
		result = record.kind == VMC_RECORD_PLACE ? take_place (channel, &record, disk_bytes, reading, err)
							 : take_view (channel, &record, disk_bytes, reading, err);
		if (result < 0)
			return -1;
	}
}

/* It closed the pipe too early: what it died of says more than that it did. */
static int tell_death (struct vmc_process *child, uint64_t deadline_ms, struct vmc_error *err)
{
	struct vmc_error death;

	if (err->errnum == EPIPE && vmc_process_wait (child, deadline_ms, &death) < 0 && death.code != VMC_TIMEOUT)
		*err = death;
	return -1;
}

static int take (const struct channel *channel, uint64_t disk_bytes, struct vmc_reading *reading, struct vmc_error *err)
{
	reading->places = calloc (VMC_RECORD_PLACES_MAX, sizeof *reading->places);
	if (reading->places == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the reader's findings");
	if (take_all (channel, disk_bytes, reading, err) < 0)
		return -1;
	vmc_extents_normalise (&reading->free);
	return 0;
}

int vmc_reader_take (int fd, uint64_t disk_bytes, uint64_t deadline_ms, struct vmc_reading *reading,
		     struct vmc_error *err)
{
	return take (&(struct channel) {.fd = fd, .deadline_ms = deadline_ms}, disk_bytes, reading, err);
}

static int run (int nbd_fd, int claims_fd, uint64_t disk_bytes, uint64_t deadline_ms,
		const struct vmc_meanwhile *meanwhile, struct vmc_reading *reading, struct vmc_error *err)
{
	const char *const argv[] = {"/proc/self/exe", VMC_READER_OPTION, claims_fd < 0 ? NULL : VMC_READER_WITH_CLAIMS,
				    NULL};
	VMC_CLEANUP_PROCESS struct vmc_process child = VMC_PROCESS_INIT;
	struct channel channel = {.deadline_ms = deadline_ms, .meanwhile = meanwhile};

	if (vmc_process_start_with (&child, argv, nbd_fd, claims_fd, err) < 0)
		return -1;
	(void) snprintf (child.name, sizeof child.name, "the reader");
	channel.fd = child.output_fd;
	if (take (&channel, disk_bytes, reading, err) < 0)
		return tell_death (&child, deadline_ms, err);
	return vmc_process_wait (&child, deadline_ms, err);
}

int vmc_reader_run (int nbd_fd, uint64_t disk_bytes, const struct vmc_claims *claims, uint64_t deadline_ms,
		    const struct vmc_meanwhile *meanwhile, struct vmc_reading *reading, struct vmc_error *err)
{
	int claims_fd = claims ? vmc_claims_write (claims, err) : -1, result;

	if (claims != NULL && claims_fd < 0)
		return -1;
	result = run (nbd_fd, claims_fd, disk_bytes, deadline_ms, meanwhile, reading, err);
	if (claims_fd >= 0)
		(void) close (claims_fd);
	return result;
}
