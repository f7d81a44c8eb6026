/* extent.c - tests of proto/extent.c */
#include "unit.h"

#include "extent.h"

#define MAX ((uint64_t) INT64_MAX)

/* LIST = the pairs of TEXT: "0+10 20+5". */
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

static void adding_nothing_adds_nothing (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents list = {0};

	(void) state;
	fill (&list, "5+0");
	assert_int_equal (list.count, 0);
}

static void a_range_that_follows_is_merged (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents list = {0};

	(void) state;
	fill (&list, "5+5 10+2");
	assert_list (&list, "5+7");
}

static void a_range_behind_a_gap_is_not_merged (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents list = {0};

	(void) state;
	fill (&list, "5+5 11+2");
	assert_list (&list, "5+5 11+2");
}

static void an_empty_list_takes_another_as_it_is (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents list = {0}, from = {0};
	const struct vmc_extent *items;
	struct vmc_error err;

	(void) state;
	fill (&from, "5+5 20+1");
	items = from.items;
	assert_int_equal (vmc_extents_take (&list, &from, &err), 0);
	assert_list (&list, "5+5 20+1");
	assert_ptr_equal (list.items, items);
	assert_int_equal (from.count, 0);
	assert_null (from.items);
}

static void a_list_takes_another_behind_its_own (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents list = {0}, from = {0};
	struct vmc_error err;

	(void) state;
	fill (&list, "1+1 5+5");
	fill (&from, "10+5 20+1");
	assert_int_equal (vmc_extents_take (&list, &from, &err), 0);
	assert_list (&list, "1+1 5+10 20+1");
	assert_int_equal (from.count, 0);
}

static void many_ranges_fit (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents list = {0};
	struct vmc_error err;

	(void) state;
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal (vmc_extents_add (&list, i * 3, 1, &err), 0);
	assert_int_equal (list.count, 1000);
	assert_int_equal (list.items[999].start, 2997);
}

static void a_range_may_end_at_the_limit (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents list = {0};
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_extents_add (&list, MAX - 1, 1, &err), 0);
}

static void a_range_must_not_end_behind_the_limit (void **state)
{
	static const struct vmc_extent bad[] = {{MAX, 1},        {MAX + 1, 1},    {1, MAX},
						{UINT64_MAX, 2}, {2, UINT64_MAX}, {0, MAX + 1}};
	VMC_CLEANUP_EXTENTS struct vmc_extents list = {0};
	struct vmc_error err;

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (bad); i++) {
		assert_int_equal (vmc_extents_add (&list, bad[i].start, bad[i].length, &err), -1);
		assert_error (err, VMC_PROTOCOL, "2^63");
	}
	assert_int_equal (list.count, 0);
}

static void merging_obeys_the_limit_too (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents list = {0};
	struct vmc_error err;

	(void) state;
	fill (&list, "0+10");
	assert_int_equal (vmc_extents_add (&list, 10, MAX - 9, &err), -1);
	assert_list (&list, "0+10");
}

static void clearing_empties (void **state)
{
	struct vmc_extents list = {0};

	(void) state;
	fill (&list, "0+1 5+1");
	vmc_extents_clear (&list);
	assert_null (list.items);
	assert_int_equal (list.count, 0);
	assert_int_equal (list.room, 0);
}

static void normalising_sorts_and_merges (void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{"", ""},
		{"5+5", "5+5"},
		{"20+5 0+10", "0+10 20+5"},
		{"0+10 5+10", "0+15"},
		{"0+10 2+3", "0+10"},
		{"10+5 0+10", "0+15"},
		{"0+10 0+10 0+5", "0+10"},
		{"30+1 0+100 40+1 200+1", "0+100 200+1"},
		{"0+10 11+1", "0+10 11+1"},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		VMC_CLEANUP_EXTENTS struct vmc_extents list = {0};

		fill (&list, cases[i].from);
		vmc_extents_normalise (&list);
		assert_list (&list, cases[i].to);
	}
}

static void only_sorted_lists_inside_the_end_are_valid (void **state)
{
	static const struct {
		struct vmc_extent items[2];
		size_t count;
		bool valid;
	} cases[] = {
		{{{0}}, 0, true},
		{{{0, 100}}, 1, true},
		{{{0, 101}}, 1, false},
		{{{99, 1}}, 1, true},
		{{{100, 1}}, 1, false},
		{{{101, 1}}, 1, false},
		{{{10, 0}}, 1, false},
		{{{10, UINT64_MAX}}, 1, false},
		{{{UINT64_MAX, 2}}, 1, false},
		{{{0, 10}, {10, 5}}, 2, true},
		{{{0, 10}, {9, 5}}, 2, false},
		{{{20, 5}, {0, 5}}, 2, false},
		{{{20, 5}, {20, 5}}, 2, false},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		struct vmc_extent items[2] = {cases[i].items[0], cases[i].items[1]};
		struct vmc_extents list = {items, cases[i].count, 2};

		if (vmc_extents_valid (&list, 100) != cases[i].valid)
			fail_msg ("case %zu", i);
	}
}

typedef int operation (const struct vmc_extents *a, const struct vmc_extents *b, struct vmc_extents *out,
		       struct vmc_error *err);

static void assert_result (operation *operate, const char *a_text, const char *b_text, const char *wanted)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents a = {0}, b = {0}, out = {0};
	struct vmc_error err;

	fill (&a, a_text);
	fill (&b, b_text);
	assert_int_equal (operate (&a, &b, &out, &err), 0);
	assert_list (&out, wanted);
}

static void intersecting_keeps_what_is_in_both (void **state)
{
	(void) state;
	assert_result (vmc_extents_intersect, "0+10", "", "");
	assert_result (vmc_extents_intersect, "", "0+10", "");
	assert_result (vmc_extents_intersect, "0+10", "10+10", "");
	assert_result (vmc_extents_intersect, "0+10", "5+10", "5+5");
	assert_result (vmc_extents_intersect, "0+100", "5+1 50+60", "5+1 50+50");
	assert_result (vmc_extents_intersect, "5+1 50+60", "0+100", "5+1 50+50");
	assert_result (vmc_extents_intersect, "0+10 20+10", "5+20", "5+5 20+5");
	assert_result (vmc_extents_intersect, "0+10", "0+10", "0+10");
}

static void subtracting_keeps_what_is_only_in_the_first (void **state)
{
	(void) state;
	assert_result (vmc_extents_subtract, "0+10", "", "0+10");
	assert_result (vmc_extents_subtract, "", "0+10", "");
	assert_result (vmc_extents_subtract, "0+10", "10+10", "0+10");
	assert_result (vmc_extents_subtract, "0+10", "0+10", "");
	assert_result (vmc_extents_subtract, "0+10", "3+2", "0+3 5+5");
	assert_result (vmc_extents_subtract, "5+10", "0+7", "7+8");
	assert_result (vmc_extents_subtract, "5+10", "12+50", "5+7");
	assert_result (vmc_extents_subtract, "5+10 30+10", "10+25", "5+5 35+5");
	assert_result (vmc_extents_subtract, "0+100", "10+10 30+10 90+50", "0+10 20+10 40+50");
}

#define BITS 64

static uint64_t bits_of (const struct vmc_extents *list)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < list->count; i++)
		for (uint64_t at = 0; at < list->items[i].length; at++)
			bits |= UINT64_C (1) << (list->items[i].start + at);
	return bits;
}

static void from_bits (uint64_t bits, struct vmc_extents *list)
{
	struct vmc_error err;

	for (unsigned i = 0; i < BITS; i++)
		if (bits >> i & 1)
			assert_int_equal (vmc_extents_add (list, i, 1, &err), 0);
}

static uint64_t next_random (uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Sets of 64 positions as lists and as words: both ways of computing must agree, also in being normalised. */
static void set_operations_agree_with_bits (void **state)
{
	uint64_t seed = 88172645463325252u;

	(void) state;
	for (int round = 0; round < 2000; round++) {
		VMC_CLEANUP_EXTENTS struct vmc_extents a = {0}, b = {0}, both = {0}, rest = {0};
		uint64_t x = next_random (&seed) & next_random (&seed), y = next_random (&seed) | next_random (&seed);
		struct vmc_error err;

		from_bits (x, &a);
		from_bits (y, &b);
		assert_int_equal (vmc_extents_intersect (&a, &b, &both, &err), 0);
		assert_int_equal (vmc_extents_subtract (&a, &b, &rest, &err), 0);
		assert_true (bits_of (&both) == (x & y) && vmc_extents_valid (&both, BITS));
		assert_true (bits_of (&rest) == (x & ~y) && vmc_extents_valid (&rest, BITS));
		assert_int_equal (vmc_extents_total (&both), __builtin_popcountll (x & y));
	}
}

static void aligning_only_ever_shrinks (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents list = {0};

	(void) state;
	fill (&list, "0+4096 5000+100 8191+4098 20000+10000 65536+1");
	vmc_extents_align_inward (&list, 4096);
	assert_list (&list, "0+4096 8192+4096 20480+8192");
}

static void aligning_drops_a_range_across_one_border (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents list = {0};

	(void) state;
	fill (&list, "4000+200");
	vmc_extents_align_inward (&list, 4096);
	assert_int_equal (list.count, 0);
}

static void aligning_copes_with_the_limit (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents list = {0};
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_extents_add (&list, MAX - 10, 10, &err), 0);
	vmc_extents_align_inward (&list, 1 << 21);
	assert_int_equal (list.count, 0);
}

static void the_total_is_the_sum (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents list = {0};

	(void) state;
	assert_int_equal (vmc_extents_total (&list), 0);
	fill (&list, "0+5 10+7 100+1");
	assert_int_equal (vmc_extents_total (&list), 13);
}

static void widened_ranges_merge_and_end_at_the_end (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents list = {0};
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_extents_add (&list, 10, 10, &err), 0);
	assert_int_equal (vmc_extents_add (&list, 70, 10, &err), 0);
	assert_int_equal (vmc_extents_add (&list, 300, 5, &err), 0);
	vmc_extents_align_outward (&list, 64, 310);
	assert_int_equal (list.count, 2);
	assert_true (list.items[0].start == 0 && list.items[0].length == 128);
	assert_true (list.items[1].start == 256 && list.items[1].length == 54);
	assert_int_equal (vmc_extents_first_behind (&list, 0), 0);
	assert_int_equal (vmc_extents_first_behind (&list, 127), 0);
	assert_int_equal (vmc_extents_first_behind (&list, 128), 1);
	assert_int_equal (vmc_extents_first_behind (&list, 310), 2);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (widened_ranges_merge_and_end_at_the_end),
	cmocka_unit_test (adding_nothing_adds_nothing),
	cmocka_unit_test (a_range_that_follows_is_merged),
	cmocka_unit_test (a_range_behind_a_gap_is_not_merged),
	cmocka_unit_test (an_empty_list_takes_another_as_it_is),
	cmocka_unit_test (a_list_takes_another_behind_its_own),
	cmocka_unit_test (many_ranges_fit),
	cmocka_unit_test (a_range_may_end_at_the_limit),
	cmocka_unit_test (a_range_must_not_end_behind_the_limit),
	cmocka_unit_test (merging_obeys_the_limit_too),
	cmocka_unit_test (clearing_empties),
	cmocka_unit_test (normalising_sorts_and_merges),
	cmocka_unit_test (only_sorted_lists_inside_the_end_are_valid),
	cmocka_unit_test (intersecting_keeps_what_is_in_both),
	cmocka_unit_test (subtracting_keeps_what_is_only_in_the_first),
	cmocka_unit_test (set_operations_agree_with_bits),
	cmocka_unit_test (aligning_only_ever_shrinks),
	cmocka_unit_test (aligning_drops_a_range_across_one_border),
	cmocka_unit_test (aligning_copes_with_the_limit),
	cmocka_unit_test (the_total_is_the_sum),
};

UNIT_MAIN (tests)
