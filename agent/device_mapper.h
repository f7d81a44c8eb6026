/* device_mapper.h - the table of a device-mapper device, as the kernel uses it now */
#ifndef VMC_DEVICE_MAPPER_H
#define VMC_DEVICE_MAPPER_H

#include <sys/types.h>

#include "stack.h"

/* Fill the targets and "takes_space" of DEVICE, whose "bytes" and "below" are known, from the table of the device NUMBER. Where it cannot be
 * read or understood, why_not_map says why. -1: no memory. */
int vmc_device_mapper_read (dev_t number, struct vmc_device *device, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The same from one line of a table, as "dmsetup table" shows it: for vmc_device_mapper_read, and for tests. TYPE is the
 * target's, PARAMS the rest. */
int vmc_device_mapper_take (struct vmc_device *device, uint64_t start_sector, uint64_t sectors, const char *type,
			    const char *params, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
