/* options.c - tests of host/options.c */
#include "unit.h"

#include "options.h"

#define WORDS_MAX 160

/* Parse LINE, words with spaces between them, behind a program name, whatever this machine's configuration is. The words live until
 * the next call. */
static int parse (const char *line, struct vmc_options *options, struct vmc_error *err)
{
	static char copy[4096], *argv[WORDS_MAX];
	int argc = 2;
	char *save = NULL;

	argv[0] = (char *) "vmcompact";
	argv[1] = (char *) "--config=/dev/null";
	(void) snprintf (copy, sizeof copy, "%s", line);
	for (char *word = strtok_r (copy, " ", &save); word != NULL; word = strtok_r (NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	if (vmc_options_parse (argc, argv, options, err) < 0)
		return -1;
	vmc_options_clear (options); /* nothing of them lies in an empty file */
	return 0;
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
		      options.version || options.discard);
	assert_int_equal (options.action, VMC_ACTION_RUN);
	assert_int_equal (options.progress, VMC_PROGRESS_AUTO);
	assert_int_equal (options.timeout_ms, 0);
	assert_int_equal (options.freeze_timeout_ms, 5000);
	assert_int_equal (options.lock_wait_ms, 0);
	assert_null (options.overlay_dir);
	assert_null (options.image);
	assert_null (options.output);
	assert_null (options.wish.format);
	assert_int_equal (options.wish.cluster_bytes, 0);
	assert_int_equal (options.wish.bandwidth_bytes_per_s, 0);
	assert_false (options.wish.compress || options.keep_old);
	assert_int_equal (options.min_reclaim_bytes, 0);
	assert_int_equal (options.exclude_count, 0);
	assert_int_equal (options.until_minutes, -1);
	assert_int_equal (options.jobs, 1);
	assert_null (options.metrics_dir);
	assert_null (options.on_failure);
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
	for (int method = VMC_METHOD_AUTO; method <= VMC_METHOD_CONVERT; method++) {
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

/* --- convert ------------------------------------------------------------------------------------ */

static void a_format_is_chosen_by_name (void **state)
{
	struct vmc_options options;

	(void) state;
	parse_well ("--method=convert --format=qcow2 vm1", &options);
	assert_string_equal (options.wish.format, "qcow2");
	parse_well ("--method=convert --format raw vm1", &options);
	assert_string_equal (options.wish.format, "raw");
	assert_usage ("--method=convert --format=vmdk vm1", "--format cannot be 'vmdk'");
	assert_usage ("--method=convert --format=RAW vm1", "--format cannot be 'RAW'");
	assert_usage ("--method=convert --format= vm1", "--format cannot be ''");
	assert_usage ("--method=convert vm1 --format", "the option '--format' needs a value");
}

/* Every power of two from 512 bytes to 2 MiB, in each way to write it. */
static void clusters_have_a_size (void **state)
{
	struct vmc_options options;
	char line[100];

	(void) state;
	for (unsigned long bytes = 512; bytes <= 2 << 20; bytes *= 2) {
		sprintf (line, "--cluster-size=%lu vm1", bytes);
		parse_well (line, &options);
		assert_int_equal (options.wish.cluster_bytes, bytes);
		for (const char *unit = "Kk"; bytes >= 1024 && *unit != 0; unit++) {
			sprintf (line, "--cluster-size=%lu%c vm1", bytes >> 10, *unit);
			parse_well (line, &options);
			assert_int_equal (options.wish.cluster_bytes, bytes);
		}
	}
	parse_well ("--cluster-size=1M vm1", &options);
	assert_int_equal (options.wish.cluster_bytes, 1 << 20);
	parse_well ("--cluster-size=2M vm1", &options);
	assert_int_equal (options.wish.cluster_bytes, 2 << 20);
}

static void what_is_no_size_of_clusters_is_refused (void **state)
{
	static const char *const words[] = {"",
					    "0",
					    "1",
					    "256",
					    "511",
					    "513",
					    "1000",
					    "65537",
					    "4194304",
					    "0K",
					    "3K",
					    "4096K",
					    "1.5K",
					    "0M",
					    "3M",
					    "4M",
					    "1G",
					    "64KB",
					    "64KiB",
					    "64K ",
					    "K",
					    "M",
					    "x",
					    "0x200",
					    "512x",
					    "-512",
					    "-64K",
					    "64 K",
					    "2097153M",
					    "4194304K",
					    "1e3",
					    "18014398509481985K",
					    "17592186044417M",
					    "18446744073709551616",
					    "18446744073709552128",
					    "99999999999999999999999K"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (words); i++) {
		char *argv[] = {(char *) "vmcompact", (char *) "--cluster-size", (char *) words[i], (char *) "vm1",
				NULL};
		struct vmc_options options;
		struct vmc_error err;

		if (vmc_options_parse (4, argv, &options, &err) == 0)
			fail_msg ("'%s' was taken", words[i]);
		assert_error (err, VMC_USAGE, "--cluster-size needs a power of two from 512 to 2M, not '");
		assert_contains (err.text, words[i]);
	}
}

static void the_bandwidth_is_in_mib (void **state)
{
	static const char *const words[] = {"",
					    "0",
					    "-1",
					    "-0",
					    "x",
					    "5x",
					    "5M",
					    "1.5",
					    "1048577",
					    "1e3",
					    " ",
					    "99999999999999999999",
					    "-18446744073709551615"};
	struct vmc_options options;

	(void) state;
	parse_well ("--bandwidth=1 vm1", &options);
	assert_int_equal (options.wish.bandwidth_bytes_per_s, 1 << 20);
	parse_well ("--bandwidth=1048576 vm1", &options);
	assert_int_equal (options.wish.bandwidth_bytes_per_s, UINT64_C (1) << 40);
	for (size_t i = 0; i < UNIT_COUNT (words); i++) {
		char *argv[] = {(char *) "vmcompact", (char *) "--bandwidth", (char *) words[i], (char *) "vm1", NULL};
		struct vmc_error err;

		if (vmc_options_parse (4, argv, &options, &err) == 0)
			fail_msg ("'%s' was taken", words[i]);
		assert_error (err, VMC_USAGE, "--bandwidth needs a number of MiB a second, not '");
	}
}

/* A commit copies, too. */
static void zeros_go_with_a_running_domain_and_a_convert (void **state)
{
	static const char *const wrong[] = {"--zero --image=f", "--zero --recover", "--zero --method=trim vm1",
					    "--zero --method=commit vm1"};
	struct vmc_options options;

	(void) state;
	parse_well ("vm1", &options);
	assert_false (options.zero);
	parse_well ("--zero vm1", &options);
	assert_true (options.zero);
	assert_int_equal (options.method, VMC_METHOD_AUTO);
	parse_well ("--zero --method=convert vm1", &options);
	assert_true (options.zero);
	for (size_t i = 0; i < UNIT_COUNT (wrong); i++)
		assert_usage (wrong[i], "--zero ");
}

static void a_bandwidth_is_no_wish_for_a_convert (void **state)
{
	static const enum vmc_method_choice methods[] = {VMC_METHOD_AUTO, VMC_METHOD_COMMIT, VMC_METHOD_CONVERT};
	struct vmc_options options;

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (methods); i++) {
		char line[100];

		sprintf (line, "--bandwidth=10 --method=%s vm1", vmc_method_choice_name (methods[i]));
		parse_well (line, &options);
		assert_int_equal (options.method, methods[i]);
		assert_int_equal (options.wish.bandwidth_bytes_per_s, 10 << 20);
	}
}

static const char *const wishes[] = {"--format=raw", "--format=qcow2", "--cluster-size=64K", "--compress",
				     "--keep-old"};

/* Whoever wishes something about the new image wants a new image. */
static void a_wish_is_one_for_a_convert (void **state)
{
	struct vmc_options options;
	char line[100];

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (wishes); i++) {
		sprintf (line, "%s vm1", wishes[i]);
		parse_well (line, &options);
		assert_int_equal (options.method, VMC_METHOD_CONVERT);
		sprintf (line, "%s --method=convert vm1", wishes[i]);
		parse_well (line, &options);
		assert_int_equal (options.method, VMC_METHOD_CONVERT);
	}
	parse_well ("--compress vm1", &options);
	assert_true (options.wish.compress);
	assert_false (options.keep_old);
	parse_well ("--keep-old vm1", &options);
	assert_true (options.keep_old);
	assert_false (options.wish.compress);
}

static void a_wish_needs_a_convert (void **state)
{
	static const char *const methods[] = {"trim", "commit"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (wishes) * UNIT_COUNT (methods); i++) {
		char line[100];

		sprintf (line, "--method=%s %s vm1", methods[i % 2], wishes[i / 2]);
		assert_usage (line, "--format, --cluster-size, --compress, --keep-old and --output need "
				    "--method=convert");
	}
}

static void raw_has_no_clusters (void **state)
{
	struct vmc_options options;

	(void) state;
	assert_usage ("--format=raw --compress vm1", "a raw image has no clusters to choose or to compress");
	assert_usage ("--cluster-size=64K --format=raw vm1", "a raw image has no clusters to choose or to compress");
	parse_well ("--format=qcow2 --compress --cluster-size=64K --keep-old --bandwidth=5 vm1", &options);
	assert_true (options.wish.compress && options.keep_old);
	parse_well ("--format=raw --keep-old vm1", &options);
	assert_true (options.keep_old);
}

/* --- an image without a domain -------------------------------------------------------------------- */

static void an_image_needs_no_domain (void **state)
{
	struct vmc_options options;

	(void) state;
	parse_well ("--image=/images/template.qcow2", &options);
	assert_string_equal (options.image, "/images/template.qcow2");
	assert_int_equal (options.domain_count, 0);
	assert_int_equal (options.method, VMC_METHOD_AUTO);
	parse_well ("--image t.qcow2 --method=commit -n", &options);
	assert_int_equal (options.method, VMC_METHOD_COMMIT);
	parse_well ("--image t.qcow2 --compress --keep-old", &options);
	assert_int_equal (options.method, VMC_METHOD_CONVERT);
	assert_usage ("--image", "the option '--image' needs a value");
}

static void an_image_belongs_to_no_domain (void **state)
{
	static const char *const lines[] = {"--image=/i vm1", "vm1 vm2 --image=/i", "--image=/i --disk=vda"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (lines); i++)
		assert_usage (lines[i], "--image takes no domain and no --disk");
	assert_usage ("--image=/i --recover", "do not go together");
}

static void an_image_cannot_be_trimmed (void **state)
{
	(void) state;
	assert_usage ("--image=/i --method=trim", "a trim needs a running domain, not an --image");
}

static void a_copy_is_made_of_an_image (void **state)
{
	struct vmc_options options;

	(void) state;
	parse_well ("--image=/i --output=/o", &options);
	assert_string_equal (options.output, "/o");
	assert_int_equal (options.method, VMC_METHOD_CONVERT);
	parse_well ("--output=/o --method=convert --format=raw --image=/i", &options);
	assert_int_equal (options.method, VMC_METHOD_CONVERT);
	assert_usage ("--output=/o vm1", "--output goes with --image only");
	assert_usage ("--output=/o", "--output goes with --image only");
	assert_usage ("--output=/o --recover", "--output goes with --image only");
	assert_usage ("--output=/o --image=/i --keep-old",
		      "--output leaves the image alone, so there is nothing to --keep-old");
	assert_usage ("--output=/o --image=/i --method=commit", "and --output need --method=convert");
	assert_usage ("--output=/o --image=/i --method=trim", "and --output need --method=convert");
	assert_usage ("--image=/i --output", "the option '--output' needs a value");
}

/* --- what is done -------------------------------------------------------------------------------- */

static const struct {
	const char *option;
	enum vmc_action action;
	bool needs_domain, takes_domain;
} actions[] = {
	{"--all", VMC_ACTION_ALL, false, false},      {"--recover", VMC_ACTION_RECOVER, false, true},
	{"--status", VMC_ACTION_STATUS, false, true}, {"--doctor", VMC_ACTION_DOCTOR, true, true},
	{"--setup", VMC_ACTION_SETUP, true, true},    {"--image=/i", VMC_ACTION_IMAGE, false, false},
};

static void an_action_knows_its_domains (void **state)
{
	struct vmc_options options;
	char line[100];

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (actions); i++) {
		if (actions[i].needs_domain) {
			assert_usage (actions[i].option, "name at least one domain");
		} else {
			parse_well (actions[i].option, &options);
			assert_int_equal (options.action, actions[i].action);
			assert_int_equal (options.domain_count, 0);
		}
		sprintf (line, "vm1 %s vm2", actions[i].option);
		if (!actions[i].takes_domain) {
			assert_usage (line, " takes no domain and no --disk");
			continue;
		}
		parse_well (line, &options);
		assert_int_equal (options.action, actions[i].action);
		assert_int_equal (options.domain_count, 2);
	}
	assert_usage ("--all --disk=vda", "--all takes no domain and no --disk; --exclude leaves domains out");
}

static void there_is_one_action (void **state)
{
	struct vmc_options options;
	char line[100];

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (actions); i++)
		for (size_t j = 0; j < UNIT_COUNT (actions); j++) {
			sprintf (line, "%s %s %s", actions[i].option, actions[j].option,
				 actions[i].takes_domain ? "vm1" : "");
			if (i != j) {
				assert_usage (line,
					      "--all, --recover, --status, --doctor, --setup and --image do not go "
					      "together");
				continue;
			}
			parse_well (line, &options);
			assert_int_equal (options.action, actions[i].action);
		}
}

static const char *const for_all[] = {"--running", "--inactive", "--exclude=x", "--until=5:00", "--jobs=2"};

static void what_chooses_domains_is_for_all (void **state)
{
	struct vmc_options options;
	char line[100];

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (for_all); i++) {
		sprintf (line, "%s vm1", for_all[i]);
		assert_usage (line, "--running, --inactive, --exclude, --until and --jobs go with --all only");
		for (size_t j = 1; j < UNIT_COUNT (actions); j++) {
			sprintf (line, "%s %s %s", for_all[i], actions[j].option, actions[j].takes_domain ? "vm1" : "");
			assert_usage (line, "--running, --inactive, --exclude, --until and --jobs go with --all only");
		}
		sprintf (line, "%s --all", for_all[i]);
		parse_well (line, &options);
	}
}

static void which_and_when_is_chosen_for_all (void **state)
{
	struct vmc_options options;

	(void) state;
	parse_well ("--all", &options);
	assert_true (options.running);
	assert_false (options.inactive);
	parse_well ("--all --inactive", &options);
	assert_false (options.running);
	assert_true (options.inactive);
	parse_well ("--inactive --running --all", &options);
	assert_true (options.running && options.inactive);
	parse_well ("--all --exclude=a* --exclude b --until=23:59 --jobs=64", &options);
	assert_int_equal (options.exclude_count, 2);
	assert_string_equal (options.excludes[0], "a*");
	assert_string_equal (options.excludes[1], "b");
	assert_int_equal (options.until_minutes, 23 * 60 + 59);
	assert_int_equal (options.jobs, 64);
	parse_well ("--all --until=0:00", &options);
	assert_int_equal (options.until_minutes, 0);
	assert_usage ("--all --until=24:00", "--until needs a time of the day");
	assert_usage ("--all --jobs=0", "--jobs needs a number of domains from 1 to 64, not '0'");
	assert_usage ("--all --jobs=65", "--jobs needs a number of domains from 1 to 64, not '65'");
	assert_usage ("--all --jobs=-1", "--jobs needs a number of domains");
}

static void discard_is_for_setup (void **state)
{
	struct vmc_options options;
	char line[100];

	(void) state;
	parse_well ("--setup --discard --disk=vda vm1", &options);
	assert_true (options.discard);
	assert_int_equal (options.disk_count, 1);
	parse_well ("--setup vm1", &options);
	assert_false (options.discard);
	assert_usage ("--discard vm1", "--discard goes with --setup only");
	for (size_t i = 0; i < UNIT_COUNT (actions); i++) {
		if (actions[i].action == VMC_ACTION_SETUP)
			continue;
		sprintf (line, "--discard %s %s", actions[i].option, actions[i].takes_domain ? "vm1" : "");
		assert_usage (line, "--discard goes with --setup only");
	}
}

static void what_happens_afterwards_is_chosen (void **state)
{
	struct vmc_options options;

	(void) state;
	parse_well ("--metrics-dir=/m --on-failure=true vm1", &options);
	assert_string_equal (options.metrics_dir, "/m");
	assert_string_equal (options.on_failure, "true");
	assert_usage ("--metrics-dir=m vm1", "--metrics-dir needs an absolute path, not 'm'");
	assert_usage ("--on-failure= vm1", "--on-failure needs a command");
}

/* --- words -------------------------------------------------------------------------------------- */

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
	assert_int_equal (options.action, VMC_ACTION_RECOVER);
	assert_int_equal (options.domain_count, 0);
	parse_well ("vm1 --recover vm2", &options);
	assert_int_equal (options.action, VMC_ACTION_RECOVER);
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
	static const char *const words[] = {"-c, --connect=",  "--method=",         "--disk=",        "-n, --dry-run",
					    "--json",          "-q, --quiet",       "-v, --verbose",  "--progress=",
					    "--timeout=",      "--freeze-timeout=", "--overlay-dir=", "--recover",
					    "--lock-wait=",    "-h, --help",        "-V, --version",  "--format=",
					    "--cluster-size=", "--compress",        "--keep-old",     "--bandwidth=",
					    "--image=",        "--output=",         "--zero",         "--min-reclaim=",
					    "--all",           "--running",         "--inactive",     "--exclude=",
					    "--until=",        "--jobs=",           "--status",       "--doctor",
					    "--setup",         "--discard",         "--config=",      "--metrics-dir=",
					    "--on-failure="};

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
	cmocka_unit_test (a_format_is_chosen_by_name),
	cmocka_unit_test (clusters_have_a_size),
	cmocka_unit_test (what_is_no_size_of_clusters_is_refused),
	cmocka_unit_test (the_bandwidth_is_in_mib),
	cmocka_unit_test (zeros_go_with_a_running_domain_and_a_convert),
	cmocka_unit_test (a_bandwidth_is_no_wish_for_a_convert),
	cmocka_unit_test (a_wish_is_one_for_a_convert),
	cmocka_unit_test (a_wish_needs_a_convert),
	cmocka_unit_test (raw_has_no_clusters),
	cmocka_unit_test (an_image_needs_no_domain),
	cmocka_unit_test (an_image_belongs_to_no_domain),
	cmocka_unit_test (an_image_cannot_be_trimmed),
	cmocka_unit_test (a_copy_is_made_of_an_image),
	cmocka_unit_test (an_action_knows_its_domains),
	cmocka_unit_test (there_is_one_action),
	cmocka_unit_test (what_chooses_domains_is_for_all),
	cmocka_unit_test (which_and_when_is_chosen_for_all),
	cmocka_unit_test (discard_is_for_setup),
	cmocka_unit_test (what_happens_afterwards_is_chosen),
	cmocka_unit_test (an_option_that_is_not_known_is_named),
	cmocka_unit_test (a_missing_value_is_named),
	cmocka_unit_test (a_domain_must_be_named),
	cmocka_unit_test (recovering_needs_no_domain),
	cmocka_unit_test (recovering_is_no_dry_run),
	cmocka_unit_test (help_and_version_need_no_domain),
	cmocka_unit_test (help_names_every_option),
};

UNIT_MAIN (tests)
