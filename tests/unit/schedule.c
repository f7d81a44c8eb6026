/* schedule.c - tests of host/schedule.c: nights on paper, in several places of the world */
#include "unit.h"

#include <time.h>

#include "schedule.h"

#define TASKS 6
#define MIB (UINT64_C (1) << 20)
#define NOON 1700000000
#define AT(hour, minute) ((hour) *60 + (minute))

static struct vmc_task tasks[TASKS];
static int64_t wake_s;

/* Tasks that may begin at any time, each on storage of its own, the last one with most to give back. */
static int make_tasks (void **state)
{
	(void) state;
	memset (tasks, 0, sizeof tasks);
	for (size_t i = 0; i < TASKS; i++) {
		tasks[i].reclaimable_bytes = (i + 1) * MIB;
		tasks[i].expected_ms = 60000;
		tasks[i].places[0] = i + 1;
		tasks[i].place_count = 1;
	}
	wake_s = -1;
	return 0;
}

static int next (size_t count, unsigned jobs)
{
	return vmc_schedule_next (tasks, count, NOON, jobs, &wake_s);
}

/* --- order ------------------------------------------------------------------------------------ */

static void the_one_with_most_to_give_back_is_first (void **state)
{
	static const size_t order[] = {2, 5, 3, 0, 4, 1};

	(void) state;
	for (size_t i = 0; i < TASKS; i++)
		tasks[order[i]].reclaimable_bytes = (TASKS - i) * MIB;
	for (size_t i = 0; i < TASKS; i++) {
		assert_int_equal (next (TASKS, 1), order[i]);
		tasks[order[i]].state = VMC_TASK_DONE;
	}
	assert_int_equal (next (TASKS, 1), -1);
	assert_int_equal (wake_s, 0);
}

static void of_equal_ones_the_first_is_first (void **state)
{
	(void) state;
	for (size_t i = 0; i < TASKS; i++)
		tasks[i].reclaimable_bytes = 0; /* nobody knows; it is their turn all the same */
	assert_int_equal (next (TASKS, 1), 0);
	tasks[0].state = VMC_TASK_DONE;
	assert_int_equal (next (TASKS, 1), 1);
}

static void sizes_beyond_32_bits_are_compared_as_they_are (void **state)
{
	(void) state;
	tasks[0].reclaimable_bytes = UINT64_C (1) << 40;
	tasks[1].reclaimable_bytes = UINT32_MAX;
	assert_int_equal (next (2, 1), 0);
}

static void of_none_there_is_no_next (void **state)
{
	(void) state;
	assert_int_equal (next (0, 1), -1);
	assert_int_equal (wake_s, 0);
}

/* --- jobs ------------------------------------------------------------------------------------- */

static void no_more_run_than_there_are_jobs (void **state)
{
	(void) state;
	for (unsigned jobs = 1; jobs <= TASKS; jobs++) {
		(void) make_tasks (state);
		for (unsigned i = 0; i < jobs; i++) {
			int one = next (TASKS, jobs);

			assert_int_equal (one, TASKS - 1 - i);
			tasks[one].state = VMC_TASK_RUNNING;
		}
		assert_int_equal (next (TASKS, jobs), -1);
		assert_int_equal (wake_s, 0); /* it hangs on the end of another one */
		if (jobs == TASKS)
			continue;
		tasks[TASKS - 1].state = VMC_TASK_DONE;
		assert_int_equal (next (TASKS, jobs), TASKS - 1 - jobs);
	}
}

/* --- storage ---------------------------------------------------------------------------------- */

static void storage_for_one_serves_one_at_a_time (void **state)
{
	(void) state;
	tasks[0].places[0] = tasks[1].places[0] = tasks[2].places[0] = 7;
	tasks[2].alone = true;
	tasks[2].state = VMC_TASK_RUNNING;
	assert_int_equal (next (3, 3), -1);
	assert_int_equal (wake_s, 0);
	tasks[2].state = VMC_TASK_DONE;
	assert_int_equal (next (3, 3), 1);
}

/* The one that waits may be the one that must be alone. */
static void who_must_be_alone_waits_for_the_others (void **state)
{
	(void) state;
	tasks[0].places[0] = tasks[1].places[0] = 7;
	tasks[1].alone = true;
	tasks[0].state = VMC_TASK_RUNNING;
	assert_int_equal (next (2, 2), -1);
	tasks[0].state = VMC_TASK_LATE;
	assert_int_equal (next (2, 2), 1);
}

static void somebody_else_goes_first_meanwhile (void **state)
{
	(void) state;
	tasks[2].places[0] = tasks[1].places[0];
	tasks[2].alone = true;
	tasks[2].state = VMC_TASK_RUNNING;
	assert_int_equal (next (3, 2), 0);
}

static void storage_for_many_serves_many (void **state)
{
	(void) state;
	tasks[0].places[0] = tasks[1].places[0] = 7;
	tasks[1].state = VMC_TASK_RUNNING;
	assert_int_equal (next (2, 2), 0);
}

static void other_storage_is_not_in_the_way (void **state)
{
	(void) state;
	tasks[0].alone = tasks[1].alone = true;
	tasks[1].state = VMC_TASK_RUNNING;
	assert_int_equal (next (2, 2), 0);
}

static void any_place_that_is_shared_counts (void **state)
{
	(void) state;
	for (size_t i = 0; i < VMC_TASK_PLACES_MAX; i++) {
		tasks[0].places[i] = 100 + i;
		tasks[1].places[i] = 200 + i;
	}
	tasks[0].place_count = tasks[1].place_count = VMC_TASK_PLACES_MAX;
	tasks[1].alone = true;
	tasks[1].state = VMC_TASK_RUNNING;
	assert_int_equal (next (2, 2), 0);
	tasks[0].places[VMC_TASK_PLACES_MAX - 1] = tasks[1].places[VMC_TASK_PLACES_MAX - 1];
	assert_int_equal (next (2, 2), -1);
	tasks[0].place_count--; /* what is behind the last one is nothing */
	assert_int_equal (next (2, 2), 0);
}

static void a_place_that_is_not_known_may_be_any (void **state)
{
	(void) state;
	tasks[0].place_count = 0;
	tasks[1].alone = true;
	tasks[1].state = VMC_TASK_RUNNING;
	assert_int_equal (next (2, 2), -1);
	(void) make_tasks (state);
	tasks[1].place_count = 0;
	tasks[1].state = VMC_TASK_RUNNING;
	tasks[0].alone = true;
	assert_int_equal (next (2, 2), -1);
}

/* --- times ------------------------------------------------------------------------------------ */

static void nothing_begins_before_its_time (void **state)
{
	(void) state;
	tasks[0].opens_s = NOON + 1000;
	tasks[1].opens_s = NOON + 500;
	tasks[2].opens_s = NOON + 2000;
	assert_int_equal (next (3, 1), -1);
	assert_int_equal (wake_s, NOON + 500);
	tasks[1].opens_s = NOON; /* now */
	assert_int_equal (next (3, 1), 1);
	assert_int_equal (wake_s, NOON + 1000);
}

static void what_cannot_end_in_time_is_late (void **state)
{
	(void) state;
	tasks[0].closes_s = NOON + 60;
	tasks[1].closes_s = NOON + 59;
	tasks[2].closes_s = NOON - 1;
	tasks[3].closes_s = 0;
	assert_int_equal (next (4, 1), 3);
	assert_int_equal (tasks[0].state, VMC_TASK_WAITING); /* just in time */
	assert_int_equal (tasks[1].state, VMC_TASK_LATE);
	assert_int_equal (tasks[2].state, VMC_TASK_LATE);
	assert_int_equal (tasks[3].state, VMC_TASK_WAITING);
}

static void part_of_a_second_is_a_second (void **state)
{
	(void) state;
	tasks[0].closes_s = tasks[1].closes_s = NOON + 60;
	tasks[0].expected_ms = 60001;
	tasks[1].expected_ms = 59999;
	assert_int_equal (next (2, 1), 1);
	assert_int_equal (tasks[0].state, VMC_TASK_LATE);
}

/* It would begin when its window opens, not now. */
static void the_window_must_be_long_enough (void **state)
{
	(void) state;
	tasks[0].opens_s = NOON + 1000;
	tasks[0].closes_s = NOON + 1059;
	assert_int_equal (next (1, 1), -1);
	assert_int_equal (tasks[0].state, VMC_TASK_LATE);
	assert_int_equal (wake_s, 0);
}

static void who_is_at_work_is_never_late (void **state)
{
	(void) state;
	tasks[0].closes_s = tasks[1].closes_s = NOON - 1;
	tasks[0].state = VMC_TASK_RUNNING;
	tasks[1].state = VMC_TASK_DONE;
	assert_int_equal (next (2, 1), -1);
	assert_int_equal (tasks[0].state, VMC_TASK_RUNNING);
	assert_int_equal (tasks[1].state, VMC_TASK_DONE);
}

/* Those that wait for a job get late meanwhile, too. */
static void who_waits_too_long_becomes_late (void **state)
{
	(void) state;
	tasks[0].state = VMC_TASK_RUNNING;
	tasks[1].closes_s = NOON + 30;
	assert_int_equal (next (2, 1), -1);
	assert_int_equal (tasks[1].state, VMC_TASK_LATE);
}

/* --- away from home ---------------------------------------------------------------------------- */

static void who_is_stranded_goes_first (void **state)
{
	(void) state;
	tasks[0].stranded = tasks[2].stranded = true;
	tasks[0].closes_s = tasks[1].closes_s = NOON + 60;
	assert_int_equal (next (3, 1), 2);
	assert_false (tasks[2].home_only);
	tasks[2].state = VMC_TASK_DONE;
	assert_int_equal (next (3, 1), 0);
	assert_false (tasks[0].home_only); /* there is time for a whole run */
	tasks[0].state = VMC_TASK_DONE;
	assert_int_equal (next (3, 1), 1);
}

static void who_is_left_out_is_only_brought_home (void **state)
{
	(void) state;
	tasks[0].stranded = tasks[0].left_out = true;
	tasks[0].reclaimable_bytes = 0;
	assert_int_equal (next (3, 1), 0);
	assert_true (tasks[0].home_only);
}

static void who_is_stranded_is_brought_home_at_any_time (void **state)
{
	(void) state;
	tasks[0].stranded = tasks[1].stranded = true;
	tasks[0].closes_s = NOON - 1;
	tasks[1].opens_s = NOON + 1000;
	tasks[2].closes_s = NOON + 59;
	assert_int_equal (next (3, 1), 1);
	assert_true (tasks[1].home_only);
	tasks[1].state = VMC_TASK_DONE;
	assert_int_equal (next (3, 1), 0);
	assert_true (tasks[0].home_only);
	tasks[0].state = VMC_TASK_DONE;
	assert_int_equal (next (3, 1), -1);
	assert_int_equal (tasks[2].state, VMC_TASK_LATE);
	assert_int_equal (wake_s, 0);
}

/* --- the clock on the wall --------------------------------------------------------------------- */

static int64_t utc (int year, int month, int day, int hour, int minute)
{
	struct tm when = {.tm_year = year - 1900,
			  .tm_mon = month - 1,
			  .tm_mday = day,
			  .tm_hour = hour,
			  .tm_min = minute};

	return timegm (&when);
}

static void be_in (const char *place)
{
	assert_return_code (setenv ("TZ", place, 1), 0);
	tzset ();
}

static void the_next_time_is_today_or_tomorrow (void **state)
{
	int64_t now_s = utc (2024, 2, 28, 12, 0);

	(void) state;
	be_in ("UTC");
	assert_int_equal (vmc_schedule_at (now_s, AT (13, 30)), utc (2024, 2, 28, 13, 30));
	assert_int_equal (vmc_schedule_at (now_s, AT (12, 1)), utc (2024, 2, 28, 12, 1));
	assert_int_equal (vmc_schedule_at (now_s, AT (12, 0)), utc (2024, 2, 29, 12, 0)); /* after now */
	assert_int_equal (vmc_schedule_at (now_s - 1, AT (12, 0)), now_s);
	assert_int_equal (vmc_schedule_at (now_s + 59, AT (12, 1)), now_s + 60);
	assert_int_equal (vmc_schedule_at (now_s, 0), utc (2024, 2, 29, 0, 0));
	assert_int_equal (vmc_schedule_at (utc (2024, 2, 29, 12, 0), AT (5, 0)), utc (2024, 3, 1, 5, 0));
	assert_int_equal (vmc_schedule_at (utc (2024, 12, 31, 23, 59), AT (23, 59)), utc (2025, 1, 1, 23, 59));
}

static void the_time_is_that_of_the_place (void **state)
{
	(void) state;
	be_in ("Asia/Kolkata"); /* UTC+5:30 */
	assert_int_equal (vmc_schedule_at (utc (2024, 1, 1, 12, 0), AT (5, 0)), utc (2024, 1, 1, 23, 30));
	be_in ("America/New_York"); /* UTC-5 */
	assert_int_equal (vmc_schedule_at (utc (2024, 1, 1, 12, 0), AT (5, 0)), utc (2024, 1, 2, 10, 0));
}

static void assert_window (int64_t now_s, int from, int until, int64_t opens, int64_t closes)
{
	int64_t opens_s, closes_s;

	vmc_schedule_window (now_s, from, until, &opens_s, &closes_s);
	assert_int_equal (opens_s, opens);
	assert_int_equal (closes_s, closes);
}

static void a_window_opens_and_closes (void **state)
{
	(void) state;
	be_in ("UTC");
	assert_window (utc (2024, 5, 1, 0, 0), AT (1, 0), AT (5, 0), utc (2024, 5, 1, 1, 0), utc (2024, 5, 1, 5, 0));
	for (int minute = 0; minute < 240; minute++) /* it is open: from now on */
		assert_window (utc (2024, 5, 1, 1, minute), AT (1, 0), AT (5, 0), utc (2024, 5, 1, 1, minute),
			       utc (2024, 5, 1, 5, 0));
	assert_window (utc (2024, 5, 1, 5, 0), AT (1, 0), AT (5, 0), utc (2024, 5, 2, 1, 0), utc (2024, 5, 2, 5, 0));
	assert_window (utc (2024, 5, 1, 12, 0), AT (1, 0), AT (5, 0), utc (2024, 5, 2, 1, 0), utc (2024, 5, 2, 5, 0));
}

static void a_window_may_span_midnight (void **state)
{
	static const int hours[] = {22, 23, 24, 25, 27};

	(void) state;
	be_in ("UTC");
	assert_window (utc (2024, 5, 1, 12, 0), AT (22, 0), AT (4, 0), utc (2024, 5, 1, 22, 0), utc (2024, 5, 2, 4, 0));
	for (size_t i = 0; i < UNIT_COUNT (hours); i++)
		assert_window (utc (2024, 5, 1, hours[i], 0), AT (22, 0), AT (4, 0), utc (2024, 5, 1, hours[i], 0),
			       utc (2024, 5, 2, 4, 0));
	assert_window (utc (2024, 5, 2, 4, 0), AT (22, 0), AT (4, 0), utc (2024, 5, 2, 22, 0), utc (2024, 5, 3, 4, 0));
	assert_window (utc (2024, 5, 1, 23, 59), AT (0, 0), AT (4, 0), utc (2024, 5, 2, 0, 0), utc (2024, 5, 2, 4, 0));
	assert_window (utc (2024, 5, 1, 23, 59), AT (20, 0), AT (0, 0), utc (2024, 5, 1, 23, 59),
		       utc (2024, 5, 2, 0, 0));
}

static void from_and_until_at_once_is_the_whole_day (void **state)
{
	(void) state;
	be_in ("UTC");
	assert_window (utc (2024, 5, 1, 12, 0), AT (3, 0), AT (3, 0), utc (2024, 5, 1, 12, 0), utc (2024, 5, 2, 3, 0));
}

/* In Berlin clocks go from 2:00 to 3:00 on 2024-03-31, and from 3:00 back to 2:00 on 2024-10-27, both at 1:00 UTC. */

static void a_short_night_is_short (void **state)
{
	(void) state;
	be_in ("Europe/Berlin");
	assert_window (utc (2024, 3, 30, 12, 0), AT (22, 0), AT (6, 0), utc (2024, 3, 30, 21, 0),
		       utc (2024, 3, 31, 4, 0));
	assert_window (utc (2024, 3, 31, 0, 59), AT (1, 0), AT (5, 0), utc (2024, 3, 31, 0, 59),
		       utc (2024, 3, 31, 3, 0));
	assert_int_equal (vmc_schedule_at (utc (2024, 3, 31, 0, 59), AT (3, 0)), utc (2024, 3, 31, 1, 0));
	assert_int_equal (vmc_schedule_at (utc (2024, 3, 30, 23, 30), AT (0, 30)), utc (2024, 3, 31, 22, 30));
}

static void a_long_night_is_long (void **state)
{
	(void) state;
	be_in ("Europe/Berlin");
	assert_window (utc (2024, 10, 26, 12, 0), AT (22, 0), AT (6, 0), utc (2024, 10, 26, 20, 0),
		       utc (2024, 10, 27, 5, 0));
	assert_window (utc (2024, 10, 27, 1, 30), AT (1, 0), AT (5, 0), utc (2024, 10, 27, 1, 30),
		       utc (2024, 10, 27, 4, 0));
	assert_int_equal (vmc_schedule_at (utc (2024, 10, 27, 0, 30), AT (3, 0)), utc (2024, 10, 27, 2, 0));
}

/* A time that the clocks leave out is one beside the gap; it neither takes for ever nor a day. */
static void a_time_that_there_is_not_is_near (void **state)
{
	(void) state;
	be_in ("Europe/Berlin");
	for (int64_t now_s = utc (2024, 3, 30, 22, 0); now_s < utc (2024, 3, 31, 0, 30); now_s += 600) {
		int64_t then_s = vmc_schedule_at (now_s, AT (2, 30));

		assert_true (then_s == utc (2024, 3, 31, 1, 30) || then_s == utc (2024, 3, 31, 0, 30));
	}
	assert_true (vmc_schedule_at (utc (2024, 3, 31, 12, 0), AT (2, 30)) == utc (2024, 4, 1, 0, 30));
}

/* Whatever the clocks do: later than now, within a bit more than a day, and on the clock it is that time, but in the gap. */
static void each_minute_of_a_strange_day_has_a_next (void **state)
{
	static const struct {
		const char *place;
		int month, day;
	} days[] = {{"Europe/Berlin", 3, 30},
		    {"Europe/Berlin", 10, 26},
		    {"America/New_York", 11, 2},
		    {"Australia/Lord_Howe", 4, 6},
		    {"Australia/Lord_Howe", 10, 5}};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (days); i++) {
		int64_t begins_s = utc (2024, days[i].month, days[i].day, 0, 0);

		be_in (days[i].place);
		for (int64_t now_s = begins_s; now_s < begins_s + 2 * 86400; now_s += 1700)
			for (int minutes = 0; minutes < 1440; minutes += 15) {
				int64_t then_s = vmc_schedule_at (now_s, minutes);
				time_t then = (time_t) then_s;
				struct tm local;

				(void) localtime_r (&then, &local);
				if (then_s <= now_s || then_s > now_s + 26 * 3600)
					fail_msg ("%s: %d minutes are %lld s away", days[i].place, minutes,
						  (long long) (then_s - now_s));
				if (local.tm_hour * 60 + local.tm_min != minutes && (minutes < 120 || minutes >= 180))
					fail_msg ("%s: %d minutes are %d:%d", days[i].place, minutes, local.tm_hour,
						  local.tm_min);
			}
	}
}

/* --- how long it takes ------------------------------------------------------------------------- */

static void the_longest_run_is_expected_and_a_quarter (void **state)
{
	static const uint64_t runs[] = {4000, 8000, 2000, 0, 0};

	(void) state;
	assert_int_equal (vmc_schedule_expect (runs, 5, UINT64_C (1) << 40), 10000);
	assert_int_equal (vmc_schedule_expect (runs, 1, 0), 5000);
}

static void the_first_run_copies_what_it_has_to (void **state)
{
	static const uint64_t none[5] = {0};

	(void) state;
	assert_int_equal (vmc_schedule_expect (none, 5, 0), 60000);
	assert_int_equal (vmc_schedule_expect (none, 5, 500 * MIB), 70000);
	assert_int_equal (vmc_schedule_expect (none, 0, UINT64_C (5) << 50), 60000 + UINT64_C (107374182) * 1000);
}

#define TASK_TEST(name) cmocka_unit_test_setup (name, make_tasks)

static const struct CMUnitTest tests[] = {
	TASK_TEST (the_one_with_most_to_give_back_is_first),
	TASK_TEST (of_equal_ones_the_first_is_first),
	TASK_TEST (sizes_beyond_32_bits_are_compared_as_they_are),
	TASK_TEST (of_none_there_is_no_next),
	TASK_TEST (no_more_run_than_there_are_jobs),
	TASK_TEST (storage_for_one_serves_one_at_a_time),
	TASK_TEST (who_must_be_alone_waits_for_the_others),
	TASK_TEST (somebody_else_goes_first_meanwhile),
	TASK_TEST (storage_for_many_serves_many),
	TASK_TEST (other_storage_is_not_in_the_way),
	TASK_TEST (any_place_that_is_shared_counts),
	TASK_TEST (a_place_that_is_not_known_may_be_any),
	TASK_TEST (nothing_begins_before_its_time),
	TASK_TEST (what_cannot_end_in_time_is_late),
	TASK_TEST (part_of_a_second_is_a_second),
	TASK_TEST (the_window_must_be_long_enough),
	TASK_TEST (who_is_at_work_is_never_late),
	TASK_TEST (who_waits_too_long_becomes_late),
	TASK_TEST (who_is_stranded_goes_first),
	TASK_TEST (who_is_stranded_is_brought_home_at_any_time),
	TASK_TEST (who_is_left_out_is_only_brought_home),
	cmocka_unit_test (the_next_time_is_today_or_tomorrow),
	cmocka_unit_test (the_time_is_that_of_the_place),
	cmocka_unit_test (a_window_opens_and_closes),
	cmocka_unit_test (a_window_may_span_midnight),
	cmocka_unit_test (from_and_until_at_once_is_the_whole_day),
	cmocka_unit_test (a_short_night_is_short),
	cmocka_unit_test (a_long_night_is_long),
	cmocka_unit_test (a_time_that_there_is_not_is_near),
	cmocka_unit_test (each_minute_of_a_strange_day_has_a_next),
	cmocka_unit_test (the_longest_run_is_expected_and_a_quarter),
	cmocka_unit_test (the_first_run_copies_what_it_has_to),
};

UNIT_MAIN (tests)
