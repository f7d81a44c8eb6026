/* lock.c - see lock.h
 *
 * flock() on a file that is never removed: a lock file that is removed while another run waits for it would be held
 * twice, once without a name.
 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "clock.h"
#include "directories.h"
#include "interrupt.h"

#define POLL_MS 20

int vmc_lock_domain (const char *uuid, unsigned wait_ms, struct vmc_error *err)
{
	uint64_t until_ms = vmc_now_ms () + wait_ms;
	char path[128];
	int fd;

	if (vmc_directory_prepare (VMC_RUN_DIRECTORY, err) < 0)
		return -1;
	(void) snprintf (path, sizeof path, VMC_RUN_DIRECTORY "/%s.lock", uuid);
	fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot open the lock '%s'", path);
	while (flock (fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK && vmc_now_ms () < until_ms && !vmc_interrupted ()) {
			(void) poll (NULL, 0, POLL_MS);
			continue;
		}
		(void) vmc_fail (err, errno == EWOULDBLOCK ? VMC_BUSY : VMC_FAILED, errno,
				 errno == EWOULDBLOCK ? "another vmcompact is at work on this domain"
						      : "cannot lock '%s'",
				 path);
		(void) close (fd);
		return -1;
	}
	return fd;
}
