/* sandbox.c - tests of host/sandbox.c: what one who has taken over the reader's child tries, each in a process of its own
 *
 * Each process enters the sandbox as the child does, on a socket and a pipe, and then does one thing. Nothing of it is
 * replaced; what it died of is what the kernel says. That a process arrived in the sandbox at all, and not died on the way,
 * is told by a byte that it writes into the pipe when the filter is closed.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory_file.h"
#include "sandbox.h"

#define ARRIVED 'A'
#define SURVIVED 33

static int memory_fd;
static void *page;   /* of memory, from before */
static pid_t parent; /* the test */

/* What the parent sees of one. */
struct end {
	int status;
	bool arrived;
	char said[16];
};

/* In the child: into the sandbox, and do it. Survival has a status that nothing else has. */
static void go (const int *sockets, const int *ends, void (*act) (void))
{
	struct vmc_error err;

	(void) signal (SIGILL, SIG_DFL); /* cmocka has a handler, which makes calls */
	(void) signal (SIGSEGV, SIG_DFL);
	if (dup2 (sockets[1], VMC_SANDBOX_SOCKET_FD) < 0 || dup2 (ends[1], VMC_SANDBOX_PIPE_FD) < 0 ||
	    vmc_sandbox_drop (&err) < 0)
		_exit (1);
	memory_fd = vmc_memory_file_make (&err);
	if (memory_fd < 0 || vmc_sandbox_close (memory_fd, &err) < 0)
		_exit (2);
	if (write (VMC_SANDBOX_PIPE_FD, &(char) {ARRIVED}, 1) != 1)
		_exit (3);
	act ();
	_exit (SURVIVED);
}

static struct end run (void (*act) (void))
{
	struct end end = {0};
	int sockets[2], ends[2];
	pid_t child;

	assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	assert_int_equal (pipe2 (ends, O_CLOEXEC), 0);
	assert_int_equal (write (sockets[0], "ask", 3), 3);
	(void) fflush (NULL);
	child = fork ();
	if (child == 0)
		go (sockets, ends, act);
	assert_true (child > 0);
	(void) close (sockets[1]);
	(void) close (ends[1]);
	assert_int_equal (waitpid (child, &end.status, 0), child);
	end.arrived = read (ends[0], end.said, 1) == 1 && end.said[0] == ARRIVED;
	end.said[0] = 0;
	if (end.arrived && WIFEXITED (end.status))
		assert_true (read (ends[0], end.said, sizeof end.said - 1) >= 0);
	(void) close (sockets[0]);
	(void) close (ends[0]);
	return end;
}

static void assert_killed (void (*act) (void))
{
	struct end end = run (act);

	assert_true (end.arrived);
	if (WIFEXITED (end.status))
		fail_msg ("it lived: status %d", WEXITSTATUS (end.status));
	assert_int_equal (WTERMSIG (end.status), SIGSYS);
}

static struct end assert_lives (void (*act) (void))
{
	struct end end = run (act);

	assert_true (end.arrived);
	if (WIFSIGNALED (end.status))
		fail_msg ("it was killed by signal %d", WTERMSIG (end.status));
	assert_int_equal (WEXITSTATUS (end.status), SURVIVED);
	return end;
}

/* --- what the reader does -------------------------------------------------------------------------------------------------- */

/* As libnbd asks and is answered, and as the child reports. */
static void talk (void)
{
	struct pollfd entry = {.fd = VMC_SANDBOX_SOCKET_FD, .events = POLLIN};
	char bytes[3];

	if (poll (&entry, 1, 1000) != 1 || recv (VMC_SANDBOX_SOCKET_FD, bytes, 3, 0) != 3 ||
	    send (VMC_SANDBOX_SOCKET_FD, "more", 4, MSG_NOSIGNAL) != 4 || write (VMC_SANDBOX_PIPE_FD, bytes, 3) != 3)
		_exit (1);
}

static void one_that_only_talks_lives (void **state)
{
	struct end end = assert_lives (talk);

	(void) state;
	assert_string_equal (end.said, "ask");
}

static void use_memory (void)
{
	struct stat status;
	char *large = malloc (1 << 20), bytes[4] = "";

	if (large == NULL)
		_exit (1);
	memset (large, 1, 1 << 20);
	large = realloc (large, 8 << 20);
	if (large == NULL || large[5] != 1)
		_exit (2);
	free (large);
	if (mprotect (page, 4096, PROT_READ) < 0 || mprotect (page, 4096, PROT_READ | PROT_WRITE) < 0)
		_exit (4);
	if (ftruncate (memory_fd, 1 << 20) < 0 || pwrite (memory_fd, "abc", 3, 1 << 19) != 3 ||
	    lseek (memory_fd, 1 << 19, SEEK_SET) != 1 << 19 || read (memory_fd, bytes, 3) != 3 ||
	    strcmp (bytes, "abc") != 0 || pread (memory_fd, bytes, 3, 0) != 3 || fstat (memory_fd, &status) < 0 ||
	    status.st_size != 1 << 20)
		_exit (3);
}

static void memory_and_the_file_in_it_can_be_used (void **state)
{
	(void) state;
	(void) assert_lives (use_memory);
}

static int compare_bytes (const void *a, const void *b)
{
	return *(const unsigned char *) a - *(const unsigned char *) b;
}

/* As lists of ranges are sorted, and errors are put into words. */
static void sort_and_tell (void)
{
	struct vmc_error err;
	char *bytes = calloc (1, 1 << 20);

	if (bytes == NULL)
		_exit (1);
	bytes[0] = 'x';
	qsort (bytes, 1 << 20, 1, compare_bytes);
	if (bytes[(1 << 20) - 1] != 'x' || vmc_fail (&err, VMC_FAILED, EIO, "%s", strerror (EIO)) != -1)
		_exit (2);
}

static void what_libraries_ask_once_was_asked_before (void **state)
{
	(void) state;
	(void) assert_lives (sort_and_tell);
}

static void trap (void)
{
	__builtin_trap ();
}

/* Not all that dies was killed by the filter: the test can tell the two apart. */
static void another_death_is_another_signal (void **state)
{
	struct end end = run (trap);

	(void) state;
	assert_true (end.arrived && WIFSIGNALED (end.status));
	assert_int_equal (WTERMSIG (end.status), SIGILL);
}

/* --- what one does who has broken in ------------------------------------------------------------------------------------- */

#define KILLED(name, action) \
	static void do_##name (void) \
	{ \
		(void) (action); \
	} \
	static void name##_kills (void **state) \
	{ \
		(void) state; \
		assert_killed (do_##name); \
	}

KILLED (opening_a_file, open ("/etc/passwd", O_RDONLY))
KILLED (creating_a_file, open ("/x", O_CREAT | O_WRONLY, 0600))
KILLED (opening_by_openat2, syscall (SYS_openat2, AT_FDCWD, "/", NULL, 0))
KILLED (a_socket, socket (AF_UNIX, SOCK_STREAM, 0))
KILLED (a_connection, connect (VMC_SANDBOX_SOCKET_FD, NULL, 0))
KILLED (a_packet_to_an_address, syscall (SYS_sendto, VMC_SANDBOX_SOCKET_FD, "x", 1, 0, page, 16))
KILLED (a_message_with_descriptors, sendmsg (VMC_SANDBOX_SOCKET_FD, page, 0))
KILLED (a_message_for_descriptors, recvmsg (VMC_SANDBOX_SOCKET_FD, page, 0))
KILLED (a_fork, syscall (SYS_fork))
KILLED (a_vfork, syscall (SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL))
KILLED (a_clone3, syscall (SYS_clone3, page, 64))
KILLED (an_exec, execl ("/bin/true", "true", NULL))
KILLED (an_execveat, syscall (SYS_execveat, memory_fd, "", NULL, NULL, AT_EMPTY_PATH))
KILLED (executable_memory, mmap (NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
KILLED (a_mapped_file, mmap (NULL, 4096, PROT_READ, MAP_PRIVATE, memory_fd, 0))
KILLED (shared_memory, mmap (NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
KILLED (making_memory_executable, mprotect (page, 4096, PROT_READ | PROT_EXEC))
KILLED (making_a_key_executable, syscall (SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1))
KILLED (remapping_in_place, syscall (SYS_mremap, page, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, page))
KILLED (tracing, ptrace (PTRACE_ATTACH, parent, NULL, NULL))
KILLED (being_traced, ptrace (PTRACE_TRACEME, 0, NULL, NULL))
KILLED (a_look_into_the_parent, syscall (SYS_process_vm_readv, parent, NULL, 0, NULL, 0, 0))
KILLED (a_signal_to_the_parent, syscall (SYS_kill, parent, SIGTERM))
KILLED (a_signal_to_itself, raise (SIGTERM))
KILLED (a_new_descriptor, dup (VMC_SANDBOX_SOCKET_FD))
KILLED (a_pipe, syscall (SYS_pipe2, page, 0))
KILLED (another_file_in_memory, syscall (SYS_memfd_create, "x", 0))
KILLED (reading_the_socket_as_a_file, read (VMC_SANDBOX_SOCKET_FD, page, 1))
KILLED (writing_to_the_socket_as_a_file, write (VMC_SANDBOX_SOCKET_FD, "x", 1))
KILLED (looking_at_a_file, syscall (SYS_newfstatat, AT_FDCWD, "/etc", page, 0))
KILLED (looking_at_the_pipe, syscall (SYS_newfstatat, VMC_SANDBOX_PIPE_FD, "", page, AT_EMPTY_PATH))
KILLED (a_control_call, syscall (SYS_ioctl, VMC_SANDBOX_SOCKET_FD, 0, NULL))
KILLED (another_user, syscall (SYS_setuid, 0))
KILLED (higher_limits, setrlimit (RLIMIT_CPU, page))
KILLED (another_filter, prctl (PR_SET_SECCOMP, 2, NULL))
KILLED (a_namespace, syscall (SYS_unshare, 0x10000000))
KILLED (io_uring, syscall (SYS_io_uring_setup, 1, page))
KILLED (bpf, syscall (SYS_bpf, 0, page, 0))
KILLED (a_call_that_does_not_exist, syscall (100000))

/* The other way into the kernel, with the numbers of 32-bit programs: 1 is exit there, and 20 getpid. */
#ifdef __x86_64__
static void do_call_as_32_bit (void)
{
	long result = 20;

	__asm__ volatile("int $0x80" : "+a"(result) : : "memory");
}

static void a_call_as_32_bit_kills (void **state)
{
	struct end end = run (do_call_as_32_bit);

	(void) state;
	assert_true (end.arrived);
	/* A kernel without 32-bit programs knows no such way: SIGSEGV. */
	assert_true (WIFSIGNALED (end.status) && (WTERMSIG (end.status) == SIGSYS || WTERMSIG (end.status) == SIGSEGV));
}
#endif

/* --- what was given up before the filter --------------------------------------------------------------------------------- */

/* In a process that is in the first half of the sandbox: the walls that stand without the filter. */
static int walls (void)
{
	struct rlimit limit;
	char bytes[2];

	if (getenv ("PATH") != NULL)
		return 10;
	if (fcntl (2, F_GETFD) >= 0 || fcntl (5, F_GETFD) >= 0)
		return 11;
	if (prctl (PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl (PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 12;
	if (getrlimit (RLIMIT_CPU, &limit) < 0 || limit.rlim_max > 600 || getrlimit (RLIMIT_NPROC, &limit) < 0 ||
	    limit.rlim_max != 0 || getrlimit (RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max > 4)
		return 13;
#ifndef __SANITIZE_ADDRESS__
	if (getrlimit (RLIMIT_AS, &limit) < 0 || limit.rlim_max > (1u << 30))
		return 14;
#endif
	return read (VMC_SANDBOX_SOCKET_FD, bytes, 1) == 1 ? SURVIVED : 15;
}

/* Of root: who is nobody, and sees no file. */
static int walls_of_root (void)
{
	gid_t groups[4];

	if (geteuid () < 1000 || getuid () != geteuid () || getegid () < 1000 || getgroups (4, groups) != 0)
		return 20;
	if (setuid (0) == 0 || kill (getppid (), 0) == 0)
		return 21;
	if (open ("/etc/passwd", O_RDONLY) >= 0 || open ("/", O_RDONLY) >= 0 || open ("/proc/1/stat", O_RDONLY) >= 0 ||
	    open ("/x", O_CREAT | O_WRONLY, 0600) >= 0)
		return 22;
	return SURVIVED;
}

static void the_other_walls_stand_without_the_filter (void **state)
{
	bool root = geteuid () == 0;
	int sockets[2], ends[2], status;
	pid_t child;

	(void) state;
	assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	assert_int_equal (pipe (ends), 0);
	assert_int_equal (write (sockets[0], "ask", 3), 3);
	(void) fflush (NULL);
	child = fork ();
	if (child == 0) {
		struct vmc_error err;
		int result;

		if (dup2 (sockets[1], 0) < 0 || dup2 (ends[1], 1) < 0 || vmc_sandbox_drop (&err) < 0)
			_exit (1);
		result = walls ();
		_exit (result == SURVIVED && root ? walls_of_root () : result);
	}
	assert_int_equal (waitpid (child, &status, 0), child);
	assert_true (WIFEXITED (status));
	assert_int_equal (WEXITSTATUS (status), SURVIVED);
	for (int i = 0; i < 2; i++) {
		(void) close (sockets[i]);
		(void) close (ends[i]);
	}
}

#define KILLS(name) cmocka_unit_test (name##_kills)

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (one_that_only_talks_lives),
	cmocka_unit_test (memory_and_the_file_in_it_can_be_used),
	cmocka_unit_test (what_libraries_ask_once_was_asked_before),
	cmocka_unit_test (another_death_is_another_signal),
	KILLS (opening_a_file),
	KILLS (creating_a_file),
	KILLS (opening_by_openat2),
	KILLS (a_socket),
	KILLS (a_connection),
	KILLS (a_packet_to_an_address),
	KILLS (a_message_with_descriptors),
	KILLS (a_message_for_descriptors),
	KILLS (a_fork),
	KILLS (a_vfork),
	KILLS (a_clone3),
	KILLS (an_exec),
	KILLS (an_execveat),
	KILLS (executable_memory),
	KILLS (a_mapped_file),
	KILLS (shared_memory),
	KILLS (making_memory_executable),
	KILLS (making_a_key_executable),
	KILLS (remapping_in_place),
	KILLS (tracing),
	KILLS (being_traced),
	KILLS (a_look_into_the_parent),
	KILLS (a_signal_to_the_parent),
	KILLS (a_signal_to_itself),
	KILLS (a_new_descriptor),
	KILLS (a_pipe),
	KILLS (another_file_in_memory),
	KILLS (reading_the_socket_as_a_file),
	KILLS (writing_to_the_socket_as_a_file),
	KILLS (looking_at_a_file),
	KILLS (looking_at_the_pipe),
	KILLS (a_control_call),
	KILLS (another_user),
	KILLS (higher_limits),
	KILLS (another_filter),
	KILLS (a_namespace),
	KILLS (io_uring),
	KILLS (bpf),
	KILLS (a_call_that_does_not_exist),
#ifdef __x86_64__
	KILLS (a_call_as_32_bit),
#endif
	cmocka_unit_test (the_other_walls_stand_without_the_filter),
};

int main (void)
{
	parent = getpid ();
	page = mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return page == MAP_FAILED ? 1 : UNIT_RUN (tests);
}
