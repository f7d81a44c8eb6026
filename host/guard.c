/* guard.c - see guard.h */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "directories.h"
#include "image.h"

/* RAW_LOCK_PERM_BASE, RAW_LOCK_SHARED_BASE and the bit of BLK_PERM_WRITE in QEMU. */
#define QEMU_PERMISSION_BASE 100
#define QEMU_UNSHARED_BASE 200
#define QEMU_PERMISSION_WRITE 1
#define QEMU_PERMISSIONS 64 /* of which QEMU uses the first few */
#define SHARED ",force-share=on"
#define END_MS 1000 /* of one whose sockets are closed already */

/* It has ended, or ends now: -1. */
static int tell_end (struct vmc_guard *guard, struct vmc_error *err)
{
	if (vmc_process_wait (&guard->process, vmc_now_ms () + END_MS, err) < 0)
		return vmc_fail_in (err, "the guard over the base ended");
	return vmc_fail (err, VMC_FAILED, 0, "the guard over the base ended");
}

/* 1: there it is; 0: there is none, of a device, or where nothing is locked; -1: it cannot be told. */
static int time_of_modification (const struct vmc_guard *guard, struct timespec *modified)
{
	struct stat status;

	if (guard->nodes.count == 0)
		return 0;
	if (fstat (guard->nodes.fds[0], &status) < 0)
		return -1;
	*modified = status.st_mtim;
	return S_ISREG (status.st_mode) ? 1 : 0;
}

int vmc_guard_untouched (const struct vmc_guard *guard, struct vmc_error *err)
{
	struct timespec now;
	int known = time_of_modification (guard, &now);

	if (known < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot look at the image");
	if (known == 0 || (now.tv_sec == guard->modified.tv_sec && now.tv_nsec == guard->modified.tv_nsec))
		return 0;
	return vmc_fail (err, VMC_FAILED, 0, "somebody has written to the image meanwhile, past QEMU's locks");
}

/* If it cannot be told now, it is not what it was. */
void vmc_guard_wrote (struct vmc_guard *guard)
{
	struct timespec now;

	if (time_of_modification (guard, &now) == 1)
		guard->modified = now;
}

int vmc_guard_check (struct vmc_guard *guard, struct vmc_error *err)
{
	return vmc_process_ended (&guard->process) ? tell_end (guard, err) : vmc_guard_untouched (guard, err);
}

static int connect_guard (struct vmc_guard *guard, struct vmc_error *err)
{
	int fd = vmc_process_connect (&guard->process, guard->socket, err);

	return fd < 0 ? vmc_fail_in (err, "the guard over the base") : fd;
}

/* The kernel closes the sockets of one that is killed a moment before it can be waited for. */
static bool has_hung_up (int fd)
{
	struct pollfd entry = {.fd = fd, .events = POLLRDHUP};

	return poll (&entry, 1, 0) > 0;
}

int vmc_guard_read (struct vmc_guard *guard, uint64_t disk_bytes, const struct vmc_claims *claims, uint64_t deadline_ms,
		    const struct vmc_meanwhile *meanwhile, struct vmc_reading *reading, struct vmc_error *err)
{
	int fd = connect_guard (guard, err), result;

	if (fd < 0)
		return -1;
	result = vmc_reader_run (fd, disk_bytes, claims, deadline_ms, meanwhile, reading, err);
	if (has_hung_up (fd))
		result = tell_end (guard, err);
	(void) close (fd);
	return result;
}

/* A line of /proc/locks, as "8: OFDLCK ADVISORY  READ -1 fe:00:1089571 100 101"; the end may be "EOF". Any lock on the byte
 * means permission, as for QEMU. "->" in place of the kind: it waits. */
static bool is_writer (const char *line, const struct stat *image)
{
	unsigned major_number, minor_number;
	unsigned long long inode, start, end = UINT64_MAX;
	char kind[16];

	if (sscanf (line, "%*d: %15s %*s %*s %*d %x:%x:%llu %llu %llu", kind, &major_number, &minor_number, &inode,
		    &start, &end) < 5)
		return false;
	return (strcmp (kind, "OFDLCK") == 0 || strcmp (kind, "POSIX") == 0) &&
	       makedev (major_number, minor_number) == image->st_dev && inode == image->st_ino &&
	       start <= QEMU_PERMISSION_BASE + QEMU_PERMISSION_WRITE &&
	       end >= QEMU_PERMISSION_BASE + QEMU_PERMISSION_WRITE;
}

static unsigned writers_of (FILE *locks, const struct stat *image)
{
	char line[256];
	unsigned count = 0;

	rewind (locks);
	while (fgets (line, sizeof line, locks) != NULL)
		count += is_writer (line, image);
	return count;
}

unsigned vmc_guard_writers (const char *path)
{
	VMC_CLEANUP_NODES struct vmc_nodes nodes = {0};
	FILE *locks = fopen ("/proc/locks", "re");
	struct vmc_error ignored;
	unsigned count = 0;

	if (locks == NULL)
		return 0;
	if (vmc_nodes_open (&nodes, path, &ignored) == 0)
		for (size_t i = 0; i < nodes.count; i++) {
			struct stat status;

			count += fstat (nodes.fds[i], &status) == 0 ? writers_of (locks, &status) : 0;
		}
	(void) fclose (locks);
	return count;
}

/* -1: not locked. */
static int lock_byte (int fd, int command, short type, off_t byte, struct flock *lock)
{
	*lock = (struct flock) {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
	return fcntl (fd, command, lock);
}

static int lock_node (int fd, const char *path, struct vmc_error *err)
{
	struct flock lock;

	if (lock_byte (fd, F_OFD_SETLK, F_RDLCK, QEMU_UNSHARED_BASE + QEMU_PERMISSION_WRITE, &lock) < 0)
		return vmc_fail (err, VMC_REFUSED, errno, "'%s' cannot be locked against writing", path);
	if (lock_byte (fd, F_OFD_GETLK, F_WRLCK, QEMU_PERMISSION_BASE + QEMU_PERMISSION_WRITE, &lock) < 0)
		return vmc_fail (err, VMC_REFUSED, errno, "it cannot be told whether somebody writes to '%s'", path);
	if (lock.l_type != F_UNLCK)
		return vmc_fail (err, VMC_REFUSED, 0, "somebody has '%s' open for writing", path);
	return 0;
}

int vmc_guard_lock (struct vmc_guard *guard, const char *path, struct vmc_error *err)
{
	if (vmc_nodes_open (&guard->nodes, path, err) < 0)
		return -1;
	for (size_t i = 0; i < guard->nodes.count; i++)
		if (lock_node (guard->nodes.fds[i], path, err) < 0)
			return -1;
	vmc_guard_wrote (guard);
	return 0;
}

/* A lease to read is given only while nobody has the file open for writing. It is given back at once: who opens the file for writing
 * would wait for it, and we would get a signal, which is one that does nothing. Returns 0, or why it was not given: a filesystem without
 * leases (EINVAL) tells nothing, and that is not held against it. */
static int ask_lease (int fd)
{
	int result = fcntl (fd, F_SETSIG, SIGURG) < 0 || fcntl (fd, F_SETLEASE, F_RDLCK) < 0 ? errno : 0;

	(void) fcntl (fd, F_SETLEASE, F_UNLCK);
	return result == EINVAL ? 0 : result;
}

static int open_to_look (const char *path, struct vmc_error *err)
{
	int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd >= 0 ? fd : vmc_fail (err, VMC_FAILED, errno, "cannot open '%s'", path);
}

int vmc_guard_unwritten (const char *path, struct vmc_error *err)
{
	int fd = open_to_look (path, err), why_not;

	if (fd < 0)
		return -1;
	why_not = ask_lease (fd);
	(void) close (fd);
	if (why_not == EAGAIN)
		return vmc_fail (err, VMC_REFUSED, 0,
				 "somebody has '%s' open for writing, or it lies where that cannot be told (NFS)",
				 path);
	return why_not == 0 ? 0
			    : vmc_fail (err, VMC_REFUSED, why_not,
					"it cannot be told whether somebody has '%s' open for writing", path);
}

int vmc_guard_alone (const char *path, struct vmc_error *err)
{
	struct flock lock = {.l_type = F_WRLCK,
			     .l_whence = SEEK_SET,
			     .l_start = QEMU_PERMISSION_BASE,
			     .l_len = QEMU_UNSHARED_BASE + QEMU_PERMISSIONS - QEMU_PERMISSION_BASE};
	int fd = open_to_look (path, err), asked;

	if (fd < 0)
		return -1;
	asked = fcntl (fd, F_OFD_GETLK, &lock);
	(void) close (fd);
	if (asked < 0)
		return vmc_fail (err, VMC_REFUSED, errno, "it cannot be told whether somebody uses '%s'", path);
	if (lock.l_type != F_UNLCK)
		return vmc_fail (err, VMC_REFUSED, 0,
				 "somebody has '%s' open: a QEMU, or another program that locks it as QEMU does", path);
	return vmc_guard_unwritten (path, err);
}

int vmc_guard_ask (const char *path, bool *written, struct vmc_error *err)
{
	VMC_CLEANUP_NODES struct vmc_nodes nodes = {0};
	struct vmc_error why; /* ERR may hold another error, which a file that is not there does not replace */

	*written = false;
	if (vmc_nodes_open (&nodes, path, &why) < 0) {
		if (why.errnum == ENOENT)
			return 0;
		*err = why;
		return vmc_fail_in (err, "it cannot be asked who writes");
	}
	for (size_t i = 0; i < nodes.count && !*written; i++) {
		struct flock lock;

		*written = lock_byte (nodes.fds[i], F_OFD_GETLK, F_WRLCK, QEMU_PERMISSION_BASE + QEMU_PERMISSION_WRITE,
				      &lock) == 0 &&
			   lock.l_type != F_UNLCK;
	}
	return 0;
}

bool vmc_guard_written (const char *path)
{
	struct vmc_error unheard;
	bool written;

	return vmc_guard_ask (path, &written, &unheard) == 0 && written;
}

/* SHARED: a QEMU may have it open for writing. */
static int serve (struct vmc_guard *guard, const char *name, const char *format, const char *path, bool shared,
		  struct vmc_error *err)
{
	char options[VMC_IMAGE_OPTIONS_SIZE + sizeof SHARED], socket_option[128];
	const char *const argv[] = {"qemu-nbd",    "--read-only",  "--persistent", "--shared=2",
				    socket_option, "--image-opts", options,        NULL};
	int fd;

	if (vmc_directory_prepare (VMC_RUN_DIRECTORY, err) < 0)
		return -1;
	(void) snprintf (guard->socket, sizeof guard->socket, VMC_RUN_DIRECTORY "/%s.nbd", name);
	(void) snprintf (socket_option, sizeof socket_option, "--socket=%s", guard->socket);
	vmc_image_options (format, path, options);
	if (shared)
		(void) strcat (options, SHARED);
	(void) unlink (guard->socket); /* of a run that was killed: we hold the domain's lock */
	if (vmc_process_start (&guard->process, argv, -1, err) < 0)
		return -1;
	fd = connect_guard (guard, err);
	if (fd < 0)
		return -1;
	(void) close (fd);
	return 0;
}

int vmc_guard_start (struct vmc_guard *guard, const char *name, const char *format, const char *path,
		     struct vmc_error *err)
{
	return vmc_guard_lock (guard, path, err) < 0 ? -1 : serve (guard, name, format, path, false, err);
}

int vmc_guard_look (struct vmc_guard *guard, const char *name, const char *format, const char *path,
		    struct vmc_error *err)
{
	return serve (guard, name, format, path, true, err);
}

void vmc_guard_drop (struct vmc_guard *guard)
{
	vmc_process_end (&guard->process);
	if (guard->socket[0] != 0)
		(void) unlink (guard->socket);
	guard->socket[0] = 0;
	vmc_nodes_close (&guard->nodes);
}
