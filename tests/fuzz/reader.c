/* reader.c - fuzz target: the parent's check of what the reader writes into its pipe (host/reader.h)
 *
 * The input is the size of the disk in MiB (one byte; 255: 2^63-1 bytes) and what comes out of the pipe. Whatever is taken
 * from it is a list of sorted ranges, each inside of places that the reader called usable, on the disk.
 */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "reader.h"
#include "reader_record.h"

/* Where the usable place that holds AT ends; 0: there is none. */
static uint64_t usable_end (const struct vmc_reading *reading, uint64_t at)
{
	for (size_t i = 0; i < reading->count; i++) {
		const struct vmc_witness *place = &reading->places[i];

		if (place->usable && at >= place->offset && at - place->offset < place->length)
			return place->offset + place->length;
	}
	return 0;
}

static void check_places (const struct vmc_reading *reading, uint64_t disk_bytes)
{
	for (size_t i = 0; i < reading->count; i++) {
		const struct vmc_witness *place = &reading->places[i];

		FUZZ_MUST (place->offset <= disk_bytes && place->length <= disk_bytes - place->offset);
		FUZZ_MUST (place->usable || !place->alone);
		FUZZ_MUST (!place->usable || !place->in_use);
		FUZZ_MUST (memchr (place->uuid, 0, sizeof place->uuid) != NULL);
		FUZZ_MUST (memchr (place->type, 0, sizeof place->type) != NULL);
		FUZZ_MUST (place->data <= place->length);
		for (const char *text = place->why_not; *text != 0; text++)
			FUZZ_MUST ((unsigned char) *text >= 0x20 && *text != 0x7F);
	}
}

static void check_ranges (const struct vmc_reading *reading, uint64_t disk_bytes)
{
	FUZZ_MUST (vmc_extents_valid (&reading->free, disk_bytes));
	FUZZ_MUST (reading->free.count <= VMC_MAP_MAX_RANGES);
	for (size_t i = 0; i < reading->free.count; i++) {
		uint64_t at = reading->free.items[i].start, end = at + reading->free.items[i].length;

		while (at < end) {
			at = usable_end (reading, at);
			FUZZ_MUST (at != 0);
		}
	}
}

static void check_views (const struct vmc_reading *reading, uint64_t disk_bytes)
{
	size_t ranges = reading->free.count;

	FUZZ_MUST (reading->view_count <= VMC_FILESYSTEMS_MAX);
	for (size_t i = 0; i < reading->view_count; i++) {
		const struct vmc_view *view = &reading->views[i];

		FUZZ_MUST (vmc_extents_valid (&view->free, disk_bytes));
		FUZZ_MUST (view->usable || view->free.count == 0);
		FUZZ_MUST (memchr (view->filesystem, 0, sizeof view->filesystem) != NULL);
		ranges += view->free.count;
	}
	FUZZ_MUST (ranges <= VMC_MAP_MAX_RANGES);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	uint64_t mib = fuzz_byte (&input), disk_bytes = mib == 255 ? INT64_MAX : mib << 20;
	struct vmc_reading reading = {0};
	struct vmc_error err = {0};
	int fd = memfd_create ("pipe", MFD_CLOEXEC);

	FUZZ_MUST (fd >= 0);
	FUZZ_MUST (pwrite (fd, input.data, input.left, 0) == (ssize_t) input.left);
	if (vmc_reader_take (fd, disk_bytes, vmc_now_ms () + 60000, &reading, &err) == 0) {
		check_places (&reading, disk_bytes);
		check_ranges (&reading, disk_bytes);
		check_views (&reading, disk_bytes);
		FUZZ_MUST ((size_t) lseek (fd, 0, SEEK_CUR) >= sizeof (struct vmc_record));
	} else {
		FUZZ_MUST (err.text[0] != 0);
	}
	vmc_reading_clear (&reading);
	(void) close (fd);
	return 0;
}
