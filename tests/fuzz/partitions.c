/* partitions.c - fuzz target: partition tables, and what lies in the partitions (host/partitions.h, host/signature.h, libblkid)
 *
 * The input: how to make the disk (its size as 2 bytes, in 4 KiB or, with bit 14, in 64 KiB; 1 byte of which bit 0 asks for
 * right GPT checksums), how many bytes lie at its beginning (2 bytes), those bytes, and then what lies at its end. Between the
 * two are zeros.
 */
#include "fuzz.h"

#include <unistd.h>

#include "memory_file.h"
#include "partitions.h"
#include "signature.h"

#define SECTOR 512
#define UNIT_BYTES 65536

struct memory_disk {
	struct vmc_source source;
	uint8_t *bytes;
};

static int read_memory (struct vmc_source *source, void *buffer, uint64_t offset, size_t length, struct vmc_error *err)
{
	(void) err;
	FUZZ_MUST (offset <= source->size_bytes && length <= source->size_bytes - offset);
	memcpy (buffer, ((struct memory_disk *) source)->bytes + offset, length);
	return 0;
}

static uint64_t get (const uint8_t *bytes, unsigned count)
{
	struct fuzz_input input = {bytes, count};

	return fuzz_number (&input, count);
}

static void put32 (uint8_t *bytes, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t) (value >> 8 * i);
}

static uint32_t crc32 (const uint8_t *bytes, size_t length)
{
	uint32_t crc = ~UINT32_C (0);

	while (length-- > 0) {
		crc ^= *bytes++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C (0xEDB88320) : 0);
	}
	return ~crc;
}

/* If there is a GPT header at OFFSET: make the checksums right, of the entries and then of itself. */
static void mend_gpt (const struct memory_disk *disk, uint64_t offset)
{
	uint8_t *header = disk->bytes + offset;
	uint64_t size = disk->source.size_bytes, entries, length;

	if (memcmp (header, "EFI PART", 8) != 0)
		return;
	entries = get (header + 72, 8);
	length = get (header + 80, 4) * get (header + 84, 4);
	if (entries < size / SECTOR && length <= size - entries * SECTOR && length <= UNIT_BYTES)
		put32 (header + 88, crc32 (disk->bytes + entries * SECTOR, length));
	length = get (header + 12, 4);
	if (length < 92 || length > SECTOR)
		return;
	put32 (header + 16, 0);
	put32 (header + 16, crc32 (header, length));
}

static void check (const struct vmc_partitions *partitions, uint64_t disk_bytes)
{
	FUZZ_MUST (partitions->count <= VMC_PARTITIONS_MAX); /* none: there is nothing but an extended one */
	for (size_t i = 0; i < partitions->count; i++) {
		const struct vmc_place *one = &partitions->items[i];

		FUZZ_MUST (one->length > 0 && one->offset <= disk_bytes && one->length <= disk_bytes - one->offset);
		FUZZ_MUST (one->offset % SECTOR == 0 && one->length % SECTOR == 0);
		for (size_t k = 0; k < i; k++) {
			const struct vmc_place *other = &partitions->items[k];

			FUZZ_MUST (one->offset + one->length <= other->offset ||
				   other->offset + other->length <= one->offset);
		}
	}
}

static void look_inside (struct memory_disk *disk, int memory_fd, const struct vmc_place *place)
{
	struct vmc_signature signature;
	struct vmc_error err = {0};

	memset (&signature, 0xA5, sizeof signature);
	FUZZ_MUST (vmc_signature_find (&disk->source, memory_fd, place->offset, place->length, &signature, &err) == 0);
	FUZZ_MUST (memchr (signature.type, 0, sizeof signature.type) != NULL);
	FUZZ_MUST (!signature.ambiguous || signature.type[0] == 0);
}

static void run (struct memory_disk *disk)
{
	struct vmc_partitions partitions;
	struct vmc_error err = {0};
	int memory_fd = vmc_memory_file_make (&err);

	FUZZ_MUST (memory_fd >= 0);
	if (vmc_partitions_find (&disk->source, memory_fd, &partitions, &err) == 0) {
		check (&partitions, disk->source.size_bytes);
		for (size_t i = 0; i < partitions.count && i < 3; i++)
			look_inside (disk, memory_fd, &partitions.items[i]);
	} else {
		FUZZ_MUST (err.text[0] != 0);
	}
	(void) close (memory_fd);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	uint64_t units = fuzz_number (&input, 2), bytes = (units % 64 + 1) * (units & 0x4000 ? UNIT_BYTES : 4096);
	bool mend = (fuzz_byte (&input) & 1) != 0;
	size_t head = fuzz_number (&input, 2);
	struct memory_disk disk = {{bytes, read_memory}, calloc (1, bytes)};

	FUZZ_MUST (disk.bytes != NULL);
	head = head < input.left ? head : input.left;
	if (input.left <= bytes) {
		memcpy (disk.bytes + bytes - (input.left - head), input.data + head, input.left - head);
		memcpy (disk.bytes, input.data, head);
		if (mend) {
			mend_gpt (&disk, SECTOR);
			mend_gpt (&disk, bytes - SECTOR);
		}
		run (&disk);
	}
	free (disk.bytes);
	return 0;
}
