/* image_check.c - see image_check.h */
#include "image_check.h"

#include <string.h>

#include "image.h"
#include "process.h"

/* Exit statuses of qemu-img(1), check. */
#define CORRUPT 2
#define LEAKS_ONLY 3

int vmc_image_check (const char *format, const char *path, uint64_t deadline_ms, struct vmc_error *err)
{
	char options[VMC_IMAGE_OPTIONS_SIZE];
	const char *const argv[] = {"qemu-img", "check", "-q", "--image-opts", options, NULL};
	VMC_CLEANUP_PROCESS struct vmc_process process = VMC_PROCESS_INIT;

	if (strcmp (format, "qcow2") != 0)
		return 0;
	vmc_image_options (format, path, options);
	if (vmc_process_start (&process, argv, -1, err) < 0)
		return -1;
	if (vmc_process_wait (&process, deadline_ms, err) == 0 || process.status == LEAKS_ONLY)
		return 0;
	if (process.status != CORRUPT)
		return -1;
	return vmc_fail (err, VMC_REFUSED, 0,
			 "the image is damaged: its tables contradict each other; see 'qemu-img check', and "
			 "mend it with -r all while the domain is off");
}
