/* ext4.c - fuzz target: the gate and the map of ext4 filesystems (host/ext4_gate.h, host/ext4_map.h, libext2fs behind them)
 *
 * The input: a kind of filesystem (ext4_image.c), 1 byte of flags (bit 0: the checksums are made right afterwards, bit 1: the
 * free counts, too), then changes of 6 bytes each: what to change and how (4 bits each), group (1), position (2), value (2).
 * The map is either refused, or each of its ranges is one that the changed filesystem itself calls free (ext4_truth.h).
 */
#include "fuzz.h"

#include "ext4_image.h"
#include "ext4_map.h"

#define CHANGES_MAX 200

static void change (struct ext4_image *image, struct fuzz_input *input)
{
	uint8_t what = fuzz_byte (input), group = fuzz_byte (input);
	uint64_t index = fuzz_number (input, 2), at = ext4_image_place (image, (what & 15) % EXT4_AREAS, group, index);
	uint16_t value = (uint16_t) fuzz_number (input, 2), old = (uint16_t) ext4_truth_get (&image->truth, at, 2);
	unsigned char bytes[4];

	switch (what >> 4 & 3) {
	case 0: /* flip bits of a byte */
		bytes[0] = (unsigned char) (old ^ value);
		ext4_image_write (image, at, bytes, 1);
		break;
	case 1: /* write two bytes, or 64 of them */
	case 2:
		bytes[0] = (unsigned char) value;
		bytes[1] = (unsigned char) (value >> 8);
		for (int i = 0; i < ((what >> 4 & 3) == 1 ? 1 : 32); i++)
			ext4_image_write (image, at + 2 * (uint64_t) i, bytes, 2);
		break;
	default: /* add */
		bytes[0] = (unsigned char) (old + value);
		bytes[1] = (unsigned char) ((old + value) >> 8);
		ext4_image_write (image, at, bytes, 2);
	}
}

static void check (struct ext4_image *image)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};
	struct vmc_ext4_geometry geometry;
	struct vmc_error err = {0};
	struct ext4_truth truth;
	uint8_t *used;

	if (vmc_ext4_map (&image->source, image->kind->shift, image->kind->bytes, &geometry, &map, &err) < 0) {
		FUZZ_MUST (map.count == 0 && err.text[0] != 0);
		return;
	}
	FUZZ_MUST (ext4_truth_open (&truth, image->bytes, image->kind->bytes));
	FUZZ_MUST (truth.blocks == geometry.blocks && truth.groups == geometry.groups);
	used = ext4_truth_used (&truth);
	FUZZ_MUST (ext4_truth_compare (&truth, used, &map, image->kind->shift) == UINT64_MAX);
	free (used);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	struct ext4_image *image = ext4_image_get (fuzz_byte (&input));
	uint8_t flags = fuzz_byte (&input);

	FUZZ_MUST (image != NULL);
	for (int i = 0; i < CHANGES_MAX && input.left > 0; i++)
		change (image, &input);
	if (flags & 2)
		ext4_image_settle (image);
	if (flags & 1)
		ext4_image_repair (image);
	check (image);
	ext4_image_restore (image);
	return 0;
}
