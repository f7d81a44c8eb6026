/* md.h - where the parts of a Linux RAID device lie, for the levels that keep each block once */
#ifndef VMC_MD_H
#define VMC_MD_H

#include "stack.h"

/* Fill the targets of DEVICE, whose "bytes" and "below" are known, from DIRECTORY in sysfs (/sys/block/md0). Where it cannot
 * be followed, why_not_map says why. -1: no memory. */
int vmc_md_read (const char *directory, struct vmc_device *device, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
