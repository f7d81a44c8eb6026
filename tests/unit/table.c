/* table.c - tests of host/table.c */
#include "unit.h"

#include <locale.h>
#include <unistd.h>

#include "report.h"
#include "table.h"

/* What vmc_table_bytes writes to stdout, which belongs to TAP otherwise. */
static const char *print (uint64_t bytes, bool about)
{
	static char cell[100];
	FILE *file = tmpfile ();
	int saved = dup (1);

	assert_non_null (file);
	(void) fflush (stdout);
	(void) dup2 (fileno (file), 1);
	vmc_table_bytes (bytes, about);
	(void) fflush (stdout);
	(void) dup2 (saved, 1);
	(void) close (saved);
	rewind (file);
	cell[fread (cell, 1, sizeof cell - 1, file)] = 0;
	(void) fclose (file);
	return cell;
}

static void a_cell_has_twelve_columns (void **state)
{
	(void) state;
	assert_string_equal (print (0, false), "         0 B");
	assert_string_equal (print (UINT64_C (3661) << 20, false), "    3.58 GiB");
	assert_string_equal (print (UINT64_C (3661) << 20, true), "   ~3.58 GiB");
	assert_string_equal (print (VMC_UNKNOWN, false), "           -");
	assert_string_equal (print (VMC_UNKNOWN, true), "           -"); /* nothing is not about so much */
	for (unsigned shift = 0; shift < 64; shift++)
		for (int about = 0; about < 2; about++)
			assert_int_equal (strlen (print ((UINT64_C (1) << shift) - 1, about)), 12);
}

static void assert_marks (const char *used, const char *free, const char *none)
{
	const char *const *marks = vmc_table_marks ();

	assert_string_equal (marks[0], used);
	assert_string_equal (marks[1], free);
	assert_string_equal (marks[2], none);
}

static void marks_are_what_the_terminal_can_show (void **state)
{
	(void) state;
	assert_non_null (setlocale (LC_CTYPE, "C"));
	assert_marks ("#", "-", ".");
	if (setlocale (LC_CTYPE, "C.UTF-8") != NULL)
		assert_marks ("\xE2\x96\x88", "\xE2\x96\x92", "\xC2\xB7");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (a_cell_has_twelve_columns),
	cmocka_unit_test (marks_are_what_the_terminal_can_show),
};

UNIT_MAIN (tests)
