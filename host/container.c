/* container.c - see container.h
 *
 * What lies before the data (labels, metadata, key slots) is in use, whatever anybody says. Positions are those of the formats:
 *
 *   LVM2   a label in one of the first four sectors; behind it a header with the volume's UUID, its size, and a list of
 *          data areas, each an offset and a size, that ends with zeros (lib/format_text/layout.h in LVM2)
 *   LUKS1  the payload's offset, in sectors, at byte 104 (LUKS On-Disk Format 1.2)
 *   LUKS2  JSON behind the first 4 KiB, with the offset of each segment of data in bytes (LUKS2 On-Disk Format 1.1)
 *   md     version 1.1 and 1.2 of the superblock, at 0 and at 4 KiB: data_offset, in sectors, at byte 128
 *          (include/uapi/linux/raid/md_p.h). Other versions lie at the end, and are not handled.
 *
 * libblkid has found the signature, so its checksum, where there is one, is right.
 */
#include "container.h"

#include <endian.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR_BYTES 512
#define LVM_SECTORS 4
#define LVM_AREA 72 /* of the first data area, from the start of the label: 32 + UUID 32 + size 8 */
#define LUKS_BYTES 512
#define LUKS1_PAYLOAD 104
#define LUKS2_BINARY_BYTES 4096
#define LUKS2_MAX_BYTES (UINT64_C (4) << 20)
#define MD_MAGIC 0xA92B4EFCu
#define MD_DATA_OFFSET 128

static uint64_t get_le64 (const unsigned char *bytes)
{
	uint64_t value;

	memcpy (&value, bytes, sizeof value);
	return le64toh (value);
}

static uint64_t sectors (uint64_t count)
{
	return count < INT64_MAX / SECTOR_BYTES ? count * SECTOR_BYTES : UINT64_MAX;
}

/* UINT64_MAX, here and below: not found. */
static uint64_t lvm_data (struct vmc_source *source, uint64_t offset)
{
	unsigned char bytes[LVM_SECTORS * SECTOR_BYTES];
	struct vmc_error ignored;

	if (vmc_source_read (source, bytes, offset, sizeof bytes, &ignored) < 0)
		return UINT64_MAX;
	for (int i = 0; i < LVM_SECTORS; i++) {
		const unsigned char *label = bytes + i * SECTOR_BYTES;
		uint64_t data = get_le64 (label + LVM_AREA);

		if (memcmp (label, "LABELONE", 8) == 0 && memcmp (label + 24, "LVM2 001", 8) == 0 && data > 0)
			return data;
	}
	return UINT64_MAX;
}

/* The smallest offset of the segments in the JSON of a LUKS2 header. */
static uint64_t luks2_segments (const char *text, size_t length)
{
	struct json_tokener *tokener = json_tokener_new ();
	struct json_object *root = tokener ? json_tokener_parse_ex (tokener, text, (int) length) : NULL, *segments;
	uint64_t first = UINT64_MAX;

	if (json_object_is_type (root, json_type_object) && json_object_object_get_ex (root, "segments", &segments) &&
	    json_object_is_type (segments, json_type_object)) {
		json_object_object_foreach (segments, key, segment)
		{
			struct json_object *text_of_offset = NULL;
			const char *digits;
			uint64_t offset;

			(void) key;
			if (json_object_is_type (segment, json_type_object))
				(void) json_object_object_get_ex (segment, "offset", &text_of_offset);
			digits = json_object_is_type (text_of_offset, json_type_string)
					 ? json_object_get_string (text_of_offset)
					 : "";
			offset = strspn (digits, "0123456789") == strlen (digits) ? strtoull (digits, NULL, 10) : 0;
			first = offset < first ? offset : first;
		}
	}
	json_object_put (root);
	if (tokener != NULL)
		json_tokener_free (tokener);
	return first == 0 ? UINT64_MAX : first;
}

static uint64_t luks2_data (struct vmc_source *source, uint64_t offset, const unsigned char *header)
{
	uint64_t size, data = UINT64_MAX;
	struct vmc_error ignored;
	char *text;

	memcpy (&size, header + 8, sizeof size);
	size = be64toh (size);
	if (size <= LUKS2_BINARY_BYTES || size > LUKS2_MAX_BYTES)
		return UINT64_MAX;
	text = malloc (size - LUKS2_BINARY_BYTES);
	if (text != NULL &&
	    vmc_source_read (source, text, offset + LUKS2_BINARY_BYTES, size - LUKS2_BINARY_BYTES, &ignored) == 0)
		data = luks2_segments (text, strnlen (text, size - LUKS2_BINARY_BYTES));
	free (text);
	return data >= 2 * size ? data : UINT64_MAX; /* the header is there twice */
}

static uint64_t luks_data (struct vmc_source *source, uint64_t offset)
{
	unsigned char header[LUKS_BYTES];
	struct vmc_error ignored;
	uint32_t payload;

	if (vmc_source_read (source, header, offset, sizeof header, &ignored) < 0 ||
	    memcmp (header, "LUKS\xba\xbe\0", 7) != 0)
		return UINT64_MAX;
	if (header[7] == 2)
		return luks2_data (source, offset, header);
	memcpy (&payload, header + LUKS1_PAYLOAD, sizeof payload);
	return header[7] == 1 && payload != 0 ? sectors (be32toh (payload)) : UINT64_MAX;
}

static uint64_t md_data (struct vmc_source *source, uint64_t offset)
{
	static const uint64_t places[] = {4096, 0};

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		unsigned char bytes[SECTOR_BYTES];
		struct vmc_error ignored;
		uint32_t magic;

		if (vmc_source_read (source, bytes, offset + places[i], sizeof bytes, &ignored) < 0)
			return UINT64_MAX;
		memcpy (&magic, bytes, sizeof magic);
		if (le32toh (magic) == MD_MAGIC && bytes[4] == 1)
			return sectors (get_le64 (bytes + MD_DATA_OFFSET));
	}
	return UINT64_MAX;
}

/* json-c takes random bytes for its hash tables when it makes the first one. */
void vmc_container_warm_up (void)
{
	struct json_object *object = json_object_new_object ();

	(void) json_object_object_add (object, "key", NULL);
	json_object_put (object);
}

uint64_t vmc_container_data (struct vmc_source *source, uint64_t offset, uint64_t length, const char *type)
{
	uint64_t data = strcmp (type, "LVM2_member") == 0         ? lvm_data (source, offset)
			: strcmp (type, "crypto_LUKS") == 0       ? luks_data (source, offset)
			: strcmp (type, "linux_raid_member") == 0 ? md_data (source, offset)
								  : UINT64_MAX;

	return data < length ? data : length;
}
