/* qcow2.c - fuzz target: the check of a qcow2 header (host/qcow2.h); the input is the beginning of an image */
#include "fuzz.h"

#include "qcow2.h"

static uint32_t be32 (const uint8_t *bytes)
{
	return (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 | (uint32_t) bytes[2] << 8 | bytes[3];
}

/* What a header that passed cannot be. */
static void check_accepted (const uint8_t *header, size_t size, const struct vmc_qcow2 *facts)
{
	FUZZ_MUST (size >= 104 && memcmp (header, "QFI\xFB", 4) == 0);
	FUZZ_MUST (be32 (header + 4) == 2 || be32 (header + 4) == 3);
	FUZZ_MUST (facts->cluster_bytes >= 512 && facts->cluster_bytes <= 2 << 20);
	FUZZ_MUST (facts->cluster_bytes == UINT64_C (1) << be32 (header + 20));
	FUZZ_MUST (facts->virtual_bytes == ((uint64_t) be32 (header + 24) << 32 | be32 (header + 28)));
	FUZZ_MUST (facts->virtual_bytes <= INT64_MAX);
	FUZZ_MUST (be32 (header + 32) == 0 && be32 (header + 60) == 0); /* encryption, snapshots */
	if (be32 (header + 4) == 3) {
		FUZZ_MUST (be32 (header + 72) == 0 && (be32 (header + 76) & ~UINT32_C (0x19)) == 0);
		FUZZ_MUST (be32 (header + 100) >= 104 && be32 (header + 100) <= size);
	}
	FUZZ_MUST (memchr (facts->backing, 0, sizeof facts->backing) != NULL);
	FUZZ_MUST (memchr (facts->backing_format, 0, sizeof facts->backing_format) != NULL);
	/* A name lies where its offset (in the lower half, the upper one is 0) and length say, inside of what was read. */
	if (facts->backing[0] != 0)
		FUZZ_MUST (be32 (header + 12) + be32 (header + 16) <= size &&
			   memcmp (facts->backing, header + be32 (header + 12), be32 (header + 16)) == 0);
	FUZZ_MUST ((be32 (header + 8) == 0 && be32 (header + 12) == 0) == (facts->backing[0] == 0));
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
	struct vmc_qcow2 facts, again;
	struct vmc_error err = {0};
	uint8_t *header = malloc (size ? size : 1);
	bool found;

	FUZZ_MUST (header != NULL);
	if (size > 0)
		memcpy (header, data, size);
	memset (&facts, 0xA5, sizeof facts);
	memset (&again, 0x5A, sizeof again);
	found = vmc_qcow2_backing (header, size, &again, &err);
	if (found)
		FUZZ_MUST (memchr (again.backing, 0, sizeof again.backing) != NULL);
	if (vmc_qcow2_check (header, size, &facts, &err) == 0) {
		check_accepted (header, size, &facts);
		FUZZ_MUST (found && strcmp (facts.backing, again.backing) == 0);
	} else {
		FUZZ_MUST (err.code == VMC_REFUSED && err.text[0] != 0);
	}
	free (header);
	return 0;
}
