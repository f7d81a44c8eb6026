/* image_check.c - see image_check.h */
#include "image_check.h"

#include <string.h>

#include "clock.h"
#include "image.h"
#include "process.h"

/* Exit statuses of qemu-img(1), check. */
#define CORRUPT 2
#define LEAKS_ONLY 3

#define MEANWHILE_MS 500

static int wait_for (struct vmc_process *process, uint64_t deadline_ms, const struct vmc_meanwhile *meanwhile,
		     struct vmc_error *err)
{
	for (;;) {
		uint64_t now_ms = vmc_now_ms (), left_ms = now_ms < deadline_ms ? deadline_ms - now_ms : 0;

		if (vmc_process_wait (process, now_ms + (left_ms < MEANWHILE_MS ? left_ms : MEANWHILE_MS), err) == 0)
			return 0;
		if (err->code != VMC_TIMEOUT || left_ms == 0 || meanwhile->look (meanwhile->opaque, err) < 0)
			return -1;
	}
}

int vmc_image_check (const char *format, const char *path, uint64_t deadline_ms, const struct vmc_meanwhile *meanwhile,
		     struct vmc_error *err)
{
	char options[VMC_IMAGE_OPTIONS_SIZE];
	const char *const argv[] = {"qemu-img", "check", "-q", "--image-opts", options, NULL};
	VMC_CLEANUP_PROCESS struct vmc_process process = VMC_PROCESS_INIT;

	if (strcmp (format, "qcow2") != 0)
		return 0;
	vmc_image_options (format, path, options);
	if (vmc_process_start (&process, argv, -1, err) < 0)
		return -1;
	if (wait_for (&process, deadline_ms, meanwhile, err) == 0 || process.status == LEAKS_ONLY)
		return 0;
	if (process.status != CORRUPT)
		return -1;
	return vmc_fail (err, VMC_REFUSED, 0,
			 "the image is damaged, or was not closed cleanly: its tables contradict each other; see "
			 "'qemu-img check', and mend it with -r all while the domain is off");
}
