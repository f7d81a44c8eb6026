/* worker.c - see worker.h */
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A worker dies within a millisecond, unless it is in the middle of a system call: at most 100 ms are spent on it. */
#define END_TRIES 100
#define END_PAUSE_US 1000

/* The child keeps no descriptor but its end and what the caller opened for it; signals that end the agent are the
 * parent's business, for it must tell the child what to do first. */
static void become_child (int fd, vmc_worker_main *main, void *argument)
{
	sigset_t none;

	(void) sigemptyset (&none);
	(void) signal (SIGTERM, SIG_IGN);
	(void) signal (SIGINT, SIG_IGN);
	(void) signal (SIGHUP, SIG_IGN);
	(void) signal (SIGPIPE, SIG_IGN);
	(void) sigprocmask (SIG_SETMASK, &none, NULL);
	main (fd, argument);
	_exit (0);
}

int vmc_worker_start (struct vmc_worker *worker, vmc_worker_main *main, void *argument, struct vmc_error *err)
{
	int pair[2];
	pid_t pid;

	if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot make a pair of sockets");
	pid = fork ();
	if (pid == 0) {
		(void) close (pair[0]);
		become_child (pair[1], main, argument);
	}
	(void) close (pair[1]);
	if (pid < 0) {
		(void) close (pair[0]);
		return vmc_fail (err, VMC_FAILED, errno, "cannot fork a worker");
	}
	*worker = (struct vmc_worker) {.pid = pid, .fd = pair[0]};
	return 0;
}

bool vmc_worker_report (int fd, const struct vmc_report *report)
{
	size_t size = offsetof (struct vmc_report, ranges) + report->count * sizeof report->ranges[0];
	ssize_t sent;

	do
		sent = send (fd, report, size, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t) size;
}

int vmc_worker_receive (struct vmc_worker *worker, struct vmc_report *report)
{
	ssize_t length;

	do
		length = recv (worker->fd, report, sizeof *report, MSG_DONTWAIT);
	while (length < 0 && errno == EINTR);
	if (length < 0 && errno == EAGAIN)
		return 0;
	return length >= (ssize_t) offsetof (struct vmc_report, ranges) ? 1 : -1;
}

bool vmc_worker_gone (struct vmc_worker *worker)
{
	if (worker->leaving != 0 && waitpid (worker->leaving, NULL, WNOHANG) != 0)
		worker->leaving = 0;
	return worker->leaving == 0;
}

bool vmc_worker_end (struct vmc_worker *worker, bool kill_it)
{
	if (worker->pid == 0)
		return true;
	(void) close (worker->fd);
	(void) kill (worker->pid, kill_it ? SIGKILL : SIGCONT); /* one that was stopped must go on to come to its end */
	*worker = (struct vmc_worker) {.fd = -1, .leaving = worker->pid};
	for (int i = 0; i < END_TRIES && !vmc_worker_gone (worker); i++)
		(void) usleep (END_PAUSE_US);
	return worker->leaving == 0;
}
