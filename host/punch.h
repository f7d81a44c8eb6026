/* punch.h - giving ranges of an image file back to the host's filesystem */
#ifndef VMC_PUNCH_H
#define VMC_PUNCH_H

#include "extent.h"
#include "guard.h"
#include "image.h"

/* Called some times a second between two holes, and at the end: not 0 means stop. */
typedef int vmc_punch_between (void *opaque, uint64_t done_bytes, uint64_t total_bytes, struct vmc_error *err);

/* Punch RANGES (aligned already) into the file PATH, or discard them of the block device PATH, which must still be IMAGE, then
 * fsync. GUARD must be over it, and ends this when somebody else has written to it. An error or a stop leaves some of them punched,
 * which harms nothing: all of them are free. What is discarded may read as anything afterwards. */
int vmc_punch (struct vmc_guard *guard, const char *path, const struct vmc_image *image,
	       const struct vmc_extents *ranges, vmc_punch_between *between, void *opaque, struct vmc_error *err)
	__attribute__ ((nonnull (1, 2, 3, 4, 5, 7), warn_unused_result));

#endif
