/* mounts.c - see mounts.h */
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

void vmc_mounts_clear (struct vmc_mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++)
		free (mounts->items[i].mount_point);
	free (mounts->items);
	*mounts = (struct vmc_mounts) {0};
}

/* The kernel writes space, tab, newline and backslash as three octal digits. */
static char *unescape (const char *text)
{
	char *plain = malloc (strlen (text) + 1), *to = plain;

	if (plain == NULL)
		return NULL;
	while (*text != 0) {
		unsigned value;

		if (text[0] == '\\' && strspn (text + 1, "01234567") >= 3 && sscanf (text + 1, "%3o", &value) == 1) {
			*to++ = (char) value;
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = 0;
	return plain;
}

struct line {
	int id, parent;
	unsigned major, minor;
	char *root, *mount_point, *type;
	bool read_only;
};

static bool is_read_only (const char *super_options)
{
	return strncmp (super_options, "ro", 2) == 0 && (super_options[2] == ',' || super_options[2] == 0);
}

/* "36 35 98:0 /root /mount options optional... - type source super-options"; cuts TEXT into pieces. */
static bool parse_line (char *text, struct line *line)
{
	char *rest = strstr (text, " - "), *save = NULL, *options;
	int used = 0;

	if (rest == NULL ||
	    sscanf (text, "%d %d %u:%u %n", &line->id, &line->parent, &line->major, &line->minor, &used) != 4)
		return false;
	*rest = 0;
	if (text + used >= rest)
		return false;
	line->root = strtok_r (text + used, " ", &save);
	line->mount_point = strtok_r (NULL, " ", &save);
	line->type = strtok_r (rest + 3, " ", &save);
	(void) strtok_r (NULL, " ", &save);
	options = strtok_r (NULL, " ", &save);
	line->read_only = options != NULL && is_read_only (options);
	return line->root && line->mount_point && line->type;
}

static bool known (const struct vmc_mounts *mounts, const struct line *line)
{
	for (size_t i = 0; i < mounts->count; i++)
		if (mounts->items[i].major == line->major && mounts->items[i].minor == line->minor)
			return true;
	return false;
}

/* A path lies deeper than the mount it is on; "/" is the shallowest. */
static int depth_of (const char *path)
{
	int depth = 0;

	for (; *path != 0; path++)
		depth += path[0] == '/' && path[1] != 0;
	return depth;
}

static int add (struct vmc_mounts *mounts, const struct line *line, struct vmc_error *err)
{
	struct vmc_mount *items = reallocarray (mounts->items, mounts->count + 1, sizeof *items), *mount;

	if (items == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the list of mounts");
	mounts->items = items;
	mount = &items[mounts->count];
	*mount = (struct vmc_mount) {.major = line->major, .minor = line->minor};
	mount->mount_point = unescape (line->mount_point);
	if (mount->mount_point == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the list of mounts");
	mounts->count++;
	(void) snprintf (mount->type, sizeof mount->type, "%s", line->type);
	mount->read_only = line->read_only;
	mount->depth = depth_of (mount->mount_point);
	return 0;
}

/* Take the lines whose root in the filesystem is "/", or, after that, the others: a bind mount of a folder is as good as the
 * filesystem's own mount, but only where that one is not seen. Major 0 is no block device. */
static int take_lines (const char *text, bool whole, struct vmc_mounts *mounts, struct vmc_error *err)
{
	char *copy = strdup (text), *save = NULL;
	int result = 0;

	if (copy == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the list of mounts");
	for (char *one = strtok_r (copy, "\n", &save); one != NULL && result == 0; one = strtok_r (NULL, "\n", &save)) {
		struct line line = {0};

		if (parse_line (one, &line) && line.major != 0 && (strcmp (line.root, "/") == 0) == whole &&
		    !known (mounts, &line) && mounts->count < VMC_FILESYSTEMS_MAX)
			result = add (mounts, &line, err);
	}
	free (copy);
	return result;
}

int vmc_mounts_parse (const char *text, struct vmc_mounts *mounts, struct vmc_error *err)
{
	if (take_lines (text, true, mounts, err) < 0)
		return -1;
	return take_lines (text, false, mounts, err);
}

int vmc_mounts_read (struct vmc_mounts *mounts, struct vmc_error *err)
{
	FILE *file = fopen ("/proc/self/mountinfo", "re");
	char *text = NULL;
	size_t room = 0;
	int result;

	/* No zero byte is in that file: one "line" up to it is the whole of it. */
	if (file == NULL || getdelim (&text, &room, 0, file) < 0)
		result = vmc_fail (err, VMC_FAILED, errno, "cannot read /proc/self/mountinfo");
	else
		result = vmc_mounts_parse (text, mounts, err);
	if (file != NULL)
		(void) fclose (file);
	free (text);
	return result;
}

int vmc_mount_open (const struct vmc_mount *mount, struct vmc_error *err)
{
	struct stat status;
	int fd = open (mount->mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot open '%s'", mount->mount_point);
	if (fstat (fd, &status) == 0 && status.st_dev == makedev (mount->major, mount->minor))
		return fd;
	(void) close (fd);
	return vmc_fail (err, VMC_UNSUPPORTED, 0, "another filesystem is mounted over '%s'", mount->mount_point);
}
