/* lone_reader.c - tests of host/lone_reader.c: places as the reader tells them, before and after a freeze, and what is believed */
#include "unit.h"

#include "lone_reader.h"

#define MIB (UINT64_C (1) << 20)
#define UUID "01234567-89ab-cdef-0123-456789abcdef"
#define OTHER_UUID "91234567-89ab-cdef-0123-456789abcdef"

static struct vmc_witness before[2], after[2]; /* of the same two partitions */
static struct vmc_reading look, reading;
static struct vmc_extents places, found;
static struct vmc_disk_report report;
static const char *why;

/* Two ext4 that are mounted, then frozen; each with one free MiB, in the middle. */
static int make_good (void **state)
{
	struct vmc_error err;

	(void) state;
	look = (struct vmc_reading) {.places = before, .count = 2};
	reading = (struct vmc_reading) {.places = after, .count = 2};
	for (size_t i = 0; i < 2; i++) {
		before[i] = (struct vmc_witness) {.offset = (1 + 10 * i) * MIB,
						  .length = 10 * MIB,
						  .type = "ext4",
						  .uuid = UUID,
						  .in_use = true,
						  .checksums = true,
						  .why_not = "its journal needs recovery"};
		before[i].uuid[0] = (char) ('0' + i);
		after[i] = before[i];
		after[i].in_use = false;
		after[i].usable = after[i].alone = true;
		after[i].why_not[0] = 0;
		if (vmc_extents_add (&reading.free, (5 + 10 * i) * MIB, MIB, &err) < 0)
			return -1;
	}
	report.notes[0] = 0;
	return 0;
}

static int end (void **state)
{
	(void) state;
	vmc_extents_clear (&reading.free);
	vmc_extents_clear (&places);
	vmc_extents_clear (&found);
	return 0;
}

static int trust (const struct vmc_reading *seen)
{
	struct vmc_error err;

	return vmc_lone_reader_trust (seen, &reading, &places, &found, &report, &why, &err);
}

/* The second is not believed for this REASON, and so what is free in it is not; the first is. */
static void assert_left_out (const struct vmc_reading *seen, const char *reason)
{
	assert_int_equal (trust (seen), 1);
	assert_string_equal (why, reason);
	assert_contains (report.notes, "at 11.0 MiB: ");
	assert_contains (report.notes, reason);
	assert_null (strstr (report.notes, "at 1.00 MiB"));
	assert_int_equal (vmc_extents_total (&places), 10 * MIB);
	assert_int_equal (found.count, 1);
	assert_int_equal (found.items[0].start, 5 * MIB);
	assert_int_equal (found.items[0].length, MIB);
}

#define NOT_IN_USE "it was not mounted for writing just before the freeze, or somebody else had frozen it"

/* --- after the freeze --------------------------------------------------------------------------- */

static void what_was_in_use_and_is_frozen_is_believed (void **state)
{
	(void) state;
	assert_int_equal (trust (&look), 2);
	assert_string_equal (report.notes, "");
	assert_int_equal (vmc_extents_total (&places), 20 * MIB);
	assert_int_equal (vmc_extents_total (&found), 2 * MIB);
}

static void what_was_not_in_use_is_not (void **state)
{
	(void) state;
	before[1].in_use = false;
	before[1].usable = before[1].alone = true;
	assert_left_out (&look, NOT_IN_USE);
}

static void another_filesystem_is_not (void **state)
{
	(void) state;
	strcpy (before[1].uuid, OTHER_UUID);
	assert_left_out (&look, NOT_IN_USE);
}

static void one_without_uuid_is_not (void **state)
{
	(void) state;
	before[1].uuid[0] = after[1].uuid[0] = 0;
	assert_left_out (&look, NOT_IN_USE);
}

static void another_place_is_not (void **state)
{
	(void) state;
	before[1].offset += 512;
	before[1].length -= 512;
	assert_left_out (&look, NOT_IN_USE);
	(void) end (NULL);
	(void) make_good (NULL);
	before[1].length -= 512;
	assert_left_out (&look, NOT_IN_USE);
}

static void a_place_that_was_not_there_is_not (void **state)
{
	(void) state;
	look.count = 1;
	assert_left_out (&look, NOT_IN_USE);
}

static void a_freeze_that_was_broken_is_seen (void **state)
{
	(void) state;
	after[1] = before[1];
	assert_left_out (&look, "its journal needs recovery");
}

static void without_checksums_nothing_is_proved (void **state)
{
	(void) state;
	before[1].checksums = after[1].checksums = false;
	after[1].alone = false;
	assert_left_out (&look, "it has no metadata_csum, so without its guest nothing proves what is free in it");
}

static void nothing_is_a_reason_too (void **state)
{
	(void) state;
	look.count = 0;
	assert_int_equal (trust (&look), 0);
	assert_string_equal (why, NOT_IN_USE);
	assert_int_equal (found.count, 0);
	reading.count = 0;
	assert_int_equal (trust (&look), 0);
	assert_string_equal (why, "it has no filesystem");
}

/* --- at rest ------------------------------------------------------------------------------------ */

static void at_rest_the_proof_is_enough (void **state)
{
	(void) state;
	assert_int_equal (trust (NULL), 2);
	assert_int_equal (vmc_extents_total (&found), 2 * MIB);
}

static void at_rest_it_is_needed (void **state)
{
	(void) state;
	after[1].alone = false;
	assert_left_out (NULL, "it has no metadata_csum, so without its guest nothing proves what is free in it");
	(void) end (NULL);
	(void) make_good (NULL);
	after[1] = before[1];
	assert_left_out (NULL, "its journal needs recovery");
}

/* --- before the freeze -------------------------------------------------------------------------- */

static void assert_hopeless (const char *reason)
{
	struct vmc_error err;

	assert_int_equal (vmc_lone_reader_check (&look, &err), -1);
	assert_error (err, VMC_REFUSED, reason);
}

static void one_place_is_worth_a_freeze (void **state)
{
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_lone_reader_check (&look, &err), 0);
	before[0].in_use = false;
	assert_int_equal (vmc_lone_reader_check (&look, &err), 0);
}

static void none_is_not (void **state)
{
	(void) state;
	before[0].in_use = before[1].in_use = false;
	assert_hopeless ("trusted after a freeze: its journal needs recovery");
	before[0].usable = before[0].alone = true;
	assert_hopeless ("it is not mounted for writing now, or somebody has frozen it");
	before[0] = before[1];
	before[0].in_use = true;
	before[0].checksums = false;
	assert_hopeless ("it has no metadata_csum");
	strcpy (before[0].why_not, "xfs: not understood, counts as used");
	before[0].in_use = false;
	assert_hopeless ("xfs: not understood");
	look.count = 0;
	assert_hopeless ("it has no filesystem");
}

#define READER_TEST(test) cmocka_unit_test_setup_teardown (test, make_good, end)

static const struct CMUnitTest tests[] = {
	READER_TEST (what_was_in_use_and_is_frozen_is_believed),
	READER_TEST (what_was_not_in_use_is_not),
	READER_TEST (another_filesystem_is_not),
	READER_TEST (one_without_uuid_is_not),
	READER_TEST (another_place_is_not),
	READER_TEST (a_place_that_was_not_there_is_not),
	READER_TEST (a_freeze_that_was_broken_is_seen),
	READER_TEST (without_checksums_nothing_is_proved),
	READER_TEST (nothing_is_a_reason_too),
	READER_TEST (at_rest_the_proof_is_enough),
	READER_TEST (at_rest_it_is_needed),
	READER_TEST (one_place_is_worth_a_freeze),
	READER_TEST (none_is_not),
};

UNIT_MAIN (tests)
