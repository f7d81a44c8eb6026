/* failing.c - a library to be preloaded: makes one call of a program fail
 *
 *   FAILING_CALL  which: malloc (or calloc, realloc), open, write, fsync, rename, close, fork, pipe2, stat, unlink, fallocate
 *   FAILING_NTH   the how-many-th of them in the process, from 1; 0: none
 *   FAILING_LOG   what happened: "fired CALL NTH", "total CALL COUNT" at the end, "crash" with a trace
 *
 * Children are spared: the variables are gone before they start, and a child that has not yet become another program is known
 * by its number.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum call { MALLOC, OPEN, WRITE, FSYNC, RENAME, CLOSE, FORK, PIPE2, STAT, UNLINK, FALLOCATE, CALLS };

static const struct {
	const char *name;
	int errnum;
} calls[CALLS] = {
	[MALLOC] = {"malloc", ENOMEM}, [OPEN] = {"open", EMFILE},        [WRITE] = {"write", ENOSPC},
	[FSYNC] = {"fsync", EIO},      [RENAME] = {"rename", ENOSPC},    [CLOSE] = {"close", EIO},
	[FORK] = {"fork", EAGAIN},     [PIPE2] = {"pipe2", EMFILE},      [STAT] = {"stat", EIO},
	[UNLINK] = {"unlink", EIO},    [FALLOCATE] = {"fallocate", EIO},
};

static unsigned long counts[CALLS], nth;
static int wanted = -1, log_fd = -1;
static pid_t own_pid;

extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t count, size_t size);
extern void *__libc_realloc (void *old, size_t size);

static void note (const char *what, enum call call, unsigned long number)
{
	char line[128];
	int length = snprintf (line, sizeof line, "%s %s %lu\n", what, calls[call].name, number);

	(void) syscall (SYS_write, log_fd, line, (size_t) length);
}

/* Count it; is it the one that is to fail? */
static int fails (enum call call)
{
	unsigned long number;

	if (own_pid == 0 || syscall (SYS_getpid) != own_pid)
		return 0;
	number = __atomic_add_fetch (&counts[call], 1, __ATOMIC_RELAXED);
	if ((int) call != wanted || number != nth)
		return 0;
	note ("fired", call, number);
	errno = calls[call].errnum;
	return 1;
}

static void crash (int number)
{
	void *frames[24];
	int count = backtrace (frames, 24);

	(void) syscall (SYS_write, log_fd, "crash\n", 6);
	backtrace_symbols_fd (frames, count, log_fd);
	(void) signal (number, SIG_DFL);
	(void) raise (number);
}

static void __attribute__ ((constructor)) begin (void)
{
	const char *call = getenv ("FAILING_CALL"), *number = getenv ("FAILING_NTH"), *log = getenv ("FAILING_LOG");
	void *frame;

	if (call == NULL || number == NULL || log == NULL)
		return;
	for (int i = 0; i < CALLS; i++)
		if (strcmp (calls[i].name, call) == 0)
			wanted = i;
	nth = strtoul (number, NULL, 10);
	/* Far away from the numbers that the program uses; before anything is counted. */
	log_fd = (int) syscall (SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	log_fd = fcntl (log_fd, F_DUPFD_CLOEXEC, 900);
	(void) unsetenv ("LD_PRELOAD");
	(void) unsetenv ("FAILING_CALL");
	(void) unsetenv ("FAILING_NTH");
	(void) unsetenv ("FAILING_LOG");
	(void) backtrace (&frame, 1); /* loads what it needs */
	(void) signal (SIGSEGV, crash);
	(void) signal (SIGBUS, crash);
	own_pid = getpid ();
}

static void __attribute__ ((destructor)) end (void)
{
	if (own_pid == 0 || syscall (SYS_getpid) != own_pid)
		return;
	for (int i = 0; i < CALLS; i++)
		note ("total", (enum call) i, counts[i]);
}

/* --- memory ----------------------------------------------------------------------------------- */

void *malloc (size_t size)
{
	return fails (MALLOC) ? NULL : __libc_malloc (size);
}

void *calloc (size_t count, size_t size)
{
	return fails (MALLOC) ? NULL : __libc_calloc (count, size);
}

void *realloc (void *old, size_t size)
{
	return fails (MALLOC) ? NULL : __libc_realloc (old, size);
}

/* --- system calls ----------------------------------------------------------------------------- */

static int open_at (int directory, const char *path, int flags, mode_t mode)
{
	return fails (OPEN) ? -1 : (int) syscall (SYS_openat, directory, path, flags, mode);
}

static mode_t mode_of (int flags, va_list arguments)
{
	return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg (arguments, mode_t) : 0;
}

/* The function NAME, with the parameters that follow and the mode, where there is one, behind them. */
#define DEFINE_OPEN(name, directory, ...) \
	int name (__VA_ARGS__, ...) \
	{ \
		va_list arguments; \
		mode_t mode; \
\
		va_start (arguments, flags); \
		mode = mode_of (flags, arguments); \
		va_end (arguments); \
		return open_at (directory, path, flags, mode); \
	}
DEFINE_OPEN (open, AT_FDCWD, const char *path, int flags)
DEFINE_OPEN (open64, AT_FDCWD, const char *path, int flags)
DEFINE_OPEN (openat, directory, int directory, const char *path, int flags)
DEFINE_OPEN (openat64, directory, int directory, const char *path, int flags)

int __open_2 (const char *path, int flags);
int __open64_2 (const char *path, int flags);

int __open_2 (const char *path, int flags)
{
	return open_at (AT_FDCWD, path, flags, 0);
}

int __open64_2 (const char *path, int flags)
{
	return open_at (AT_FDCWD, path, flags, 0);
}

ssize_t write (int fd, const void *bytes, size_t length)
{
	return fails (WRITE) ? -1 : syscall (SYS_write, fd, bytes, length);
}

int fsync (int fd)
{
	return fails (FSYNC) ? -1 : (int) syscall (SYS_fsync, fd);
}

int rename (const char *from, const char *to)
{
	return fails (RENAME) ? -1 : (int) syscall (SYS_rename, from, to);
}

/* The descriptor is gone even so, as with Linux. */
int close (int fd)
{
	int failed = fails (CLOSE), result;

	if (fd == log_fd)
		return 0;
	result = (int) syscall (SYS_close, fd);
	if (!failed)
		return result;
	errno = EIO;
	return -1;
}

pid_t fork (void)
{
	static pid_t (*real) (void);

	if (real == NULL)
		*(void **) &real = dlsym (RTLD_NEXT, "fork");
	return fails (FORK) ? -1 : real ();
}

int pipe2 (int ends[2], int flags)
{
	return fails (PIPE2) ? -1 : (int) syscall (SYS_pipe2, ends, flags);
}

#define DEFINE_STAT(name, type, flags) \
	int name (const char *path, struct type *status) \
	{ \
		return fails (STAT) ? -1 : fstatat (AT_FDCWD, path, (struct stat *) status, flags); \
	}
DEFINE_STAT (stat, stat, 0)
DEFINE_STAT (stat64, stat64, 0)
DEFINE_STAT (lstat, stat, AT_SYMLINK_NOFOLLOW)
DEFINE_STAT (lstat64, stat64, AT_SYMLINK_NOFOLLOW)

int unlink (const char *path)
{
	return fails (UNLINK) ? -1 : (int) syscall (SYS_unlink, path);
}

int fallocate (int fd, int mode, off_t offset, off_t length)
{
	return fails (FALLOCATE) ? -1 : (int) syscall (SYS_fallocate, fd, mode, offset, length);
}

int fallocate64 (int fd, int mode, off64_t offset, off64_t length)
{
	return fails (FALLOCATE) ? -1 : (int) syscall (SYS_fallocate, fd, mode, offset, length);
}
