/* config.c - tests of host/config.c, and of what host/options.c takes from a configuration file */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "options.h"

#define WORDS_MAX 160
#define MIB (UINT64_C (1) << 20)

static char path[64];
static struct vmc_options options;
static struct vmc_error err;

static int make_file (void **state)
{
	int fd;

	(void) state;
	(void) umask (022);
	strcpy (path, "/tmp/vmcompact-config-XXXXXX");
	fd = mkstemp (path);
	memset (&options, 0, sizeof options);
	return fd < 0 ? -1 : close (fd);
}

static int remove_file (void **state)
{
	(void) state;
	vmc_options_clear (&options);
	return unlink (path);
}

static void put_bytes (const char *bytes, size_t length)
{
	int fd = open (path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true (fd >= 0);
	assert_int_equal (write (fd, bytes, length), length);
	assert_return_code (close (fd), errno);
}

static void put (const char *text)
{
	put_bytes (text, strlen (text));
}

/* --- the lines of a file ----------------------------------------------------------------------- */

static char taken[65536 + 100];

/* Write down each key and its value. "wrong" is none. */
static int take (void *opaque, const char *key, const char *value, struct vmc_error *error)
{
	size_t used = strlen (taken);

	(void) snprintf (taken + used, sizeof taken - used, "<%s=%s>", key, value);
	if (strcmp (key, "wrong") == 0)
		return vmc_fail (error, VMC_USAGE, 0, "it is wrong");
	assert_ptr_equal (opaque, path);
	return 0;
}

static int read_file (const char *name)
{
	char *text = path;
	int result;

	taken[0] = 0;
	result = vmc_config_read (name, &text, take, path, &err);
	free (text);
	return result;
}

static void assert_taken (const char *text, const char *wanted)
{
	put (text);
	if (read_file (path) < 0)
		fail_msg ("'%s': %s", text, err.text);
	assert_string_equal (taken, wanted);
}

static void a_line_has_a_key_and_a_value (void **state)
{
	(void) state;
	assert_taken ("", "");
	assert_taken ("one=1", "<one=1>");
	assert_taken ("one=1\n", "<one=1>");
	assert_taken ("one = 1\ntwo = 2\n", "<one=1><two=2>");
	assert_taken ("one=", "<one=>");
	assert_taken ("one=1\none=2\n", "<one=1><one=2>");
}

static void space_around_words_is_nothing (void **state)
{
	(void) state;
	assert_taken ("\n  \n\t\n one \t=  1  1 \t \n\n", "<one=1  1>");
	assert_taken ("one = 1\r\ntwo=2\r\n", "<one=1><two=2>");
	assert_taken ("one =   ", "<one=>");
}

static void a_comment_is_a_whole_line (void **state)
{
	(void) state;
	assert_taken ("# one=1\n   # wrong=1\n#\none = 1 # one\n", "<one=1 # one>");
}

static void the_first_sign_divides (void **state)
{
	(void) state;
	assert_taken ("one=a=b==c=\n", "<one=a=b==c=>");
	assert_taken ("=1\n", "<=1>");
}

static void what_is_no_line_is_told_with_its_place (void **state)
{
	char where[100];

	(void) state;
	put ("# first\n\none=1\nnothing\ntwo=2\n");
	assert_int_equal (read_file (path), -1);
	(void) snprintf (where, sizeof where, "%s, line 4: 'nothing' is not 'key = value'", path);
	assert_int_equal (err.code, VMC_USAGE);
	assert_string_equal (err.text, where);
	assert_string_equal (taken, "<one=1>");
}

static void what_is_not_taken_is_told_with_its_place (void **state)
{
	char where[100];

	(void) state;
	put ("one=1\nwrong=1");
	assert_int_equal (read_file (path), -1);
	(void) snprintf (where, sizeof where, "%s, line 2: it is wrong", path);
	assert_string_equal (err.text, where);
}

/* --- the file ----------------------------------------------------------------------------------- */

static void a_file_that_others_can_write_is_refused (void **state)
{
	static const mode_t open_modes[] = {0666, 0602, 0620, 0660}, closed_modes[] = {0600, 0644, 0640, 0444, 0755};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (open_modes); i++) {
		put ("one=1\n");
		assert_return_code (chmod (path, open_modes[i]), errno);
		assert_int_equal (read_file (path), -1);
		assert_error (err, VMC_USAGE, "' can be written by others; chown it to root, and chmod go-w it");
		assert_contains (err.text, path);
		assert_string_equal (taken, "");
	}
	for (size_t i = 0; i < UNIT_COUNT (closed_modes); i++) {
		assert_return_code (chmod (path, closed_modes[i]), errno);
		if (read_file (path) < 0)
			fail_msg ("%s", err.text);
	}
}

static void a_file_of_somebody_else_is_refused (void **state)
{
	(void) state;
	if (geteuid () != 0) /* only root can give a file away */
		return;
	put ("one=1\n");
	assert_return_code (chown (path, 1, 0), errno);
	assert_int_equal (read_file (path), -1);
	assert_error (err, VMC_USAGE, "' can be written by others");
}

/* Whoever can write where the symlink leads could write it as well. */
static void a_symlink_is_what_it_leads_to (void **state)
{
	char link[80];

	(void) state;
	(void) snprintf (link, sizeof link, "%s.link", path);
	assert_return_code (symlink (path, link), errno);
	put ("one=1\n");
	assert_int_equal (read_file (link), 0);
	assert_string_equal (taken, "<one=1>");
	assert_return_code (chmod (path, 0666), errno);
	assert_int_equal (read_file (link), -1);
	assert_return_code (unlink (link), errno);
}

static void dev_null_is_no_configuration (void **state)
{
	(void) state;
	if (read_file ("/dev/null") < 0)
		fail_msg ("%s", err.text);
	assert_string_equal (taken, "");
}

static void a_file_that_is_named_must_be_there (void **state)
{
	(void) state;
	assert_int_equal (read_file ("/nowhere/vmcompact.conf"), -1);
	assert_error (err, VMC_USAGE, "cannot open '/nowhere/vmcompact.conf'");
	assert_int_equal (err.errnum, ENOENT);
}

/* Below a new directory of configurations, which this process alone sees. */
static void the_usual_file_need_not_be_there (void **state)
{
	char *text = path;

	(void) state;
	if (geteuid () != 0 || unshare (CLONE_NEWNS) < 0)
		return;
	assert_return_code (mount ("none", "/", "none", MS_REC | MS_PRIVATE, NULL), errno);
	assert_return_code (mount ("tmpfs", SYSCONFDIR, "tmpfs", 0, "mode=0755"), errno);
	for (int i = 0; i < 2; i++) { /* without its directory, and without the file */
		assert_int_equal (vmc_config_read (NULL, &text, take, path, &err), 0);
		assert_null (text);
		assert_return_code (i == 0 ? mkdir (SYSCONFDIR "/vmcompact", 0755) : 0, errno);
	}
	put ("one=1\n");
	assert_return_code (symlink (path, VMC_CONFIG_FILE), errno);
	assert_int_equal (read_file (NULL), 0);
	assert_string_equal (taken, "<one=1>");
	put ("wrong=1\n");
	assert_int_equal (read_file (NULL), -1);
	assert_error (err, VMC_USAGE, VMC_CONFIG_FILE ", line 1: it is wrong");
	assert_return_code (umount2 (SYSCONFDIR, MNT_DETACH), errno);
}

static void what_is_no_text_is_refused (void **state)
{
	char fifo[80];

	(void) state;
	put_bytes ("one=1\0two=2\n", 12);
	assert_int_equal (read_file (path), -1);
	assert_error (err, VMC_USAGE, "as a text");
	assert_int_equal (read_file ("/tmp"), -1);
	assert_error (err, VMC_USAGE, "cannot read '/tmp' as a text");
	(void) snprintf (fifo, sizeof fifo, "%s.fifo", path);
	assert_return_code (mkfifo (fifo, 0600), errno); /* nobody would ever write to it */
	assert_int_equal (read_file (fifo), -1);
	assert_error (err, VMC_USAGE, "as a text");
	assert_return_code (unlink (fifo), errno);
}

static void a_file_has_a_limit (void **state)
{
	static char text[65537];

	(void) state;
	memset (text, ' ', sizeof text);
	memcpy (text, "one=1\n", 6);
	put_bytes (text, 65536);
	assert_int_equal (read_file (path), 0);
	assert_string_equal (taken, "<one=1>");
	put_bytes (text, 65537);
	assert_int_equal (read_file (path), -1);
}

static void a_key_of_any_length_is_told (void **state)
{
	static char text[60000];

	(void) state;
	memset (text, 'k', sizeof text);
	put_bytes (text, sizeof text);
	assert_int_equal (read_file (path), -1);
	assert_error (err, VMC_USAGE, "line 1: 'kkkk");
}

/* --- options ------------------------------------------------------------------------------------ */

/* Parse LINE, words with spaces between them, with the file. The words live until the next call. */
static int parse (const char *text, const char *line)
{
	static char copy[4096], config[80], *argv[WORDS_MAX];
	int argc = 2;
	char *save = NULL;

	put (text);
	vmc_options_clear (&options);
	(void) snprintf (config, sizeof config, "--config=%s", path);
	(void) snprintf (copy, sizeof copy, "%s", line);
	argv[0] = (char *) "vmcompact";
	argv[1] = config;
	for (char *word = strtok_r (copy, " ", &save); word != NULL; word = strtok_r (NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	return vmc_options_parse (argc, argv, &options, &err);
}

static void parse_well (const char *text, const char *line)
{
	if (parse (text, line) < 0)
		fail_msg ("'%s' with '%s': %s", line, text, err.text);
}

/* REASON comes with the file and the line NUMBER. */
static void assert_wrong (const char *text, unsigned number, const char *reason)
{
	char wanted[VMC_TEXT_SIZE];

	if (parse (text, "vm1") == 0)
		fail_msg ("this was taken: '%s'", text);
	(void) snprintf (wanted, sizeof wanted, "%s, line %u: %s", path, number, reason);
	assert_error (err, VMC_USAGE, wanted);
	assert_null (options.config_text);
}

static void every_key_counts (void **state)
{
	(void) state;
	parse_well ("connect = qemu:///x\nmethod = commit\ntimeout = 90\nfreeze-timeout = 2.5\noverlay-dir = /fast "
		    "disk\n"
		    "bandwidth = 10\nmin-reclaim = 500M\nrunning = yes\ninactive = yes\nexclude = db-*\nexclude = tmp\n"
		    "until = 05:30\njobs = 3\nlock-wait = 7\nmetrics-dir = /metrics\non-failure = mail -s 'a=b' root\n",
		    "--all");
	assert_string_equal (options.uri, "qemu:///x");
	assert_int_equal (options.method, VMC_METHOD_COMMIT);
	assert_int_equal (options.timeout_ms, 90000);
	assert_int_equal (options.freeze_timeout_ms, 2500);
	assert_string_equal (options.overlay_dir, "/fast disk");
	assert_int_equal (options.wish.bandwidth_bytes_per_s, 10 * MIB);
	assert_int_equal (options.min_reclaim_bytes, 500 * MIB);
	assert_true (options.running && options.inactive);
	assert_int_equal (options.exclude_count, 2);
	assert_string_equal (options.excludes[0], "db-*");
	assert_string_equal (options.excludes[1], "tmp");
	assert_int_equal (options.until_minutes, 5 * 60 + 30);
	assert_int_equal (options.jobs, 3);
	assert_int_equal (options.lock_wait_ms, 7000);
	assert_string_equal (options.metrics_dir, "/metrics");
	assert_string_equal (options.on_failure, "mail -s 'a=b' root");
}

static void the_command_line_has_the_last_word (void **state)
{
	(void) state;
	parse_well ("connect = qemu:///x\nmethod = commit\ntimeout = 90\nfreeze-timeout = 2.5\noverlay-dir = /fast\n"
		    "bandwidth = 10\nmin-reclaim = 500M\nuntil = 05:30\njobs = 3\nlock-wait = 7\nmetrics-dir = "
		    "/metrics\n"
		    "on-failure = mail\n",
		    "-c qemu:///y --method=trim --timeout=1 --freeze-timeout=2 --overlay-dir=/slow --bandwidth=3 "
		    "--min-reclaim=0 --until=6:00 --jobs=4 --lock-wait=0 --metrics-dir=/m --on-failure=say --all");
	assert_string_equal (options.uri, "qemu:///y");
	assert_int_equal (options.method, VMC_METHOD_TRIM);
	assert_int_equal (options.timeout_ms, 1000);
	assert_int_equal (options.freeze_timeout_ms, 2000);
	assert_string_equal (options.overlay_dir, "/slow");
	assert_int_equal (options.wish.bandwidth_bytes_per_s, 3 * MIB);
	assert_int_equal (options.min_reclaim_bytes, 0);
	assert_int_equal (options.until_minutes, 360);
	assert_int_equal (options.jobs, 4);
	assert_int_equal (options.lock_wait_ms, 0);
	assert_string_equal (options.metrics_dir, "/m");
	assert_string_equal (options.on_failure, "say");
}

static void patterns_of_both_add_up (void **state)
{
	char text[2000] = "";

	(void) state;
	parse_well ("exclude = a\nexclude = b *\n", "--all --exclude=c");
	assert_int_equal (options.exclude_count, 3);
	assert_string_equal (options.excludes[0], "a");
	assert_string_equal (options.excludes[1], "b *");
	assert_string_equal (options.excludes[2], "c");
	for (int i = 0; i < VMC_OPTION_EXCLUDES_MAX; i++)
		strcat (text, "exclude = a\n");
	parse_well (text, "--all");
	assert_int_equal (options.exclude_count, VMC_OPTION_EXCLUDES_MAX);
	assert_int_equal (parse (text, "--all --exclude=b"), -1);
	assert_error (err, VMC_USAGE, "--exclude can be given at most 64 times");
	strcat (text, "exclude = a\n");
	assert_wrong (text, VMC_OPTION_EXCLUDES_MAX + 1, "--exclude can be given at most 64 times");
}

static void no_is_as_if_it_were_not_there (void **state)
{
	(void) state;
	parse_well ("running = no\ninactive = no\n", "--all");
	assert_true (options.running);
	assert_false (options.inactive);
	parse_well ("inactive = yes\n", "--all");
	assert_false (options.running);
	assert_true (options.inactive);
	assert_wrong ("\nrunning = maybe\n", 2, "running is yes or no, not 'maybe'");
	assert_wrong ("inactive = 1", 1, "inactive is yes or no, not '1'");
}

/* One that the file has for every run does not forbid what another method does. */
static void the_method_of_the_file_gives_way (void **state)
{
	static const struct {
		const char *text, *line;
		enum vmc_method_choice method;
	} cases[] = {
		{"method = commit", "vm1", VMC_METHOD_COMMIT},
		{"method = trim", "vm1", VMC_METHOD_TRIM},
		{"method = convert", "--all", VMC_METHOD_CONVERT},
		{"method = commit", "--method=auto vm1", VMC_METHOD_AUTO},
		{"method = commit", "--compress vm1", VMC_METHOD_CONVERT},
		{"method = trim", "--format=raw vm1", VMC_METHOD_CONVERT},
		{"method = trim", "--keep-old vm1", VMC_METHOD_CONVERT},
		{"method = commit", "--cluster-size=64K vm1", VMC_METHOD_CONVERT},
		{"method = trim", "--zero vm1", VMC_METHOD_AUTO},
		{"method = commit", "--zero vm1", VMC_METHOD_AUTO},
		{"method = trim", "--image=/i", VMC_METHOD_AUTO},
		{"method = commit", "--image=/i", VMC_METHOD_COMMIT},
		{"method = convert", "--image=/i", VMC_METHOD_CONVERT},
		{"method = commit", "--image=/i --output=/o", VMC_METHOD_CONVERT},
		{"method = trim", "--image=/i --output=/o", VMC_METHOD_CONVERT},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		parse_well (cases[i].text, cases[i].line);
		if (options.method != cases[i].method)
			fail_msg ("'%s' with '%s': %s", cases[i].line, cases[i].text,
				  vmc_method_choice_name (options.method));
	}
	assert_int_equal (parse ("method = convert", "--method=commit --compress vm1"), -1);
	assert_int_equal (parse ("method = commit", "--method=trim --image=/i"), -1);
}

/* Which domains a night has says nothing about a run on one of them. */
static void what_is_for_all_is_no_harm_to_others (void **state)
{
	static const char *const lines[] = {"vm1",      "--recover",    "--image=/i",
					    "--status", "--doctor vm1", "--setup vm1"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (lines); i++)
		parse_well ("running = yes\ninactive = yes\nexclude = a\nuntil = 5:00\njobs = 2\n", lines[i]);
}

static void how_much_is_worth_it (void **state)
{
	static const struct {
		const char *text, *line;
		uint64_t bytes;
	} cases[] = {
		{"", "vm1", 0},
		{"", "--all", 64 * MIB},
		{"", "--all --min-reclaim=0", 0},
		{"", "--min-reclaim=1G vm1", 1024 * MIB},
		{"min-reclaim = 5M", "vm1", 5 * MIB},
		{"min-reclaim = 5M", "--all", 5 * MIB},
		{"min-reclaim = 0", "--all", 0},
		{"min-reclaim = 5M", "--all --min-reclaim=6M", 6 * MIB},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		parse_well (cases[i].text, cases[i].line);
		if (options.min_reclaim_bytes != cases[i].bytes)
			fail_msg ("'%s' with '%s': %llu", cases[i].line, cases[i].text,
				  (unsigned long long) options.min_reclaim_bytes);
	}
}

static void the_wait_for_the_lock_is_that_of_the_file (void **state)
{
	(void) state;
	parse_well ("lock-wait = 3", "vm1");
	assert_int_equal (options.lock_wait_ms, 3000);
	parse_well ("lock-wait = 3", "--recover");
	assert_int_equal (options.lock_wait_ms, 3000);
	parse_well ("", "--recover");
	assert_int_equal (options.lock_wait_ms, 10000);
}

static void what_is_no_key_is_refused (void **state)
{
	static const char *const words[] =
		{"shrink",       "disk",     "dry-run",  "json",    "quiet",  "verbose", "progress", "format",
		 "cluster-size", "compress", "keep-old", "zero",    "image",  "output",  "recover",  "all",
		 "status",       "doctor",   "setup",    "discard", "config", "help",    "version",  "meth",
		 "METHOD",       "--method", "c",        "n",       ""};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (words); i++) {
		char text[100], reason[100];

		(void) snprintf (text, sizeof text, "# these\n%s = yes\n", words[i]);
		(void) snprintf (reason, sizeof reason, "there is no key '%s'; see vmcompact.conf(5)", words[i]);
		assert_wrong (text, 2, reason);
	}
}

static void what_is_no_value_is_refused (void **state)
{
	static const struct {
		const char *text, *reason;
	} cases[] = {
		{"connect =", "'connect' has no value"},
		{"on-failure = \t", "'on-failure' has no value"},
		{"running =", "'running' has no value"},
		{"method = shrink", "--method cannot be 'shrink'"},
		{"timeout = 5s", "--timeout needs a number of seconds"},
		{"timeout = 0", "--timeout needs a number of seconds"},
		{"freeze-timeout = 61", "--freeze-timeout needs a number of seconds"},
		{"overlay-dir = fast", "--overlay-dir needs an absolute path, not 'fast'"},
		{"metrics-dir = m", "--metrics-dir needs an absolute path, not 'm'"},
		{"bandwidth = 0", "--bandwidth needs a number of MiB a second"},
		{"min-reclaim = 1X", "--min-reclaim needs a number of bytes"},
		{"until = 24:00", "--until needs a time of the day"},
		{"jobs = 0", "--jobs needs a number of domains from 1 to 64"},
		{"jobs = 65", "--jobs needs a number of domains from 1 to 64"},
		{"lock-wait = 86401", "--lock-wait needs a number of seconds"},
		{"method", "'method' is not 'key = value'"},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++)
		assert_wrong (cases[i].text, 1, cases[i].reason);
}

/* Nobody shall be left without help because the file is wrong. */
static void help_is_given_whatever_the_file_says (void **state)
{
	(void) state;
	parse_well ("nonsense", "--help");
	assert_true (options.help);
	assert_false (options.version);
	parse_well ("nonsense", "-V");
	assert_true (options.version);
	assert_false (options.help);
	parse_well ("", "vm1");
	assert_false (options.help);
}

static void the_last_file_that_is_named_is_read (void **state)
{
	(void) state;
	parse_well ("nonsense", "--config=/dev/null vm1");
	assert_int_equal (options.domain_count, 1);
	assert_int_equal (parse ("", "--config=/nowhere/conf vm1"), -1);
	assert_error (err, VMC_USAGE, "cannot open '/nowhere/conf'");
	assert_int_equal (parse ("", "vm1 --config"), -1);
	assert_error (err, VMC_USAGE, "the option '--config' needs a value");
}

/* The arguments are gone through twice, and put in order by that. */
static void domains_behind_dashes_stay_domains (void **state)
{
	(void) state;
	parse_well ("method = trim", "vm1 --json vm2 -- -n --config=/nowhere");
	assert_int_equal (options.domain_count, 4);
	assert_string_equal (options.domains[0], "vm1");
	assert_string_equal (options.domains[1], "vm2");
	assert_string_equal (options.domains[2], "-n");
	assert_string_equal (options.domains[3], "--config=/nowhere");
	assert_true (options.json);
	assert_false (options.dry_run);
}

/* After the file was read. */
static void a_wrong_command_line_leaves_nothing (void **state)
{
	(void) state;
	assert_int_equal (parse ("connect = qemu:///x", "--method=shrink vm1"), -1);
	assert_null (options.config_text);
	assert_int_equal (parse ("connect = qemu:///x", ""), -1);
	assert_error (err, VMC_USAGE, "at least one domain");
	assert_null (options.config_text);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown (name, make_file, remove_file)

static const struct CMUnitTest tests[] = {
	FILE_TEST (a_line_has_a_key_and_a_value),
	FILE_TEST (space_around_words_is_nothing),
	FILE_TEST (a_comment_is_a_whole_line),
	FILE_TEST (the_first_sign_divides),
	FILE_TEST (what_is_no_line_is_told_with_its_place),
	FILE_TEST (what_is_not_taken_is_told_with_its_place),
	FILE_TEST (a_file_that_others_can_write_is_refused),
	FILE_TEST (a_file_of_somebody_else_is_refused),
	FILE_TEST (a_symlink_is_what_it_leads_to),
	FILE_TEST (dev_null_is_no_configuration),
	FILE_TEST (a_file_that_is_named_must_be_there),
	FILE_TEST (the_usual_file_need_not_be_there),
	FILE_TEST (what_is_no_text_is_refused),
	FILE_TEST (a_file_has_a_limit),
	FILE_TEST (a_key_of_any_length_is_told),
	FILE_TEST (every_key_counts),
	FILE_TEST (the_command_line_has_the_last_word),
	FILE_TEST (patterns_of_both_add_up),
	FILE_TEST (no_is_as_if_it_were_not_there),
	FILE_TEST (the_method_of_the_file_gives_way),
	FILE_TEST (what_is_for_all_is_no_harm_to_others),
	FILE_TEST (how_much_is_worth_it),
	FILE_TEST (the_wait_for_the_lock_is_that_of_the_file),
	FILE_TEST (what_is_no_key_is_refused),
	FILE_TEST (what_is_no_value_is_refused),
	FILE_TEST (help_is_given_whatever_the_file_says),
	FILE_TEST (the_last_file_that_is_named_is_read),
	FILE_TEST (domains_behind_dashes_stay_domains),
	FILE_TEST (a_wrong_command_line_leaves_nothing),
};

UNIT_MAIN (tests)
