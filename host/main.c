/* main.c - vmcompact: what the command line asks for, and the exit status */
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aftermath.h"
#include "all.h"
#include "clock.h"
#include "connection.h"
#include "doctor.h"
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
#include "setup.h"
#include "status.h"

static int complain (const struct vmc_error *error)
{
	(void) fprintf (stderr, "vmcompact: %s\n", error->text);
	return vmc_code_exit_status (error->code);
}

/* The domains of one command, and what has become of them so far. */
struct all {
	struct vmc_connection *connection;
	const struct vmc_options *options;
	int worst; /* exit status */
	size_t done;
	bool stopped; /* and that was said */
};

/* A run, its report, and what is kept of it. The exit status. */
static int run_and_tell (struct all *all, const char *name)
{
	const struct vmc_options *options = all->options;
	struct vmc_report report = {0};
	uint64_t began_ms = vmc_now_ms ();
	struct vmc_error error;
	enum vmc_code worst;
	bool any;
	int status;

	vmc_run_domain (all->connection, name, options, &report);
	worst = vmc_report_worst (&report, &any);
	status = any ? vmc_code_exit_status (worst) : 0;
	if (vmc_report_print (&report, options) < 0)
		status = vmc_worse_status (status, vmc_code_exit_status (VMC_FAILED));
	if (options->action == VMC_ACTION_RUN && !options->dry_run &&
	    vmc_aftermath (&report, options, vmc_now_ms () - began_ms, &error) < 0)
		status = vmc_worse_status (status, complain (&error));
	vmc_report_clear (&report);
	return status;
}

static void run_one (void *opaque, const char *name)
{
	struct all *all = opaque;
	struct vmc_error error;

	if (all->stopped)
		return;
	if (all->done++ > 0 && vmc_interrupt_check (&error) < 0) {
		all->stopped = true;
		all->worst = vmc_worse_status (all->worst, complain (&error));
		return;
	}
	all->worst = vmc_worse_status (all->worst, run_and_tell (all, name));
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

static int run_domains (struct vmc_connection *connection, const struct vmc_options *options)
{
	struct all all = {.connection = connection, .options = options};
	struct vmc_error error;

	for (size_t i = 0; i < options->domain_count; i++)
		run_one (&all, options->domains[i]);
	if (options->domain_count == 0 && vmc_recover_list (connection, run_one, &all, &error) < 0)
		return complain (&error);
	return all.worst;
}

static int act (struct vmc_connection *connection, const struct vmc_options *options)
{
	switch (options->action) {
	case VMC_ACTION_IMAGE:
		return run_image (connection, options);
	case VMC_ACTION_ALL:
		return vmc_all (connection, options);
	case VMC_ACTION_STATUS:
		return vmc_status (connection, options);
	case VMC_ACTION_DOCTOR:
		return vmc_doctor (connection, options);
	case VMC_ACTION_SETUP:
		return vmc_setup (connection, options);
	default:
		return run_domains (connection, options);
	}
}

/* A host for templates need not run libvirt; but a libvirt that was asked for must be there. */
static bool needs_libvirt (const struct vmc_options *options)
{
	return options->image == NULL || options->uri != NULL;
}

static int run (const struct vmc_options *options)
{
	struct vmc_connection connection;
	struct vmc_error error;
	int status;

	vmc_progress_setup (options);
	if (vmc_interrupt_setup (&error) < 0)
		return complain (&error);
	if (vmc_connection_open (&connection, options->uri, &error) < 0 && needs_libvirt (options))
		return complain (&error);
	status = act (&connection, options);
	vmc_connection_close (&connection);
	return status;
}

int main (int argc, char **argv)
{
	struct vmc_options options;
	struct vmc_error error = {0};
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
		status = fflush (stdout) != 0;
	} else {
		status = run (&options);
	}
	vmc_options_clear (&options);
	return status;
}
