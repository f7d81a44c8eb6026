/* thin.c - see thin.h
 *
 * DM_TABLE_STATUS without DM_STATUS_TABLE_FLAG gives the status of each target (Documentation/admin-guide/device-mapper/
 * thin-provisioning.rst in the kernel): for "thin", how many sectors are mapped, and the highest of them.
 */
#include "thin.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CONTROL "/dev/mapper/control"
#define SECTOR_BYTES 512

bool vmc_thin_parse (const char *type, const char *status, uint64_t *bytes)
{
	unsigned long long sectors;

	if (strcmp (type, "thin") != 0 || status[0] < '0' || status[0] > '9' ||
	    sscanf (status, "%llu ", &sectors) != 1 || sectors > INT64_MAX / SECTOR_BYTES)
		return false;
	*bytes = sectors * SECTOR_BYTES;
	return true;
}

/* A thin volume has one target: what follows the head is its struct dm_target_spec and its text. */
struct answer {
	struct dm_ioctl head;
	struct dm_target_spec target;
	char status[512];
};

bool vmc_thin_allocated (dev_t number, uint64_t *bytes)
{
	struct answer answer = {.head = {.version = {DM_VERSION_MAJOR, 0, 0},
					 .data_size = sizeof answer,
					 .data_start = offsetof (struct answer, target),
					 .dev = number}};
	int control = open (CONTROL, O_RDWR | O_CLOEXEC);
	bool known = control >= 0 && ioctl (control, DM_TABLE_STATUS, &answer) == 0 &&
		     !(answer.head.flags & DM_BUFFER_FULL_FLAG) && answer.head.target_count == 1;

	if (control >= 0)
		(void) close (control);
	answer.target.target_type[sizeof answer.target.target_type - 1] = 0;
	answer.status[sizeof answer.status - 1] = 0;
	return known && vmc_thin_parse (answer.target.target_type, answer.status, bytes);
}
