/* frame.c - tests of proto/frame.c */
#include "unit.h"

#include "frame.h"

/* Feed all of TEXT in pieces of STEP bytes; what comes out, as "line|line|", with "!" for a line that was too long. */
static void feed (struct vmc_frame *frame, const char *text, size_t length, size_t step, char *out)
{
	*out = 0;
	for (size_t at = 0; at < length; at += step) {
		const char *input = text + at;
		size_t left = length - at < step ? length - at : step;
		enum vmc_frame_result result;
		char *line;

		while ((result = vmc_frame_feed (frame, &input, &left, &line)) != VMC_FRAME_MORE) {
			assert_int_not_equal (result, VMC_FRAME_NOMEM);
			strcat (out, result == VMC_FRAME_LINE ? line : "!");
			strcat (out, "|");
		}
		assert_int_equal (left, 0);
	}
}

/* The same bytes must give the same lines, however they are cut: byte by byte, in two, in one piece. */
static void assert_lines_of (size_t max, const char *text, size_t length, const char *wanted)
{
	for (size_t step = 1; step <= length; step++) {
		struct vmc_frame frame = VMC_FRAME_INIT (max);
		char out[1000];

		feed (&frame, text, length, step, out);
		assert_string_equal (out, wanted);
		vmc_frame_clear (&frame);
	}
}
#define assert_lines(max, text, wanted) assert_lines_of (max, text, sizeof (text) - 1, wanted)

static void lines_end_with_a_newline (void **state)
{
	(void) state;
	assert_lines (100, "one\ntwo\nthree", "one|two|");
}

static void empty_lines_are_passed_over (void **state)
{
	(void) state;
	assert_lines (100, "\n\none\n\n\ntwo\n\n", "one|two|");
}

static void reset_throws_away_half_a_line (void **state)
{
	(void) state;
	assert_lines (100, "half\xFFwhole\n", "whole|");
}

static void reset_keeps_lines_that_are_complete (void **state)
{
	(void) state;
	assert_lines (100, "one\n\xFF\xFFtwo\n\xFF", "one|two|");
}

static void reset_ends_an_overlong_line_silently (void **state)
{
	(void) state;
	assert_lines (4, "much too long\xFFok\n", "ok|");
}

static void a_line_may_be_as_long_as_the_limit (void **state)
{
	(void) state;
	assert_lines (4, "1234\n5678\n", "1234|5678|");
}

static void an_overlong_line_is_reported_once (void **state)
{
	(void) state;
	assert_lines (4, "12345\n", "!|");
	assert_lines (4, "1234567890123456789\nok\n", "!|ok|");
	assert_lines (4, "ok\n123456\n", "ok|!|");
}

static void lines_longer_than_the_first_buffer_are_whole (void **state)
{
	struct vmc_frame frame = VMC_FRAME_INIT (100000);
	char *text = malloc (70001), *line;
	const char *input = text;
	size_t left = 70001;

	(void) state;
	memset (text, 'x', 70000);
	text[70000] = '\n';
	assert_int_equal (vmc_frame_feed (&frame, &input, &left, &line), VMC_FRAME_LINE);
	assert_int_equal (strlen (line), 70000);
	free (text);
	vmc_frame_clear (&frame);
}

/* What is thrown away needs no memory: a flood of bytes without a newline must not either. */
static void memory_is_bounded_by_the_limit (void **state)
{
	struct vmc_frame frame = VMC_FRAME_INIT (1000);
	char block[777], *line;

	(void) state;
	memset (block, 'x', sizeof block);
	for (int i = 0; i < 1000; i++) {
		const char *input = block;
		size_t left = sizeof block;

		assert_int_equal (vmc_frame_feed (&frame, &input, &left, &line), VMC_FRAME_MORE);
	}
	assert_true (frame.room <= 2048);
	vmc_frame_clear (&frame);
}

static void input_moves_on_behind_the_line (void **state)
{
	struct vmc_frame frame = VMC_FRAME_INIT (100);
	const char *text = "one\ntwo\n", *input = text;
	size_t left = strlen (text);
	char *line;

	(void) state;
	assert_int_equal (vmc_frame_feed (&frame, &input, &left, &line), VMC_FRAME_LINE);
	assert_ptr_equal (input, text + 4);
	assert_int_equal (left, 4);
	vmc_frame_clear (&frame);
}

static void resetting_forgets_half_a_line (void **state)
{
	struct vmc_frame frame = VMC_FRAME_INIT (100);
	char out[100];

	(void) state;
	feed (&frame, "half", 4, 4, out);
	vmc_frame_reset (&frame);
	feed (&frame, "whole\n", 6, 6, out);
	assert_string_equal (out, "whole|");
	vmc_frame_clear (&frame);
}

static void a_cleared_frame_can_be_used_again (void **state)
{
	struct vmc_frame frame = VMC_FRAME_INIT (4);
	char out[100];

	(void) state;
	feed (&frame, "overlong", 8, 8, out);
	vmc_frame_clear (&frame);
	assert_null (frame.data);
	feed (&frame, "new\n", 4, 4, out);
	assert_string_equal (out, "new|");
	vmc_frame_clear (&frame);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (lines_end_with_a_newline),
	cmocka_unit_test (empty_lines_are_passed_over),
	cmocka_unit_test (reset_throws_away_half_a_line),
	cmocka_unit_test (reset_keeps_lines_that_are_complete),
	cmocka_unit_test (reset_ends_an_overlong_line_silently),
	cmocka_unit_test (a_line_may_be_as_long_as_the_limit),
	cmocka_unit_test (an_overlong_line_is_reported_once),
	cmocka_unit_test (lines_longer_than_the_first_buffer_are_whole),
	cmocka_unit_test (memory_is_bounded_by_the_limit),
	cmocka_unit_test (input_moves_on_behind_the_line),
	cmocka_unit_test (resetting_forgets_half_a_line),
	cmocka_unit_test (a_cleared_frame_can_be_used_again),
};

UNIT_MAIN (tests)
