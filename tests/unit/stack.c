/* stack.c - tests of proto/stack.c
 *
 * The two ways to follow a range are held against each other: a whole range at once, and each byte by itself.
 */
#include "devices.h"

#define DISK_BYTES 4096

/* Two disks with a partition each; a volume of three pieces over both; a volume in stripes over both; LUKS on a volume. */
static int set_up (void **state)
{
	struct vmc_device *volume, *stripes;

	(void) state;
	add_device ("a", VMC_KIND_DISK, DISK_BYTES);
	add_device ("b", VMC_KIND_DISK, DISK_BYTES);
	add_part ("a1", VMC_KIND_PARTITION, 2048, "a", 1000);
	add_part ("b1", VMC_KIND_PARTITION, 2048, "b", 512);
	volume = add_device ("volume", "LVM", 1000);
	lies_on (volume, "a1");
	lies_on (volume, "b1");
	add_target (volume, 0, 300, 0);
	add_leg (volume, "a1", 100);
	add_target (volume, 300, 600, 0);
	add_leg (volume, "b1", 0);
	add_target (volume, 900, 100, 0);
	add_leg (volume, "a1", 0);
	stripes = add_device ("stripes", "RAID", 700);
	lies_on (stripes, "a1");
	lies_on (stripes, "b1");
	add_target (stripes, 0, 700, 64);
	add_leg (stripes, "a1", 1000);
	add_leg (stripes, "b1", 1200);
	add_leg (stripes, "a1", 1500);
	add_part ("luks", "LUKS", 800, "volume", 200)->encrypted = true;
	return 0;
}

static int tear_down (void **state)
{
	(void) state;
	vmc_stack_clear (&list);
	return 0;
}

/* --- following ------------------------------------------------------------------------------------ */

static void map (const char *device, uint64_t start, uint64_t length, const char *disk, struct vmc_extents *out)
{
	struct vmc_error err;

	if (vmc_stack_map (&list, device, &(struct vmc_extent) {start, length}, disk, out, &err) < 0)
		fail_msg ("%s", err.text);
	vmc_extents_normalise (out);
}

static void a_range_of_a_partition_is_moved (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents out = {0};

	(void) state;
	map ("a1", 10, 20, "a", &out);
	assert_int_equal (out.count, 1);
	assert_int_equal (out.items[0].start, 1010);
	assert_int_equal (out.items[0].length, 20);
}

static void a_range_over_pieces_is_cut_and_what_is_elsewhere_left_out (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents on_a = {0}, on_b = {0};

	(void) state;
	map ("volume", 250, 700, "a", &on_a);
	assert_int_equal (on_a.count, 2);
	assert_int_equal (on_a.items[0].start, 1000); /* 900..950 */
	assert_int_equal (on_a.items[0].length, 50);
	assert_int_equal (on_a.items[1].start, 1350); /* 250..300 */
	assert_int_equal (on_a.items[1].length, 50);
	map ("volume", 250, 700, "b", &on_b);
	assert_int_equal (on_b.count, 1);
	assert_int_equal (on_b.items[0].start, 512);
	assert_int_equal (on_b.items[0].length, 600);
}

static void stripes_take_turns (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents on_b = {0};

	(void) state;
	/* Chunks 1, 4, 7, 10 are on the second leg. */
	map ("stripes", 0, 700, "b", &on_b);
	assert_int_equal (on_b.count, 1);
	assert_int_equal (on_b.items[0].start, 512 + 1200);
	assert_int_equal (on_b.items[0].length, 3 * 64 + 60);
}

/* Every byte of RANGE, one by one. */
static void mark_bytes (const char *device, uint64_t start, uint64_t length, const char *disk, char *marks)
{
	for (uint64_t at = start; at < start + length; at++) {
		struct vmc_spot spot;
		struct vmc_error err;

		if (vmc_stack_spot (&list, device, at, &spot, &err) < 0)
			fail_msg ("%s", err.text);
		assert_true (spot.length > 0 && spot.offset + spot.length <= DISK_BYTES);
		if (strcmp (spot.disk->device, disk) == 0)
			marks[spot.offset]++;
	}
}

static void compare (const char *device, uint64_t start, uint64_t length, const char *disk)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents out = {0};
	char by_byte[DISK_BYTES] = {0}, by_range[DISK_BYTES] = {0};

	mark_bytes (device, start, length, disk, by_byte);
	map (device, start, length, disk, &out);
	for (size_t i = 0; i < out.count; i++)
		for (uint64_t at = 0; at < out.items[i].length; at++)
			by_range[out.items[i].start + at]++;
	assert_memory_equal (by_byte, by_range, sizeof by_byte);
}

static void both_ways_find_the_same_bytes (void **state)
{
	static const struct {
		const char *device;
		uint64_t bytes;
	} devices[] = {{"a1", 2048}, {"volume", 1000}, {"stripes", 700}, {"luks", 800}};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (devices); i++)
		for (uint64_t start = 0; start < devices[i].bytes; start += 13)
			for (uint64_t length = 1; length <= devices[i].bytes - start; length += 37) {
				compare (devices[i].device, start, length, "a");
				compare (devices[i].device, start, length, "b");
			}
}

/* What lies behind a spot lies behind it on the disk, too. */
static void a_spot_is_as_long_as_it_says (void **state)
{
	struct vmc_spot spot, later;
	struct vmc_error err;

	(void) state;
	for (uint64_t at = 0; at < 700; at += spot.length) {
		assert_int_equal (vmc_stack_spot (&list, "stripes", at, &spot, &err), 0);
		assert_true (spot.length <= 64);
		if (spot.length > 700 - at)
			break;
		assert_int_equal (vmc_stack_spot (&list, "stripes", at + spot.length - 1, &later, &err), 0);
		assert_ptr_equal (later.disk, spot.disk);
		assert_int_equal (later.offset, spot.offset + spot.length - 1);
	}
}

static void what_leaves_a_device_is_no_range (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents out = {0};
	struct vmc_extent beyond = {990, 11}, far = {UINT64_MAX - 5, 10};
	struct vmc_spot spot;
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_stack_map (&list, "volume", &beyond, "a", &out, &err), -1);
	assert_int_equal (vmc_stack_map (&list, "volume", &far, "a", &out, &err), -1);
	assert_int_equal (vmc_stack_spot (&list, "volume", 1000, &spot, &err), -1);
	assert_int_equal (vmc_stack_map (&list, "nothing", &beyond, "a", &out, &err), -1);
}

/* A leg behind the end of the device below: the agent says so, and the host must not follow. */
static void a_leg_beyond_its_device_is_not_followed (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents out = {0};
	struct vmc_extent all = {0, 100};
	struct vmc_spot spot;
	struct vmc_error err;

	(void) state;
	add_part ("long", "LVM", 100, "a1", 2000);
	assert_int_equal (vmc_stack_map (&list, "long", &all, "a", &out, &err), -1);
	assert_int_equal (vmc_stack_spot (&list, "long", 60, &spot, &err), -1);
	add_part ("far", "LVM", 100, "a1", INT64_MAX - 1);
	assert_int_equal (vmc_stack_map (&list, "far", &all, "a", &out, &err), -1);
	assert_int_equal (vmc_stack_spot (&list, "far", 60, &spot, &err), -1);
}

static void through_what_is_not_understood_nothing_is_followed (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents out = {0};
	struct vmc_extent all = {0, 800};
	struct vmc_spot spot;
	struct vmc_error err;

	(void) state;
	vmc_stack_give_up (get ("volume"), "a thin pool");
	assert_int_equal (get ("volume")->targets.count, 0);
	assert_int_equal (vmc_stack_check (&list, &err), 0);
	assert_int_equal (vmc_stack_map (&list, "luks", &all, "a", &out, &err), -1);
	assert_error (err, VMC_UNSUPPORTED, "a thin pool");
	assert_int_equal (vmc_stack_spot (&list, "luks", 0, &spot, &err), -1);
	assert_string_equal (vmc_stack_why_not_map (&list, "luks"), "a thin pool");
	assert_string_equal (vmc_stack_why_not_map (&list, "a1"), "");
	assert_true (vmc_stack_uses (&list, "luks", "a"));
}

/* Sixteen legs, each on the same device with sixteen legs, and so on: two to the 40th steps, if nobody counts. */
static void a_list_made_to_cost_time_does_not (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents out = {0};
	struct vmc_extent all = {0, UINT64_C (1) << 50};
	char name[8], below[8] = "huge";
	struct vmc_error err;

	(void) state;
	add_device ("huge", VMC_KIND_DISK, all.length);
	for (int level = 0; level < 10; level++) {
		struct vmc_device *device;

		(void) snprintf (name, sizeof name, "x%d", level);
		device = add_device (name, "RAID", all.length);
		lies_on (device, below);
		add_target (device, 0, all.length, 1);
		for (int leg = 0; leg < 16; leg++)
			add_leg (device, below, 0);
		strcpy (below, name);
	}
	assert_int_equal (vmc_stack_check (&list, &err), 0);
	assert_true (vmc_stack_map (&list, "x1", &all, "huge", &out, &err) == 0);
	assert_int_equal (vmc_stack_map (&list, "x9", &all, "huge", &out, &err), -1);
	assert_error (err, VMC_UNSUPPORTED, "too many");
}

/* --- what lies below -------------------------------------------------------------------------------- */

static void what_lies_below_is_known_at_any_depth (void **state)
{
	bool marks[VMC_DEVICES_MAX];

	(void) state;
	assert_true (vmc_stack_uses (&list, "luks", "a"));
	assert_true (vmc_stack_uses (&list, "luks", "b1"));
	vmc_stack_mark_above (&list, "b1", marks);
	for (size_t i = 0; i < list.count; i++)
		assert_int_equal (marks[i], vmc_stack_uses (&list, ((struct vmc_device *) list.items)[i].device, "b1"));
	assert_true (vmc_stack_uses (&list, "a1", "a1"));
	assert_false (vmc_stack_uses (&list, "a1", "b"));
	assert_false (vmc_stack_uses (&list, "a", "a1"));
	assert_true (vmc_stack_encrypted (&list, "luks"));
	assert_false (vmc_stack_encrypted (&list, "volume"));
}

/* --- sound or not ------------------------------------------------------------------------------------- */

static void expect_unsound (const char *text)
{
	struct vmc_error err;

	assert_int_equal (vmc_stack_check (&list, &err), -1);
	assert_error (err, VMC_PROTOCOL, text);
}

static void a_sound_list_is_accepted (void **state)
{
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_stack_check (&list, &err), 0);
}

static void a_name_twice_is_unsound (void **state)
{
	(void) state;
	add_device ("a", VMC_KIND_DISK, 1);
	expect_unsound ("'a' has no name of its own");
}

static void a_device_below_must_be_listed_before (void **state)
{
	(void) state;
	lies_on (get ("a1"), "luks");
	expect_unsound ("'a1' lies on a device that is not listed before");
}

static void a_device_below_itself_is_unsound (void **state)
{
	(void) state;
	lies_on (get ("a1"), "a1");
	expect_unsound ("'a1' lies on a device that is not listed before");
}

static void a_disk_lies_on_nothing (void **state)
{
	(void) state;
	lies_on (get ("b"), "a");
	expect_unsound ("'b' is a disk with devices below");
}

static void what_lies_on_nothing_is_a_disk (void **state)
{
	(void) state;
	add_device ("c", "LVM", 10);
	expect_unsound ("'c' is a disk with devices below, or none without");
}

static void a_gap_in_a_table_is_unsound (void **state)
{
	(void) state;
	((struct vmc_target *) get ("volume")->targets.items)[1].start++;
	expect_unsound ("'volume' has a table with gaps");
}

static void a_table_that_overlaps_is_unsound (void **state)
{
	(void) state;
	((struct vmc_target *) get ("volume")->targets.items)[0].length++;
	expect_unsound ("'volume' has a table with gaps");
}

static void a_table_that_is_too_short_is_unsound (void **state)
{
	(void) state;
	get ("volume")->bytes++;
	expect_unsound ("'volume' has a table that does not fill it");
}

static void a_table_that_is_too_long_is_unsound (void **state)
{
	(void) state;
	get ("volume")->bytes--;
	expect_unsound ("'volume' has a table with gaps, or one that leaves it");
}

static void a_length_without_end_is_unsound (void **state)
{
	(void) state;
	((struct vmc_target *) get ("volume")->targets.items)[2].length = UINT64_MAX;
	expect_unsound ("'volume' has a table with gaps, or one that leaves it");
}

static void a_leg_on_what_is_not_below_is_unsound (void **state)
{
	(void) state;
	add_leg (get ("a1"), "b", 0);
	((struct vmc_target *) get ("a1")->targets.items)[0].chunk_bytes = 4096;
	expect_unsound ("'a1' has a table that names what it does not lie on");
}

/* To follow such a list would take the host minutes. */
static void too_many_that_lie_on_each_other_are_unsound (void **state)
{
	char name[16];

	(void) state;
	for (int i = 0; i < 100; i++) {
		(void) snprintf (name, sizeof name, "d%d", i);
		(void) add_device (name, VMC_KIND_DISK, 512);
	}
	for (int i = 0; i < 42; i++) {
		struct vmc_device *device;

		(void) snprintf (name, sizeof name, "v%d", i);
		device = add_device (name, "LVM", 512);
		strcpy (device->why_not_map, "no");
		for (int j = 0; j < 100; j++) {
			(void) snprintf (name, sizeof name, "d%d", j);
			lies_on (device, name);
		}
	}
	expect_unsound ("'v40' is in a list of too many");
}

static void legs_without_chunks_are_unsound (void **state)
{
	(void) state;
	((struct vmc_target *) get ("stripes")->targets.items)[0].chunk_bytes = 0;
	expect_unsound ("without legs, or without chunks");
}

static void a_device_that_lies_on_another_twice_is_unsound (void **state)
{
	(void) state;
	lies_on (get ("a1"), "a");
	expect_unsound ("'a1' lies on a device twice");
}

static void a_target_without_legs_is_unsound (void **state)
{
	struct vmc_device *device = add_device ("c", "LVM", 10);

	(void) state;
	lies_on (device, "a");
	add_target (device, 0, 10, 0);
	expect_unsound ("without legs, or without chunks");
}

static void a_table_of_what_cannot_be_followed_is_unsound (void **state)
{
	(void) state;
	strcpy (get ("volume")->why_not_map, "no");
	expect_unsound ("'volume' has a table and should not");
}

static void more_parts_than_are_told_are_given_up (void **state)
{
	struct vmc_device *device = add_device ("c", "LVM", VMC_TARGETS_MAX + 1);
	struct vmc_error err;

	(void) state;
	lies_on (device, "a");
	for (int i = 0; i <= VMC_TARGETS_MAX; i++) {
		add_target (device, (uint64_t) i, 1, 0);
		add_leg (device, "a", 0);
	}
	assert_contains (device->why_not_map, "too many parts");
	assert_int_equal (vmc_stack_check (&list, &err), 0);
}

static void a_change_of_the_table_is_seen (void **state)
{
	struct vmc_device before = *get ("volume"), *now = get ("volume");
	struct vmc_target *targets = now->targets.items, copy[3];
	struct vmc_leg leg;

	(void) state;
	assert_true (vmc_stack_same_device (&before, now));
	memcpy (copy, targets, sizeof copy);
	before.targets.items = copy;
	leg = *(struct vmc_leg *) copy[1].legs.items;
	leg.offset += 512;
	copy[1].legs.items = &leg;
	assert_false (vmc_stack_same_device (&before, now));
	leg.offset -= 512;
	assert_true (vmc_stack_same_device (&before, now));
	copy[1].length--;
	assert_false (vmc_stack_same_device (&before, now));
}

#define STACK_TEST(function) cmocka_unit_test_setup_teardown (function, set_up, tear_down)

static const struct CMUnitTest tests[] = {
	STACK_TEST (a_range_of_a_partition_is_moved),
	STACK_TEST (a_range_over_pieces_is_cut_and_what_is_elsewhere_left_out),
	STACK_TEST (stripes_take_turns),
	STACK_TEST (both_ways_find_the_same_bytes),
	STACK_TEST (a_spot_is_as_long_as_it_says),
	STACK_TEST (what_leaves_a_device_is_no_range),
	STACK_TEST (a_leg_beyond_its_device_is_not_followed),
	STACK_TEST (through_what_is_not_understood_nothing_is_followed),
	STACK_TEST (a_list_made_to_cost_time_does_not),
	STACK_TEST (what_lies_below_is_known_at_any_depth),
	STACK_TEST (a_sound_list_is_accepted),
	STACK_TEST (a_name_twice_is_unsound),
	STACK_TEST (a_device_below_must_be_listed_before),
	STACK_TEST (a_device_below_itself_is_unsound),
	STACK_TEST (a_disk_lies_on_nothing),
	STACK_TEST (what_lies_on_nothing_is_a_disk),
	STACK_TEST (a_gap_in_a_table_is_unsound),
	STACK_TEST (a_table_that_overlaps_is_unsound),
	STACK_TEST (a_table_that_is_too_short_is_unsound),
	STACK_TEST (a_table_that_is_too_long_is_unsound),
	STACK_TEST (a_length_without_end_is_unsound),
	STACK_TEST (a_leg_on_what_is_not_below_is_unsound),
	STACK_TEST (too_many_that_lie_on_each_other_are_unsound),
	STACK_TEST (legs_without_chunks_are_unsound),
	STACK_TEST (a_device_that_lies_on_another_twice_is_unsound),
	STACK_TEST (a_target_without_legs_is_unsound),
	STACK_TEST (a_table_of_what_cannot_be_followed_is_unsound),
	STACK_TEST (more_parts_than_are_told_are_given_up),
	STACK_TEST (a_change_of_the_table_is_seen),
};

UNIT_MAIN (tests)
