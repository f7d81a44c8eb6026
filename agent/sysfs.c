/* sysfs.c - see sysfs.h */
#include "sysfs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

bool vmc_sysfs_text (const char *directory, const char *file, char *text, size_t size)
{
	char path[PATH_MAX];
	ssize_t length;
	int fd;

	if (snprintf (path, sizeof path, "%s/%s", directory, file) >= (int) sizeof path)
		return false;
	fd = open (path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	length = read (fd, text, size - 1);
	(void) close (fd);
	if (length < 0)
		return false;
	text[length] = 0;
	text[strcspn (text, "\n")] = 0;
	return true;
}

uint64_t vmc_sysfs_number (const char *directory, const char *file)
{
	char text[32];
	unsigned long long number;

	if (!vmc_sysfs_text (directory, file, text, sizeof text))
		return 0;
	number = strtoull (text, NULL, 10);
	return number < INT64_MAX / VMC_SECTOR_BYTES ? number : 0;
}

bool vmc_sysfs_exists (const char *directory, const char *file)
{
	char path[PATH_MAX];

	return snprintf (path, sizeof path, "%s/%s", directory, file) < (int) sizeof path && access (path, F_OK) == 0;
}

bool vmc_sysfs_device (const char *directory, dev_t *number)
{
	unsigned major, minor;
	char text[32];

	if (!vmc_sysfs_text (directory, "dev", text, sizeof text) || sscanf (text, "%u:%u", &major, &minor) != 2)
		return false;
	*number = makedev (major, minor);
	return true;
}

const char *vmc_sysfs_last_name (const char *path)
{
	const char *slash = strrchr (path, '/');

	return slash ? slash + 1 : path;
}
