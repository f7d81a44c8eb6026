/* thin.c - tests of host/thin.c, with lines as "dmsetup status" shows them */
#include "unit.h"

#include "thin.h"

static void mapped_sectors_are_counted (void **state)
{
	uint64_t bytes;

	(void) state;
	assert_true (vmc_thin_parse ("thin", "2097152 4194303", &bytes));
	assert_int_equal (bytes, UINT64_C (1) << 30);
	assert_true (vmc_thin_parse ("thin", "0 -", &bytes));
	assert_int_equal (bytes, 0);
}

static void anything_else_is_not_known (void **state)
{
	static const struct {
		const char *type, *status;
	} cases[] = {{"linear", ""},
		     {"thin-pool", "0 12/1024 5/800 -"},
		     {"thin", "Fail"},
		     {"thin", "Error"},
		     {"thin", ""},
		     {"thin", "-5 7"},
		     {"thin", "99999999999999999999 1"}};
	uint64_t bytes = 77;

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++)
		assert_false (vmc_thin_parse (cases[i].type, cases[i].status, &bytes));
	assert_int_equal (bytes, 77);
	assert_false (vmc_thin_allocated (0, &bytes));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (mapped_sectors_are_counted),
	cmocka_unit_test (anything_else_is_not_known),
};

UNIT_MAIN (tests)
