/* survey.c - tests of host/survey.c: what it makes of the line of a dry run */
#include "unit.h"

#include <sys/stat.h>

#include "survey.h"

static struct vmc_task task;
static uint64_t copied_bytes;

static void survey_line (const char *line)
{
	memset (&task, 0, sizeof task);
	copied_bytes = 0;
	vmc_survey_read (line, &task, &copied_bytes);
}

static void assert_unknown (const char *line)
{
	survey_line (line);
	if (task.reclaimable_bytes != 0 || copied_bytes != 0 || task.place_count != 0 || task.alone || task.stranded)
		fail_msg ("something was taken from '%s'", line);
}

static dev_t device_of (const char *path)
{
	struct stat status;

	assert_return_code (stat (path, &status), 0);
	return S_ISBLK (status.st_mode) ? status.st_rdev : status.st_dev;
}

/* --- numbers ---------------------------------------------------------------------------------- */

static void the_disks_add_up (void **state)
{
	(void) state;
	survey_line ("{\"domain\": \"vm1\", \"disks\": ["
		     "{\"target\": \"vda\", \"reclaimable_bytes\": 1000000000000, \"allocated_before_bytes\": "
		     "3000000000000},"
		     "{\"target\": \"vdb\", \"reclaimable_bytes\": 5, \"allocated_before_bytes\": 7}]}\n");
	assert_int_equal (task.reclaimable_bytes, UINT64_C (1000000000005));
	assert_int_equal (copied_bytes, UINT64_C (3000000000007));
	assert_int_equal (task.place_count, 0);
}

static void what_is_not_known_adds_nothing (void **state)
{
	(void) state;
	survey_line ("{\"disks\": [{\"reclaimable_bytes\": null, \"allocated_before_bytes\": null, \"path\": null},"
		     "{\"reclaimable_bytes\": 5}, {\"allocated_before_bytes\": 7}, {}, null, 3, \"x\", [1], true]}");
	assert_int_equal (task.reclaimable_bytes, 5);
	assert_int_equal (copied_bytes, 7);
	assert_int_equal (task.place_count, 0);
}

static void what_is_no_number_adds_nothing (void **state)
{
	(void) state;
	survey_line ("{\"disks\": [{\"reclaimable_bytes\": \"12\", \"allocated_before_bytes\": 1.5},"
		     "{\"reclaimable_bytes\": -1, \"allocated_before_bytes\": true},"
		     "{\"reclaimable_bytes\": {}, \"allocated_before_bytes\": [1]}]}");
	assert_int_equal (task.reclaimable_bytes, 0);
	assert_int_equal (copied_bytes, 0);
}

static void what_is_no_report_says_nothing (void **state)
{
	static const char *const lines[] = {"",
					    "\n",
					    "x",
					    "{",
					    "[]",
					    "null",
					    "3",
					    "\"disks\"",
					    "{}",
					    "{\"disks\": null}",
					    "{\"disks\": {}}",
					    "{\"disks\": \"x\"}",
					    "{\"disks\": []}",
					    "{\"disks\": [",
					    "{\"disks\": [{\"reclaimable_bytes\": 5}", /* cut */
					    "{\"disk\": [{\"reclaimable_bytes\": 5}]}",
					    "\xff\xfe\x01"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (lines); i++)
		assert_unknown (lines[i]);
}

/* 50 TiB that are only punched take no time of which anything could be said before. */
static void only_a_convert_copies (void **state)
{
	(void) state;
	survey_line (
		"{\"disks\": [{\"method\": \"commit\", \"allocated_before_bytes\": 50000000000000},"
		"{\"method\": \"trim\", \"allocated_before_bytes\": 3},"
		"{\"method\": \"convert\", \"allocated_before_bytes\": 500},"
		"{\"method\": null, \"allocated_before_bytes\": 20}, {\"method\": 7, \"allocated_before_bytes\": 1}]}");
	assert_int_equal (copied_bytes, 521);
}

static void what_was_interrupted_is_stranded (void **state)
{
	static const char *const others[] = {"done", "failed", "no-agent", "Interrupted", ""};
	char line[64];

	(void) state;
	survey_line ("{\"result\": \"interrupted\", \"disks\": []}");
	assert_true (task.stranded);
	for (size_t i = 0; i < UNIT_COUNT (others); i++) {
		(void) snprintf (line, sizeof line, "{\"result\": \"%s\", \"disks\": []}", others[i]);
		survey_line (line);
		assert_false (task.stranded);
	}
}

/* --- places ----------------------------------------------------------------------------------- */

static void images_lie_on_a_device (void **state)
{
	(void) state;
	survey_line ("{\"disks\": [{\"path\": \"/proc/version\"}, {\"path\": \"/nowhere/image\"}, {\"path\": \"\"}]}");
	assert_int_equal (task.place_count, 1);
	assert_int_equal (task.places[0], device_of ("/proc/version"));
	assert_true (task.alone); /* nobody knows what lies below */
}

static void a_path_is_a_text (void **state)
{
	(void) state;
	assert_unknown (
		"{\"disks\": [{\"path\": null}, {\"path\": 3}, {\"path\": {}}, {\"path\": [\"/proc/version\"]}]}");
}

/* However many images there are on one device, the others are seen. */
static void a_device_is_one_place (void **state)
{
	char line[2000] = "{\"disks\": [";

	(void) state;
	for (int i = 0; i < 2 * VMC_TASK_PLACES_MAX; i++)
		strcat (line, "{\"path\": \"/proc/version\"}, ");
	strcat (line, "{\"path\": \"/sys/kernel\"}]}");
	survey_line (line);
	assert_int_equal (task.place_count, 2);
	assert_int_equal (task.places[0], device_of ("/proc/version"));
	assert_int_equal (task.places[1], device_of ("/sys/kernel"));
}

/* --- a process -------------------------------------------------------------------------------- */

static void survey (const char *command)
{
	const char *const argv[] = {"/bin/sh", "-c", command, NULL};

	memset (&task, 0, sizeof task);
	copied_bytes = 99;
	vmc_survey (argv, &task, &copied_bytes);
}

static void the_line_comes_from_a_process (void **state)
{
	(void) state;
	survey ("printf '{\"disks\": [{\"reclaimable_'; sleep 0.1; echo 'bytes\": 5, \"allocated_before_bytes\": "
		"7}]}'");
	assert_int_equal (task.reclaimable_bytes, 5);
	assert_int_equal (copied_bytes, 7);
}

static void one_that_fails_says_nothing (void **state)
{
	static const char *const commands[] = {"exit 1", "kill -9 $$", "echo garbage", ":", "printf '{\"disks\": [{'"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (commands); i++) {
		survey (commands[i]);
		assert_int_equal (task.reclaimable_bytes, 0);
		assert_int_equal (task.place_count, 0);
		assert_int_equal (copied_bytes, 0);
	}
}

/* It is neither read to the end, which there may not be, nor believed. */
static void one_that_says_too_much_says_nothing (void **state)
{
	(void) state;
	survey ("printf '{\"disks\": [{\"reclaimable_bytes\": 5}'; yes ,");
	assert_int_equal (task.reclaimable_bytes, 0);
	assert_int_equal (copied_bytes, 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (the_disks_add_up),
	cmocka_unit_test (what_is_not_known_adds_nothing),
	cmocka_unit_test (what_is_no_number_adds_nothing),
	cmocka_unit_test (what_is_no_report_says_nothing),
	cmocka_unit_test (only_a_convert_copies),
	cmocka_unit_test (what_was_interrupted_is_stranded),
	cmocka_unit_test (images_lie_on_a_device),
	cmocka_unit_test (a_path_is_a_text),
	cmocka_unit_test (a_device_is_one_place),
	cmocka_unit_test (the_line_comes_from_a_process),
	cmocka_unit_test (one_that_fails_says_nothing),
	cmocka_unit_test (one_that_says_too_much_says_nothing),
};

UNIT_MAIN (tests)
