/* options.c - see options.h */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"

#define FREEZE_DEFAULT_MS 5000
#define MIN_S 0.001 /* the numbers are kept in milliseconds, and 0 means something else */
#define LOCK_WAIT_MAX_S 86400.0
#define RECOVER_LOCK_WAIT_MS 10000 /* the run that was killed may have a keeper that is still at it */
#define TIMEOUT_MAX_S 604800.0     /* a week */
#define CLUSTER_MIN_BYTES 512u
#define CLUSTER_MAX_BYTES (2u << 20)
#define BANDWIDTH_MAX_MIB (1u << 20)

const char vmc_options_help[] =
	"Usage: vmcompact [-c URI] [OPTION...] DOMAIN...\n"
	"       vmcompact [-c URI] [OPTION...] --recover [DOMAIN...]\n"
	"       vmcompact [-c URI] [OPTION...] --image FILE\n"
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
	"      --image=FILE         an image that belongs to no domain, as a template or a backup\n"
	"      --output=FILE        with --image: write a compact copy, leave the image alone\n"
	"      --recover            only bring home what a run that was killed has left; without a DOMAIN, everywhere\n"
	"      --lock-wait=SECONDS  wait for another run on the domain (default 0; with --recover 10)\n"
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

/* The place of WORD among NAMES, or -1. */
static int choose (const char *option, const char *word, const char *const *names, int count, struct vmc_error *err)
{
	for (int i = 0; i < count; i++)
		if (strcmp (word, names[i]) == 0)
			return i;
	return vmc_fail (err, VMC_USAGE, 0, "%s cannot be '%.40s'; see vmcompact --help", option, word);
}

static int parse_seconds (const char *option, const char *word, double min_s, double max_s, uint64_t *ms,
			  struct vmc_error *err)
{
	char *end;
	double seconds;

	errno = 0;
	seconds = strtod (word, &end);
	if (end == word || *end != 0 || errno != 0 || !isfinite (seconds) || seconds < min_s || seconds > max_s)
		return vmc_fail (err, VMC_USAGE, 0, "%s needs a number of seconds up to %.0f, not '%.40s'", option,
				 max_s, word);
	*ms = (uint64_t) (seconds * 1000);
	return 0;
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
	OPT_IMAGE,
	OPT_OUTPUT,
	OPT_RECOVER,
	OPT_LOCK_WAIT
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
	{"image", required_argument, NULL, OPT_IMAGE},
	{"output", required_argument, NULL, OPT_OUTPUT},
	{"recover", no_argument, NULL, OPT_RECOVER},
	{"lock-wait", required_argument, NULL, OPT_LOCK_WAIT},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static int add_disk (struct vmc_options *options, const char *target, struct vmc_error *err)
{
	if (options->disk_count == VMC_OPTION_DISKS_MAX)
		return vmc_fail (err, VMC_USAGE, 0, "--disk can be given at most %d times", VMC_OPTION_DISKS_MAX);
	options->disks[options->disk_count++] = target;
	return 0;
}

static int take_method (struct vmc_options *options, const char *word, struct vmc_error *err)
{
	int method = choose ("--method", word, method_names, 4, err);

	if (method >= 0)
		options->method = (enum vmc_method_choice) method;
	return method < 0 ? -1 : 0;
}

static int take_progress (struct vmc_options *options, const char *word, struct vmc_error *err)
{
	static const char *const names[] = {"auto", "always", "never"};
	int when = choose ("--progress", word, names, 3, err);

	if (when >= 0)
		options->progress = when;
	return when < 0 ? -1 : 0;
}

static int take_ms (const char *option, const char *word, double min_s, double max_s, unsigned *into,
		    struct vmc_error *err)
{
	uint64_t ms;

	if (parse_seconds (option, word, min_s, max_s, &ms, err) < 0)
		return -1;
	*into = (unsigned) ms;
	return 0;
}

static int take_overlay_dir (struct vmc_options *options, const char *word, struct vmc_error *err)
{
	options->overlay_dir = word;
	return word[0] == '/' ? 0
			      : vmc_fail (err, VMC_USAGE, 0, "--overlay-dir needs an absolute path, not '%.40s'", word);
}

static int take_format (struct vmc_options *options, const char *word, struct vmc_error *err)
{
	int format = choose ("--format", word, format_names, 2, err);

	if (format >= 0)
		options->wish.format = format_names[format];
	return format < 0 ? -1 : 0;
}

/* A power of two from 512 bytes to 2 MiB: what qcow2 allows. */
static int take_cluster_size (struct vmc_options *options, const char *word, struct vmc_error *err)
{
	char *end;
	unsigned long bytes = strtoul (word, &end, 10);

	if (end != word && bytes <= CLUSTER_MAX_BYTES && (*end == 'K' || *end == 'k'))
		bytes <<= 10, end++;
	else if (end != word && bytes <= CLUSTER_MAX_BYTES && (*end == 'M' || *end == 'm'))
		bytes <<= 20, end++;
	if (end == word || *end != 0 || bytes < CLUSTER_MIN_BYTES || bytes > CLUSTER_MAX_BYTES ||
	    (bytes & (bytes - 1)) != 0)
		return vmc_fail (err, VMC_USAGE, 0, "--cluster-size needs a power of two from 512 to 2M, not '%.40s'",
				 word);
	options->wish.cluster_bytes = bytes;
	return 0;
}

static int take_bandwidth (struct vmc_options *options, const char *word, struct vmc_error *err)
{
	char *end;
	unsigned long long mib;

	errno = 0;
	mib = strtoull (word, &end, 10);
	if (end == word || *end != 0 || errno != 0 || word[0] == '-' || mib == 0 || mib > BANDWIDTH_MAX_MIB)
		return vmc_fail (err, VMC_USAGE, 0, "--bandwidth needs a number of MiB a second, not '%.40s'", word);
	options->wish.bandwidth_bytes_per_s = (uint64_t) mib << 20;
	return 0;
}

/* A short option may stand among others in one word: getopt names it in optopt. */
static int fail_option (const struct vmc_options *options, bool known, struct vmc_error *err)
{
	char name[64];

	if (optopt > ' ' && optopt < 0x7F)
		(void) snprintf (name, sizeof name, "-%c", optopt);
	else
		(void) snprintf (name, sizeof name, "%.60s", options->domains[optind - 1]);
	return vmc_fail (err, VMC_USAGE, 0,
			 known ? "the option '%s' needs a value; see vmcompact --help"
			       : "there is no option '%s'; see vmcompact --help",
			 name);
}

static int take_option (struct vmc_options *options, int option, struct vmc_error *err)
{
	switch (option) {
	case 'c':
		options->uri = optarg;
		return 0;
	case OPT_METHOD:
		return take_method (options, optarg, err);
	case OPT_DISK:
		return add_disk (options, optarg, err);
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
		return take_progress (options, optarg, err);
	case OPT_TIMEOUT:
		return parse_seconds ("--timeout", optarg, MIN_S, TIMEOUT_MAX_S, &options->timeout_ms, err);
	case OPT_FREEZE_TIMEOUT:
		return take_ms ("--freeze-timeout", optarg, MIN_S, VMC_FREEZE_MAX_MS / 1000,
				&options->freeze_timeout_ms, err);
	case OPT_OVERLAY_DIR:
		return take_overlay_dir (options, optarg, err);
	case OPT_FORMAT:
		return take_format (options, optarg, err);
	case OPT_CLUSTER_SIZE:
		return take_cluster_size (options, optarg, err);
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
		return take_bandwidth (options, optarg, err);
	case OPT_IMAGE:
		options->image = optarg;
		return 0;
	case OPT_OUTPUT:
		options->output = optarg;
		return 0;
	case OPT_RECOVER:
		options->recover = true;
		return 0;
	case OPT_LOCK_WAIT:
		return take_ms ("--lock-wait", optarg, 0, LOCK_WAIT_MAX_S, &options->lock_wait_ms, err);
	case 'h':
		options->help = true;
		return 0;
	case 'V':
		options->version = true;
		return 0;
	default:
		return fail_option (options, option == ':', err);
	}
}

static bool wishes_image (const struct vmc_options *options)
{
	return options->wish.format != NULL || options->wish.cluster_bytes != 0 || options->wish.compress ||
	       options->keep_old;
}

/* What is asked for together must make sense together. What a rewrite cannot do with the image at hand, the plan says. */
static int check_together (struct vmc_options *options, struct vmc_error *err)
{
	if (options->recover && options->dry_run)
		return vmc_fail (err, VMC_USAGE, 0, "--recover and --dry-run do not go together");
	if (options->image != NULL && (options->domain_count > 0 || options->recover || options->disk_count > 0))
		return vmc_fail (err, VMC_USAGE, 0, "--image takes no domain, no --disk and no --recover");
	if (options->output != NULL && options->image == NULL)
		return vmc_fail (err, VMC_USAGE, 0, "--output goes with --image only");
	if (options->output != NULL && options->keep_old)
		return vmc_fail (err, VMC_USAGE, 0,
				 "--output leaves the image alone, so there is nothing to --keep-old");
	if (options->output != NULL && options->method == VMC_METHOD_AUTO)
		options->method = VMC_METHOD_CONVERT;
	if (wishes_image (options) && options->method == VMC_METHOD_AUTO)
		options->method = VMC_METHOD_CONVERT;
	if ((wishes_image (options) || options->output != NULL) && options->method != VMC_METHOD_CONVERT)
		return vmc_fail (err, VMC_USAGE, 0,
				 "--format, --cluster-size, --compress, --keep-old and --output need --method=convert");
	if (options->wish.format != NULL && strcmp (options->wish.format, "raw") == 0 &&
	    (options->wish.compress || options->wish.cluster_bytes != 0))
		return vmc_fail (err, VMC_USAGE, 0, "a raw image has no clusters to choose or to compress");
	if (options->zero && (options->recover || options->image != NULL))
		return vmc_fail (err, VMC_USAGE, 0, "--zero needs a running domain, not --image or --recover");
	if (options->zero && (options->method == VMC_METHOD_TRIM || options->method == VMC_METHOD_COMMIT))
		return vmc_fail (err, VMC_USAGE, 0, "--zero goes with --method=auto or --method=convert");
	if (options->image != NULL && options->method == VMC_METHOD_TRIM)
		return vmc_fail (err, VMC_USAGE, 0, "a trim needs a running domain, not an --image");
	if (options->domain_count == 0 && !options->recover && options->image == NULL)
		return vmc_fail (err, VMC_USAGE, 0, "name at least one domain; see vmcompact --help");
	return 0;
}

int vmc_options_parse (int argc, char **argv, struct vmc_options *options, struct vmc_error *err)
{
	int option;

	*options = (struct vmc_options) {.freeze_timeout_ms = FREEZE_DEFAULT_MS,
					 .lock_wait_ms = UINT_MAX,
					 .domains = argv};
	opterr = 0;
	optind = 0; /* starts anew, also in a second call */
	while ((option = getopt_long (argc, argv, ":c:nqvhV", long_options, NULL)) >= 0)
		if (take_option (options, option, err) < 0)
			return -1;
	options->domains = argv + optind;
	options->domain_count = (size_t) (argc - optind);
	if (options->help || options->version)
		return 0;
	if (options->lock_wait_ms == UINT_MAX)
		options->lock_wait_ms = options->recover ? RECOVER_LOCK_WAIT_MS : 0;
	return check_together (options, err);
}
