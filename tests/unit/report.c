/* report.c - tests of host/report.c */
#include "unit.h"

#include <errno.h>
#include <unistd.h>

#include "report.h"

static struct vmc_disk_report *add (struct vmc_report *report, const char *target)
{
	static struct vmc_disk disk;
	struct vmc_disk_report *one;

	strcpy (disk.target, target);
	strcpy (disk.path, "/images/vm1.qcow2");
	strcpy (disk.format, "qcow2");
	one = vmc_report_add (report, &disk);
	assert_non_null (one);
	return one;
}

static void add_failure (struct vmc_report *report, enum vmc_code code)
{
	struct vmc_disk_report *one = add (report, "vda");

	one->failed = true;
	one->error.code = code;
}

/* What vmc_report_print writes to stdout and stderr: both belong to TAP otherwise. */
static void print (const struct vmc_report *report, const struct vmc_options *options, char *out, char *errors,
		   size_t size)
{
	FILE *files[2] = {tmpfile (), tmpfile ()};
	char *const texts[2] = {out, errors};
	int saved[2];

	(void) fflush (stdout);
	for (int i = 0; i < 2; i++) {
		saved[i] = dup (i + 1);
		(void) dup2 (fileno (files[i]), i + 1);
	}
	int result = vmc_report_print (report, options);
	(void) fflush (stdout);
	for (int i = 0; i < 2; i++) {
		(void) dup2 (saved[i], i + 1);
		(void) close (saved[i]);
		rewind (files[i]);
		texts[i][fread (texts[i], 1, size - 1, files[i])] = 0;
		(void) fclose (files[i]);
	}
	assert_int_equal (result, 0);
}

#define PRINT(report, ...) \
	char out[8000], errors[8000]; \
	struct vmc_options options = {__VA_ARGS__}; \
	print (report, &options, out, errors, sizeof out)

/* --- the worst code ---------------------------------------------------------------------------------------------------- */

static void nothing_wrong_is_not_any (void **state)
{
	struct vmc_report report = {0};
	bool any = true;

	(void) state;
	(void) vmc_report_worst (&report, &any);
	assert_false (any);
	(void) add (&report, "vda");
	any = true;
	(void) vmc_report_worst (&report, &any);
	assert_false (any);
	vmc_report_clear (&report);
}

/* Each of these is worse than those before it, in whichever order they come. */
static void codes_are_ordered_by_what_they_mean_for_the_domain (void **state)
{
	static const enum vmc_code order[] = {VMC_DROPPED, VMC_REFUSED, VMC_BUSY,
					      VMC_FAILED,  VMC_USAGE,   VMC_INTERRUPTED};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (order); i++)
		for (size_t j = 0; j < UNIT_COUNT (order); j++) {
			struct vmc_report report = {0};
			bool any;

			add_failure (&report, order[i]);
			add_failure (&report, order[j]);
			assert_int_equal (vmc_report_worst (&report, &any), order[i > j ? i : j]);
			assert_true (any);
			vmc_report_clear (&report);
		}
}

static void codes_with_the_same_status_are_equally_bad (void **state)
{
	struct vmc_report report = {0};
	bool any;

	(void) state;
	add_failure (&report, VMC_NO_AGENT);
	add_failure (&report, VMC_REFUSED);
	assert_int_equal (vmc_report_worst (&report, &any), VMC_NO_AGENT);
	vmc_report_clear (&report);
}

/* The same for exit statuses, of which one may be of another process. */
static void the_worse_status_is_the_worse_one (void **state)
{
	static const int order[] = {0, 4, 3, 6, 1, 2, 5};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (order); i++)
		for (size_t j = 0; j < UNIT_COUNT (order); j++)
			assert_int_equal (vmc_worse_status (order[i], order[j]), order[i > j ? i : j]);
}

static void every_code_is_worse_than_success (void **state)
{
	(void) state;
	for (int code = 0; code < VMC_CODES; code++) {
		struct vmc_report report = {0};
		bool any = false;

		(void) add (&report, "vdb");
		add_failure (&report, code);
		(void) add (&report, "vdc");
		assert_int_equal (vmc_report_worst (&report, &any), code);
		assert_true (any);
		vmc_report_clear (&report);
	}
}

static void the_domains_own_failure_counts (void **state)
{
	struct vmc_report report = {.failed = true, .error = {.code = VMC_BUSY}};
	bool any;

	(void) state;
	assert_int_equal (vmc_report_worst (&report, &any), VMC_BUSY);
	assert_true (any);
	add_failure (&report, VMC_REFUSED);
	assert_int_equal (vmc_report_worst (&report, &any), VMC_BUSY);
	add_failure (&report, VMC_INTERRUPTED);
	assert_int_equal (vmc_report_worst (&report, &any), VMC_INTERRUPTED);
	vmc_report_clear (&report);
}

/* The error of a domain that did not fail is only what is left of something. */
static void what_did_not_fail_does_not_count (void **state)
{
	struct vmc_report report = {.error = {.code = VMC_INTERRUPTED}};
	bool any;

	(void) state;
	add (&report, "vda")->error.code = VMC_INTERRUPTED;
	add_failure (&report, VMC_DROPPED);
	assert_int_equal (vmc_report_worst (&report, &any), VMC_DROPPED);
	vmc_report_clear (&report);
}

/* --- entries and printing ------------------------------------------------------------------------------------------------ */

static void a_new_entry_knows_no_numbers (void **state)
{
	struct vmc_report report = {0};
	struct vmc_disk_report *one = add (&report, "vda");

	(void) state;
	assert_string_equal (one->target, "vda");
	assert_string_equal (one->path, "/images/vm1.qcow2");
	assert_string_equal (one->format, "qcow2");
	assert_false (one->failed);
	assert_null (one->method);
	assert_true (one->virtual_bytes == VMC_UNKNOWN && one->used_bytes == VMC_UNKNOWN &&
		     one->free_bytes == VMC_UNKNOWN && one->reclaimable_bytes == VMC_UNKNOWN &&
		     one->allocated_before_bytes == VMC_UNKNOWN && one->allocated_after_bytes == VMC_UNKNOWN &&
		     one->reclaimed_bytes == VMC_UNKNOWN && one->frozen_ms == VMC_UNKNOWN &&
		     one->duration_ms == VMC_UNKNOWN && one->peak_overlay_bytes == VMC_UNKNOWN);
	vmc_report_clear (&report);
}

static void json_is_one_line (void **state)
{
	struct vmc_report report = {.domain = "vm1", .uuid = "u"};
	struct vmc_disk_report *one = add (&report, "vda");

	(void) state;
	one->method = "commit";
	strcpy (one->reason, "asked for");
	one->virtual_bytes = 100;
	one->reclaimed_bytes = 0;
	PRINT (&report, .json = true);
	assert_ptr_equal (strchr (out, '\n'), out + strlen (out) - 1);
	assert_contains (out, "{\"domain\":\"vm1\",\"uuid\":\"u\",\"result\":\"done\",\"disks\":[{\"target\":\"vda\"");
	assert_contains (out, "\"method\":\"commit\",\"reason\":\"asked for\",\"virtual_bytes\":100,");
	assert_contains (out, "\"reclaimed_bytes\":0,");
	assert_contains (out, "\"frozen_ms\":null,");
	assert_contains (out, "\"error\":null");
	assert_string_equal (errors, "");
	vmc_report_clear (&report);
}

static void json_has_the_worst_result (void **state)
{
	struct vmc_report report = {.domain = "vm1"};

	(void) state;
	add_failure (&report, VMC_DROPPED);
	add_failure (&report, VMC_NO_AGENT);
	strcpy (report.disks[1].error.text, "why not");
	PRINT (&report, .json = true);
	assert_contains (out, "\"uuid\":null,\"result\":\"no-agent\"");
	assert_contains (out, "\"error\":\"why not\"");
	vmc_report_clear (&report);
}

static void a_path_that_is_not_utf8_is_escaped_in_json (void **state)
{
	struct vmc_report report = {.domain = "vm1"};
	struct vmc_disk_report *one = add (&report, "vda");

	(void) state;
	strcpy (one->path, "/a\xFF\x1B");
	PRINT (&report, .json = true);
	assert_contains (out, "\"path\":\"/a\\\\xFF\\\\x1B\"");
	vmc_report_clear (&report);
}

static void an_image_without_a_domain_goes_by_its_name (void **state)
{
	struct vmc_report report = {0};
	struct vmc_disk_report *one = add (&report, "");

	(void) state;
	one->failed = true;
	vmc_fail (&one->error, VMC_REFUSED, 0, "somebody has it open");
	PRINT (&report, .json = true, .image = "/a\x1B");
	assert_contains (out, "{\"domain\":null,\"uuid\":null,\"result\":\"refused\",\"disks\":[{\"target\":null,");
	assert_string_equal (errors, "vmcompact: /a\\x1B: somebody has it open\n");
	vmc_report_clear (&report);
}

static void an_image_without_a_domain_has_a_table (void **state)
{
	struct vmc_report report = {0};

	(void) state;
	(void) add (&report, "");
	PRINT (&report, .verbose = true, .image = "/a\x1B");
	assert_contains (out, "/a\\x1B\ndisk ");
	assert_contains (out, "\nimage ");
	vmc_report_clear (&report);
}

static void each_failure_is_one_sentence (void **state)
{
	struct vmc_report report = {.domain = "vm1"};
	struct vmc_disk_report *one = add (&report, "vda");

	(void) state;
	one->failed = true;
	vmc_fail (&one->error, VMC_FAILED, ENOSPC, "cannot write");
	one = add (&report, "vdb");
	one->failed = true;
	vmc_fail (&one->error, VMC_REFUSED, 0, "it is read-only");
	PRINT (&report, .quiet = true);
	assert_string_equal (out, "");
	assert_string_equal (errors,
			     "vmcompact: vm1 (vda): cannot write (ENOSPC)\nvmcompact: vm1 (vdb): it is read-only\n");
	vmc_report_clear (&report);
}

static void the_domains_failure_names_no_disk (void **state)
{
	struct vmc_report report = {.domain = "vm1", .failed = true};

	(void) state;
	vmc_fail (&report.error, VMC_REFUSED, 0, "the domain is not running");
	PRINT (&report, .verbose = true);
	assert_string_equal (errors, "vmcompact: vm1: the domain is not running\n");
	vmc_report_clear (&report);
}

static void the_table_is_for_verbose_and_dry_runs (void **state)
{
	struct vmc_report report = {.domain = "vm1"};
	struct vmc_disk_report *one = add (&report, "vda");

	(void) state;
	one->method = "trim";
	strcpy (one->reason, "asked for");
	vmc_report_left_out (one, "/srv", "a swap partition");
	vmc_report_note (one, "/home", "1 GiB zeroed");
	one->virtual_bytes = UINT64_C (10) << 30;
	one->reclaimed_bytes = UINT64_C (3) << 30;
	one->reclaimable_bytes = UINT64_C (2) << 30;
	{
		PRINT (&report, .verbose = true);
		assert_contains (out, "10.0 GiB");
		assert_contains (out, "3.00 GiB");
		assert_null (strstr (out, "~"));
		assert_contains (out, "vda: trim, because asked for\n");
		assert_contains (out, "vda: left out: /srv: a swap partition; /home: 1 GiB zeroed\n");
	}
	{
		PRINT (&report, .dry_run = true);
		assert_contains (out, "~2.00 GiB");
		assert_null (strstr (out, "3.00 GiB"));
	}
	{
		PRINT (&report, .quiet = true, .verbose = true);
		assert_string_equal (out, "");
	}
	vmc_report_clear (&report);
}

static void the_picture_shows_where_the_space_was (void **state)
{
	struct vmc_report report = {.domain = "vm1"};
	struct vmc_disk_report *one = add (&report, "vda");
	struct vmc_extent used_and_freed[] = {{0, 8 << 20}, {32 << 20, 8 << 20}};

	(void) state;
	vmc_picture_draw (&one->picture, 64 << 20, &(struct vmc_extents) {used_and_freed, 2, 2},
			  &(struct vmc_extents) {used_and_freed + 1, 1, 1});
	PRINT (&report, .verbose = true);
	assert_contains (out, "[########........................--------........................]");
	vmc_report_clear (&report);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (nothing_wrong_is_not_any),
	cmocka_unit_test (codes_are_ordered_by_what_they_mean_for_the_domain),
	cmocka_unit_test (codes_with_the_same_status_are_equally_bad),
	cmocka_unit_test (the_worse_status_is_the_worse_one),
	cmocka_unit_test (every_code_is_worse_than_success),
	cmocka_unit_test (the_domains_own_failure_counts),
	cmocka_unit_test (what_did_not_fail_does_not_count),
	cmocka_unit_test (a_new_entry_knows_no_numbers),
	cmocka_unit_test (json_is_one_line),
	cmocka_unit_test (json_has_the_worst_result),
	cmocka_unit_test (a_path_that_is_not_utf8_is_escaped_in_json),
	cmocka_unit_test (an_image_without_a_domain_goes_by_its_name),
	cmocka_unit_test (an_image_without_a_domain_has_a_table),
	cmocka_unit_test (each_failure_is_one_sentence),
	cmocka_unit_test (the_domains_failure_names_no_disk),
	cmocka_unit_test (the_table_is_for_verbose_and_dry_runs),
	cmocka_unit_test (the_picture_shows_where_the_space_was),
};

UNIT_MAIN (tests)
