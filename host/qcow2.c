/* qcow2.c - see qcow2.h */
#include "qcow2.h"

#include <string.h>

#define MAGIC 0x514649FBu
#define HEADER_V2_BYTES 72
#define HEADER_V3_BYTES 104
#define EXTENSION_END 0
#define EXTENSION_BACKING_FORMAT 0xE2792ACAu
#define EXTENSION_FEATURE_NAMES 0x6803F857u /* texts for people */
#define EXTENSION_BITMAPS 0x23852875u
#define CLUSTER_BITS_MIN 9
#define CLUSTER_BITS_MAX 21
#define REFCOUNT_ORDER_V2 4
#define REFCOUNT_ORDER_MAX 6
#define COMPRESSION_ZSTD 1

/* incompatible_features */
#define INCOMPATIBLE_DIRTY (UINT64_C (1) << 0)
#define INCOMPATIBLE_CORRUPT (UINT64_C (1) << 1)
#define INCOMPATIBLE_DATA_FILE (UINT64_C (1) << 2)
#define INCOMPATIBLE_COMPRESSION (UINT64_C (1) << 3)
#define INCOMPATIBLE_EXTENDED_L2 (UINT64_C (1) << 4)
/* "Dirty" is set while a running QEMU has an image with lazy refcounts open: it harms no reader. */
#define INCOMPATIBLE_ALLOWED (INCOMPATIBLE_DIRTY | INCOMPATIBLE_COMPRESSION | INCOMPATIBLE_EXTENDED_L2)

/* compatible_features */
#define COMPATIBLE_LAZY_REFCOUNTS (UINT64_C (1) << 0)

static uint32_t be32 (const unsigned char *bytes)
{
	return (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 | (uint32_t) bytes[2] << 8 | bytes[3];
}

static uint64_t be64 (const unsigned char *bytes)
{
	return (uint64_t) be32 (bytes) << 32 | be32 (bytes + 4);
}

static int check_features (uint64_t features, struct vmc_error *err)
{
	if (features & INCOMPATIBLE_CORRUPT)
		return vmc_fail (err, VMC_REFUSED, 0,
				 "the image is marked as corrupt; repair it with qemu-img check -r");
	if (features & INCOMPATIBLE_DATA_FILE)
		return vmc_fail (err, VMC_REFUSED, 0, "the image keeps its data in an external data file");
	if (features & ~INCOMPATIBLE_ALLOWED)
		return vmc_fail (err, VMC_REFUSED, 0, "the image has qcow2 features that are not known here (0x%llx)",
				 (unsigned long long) (features & ~INCOMPATIBLE_ALLOWED));
	return 0;
}

static int read_backing (const unsigned char *header, size_t length, struct vmc_qcow2 *facts, struct vmc_error *err)
{
	uint64_t offset = be64 (header + 8);
	uint32_t size = be32 (header + 16);

	facts->backing[0] = 0;
	if (offset == 0)
		return 0;
	if (size == 0 || size >= sizeof facts->backing || offset > length || size > length - offset)
		return vmc_fail (err, VMC_REFUSED, 0, "the name of the image's backing file is not where it should be");
	memcpy (facts->backing, header + offset, size);
	facts->backing[size] = 0;
	if (strlen (facts->backing) != size)
		return vmc_fail (err, VMC_REFUSED, 0, "the name of the image's backing file has a zero byte");
	return 0;
}

/* What version 3 has beyond version 2. */
static int read_features (const unsigned char *header, size_t length, uint32_t version, struct vmc_qcow2 *facts,
			  struct vmc_error *err)
{
	bool has_compression = version == 3 && be32 (header + 100) > HEADER_V3_BYTES && length > HEADER_V3_BYTES;
	uint64_t incompatible = version == 2 ? 0 : be64 (header + 72);
	uint32_t refcount_order = version == 2 ? REFCOUNT_ORDER_V2 : be32 (header + 96);
	unsigned char compression = has_compression ? header[HEADER_V3_BYTES] : 0;

	if (refcount_order > REFCOUNT_ORDER_MAX)
		return vmc_fail (err, VMC_REFUSED, 0,
				 "the image has refcounts of 2^%u bits, which qcow2 does not allow", refcount_order);
	if (compression > COMPRESSION_ZSTD)
		return vmc_fail (err, VMC_REFUSED, 0, "the image is compressed in a way that is not known here (%u)",
				 compression);
	facts->version = version;
	facts->refcount_bits = 1u << refcount_order;
	facts->lazy_refcounts = version == 3 && (be64 (header + 80) & COMPATIBLE_LAZY_REFCOUNTS) != 0;
	facts->extended_l2 = (incompatible & INCOMPATIBLE_EXTENDED_L2) != 0;
	facts->zstd = compression == COMPRESSION_ZSTD;
	facts->dirty = (incompatible & INCOMPATIBLE_DIRTY) != 0;
	return 0;
}

static void note_extension (uint32_t type, const unsigned char *data, uint32_t size, struct vmc_qcow2 *facts)
{
	if (type == EXTENSION_BACKING_FORMAT && size < sizeof facts->backing_format) {
		memcpy (facts->backing_format, data, size);
		facts->backing_format[size] = 0;
	} else if (type == EXTENSION_BITMAPS) {
		facts->bitmaps = true;
	} else if (type != EXTENSION_FEATURE_NAMES) {
		facts->more_sections = true;
	}
}

/* The header extensions: type, length, data, padded to 8 bytes. */
static int read_extensions (const unsigned char *header, size_t length, uint32_t version, struct vmc_qcow2 *facts,
			    struct vmc_error *err)
{
	uint64_t at = version == 2 ? HEADER_V2_BYTES : be32 (header + 100);

	facts->backing_format[0] = 0;
	facts->bitmaps = facts->more_sections = false;
	if (version == 3 && at < HEADER_V3_BYTES)
		return vmc_fail (err, VMC_REFUSED, 0, "the header of the image says that it is shorter than it can be");
	for (;;) {
		uint32_t type, size;

		if (at > length - 8)
			return vmc_fail (err, VMC_REFUSED, 0, "the header of the image has no end");
		type = be32 (header + at);
		size = be32 (header + at + 4);
		at += 8;
		if (type == EXTENSION_END)
			return 0;
		if (size > length - at)
			return vmc_fail (err, VMC_REFUSED, 0, "an extension of the image's header has no end");
		note_extension (type, header + at, size, facts);
		at += (size + 7) & ~UINT64_C (7);
	}
}

int vmc_qcow2_check (const unsigned char *header, size_t length, struct vmc_qcow2 *facts, struct vmc_error *err)
{
	uint32_t version, cluster_bits;

	if (length < HEADER_V3_BYTES || be32 (header) != MAGIC)
		return vmc_fail (err, VMC_REFUSED, 0, "the domain says qcow2, but the image has no qcow2 header");
	version = be32 (header + 4);
	cluster_bits = be32 (header + 20);
	if (version != 2 && version != 3)
		return vmc_fail (err, VMC_REFUSED, 0, "the image has version %u of qcow2, which is not known here",
				 version);
	if (cluster_bits < CLUSTER_BITS_MIN || cluster_bits > CLUSTER_BITS_MAX)
		return vmc_fail (err, VMC_REFUSED, 0,
				 "the image has clusters of 2^%u bytes, which qcow2 does not allow", cluster_bits);
	if (be32 (header + 32) != 0)
		return vmc_fail (err, VMC_REFUSED, 0, "the image is encrypted");
	if (vmc_qcow2_has_snapshots (header, length))
		return vmc_fail (err, VMC_REFUSED, 0,
				 "the image has internal snapshots; delete them first (virsh snapshot-delete)");
	if (version == 3 && check_features (be64 (header + 72), err) < 0)
		return -1;
	facts->virtual_bytes = be64 (header + 24);
	facts->cluster_bytes = UINT64_C (1) << cluster_bits;
	if (facts->virtual_bytes > INT64_MAX)
		return vmc_fail (err, VMC_REFUSED, 0, "the image says that it is larger than 2^63 bytes");
	if (read_features (header, length, version, facts, err) < 0 || read_backing (header, length, facts, err) < 0)
		return -1;
	return read_extensions (header, length, version, facts, err);
}

bool vmc_qcow2_backing (const unsigned char *header, size_t length, struct vmc_qcow2 *facts, struct vmc_error *err)
{
	return length >= HEADER_V2_BYTES && be32 (header) == MAGIC && read_backing (header, length, facts, err) == 0;
}

bool vmc_qcow2_has_snapshots (const unsigned char *header, size_t length)
{
	return length >= HEADER_V2_BYTES && be32 (header) == MAGIC && be32 (header + 60) != 0;
}
