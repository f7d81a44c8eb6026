/* file.c - see file.h */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_SIZE 4096 /* PATH_MAX */

/* How many of SIZE bytes there are; -1 with errno set. */
static ssize_t fill (int fd, char *text, size_t size)
{
	size_t used = 0;

	while (used < size) {
		ssize_t got = read (fd, text + used, size - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		used += (size_t) got;
	}
	return (ssize_t) used;
}

char *vmc_file_read (int fd, size_t max_bytes, size_t *length)
{
	struct stat status;
	ssize_t filled;
	char *text;

	if (fstat (fd, &status) < 0)
		return NULL;
	if (!S_ISREG (status.st_mode) || status.st_size < 0 || (size_t) status.st_size > max_bytes) {
		errno = EINVAL;
		return NULL;
	}
	text = malloc ((size_t) status.st_size + 1);
	if (text == NULL)
		return NULL;
	filled = fill (fd, text, (size_t) status.st_size);
	if (filled < 0) {
		free (text);
		return NULL;
	}
	text[filled] = 0;
	*length = (size_t) filled;
	return text;
}

static int write_all (int fd, const char *text)
{
	size_t left = strlen (text);

	while (left > 0) {
		ssize_t wrote = write (fd, text, left);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return -1;
		text += wrote;
		left -= (size_t) wrote;
	}
	return fsync (fd);
}

/* The mode is that of the file, whatever the umask is. */
static int write_file (const char *path, const char *text, mode_t mode, struct vmc_error *err)
{
	int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode), result = 0;

	if (fd < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot open '%s'", path);
	if (fchmod (fd, mode) < 0 || write_all (fd, text) < 0)
		result = vmc_fail (err, VMC_FAILED, errno, "cannot write '%s'", path);
	if (close (fd) < 0 && result == 0)
		result = vmc_fail (err, VMC_FAILED, errno, "cannot close '%s'", path);
	return result;
}

int vmc_file_replace (const char *path, const char *text, mode_t mode, struct vmc_error *err)
{
	char new[NAME_SIZE];
	int result;

	if (snprintf (new, sizeof new, "%s" VMC_FILE_NEW, path) >= (int) sizeof new)
		return vmc_fail (err, VMC_FAILED, ENAMETOOLONG, "cannot write '%.300s'", path);
	result = write_file (new, text, mode, err);
	if (result == 0 && rename (new, path) < 0)
		result = vmc_fail (err, VMC_FAILED, errno, "cannot rename '%s'", new);
	if (result < 0)
		(void) unlink (new);
	return result;
}
