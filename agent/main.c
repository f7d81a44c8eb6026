/* main.c - vmcompact-agent: the command line, and what is said on the standard error stream */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "freeze.h"
#include "server.h"

#define DEFAULT_PORT "/dev/virtio-ports/" VMC_CHANNEL_NAME

static const char usage[] = "Usage: vmcompact-agent [--port=PORT] [--note=PATH]\n"
			    "Serve vmcompact on the host: trim, zero, freeze and map the filesystems of this guest.\n"
			    "\n"
			    "  --port=PORT  a virtio port (default " DEFAULT_PORT "),\n"
			    "               unix:PATH to listen on a socket, or fd:N for an open one\n"
			    "  --note=PATH  where to note what is frozen (default /run/vmcompact-agent.frozen)\n"
			    "  --help       print this text and exit\n"
			    "  --version    print the version and exit\n"
			    "\n"
			    "Exit status: 0 ended on request or with its port, 1 failed, 2 wrong usage.\n"
			    "See vmcompact-agent(8).\n";

static int complain (const struct vmc_error *error)
{
	const char *name = vmc_errno_name (error->errnum);

	(void) fprintf (stderr, "vmcompact-agent: %s%s%s%s\n", error->text, *name ? " (" : "", name, *name ? ")" : "");
	return error->code == VMC_USAGE ? 2 : 1;
}

int main (int argc, char **argv)
{
	static const struct option options[] = {
		{"port", required_argument, NULL, 'p'},
		{"note", required_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	const char *port = DEFAULT_PORT;
	struct vmc_error error = {0};
	int option;

	while ((option = getopt_long (argc, argv, "", options, NULL)) >= 0) {
		switch (option) {
		case 'p':
			port = optarg;
			break;
		case 'n':
			vmc_freeze_set_note (optarg);
			break;
		case 'h':
			return fputs (usage, stdout) < 0 || fflush (stdout) != 0;
		case 'V':
			return puts ("vmcompact-agent " PACKAGE_VERSION) < 0 || fflush (stdout) != 0;
		default:
			(void) fputs ("Try 'vmcompact-agent --help'.\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		(void) fprintf (stderr, "vmcompact-agent: it takes no argument '%s'\n", argv[optind]);
		return 2;
	}
	if (vmc_freeze_recover (&error) < 0)
		(void) complain (&error);
	return vmc_serve (port, &error) < 0 ? complain (&error) : 0;
}
