/* aftermath.c - see aftermath.h */
#include "aftermath.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "history.h"
#include "memory_file.h"
#include "metrics.h"
#include "process.h"
#include "system_log.h"

#define COMMAND_MS 60000

/* The sentences of all failures, one a line; to be freed by the caller. */
static char *failures (const struct vmc_report *report)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream (&text, &length);

	if (out == NULL)
		return NULL;
	if (report->failed)
		(void) fprintf (out, "%s\n", report->error.text);
	for (size_t i = 0; i < report->count; i++)
		if (report->disks[i].failed)
			(void) fprintf (out, "%s: %s\n", report->disks[i].target, report->disks[i].error.text);
	if (fclose (out) == 0)
		return text;
	free (text);
	return NULL;
}

static int set_environment (const struct vmc_report *report, enum vmc_code worst)
{
	char status[8], *errors = failures (report);
	int result = -1;

	(void) snprintf (status, sizeof status, "%d", vmc_code_exit_status (worst));
	if (errors != NULL && setenv ("VMCOMPACT_DOMAIN", report->domain, 1) == 0 &&
	    setenv ("VMCOMPACT_UUID", report->uuid, 1) == 0 &&
	    setenv ("VMCOMPACT_RESULT", vmc_code_name (worst), 1) == 0 && setenv ("VMCOMPACT_STATUS", status, 1) == 0 &&
	    setenv ("VMCOMPACT_ERROR", errors, 1) == 0)
		result = 0;
	free (errors);
	return result;
}

static int run_command (const char *command, int input_fd, struct vmc_error *err)
{
	VMC_CLEANUP_PROCESS struct vmc_process process = VMC_PROCESS_INIT;
	const char *const argv[] = {"/bin/sh", "-c", command, NULL};

	if (vmc_process_start (&process, argv, input_fd, err) < 0)
		return -1;
	return vmc_process_wait (&process, vmc_now_ms () + COMMAND_MS, err);
}

/* The command of --on-failure, by the shell, with the domain's line of JSON as its input. */
static int call_for_help (const struct vmc_report *report, const struct vmc_options *options, enum vmc_code worst,
			  struct vmc_error *err)
{
	char *line = vmc_report_json (report, options);
	int fd, result;

	if (line == NULL || set_environment (report, worst) < 0) {
		free (line);
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for --on-failure");
	}
	fd = vmc_memory_file_make (err);
	result = fd;
	if (fd >= 0 && (dprintf (fd, "%s\n", line) < 0 || lseek (fd, 0, SEEK_SET) < 0))
		result = vmc_fail (err, VMC_FAILED, errno, "cannot write its input");
	if (result >= 0)
		result = run_command (options->on_failure, fd, err);
	if (fd >= 0)
		(void) close (fd);
	free (line);
	return result < 0 ? vmc_fail_in (err, "--on-failure") : 0;
}

int vmc_aftermath (const struct vmc_report *report, const struct vmc_options *options, uint64_t duration_ms,
		   struct vmc_error *err)
{
	enum vmc_code worst;
	struct vmc_error why;
	int result = 0;
	bool any;

	worst = vmc_report_worst (report, &any);
	if (report->uuid[0] == 0 || (report->failed && report->error.code == VMC_BUSY)) /* no domain; another run's */
		return 0;
	vmc_system_log (report);
	if (vmc_history_note (report, duration_ms, err) < 0)
		result = vmc_fail_in (err, "cannot keep the history");
	if (options->metrics_dir != NULL && vmc_metrics_write (options->metrics_dir, &why) < 0)
		result = vmc_fail (err, VMC_FAILED, why.errnum, "cannot write the metrics: %.400s", why.text);
	if (any && options->on_failure != NULL && call_for_help (report, options, worst, &why) < 0)
		result = vmc_fail (err, VMC_FAILED, why.errnum, "%s", why.text);
	return result;
}
