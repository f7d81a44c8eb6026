/* options.c - tests of host/options.c */
#include "unit.h"

#include "options.h"

#define WORDS_MAX 160

/* Parse LINE, words with spaces between them, behind a program name. The words live until the next call. */
static int parse (const char *line, struct vmc_options *options, struct vmc_error *err)
{
	static char copy[4096], *argv[WORDS_MAX];
	int argc = 1;
	char *save = NULL;

	argv[0] = (char *) "vmcompact";
	(void) snprintf (copy, sizeof copy, "%s", line);
	for (char *word = strtok_r (copy, " ", &save); word != NULL; word = strtok_r (NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	return vmc_options_parse (argc, argv, options, err);
}

static void parse_well (const char *line, struct vmc_options *options)
{
	struct vmc_error err;

	if (parse (line, options, &err) < 0)
		fail_msg ("%s: %s", line, err.text);
}

static void assert_usage (const char *line, const char *reason)
{
	struct vmc_options options;
	struct vmc_error err;

	if (parse (line, &options, &err) == 0)
		fail_msg ("this was taken: %s", line);
	assert_error (err, VMC_USAGE, reason);
}

static void defaults_are_as_documented (void **state)
{
	struct vmc_options options;

	(void) state;
	parse_well ("vm1", &options);
	assert_null (options.uri);
	assert_int_equal (options.method, VMC_METHOD_AUTO);
	assert_int_equal (options.disk_count, 0);
	assert_false (options.dry_run || options.json || options.quiet || options.verbose || options.help ||
		      options.version || options.recover);
	assert_int_equal (options.progress, VMC_PROGRESS_AUTO);
	assert_int_equal (options.timeout_ms, 0);
	assert_int_equal (options.freeze_timeout_ms, 5000);
	assert_int_equal (options.lock_wait_ms, 0);
	assert_null (options.overlay_dir);
}

static void domains_may_stand_anywhere (void **state)
{
	struct vmc_options options;

	(void) state;
	parse_well ("vm1 -n vm2 --json vm3", &options);
	assert_int_equal (options.domain_count, 3);
	assert_string_equal (options.domains[0], "vm1");
	assert_string_equal (options.domains[1], "vm2");
	assert_string_equal (options.domains[2], "vm3");
	assert_true (options.dry_run && options.json);
}

static void two_dashes_end_the_options (void **state)
{
	struct vmc_options options;

	(void) state;
	parse_well ("-- -n", &options);
	assert_int_equal (options.domain_count, 1);
	assert_string_equal (options.domains[0], "-n");
	assert_false (options.dry_run);
}

static void short_options_are_the_long_ones (void **state)
{
	struct vmc_options options;

	(void) state;
	parse_well ("-c qemu:///x -nqv vm1", &options);
	assert_string_equal (options.uri, "qemu:///x");
	assert_true (options.dry_run && options.quiet && options.verbose);
	parse_well ("--connect=qemu:///y --dry-run --quiet --verbose vm1", &options);
	assert_string_equal (options.uri, "qemu:///y");
	assert_true (options.dry_run && options.quiet && options.verbose);
}

static void methods_are_chosen_by_name (void **state)
{
	struct vmc_options options;

	(void) state;
	for (int method = VMC_METHOD_AUTO; method <= VMC_METHOD_COMMIT; method++) {
		char line[100];

		sprintf (line, "--method=%s vm1", vmc_method_choice_name (method));
		parse_well (line, &options);
		assert_int_equal (options.method, method);
	}
}

static void progress_is_chosen_by_name (void **state)
{
	struct vmc_options options;

	(void) state;
	parse_well ("--progress=always vm1", &options);
	assert_int_equal (options.progress, VMC_PROGRESS_ALWAYS);
	parse_well ("--progress never vm1", &options);
	assert_int_equal (options.progress, VMC_PROGRESS_NEVER);
	parse_well ("--progress=auto vm1", &options);
	assert_int_equal (options.progress, VMC_PROGRESS_AUTO);
}

static void words_that_are_not_known_are_refused (void **state)
{
	(void) state;
	assert_usage ("--method=shrink vm1", "--method cannot be 'shrink'");
	assert_usage ("--method= vm1", "--method cannot be ''");
	assert_usage ("--method=TRIM vm1", "--method cannot be 'TRIM'");
	assert_usage ("--progress=yes vm1", "--progress cannot be 'yes'");
}

static void disks_add_up (void **state)
{
	struct vmc_options options;

	(void) state;
	parse_well ("--disk=vda --disk vdb vm1", &options);
	assert_int_equal (options.disk_count, 2);
	assert_string_equal (options.disks[0], "vda");
	assert_string_equal (options.disks[1], "vdb");
}

static void disks_have_a_limit (void **state)
{
	char line[2000] = "vm1";
	struct vmc_options options;

	(void) state;
	for (int i = 0; i < VMC_OPTION_DISKS_MAX; i++)
		strcat (line, " --disk=vda");
	parse_well (line, &options);
	assert_int_equal (options.disk_count, VMC_OPTION_DISKS_MAX);
	strcat (line, " --disk=vda");
	assert_usage (line, "at most 64 times");
}

static void seconds_become_milliseconds (void **state)
{
	struct vmc_options options;

	(void) state;
	parse_well ("--timeout=90 --freeze-timeout=2.5 vm1", &options);
	assert_int_equal (options.timeout_ms, 90000);
	assert_int_equal (options.freeze_timeout_ms, 2500);
}

static void seconds_have_limits (void **state)
{
	struct vmc_options options;

	(void) state;
	parse_well ("--timeout=604800 --freeze-timeout=60 vm1", &options);
	assert_int_equal (options.timeout_ms, 604800000);
	assert_int_equal (options.freeze_timeout_ms, 60000);
	parse_well ("--timeout=0.001 vm1", &options);
	assert_int_equal (options.timeout_ms, 1);
	assert_usage ("--freeze-timeout=60.1 vm1", "up to 60,");
	assert_usage ("--timeout=604801 vm1", "up to 604800,");
}

static void what_is_no_time_is_refused (void **state)
{
	static const char *const words[] = {"0", "-1", "", "x", "5x", "5s", "nan", "inf", "1e999", "0.0001", "1e-999"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (words); i++) {
		char line[100];

		sprintf (line, "--timeout=%s vm1", words[i]);
		assert_usage (line, "--timeout needs a number of seconds");
		sprintf (line, "--freeze-timeout=%s vm1", words[i]);
		assert_usage (line, "--freeze-timeout needs a number of seconds");
	}
}

static void waiting_for_the_lock_may_be_chosen (void **state)
{
	static const struct {
		const char *line;
		unsigned wait_ms;
	} cases[] = {
		{"vm1", 0},
		{"--recover", 10000},
		{"--recover vm1", 10000},
		{"--lock-wait=2.5 vm1", 2500},
		{"--lock-wait=0 vm1", 0},
		{"--lock-wait=0 --recover", 0},
		{"--recover --lock-wait 3", 3000},
		{"--lock-wait=10 --recover --lock-wait=1", 1000},
		{"--lock-wait=0.001 vm1", 1},
		{"--lock-wait=86400 vm1", 86400000},
	};
	struct vmc_options options;

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		parse_well (cases[i].line, &options);
		if (options.lock_wait_ms != cases[i].wait_ms)
			fail_msg ("'%s' waits %u ms", cases[i].line, options.lock_wait_ms);
	}
	assert_usage ("--lock-wait=86400.1 vm1", "up to 86400,");
	assert_usage ("--lock-wait=-0.001 vm1", "--lock-wait needs a number of seconds");
	assert_usage ("--lock-wait= vm1", "--lock-wait needs a number of seconds");
	assert_usage ("--lock-wait=nan vm1", "--lock-wait needs a number of seconds");
	assert_usage ("--lock-wait=1e999 vm1", "--lock-wait needs a number of seconds");
	assert_usage ("vm1 --lock-wait", "the option '--lock-wait' needs a value");
}

static void the_overlay_dir_is_absolute (void **state)
{
	struct vmc_options options;

	(void) state;
	parse_well ("--overlay-dir=/fast vm1", &options);
	assert_string_equal (options.overlay_dir, "/fast");
	assert_usage ("--overlay-dir=fast vm1", "absolute path, not 'fast'");
	assert_usage ("--overlay-dir= vm1", "absolute path");
}

static void an_option_that_is_not_known_is_named (void **state)
{
	(void) state;
	assert_usage ("--shrink vm1", "no option '--shrink'");
	assert_usage ("vm1 --shrink", "no option '--shrink'");
	assert_usage ("-x vm1", "no option '-x'");
}

static void a_missing_value_is_named (void **state)
{
	(void) state;
	assert_usage ("vm1 --disk", "the option '--disk' needs a value");
	assert_usage ("vm1 -c", "the option '-c' needs a value");
}

static void a_domain_must_be_named (void **state)
{
	(void) state;
	assert_usage ("", "at least one domain");
	assert_usage ("-n", "at least one domain");
}

static void recovering_needs_no_domain (void **state)
{
	struct vmc_options options;

	(void) state;
	parse_well ("--recover", &options);
	assert_true (options.recover);
	assert_int_equal (options.domain_count, 0);
	parse_well ("vm1 --recover vm2", &options);
	assert_true (options.recover);
	assert_int_equal (options.domain_count, 2);
	assert_string_equal (options.domains[0], "vm1");
	assert_string_equal (options.domains[1], "vm2");
	assert_usage ("--recover=vm1", "no option '--recover=vm1'");
}

static void recovering_is_no_dry_run (void **state)
{
	static const char *const lines[] = {"--recover --dry-run", "-n --recover vm1", "vm1 --recover -qn"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (lines); i++)
		assert_usage (lines[i], "--recover and --dry-run do not go together");
}

static void help_and_version_need_no_domain (void **state)
{
	struct vmc_options options;

	(void) state;
	parse_well ("--help", &options);
	assert_true (options.help);
	parse_well ("-h", &options);
	assert_true (options.help);
	parse_well ("-V", &options);
	assert_true (options.version);
	parse_well ("--version", &options);
	assert_true (options.version);
}

/* A person who sees nothing but --help must find each of them there. */
static void help_names_every_option (void **state)
{
	static const char *const words[] = {"-c, --connect=", "--method=",         "--disk=",        "-n, --dry-run",
					    "--json",         "-q, --quiet",       "-v, --verbose",  "--progress=",
					    "--timeout=",     "--freeze-timeout=", "--overlay-dir=", "--recover",
					    "--lock-wait=",   "-h, --help",        "-V, --version"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (words); i++)
		assert_contains (vmc_options_help, words[i]);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (defaults_are_as_documented),
	cmocka_unit_test (domains_may_stand_anywhere),
	cmocka_unit_test (two_dashes_end_the_options),
	cmocka_unit_test (short_options_are_the_long_ones),
	cmocka_unit_test (methods_are_chosen_by_name),
	cmocka_unit_test (progress_is_chosen_by_name),
	cmocka_unit_test (words_that_are_not_known_are_refused),
	cmocka_unit_test (disks_add_up),
	cmocka_unit_test (disks_have_a_limit),
	cmocka_unit_test (seconds_become_milliseconds),
	cmocka_unit_test (seconds_have_limits),
	cmocka_unit_test (what_is_no_time_is_refused),
	cmocka_unit_test (waiting_for_the_lock_may_be_chosen),
	cmocka_unit_test (the_overlay_dir_is_absolute),
	cmocka_unit_test (an_option_that_is_not_known_is_named),
	cmocka_unit_test (a_missing_value_is_named),
	cmocka_unit_test (a_domain_must_be_named),
	cmocka_unit_test (recovering_needs_no_domain),
	cmocka_unit_test (recovering_is_no_dry_run),
	cmocka_unit_test (help_and_version_need_no_domain),
	cmocka_unit_test (help_names_every_option),
};

UNIT_MAIN (tests)
