/* lock.c - see lock.h
 *
 * flock() on a file that is never removed: a lock file that is removed while another run waits for it would be held
 * twice, once without a name.
 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN_DIRECTORY "/run/vmcompact"

const char *vmc_run_directory (struct vmc_error *err)
{
	struct stat status;

	if (mkdir (RUN_DIRECTORY, 0700) < 0 && errno != EEXIST) {
		(void) vmc_fail (err, VMC_REFUSED, errno,
				 "cannot make '" RUN_DIRECTORY "'; vmcompact must be run as root");
		return NULL;
	}
	if (lstat (RUN_DIRECTORY, &status) < 0 || !S_ISDIR (status.st_mode) || status.st_uid != geteuid () ||
	    (status.st_mode & 022) != 0) {
		(void) vmc_fail (err, VMC_REFUSED, 0,
				 "'" RUN_DIRECTORY "' is not a directory of ours alone; vmcompact must be run as root");
		return NULL;
	}
	return RUN_DIRECTORY;
}

int vmc_lock_domain (const char *uuid, struct vmc_error *err)
{
	char path[128];
	int fd;

	if (vmc_run_directory (err) == NULL)
		return -1;
	(void) snprintf (path, sizeof path, RUN_DIRECTORY "/%s.lock", uuid);
	fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot open the lock '%s'", path);
	if (flock (fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	(void) vmc_fail (err, errno == EWOULDBLOCK ? VMC_BUSY : VMC_FAILED, errno,
			 errno == EWOULDBLOCK ? "another vmcompact is at work on this domain" : "cannot lock '%s'",
			 path);
	(void) close (fd);
	return -1;
}
