/* meddle.c - a library to be preloaded into the agent: the kernel that this machine does not have, and somebody who does
 * things to the reserved space at a certain moment
 *
 *   MEDDLE         words, with commas between them:
 *     no-punch    block devices cannot be punched          no-tmpfile   there are no files without a name
 *     no-zeroout  they do not zero by themselves, either   no-direct    nothing goes past the page cache
 *     no-write    they cannot be written to (EPERM)        late-direct  that is found out when something is written
 *     no-open     they cannot be opened for writing        no-map       there is no FIEMAP
 *     elsewhere   FIEMAP is wrong by a block               outside      FIEMAP names a place behind the device's end
 *     before      FIEMAP begins a block before what was asked for, as old kernels do
 *     compress    flags of files are said to be set, but are not
 *     realtime    files of XFS lie on another device
 *     slow-fsmap  GETFSMAP of more than one record takes a second
 *     stop-freeze the process is stopped (SIGSTOP) when FIFREEZE has frozen
 *     stop-first  it is stopped before that
 *     slow-freeze FIFREEZE comes back 10 s after it has frozen
 *   MEDDLE_MARKS   that FIEMAP adds to each extent
 *   MEDDLE_MAP     the how-many-th FIEMAP, from 1, before which $MEDDLE_ACTION is run, with the file as $FILE
 *   MEDDLE_LOG     gets a line for each call: "punch", "zeroout", "write device" and "write file", each with offset and length,
 *                  "map", "extent" with place and length, "action"; "fsmap" and "freeze"
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/fsmap.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int says (const char *word)
{
	const char *words = getenv ("MEDDLE"), *found = words ? strstr (words, word) : NULL;

	return found != NULL && (found == words || found[-1] == ',') &&
	       (found[strlen (word)] == ',' || found[strlen (word)] == 0);
}

static int fail (int errnum)
{
	errno = errnum;
	return -1;
}

static int is_device (int fd)
{
	struct stat status;

	return fstat (fd, &status) == 0 && S_ISBLK (status.st_mode);
}

/* A line for the log. */
static void __attribute__ ((format (printf, 1, 2))) note (const char *format, ...)
{
	int (*real) (const char *, int, ...) = (int (*) (const char *, int, ...)) dlsym (RTLD_NEXT, "open");
	const char *path = getenv ("MEDDLE_LOG");
	int fd = path ? real (path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
	va_list list;

	if (fd < 0)
		return;
	va_start (list, format);
	(void) vdprintf (fd, format, list);
	va_end (list);
	(void) close (fd);
}

/* --- opening ------------------------------------------------------------------------------------ */

static int refuses_open (const char *path, int flags)
{
	struct stat status;

	if ((flags & O_TMPFILE) == O_TMPFILE)
		return says ("no-tmpfile") ? EOPNOTSUPP : 0;
	if ((flags & O_ACCMODE) != O_RDONLY && says ("no-open") && stat (path, &status) == 0 &&
	    S_ISBLK (status.st_mode))
		return EBUSY;
	return 0;
}

static int open_as (const char *name, const char *path, int flags, mode_t mode)
{
	int (*real) (const char *, int, ...) = (int (*) (const char *, int, ...)) dlsym (RTLD_NEXT, name);
	int refused = refuses_open (path, flags);

	return refused ? fail (refused) : real (path, flags, mode);
}

static int openat_as (const char *name, int directory, const char *path, int flags, mode_t mode)
{
	int (*real) (int, const char *, int, ...) = (int (*) (int, const char *, int, ...)) dlsym (RTLD_NEXT, name);
	int refused = refuses_open (path, flags);

	return refused ? fail (refused) : real (directory, path, flags, mode);
}

#define TAKE_MODE(flags, mode) \
	do { \
		va_list list; \
		va_start (list, flags); \
		mode = (flags) & (O_CREAT | __O_TMPFILE) ? va_arg (list, mode_t) : 0; \
		va_end (list); \
	} while (0)

int open (const char *path, int flags, ...)
{
	mode_t mode;

	TAKE_MODE (flags, mode);
	return open_as ("open", path, flags, mode);
}

int open64 (const char *path, int flags, ...)
{
	mode_t mode;

	TAKE_MODE (flags, mode);
	return open_as ("open64", path, flags, mode);
}

int openat (int directory, const char *path, int flags, ...)
{
	mode_t mode;

	TAKE_MODE (flags, mode);
	return openat_as ("openat", directory, path, flags, mode);
}

int openat64 (int directory, const char *path, int flags, ...)
{
	mode_t mode;

	TAKE_MODE (flags, mode);
	return openat_as ("openat64", directory, path, flags, mode);
}

static int fcntl_as (const char *name, int fd, int command, long argument)
{
	int (*real) (int, int, ...) = (int (*) (int, int, ...)) dlsym (RTLD_NEXT, name);

	if (command == F_SETFL && (argument & O_DIRECT) && says ("no-direct"))
		return fail (EINVAL);
	return real (fd, command, argument);
}

int fcntl (int fd, int command, ...)
{
	va_list list;
	long argument;

	va_start (list, command);
	argument = va_arg (list, long);
	va_end (list);
	return fcntl_as ("fcntl", fd, command, argument);
}

int fcntl64 (int fd, int command, ...)
{
	va_list list;
	long argument;

	va_start (list, command);
	argument = va_arg (list, long);
	va_end (list);
	return fcntl_as ("fcntl64", fd, command, argument);
}

/* --- zeroing and writing -------------------------------------------------------------------------- */

static int fallocate_as (const char *name, int fd, int mode, off_t offset, off_t length)
{
	int (*real) (int, int, off_t, off_t) = (int (*) (int, int, off_t, off_t)) dlsym (RTLD_NEXT, name);

	if (!(mode & FALLOC_FL_PUNCH_HOLE) || !is_device (fd))
		return real (fd, mode, offset, length);
	note ("punch %lld %lld\n", (long long) offset, (long long) length);
	return says ("no-punch") ? fail (EOPNOTSUPP) : real (fd, mode, offset, length);
}

int fallocate (int fd, int mode, off_t offset, off_t length)
{
	return fallocate_as ("fallocate", fd, mode, offset, length);
}

int fallocate64 (int fd, int mode, off_t offset, off_t length)
{
	return fallocate_as ("fallocate64", fd, mode, offset, length);
}

static ssize_t pwrite_as (const char *name, int fd, const void *bytes, size_t length, off_t offset)
{
	ssize_t (*real) (int, const void *, size_t, off_t) =
		(ssize_t (*) (int, const void *, size_t, off_t)) dlsym (RTLD_NEXT, name);

	note ("write %s %lld %zu\n", is_device (fd) ? "device" : "file", (long long) offset, length);
	if (is_device (fd) && says ("no-write"))
		return fail (EPERM);
	if (says ("late-direct") && (fcntl (fd, F_GETFL) & O_DIRECT))
		return fail (EINVAL);
	return real (fd, bytes, length, offset);
}

ssize_t pwrite (int fd, const void *bytes, size_t length, off_t offset)
{
	return pwrite_as ("pwrite", fd, bytes, length, offset);
}

ssize_t pwrite64 (int fd, const void *bytes, size_t length, off_t offset)
{
	return pwrite_as ("pwrite64", fd, bytes, length, offset);
}

/* --- maps ----------------------------------------------------------------------------------------- */

static void act (int fd)
{
	static unsigned long maps;
	const char *wanted = getenv ("MEDDLE_MAP"), *action = getenv ("MEDDLE_ACTION");
	char path[64];

	note ("map\n");
	if (++maps != (wanted ? strtoul (wanted, NULL, 10) : 0) || action == NULL)
		return;
	(void) snprintf (path, sizeof path, "/proc/%ld/fd/%d", (long) getpid (), fd);
	(void) setenv ("FILE", path, 1);
	(void) unsetenv ("LD_PRELOAD");
	note (system (action) == 0 ? "action\n" : "failed action\n");
}

static void note_extents (const struct fiemap *map)
{
	for (unsigned i = 0; i < map->fm_mapped_extents; i++)
		note ("extent %llu %llu\n", (unsigned long long) map->fm_extents[i].fe_physical,
		      (unsigned long long) map->fm_extents[i].fe_length);
}

static void falsify (struct fiemap *map)
{
	const char *marks = getenv ("MEDDLE_MARKS");

	if (says ("before") && map->fm_mapped_extents > 0 && map->fm_start > 0) {
		map->fm_extents[0].fe_logical -= 4096;
		map->fm_extents[0].fe_physical -= 4096;
		map->fm_extents[0].fe_length += 4096;
	}
	for (unsigned i = 0; i < map->fm_mapped_extents; i++) {
		map->fm_extents[i].fe_flags |= marks ? (unsigned) strtoul (marks, NULL, 0) : 0;
		map->fm_extents[i].fe_physical += says ("elsewhere") ? 4096 : 0;
		map->fm_extents[i].fe_physical += says ("outside") ? UINT64_C (1) << 50 : 0;
	}
}

/* What was set last is what is read, and nothing was set. */
static int pretend (unsigned long request, unsigned *flags)
{
	static unsigned pretended;

	if (request == FS_IOC_SETFLAGS)
		pretended = *flags;
	else
		*flags = pretended;
	return 0;
}

int ioctl (int fd, unsigned long request, ...)
{
	int (*real) (int, unsigned long, ...) = (int (*) (int, unsigned long, ...)) dlsym (RTLD_NEXT, "ioctl"), result;
	va_list list;
	void *argument;

	va_start (list, request);
	argument = va_arg (list, void *);
	va_end (list);
	if (request == BLKZEROOUT)
		note ("zeroout %llu %llu\n", ((unsigned long long *) argument)[0],
		      ((unsigned long long *) argument)[1]);
	if (request == FS_IOC_GETFSMAP || request == FIFREEZE)
		note ("%s\n", request == FIFREEZE ? "freeze" : "fsmap");
	if (request == FS_IOC_GETFSMAP && says ("slow-fsmap") && ((struct fsmap_head *) argument)->fmh_count > 1)
		(void) sleep (1);
	if (request == FIFREEZE && says ("stop-first"))
		(void) raise (SIGSTOP);
	if (request == FIFREEZE && says ("stop-freeze") && real (fd, request, argument) == 0)
		return raise (SIGSTOP);
	if (request == FIFREEZE && says ("slow-freeze") && real (fd, request, argument) == 0)
		return sleep (10) > 0;
	if (request == BLKZEROOUT && says ("no-zeroout"))
		return fail (EOPNOTSUPP);
	if ((request == FS_IOC_SETFLAGS || request == FS_IOC_GETFLAGS) && says ("compress"))
		return pretend (request, argument);
	if (request == FS_IOC_FSGETXATTR && says ("realtime") && real (fd, request, argument) == 0) {
		((struct fsxattr *) argument)->fsx_xflags |= FS_XFLAG_REALTIME;
		return 0;
	}
	if (request == FS_IOC_FSSETXATTR && says ("realtime"))
		((struct fsxattr *) argument)->fsx_xflags &= ~(unsigned) FS_XFLAG_REALTIME;
	if (request != FS_IOC_FIEMAP)
		return real (fd, request, argument);
	act (fd);
	if (says ("no-map"))
		return fail (EOPNOTSUPP);
	result = real (fd, request, argument);
	if (result == 0) {
		note_extents (argument);
		falsify (argument);
	}
	return result;
}
