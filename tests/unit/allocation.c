/* allocation.c - tests of host/allocation.c, on lines as qemu-img map prints them */
#include "unit.h"

#include "allocation.h"

#define STORED(start, length, offset) \
	"{ \"start\": " #start ", \"length\": " #length ", \"depth\": 0, \"present\": true, \"zero\": false, " \
	"\"data\": true, \"compressed\": false, \"offset\": " #offset "}"

static void take (struct vmc_allocation *allocation, const char *line)
{
	struct vmc_error err;

	if (vmc_allocation_take_line (allocation, line, &err) < 0)
		fail_msg ("%s: %s", err.text, line);
}

static void assert_not_stored (const char *line)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};

	take (&allocation, line);
	if (allocation.count != 0)
		fail_msg ("this was taken: %s", line);
}

static void assert_unreadable (const char *line)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};
	struct vmc_error err;

	if (vmc_allocation_take_line (&allocation, line, &err) == 0)
		fail_msg ("this was taken: %s", line);
	assert_error (err, VMC_FAILED, "cannot be read");
}

/* LIST += the pairs of TEXT: "0+10 20+5". */
static void fill (struct vmc_extents *list, const char *text)
{
	unsigned long long start, length;
	struct vmc_error err;
	int used;

	while (sscanf (text, " %llu+%llu%n", &start, &length, &used) == 2) {
		assert_int_equal (vmc_extents_add (list, start, length, &err), 0);
		text += used;
	}
}

static void assert_list (const struct vmc_extents *list, const char *wanted)
{
	char text[1000] = "", *to = text;

	for (size_t i = 0; i < list->count; i++)
		to += sprintf (to, "%s%llu+%llu", i ? " " : "", (unsigned long long) list->items[i].start,
			       (unsigned long long) list->items[i].length);
	assert_string_equal (text, wanted);
}

/* --- lines --------------------------------------------------------------------------------------------------------------- */

static void a_run_is_taken (void **state)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};

	(void) state;
	take (&allocation, "[" STORED (0, 65536, 327680) ",");
	take (&allocation, STORED (131072, 65536, 393216) "]");
	assert_int_equal (allocation.count, 2);
	assert_int_equal (allocation.items[0].start, 0);
	assert_int_equal (allocation.items[0].length, 65536);
	assert_int_equal (allocation.items[0].file_offset, 327680);
	assert_int_equal (allocation.items[1].start, 131072);
}

static void brackets_alone_are_passed_over (void **state)
{
	(void) state;
	assert_not_stored ("[\n");
	assert_not_stored ("]\n");
	assert_not_stored ("\n");
	assert_not_stored ("");
}

static void a_hole_is_not_stored (void **state)
{
	(void) state;
	assert_not_stored ("{ \"start\": 0, \"length\": 65536, \"depth\": 0, \"present\": false, \"zero\": true, "
			   "\"data\": false}");
}

static void a_run_of_the_backing_file_is_not_stored (void **state)
{
	(void) state;
	assert_not_stored ("{ \"start\": 0, \"length\": 65536, \"depth\": 1, \"present\": true, \"zero\": false, "
			   "\"data\": true, \"offset\": 65536}");
}

static void a_compressed_run_is_not_stored (void **state)
{
	(void) state;
	assert_not_stored ("{ \"start\": 0, \"length\": 65536, \"depth\": 0, \"zero\": false, \"data\": true, "
			   "\"compressed\": true}");
	assert_not_stored ("{ \"start\": 0, \"length\": 65536, \"depth\": 0, \"zero\": false, \"data\": true, "
			   "\"compressed\": true, \"offset\": 65536}");
}

static void zeros_that_kept_their_place_are_stored (void **state)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};

	(void) state;
	take (&allocation, "{ \"start\": 0, \"length\": 65536, \"depth\": 0, \"present\": true, \"zero\": true, "
			   "\"data\": false, \"offset\": 65536}");
	assert_int_equal (allocation.count, 1);
}

/* QEMU before 6.1 has no "present", before 8.2 no "compressed". */
static void the_lines_of_an_old_qemu_are_taken (void **state)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};

	(void) state;
	take (&allocation,
	      "{ \"start\": 0, \"length\": 65536, \"depth\": 0, \"zero\": false, \"data\": true, \"offset\": 65536},");
	assert_int_equal (allocation.count, 1);
}

static void an_empty_run_is_not_stored (void **state)
{
	(void) state;
	assert_not_stored (STORED (0, 0, 65536));
}

static void an_offset_that_cannot_be_is_not_stored (void **state)
{
	(void) state;
	assert_not_stored (STORED (0, 65536, -1));
	assert_not_stored (STORED (0, 65536, 9223372036854775807));
	assert_not_stored (STORED (0, 65536, 9223372036854775800));
	assert_not_stored (STORED (0, 65536, "x"));
}

static void lines_that_make_no_sense_fail (void **state)
{
	static const char *const lines[] = {
		"{",
		"{}",
		"{ \"start\": 0, \"length\": 5 }",
		"{ \"start\": 0, \"depth\": 0 }",
		"{ \"length\": 5, \"depth\": 0 }",
		"{ \"start\": -1, \"length\": 5, \"depth\": 0 }",
		"{ \"start\": 0, \"length\": -5, \"depth\": 0 }",
		"{ \"start\": 0, \"length\": 5, \"depth\": -1 }",
		"{ \"start\": \"0\", \"length\": 5, \"depth\": 0 }",
		"{ \"start\": 0.5, \"length\": 5, \"depth\": 0 }",
		"{ \"start\": 9223372036854775807, \"length\": 5, \"depth\": 0 }",
		"{ \"start\": 9223372036854775806, \"length\": 5, \"depth\": 0 }",
		"{ \"start\": 0, \"length\": 5, \"depth\": 0",
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (lines); i++)
		assert_unreadable (lines[i]);
}

static void runs_must_be_in_order (void **state)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};
	struct vmc_error err;

	(void) state;
	take (&allocation, STORED (65536, 65536, 0));
	assert_int_equal (vmc_allocation_take_line (&allocation, STORED (131071, 5, 65536), &err), -1);
	assert_error (err, VMC_FAILED, "not in order");
	assert_int_equal (vmc_allocation_take_line (&allocation, STORED (0, 5, 65536), &err), -1);
	take (&allocation, STORED (131072, 5, 65536));
}

static void many_runs_fit (void **state)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};

	(void) state;
	for (unsigned i = 0; i < 1000; i++) {
		char line[200];

		sprintf (line, "{ \"start\": %u, \"length\": 5, \"depth\": 0, \"offset\": %u}", i * 10, i * 7);
		take (&allocation, line);
	}
	assert_int_equal (allocation.count, 1000);
	assert_int_equal (allocation.items[999].file_offset, 6993);
}

/* --- what takes space ------------------------------------------------------------------------------------------------------ */

/* An image of three runs, stored in another order than that of the disk, in a file with a hole:
 * disk 0..100 at 1000, disk 200..300 at 500, disk 300..400 at 2000; data in 0..550 and 1050..3000. */
static void make_image (struct vmc_allocation *allocation)
{
	take (allocation, STORED (0, 100, 1000));
	take (allocation, STORED (200, 100, 500));
	take (allocation, STORED (300, 100, 2000));
	fill (&allocation->data, "0+550 1050+1950");
}

static void ranges_are_where_the_file_has_data (void **state)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};
	VMC_CLEANUP_EXTENTS struct vmc_extents ranges = {0};
	struct vmc_error err;

	(void) state;
	make_image (&allocation);
	assert_int_equal (vmc_allocation_ranges (&allocation, &ranges, &err), 0);
	assert_list (&ranges, "50+50 200+50 300+100");
}

static void a_file_without_data_takes_no_space (void **state)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};
	VMC_CLEANUP_EXTENTS struct vmc_extents ranges = {0};
	struct vmc_error err;

	(void) state;
	take (&allocation, STORED (0, 100, 1000));
	assert_int_equal (vmc_allocation_ranges (&allocation, &ranges, &err), 0);
	assert_int_equal (ranges.count, 0);
}

static void one_run_may_lie_across_many_holes (void **state)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};
	VMC_CLEANUP_EXTENTS struct vmc_extents ranges = {0};
	struct vmc_error err;

	(void) state;
	take (&allocation, STORED (100, 100, 1000));
	fill (&allocation.data, "0+10 990+20 1050+10 1090+500");
	assert_int_equal (vmc_allocation_ranges (&allocation, &ranges, &err), 0);
	assert_list (&ranges, "100+10 150+10 190+10");
}

static void assert_located (const char *free_text, const char *wanted)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};
	VMC_CLEANUP_EXTENTS struct vmc_extents free_ranges = {0}, places = {0};
	struct vmc_error err;

	make_image (&allocation);
	fill (&free_ranges, free_text);
	assert_int_equal (vmc_allocation_locate (&allocation, &free_ranges, &places, &err), 0);
	assert_list (&places, wanted);
}

static void what_is_free_is_located_in_the_file (void **state)
{
	(void) state;
	assert_located ("210+20", "510+20");
	assert_located ("60+10", "1060+10");
	assert_located ("310+10 350+10", "2010+10 2050+10");
}

static void what_is_not_stored_is_nowhere (void **state)
{
	(void) state;
	assert_located ("", "");
	assert_located ("100+100", "");
	assert_located ("400+1000", "");
}

static void what_is_a_hole_already_is_left_out (void **state)
{
	(void) state;
	assert_located ("0+50", "");
	assert_located ("240+20", "540+10");
}

static void places_are_sorted_as_in_the_file (void **state)
{
	(void) state;
	assert_located ("0+1000", "500+50 1050+50 2000+100");
}

static void a_free_range_across_two_runs_has_two_places (void **state)
{
	(void) state;
	assert_located ("240+100", "540+10 2000+40");
}

/* Punching the one that is free would destroy the other. */
static void two_runs_at_one_place_are_refused (void **state)
{
	static const char *const seconds[] = {STORED (200, 100, 1000), STORED (200, 100, 1099), STORED (200, 100, 901),
					      STORED (200, 1000, 500), STORED (200, 1, 1050)};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (seconds); i++) {
		VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};
		VMC_CLEANUP_EXTENTS struct vmc_extents free_ranges = {0}, places = {0};
		struct vmc_error err;

		take (&allocation, STORED (0, 100, 1000));
		take (&allocation, seconds[i]);
		fill (&allocation.data, "0+3000");
		fill (&free_ranges, "0+10");
		assert_int_equal (vmc_allocation_locate (&allocation, &free_ranges, &places, &err), -1);
		assert_error (err, VMC_REFUSED, "at the same place");
		assert_int_equal (places.count, 0);
	}
}

static void runs_that_touch_in_the_file_are_fine (void **state)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};
	VMC_CLEANUP_EXTENTS struct vmc_extents free_ranges = {0}, places = {0};
	struct vmc_error err;

	(void) state;
	take (&allocation, STORED (0, 100, 1000));
	take (&allocation, STORED (200, 100, 900));
	take (&allocation, STORED (300, 100, 1100));
	fill (&allocation.data, "0+3000");
	fill (&free_ranges, "200+100");
	assert_int_equal (vmc_allocation_locate (&allocation, &free_ranges, &places, &err), 0);
	assert_list (&places, "900+100");
}

static void clearing_empties (void **state)
{
	struct vmc_allocation allocation = {0};

	(void) state;
	make_image (&allocation);
	vmc_allocation_clear (&allocation);
	assert_null (allocation.items);
	assert_null (allocation.data.items);
	assert_int_equal (allocation.count, 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (a_run_is_taken),
	cmocka_unit_test (brackets_alone_are_passed_over),
	cmocka_unit_test (a_hole_is_not_stored),
	cmocka_unit_test (a_run_of_the_backing_file_is_not_stored),
	cmocka_unit_test (a_compressed_run_is_not_stored),
	cmocka_unit_test (zeros_that_kept_their_place_are_stored),
	cmocka_unit_test (the_lines_of_an_old_qemu_are_taken),
	cmocka_unit_test (an_empty_run_is_not_stored),
	cmocka_unit_test (an_offset_that_cannot_be_is_not_stored),
	cmocka_unit_test (lines_that_make_no_sense_fail),
	cmocka_unit_test (runs_must_be_in_order),
	cmocka_unit_test (many_runs_fit),
	cmocka_unit_test (ranges_are_where_the_file_has_data),
	cmocka_unit_test (a_file_without_data_takes_no_space),
	cmocka_unit_test (one_run_may_lie_across_many_holes),
	cmocka_unit_test (what_is_free_is_located_in_the_file),
	cmocka_unit_test (what_is_not_stored_is_nowhere),
	cmocka_unit_test (what_is_a_hole_already_is_left_out),
	cmocka_unit_test (places_are_sorted_as_in_the_file),
	cmocka_unit_test (a_free_range_across_two_runs_has_two_places),
	cmocka_unit_test (two_runs_at_one_place_are_refused),
	cmocka_unit_test (runs_that_touch_in_the_file_are_fine),
	cmocka_unit_test (clearing_empties),
};

UNIT_MAIN (tests)
