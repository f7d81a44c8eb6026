/* frame.c - fuzz target: cutting bytes into lines (proto/frame.h)
 *
 * The input is a longest line, the sizes of the pieces that the rest arrives in, and the rest. However it arrives, the lines
 * are those that a plain loop over the bytes finds.
 */
#include "fuzz.h"

#include "frame.h"

#define PIECES 8

/* What the plain loop finds: the next line or loss from *AT on. */
static enum vmc_frame_result next (const uint8_t *data, size_t size, size_t *at, size_t max, size_t *start, size_t *end)
{
	*start = *at;
	while (*at < size) {
		uint8_t byte = data[(*at)++];

		if (byte == VMC_FRAME_RESET)
			*start = *at;
		if (byte != '\n')
			continue;
		*end = *at - 1;
		if (*end - *start > max)
			return VMC_FRAME_OVERLONG;
		if (*end > *start)
			return VMC_FRAME_LINE;
		*start = *at;
	}
	return VMC_FRAME_MORE;
}

/* Feed one piece, whose bytes lie alone in memory; compare with the plain loop, which is at *AT. */
static void feed (struct vmc_frame *frame, const uint8_t *data, size_t size, size_t from, size_t length, size_t *at)
{
	char *piece = fuzz_text (data + from, length), *line;
	const char *input = piece;
	size_t left = length, start, end;
	enum vmc_frame_result result;

	do {
		result = vmc_frame_feed (frame, &input, &left, &line);
		FUZZ_MUST (input + left == piece + length);
		if (result == VMC_FRAME_MORE)
			break;
		FUZZ_MUST (result == next (data, size, at, frame->max_bytes, &start, &end));
		FUZZ_MUST (*at == from + length - left);
		if (result == VMC_FRAME_LINE)
			FUZZ_MUST (memcmp (line, data + start, end - start) == 0 && line[end - start] == 0);
	} while (true);
	FUZZ_MUST (left == 0 && frame->used <= frame->max_bytes);
	free (piece);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	struct vmc_frame frame = VMC_FRAME_INIT (fuzz_byte (&input));
	size_t pieces[PIECES], at = 0, start, end, from = 0;

	for (int i = 0; i < PIECES; i++)
		pieces[i] = fuzz_byte (&input) + 1u;
	for (int i = 0; from < input.left; i++) {
		size_t length = pieces[i % PIECES] < input.left - from ? pieces[i % PIECES] : input.left - from;

		feed (&frame, input.data, input.left, from, length, &at);
		from += length;
	}
	FUZZ_MUST (next (input.data, input.left, &at, frame.max_bytes, &start, &end) == VMC_FRAME_MORE);
	vmc_frame_clear (&frame);
	return 0;
}
