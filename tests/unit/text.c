/* text.c - tests of host/text.c */
#include "unit.h"

#include "text.h"

static void assert_escaped (const char *text, const char *wanted)
{
	char to[200];

	vmc_text_escape (to, sizeof to, text);
	assert_string_equal (to, wanted);
}

static void printable_text_stays (void **state)
{
	(void) state;
	assert_escaped ("", "");
	assert_escaped ("disk vda: 'a' ~", "disk vda: 'a' ~");
	assert_escaped ("h\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80", "h\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80");
}

static void control_characters_are_escaped (void **state)
{
	(void) state;
	assert_escaped ("a\x1B[2Jb", "a\\x1B[2Jb");
	assert_escaped ("a\nb\tc\x7F", "a\\x0Ab\\x09c\\x7F");
}

/* U+009B starts an escape sequence just as ESC [ does. */
static void c1_control_characters_are_escaped (void **state)
{
	(void) state;
	assert_escaped ("\xC2\x9B"
			"2J",
			"\\xC2\\x9B2J");
	assert_escaped ("\xC2\x80", "\\xC2\\x80");
	assert_escaped ("\xC2\xA0", "\xC2\xA0");
}

static void what_turns_the_direction_around_is_escaped (void **state)
{
	(void) state;
	assert_escaped ("a\xE2\x80\xAE"
			"b",
			"a\\xE2\\x80\\xAEb");
	assert_escaped ("\xE2\x80\xAA", "\\xE2\\x80\\xAA");
	assert_escaped ("\xE2\x81\xA6\xE2\x81\xA9", "\\xE2\\x81\\xA6\\xE2\\x81\\xA9");
}

static void what_is_not_utf8_is_escaped (void **state)
{
	(void) state;
	assert_escaped ("\xFF\xFE", "\\xFF\\xFE");
	assert_escaped ("\x80", "\\x80"); /* a continuation alone */
	assert_escaped ("\xC3", "\\xC3"); /* cut off */
	assert_escaped ("\xE2\x82", "\\xE2\\x82");
	assert_escaped ("\xC3(", "\\xC3(");
	assert_escaped ("\xC0\x9B", "\\xC0\\x9B"); /* overlong ESC */
	assert_escaped ("\xE0\x82\x9B", "\\xE0\\x82\\x9B");
	assert_escaped ("\xF0\x80\x82\x9B", "\\xF0\\x80\\x82\\x9B");
	assert_escaped ("\xED\xA0\x80", "\\xED\\xA0\\x80");          /* a surrogate */
	assert_escaped ("\xF4\x90\x80\x80", "\\xF4\\x90\\x80\\x80"); /* beyond U+10FFFF */
	assert_escaped ("\xF5\x80\x80\x80", "\\xF5\\x80\\x80\\x80");
}

static void a_cut_never_splits_a_character (void **state)
{
	char to[6];

	(void) state;
	vmc_text_escape (to, sizeof to, "abc\xE2\x82\xAC");
	assert_string_equal (to, "abc");
	vmc_text_escape (to, sizeof to, "ab\xE2\x82\xAC");
	assert_string_equal (to, "ab\xE2\x82\xAC");
	vmc_text_escape (to, sizeof to, "ab\n");
	assert_string_equal (to, "ab");
	vmc_text_escape (to, sizeof to, "abcdefgh");
	assert_string_equal (to, "abcde");
	vmc_text_escape (to, 1, "abc");
	assert_string_equal (to, "");
}

static void sizes_have_three_digits (void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0 B"},
		{1, "1 B"},
		{1023, "1023 B"},
		{1024, "1.00 KiB"},
		{1536, "1.50 KiB"},
		{10 * 1024, "10.0 KiB"},
		{100 * 1024, "100 KiB"},
		{UINT64_C (3661373440), "3.41 GiB"},
		{UINT64_C (1) << 40, "1.00 TiB"},
		{UINT64_C (1) << 50, "1.00 PiB"},
		{UINT64_MAX, "16.0 EiB"},
	};
	char to[16];

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++)
		assert_string_equal (vmc_text_size (to, cases[i].bytes), cases[i].text);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (printable_text_stays),
	cmocka_unit_test (control_characters_are_escaped),
	cmocka_unit_test (c1_control_characters_are_escaped),
	cmocka_unit_test (what_turns_the_direction_around_is_escaped),
	cmocka_unit_test (what_is_not_utf8_is_escaped),
	cmocka_unit_test (a_cut_never_splits_a_character),
	cmocka_unit_test (sizes_have_three_digits),
};

UNIT_MAIN (tests)
