/* run_image.c - see run_image.h
 *
 * Nobody says what the format is: a file that begins as a qcow2 is one, and what qcow2 does not allow in its header is a
 * reason to refuse it, never to take it for raw. A guest can write such a header at the beginning of its raw disk. It gains
 * nothing: holes are punched only into that file itself, and a backing file that it names is neither written nor copied.
 */
#include "run_image.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "lock.h"
#include "offline.h"
#include "progress.h"

static int describe (const char *path, struct vmc_disk *disk, struct vmc_error *err)
{
	if (strlen (path) >= sizeof disk->path)
		return vmc_fail (err, VMC_REFUSED, ENAMETOOLONG, "the path of the image is too long");
	(void) snprintf (disk->path, sizeof disk->path, "%s", path);
	(void) snprintf (disk->type, sizeof disk->type, "file");
	(void) snprintf (disk->device, sizeof disk->device, "disk");
	(void) snprintf (disk->format, sizeof disk->format, "%s", vmc_image_is_qcow2 (path) ? "qcow2" : "raw");
	return 0;
}

static int run_locked (struct vmc_run *run, const struct vmc_disk *disk, struct vmc_report *report,
		       struct vmc_error *err)
{
	const struct vmc_domain_facts none = {.local = true, .switched_off = true};
	struct vmc_disk_report *one = vmc_report_add (report, disk);
	uint64_t began_ms = vmc_now_ms ();

	if (one == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the report");
	one->failed = vmc_offline_disk (run, &none, disk, one, &one->error) < 0;
	if (!run->options->dry_run)
		one->duration_ms = vmc_now_ms () - began_ms;
	vmc_progress_end ();
	return 0;
}

/* What the lock is named for is looked up once more, when it is held, by vmc_offline_disk. */
static int run_image (struct vmc_run *run, struct vmc_report *report, struct vmc_error *err)
{
	struct vmc_connection *connection = run->domain.connection;
	struct vmc_disk disk = {0};
	struct vmc_image image;
	int lock, result;

	if (connection->handle != NULL && !vmc_connection_local (connection))
		return vmc_fail (err, VMC_REFUSED, 0,
				 "the connection leads to another host, so it cannot tell who uses the image here");
	if (describe (run->options->image, &disk, err) < 0 || vmc_image_find_chain (&disk, err) < 0 ||
	    vmc_image_look (&disk, disk.path, &image, err) < 0)
		return -1;
	lock = vmc_lock_image (&image, run->options->lock_wait_ms, err);
	if (lock < 0)
		return -1;
	result = run_locked (run, &disk, report, err);
	(void) close (lock);
	return result;
}

void vmc_run_image (struct vmc_connection *connection, const struct vmc_options *options, struct vmc_report *report)
{
	struct vmc_run run = {.options = options, .domain.connection = connection, .deadline_ms = UINT64_MAX};

	if (options->timeout_ms > 0)
		run.deadline_ms = vmc_now_ms () + options->timeout_ms;
	report->failed = run_image (&run, report, &report->error) < 0;
}
