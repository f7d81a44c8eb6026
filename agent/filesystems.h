/* filesystems.h - where each mounted filesystem lies, and what can be done with it */
#ifndef VMC_FILESYSTEMS_H
#define VMC_FILESYSTEMS_H

#include "message.h"
#include "mounts.h"

/* Fill LIST (empty before; struct vmc_filesystem) with the mounted filesystems on block devices. What cannot be found
 * out about one is left empty, with the reason in why_not_trim and why_not_map. */
int vmc_filesystems_list (struct vmc_list *list, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Find NAME ("major:minor") among the MOUNTS; NULL when there is none. */
const struct vmc_mount *vmc_filesystems_find (const struct vmc_mounts *mounts, const char *name)
	__attribute__ ((nonnull));

/* Describe one mount. */
void vmc_filesystem_describe (const struct vmc_mount *mount, struct vmc_filesystem *filesystem)
	__attribute__ ((nonnull));

#endif
