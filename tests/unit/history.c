/* history.c - tests of host/history.c, whose directory is a new tmpfs in each of them, seen by this process alone */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "apart.h"
#include "directories.h"
#include "history.h"

#define UUID "11111111-2222-3333-4444-555555555555"
#define OTHER_UUID "66666666-7777-8888-9999-aaaaaaaaaaaa"
#define PATH VMC_HISTORY_DIRECTORY "/" UUID ".json"
#define DISK "{\"target\": \"vda\", \"result\": \"done\", \"time_s\": 5}"
#define HISTORY(disks) "{\"domain\": \"vm1\", \"uuid\": \"" UUID "\", \"disks\": [" disks "]}"

static struct vmc_report report;
static struct vmc_history history;

/* A run that has done something to one disk. */
static struct vmc_disk_report *add (const char *target)
{
	static struct vmc_disk disk;
	struct vmc_disk_report *one;

	strcpy (disk.target, target);
	one = vmc_report_add (&report, &disk);
	assert_non_null (one);
	one->method = "commit";
	one->virtual_bytes = 1000;
	one->allocated_before_bytes = 800;
	one->allocated_after_bytes = 300;
	one->reclaimable_bytes = 600;
	one->reclaimed_bytes = 500;
	one->frozen_ms = 20;
	one->duration_ms = 4000;
	return one;
}

static int make_room (void **state)
{
	(void) state;
	memset (&report, 0, sizeof report);
	memset (&history, 0, sizeof history);
	strcpy (report.domain, "vm1");
	strcpy (report.uuid, UUID);
	return mount ("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755");
}

static int remove_room (void **state)
{
	(void) state;
	vmc_report_clear (&report);
	vmc_history_clear (&history);
	return umount2 ("/var/lib", MNT_DETACH);
}

static void note (uint64_t duration_ms)
{
	struct vmc_error err;

	if (vmc_history_note (&report, duration_ms, &err) < 0)
		fail_msg ("%s", err.text);
}

/* The report is the next one. */
static void anew (void)
{
	vmc_report_clear (&report);
	report = (struct vmc_report) {0};
	strcpy (report.domain, "vm1");
	strcpy (report.uuid, UUID);
}

static void read_history (void)
{
	vmc_history_clear (&history);
	vmc_history_read (UUID, &history);
}

static const struct vmc_history_disk *disk_of (const char *target)
{
	const struct vmc_history_disk *disk;

	read_history ();
	disk = vmc_history_find (&history, target);
	if (disk == NULL)
		fail_msg ("there is nothing of the disk '%s'", target);
	return disk;
}

static void put (const char *path, const char *text)
{
	int fd;

	(void) mkdir (VMC_STATE_DIRECTORY, 0700);
	(void) mkdir (VMC_HISTORY_DIRECTORY, 0700);
	fd = open (path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true (fd >= 0);
	assert_int_equal (write (fd, text, strlen (text)), strlen (text));
	assert_return_code (close (fd), errno);
}

static void assert_empty (void)
{
	assert_int_equal (history.count, 0);
	assert_null (history.disks);
	assert_string_equal (history.domain, "");
	assert_string_equal (history.uuid, "");
	assert_int_equal (history.runs_ms[0], 0);
}

/* --- round trips ------------------------------------------------------------------------------ */

static void all_that_is_noted_is_read (void **state)
{
	const struct vmc_history_disk *disk;
	uint64_t now_s = (uint64_t) time (NULL);

	(void) state;
	(void) add ("vda");
	note (5000);
	disk = disk_of ("vda");
	assert_string_equal (history.domain, "vm1");
	assert_string_equal (history.uuid, UUID);
	assert_int_equal (history.count, 1);
	assert_int_equal (history.runs_ms[0], 5000);
	assert_int_equal (history.runs_ms[1], 0);
	assert_string_equal (disk->method, "commit");
	assert_string_equal (disk->result, "done");
	assert_true (disk->time_s >= now_s && disk->time_s <= now_s + 60);
	assert_int_equal (disk->success_s, disk->time_s);
	assert_int_equal (disk->duration_ms, 4000);
	assert_int_equal (disk->frozen_ms, 20);
	assert_int_equal (disk->virtual_bytes, 1000);
	assert_int_equal (disk->allocated_bytes, 300);
	assert_int_equal (disk->reclaimable_bytes, 600);
	assert_int_equal (disk->reclaimed_bytes, 500);
	assert_int_equal (disk->reclaimed_total_bytes, 500);
}

static void what_is_not_known_stays_unknown (void **state)
{
	const struct vmc_history_disk *disk;
	struct vmc_disk_report *one = add ("vda");

	(void) state;
	one->method = NULL;
	one->virtual_bytes = one->allocated_before_bytes = one->allocated_after_bytes = one->reclaimable_bytes =
		one->reclaimed_bytes = one->frozen_ms = one->duration_ms = VMC_UNKNOWN;
	note (5000);
	disk = disk_of ("vda");
	assert_string_equal (disk->method, "");
	assert_true (disk->virtual_bytes == VMC_UNKNOWN && disk->allocated_bytes == VMC_UNKNOWN &&
		     disk->reclaimable_bytes == VMC_UNKNOWN && disk->reclaimed_bytes == VMC_UNKNOWN &&
		     disk->frozen_ms == VMC_UNKNOWN && disk->duration_ms == VMC_UNKNOWN);
	assert_int_equal (disk->reclaimed_total_bytes, 0);
}

static void large_numbers_and_strange_names_are_kept (void **state)
{
	struct vmc_disk_report *one = add ("\"\\\xC3\xA4,'");

	(void) state;
	strcpy (report.domain, "a \"b\" \\x0A \xE2\x82\xAC");
	one->virtual_bytes = INT64_MAX;
	one->allocated_after_bytes = 0;
	note (5000);
	assert_int_equal (disk_of ("\"\\\xC3\xA4,'")->virtual_bytes, INT64_MAX);
	assert_int_equal (disk_of ("\"\\\xC3\xA4,'")->allocated_bytes, 0);
	assert_string_equal (history.domain, "a \"b\" \\x0A \xE2\x82\xAC");
}

static void each_disk_has_its_own (void **state)
{
	(void) state;
	(void) add ("vda");
	add ("vdb")->reclaimed_bytes = 7;
	note (5000);
	assert_int_equal (disk_of ("vda")->reclaimed_bytes, 500);
	assert_int_equal (disk_of ("vdb")->reclaimed_bytes, 7);
	assert_null (vmc_history_find (&history, "vdc"));
	anew ();
	add ("vdb")->reclaimed_bytes = 8; /* of one alone */
	note (5000);
	assert_int_equal (disk_of ("vda")->reclaimed_bytes, 500);
	assert_int_equal (disk_of ("vdb")->reclaimed_bytes, 8);
	assert_int_equal (history.count, 2);
}

static void a_domain_may_be_renamed (void **state)
{
	(void) state;
	(void) add ("vda");
	note (5000);
	strcpy (report.domain, "vm2");
	note (5000);
	read_history ();
	assert_string_equal (history.domain, "vm2");
	assert_int_equal (history.count, 1);
}

static void it_is_ours_alone (void **state)
{
	struct stat status;

	(void) state;
	(void) add ("vda");
	(void) umask (0);
	note (5000);
	(void) umask (022);
	assert_return_code (stat (PATH, &status), errno);
	assert_int_equal (status.st_mode & 07777, 0600);
	assert_return_code (stat (VMC_HISTORY_DIRECTORY, &status), errno);
	assert_int_equal (status.st_mode & 07777, 0700);
	assert_int_equal (access (PATH ".new", F_OK), -1);
}

static void a_directory_of_others_is_refused (void **state)
{
	struct vmc_error err;

	(void) state;
	(void) add ("vda");
	note (5000);
	assert_return_code (chmod (VMC_HISTORY_DIRECTORY, 0777), errno);
	assert_int_equal (vmc_history_note (&report, 5000, &err), -1);
	assert_error (err, VMC_REFUSED, "'" VMC_HISTORY_DIRECTORY "' is not a directory of ours alone");
}

/* --- run after run ------------------------------------------------------------------------------ */

static void what_was_reclaimed_adds_up (void **state)
{
	(void) state;
	(void) add ("vda");
	for (int i = 1; i <= 4; i++) {
		note (5000);
		assert_int_equal (disk_of ("vda")->reclaimed_total_bytes, 500 * i);
	}
	report.disks[0].reclaimed_bytes = VMC_UNKNOWN;
	note (5000);
	assert_int_equal (disk_of ("vda")->reclaimed_total_bytes, 2000);
	assert_true (disk_of ("vda")->reclaimed_bytes == VMC_UNKNOWN);
}

/* Set back the clock of what was noted. */
static void age (void)
{
	put (PATH, HISTORY ("{\"target\": \"vda\", \"method\": \"trim\", \"result\": \"done\", \"time_s\": 5, "
			    "\"success_s\": 5, "
			    "\"virtual_bytes\": 1000, \"allocated_bytes\": 300, \"reclaimable_bytes\": 600, "
			    "\"reclaimed_bytes\": 500, \"reclaimed_total_bytes\": 1500, \"duration_ms\": 4000, "
			    "\"frozen_ms\": 20}"));
}

static void a_failure_keeps_what_was_known (void **state)
{
	const struct vmc_history_disk *disk;
	struct vmc_disk_report *one;

	(void) state;
	age ();
	one = add ("vda");
	one->failed = true;
	one->error.code = VMC_REFUSED;
	one->virtual_bytes = one->allocated_before_bytes = one->allocated_after_bytes = one->reclaimable_bytes =
		one->reclaimed_bytes = one->frozen_ms = VMC_UNKNOWN;
	note (5000);
	disk = disk_of ("vda");
	assert_string_equal (disk->result, "refused");
	assert_true (disk->time_s > 5);
	assert_int_equal (disk->success_s, 5);
	assert_int_equal (disk->virtual_bytes, 1000);
	assert_int_equal (disk->allocated_bytes, 300);
	assert_int_equal (disk->reclaimable_bytes, 600);
	assert_int_equal (disk->reclaimed_total_bytes, 1500);
	assert_true (disk->reclaimed_bytes == VMC_UNKNOWN); /* this run has given nothing back */
}

static void what_was_allocated_before_is_better_than_nothing (void **state)
{
	(void) state;
	add ("vda")->allocated_after_bytes = VMC_UNKNOWN;
	note (5000);
	assert_int_equal (disk_of ("vda")->allocated_bytes, 800);
}

static void a_success_follows_a_failure (void **state)
{
	struct vmc_disk_report *one = add ("vda");

	(void) state;
	one->failed = true;
	one->error.code = VMC_BUSY;
	note (5000);
	assert_string_equal (disk_of ("vda")->result, "busy");
	assert_true (disk_of ("vda")->success_s == VMC_UNKNOWN);
	one->failed = false;
	note (5000);
	assert_string_equal (disk_of ("vda")->result, "done");
	assert_true (disk_of ("vda")->success_s != VMC_UNKNOWN);
}

/* --- before any disk was looked at ---------------------------------------------------------------- */

static void a_failure_of_the_domain_has_no_disk (void **state)
{
	const struct vmc_history_disk *disk;

	(void) state;
	report.failed = true;
	report.error.code = VMC_NO_AGENT;
	note (5000);
	note (5000);
	disk = disk_of ("");
	assert_int_equal (history.count, 1);
	assert_string_equal (disk->result, "no-agent");
	assert_true (disk->time_s != VMC_UNKNOWN);
	assert_true (disk->success_s == VMC_UNKNOWN && disk->virtual_bytes == VMC_UNKNOWN &&
		     disk->reclaimed_total_bytes == VMC_UNKNOWN);
	anew ();
	(void) add ("vda");
	note (5000);
	assert_string_equal (disk_of ("vda")->result, "done");
	assert_int_equal (history.count, 1); /* it has done its duty */
}

static void a_failure_of_the_domain_is_one_of_its_disks (void **state)
{
	(void) state;
	(void) add ("vda");
	(void) add ("vdb");
	note (5000);
	anew ();
	report.failed = true;
	report.error.code = VMC_NO_AGENT;
	note (5000);
	assert_string_equal (disk_of ("vda")->result, "no-agent");
	assert_string_equal (disk_of ("vdb")->result, "no-agent");
	assert_int_equal (history.count, 2);
	assert_int_equal (disk_of ("vda")->allocated_bytes, 300);
	assert_int_equal (history.runs_ms[0], 5000);
	assert_int_equal (history.runs_ms[1], 0);
}

/* --- how long it took ------------------------------------------------------------------------------ */

static void the_last_runs_are_kept_newest_first (void **state)
{
	(void) state;
	(void) add ("vda");
	for (uint64_t i = 1; i <= VMC_HISTORY_RUNS + 2; i++)
		note (i * 1000);
	read_history ();
	for (uint64_t i = 0; i < VMC_HISTORY_RUNS; i++)
		assert_int_equal (history.runs_ms[i], (VMC_HISTORY_RUNS + 2 - i) * 1000);
}

static void only_runs_that_went_well_count (void **state)
{
	struct vmc_disk_report *one = add ("vda");

	(void) state;
	note (1000);
	one->failed = true; /* it may have ended at once */
	one->error.code = VMC_FAILED;
	note (2000);
	one->failed = false;
	one->method = NULL; /* there was nothing to do */
	note (3000);
	read_history ();
	assert_int_equal (history.runs_ms[0], 1000);
	assert_int_equal (history.runs_ms[1], 0);
	(void) add ("vdb"); /* to one of them something was done */
	note (4000);
	read_history ();
	assert_int_equal (history.runs_ms[0], 4000);
	assert_int_equal (history.runs_ms[1], 1000);
	report.disks[0].failed = true;
	note (5000);
	read_history ();
	assert_int_equal (history.runs_ms[0], 4000);
}

/* 0 is none. */
static void no_time_at_all_is_a_run (void **state)
{
	(void) state;
	(void) add ("vda");
	note (0);
	read_history ();
	assert_int_equal (history.runs_ms[0], 1);
}

/* --- damage ----------------------------------------------------------------------------------------- */

static void without_a_file_it_is_empty (void **state)
{
	(void) state;
	memset (&history, 0x55, sizeof history);
	vmc_history_read (UUID, &history);
	assert_empty ();
}

static void a_damaged_file_is_empty_and_begun_anew (void **state)
{
	static const char *const texts[] = {
		"",
		"x",
		"{",
		"[]",
		"null",
		"{}",
		"3",
		"\"disks\"",
		"{\"uuid\": \"" UUID "\"}",
		"{\"uuid\": \"" UUID "\", \"disks\": null}",
		"{\"uuid\": \"" UUID "\", \"disks\": {}}",
		"{\"disks\": [" DISK "]}",
		"{\"uuid\": 3, \"disks\": [" DISK "]}",
		"{\"uuid\": \"" OTHER_UUID "\", \"disks\": [" DISK "]}",
		"{\"uuid\": \"" UUID "\", \"runs_ms\": [1, 2], \"domain\": \"x\", \"disks\": [" DISK ", 3]}",
		HISTORY (DISK ", null"),
		HISTORY (DISK ", {\"target\": \"vdb\"}"),
		HISTORY ("{\"target\": \"vda\", \"time_s\": -5}"),
		HISTORY ("{\"target\": \"vda\", \"time_s\": \"5\"}"),
	};

	(void) state;
	(void) add ("vda");
	for (size_t i = 0; i < UNIT_COUNT (texts); i++) {
		put (PATH, texts[i]);
		read_history ();
		if (history.count != 0 || history.uuid[0] != 0)
			fail_msg ("this was taken: %s", texts[i]);
		assert_empty ();
		note (5000);
		assert_int_equal (disk_of ("vda")->reclaimed_total_bytes, 500);
		assert_int_equal (history.runs_ms[1], 0);
	}
}

static void wrong_members_are_as_if_they_were_not_there (void **state)
{
	const struct vmc_history_disk *disk;

	(void) state;
	put (PATH,
	     "{\"domain\": [], \"uuid\": \"" UUID "\", \"runs_ms\": [\"x\"], \"more\": {}, \"disks\": [{\"target\": 3, "
	     "\"method\": null, \"result\": {}, \"time_s\": 5, \"virtual_bytes\": -1, \"frozen_ms\": 1.5, "
	     "\"duration_ms\": \"7\", \"allocated_bytes\": null, \"more\": 1}]}");
	disk = disk_of ("");
	assert_string_equal (history.domain, "");
	assert_string_equal (disk->method, "");
	assert_string_equal (disk->result, "");
	assert_int_equal (history.runs_ms[0], 0);
	assert_true (disk->virtual_bytes == VMC_UNKNOWN && disk->frozen_ms == VMC_UNKNOWN &&
		     disk->duration_ms == VMC_UNKNOWN && disk->allocated_bytes == VMC_UNKNOWN);
}

static void long_members_are_cut (void **state)
{
	static char text[9000], name[4000];

	(void) state;
	memset (name, 'n', sizeof name - 1);
	(void) snprintf (text, sizeof text,
			 "{\"domain\": \"%s\", \"uuid\": \"" UUID "\", \"runs_ms\": [1,2,3,4,5,6,7,8], \"disks\": "
			 "[{\"target\": \"%s\", \"time_s\": 5}]}",
			 name, name);
	put (PATH, text);
	read_history ();
	assert_int_equal (history.count, 1);
	assert_int_equal (strlen (history.domain), sizeof history.domain - 1);
	assert_int_equal (strlen (history.disks[0].target), VMC_NAME_SIZE - 1);
	assert_int_equal (history.runs_ms[VMC_HISTORY_RUNS - 1], VMC_HISTORY_RUNS);
}

static void what_is_no_file_is_not_read (void **state)
{
	(void) state;
	put (VMC_HISTORY_DIRECTORY "/elsewhere", HISTORY (DISK));
	assert_return_code (symlink (VMC_HISTORY_DIRECTORY "/elsewhere", PATH), errno);
	read_history ();
	assert_empty ();
	assert_return_code (unlink (PATH), errno);
	assert_return_code (mkfifo (PATH, 0600), errno);
	read_history ();
	assert_empty ();
	assert_return_code (unlink (PATH), errno);
	assert_return_code (mkdir (PATH, 0700), errno);
	read_history ();
	assert_empty ();
}

/* --- all of them -------------------------------------------------------------------------------------- */

static char listed[1000];

static void list_one (void *opaque, const struct vmc_history *one)
{
	assert_ptr_equal (opaque, listed);
	strcat (strcat (listed, one->uuid), ";");
}

static void list_all (void)
{
	struct vmc_error err;

	listed[0] = 0;
	if (vmc_history_list (list_one, listed, &err) < 0)
		fail_msg ("%s", err.text);
}

static void every_domain_is_listed (void **state)
{
	(void) state;
	list_all (); /* there is not even a directory */
	assert_string_equal (listed, "");
	(void) add ("vda");
	note (5000);
	strcpy (report.uuid, OTHER_UUID);
	note (5000);
	list_all ();
	assert_int_equal (strlen (listed), 2 * 37);
	assert_contains (listed, UUID ";");
	assert_contains (listed, OTHER_UUID ";");
}

static void what_is_no_history_is_not_listed (void **state)
{
	(void) state;
	put (PATH, HISTORY (DISK));
	put (PATH ".new", HISTORY (DISK));
	put (VMC_HISTORY_DIRECTORY "/" OTHER_UUID ".json", "{");
	put (VMC_HISTORY_DIRECTORY "/" OTHER_UUID ".txt", HISTORY (DISK));
	put (VMC_HISTORY_DIRECTORY "/short.json", HISTORY (DISK));
	put (VMC_HISTORY_DIRECTORY "/66666666-7777-8888-9999-bbbbbbbbbbbb.json", HISTORY (DISK)); /* of another one */
	list_all ();
	assert_string_equal (listed, UUID ";");
}

static void what_is_forgotten_is_gone (void **state)
{
	(void) state;
	(void) add ("vda");
	note (5000);
	vmc_history_forget (OTHER_UUID);
	assert_int_equal (disk_of ("vda")->reclaimed_total_bytes, 500);
	vmc_history_forget (UUID);
	read_history ();
	assert_empty ();
	list_all ();
	assert_string_equal (listed, "");
	vmc_history_forget (UUID);
}

static void the_end_of_a_night_is_kept (void **state)
{
	uint64_t now_s = (uint64_t) time (NULL), time_s = 0;
	struct vmc_error err;
	int status = 99;

	(void) state;
	assert_false (vmc_history_read_all (&time_s, &status));
	for (int i = 6; i >= 0; i--) {
		assert_int_equal (vmc_history_note_all (i, &err), 0);
		assert_true (vmc_history_read_all (&time_s, &status));
		assert_int_equal (status, i);
		assert_true (time_s >= now_s && time_s <= now_s + 60);
	}
	list_all (); /* it is no domain */
	assert_string_equal (listed, "");
}

static void a_damaged_night_was_none (void **state)
{
	static const char *const texts[] = {"",
					    "{",
					    "[]",
					    "{}",
					    "null",
					    "{\"time_s\": 5}",
					    "{\"exit_status\": 0}",
					    "{\"time_s\": -5, \"exit_status\": 0}",
					    "{\"time_s\": null, \"exit_status\": 0}",
					    "{\"time_s\": \"x\", \"exit_status\": 0}"};
	uint64_t time_s;
	int status;

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (texts); i++) {
		put (VMC_HISTORY_DIRECTORY "/all", texts[i]);
		if (vmc_history_read_all (&time_s, &status))
			fail_msg ("this was taken: %s", texts[i]);
	}
}

#define ROOM_TEST(name) cmocka_unit_test_setup_teardown (name, make_room, remove_room)

static const struct CMUnitTest tests[] = {
	ROOM_TEST (all_that_is_noted_is_read),
	ROOM_TEST (what_is_not_known_stays_unknown),
	ROOM_TEST (large_numbers_and_strange_names_are_kept),
	ROOM_TEST (each_disk_has_its_own),
	ROOM_TEST (a_domain_may_be_renamed),
	ROOM_TEST (it_is_ours_alone),
	ROOM_TEST (a_directory_of_others_is_refused),
	ROOM_TEST (what_was_reclaimed_adds_up),
	ROOM_TEST (a_failure_keeps_what_was_known),
	ROOM_TEST (what_was_allocated_before_is_better_than_nothing),
	ROOM_TEST (a_success_follows_a_failure),
	ROOM_TEST (a_failure_of_the_domain_has_no_disk),
	ROOM_TEST (a_failure_of_the_domain_is_one_of_its_disks),
	ROOM_TEST (the_last_runs_are_kept_newest_first),
	ROOM_TEST (only_runs_that_went_well_count),
	ROOM_TEST (no_time_at_all_is_a_run),
	ROOM_TEST (without_a_file_it_is_empty),
	ROOM_TEST (a_damaged_file_is_empty_and_begun_anew),
	ROOM_TEST (wrong_members_are_as_if_they_were_not_there),
	ROOM_TEST (long_members_are_cut),
	ROOM_TEST (what_is_no_file_is_not_read),
	ROOM_TEST (every_domain_is_listed),
	ROOM_TEST (what_is_no_history_is_not_listed),
	ROOM_TEST (what_is_forgotten_is_gone),
	ROOM_TEST (the_end_of_a_night_is_kept),
	ROOM_TEST (a_damaged_night_was_none),
};

int main (void)
{
	return unit_apart () ? UNIT_RUN (tests) : 0;
}
