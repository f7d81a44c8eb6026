/* main.c - vmcompact: the domains of the command line, one after the other; the exit status */
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "connection.h"
#include "interrupt.h"
#include "keeper.h"
#include "options.h"
#include "progress.h"
#include "qemu_agent.h"
#include "reader.h"
#include "recover.h"
#include "report.h"
#include "run.h"
#include "run_image.h"

/* The worst of several domains counts: the order of badness is that of the report. */
static void worsen (struct vmc_report *all, const struct vmc_report *one)
{
	bool any_all, any_one;
	enum vmc_code so_far = vmc_report_worst (all, &any_all), now = vmc_report_worst (one, &any_one);
	struct vmc_disk_report both[2] = {{.failed = any_all, .error.code = so_far},
					  {.failed = any_one, .error.code = now}};
	struct vmc_report sum = {.disks = both, .count = 2};
	bool any;

	all->error.code = vmc_report_worst (&sum, &any);
	all->failed = any;
}

static int complain (const struct vmc_error *error)
{
	(void) fprintf (stderr, "vmcompact: %s\n", error->text);
	return vmc_code_exit_status (error->code);
}

/* The domains of one command, and what has become of them so far. */
struct all {
	struct vmc_connection *connection;
	const struct vmc_options *options;
	struct vmc_report worst;
	size_t done;
};

static void run_one (void *opaque, const char *name)
{
	struct all *all = opaque;
	struct vmc_report report = {0};

	if (all->done++ > 0 && vmc_interrupt_check (&report.error) < 0) {
		report.failed = true;
		if (all->done == 2 || all->worst.error.code != VMC_CANCELLED)
			(void) complain (&report.error);
	} else {
		vmc_run_domain (all->connection, name, all->options, &report);
		if (vmc_report_print (&report, all->options) < 0) {
			report.failed = true;
			report.error.code = VMC_FAILED;
		}
	}
	worsen (&all->worst, &report);
	vmc_report_clear (&report);
}

static int run_image (struct vmc_connection *connection, const struct vmc_options *options)
{
	struct vmc_report report = {0};
	enum vmc_code worst;
	bool any;

	vmc_run_image (connection, options, &report);
	worst = vmc_report_worst (&report, &any);
	if (vmc_report_print (&report, options) < 0) {
		any = true;
		worst = VMC_FAILED;
	}
	vmc_report_clear (&report);
	return any ? vmc_code_exit_status (worst) : 0;
}

/* A host for templates need not run libvirt; but a libvirt that was asked for must be there. */
static bool needs_libvirt (const struct vmc_options *options)
{
	return options->image == NULL || options->uri != NULL;
}

static int run_all (struct vmc_connection *connection, const struct vmc_options *options)
{
	struct all all = {.connection = connection, .options = options};
	struct vmc_error error;

	for (size_t i = 0; i < options->domain_count; i++)
		run_one (&all, options->domains[i]);
	if (options->domain_count == 0 && vmc_recover_list (connection, run_one, &all, &error) < 0)
		return complain (&error);
	return all.worst.failed ? vmc_code_exit_status (all.worst.error.code) : 0;
}

int main (int argc, char **argv)
{
	struct vmc_options options;
	struct vmc_error error = {0};
	struct vmc_connection connection;
	int status;

	if (argc >= 2 && strcmp (argv[1], VMC_READER_OPTION) == 0)
		_exit (vmc_reader_main (argc > 2)); /* with the rights that it has left, no library could tidy up */
	if (argc == 2 + VMC_KEEPER_ARGUMENTS && strcmp (argv[1], VMC_KEEPER_OPTION) == 0)
		return vmc_keeper_main (argv + 2);
	if (argc == 2 + VMC_QEMU_AGENT_ARGUMENTS && strcmp (argv[1], VMC_QEMU_AGENT_OPTION) == 0)
		return vmc_qemu_agent_main (argv + 2);
	(void) setlocale (LC_CTYPE, "");
	if (vmc_options_parse (argc, argv, &options, &error) < 0)
		return complain (&error);
	if (options.help || options.version) {
		(void) fputs (options.help ? vmc_options_help : "vmcompact " PACKAGE_VERSION "\n", stdout);
		return fflush (stdout) != 0;
	}
	vmc_progress_setup (&options);
	if (vmc_interrupt_setup (&error) < 0)
		return complain (&error);
	if (vmc_connection_open (&connection, options.uri, &error) < 0 && needs_libvirt (&options))
		return complain (&error);
	status = options.image ? run_image (&connection, &options) : run_all (&connection, &options);
	vmc_connection_close (&connection);
	return status;
}
