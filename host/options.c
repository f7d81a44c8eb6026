/* options.c - see options.h */
#include "options.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "config.h"
#include "values.h"

#define FREEZE_DEFAULT_MS 5000
#define MIN_S 0.001 /* the numbers are kept in milliseconds, and 0 means something else */
#define LOCK_WAIT_MAX_S 86400.0
#define RECOVER_LOCK_WAIT_MS 10000 /* the run that was killed may have a keeper that is still at it */
#define TIMEOUT_MAX_S 604800.0     /* a week */
#define CLUSTER_MIN_BYTES 512u
#define CLUSTER_MAX_BYTES (2u << 20)
#define BANDWIDTH_MAX_MIB (1u << 20)
#define JOBS_MAX 64
#define ALL_MIN_RECLAIM_BYTES (UINT64_C (64) << 20) /* with --all: for less no guest is frozen each night */

const char vmc_options_help[] =
	"Usage: vmcompact [-c URI] [OPTION...] DOMAIN...\n"
	"       vmcompact [-c URI] [OPTION...] --all | --recover [DOMAIN...] | --image FILE\n"
	"       vmcompact [-c URI] [OPTION...] --status [DOMAIN...] | --doctor DOMAIN... | --setup DOMAIN...\n"
	"Give the space that a guest does not use back to the host, while the guest runs.\n"
	"A DOMAIN is a name, a UUID or an id, as in virsh.\n"
	"\n"
	"  -c, --connect=URI        the hypervisor (default: LIBVIRT_DEFAULT_URI, as virsh)\n"
	"      --method=METHOD      auto (default), trim, commit or convert\n"
	"      --disk=TARGET        only this disk (vda); may be given several times\n"
	"  -n, --dry-run            say what would be done and why; change nothing\n"
	"      --json               one line of JSON for each domain\n"
	"  -q, --quiet              print nothing but errors\n"
	"  -v, --verbose            print each step, and the table even when not on a terminal\n"
	"      --progress=WHEN      auto (default: on a terminal), always or never\n"
	"      --timeout=SECONDS    give way after this time on a domain, and bring it back\n"
	"      --freeze-timeout=SECONDS\n"
	"                           the guest thaws by itself after this time (default 5)\n"
	"      --overlay-dir=DIR    where the overlay lies during a commit (default: beside the image)\n"
	"      --format=FORMAT      convert: make the image qcow2 or raw (default: as it is)\n"
	"      --cluster-size=SIZE  convert: clusters of a qcow2, as 64K or 2M (default: as they are)\n"
	"      --compress           convert: compress the clusters of a qcow2\n"
	"      --keep-old           convert: keep the image as it was before, as FILE.vmcompact-old\n"
	"      --zero               the guest fills what is free with zeros first, safely: for filesystems that\n"
	"                           nobody can map; then convert, or nothing more with discard='unmap'\n"
	"      --bandwidth=MIB      copy no more than so many MiB a second\n"
	"      --min-reclaim=SIZE   leave a disk alone that has less to give back, as 500M (default 0; with --all "
	"64M)\n"
	"      --all                all domains that run, the one with most to give back first\n"
	"      --running, --inactive\n"
	"                           with --all: those that run (default), those that are off, or with both all\n"
	"      --exclude=PATTERN    with --all: not the domains of this name, as 'db-*'; may be given several times\n"
	"      --until=HH:MM        with --all: begin nothing that will not have ended by then\n"
	"      --jobs=N             with --all: at most so many domains at a time (default 1)\n"
	"      --status             what each disk takes and could give back, and how the last run went\n"
	"      --doctor             what keeps a domain's disks from being compacted, and how to mend it\n"
	"      --setup              give the domain the channel for the agent, also while it runs\n"
	"      --discard            with --setup: set discard='unmap' on its disks, from its next start on\n"
	"      --image=FILE         an image that belongs to no domain, as a template or a backup\n"
	"      --output=FILE        with --image: write a compact copy, leave the image alone\n"
	"      --recover            only bring home what a run that was killed has left; without a DOMAIN, everywhere\n"
	"      --lock-wait=SECONDS  wait for another run on the domain (default 0; with --recover 10)\n"
	"      --config=FILE        read this in place of " VMC_CONFIG_FILE "\n"
	"      --metrics-dir=DIR    write DIR/vmcompact.prom for Prometheus after each run\n"
	"      --on-failure=COMMAND run this by the shell for each domain that failed\n"
	"  -h, --help               print this text and exit\n"
	"  -V, --version            print the version and exit\n"
	"\n"
	"Exit status: 0 done or nothing to do, 1 failed and the domain is as it was, 2 wrong usage,\n"
	"3 refused, 4 the guest trimmed but the host got nothing back, 5 the domain is not home yet, 6 busy.\n"
	"See vmcompact(8).\n";

static const char *const method_names[] = {"auto", "trim", "commit", "convert"};
static const char *const format_names[] = {"qcow2", "raw"};

const char *vmc_method_choice_name (enum vmc_method_choice method)
{
	return method_names[method];
}

enum {
	OPT_METHOD = 256,
	OPT_DISK,
	OPT_JSON,
	OPT_PROGRESS,
	OPT_TIMEOUT,
	OPT_FREEZE_TIMEOUT,
	OPT_OVERLAY_DIR,
	OPT_FORMAT,
	OPT_CLUSTER_SIZE,
	OPT_COMPRESS,
	OPT_KEEP_OLD,
	OPT_ZERO,
	OPT_BANDWIDTH,
	OPT_MIN_RECLAIM,
	OPT_IMAGE,
	OPT_OUTPUT,
	OPT_RECOVER,
	OPT_ALL,
	OPT_RUNNING,
	OPT_INACTIVE,
	OPT_EXCLUDE,
	OPT_UNTIL,
	OPT_JOBS,
	OPT_STATUS,
	OPT_DOCTOR,
	OPT_SETUP,
	OPT_DISCARD,
	OPT_LOCK_WAIT,
	OPT_CONFIG,
	OPT_METRICS_DIR,
	OPT_ON_FAILURE
};

static const struct option long_options[] = {
	{"connect", required_argument, NULL, 'c'},
	{"method", required_argument, NULL, OPT_METHOD},
	{"disk", required_argument, NULL, OPT_DISK},
	{"dry-run", no_argument, NULL, 'n'},
	{"json", no_argument, NULL, OPT_JSON},
	{"quiet", no_argument, NULL, 'q'},
	{"verbose", no_argument, NULL, 'v'},
	{"progress", required_argument, NULL, OPT_PROGRESS},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"freeze-timeout", required_argument, NULL, OPT_FREEZE_TIMEOUT},
	{"overlay-dir", required_argument, NULL, OPT_OVERLAY_DIR},
	{"format", required_argument, NULL, OPT_FORMAT},
	{"cluster-size", required_argument, NULL, OPT_CLUSTER_SIZE},
	{"compress", no_argument, NULL, OPT_COMPRESS},
	{"keep-old", no_argument, NULL, OPT_KEEP_OLD},
	{"zero", no_argument, NULL, OPT_ZERO},
	{"bandwidth", required_argument, NULL, OPT_BANDWIDTH},
	{"min-reclaim", required_argument, NULL, OPT_MIN_RECLAIM},
	{"image", required_argument, NULL, OPT_IMAGE},
	{"output", required_argument, NULL, OPT_OUTPUT},
	{"recover", no_argument, NULL, OPT_RECOVER},
	{"all", no_argument, NULL, OPT_ALL},
	{"running", no_argument, NULL, OPT_RUNNING},
	{"inactive", no_argument, NULL, OPT_INACTIVE},
	{"exclude", required_argument, NULL, OPT_EXCLUDE},
	{"until", required_argument, NULL, OPT_UNTIL},
	{"jobs", required_argument, NULL, OPT_JOBS},
	{"status", no_argument, NULL, OPT_STATUS},
	{"doctor", no_argument, NULL, OPT_DOCTOR},
	{"setup", no_argument, NULL, OPT_SETUP},
	{"discard", no_argument, NULL, OPT_DISCARD},
	{"lock-wait", required_argument, NULL, OPT_LOCK_WAIT},
	{"config", required_argument, NULL, OPT_CONFIG},
	{"metrics-dir", required_argument, NULL, OPT_METRICS_DIR},
	{"on-failure", required_argument, NULL, OPT_ON_FAILURE},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

/* What may stand in the configuration file: how a run is made, not on what. */
static const int keys[] = {'c',           OPT_METHOD,      OPT_TIMEOUT,   OPT_FREEZE_TIMEOUT, OPT_OVERLAY_DIR,
			   OPT_BANDWIDTH, OPT_MIN_RECLAIM, OPT_RUNNING,   OPT_INACTIVE,       OPT_EXCLUDE,
			   OPT_UNTIL,     OPT_JOBS,        OPT_LOCK_WAIT, OPT_METRICS_DIR,    OPT_ON_FAILURE};
#define N_KEYS (sizeof keys / sizeof keys[0])

/* --- one option ------------------------------------------------------------------------------- */

/* What has been read so far. */
struct parse {
	struct vmc_options *options;
	char **argv;
	const char *config;   /* a file that was named; NULL: the usual one */
	bool method, for_all; /* the command line itself has chosen a method; has an option that only --all knows */
	bool min_reclaim;     /* somebody has said how much */
	bool recover;         /* this is to be done, even if the file makes no sense */
};

/* Add TEXT to the LIST of COUNT; there may be MAX. */
static int add_text (const char *option, const char **list, size_t *count, size_t max, const char *text,
		     struct vmc_error *err)
{
	if (*count == max)
		return vmc_fail (err, VMC_USAGE, 0, "%s can be given at most %zu times", option, max);
	list[(*count)++] = text;
	return 0;
}

static int take_method (struct parse *parse, const char *word, struct vmc_error *err)
{
	int method = vmc_value_choice ("--method", word, method_names, 4, err);

	if (method >= 0)
		parse->options->method = (enum vmc_method_choice) method;
	parse->method = true;
	return method < 0 ? -1 : 0;
}

static int take_progress (struct vmc_options *options, const char *word, struct vmc_error *err)
{
	static const char *const names[] = {"auto", "always", "never"};
	int when = vmc_value_choice ("--progress", word, names, 3, err);

	if (when >= 0)
		options->progress = when;
	return when < 0 ? -1 : 0;
}

static int take_ms (const char *option, const char *word, double min_s, double max_s, unsigned *into,
		    struct vmc_error *err)
{
	uint64_t ms;

	if (vmc_value_seconds (option, word, min_s, max_s, &ms, err) < 0)
		return -1;
	*into = (unsigned) ms;
	return 0;
}

static int take_format (struct vmc_options *options, const char *word, struct vmc_error *err)
{
	int format = vmc_value_choice ("--format", word, format_names, 2, err);

	if (format >= 0)
		options->wish.format = format_names[format];
	return format < 0 ? -1 : 0;
}

/* A power of two from 512 bytes to 2 MiB: what qcow2 allows. */
static int take_cluster_size (struct vmc_options *options, const char *word, struct vmc_error *err)
{
	uint64_t bytes = 0;

	if (vmc_value_bytes ("--cluster-size", word, &bytes, err) < 0 || bytes < CLUSTER_MIN_BYTES ||
	    bytes > CLUSTER_MAX_BYTES || (bytes & (bytes - 1)) != 0)
		return vmc_fail (err, VMC_USAGE, 0, "--cluster-size needs a power of two from 512 to 2M, not '%.40s'",
				 word);
	options->wish.cluster_bytes = bytes;
	return 0;
}

static int take_bandwidth (struct vmc_options *options, const char *word, struct vmc_error *err)
{
	uint64_t mib;

	if (vmc_value_number ("--bandwidth", word, "MiB a second", 1, BANDWIDTH_MAX_MIB, &mib, err) < 0)
		return -1;
	options->wish.bandwidth_bytes_per_s = mib << 20;
	return 0;
}

static int take_jobs (struct vmc_options *options, const char *word, struct vmc_error *err)
{
	uint64_t jobs;

	if (vmc_value_number ("--jobs", word, "domains from 1 to 64", 1, JOBS_MAX, &jobs, err) < 0)
		return -1;
	options->jobs = (unsigned) jobs;
	return 0;
}

static int take_action (struct vmc_options *options, enum vmc_action action, struct vmc_error *err)
{
	if (options->action != VMC_ACTION_RUN && options->action != action)
		return vmc_fail (err, VMC_USAGE, 0,
				 "--all, --recover, --status, --doctor, --setup and --image do not go together");
	options->action = action;
	return 0;
}

static int take_command (struct vmc_options *options, const char *word, struct vmc_error *err)
{
	options->on_failure = word[0] ? word : NULL;
	return word[0] ? 0 : vmc_fail (err, VMC_USAGE, 0, "--on-failure needs a command");
}

/* A short option may stand among others in one word: getopt names it in optopt. */
static int fail_option (const struct parse *parse, bool known, struct vmc_error *err)
{
	char name[64];

	if (optopt > ' ' && optopt < 0x7F)
		(void) snprintf (name, sizeof name, "-%c", optopt);
	else
		(void) snprintf (name, sizeof name, "%.60s", parse->argv[optind - 1]);
	return vmc_fail (err, VMC_USAGE, 0,
			 known ? "the option '%s' needs a value; see vmcompact --help"
			       : "there is no option '%s'; see vmcompact --help",
			 name);
}

/* Those that choose domains for --all, and in what order and when they are compacted. */
static int take_for_all (struct parse *parse, int option, const char *value, struct vmc_error *err)
{
	struct vmc_options *options = parse->options;

	parse->for_all = true;
	switch (option) {
	case OPT_RUNNING:
		options->running = true;
		return 0;
	case OPT_INACTIVE:
		options->inactive = true;
		return 0;
	case OPT_EXCLUDE:
		return add_text ("--exclude", options->excludes, &options->exclude_count, VMC_OPTION_EXCLUDES_MAX,
				 value, err);
	case OPT_UNTIL:
		return vmc_value_time ("--until", value, &options->until_minutes, err);
	default:
		return take_jobs (options, value, err);
	}
}

static int take_option (struct parse *parse, int option, const char *value, struct vmc_error *err)
{
	struct vmc_options *options = parse->options;

	switch (option) {
	case 'c':
		options->uri = value;
		return 0;
	case OPT_METHOD:
		return take_method (parse, value, err);
	case OPT_DISK:
		return add_text ("--disk", options->disks, &options->disk_count, VMC_OPTION_DISKS_MAX, value, err);
	case 'n':
		options->dry_run = true;
		return 0;
	case OPT_JSON:
		options->json = true;
		return 0;
	case 'q':
		options->quiet = true;
		return 0;
	case 'v':
		options->verbose = true;
		return 0;
	case OPT_PROGRESS:
		return take_progress (options, value, err);
	case OPT_TIMEOUT:
		return vmc_value_seconds ("--timeout", value, MIN_S, TIMEOUT_MAX_S, &options->timeout_ms, err);
	case OPT_FREEZE_TIMEOUT:
		return take_ms ("--freeze-timeout", value, MIN_S, VMC_FREEZE_MAX_MS / 1000, &options->freeze_timeout_ms,
				err);
	case OPT_OVERLAY_DIR:
		return vmc_value_path ("--overlay-dir", value, &options->overlay_dir, err);
	case OPT_FORMAT:
		return take_format (options, value, err);
	case OPT_CLUSTER_SIZE:
		return take_cluster_size (options, value, err);
	case OPT_COMPRESS:
		options->wish.compress = true;
		return 0;
	case OPT_KEEP_OLD:
		options->keep_old = true;
		return 0;
	case OPT_ZERO:
		options->zero = true;
		return 0;
	case OPT_BANDWIDTH:
		return take_bandwidth (options, value, err);
	case OPT_MIN_RECLAIM:
		parse->min_reclaim = true;
		return vmc_value_bytes ("--min-reclaim", value, &options->min_reclaim_bytes, err);
	case OPT_IMAGE:
		options->image = value;
		return take_action (options, VMC_ACTION_IMAGE, err);
	case OPT_OUTPUT:
		options->output = value;
		return 0;
	case OPT_RECOVER:
		return take_action (options, VMC_ACTION_RECOVER, err);
	case OPT_ALL:
		return take_action (options, VMC_ACTION_ALL, err);
	case OPT_RUNNING:
	case OPT_INACTIVE:
	case OPT_EXCLUDE:
	case OPT_UNTIL:
	case OPT_JOBS:
		return take_for_all (parse, option, value, err);
	case OPT_STATUS:
		return take_action (options, VMC_ACTION_STATUS, err);
	case OPT_DOCTOR:
		return take_action (options, VMC_ACTION_DOCTOR, err);
	case OPT_SETUP:
		return take_action (options, VMC_ACTION_SETUP, err);
	case OPT_DISCARD:
		options->discard = true;
		return 0;
	case OPT_LOCK_WAIT:
		return take_ms ("--lock-wait", value, 0, LOCK_WAIT_MAX_S, &options->lock_wait_ms, err);
	case OPT_CONFIG:
		parse->config = value;
		return 0;
	case OPT_METRICS_DIR:
		return vmc_value_path ("--metrics-dir", value, &options->metrics_dir, err);
	case OPT_ON_FAILURE:
		return take_command (options, value, err);
	case 'h':
		options->help = true;
		return 0;
	case 'V':
		options->version = true;
		return 0;
	default:
		return fail_option (parse, option == ':', err);
	}
}

/* --- the configuration file ------------------------------------------------------------------- */

static int find_key (const char *key)
{
	for (size_t i = 0; long_options[i].name != NULL; i++)
		for (size_t j = 0; j < N_KEYS; j++)
			if (strcmp (long_options[i].name, key) == 0 && long_options[i].val == keys[j])
				return (int) i;
	return -1;
}

static int take_key (void *opaque, const char *key, const char *value, struct vmc_error *err)
{
	struct parse *parse = opaque;
	int place = find_key (key);
	bool wanted = true;

	if (place < 0)
		return vmc_fail (err, VMC_USAGE, 0, "there is no key '%.40s'; see vmcompact.conf(5)", key);
	if (*value == 0)
		return vmc_fail (err, VMC_USAGE, 0, "'%.40s' has no value", key);
	if (long_options[place].has_arg == no_argument && vmc_value_yes_no (key, value, &wanted, err) < 0)
		return -1;
	return wanted ? take_option (parse, long_options[place].val, value, err) : 0;
}

/* --- all together ----------------------------------------------------------------------------- */

static bool wishes_image (const struct vmc_options *options)
{
	return options->wish.format != NULL || options->wish.cluster_bytes != 0 || options->wish.compress ||
	       options->keep_old;
}

/* What a rewrite or a new file is asked for with, and which method that takes. */
static int check_convert (struct vmc_options *options, struct vmc_error *err)
{
	if (options->output != NULL && options->action != VMC_ACTION_IMAGE)
		return vmc_fail (err, VMC_USAGE, 0, "--output goes with --image only");
	if (options->output != NULL && options->keep_old)
		return vmc_fail (err, VMC_USAGE, 0,
				 "--output leaves the image alone, so there is nothing to --keep-old");
	if ((wishes_image (options) || options->output != NULL) && options->method == VMC_METHOD_AUTO)
		options->method = VMC_METHOD_CONVERT;
	if ((wishes_image (options) || options->output != NULL) && options->method != VMC_METHOD_CONVERT)
		return vmc_fail (err, VMC_USAGE, 0,
				 "--format, --cluster-size, --compress, --keep-old and --output need --method=convert");
	if (options->wish.format != NULL && strcmp (options->wish.format, "raw") == 0 &&
	    (options->wish.compress || options->wish.cluster_bytes != 0))
		return vmc_fail (err, VMC_USAGE, 0, "a raw image has no clusters to choose or to compress");
	return 0;
}

static int check_zero (const struct vmc_options *options, struct vmc_error *err)
{
	if (!options->zero)
		return 0;
	if (options->action == VMC_ACTION_RECOVER || options->action == VMC_ACTION_IMAGE)
		return vmc_fail (err, VMC_USAGE, 0, "--zero needs a running domain, not --image or --recover");
	if (options->method == VMC_METHOD_TRIM || options->method == VMC_METHOD_COMMIT)
		return vmc_fail (err, VMC_USAGE, 0, "--zero goes with --method=auto or --method=convert");
	return 0;
}

/* On which domains, or on what else. */
static int check_objects (const struct parse *parse, struct vmc_error *err)
{
	const struct vmc_options *options = parse->options;
	bool named = options->domain_count > 0;

	if (options->action == VMC_ACTION_IMAGE && (named || options->disk_count > 0))
		return vmc_fail (err, VMC_USAGE, 0, "--image takes no domain and no --disk");
	if (options->action == VMC_ACTION_ALL && (named || options->disk_count > 0))
		return vmc_fail (err, VMC_USAGE, 0,
				 "--all takes no domain and no --disk; --exclude leaves domains out");
	if (options->action != VMC_ACTION_ALL && parse->for_all)
		return vmc_fail (err, VMC_USAGE, 0,
				 "--running, --inactive, --exclude, --until and --jobs go with --all only");
	if (options->discard && options->action != VMC_ACTION_SETUP)
		return vmc_fail (err, VMC_USAGE, 0, "--discard goes with --setup only");
	if (!named && (options->action == VMC_ACTION_RUN || options->action == VMC_ACTION_DOCTOR ||
		       options->action == VMC_ACTION_SETUP))
		return vmc_fail (err, VMC_USAGE, 0, "name at least one domain; see vmcompact --help");
	return 0;
}

/* What is asked for together must make sense together. What a rewrite cannot do with the image at hand, the plan says. */
static int check_together (const struct parse *parse, struct vmc_error *err)
{
	struct vmc_options *options = parse->options;

	if (options->action == VMC_ACTION_RECOVER && options->dry_run)
		return vmc_fail (err, VMC_USAGE, 0, "--recover and --dry-run do not go together");
	if (check_convert (options, err) < 0 || check_objects (parse, err) < 0 || check_zero (options, err) < 0)
		return -1;
	if (options->action == VMC_ACTION_IMAGE && options->method == VMC_METHOD_TRIM)
		return vmc_fail (err, VMC_USAGE, 0, "a trim needs a running domain, not an --image");
	return 0;
}

/* Each option of the command line, in its order. */
static int each_option (struct parse *parse, int argc,
			int (*take) (struct parse *, int, const char *, struct vmc_error *), struct vmc_error *err)
{
	int option;

	opterr = 0;
	optind = 0; /* starts anew, also in a second call */
	while ((option = getopt_long (argc, parse->argv, ":c:nqvhV", long_options, NULL)) >= 0)
		if (take (parse, option, optarg, err) < 0)
			return -1;
	return 0;
}

/* Which file is it? That must be known before anything counts. */
static int note_config (struct parse *parse, int option, const char *value, struct vmc_error *err)
{
	if (option == '?' || option == ':')
		return fail_option (parse, option == ':', err);
	if (option == OPT_CONFIG)
		parse->config = value;
	if (option == OPT_RECOVER)
		parse->recover = true;
	if (option == 'h' || option == 'V')
		parse->options->help = true;
	return 0;
}

static void set_defaults (struct parse *parse)
{
	*parse->options = (struct vmc_options) {.freeze_timeout_ms = FREEZE_DEFAULT_MS,
						.lock_wait_ms = UINT_MAX,
						.jobs = 1,
						.until_minutes = -1,
						.domains = parse->argv};
}

/* First what the file says, then what the command line says. A help is given, and
 * domains are brought home, whatever the file looks like. */
static int read_config (struct parse *parse, int argc, struct vmc_error *err)
{
	if (each_option (parse, argc, note_config, err) < 0)
		return -1;
	if (parse->options->help)
		return 0;
	if (vmc_config_read (parse->config, &parse->options->config_text, take_key, parse, err) == 0)
		return 0;
	if (!parse->recover)
		return -1;
	vmc_options_clear (parse->options);
	set_defaults (parse);
	return 0;
}

/* What the command line has left open. The method of the file gives way to what another one is needed for. */
static void fill_in (const struct parse *parse, enum vmc_method_choice configured)
{
	struct vmc_options *options = parse->options;

	if (!parse->method && !wishes_image (options) && !options->zero &&
	    (options->action != VMC_ACTION_IMAGE || (configured != VMC_METHOD_TRIM && options->output == NULL)))
		options->method = configured;
	if (options->lock_wait_ms == UINT_MAX)
		options->lock_wait_ms = options->action == VMC_ACTION_RECOVER ? RECOVER_LOCK_WAIT_MS : 0;
	if (!parse->min_reclaim && options->action == VMC_ACTION_ALL)
		options->min_reclaim_bytes = ALL_MIN_RECLAIM_BYTES;
	options->running = options->running || !options->inactive;
}

static int parse_all (struct parse *parse, int argc, struct vmc_error *err)
{
	struct vmc_options *options = parse->options;
	enum vmc_method_choice configured;

	if (read_config (parse, argc, err) < 0)
		return -1;
	options->help = false;
	configured = options->method;
	options->method = VMC_METHOD_AUTO;
	parse->method = parse->for_all = false;
	if (each_option (parse, argc, take_option, err) < 0)
		return -1;
	options->domains = parse->argv + optind;
	options->domain_count = (size_t) (argc - optind);
	if (options->help || options->version)
		return 0;
	fill_in (parse, configured);
	return check_together (parse, err);
}

int vmc_options_parse (int argc, char **argv, struct vmc_options *options, struct vmc_error *err)
{
	struct parse parse = {.options = options, .argv = argv};

	set_defaults (&parse);
	if (parse_all (&parse, argc, err) == 0)
		return 0;
	vmc_options_clear (options);
	return -1;
}

void vmc_options_clear (struct vmc_options *options)
{
	free (options->config_text);
	options->config_text = NULL;
}
