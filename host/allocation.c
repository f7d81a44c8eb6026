/* allocation.c - see allocation.h
 *
 * "qemu-img map" prints one object a line: start, length, depth (0: the top layer), present, zero, data, offset (only
 * where the bytes lie in the file as they are: not for compressed clusters). Zero clusters that kept their place have an
 * offset, too: they take space as well.
 */
#include "allocation.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "image.h"
#include "process.h"

#define LOOK_MS 1000
#define PIECE_MAX_BYTES 65536u
#define PIECE_OPTION_SIZE 48
#define STORED_MAX (8u << 20) /* runs of one image: more is not fragmentation but an attack */

void vmc_allocation_clear (struct vmc_allocation *allocation)
{
	free (allocation->items);
	vmc_extents_clear (&allocation->data);
	*allocation = (struct vmc_allocation) {0};
}

static int add (struct vmc_allocation *allocation, struct vmc_stored stored, struct vmc_error *err)
{
	struct vmc_stored *last = allocation->count ? &allocation->items[allocation->count - 1] : NULL;

	if (last != NULL && stored.start < last->start + last->length)
		return vmc_fail (err, VMC_FAILED, 0, "qemu-img named runs that are not in order");
	if (allocation->count == STORED_MAX)
		return vmc_fail (err, VMC_REFUSED, 0, "the image has more than %u runs", STORED_MAX);
	if (allocation->count == allocation->room) {
		size_t room = allocation->room ? allocation->room * 2 : 256;
		struct vmc_stored *items = reallocarray (allocation->items, room, sizeof *items);

		if (items == NULL)
			return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the map of the image");
		allocation->items = items;
		allocation->room = room;
	}
	allocation->items[allocation->count++] = stored;
	return 0;
}

/* False: there is no such number, or one that cannot be. */
static bool number (struct json_object *object, const char *key, uint64_t *value)
{
	struct json_object *member;
	int64_t signed_value;

	if (!json_object_object_get_ex (object, key, &member) || !json_object_is_type (member, json_type_int))
		return false;
	signed_value = json_object_get_int64 (member);
	if (signed_value < 0 || signed_value == INT64_MAX)
		return false;
	*value = (uint64_t) signed_value;
	return true;
}

int vmc_allocation_take_line (struct vmc_allocation *allocation, const char *line, struct vmc_error *err)
{
	struct json_object *object, *compressed = NULL;
	struct vmc_stored stored;
	uint64_t depth;
	bool ours;

	line = strchr (line, '{');
	if (line == NULL)
		return 0; /* the brackets around the list */
	object = json_tokener_parse (line);
	if (object == NULL || !number (object, "start", &stored.start) || !number (object, "length", &stored.length) ||
	    !number (object, "depth", &depth) || stored.length > INT64_MAX - stored.start) {
		json_object_put (object);
		return vmc_fail (err, VMC_FAILED, 0, "qemu-img printed a map that cannot be read");
	}
	ours = depth == 0 && number (object, "offset", &stored.file_offset) &&
	       stored.length <= INT64_MAX - stored.file_offset && stored.length > 0 &&
	       !(json_object_object_get_ex (object, "compressed", &compressed) && json_object_get_boolean (compressed));
	json_object_put (object);
	return ours ? add (allocation, stored, err) : 0;
}

/* Take the lines that are complete in BUFFER (*USED bytes), keep the rest. */
static int take_lines (struct vmc_allocation *allocation, char *buffer, size_t *used, struct vmc_error *err)
{
	char *line = buffer, *newline;

	while ((newline = memchr (line, '\n', *used - (size_t) (line - buffer))) != NULL) {
		*newline = 0;
		if (vmc_allocation_take_line (allocation, line, err) < 0)
			return -1;
		line = newline + 1;
	}
	*used -= (size_t) (line - buffer);
	memmove (buffer, line, *used);
	return 0;
}

static int read_map (int fd, uint64_t deadline_ms, struct vmc_allocation *allocation, struct vmc_error *err)
{
	char buffer[65536];
	size_t used = 0;

	for (;;) {
		struct pollfd entry = {.fd = fd, .events = POLLIN};
		ssize_t got;

		if (vmc_now_ms () >= deadline_ms)
			return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT, "qemu-img has not finished in time");
		if (poll (&entry, 1, LOOK_MS) <= 0)
			continue;
		got = read (fd, buffer + used, sizeof buffer - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return vmc_fail (err, VMC_FAILED, errno, "cannot read what qemu-img prints");
		used += (size_t) got;
		if (take_lines (allocation, buffer, &used, err) < 0)
			return -1;
		if (got == 0 || used == sizeof buffer)
			return used == 0 ? 0
					 : vmc_fail (err, VMC_FAILED, 0, "qemu-img printed a map that cannot be read");
	}
}

/* The tables of a qcow2 are read from end to end: in as large pieces as QEMU can, not in those of 4 KiB that suit a guest. A header
 * that is not understood is left to qemu-img. */
static void add_piece_option (const char *format, const char *path, char *options)
{
	size_t used = strlen (options);
	struct vmc_error ignored;
	struct vmc_qcow2 facts;

	if (strcmp (format, "qcow2") != 0 || vmc_image_header (path, &facts, &ignored) < 0)
		return;
	(void) snprintf (options + used, PIECE_OPTION_SIZE, ",l2-cache-entry-size=%llu",
			 (unsigned long long) (facts.cluster_bytes < PIECE_MAX_BYTES ? facts.cluster_bytes
										     : PIECE_MAX_BYTES));
}

static int run_map (const char *format, const char *path, bool live, uint64_t deadline_ms,
		    struct vmc_allocation *allocation, struct vmc_error *err)
{
	VMC_CLEANUP_PROCESS struct vmc_process process = VMC_PROCESS_INIT;
	char options[VMC_IMAGE_OPTIONS_SIZE + PIECE_OPTION_SIZE];
	const char *const argv[] = {"qemu-img",         "map", "--output=json", "--image-opts", options,
				    live ? "-U" : NULL, NULL};
	struct vmc_error map_error;
	int result;

	vmc_image_options (format, path, options);
	add_piece_option (format, path, options);
	if (vmc_process_start (&process, argv, -1, err) < 0)
		return -1;
	result = read_map (process.output_fd, deadline_ms, allocation, &map_error);
	/* What qemu-img says of itself is the better explanation. */
	if (vmc_process_wait (&process, result < 0 ? 0 : deadline_ms, err) < 0)
		return -1;
	if (result < 0)
		*err = map_error;
	return result;
}

/* A block device does not tell where it has holes. */
static int take_device (int fd, const char *path, struct vmc_extents *data, struct vmc_error *err)
{
	uint64_t bytes;

	if (ioctl (fd, BLKGETSIZE64, &bytes) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot ask for the size of '%s'", path);
	return vmc_extents_add (data, 0, bytes, err);
}

static int find_data (int fd, const char *path, struct vmc_extents *data, struct vmc_error *err)
{
	off_t hole = 0;
	int result = 0;

	while (result == 0) {
		off_t start = lseek (fd, hole, SEEK_DATA);

		if (start < 0)
			break; /* ENXIO: no data behind here */
		hole = lseek (fd, start, SEEK_HOLE);
		if (hole <= start) {
			errno = EIO;
			break;
		}
		result = vmc_extents_add (data, (uint64_t) start, (uint64_t) (hole - start), err);
	}
	if (result == 0 && errno != ENXIO)
		result = vmc_fail (err, VMC_FAILED, errno, "cannot find the holes of '%s'", path);
	return result;
}

static int read_data (const char *path, struct vmc_extents *data, struct vmc_error *err)
{
	int fd = open (path, O_RDONLY | O_CLOEXEC), result;
	struct stat status;

	if (fd < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot open '%s'", path);
	if (fstat (fd, &status) == 0 && S_ISBLK (status.st_mode))
		result = take_device (fd, path, data, err);
	else
		result = find_data (fd, path, data, err);
	(void) close (fd);
	return result;
}

int vmc_allocation_read (const char *format, const char *path, bool live, uint64_t deadline_ms,
			 struct vmc_allocation *allocation, struct vmc_error *err)
{
	if (run_map (format, path, live, deadline_ms, allocation, err) < 0)
		return vmc_fail_in (err, "cannot map '%s'", path);
	return read_data (path, &allocation->data, err);
}

uint64_t vmc_allocation_end (const struct vmc_allocation *allocation)
{
	uint64_t end = 0;

	for (size_t i = 0; i < allocation->count; i++) {
		uint64_t this_end = allocation->items[i].file_offset + allocation->items[i].length;

		end = this_end > end ? this_end : end;
	}
	return end;
}

/* For the LENGTH bytes at FILE_OFFSET: add the parts that are data to OUT, moved so that FILE_OFFSET becomes AS. */
static int add_data (const struct vmc_extents *data, uint64_t file_offset, uint64_t length, uint64_t as,
		     struct vmc_extents *out, struct vmc_error *err)
{
	for (size_t i = vmc_extents_first_behind (data, file_offset);
	     i < data->count && data->items[i].start < file_offset + length; i++) {
		uint64_t start = data->items[i].start, end = start + data->items[i].length;

		start = start > file_offset ? start : file_offset;
		end = end < file_offset + length ? end : file_offset + length;
		if (vmc_extents_add (out, as + (start - file_offset), end - start, err) < 0)
			return -1;
	}
	return 0;
}

int vmc_allocation_ranges (const struct vmc_allocation *allocation, struct vmc_extents *ranges, struct vmc_error *err)
{
	for (size_t i = 0; i < allocation->count; i++) {
		const struct vmc_stored *one = &allocation->items[i];

		if (add_data (&allocation->data, one->file_offset, one->length, one->start, ranges, err) < 0)
			return -1;
	}
	vmc_extents_normalise (ranges);
	return 0;
}

/* Where FREE is stored and takes space, in the order of the disk. */
static int locate_all (const struct vmc_allocation *allocation, const struct vmc_extents *free,
		       struct vmc_extents *places, struct vmc_error *err)
{
	for (size_t i = 0, j = 0; i < free->count && j < allocation->count;) {
		const struct vmc_extent *range = &free->items[i];
		const struct vmc_stored *stored = &allocation->items[j];
		uint64_t start = range->start > stored->start ? range->start : stored->start;
		uint64_t range_end = range->start + range->length, stored_end = stored->start + stored->length;
		uint64_t end = range_end < stored_end ? range_end : stored_end;
		uint64_t offset = stored->file_offset + (start - stored->start);

		if (start < end && add_data (&allocation->data, offset, end - start, offset, places, err) < 0)
			return -1;
		if (range_end < stored_end)
			i++;
		else
			j++;
	}
	return 0;
}

/* All of the disk's places: no two may overlap. */
static int check_disjoint (const struct vmc_allocation *allocation, struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents all = {0};
	uint64_t total;

	for (size_t i = 0; i < allocation->count; i++)
		if (vmc_extents_add (&all, allocation->items[i].file_offset, allocation->items[i].length, err) < 0)
			return -1;
	total = vmc_extents_total (&all);
	vmc_extents_normalise (&all);
	if (vmc_extents_total (&all) == total)
		return 0;
	return vmc_fail (err, VMC_REFUSED, 0,
			 "the image stores two parts of the disk at the same place; run qemu-img check");
}

int vmc_allocation_locate (const struct vmc_allocation *allocation, const struct vmc_extents *free,
			   struct vmc_extents *file_ranges, struct vmc_error *err)
{
	if (check_disjoint (allocation, err) < 0 || locate_all (allocation, free, file_ranges, err) < 0)
		return -1;
	vmc_extents_normalise (file_ranges);
	return 0;
}
