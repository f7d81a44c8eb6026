/* picture.c - tests of host/picture.c: what is drawn into which cell; tests of report.c print it */
#include "unit.h"

#include "picture.h"

#define DISK_BYTES (VMC_TABLE_CELLS * 1000u - 1) /* cells of 1000 bytes */

#define LIST(...) \
	&(struct vmc_extents) \
	{ \
		.items = (struct vmc_extent[]) {__VA_ARGS__}, \
		.count = sizeof ((struct vmc_extent[]) {__VA_ARGS__}) / sizeof (struct vmc_extent) \
	}

static const struct vmc_extents nothing;

static void what_is_allocated_is_used_or_freed (void **state)
{
	struct vmc_picture picture = {0};

	(void) state;
	vmc_picture_draw (&picture, DISK_BYTES, LIST ({100, 300}, {500, 100}, {2000, 10}),
			  LIST ({0, 150}, {200, 20}, {350, 1700}));
	assert_int_equal (picture.used[0], 50 + 130);
	assert_int_equal (picture.freed[0], 50 + 20 + 50 + 100);
	assert_int_equal (picture.used[1] + picture.freed[1], 0);
	assert_int_equal (picture.freed[2], 10);
	assert_int_equal (picture.used_bytes, 180);
	assert_int_equal (picture.freed_bytes, 230);
}

static void a_range_fills_all_cells_that_it_touches (void **state)
{
	struct vmc_picture picture = {0};

	(void) state;
	vmc_picture_draw (&picture, DISK_BYTES, LIST ({1900, 2200}), &nothing);
	assert_int_equal (picture.used[0], 0);
	assert_int_equal (picture.used[1], 100);
	assert_int_equal (picture.used[2], 1000);
	assert_int_equal (picture.used[3], 1000);
	assert_int_equal (picture.used[4], 100);
	assert_int_equal (picture.used_bytes, 2200);
}

static void what_is_drawn_twice_adds_up (void **state)
{
	struct vmc_picture picture = {0};

	(void) state;
	vmc_picture_draw (&picture, DISK_BYTES, LIST ({0, 100}), &nothing);
	vmc_picture_draw (&picture, DISK_BYTES, LIST ({500, 100}), LIST ({500, 100}));
	assert_int_equal (picture.used[0], 100);
	assert_int_equal (picture.freed[0], 100);
}

static void what_lies_behind_the_disk_is_left_out (void **state)
{
	struct vmc_picture picture = {0};

	(void) state;
	vmc_picture_draw (&picture, DISK_BYTES, LIST ({VMC_TABLE_CELLS * 1000 - 10, 5000}), &nothing);
	assert_int_equal (picture.used[VMC_TABLE_CELLS - 1], 10);
	assert_int_equal (picture.used_bytes, 10);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (what_is_allocated_is_used_or_freed),
	cmocka_unit_test (a_range_fills_all_cells_that_it_touches),
	cmocka_unit_test (what_is_drawn_twice_adds_up),
	cmocka_unit_test (what_lies_behind_the_disk_is_left_out),
};

UNIT_MAIN (tests)
