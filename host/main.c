/* main.c - vmcompact: the domains of the command line, one after the other; the exit status */
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "connection.h"
#include "interrupt.h"
#include "options.h"
#include "progress.h"
#include "reader.h"
#include "report.h"
#include "run.h"

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

static int run_all (virConnectPtr connection, const struct vmc_options *options)
{
	struct vmc_report all = {0};
	struct vmc_error error;

	for (size_t i = 0; i < options->domain_count; i++) {
		struct vmc_report report = {0};

		if (i > 0 && vmc_interrupt_check (&error) < 0) {
			report.failed = true;
			report.error = error;
			(void) complain (&error);
			worsen (&all, &report);
			break;
		}
		vmc_run_domain (connection, options->domains[i], options, &report);
		if (vmc_report_print (&report, options) < 0) {
			report.failed = true;
			report.error.code = VMC_FAILED;
		}
		worsen (&all, &report);
		vmc_report_clear (&report);
	}
	return all.failed ? vmc_code_exit_status (all.error.code) : 0;
}

int main (int argc, char **argv)
{
	struct vmc_options options;
	struct vmc_error error = {0};
	virConnectPtr connection;
	int status;

	if (argc == 2 && strcmp (argv[1], VMC_READER_OPTION) == 0)
		_exit (vmc_reader_main ()); /* with the rights that it has left, no library could tidy up */
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
	connection = vmc_connection_open (options.uri, &error);
	if (connection == NULL)
		return complain (&error);
	status = run_all (connection, &options);
	vmc_connection_close (connection);
	return status;
}
