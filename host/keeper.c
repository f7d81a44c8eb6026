/* keeper.c - our side of keeper.h */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define READY_MS 30000 /* for the keeper to connect to libvirt */
#define END_MS 2000

/* It says one byte when it has found the domain. */
static int await_keeper (struct vmc_process *process, struct vmc_error *err)
{
	struct pollfd entry = {.fd = process->output_fd, .events = POLLIN};
	char byte;
	int result;

	do
		result = poll (&entry, 1, READY_MS);
	while (result < 0 && errno == EINTR);
	if (result > 0 && read (process->output_fd, &byte, 1) == 1)
		return 0;
	return vmc_fail (err, VMC_FAILED, 0, "the process that would let the guest go on does not start");
}

int vmc_keeper_start (struct vmc_keeper *keeper, const struct vmc_domain *domain, const char *job, unsigned max_ms,
		      const char *mark, struct vmc_error *err)
{
	const char *uri = domain->connection->uri ? domain->connection->uri : "";
	char milliseconds[32];
	const char *const argv[] = {"/proc/self/exe", VMC_KEEPER_OPTION, job,  uri,
				    domain->uuid,     milliseconds,      mark, NULL};
	int line[2], result;

	(void) snprintf (milliseconds, sizeof milliseconds, "%u", max_ms);
	if (pipe2 (line, O_CLOEXEC) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "no pipe for the keeper");
	result = vmc_process_start_survivor (&keeper->process, argv, line[0], err);
	(void) close (line[0]);
	keeper->line_fd = line[1];
	if (result == 0)
		result = await_keeper (&keeper->process, err);
	return result;
}

bool vmc_keeper_tell (struct vmc_keeper *keeper, char word)
{
	return keeper->line_fd >= 0 && write (keeper->line_fd, &word, 1) == 1;
}

static void hang_up (struct vmc_keeper *keeper)
{
	if (keeper->line_fd >= 0)
		(void) close (keeper->line_fd);
	keeper->line_fd = -1;
}

void vmc_keeper_dismiss (struct vmc_keeper *keeper)
{
	struct pollfd end = {.fd = keeper->process.output_fd, .events = POLLIN};

	if (vmc_keeper_tell (keeper, VMC_KEEPER_DONE))
		(void) poll (&end, 1, END_MS);
	hang_up (keeper);
	vmc_process_end (&keeper->process);
}

void vmc_keeper_leave (struct vmc_keeper *keeper)
{
	hang_up (keeper);
	vmc_process_let_go (&keeper->process);
}
