/* config.c - see config.h */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

#define CONFIG_MAX_BYTES 65536

/* WORD without the white space around it. */
static char *trimmed (char *word)
{
	char *end;

	while (isspace ((unsigned char) *word))
		word++;
	end = word + strlen (word);
	while (end > word && isspace ((unsigned char) end[-1]))
		end--;
	*end = 0;
	return word;
}

static int take_line (char *line, vmc_config_take *take, void *opaque, struct vmc_error *err)
{
	char *key = trimmed (line), *equals;

	if (*key == 0 || *key == '#')
		return 0;
	equals = strchr (key, '=');
	if (equals == NULL)
		return vmc_fail (err, VMC_USAGE, 0, "'%.40s' is not 'key = value'", key);
	*equals = 0;
	return take (opaque, trimmed (key), trimmed (equals + 1), err);
}

static int take_lines (const char *path, char *text, vmc_config_take *take, void *opaque, struct vmc_error *err)
{
	unsigned number = 1;

	for (char *line = text, *next; line != NULL; line = next, number++) {
		next = strchr (line, '\n');
		if (next != NULL)
			*next++ = 0;
		if (take_line (line, take, opaque, err) < 0)
			return vmc_fail_in (err, "%s, line %u", path, number);
	}
	return 0;
}

static char *read_own (const char *path, int fd, struct vmc_error *err)
{
	struct stat status;
	size_t length;
	char *text;

	if (fstat (fd, &status) < 0) {
		(void) vmc_fail (err, VMC_USAGE, errno, "cannot look at '%s'", path);
		return NULL;
	}
	if (S_ISREG (status.st_mode) &&
	    ((status.st_uid != 0 && status.st_uid != geteuid ()) || (status.st_mode & 022) != 0)) {
		(void) vmc_fail (err, VMC_USAGE, 0,
				 "'%s' can be written by others; chown it to root, and chmod go-w it", path);
		return NULL;
	}
	if (S_ISCHR (status.st_mode)) /* /dev/null: no configuration */
		return strdup ("");
	text = vmc_file_read (fd, CONFIG_MAX_BYTES, &length);
	if (text != NULL && strlen (text) == length)
		return text;
	(void) vmc_fail (err, VMC_USAGE, text ? 0 : errno, "cannot read '%s' as a text", path);
	free (text);
	return NULL;
}

int vmc_config_read (const char *path, char **text, vmc_config_take *take, void *opaque, struct vmc_error *err)
{
	const char *name = path ? path : VMC_CONFIG_FILE;
	int fd = open (name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	*text = NULL;
	if (fd < 0 && path == NULL && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0)
		return vmc_fail (err, VMC_USAGE, errno, "cannot open '%s'", name);
	*text = read_own (name, fd, err);
	(void) close (fd);
	return *text ? take_lines (name, *text, take, opaque, err) : -1;
}
