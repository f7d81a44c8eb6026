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

/* A nameless file in memory, for libblkid, which reads descriptors only; to be closed by the caller. -1: none. */
int vmc_partitions_memory (struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Fill PARTITIONS from the table of the disk; without a table, the whole disk is one place. Places that overlap or leave
 * the disk are a VMC_REFUSED for the disk. What the file MEMORY_FD held is lost. */
int vmc_partitions_find (struct vmc_source *source, int memory_fd, struct vmc_partitions *partitions,
			 struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
