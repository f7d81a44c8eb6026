/* directories.c - see directories.h */
#include "directories.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int vmc_directory_prepare (const char *path, struct vmc_error *err)
{
	struct stat status;

	if (mkdir (path, 0700) < 0 && errno != EEXIST)
		return vmc_fail (err, VMC_REFUSED, errno, "cannot make '%s'; vmcompact must be run as root", path);
	if (lstat (path, &status) < 0 || !S_ISDIR (status.st_mode) || status.st_uid != geteuid () ||
	    (status.st_mode & 022) != 0)
		return vmc_fail (err, VMC_REFUSED, 0,
				 "'%s' is not a directory of ours alone; vmcompact must be run as root", path);
	return 0;
}

int vmc_directory_sync (const char *path, struct vmc_error *err)
{
	int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot open '%s'", path);
	if (fsync (fd) < 0) {
		(void) vmc_fail (err, VMC_FAILED, errno, "cannot sync '%s'", path);
		(void) close (fd);
		return -1;
	}
	return close (fd) < 0 ? vmc_fail (err, VMC_FAILED, errno, "cannot close '%s'", path) : 0;
}
