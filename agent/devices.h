/* devices.h - the block devices below a filesystem, by the kernel's own tables */
#ifndef VMC_DEVICES_H
#define VMC_DEVICES_H

#include <sys/types.h>

#include "stack.h"

/* Add the block device NUMBER and all that it lies on to LIST (struct vmc_device; vmc_stack_clear), the lower ones first;
 * what is in it already is not added again. PROBE: ask libblkid what is in each; else that stays empty. What cannot be
 * found out about a device, or followed through it, is said in its why_not_map. -1: no memory, or (VMC_UNSUPPORTED) there are
 * too many. */
int vmc_devices_add (struct vmc_list *list, dev_t number, bool probe, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Add all disks that the guest has on a bus, unprobed: one that nothing lies on may be the one that the host means. -1: no memory,
 * or (VMC_UNSUPPORTED) too many. */
int vmc_devices_add_disks (struct vmc_list *list, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* The name of NUMBER in such a list, "253:0", into a buffer of VMC_NAME_SIZE. */
void vmc_device_name (dev_t number, char *name) __attribute__ ((nonnull));

/* Open the node of the block device NUMBER with FLAGS, proved by its number. A descriptor; -1 and errno. */
int vmc_device_open (dev_t number, int flags);

/* Does the block device NUMBER say that discards can be sent to it? True where the kernel does not tell. */
bool vmc_device_takes_discards (dev_t number);

/* Does the block device NUMBER say that it can fill ranges with zeros by itself? False where the kernel does not tell. */
bool vmc_device_takes_zeros (dev_t number);

/* The size of the block device NUMBER; 0 where it is not known. */
uint64_t vmc_device_bytes (dev_t number);

#endif
