/* values.c - tests of host/values.c */
#include "unit.h"

#include "values.h"

#define OPTION "--this"

static struct vmc_error err;

/* --- words ------------------------------------------------------------------------------------ */

static void a_choice_is_one_of_the_names (void **state)
{
	static const char *const names[] = {"one", "two", "three"};

	(void) state;
	for (int i = 0; i < 3; i++)
		assert_int_equal (vmc_value_choice (OPTION, names[i], names, 3, &err), i);
	assert_int_equal (vmc_value_choice (OPTION, "three", names, 2, &err), -1);
	assert_error (err, VMC_USAGE, OPTION " cannot be 'three'; see vmcompact --help");
	assert_int_equal (vmc_value_choice (OPTION, "on", names, 3, &err), -1);
	assert_int_equal (vmc_value_choice (OPTION, "ones", names, 3, &err), -1);
	assert_int_equal (vmc_value_choice (OPTION, "", names, 3, &err), -1);
}

static void yes_and_no_are_said_in_full (void **state)
{
	static const char *const wrong[] = {"", "y", "n", "Yes", "NO", "true", "1", "0", "yes ", " no", "yesno"};
	bool said = false;

	(void) state;
	assert_int_equal (vmc_value_yes_no (OPTION, "yes", &said, &err), 0);
	assert_true (said);
	assert_int_equal (vmc_value_yes_no (OPTION, "no", &said, &err), 0);
	assert_false (said);
	for (size_t i = 0; i < UNIT_COUNT (wrong); i++) {
		if (vmc_value_yes_no (OPTION, wrong[i], &said, &err) == 0)
			fail_msg ("'%s' was taken", wrong[i]);
		assert_error (err, VMC_USAGE, OPTION " is yes or no, not '");
		assert_contains (err.text, wrong[i]);
	}
}

static void a_long_word_is_cut_in_the_error (void **state)
{
	char word[1000];
	bool said;

	(void) state;
	memset (word, 'x', sizeof word - 1);
	word[sizeof word - 1] = 0;
	assert_int_equal (vmc_value_yes_no (OPTION, word, &said, &err), -1);
	assert_true (strlen (err.text) < 100);
}

/* --- numbers ---------------------------------------------------------------------------------- */

static void seconds_are_kept_in_milliseconds (void **state)
{
	uint64_t ms = 0;

	(void) state;
	assert_int_equal (vmc_value_seconds (OPTION, "2.5", 0.001, 10, &ms, &err), 0);
	assert_int_equal (ms, 2500);
	assert_int_equal (vmc_value_seconds (OPTION, "0.001", 0.001, 10, &ms, &err), 0);
	assert_int_equal (ms, 1);
	assert_int_equal (vmc_value_seconds (OPTION, "10", 0.001, 10, &ms, &err), 0);
	assert_int_equal (ms, 10000);
	assert_int_equal (vmc_value_seconds (OPTION, "10.001", 0.001, 10, &ms, &err), -1);
	assert_error (err, VMC_USAGE, OPTION " needs a number of seconds up to 10, not '10.001'");
	assert_int_equal (vmc_value_seconds (OPTION, "0", 0.001, 10, &ms, &err), -1);
	assert_int_equal (vmc_value_seconds (OPTION, "-1", 0, 10, &ms, &err), -1);
}

static void numbers_are_within_their_limits (void **state)
{
	static const char *const wrong[] =
		{"", "2", "9", "-3", "+3", " 3", "3 ", "3x", "0x3", "3.0", "18446744073709551619"};
	uint64_t number = 0;

	(void) state;
	assert_int_equal (vmc_value_number (OPTION, "3", "things", 3, 8, &number, &err), 0);
	assert_int_equal (number, 3);
	assert_int_equal (vmc_value_number (OPTION, "008", "things", 3, 8, &number, &err), 0);
	assert_int_equal (number, 8);
	for (size_t i = 0; i < UNIT_COUNT (wrong); i++) {
		if (vmc_value_number (OPTION, wrong[i], "things", 3, 8, &number, &err) == 0)
			fail_msg ("'%s' was taken", wrong[i]);
		assert_error (err, VMC_USAGE, OPTION " needs a number of things, not '");
	}
}

static void sizes_have_units (void **state)
{
	static const struct {
		const char *word;
		uint64_t bytes;
	} cases[] = {{"0", 0},
		     {"4096", 4096},
		     {"64K", 64 << 10},
		     {"64k", 64 << 10},
		     {"100M", 100 << 20},
		     {"2G", UINT64_C (2) << 30},
		     {"3t", UINT64_C (3) << 40},
		     {"0T", 0},
		     {"9223372036854775807", INT64_MAX},
		     {"8388607T", UINT64_C (8388607) << 40}};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		uint64_t bytes = 99;

		if (vmc_value_bytes (OPTION, cases[i].word, &bytes, &err) < 0)
			fail_msg ("%s: %s", cases[i].word, err.text);
		assert_int_equal (bytes, cases[i].bytes);
	}
}

static void what_is_no_size_is_refused (void **state)
{
	static const char *const wrong[] = {"",
					    "K",
					    "-1",
					    "-1K",
					    "1.5G",
					    "1KB",
					    "1KiB",
					    "1 K",
					    " 1",
					    "1P",
					    "1B",
					    "K1",
					    "0x10",
					    "1e3",
					    "9223372036854775808",
					    "18446744073709551616",
					    "8388608T",
					    "9007199254740992K",
					    "18446744073709551615T"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (wrong); i++) {
		uint64_t bytes;

		if (vmc_value_bytes (OPTION, wrong[i], &bytes, &err) == 0)
			fail_msg ("'%s' was taken", wrong[i]);
		assert_error (err, VMC_USAGE, OPTION " needs a number of bytes, as 4096, 64K, 100M or 2G, not '");
		assert_contains (err.text, wrong[i]);
	}
}

/* --- times and paths -------------------------------------------------------------------------- */

static void every_minute_of_the_day_is_a_time (void **state)
{
	(void) state;
	for (int minute = 0; minute < 24 * 60; minute++) {
		char word[16];
		int minutes = -1;

		(void) snprintf (word, sizeof word, "%02d:%02d", minute / 60, minute % 60);
		assert_int_equal (vmc_value_time (OPTION, word, &minutes, &err), 0);
		assert_int_equal (minutes, minute);
		(void) snprintf (word, sizeof word, "%d:%02d", minute / 60, minute % 60);
		assert_int_equal (vmc_value_time (OPTION, word, &minutes, &err), 0);
		assert_int_equal (minutes, minute);
	}
}

static void what_is_no_time_is_refused (void **state)
{
	static const char *const wrong[] = {"",         ":",      "5",      "5:",    ":30",   "5:3",
					    "05:300",   "005:30", "24:00",  "23:60", "-1:30", "05:-1",
					    "05:+1",    "05: 1",  " 5:30",  "5:30 ", "05.30", "5h30",
					    "05:30:00", "5:30pm", "0x5:30", "99:99"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (wrong); i++) {
		int minutes;

		if (vmc_value_time (OPTION, wrong[i], &minutes, &err) == 0)
			fail_msg ("'%s' was taken", wrong[i]);
		assert_error (err, VMC_USAGE, OPTION " needs a time of the day, as 05:30, not '");
		assert_contains (err.text, wrong[i]);
	}
}

static void a_path_is_absolute (void **state)
{
	static const char *const wrong[] = {"", "here", "./here", "~/here", " /here"};
	const char *path = NULL;

	(void) state;
	assert_int_equal (vmc_value_path (OPTION, "/there", &path, &err), 0);
	assert_string_equal (path, "/there");
	for (size_t i = 0; i < UNIT_COUNT (wrong); i++) {
		if (vmc_value_path (OPTION, wrong[i], &path, &err) == 0)
			fail_msg ("'%s' was taken", wrong[i]);
		assert_error (err, VMC_USAGE, OPTION " needs an absolute path, not '");
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (a_choice_is_one_of_the_names),    cmocka_unit_test (yes_and_no_are_said_in_full),
	cmocka_unit_test (a_long_word_is_cut_in_the_error), cmocka_unit_test (seconds_are_kept_in_milliseconds),
	cmocka_unit_test (numbers_are_within_their_limits), cmocka_unit_test (sizes_have_units),
	cmocka_unit_test (what_is_no_size_is_refused),      cmocka_unit_test (every_minute_of_the_day_is_a_time),
	cmocka_unit_test (what_is_no_time_is_refused),      cmocka_unit_test (a_path_is_absolute),
};

UNIT_MAIN (tests)
