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

static void clear_mount (struct vmc_mount *mount)
{
	free (mount->mount_point);
	free (mount->source);
}

void vmc_mounts_clear (struct vmc_mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++)
		clear_mount (&mounts->items[i]);
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
	char *root, *mount_point, *type, *source;
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
	line->source = strtok_r (NULL, " ", &save);
	options = strtok_r (NULL, " ", &save);
	line->read_only = options != NULL && is_read_only (options);
	return line->id >= 0 && line->root && line->mount_point && line->type && line->source;
}

static bool known (const struct vmc_mounts *mounts, const struct line *line)
{
	for (size_t i = 0; i < mounts->count; i++)
		if (mounts->items[i].major == line->major && mounts->items[i].minor == line->minor)
			return true;
	return false;
}

static bool may_have_device (const struct line *line)
{
	return line->major != 0 || strncmp (line->source, "/dev/", 5) == 0;
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
	*mount = (struct vmc_mount) {.id = (uint64_t) line->id, .major = line->major, .minor = line->minor};
	if (line->major != 0)
		mount->device = makedev (line->major, line->minor);
	mounts->count++;
	mount->mount_point = unescape (line->mount_point);
	mount->source = unescape (line->source);
	if (mount->mount_point == NULL || mount->source == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the list of mounts");
	(void) snprintf (mount->type, sizeof mount->type, "%s", line->type);
	mount->read_only = line->read_only;
	mount->depth = depth_of (mount->mount_point);
	return 0;
}

/* Take the lines whose root in the filesystem is "/", or, after that, the others: a bind mount of a folder is as good as the
 * filesystem's own mount, but only where that one is not seen. Major 0 has no block device of that number, but may name one. */
static int take_lines (const char *text, bool whole, struct vmc_mounts *mounts, struct vmc_error *err)
{
	char *copy = strdup (text), *save = NULL;
	int result = 0;

	if (copy == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the list of mounts");
	for (char *one = strtok_r (copy, "\n", &save); one != NULL && result == 0; one = strtok_r (NULL, "\n", &save)) {
		struct line line = {0};

		if (parse_line (one, &line) && may_have_device (&line) && (strcmp (line.root, "/") == 0) == whole &&
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

/* Leave out what has no block device after all, as FUSE with its /dev/fuse. */
static void find_devices (struct vmc_mounts *mounts)
{
	size_t kept = 0;

	for (size_t i = 0; i < mounts->count; i++) {
		struct vmc_mount *mount = &mounts->items[i];
		struct stat status;

		if (mount->device == 0 && stat (mount->source, &status) == 0 && S_ISBLK (status.st_mode))
			mount->device = status.st_rdev;
		if (mount->device == 0)
			clear_mount (mount);
		else
			mounts->items[kept++] = *mount;
	}
	mounts->count = kept;
}

/* To be freed; NULL: it cannot be read. */
static char *read_list (struct vmc_error *err)
{
	FILE *file = fopen ("/proc/self/mountinfo", "re");
	char *text = NULL;
	size_t room = 0;

	/* No zero byte is in that file: one "line" up to it is the whole of it. */
	if (file == NULL || getdelim (&text, &room, 0, file) < 0) {
		(void) vmc_fail (err, VMC_FAILED, errno, "cannot read /proc/self/mountinfo");
		free (text);
		text = NULL;
	}
	if (file != NULL)
		(void) fclose (file);
	return text;
}

int vmc_mounts_read (struct vmc_mounts *mounts, struct vmc_error *err)
{
	char *text = read_list (err);
	int result = text ? vmc_mounts_parse (text, mounts, err) : -1;

	find_devices (mounts);
	free (text);
	return result;
}

/* By the number of the mount, which kernels from 5.8 on tell, or by that of the filesystem, which is of no use for btrfs: each of
 * its subvolumes has one of its own. */
static bool is_mount (int fd, const struct vmc_mount *mount)
{
	struct statx status = {0};
	unsigned mask = STATX_BASIC_STATS;

#ifdef STATX_MNT_ID
	mask |= STATX_MNT_ID;
#endif
	if (statx (fd, "", AT_EMPTY_PATH, mask, &status) < 0)
		return false;
#ifdef STATX_MNT_ID
	if ((status.stx_mask & STATX_MNT_ID) && status.stx_mnt_id == mount->id)
		return true;
#endif
	return mount->major != 0 && status.stx_dev_major == mount->major && status.stx_dev_minor == mount->minor;
}

int vmc_mount_open (const struct vmc_mount *mount, struct vmc_error *err)
{
	int fd = open (mount->mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot open '%s'", mount->mount_point);
	if (is_mount (fd, mount))
		return fd;
	(void) close (fd);
	return vmc_fail (err, VMC_UNSUPPORTED, 0, "another filesystem is mounted over '%s'", mount->mount_point);
}

static int open_line (const struct line *line, struct vmc_error *err)
{
	struct vmc_mount mount = {.id = (uint64_t) line->id, .major = line->major, .minor = line->minor};
	int fd;

	mount.mount_point = unescape (line->mount_point);
	if (mount.mount_point == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the list of mounts");
	fd = vmc_mount_open (&mount, err);
	free (mount.mount_point);
	return fd;
}

int vmc_mounts_open_any (const char *name, int *fd, struct vmc_error *err)
{
	char *text = read_list (err), *save = NULL;
	unsigned major = 0, minor = 0;
	int result = text ? 0 : -1;

	(void) sscanf (name, "%u:%u", &major, &minor);
	for (char *one = text ? strtok_r (text, "\n", &save) : NULL; one != NULL && result != 1;
	     one = strtok_r (NULL, "\n", &save)) {
		struct line line = {0};

		if (!parse_line (one, &line) || line.major == 0 || line.major != major || line.minor != minor)
			continue;
		*fd = open_line (&line, err);
		result = *fd >= 0 ? 1 : -1;
	}
	free (text);
	return result;
}
