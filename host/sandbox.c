/* sandbox.c - see sandbox.h
 *
 * How it works, in the order in which it happens:
 *
 *   environment   emptied: no library is told by it to write traces or to open files.
 *   descriptors   all are closed but the socket and the pipe.
 *   files         root moves into an empty directory (chroot), which its new user may not even search.
 *   memory        when the host runs out of it, the kernel takes this process first; no core is dumped.
 *   user          root becomes a user that nobody else is, without groups and, by no_new_privs, without a way back. No other
 *                 process can be traced or signalled by it, no file is its own. Whoever is not root stays who he is.
 *   limits        address space, processor time, processes and descriptors; the death of the parent kills it.
 *   libraries     are set up by the caller now: the NBD handshake with qemu-nbd, in which the guest has no say, and the file
 *                 in memory. What the C library asks the system once, it is made to ask now (warm_up).
 *   system calls  a seccomp filter, default SCMP_ACT_KILL_PROCESS. Calls that name a descriptor are held to the one that they
 *                 are for; memory can be mapped, but neither a file nor anything executable; nothing makes a new
 *                 descriptor, process or name.
 *
 * The filter is not the only wall: each of the others stands without it. What is left to one who breaks in is to read the disk
 * that is his anyway, to write lies into the pipe, which the parent checks, and to use up processor time and memory until a
 * limit, the parent's deadline or the kernel ends him.
 *
 * AddressSanitizer needs more address space than any limit and a few more calls (SANITIZER_CALLS): the limit of memory is not
 * set there, and these calls are let through, still without anything executable. The rest is the same; a report of the sanitizer
 * is a write to where nothing is, so that its finding shows as a death by SIGSYS.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "directories.h"

#define MEMORY_MAX_BYTES (512u << 20) /* of address space, most of it libraries */
#define CPU_MAX_SECONDS 120
#define DESCRIPTORS_MAX 4 /* the socket, the pipe, the file in memory, and one to spare while it is made */

/* A user that nobody else is: no other process can be traced or signalled by it, no file is its own. */
#define UID_BASE 1900000000u

#define EMPTY_DIRECTORY VMC_RUN_DIRECTORY "/empty"

/* --- giving up ---------------------------------------------------------------------------------------------------------- */

static int limit (int resource, rlim_t value)
{
	struct rlimit both = {value, value};

	return setrlimit (resource, &both);
}

static int set_limits (struct vmc_error *err)
{
#ifndef __SANITIZE_ADDRESS__
	if (limit (RLIMIT_AS, MEMORY_MAX_BYTES) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot limit memory");
#endif
	if (limit (RLIMIT_CPU, CPU_MAX_SECONDS) < 0 || limit (RLIMIT_CORE, 0) < 0 || limit (RLIMIT_NPROC, 0) < 0 ||
	    limit (RLIMIT_NOFILE, DESCRIPTORS_MAX) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot limit resources");
	return 0;
}

/* Be the first whom the kernel kills for memory: the file in memory has no limit of its own. */
static int be_first_to_die (struct vmc_error *err)
{
	int fd = open ("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write (fd, "1000", 4) == 4;

	if (fd >= 0)
		(void) close (fd);
	return written ? 0 : vmc_fail (err, VMC_FAILED, errno, "cannot be the first to be killed for memory");
}

static int leave_files (struct vmc_error *err)
{
	if (vmc_directory_prepare (VMC_RUN_DIRECTORY, err) < 0 || vmc_directory_prepare (EMPTY_DIRECTORY, err) < 0)
		return -1;
	if (chroot (EMPTY_DIRECTORY) < 0 || chdir ("/") < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot leave the files behind");
	return 0;
}

static int change_user (struct vmc_error *err)
{
	uid_t id = UID_BASE + (uid_t) getpid ();

	if (setgroups (0, NULL) < 0 || setresgid (id, id, id) < 0 || setresuid (id, id, id) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot become another user");
	return 0;
}

int vmc_sandbox_drop (struct vmc_error *err)
{
	bool root = geteuid () == 0;

	if (clearenv () != 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot empty the environment");
	if (close_range (2, ~0U, 0) < 0 || chdir ("/") < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot drop descriptors");
	if (be_first_to_die (err) < 0 || (root && (leave_files (err) < 0 || change_user (err) < 0)))
		return -1;
	if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl (PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot give up privileges");
	if (set_limits (err) < 0)
		return -1;
	/* The death of the parent was to kill us; a change of user has cleared that. */
	return prctl (PR_SET_PDEATHSIG, SIGKILL) < 0 ? vmc_fail (err, VMC_FAILED, errno, "cannot set a signal") : 0;
}

/* --- the filter --------------------------------------------------------------------------------------------------------- */

/* A call that is let through; with a descriptor in its first argument, unless FD is ANY. */
struct call {
	int number;
	int fd;
};

#define ANY (-1)
#define MEMORY (-2)

static const struct call calls[] = {
	/* the disk, by NBD: libnbd sends, receives and waits */
	{SCMP_SYS (poll), ANY},
	{SCMP_SYS (ppoll), ANY},
	{SCMP_SYS (restart_syscall), ANY}, /* what poll becomes when the process was stopped and goes on */
	/* the report */
	{SCMP_SYS (write), VMC_SANDBOX_PIPE_FD},
	/* the file in memory */
	{SCMP_SYS (read), MEMORY},
	{SCMP_SYS (lseek), MEMORY},
	{SCMP_SYS (pread64), MEMORY},
	{SCMP_SYS (pwrite64), MEMORY},
	{SCMP_SYS (ftruncate), MEMORY},
	{SCMP_SYS (fadvise64), MEMORY},
	{SCMP_SYS (fstat), MEMORY},
	/* memory; what may be mapped is below */
	{SCMP_SYS (brk), ANY},
	{SCMP_SYS (munmap), ANY},
	/* who it is: libext2fs, from 1.47.1 on, asks before it looks into the environment */
	{SCMP_SYS (getuid), ANY},
	{SCMP_SYS (geteuid), ANY},
	{SCMP_SYS (getgid), ANY},
	{SCMP_SYS (getegid), ANY},
	/* the time, where the kernel's page does not tell it, and the end */
	{SCMP_SYS (clock_gettime), ANY},
	{SCMP_SYS (gettimeofday), ANY},
	{SCMP_SYS (time), ANY},
	{SCMP_SYS (exit_group), ANY},
};

#ifdef __SANITIZE_ADDRESS__
/* Its allocator, its locks and its stack traces. */
#define SANITIZER_CALLS 1
static const struct call sanitizer_calls[] = {
	{SCMP_SYS (madvise), ANY},   {SCMP_SYS (futex), ANY},       {SCMP_SYS (sched_yield), ANY},
	{SCMP_SYS (gettid), ANY},    {SCMP_SYS (sigaltstack), ANY}, {SCMP_SYS (rt_sigprocmask), ANY},
	{SCMP_SYS (getrlimit), ANY}, {SCMP_SYS (getpid), ANY},
};
#endif

static int allow_calls (scmp_filter_ctx filter, const struct call *list, size_t count, int memory_fd)
{
	for (size_t i = 0; i < count; i++) {
		int fd = list[i].fd == MEMORY ? memory_fd : list[i].fd;
		int result = fd == ANY ? seccomp_rule_add (filter, SCMP_ACT_ALLOW, list[i].number, 0)
				       : seccomp_rule_add (filter, SCMP_ACT_ALLOW, list[i].number, 1,
							   SCMP_A0_32 (SCMP_CMP_EQ, (uint32_t) fd));

		if (result < 0)
			return result;
	}
	return 0;
}

/* The socket sends and receives, without an address. */
static int allow_socket (scmp_filter_ctx filter)
{
	int result = seccomp_rule_add (filter, SCMP_ACT_ALLOW, SCMP_SYS (sendto), 2,
				       SCMP_A0_32 (SCMP_CMP_EQ, VMC_SANDBOX_SOCKET_FD), SCMP_A4 (SCMP_CMP_EQ, 0));

	if (result < 0)
		return result;
	return seccomp_rule_add (filter, SCMP_ACT_ALLOW, SCMP_SYS (recvfrom), 2,
				 SCMP_A0_32 (SCMP_CMP_EQ, VMC_SANDBOX_SOCKET_FD), SCMP_A4 (SCMP_CMP_EQ, 0));
}

/* How the C library asks for the size of an open file. By a descriptor of no directory it reaches no other file but by an
 * absolute name, and there are none in the empty directory. */
static int allow_fstat (scmp_filter_ctx filter, int memory_fd)
{
	return seccomp_rule_add (filter, SCMP_ACT_ALLOW, SCMP_SYS (newfstatat), 2,
				 SCMP_A0_32 (SCMP_CMP_EQ, (uint32_t) memory_fd),
				 SCMP_A3_32 (SCMP_CMP_EQ, AT_EMPTY_PATH));
}

/* The last thing that libext2fs asks: whether the process may be dumped. */
static int allow_prctl (scmp_filter_ctx filter)
{
	return seccomp_rule_add (filter, SCMP_ACT_ALLOW, SCMP_SYS (prctl), 1,
				 SCMP_A0_32 (SCMP_CMP_EQ, PR_GET_DUMPABLE));
}

/* Memory of its own, never executable: no file, nothing shared, no other bits than these; realloc may move it, and libblkid, from
 * 2.40 on, makes what it has read read-only. */
static int allow_memory (scmp_filter_ctx filter)
{
	const uint64_t harmless = PROT_READ | PROT_WRITE;
	uint64_t kinds = MAP_PRIVATE | MAP_ANONYMOUS, more = 0;
	int result;

#ifdef SANITIZER_CALLS
	more = MAP_FIXED | MAP_NORESERVE;
#endif
	result = seccomp_rule_add (filter, SCMP_ACT_ALLOW, SCMP_SYS (mprotect), 1,
				   SCMP_A2_64 (SCMP_CMP_MASKED_EQ, ~harmless, 0));
	if (result < 0)
		return result;
	result = seccomp_rule_add (filter, SCMP_ACT_ALLOW, SCMP_SYS (mmap), 2,
				   SCMP_A2_64 (SCMP_CMP_MASKED_EQ, ~harmless, 0),
				   SCMP_A3_64 (SCMP_CMP_MASKED_EQ, ~more, kinds));
	if (result < 0)
		return result;
	return seccomp_rule_add (filter, SCMP_ACT_ALLOW, SCMP_SYS (mremap), 1,
				 SCMP_A3_64 (SCMP_CMP_EQ, MREMAP_MAYMOVE));
}

static int fill (scmp_filter_ctx filter, int memory_fd)
{
	int result = seccomp_attr_set (filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (result == 0)
		result = allow_calls (filter, calls, sizeof calls / sizeof calls[0], memory_fd);
#ifdef SANITIZER_CALLS
	if (result == 0)
		result = allow_calls (filter, sanitizer_calls, sizeof sanitizer_calls / sizeof sanitizer_calls[0],
				      memory_fd);
#endif
	if (result == 0)
		result = allow_socket (filter);
	if (result == 0)
		result = allow_fstat (filter, memory_fd);
	if (result == 0)
		result = allow_prctl (filter);
	if (result == 0)
		result = allow_memory (filter);
	return result == 0 ? seccomp_load (filter) : result;
}

static int compare_bytes (const void *a, const void *b)
{
	return *(const unsigned char *) a - *(const unsigned char *) b;
}

/* Before it sorts more than 1 KiB for the first time, glibc's qsort looks how much memory there is: by sysinfo, or in /proc. */
static void warm_up (void)
{
	unsigned char bytes[4096] = {1};

	qsort (bytes, sizeof bytes, 1, compare_bytes);
}

int vmc_sandbox_close (int memory_fd, struct vmc_error *err)
{
	scmp_filter_ctx filter = seccomp_init (SCMP_ACT_KILL_PROCESS);
	int result;

	warm_up ();
	if (filter == NULL)
		return vmc_fail (err, VMC_FAILED, 0,
				 "cannot filter system calls: no memory, or a kernel before Linux 4.14");
	result = fill (filter, memory_fd);
	seccomp_release (filter);
	if (result < 0)
		return vmc_fail (err, VMC_FAILED, -result, "cannot filter system calls: %s", strerror (-result));
	return 0;
}
