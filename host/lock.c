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
#define METRICS_WAIT_MS 10000 /* they are written in a moment */

/* WHAT the lock NAME is for: "domain". */
static int take (const char *name, const char *what, unsigned wait_ms, struct vmc_error *err)
{
	uint64_t until_ms = vmc_now_ms () + wait_ms;
	char path[128];
	int fd;

	if (vmc_directory_prepare (VMC_RUN_DIRECTORY, err) < 0)
		return -1;
	(void) snprintf (path, sizeof path, VMC_RUN_DIRECTORY "/%s.lock", name);
	fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot open the lock '%s'", path);
	while (flock (fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK && vmc_now_ms () < until_ms && !vmc_interrupted ()) {
			(void) poll (NULL, 0, POLL_MS);
			continue;
		}
		if (errno == EWOULDBLOCK)
			(void) vmc_fail (err, VMC_BUSY, errno, "another vmcompact is at work on this %s", what);
		else
			(void) vmc_fail (err, VMC_FAILED, errno, "cannot lock '%s'", path);
		(void) close (fd);
		return -1;
	}
	return fd;
}

int vmc_lock_domain (const char *uuid, unsigned wait_ms, struct vmc_error *err)
{
	return take (uuid, "domain", wait_ms, err);
}

int vmc_lock_image (const struct vmc_image *image, unsigned wait_ms, struct vmc_error *err)
{
	char name[64];

	vmc_image_name (image, name);
	return take (name, "image", wait_ms, err);
}

int vmc_lock_all (unsigned wait_ms, struct vmc_error *err)
{
	int fd = take ("all", "host", wait_ms, err);

	return fd < 0 && err->code == VMC_BUSY ? vmc_fail (err, VMC_BUSY, 0, "another vmcompact --all is at work") : fd;
}

int vmc_lock_metrics (struct vmc_error *err)
{
	return take ("metrics", "file", METRICS_WAIT_MS, err);
}
