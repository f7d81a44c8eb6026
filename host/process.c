/* process.c - see process.h */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "text.h"

#define POLL_MS 5
#define WORDS_MAX_BYTES 8192 /* of the pipe of its error stream, which holds 65536 */
#define CONNECT_MS 15000
#define KILL_MS 10000 /* one that hangs in the kernel is not waited for longer */

/* What a child begins with. */
struct child {
	const char *const *argv;
	int input_fd, output_fd, error_fd, also_fd; /* its 0, 1, 2 and 3; input and also may be -1 */
	int death_signal;                           /* at our death; 0: it survives that */
	char *const *environment;                   /* NULL: ours */
};

/* Where the descriptors are to be. dup2 onto itself would keep it from closing at exec: the copy has another number first. */
static bool place_descriptors (const struct child *child)
{
	int input_fd = child->input_fd < 0 ? open ("/dev/null", O_RDONLY | O_CLOEXEC) : child->input_fd;
	int also_fd = child->also_fd < 0 ? -1 : fcntl (child->also_fd, F_DUPFD_CLOEXEC, 4);

	if (dup2 (input_fd, 0) < 0 || dup2 (child->output_fd, 1) < 0 || dup2 (child->error_fd, 2) < 0)
		return false;
	if (child->also_fd < 0)
		return close_range (3, ~0U, 0) == 0;
	return dup2 (also_fd, 3) == 3 && close_range (4, ~0U, 0) == 0;
}

/* In the child. Only system calls from here to exec: another thread may have held any lock at the fork. */
static void become (const struct child *child, pid_t parent)
{
	sigset_t none;

	(void) sigemptyset (&none);
	(void) sigprocmask (SIG_SETMASK, &none, NULL);
	if (setpgid (0, 0) < 0)
		_exit (126);
	if (child->death_signal != 0 && (prctl (PR_SET_PDEATHSIG, child->death_signal) < 0 || getppid () != parent))
		_exit (126);
	if (!place_descriptors (child))
		_exit (126);
	(void) execvpe (child->argv[0], (char *const *) child->argv, child->environment ? child->environment : environ);
	(void) dprintf (2, "cannot run it: %s", strerror (errno));
	_exit (127);
}

static void close_fd (int *fd)
{
	if (*fd >= 0)
		(void) close (*fd);
	*fd = -1;
}

static int start (struct vmc_process *process, struct child *child, struct vmc_error *err)
{
	int output[2] = {-1, -1}, errors[2] = {-1, -1};
	const char *name = child->argv[0];
	pid_t parent = getpid ();
	int saved;

	*process = (struct vmc_process) VMC_PROCESS_INIT;
	(void) snprintf (process->name, sizeof process->name, "%s", name);
	if (pipe2 (output, O_CLOEXEC) < 0 || pipe2 (errors, O_CLOEXEC) < 0) {
		saved = errno;
		close_fd (&output[0]);
		close_fd (&output[1]);
		return vmc_fail (err, VMC_FAILED, saved, "no pipe for '%s'", name);
	}
	child->output_fd = output[1];
	child->error_fd = errors[1];
	process->pid = fork ();
	saved = errno;
	if (process->pid == 0)
		become (child, parent);
	(void) close (output[1]);
	(void) close (errors[1]);
	process->output_fd = output[0];
	process->error_fd = errors[0];
	if (process->pid < 0) {
		process->pid = 0;
		vmc_process_end (process);
		return vmc_fail (err, VMC_FAILED, saved, "cannot start '%s'", name);
	}
	(void) fcntl (process->error_fd, F_SETFL, O_NONBLOCK);
	return 0;
}

int vmc_process_start (struct vmc_process *process, const char *const argv[], int input_fd, struct vmc_error *err)
{
	return vmc_process_start_with (process, argv, input_fd, -1, err);
}

int vmc_process_start_with (struct vmc_process *process, const char *const argv[], int input_fd, int also_fd,
			    struct vmc_error *err)
{
	return start (process,
		      &(struct child) {.argv = argv, .input_fd = input_fd, .also_fd = also_fd, .death_signal = SIGKILL},
		      err);
}

/* Our environment, and that the C library asks the kernel for memory in large pieces and keeps it: mallopt(3). */
static char **copier_environment (void)
{
	static const char *const more[] = {"MALLOC_MMAP_THRESHOLD_=4194304", "MALLOC_TRIM_THRESHOLD_=67108864"};
	size_t count = 0;
	char **environment;

	while (environ[count] != NULL)
		count++;
	environment = calloc (count + sizeof more / sizeof more[0] + 1, sizeof *environment);
	if (environment == NULL)
		return NULL;
	memcpy (environment, more, sizeof more);
	memcpy (environment + sizeof more / sizeof more[0], environ, count * sizeof *environ);
	return environment;
}

int vmc_process_start_copier (struct vmc_process *process, const char *const argv[], struct vmc_error *err)
{
	char **environment = copier_environment ();
	int result;

	if (environment == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory to start '%s'", argv[0]);
	result = start (process,
			&(struct child) {.argv = argv,
					 .input_fd = -1,
					 .also_fd = -1,
					 .death_signal = SIGKILL,
					 .environment = environment},
			err);
	free (environment);
	return result;
}

int vmc_process_start_survivor (struct vmc_process *process, const char *const argv[], int input_fd,
				struct vmc_error *err)
{
	return start (process, &(struct child) {.argv = argv, .input_fd = input_fd, .also_fd = -1}, err);
}

int vmc_process_start_run (struct vmc_process *process, const char *const argv[], struct vmc_error *err)
{
	struct child child = {.argv = argv,
			      .input_fd = -1,
			      .output_fd = STDOUT_FILENO,
			      .error_fd = STDERR_FILENO,
			      .also_fd = -1,
			      .death_signal = SIGTERM};
	pid_t parent = getpid ();

	*process = (struct vmc_process) VMC_PROCESS_INIT;
	(void) snprintf (process->name, sizeof process->name, "%s", argv[0]);
	process->pid = fork ();
	if (process->pid == 0)
		become (&child, parent);
	if (process->pid > 0)
		return 0;
	process->pid = 0;
	return vmc_fail (err, VMC_FAILED, errno, "cannot start '%s'", argv[0]);
}

/* The last line of what it wrote to its standard error stream, escaped. */
static void last_words (struct vmc_process *process, char *text, size_t size)
{
	char buffer[4096] = "", *line = buffer, *newline;
	ssize_t length = read (process->error_fd, buffer, sizeof buffer - 1);

	buffer[length > 0 ? length : 0] = 0;
	while (length > 0 && buffer[length - 1] == '\n')
		buffer[--length] = 0;
	newline = strrchr (buffer, '\n');
	if (newline != NULL)
		line = newline + 1;
	vmc_text_escape (text, size, line);
}

static int check_status (struct vmc_process *process, int status, struct vmc_error *err)
{
	char words[300];

	process->status = WIFEXITED (status) ? WEXITSTATUS (status) : -WTERMSIG (status);
	if (WIFEXITED (status) && WEXITSTATUS (status) == 0)
		return 0;
	last_words (process, words, sizeof words);
	if (WIFEXITED (status))
		return vmc_fail (err, VMC_FAILED, 0, "'%s' failed: %s", process->name, words);
	if (WTERMSIG (status) == SIGSYS)
		return vmc_fail (err, VMC_FAILED, 0,
				 "'%s' was killed by its sandbox: it asked the kernel for what it may not do",
				 process->name);
	return vmc_fail (err, VMC_FAILED, 0, "'%s' was ended by signal %d", process->name, WTERMSIG (status));
}

/* One that complains at length must not be stopped by that either: only the last of it is kept. */
static void skip_words (const struct vmc_process *process)
{
	char skipped[4096];
	int written = 0;

	while (ioctl (process->error_fd, FIONREAD, &written) == 0 && written > WORDS_MAX_BYTES)
		if (read (process->error_fd, skipped, sizeof skipped) <= 0)
			return;
}

int vmc_process_wait (struct vmc_process *process, uint64_t deadline_ms, struct vmc_error *err)
{
	char skipped[4096];

	if (process->pid == 0)
		return vmc_fail (err, VMC_FAILED, 0, "'%s' has ended before", process->name);
	for (;;) {
		struct pollfd entry = {.fd = process->output_fd, .events = POLLIN};
		int status;
		pid_t ended = waitpid (process->pid, &status, WNOHANG);

		if (ended == process->pid) {
			process->pid = 0;
			return check_status (process, status, err);
		}
		if (ended < 0 && errno != EINTR)
			return vmc_fail (err, VMC_FAILED, errno, "cannot wait for '%s'", process->name);
		if (vmc_now_ms () >= deadline_ms)
			return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT, "'%s' has not ended in time", process->name);
		skip_words (process);
		/* Output that nobody asked for must not stop it. */
		if (poll (&entry, 1, POLL_MS) > 0 && read (process->output_fd, skipped, sizeof skipped) <= 0)
			(void) poll (NULL, 0, POLL_MS);
	}
}

bool vmc_process_ended (struct vmc_process *process)
{
	siginfo_t info = {0};

	if (process->pid == 0)
		return true;
	return waitid (P_PID, (id_t) process->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != 0;
}

bool vmc_process_reap (struct vmc_process *process, int *status)
{
	int how;

	if (waitpid (process->pid, &how, WNOHANG) != process->pid)
		return false;
	process->pid = 0;
	*status = WIFEXITED (how) ? WEXITSTATUS (how) : -WTERMSIG (how);
	return true;
}

int vmc_process_read (int output_fd, const char *name, void *data, size_t length, uint64_t deadline_ms,
		      struct vmc_error *err)
{
	char *bytes = data;

	while (length > 0) {
		struct pollfd entry = {.fd = output_fd, .events = POLLIN};
		uint64_t now_ms = vmc_now_ms ();
		ssize_t got;

		if (now_ms >= deadline_ms)
			return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT, "%s has not finished in time", name);
		if (poll (&entry, 1, (int) (deadline_ms - now_ms < 1000 ? deadline_ms - now_ms : 1000)) <= 0)
			continue;
		got = read (output_fd, bytes, length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return vmc_fail (err, VMC_FAILED, EPIPE, "%s died before it had finished", name);
		bytes += got;
		length -= (size_t) got;
	}
	return 0;
}

static int try_connect (const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	(void) snprintf (address.sun_path, sizeof address.sun_path, "%s", path);
	if (connect (fd, (struct sockaddr *) &address, sizeof address) == 0)
		return fd;
	(void) close (fd);
	return -1;
}

int vmc_process_connect (struct vmc_process *process, const char *path, struct vmc_error *err)
{
	uint64_t deadline_ms = vmc_now_ms () + CONNECT_MS;
	int fd;

	while ((fd = try_connect (path)) < 0) {
		if (vmc_process_ended (process))
			return vmc_process_wait (process, deadline_ms, err) < 0
				       ? -1
				       : vmc_fail (err, VMC_FAILED, 0, "%s has ended", process->name);
		if (vmc_now_ms () >= deadline_ms)
			return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT, "%s does not come up", process->name);
		(void) poll (NULL, 0, POLL_MS);
	}
	return fd;
}

void vmc_process_end (struct vmc_process *process)
{
	uint64_t until_ms = vmc_now_ms () + KILL_MS;

	if (process->pid > 0) {
		(void) kill (process->pid, SIGKILL);
		while (waitpid (process->pid, NULL, WNOHANG) == 0 && vmc_now_ms () < until_ms)
			(void) poll (NULL, 0, 1);
	}
	vmc_process_let_go (process);
}

void vmc_process_let_go (struct vmc_process *process)
{
	process->pid = 0;
	close_fd (&process->output_fd);
	close_fd (&process->error_fd);
}

int vmc_process_run (const char *const argv[], uint64_t deadline_ms, struct vmc_error *err)
{
	VMC_CLEANUP_PROCESS struct vmc_process process = VMC_PROCESS_INIT;

	if (vmc_process_start (&process, argv, -1, err) < 0)
		return -1;
	return vmc_process_wait (&process, deadline_ms, err);
}
