/* lock_reach.c - see lock_reach.h
 *
 * What is mounted where is in /proc/self/mountinfo (proc(5)), by the number that statx(2) gives for a file: the device number of a file on
 * btrfs is not the one that is listed there.
 */
#include "lock_reach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "text.h"

#define OPTIONS_MAX 3

struct filesystem {
	const char *type;
	const char *local[OPTIONS_MAX + 1]; /* mount options by which locks stay on this host */
};

/* On disks that one host has, and those that take locks to the others unless they are told not to. What is not here is not known. */
static const struct filesystem known[] = {
	{"bcachefs", {0}},
	{"btrfs", {0}},
	{"ecryptfs", {0}},
	{"exfat", {0}},
	{"ext2", {0}},
	{"ext3", {0}},
	{"ext4", {0}},
	{"f2fs", {0}},
	{"fuse.shfs", {0}}, /* of Unraid */
	{"fuseblk", {0}},   /* FUSE on a block device: NTFS */
	{"jfs", {0}},
	{"nilfs2", {0}},
	{"ntfs3", {0}},
	{"overlay", {0}},
	{"ramfs", {0}},
	{"reiserfs", {0}},
	{"tmpfs", {0}},
	{"vfat", {0}},
	{"xfs", {0}},
	{"zfs", {0}},
	{"ceph", {0}},
	{"cifs", {"nobrl"}},
	{"fuse.ceph", {0}},
	{"fuse.ceph-fuse", {0}},
	{"fuse.glusterfs", {0}},
	{"gfs2", {"localflocks"}},
	{"gpfs", {0}},
	{"lustre", {"localflock", "noflock"}},
	{"nfs", {"nolock", "local_lock=all", "local_lock=posix"}},
	{"nfs4", {"nolock", "local_lock=all", "local_lock=posix"}},
	{"smb3", {"nobrl"}},
};

static bool has_option (const char *options, const char *option)
{
	size_t length = strlen (option);

	for (const char *at = options; at != NULL; at = strchr (at, ',')) {
		at += *at == ',';
		if (strncmp (at, option, length) == 0 && (at[length] == ',' || at[length] == 0))
			return true;
	}
	return false;
}

bool vmc_lock_reaches (const char *type, const char *options)
{
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (strcmp (known[i].type, type) != 0)
			continue;
		for (size_t j = 0; known[i].local[j] != NULL; j++)
			if (has_option (options, known[i].local[j]))
				return false;
		return true;
	}
	return false;
}

/* "ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [OPTIONAL...] - TYPE SOURCE OPTIONS". False: the line is not about mount ID, or is none. */
static bool take_line (char *line, unsigned long long id, char **type, char **options)
{
	char *rest = strstr (line, " - "), *end, *saved;

	if (strtoull (line, &end, 10) != id || end == line || *end != ' ' || rest == NULL)
		return false;
	*type = strtok_r (rest + 3, " \n", &saved);
	(void) strtok_r (NULL, " \n", &saved); /* the source */
	*options = strtok_r (NULL, " \n", &saved);
	return *type != NULL && *options != NULL;
}

static int judge (const char *path, unsigned long long id, FILE *mounts, struct vmc_error *err)
{
	char *line = NULL, *type, *options, shown[80];
	int result = vmc_fail (err, VMC_REFUSED, 0, "it cannot be told on which filesystem '%s' lies", path);
	size_t size = 0;

	while (getline (&line, &size, mounts) > 0) {
		if (!take_line (line, id, &type, &options))
			continue;
		vmc_text_escape (shown, sizeof shown, type);
		result = vmc_lock_reaches (type, options) ? 0
							  : vmc_fail (err, VMC_REFUSED, 0,
								      "it lies on a filesystem (%s) whose locks may be "
								      "seen by this host only, and "
								      "another host could run the domain",
								      shown);
		break;
	}
	free (line);
	return result;
}

int vmc_lock_reach_check (const char *path, struct vmc_error *err)
{
	struct statx status;
	FILE *mounts;
	int result;

	if (statx (AT_FDCWD, path, 0, STATX_MNT_ID, &status) < 0 || (status.stx_mask & STATX_MNT_ID) == 0)
		return vmc_fail (err, VMC_REFUSED, errno, "it cannot be told on which filesystem '%s' lies", path);
	mounts = fopen ("/proc/self/mountinfo", "re");
	if (mounts == NULL)
		return vmc_fail (err, VMC_REFUSED, errno, "cannot read /proc/self/mountinfo");
	result = judge (path, status.stx_mnt_id, mounts, err);
	(void) fclose (mounts);
	return result;
}
