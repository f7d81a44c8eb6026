/* error.c - tests of proto/error.c */
#include "unit.h"

#include <errno.h>

#include "error.h"

static void fail_fills_and_returns (void **state)
{
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_fail (&err, VMC_BUSY, ENOSPC, "no %s for %d", "room", 7), -1);
	assert_int_equal (err.code, VMC_BUSY);
	assert_int_equal (err.errnum, ENOSPC);
	assert_string_equal (err.text, "no room for 7");
}

static void fail_cuts_a_long_text (void **state)
{
	struct vmc_error err;

	(void) state;
	vmc_fail (&err, VMC_FAILED, 0, "%0*d", VMC_TEXT_SIZE * 2, 1);
	assert_int_equal (strlen (err.text), VMC_TEXT_SIZE - 1);
}

static void fail_in_puts_a_context_before (void **state)
{
	struct vmc_error err;

	(void) state;
	vmc_fail (&err, VMC_TIMEOUT, EIO, "cause");
	assert_int_equal (vmc_fail_in (&err, "disk '%s'", "vda"), -1);
	assert_string_equal (err.text, "disk 'vda': cause");
}

static void fail_in_keeps_code_and_errno (void **state)
{
	struct vmc_error err;

	(void) state;
	vmc_fail (&err, VMC_TIMEOUT, EIO, "cause");
	vmc_fail_in (&err, "context");
	assert_int_equal (err.code, VMC_TIMEOUT);
	assert_int_equal (err.errnum, EIO);
}

static void fail_in_cuts_the_cause_first (void **state)
{
	struct vmc_error err;

	(void) state;
	vmc_fail (&err, VMC_FAILED, 0, "%0*d", VMC_TEXT_SIZE, 1);
	vmc_fail_in (&err, "context");
	assert_int_equal (strlen (err.text), VMC_TEXT_SIZE - 1);
	assert_memory_equal (err.text, "context: 0", 10);
}

static void fail_in_survives_a_context_without_room (void **state)
{
	struct vmc_error err;

	(void) state;
	vmc_fail (&err, VMC_FAILED, 0, "cause");
	vmc_fail_in (&err, "%0*d", VMC_TEXT_SIZE * 2, 1);
	assert_int_equal (strlen (err.text), VMC_TEXT_SIZE - 1);
}

static void every_code_comes_back_by_its_name (void **state)
{
	(void) state;
	for (int code = 0; code < VMC_CODES; code++)
		assert_int_equal (vmc_code_from_name (vmc_code_name (code)), code);
}

static void a_name_that_is_not_known_is_a_failure (void **state)
{
	(void) state;
	assert_int_equal (vmc_code_from_name ("busier"), VMC_FAILED);
	assert_int_equal (vmc_code_from_name (""), VMC_FAILED);
}

static void a_code_out_of_range_is_a_failure (void **state)
{
	(void) state;
	assert_string_equal (vmc_code_name (VMC_CODES), "failed");
	assert_int_equal (vmc_code_exit_status (VMC_CODES), 1);
}

/* These numbers are in the manual page: scripts rely on them. */
static void exit_statuses_are_as_documented (void **state)
{
	static const int wanted[VMC_CODES] = {
		[VMC_FAILED] = 1,      [VMC_USAGE] = 2,       [VMC_REFUSED] = 3,   [VMC_DROPPED] = 4,
		[VMC_INTERRUPTED] = 5, [VMC_BUSY] = 6,        [VMC_NO_AGENT] = 3,  [VMC_TIMEOUT] = 1,
		[VMC_PROTOCOL] = 1,    [VMC_UNSUPPORTED] = 3, [VMC_CANCELLED] = 1, [VMC_NOT_HELD] = 1,
	};

	(void) state;
	for (int code = 0; code < VMC_CODES; code++)
		assert_int_equal (vmc_code_exit_status (code), wanted[code]);
}

/* Both sides may be of different versions: the names must not change. */
static void code_names_are_as_documented (void **state)
{
	static const char *const wanted[VMC_CODES] = {"failed",      "usage",       "refused",   "dropped",
						      "interrupted", "busy",        "no-agent",  "timeout",
						      "protocol",    "unsupported", "cancelled", "not-held"};

	(void) state;
	for (int code = 0; code < VMC_CODES; code++)
		assert_string_equal (vmc_code_name (code), wanted[code]);
}

static void an_errno_comes_back_by_its_name (void **state)
{
	static const int numbers[] = {EPERM, EIO, EAGAIN, ENOSPC, EOPNOTSUPP, ECANCELED, EDEADLK, ENOTTY};

	(void) state;
	assert_string_equal (vmc_errno_name (ENOSPC), "ENOSPC");
	for (size_t i = 0; i < UNIT_COUNT (numbers); i++)
		assert_int_equal (vmc_errno_from_name (vmc_errno_name (numbers[i])), numbers[i]);
}

static void no_errno_has_an_empty_name (void **state)
{
	(void) state;
	assert_string_equal (vmc_errno_name (0), "");
	assert_int_equal (vmc_errno_from_name (""), 0);
}

static void an_errno_that_is_not_known_is_marked (void **state)
{
	(void) state;
	assert_string_equal (vmc_errno_name (99999), "E?");
	assert_int_equal (vmc_errno_from_name ("E?"), 0);
	assert_int_equal (vmc_errno_from_name ("EWHATEVER"), 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (fail_fills_and_returns),
	cmocka_unit_test (fail_cuts_a_long_text),
	cmocka_unit_test (fail_in_puts_a_context_before),
	cmocka_unit_test (fail_in_keeps_code_and_errno),
	cmocka_unit_test (fail_in_cuts_the_cause_first),
	cmocka_unit_test (fail_in_survives_a_context_without_room),
	cmocka_unit_test (every_code_comes_back_by_its_name),
	cmocka_unit_test (a_name_that_is_not_known_is_a_failure),
	cmocka_unit_test (a_code_out_of_range_is_a_failure),
	cmocka_unit_test (exit_statuses_are_as_documented),
	cmocka_unit_test (code_names_are_as_documented),
	cmocka_unit_test (an_errno_comes_back_by_its_name),
	cmocka_unit_test (no_errno_has_an_empty_name),
	cmocka_unit_test (an_errno_that_is_not_known_is_marked),
};

UNIT_MAIN (tests)
