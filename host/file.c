/* file.c - see file.h */
#include "file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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
