/* container.h - where the data begin in what is no filesystem but holds some: an LVM volume, LUKS, a member of a RAID */
#ifndef VMC_CONTAINER_H
#define VMC_CONTAINER_H

#include "source.h"

/* TYPE is libblkid's name of what lies in the LENGTH bytes of the disk at OFFSET. Returns the first byte of data, counted from
 * OFFSET; LENGTH, that is "none", for what is no container known here or has a header that makes no sense. */
uint64_t vmc_container_data (struct vmc_source *source, uint64_t offset, uint64_t length, const char *type)
	__attribute__ ((nonnull));

/* Have the libraries ask the kernel now for what they ask it once: later it may not be allowed any more. */
void vmc_container_warm_up (void);

#endif
