/* file_source.h - a disk for tests: a nameless file, which programs reach as DISK_PATH */
#ifndef VMC_UNIT_FILE_SOURCE_H
#define VMC_UNIT_FILE_SOURCE_H

#include <sys/mman.h>
#include <unistd.h>

#include "source.h"
#include "unit.h"

struct file_source {
	struct vmc_source source;
	int fd;
	uint64_t shift; /* the file starts there on the disk; before it is nothing that could be read */
};

static int file_source_read (struct vmc_source *source, void *buffer, uint64_t offset, size_t length,
			     struct vmc_error *err)
{
	struct file_source *file = (struct file_source *) source;

	if (offset < file->shift ||
	    pread (file->fd, buffer, length, (off_t) (offset - file->shift)) != (ssize_t) length)
		return vmc_fail (err, VMC_FAILED, 0, "the test read where nothing is");
	return 0;
}

/* Not close-on-exec, so that programs reach it by its number. */
static inline struct file_source file_source_make (uint64_t bytes)
{
	struct file_source file = {.source = {bytes, file_source_read}, .fd = memfd_create ("disk", 0)};

	assert_true (file.fd >= 0);
	assert_int_equal (ftruncate (file.fd, (off_t) bytes), 0);
	return file;
}

static inline void file_source_end (struct file_source *file)
{
	(void) close (file->fd);
}

/* Run a shell command about the file, with "$DISK" for it; its output goes nowhere. */
static inline void file_source_run (const struct file_source *file, const char *command)
{
	char line[1000];

	(void) snprintf (line, sizeof line, "DISK=/proc/self/fd/%d; { %s; } >/dev/null 2>&1", file->fd, command);
	if (system (line) != 0)
		fail_msg ("this failed: %s", command);
}

static inline void file_source_put (const struct file_source *file, uint64_t offset, const void *bytes, size_t length)
{
	assert_int_equal (pwrite (file->fd, bytes, length, (off_t) offset), length);
}

static inline void file_source_get (const struct file_source *file, uint64_t offset, void *bytes, size_t length)
{
	assert_int_equal (pread (file->fd, bytes, length, (off_t) offset), length);
}

#endif
