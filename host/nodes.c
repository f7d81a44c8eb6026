/* nodes.c - see nodes.h
 *
 * /proc/PID/root is the root directory of a process in its own mount namespace (proc(5)): a path below it is opened as that
 * process would. A process that ends meanwhile is passed over.
 */
#include "nodes.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void vmc_nodes_close (struct vmc_nodes *nodes)
{
	for (size_t i = 0; i < nodes->count; i++)
		(void) close (nodes->fds[i]);
	nodes->count = 0;
}

static bool has_inode (const struct vmc_nodes *nodes, const struct stat *status)
{
	for (size_t i = 0; i < nodes->count; i++) {
		struct stat own;

		if (fstat (nodes->fds[i], &own) == 0 && own.st_dev == status->st_dev && own.st_ino == status->st_ino)
			return true;
	}
	return false;
}

/* Add what has PATH in the directory ROOT, if it is DEVICE and has another inode than those that are there. Opening a node that
 * is something else might do something, so it is looked at before, and after. */
static int add_node (struct vmc_nodes *nodes, const char *root, const char *path, dev_t device, struct vmc_error *err)
{
	char there[PATH_MAX * 2];
	struct stat status;
	int fd;

	(void) snprintf (there, sizeof there, "%s%s", root, path);
	if (stat (there, &status) < 0 || !S_ISBLK (status.st_mode) || status.st_rdev != device ||
	    has_inode (nodes, &status))
		return 0;
	if (nodes->count == VMC_NODES_MAX)
		return vmc_fail (err, VMC_REFUSED, 0, "more than %d programs have a node of '%s' of their own",
				 VMC_NODES_MAX, path);
	fd = open (there, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : vmc_fail (err, VMC_REFUSED, errno, "cannot open '%s'", there);
	if (fstat (fd, &status) < 0 || !S_ISBLK (status.st_mode) || status.st_rdev != device) {
		(void) close (fd);
		return 0;
	}
	nodes->fds[nodes->count++] = fd;
	return 0;
}

static bool same_namespace (const char *process)
{
	struct stat own, other;
	char path[64];

	(void) snprintf (path, sizeof path, "/proc/%.20s/ns/mnt", process);
	return stat ("/proc/self/ns/mnt", &own) < 0 || stat (path, &other) < 0 ||
	       (own.st_dev == other.st_dev && own.st_ino == other.st_ino);
}

static int add_namespaces (struct vmc_nodes *nodes, const char *path, dev_t device, struct vmc_error *err)
{
	DIR *processes = opendir ("/proc");
	struct dirent *entry;
	int result = 0;

	if (processes == NULL)
		return vmc_fail (err, VMC_REFUSED, errno, "cannot look for others who use '%s'", path);
	while (result == 0 && (entry = readdir (processes)) != NULL) {
		char root[64];

		if (!isdigit ((unsigned char) entry->d_name[0]) || same_namespace (entry->d_name))
			continue;
		(void) snprintf (root, sizeof root, "/proc/%.20s/root", entry->d_name);
		result = add_node (nodes, root, path, device, err);
	}
	(void) closedir (processes);
	return result;
}

int vmc_nodes_open (struct vmc_nodes *nodes, const char *path, struct vmc_error *err)
{
	char resolved[PATH_MAX]; /* an absolute link below /proc/PID/root would lead back to our own root */
	int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;

	if (fd < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot open '%s'", path);
	nodes->fds[nodes->count++] = fd;
	if (fstat (fd, &status) < 0 || !S_ISBLK (status.st_mode))
		return 0;
	if (realpath (path, resolved) == NULL)
		(void) vmc_fail (err, VMC_FAILED, errno, "cannot follow '%s'", path);
	else if (add_namespaces (nodes, resolved, status.st_rdev, err) == 0)
		return 0;
	vmc_nodes_close (nodes);
	return -1;
}
