/* partitions.h - where filesystems may lie on a disk: MBR and GPT partitions, or the whole disk */
#ifndef VMC_PARTITIONS_H
#define VMC_PARTITIONS_H

#include "source.h"

#define VMC_PARTITIONS_MAX 128

struct vmc_partitions {
	struct vmc_place {
		uint64_t offset, length; /* bytes */
	} items[VMC_PARTITIONS_MAX];
	size_t count;
};

/* Fill PARTITIONS from the table of the disk, with the logical ones of an MBR; without a table, the whole disk is one place.
 * VMC_REFUSED for the disk: places that overlap, leave the disk or cover a table, and a chain of logical partitions that
 * runs in a circle, is too long or leaves its extended partition. What the file MEMORY_FD (memory_file.h) held is lost. */
int vmc_partitions_find (struct vmc_source *source, int memory_fd, struct vmc_partitions *partitions,
			 struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
