/* guard.c - tests of host/guard.c: who has a file open for writing, by QEMU's locks on a nameless file; a guard that dies while the
 * reader, this program itself, reads */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "guard.h"
#include "punch.h"

#define WRITES 101 /* the byte that says "I write" */

static int file = -1;
static char path[64];

static int make_file (void **state)
{
	(void) state;
	file = memfd_create ("image", MFD_CLOEXEC); /* its device is the same for stat and for the kernel's list */
	(void) snprintf (path, sizeof path, "/proc/self/fd/%d", file);
	return file < 0;
}

static int close_file (void **state)
{
	(void) state;
	return close (file);
}

/* Another opening of it with a lock as QEMU takes it; to be closed. LENGTH 0: to the end. */
static int lock_bytes (off_t start, off_t length)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
	int fd = open (path, O_RDWR | O_CLOEXEC);

	assert_true (fd >= 0);
	assert_int_equal (fcntl (fd, F_OFD_SETLK, &lock), 0);
	return fd;
}

static unsigned writers (void)
{
	char name[64];

	(void) snprintf (name, sizeof name, "/proc/self/fd/%d", file);
	return vmc_guard_writers (name);
}

static void each_opening_counts (void **state)
{
	int first, second;

	(void) state;
	assert_int_equal (writers (), 0);
	first = lock_bytes (WRITES, 1);
	assert_int_equal (writers (), 1);
	second = lock_bytes (WRITES, 1);
	assert_int_equal (writers (), 2);
	(void) close (first);
	(void) close (second);
	assert_int_equal (writers (), 0);
}

static void a_lock_counts_that_covers_the_byte (void **state)
{
	static const struct {
		off_t start, length;
		unsigned count;
	} cases[] = {{100, 2, 1}, {101, 3, 1}, {0, 0, 1},   {101, 0, 1},
		     {100, 1, 0}, {102, 1, 0}, {201, 1, 0}, {102, 0, 0}};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		int fd = lock_bytes (cases[i].start, cases[i].length);

		if (writers () != cases[i].count)
			fail_msg ("case %zu", i);
		(void) close (fd);
	}
}

static void a_lock_of_a_process_counts_too (void **state)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	(void) state;
	assert_int_equal (fcntl (file, F_SETLK, &lock), 0);
	assert_int_equal (writers (), 1);
}

static void another_file_does_not_count (void **state)
{
	int locked = lock_bytes (WRITES, 1), old = file;

	assert_int_equal (make_file (state), 0);
	assert_int_equal (writers (), 0);
	(void) close (file);
	(void) close (locked);
	file = old;
}

/* In the middle of a run: the base must have no writer at all. */
static void a_base_with_a_writer_is_not_guarded (void **state)
{
	struct vmc_guard guard = VMC_GUARD_INIT;
	struct vmc_error err;
	int locked;

	(void) state;
	if (geteuid () != 0)
		skip ();
	locked = lock_bytes (WRITES, 1);
	assert_int_equal (vmc_guard_start (&guard, "unit", "raw", path, &err), -1);
	assert_error (err, VMC_REFUSED, "open for writing");
	vmc_guard_drop (&guard);
	(void) close (locked);
}

/* Asked by somebody who has an error to tell already. */
static void a_file_that_is_not_there_has_no_writer_and_tells_no_error (void **state)
{
	struct vmc_error err;
	bool written = true;

	(void) state;
	(void) vmc_fail (&err, VMC_FAILED, EIO, "the first error");
	assert_int_equal (vmc_guard_ask ("/nowhere/at/all", &written, &err), 0);
	assert_false (written);
	assert_int_equal (vmc_guard_ask ("", &written, &err), 0);
	assert_error (err, VMC_FAILED, "the first error");
	assert_int_equal (vmc_guard_ask ("/proc/version/below", &written, &err), -1);
}

/* At rest: not even a reader, and nobody who writes without a lock. */
static void any_lock_of_a_qemu_is_company (void **state)
{
	static const off_t bytes[] = {100, 101, 103, 163, 200, 201, 263};
	struct vmc_error err;

	(void) state;
	(void) close (file); /* which is open for writing itself */
	(void) snprintf (path, sizeof path, "/tmp/vmcompact-unit.%d", (int) getpid ());
	file = open (path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal (vmc_guard_alone (path, &err), 0);
	for (size_t i = 0; i < UNIT_COUNT (bytes); i++) {
		struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = bytes[i], .l_len = 1};

		assert_int_equal (fcntl (file, F_OFD_SETLK, &lock), 0);
		assert_int_equal (vmc_guard_alone (path, &err), -1);
		assert_error (err, VMC_REFUSED, "open: a QEMU");
		lock.l_type = F_UNLCK;
		assert_int_equal (fcntl (file, F_OFD_SETLK, &lock), 0);
	}
	assert_int_equal (vmc_guard_alone (path, &err), 0);
	(void) unlink (path);
}

static void a_writer_without_a_lock_is_company (void **state)
{
	struct vmc_error err;
	int writer;

	(void) state;
	(void) close (file);
	(void) snprintf (path, sizeof path, "/tmp/vmcompact-unit.%d", (int) getpid ());
	file = open (path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal (vmc_guard_unwritten (path, &err), 0);
	writer = open (path, O_WRONLY | O_CLOEXEC);
	assert_int_equal (vmc_guard_unwritten (path, &err), -1);
	assert_error (err, VMC_REFUSED, "open for writing");
	assert_int_equal (vmc_guard_alone (path, &err), -1);
	(void) close (writer);
	assert_int_equal (vmc_guard_alone (path, &err), 0);
	(void) unlink (path);
}

/* Who is neither the owner nor allowed to, is given no lease: then nobody knows. */
static void a_lease_that_is_not_ours_to_ask_for_is_no_proof (void **state)
{
	struct vmc_error err;
	int result;

	(void) state;
	if (geteuid () != 0)
		skip ();
	(void) close (file);
	(void) snprintf (path, sizeof path, "/tmp/vmcompact-unit.%d", (int) getpid ());
	file = open (path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal (seteuid (65534), 0);
	result = vmc_guard_unwritten (path, &err);
	assert_int_equal (seteuid (0), 0);
	assert_int_equal (result, -1);
	assert_error (err, VMC_REFUSED, "it cannot be told whether somebody has");
	(void) unlink (path);
}

static int write_once (void *opaque, uint64_t done_bytes, uint64_t total_bytes, struct vmc_error *err)
{
	int *left = opaque;

	(void) done_bytes;
	(void) total_bytes;
	(void) err;
	(void) usleep (20000); /* the time that a file has is told in steps of some milliseconds */
	return *left > 0 && (*left)-- > 0 && pwrite (file, "x", 1, 0) != 1;
}

/* Between the last look around and a slice. */
static void what_somebody_writes_before_a_slice_ends_the_punching (void **state)
{
	struct vmc_guard guard = VMC_GUARD_INIT;
	struct vmc_extents ranges = {0};
	struct vmc_image image = {0};
	struct stat status;
	struct vmc_error err;
	int writes = 0;

	(void) state;
	(void) close (file);
	(void) snprintf (path, sizeof path, "/tmp/vmcompact-unit.%d", (int) getpid ());
	file = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal (posix_fallocate (file, 0, 1 << 20), 0);
	assert_int_equal (fstat (file, &status), 0);
	image.device = status.st_dev;
	image.inode = status.st_ino;
	assert_int_equal (vmc_extents_add (&ranges, 65536, 65536, &err), 0);
	assert_int_equal (vmc_extents_add (&ranges, 262144, 65536, &err), 0);
	assert_int_equal (vmc_guard_lock (&guard, path, &err), 0);
	assert_int_equal (vmc_punch (&guard, path, &image, &ranges, write_once, &writes, &err), 0);
	writes = 1;
	assert_int_equal (vmc_punch (&guard, path, &image, &ranges, write_once, &writes, &err), -1);
	assert_error (err, VMC_FAILED, "somebody has written to the image meanwhile");
	assert_int_equal (writes, 0);
	vmc_extents_clear (&ranges);
	vmc_guard_drop (&guard);
	(void) unlink (path);
}

static int kill_guard (void *opaque, struct vmc_error *err)
{
	struct vmc_guard *guard = opaque;

	(void) err;
	return kill (guard->process.pid, SIGKILL);
}

/* It stands still, so that the reader waits for its greeting; then it dies, and the reader's connection with it. */
static void a_guard_that_dies_is_told_not_what_the_reader_saw_of_it (void **state)
{
	struct vmc_guard guard = VMC_GUARD_INIT;
	struct vmc_reading reading = {0};
	struct vmc_error err;

	(void) state;
	if (geteuid () != 0)
		skip ();
	(void) close (file);
	(void) snprintf (path, sizeof path, "/tmp/vmcompact-unit.%d", (int) getpid ());
	file = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal (ftruncate (file, 1 << 20), 0);
	assert_int_equal (vmc_guard_start (&guard, "unit", "raw", path, &err), 0);
	assert_int_equal (kill (guard.process.pid, SIGSTOP), 0);
	assert_int_equal (vmc_guard_read (&guard, 1 << 20, NULL, vmc_now_ms () + 20000,
					  &(struct vmc_meanwhile) {kill_guard, &guard}, &reading, &err),
			  -1);
	assert_error (err, VMC_FAILED, "the guard over the base ended: 'qemu-nbd' was ended by signal 9");
	vmc_reading_clear (&reading);
	vmc_guard_drop (&guard);
	(void) unlink (path);
}

#define FILE_TEST(test) cmocka_unit_test_setup_teardown (test, make_file, close_file)

static const struct CMUnitTest tests[] = {
	FILE_TEST (each_opening_counts),
	FILE_TEST (a_lock_counts_that_covers_the_byte),
	FILE_TEST (a_lock_of_a_process_counts_too),
	FILE_TEST (another_file_does_not_count),
	FILE_TEST (a_base_with_a_writer_is_not_guarded),
	cmocka_unit_test (a_file_that_is_not_there_has_no_writer_and_tells_no_error),
	FILE_TEST (any_lock_of_a_qemu_is_company),
	FILE_TEST (a_writer_without_a_lock_is_company),
	FILE_TEST (a_lease_that_is_not_ours_to_ask_for_is_no_proof),
	FILE_TEST (what_somebody_writes_before_a_slice_ends_the_punching),
	FILE_TEST (a_guard_that_dies_is_told_not_what_the_reader_saw_of_it),
};

int main (int argc, char **argv)
{
	if (argc >= 2 && strcmp (argv[1], VMC_READER_OPTION) == 0)
		_exit (vmc_reader_main (false));
	return unit_missing ("qemu-nbd") ? 0 : UNIT_RUN (tests);
}
