/* memory_file.h - a nameless file in memory that stands for a disk: libblkid reads descriptors, not callbacks
 *
 * It is as long as what it stands for and holds only the bytes that were copied into it; all else reads as zeros.
 */
#ifndef VMC_MEMORY_FILE_H
#define VMC_MEMORY_FILE_H

#include "source.h"

/* A new one, to be closed by the caller. -1: none. */
int vmc_memory_file_make (struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Empty it, give it LENGTH bytes, and copy the first and the last EDGE bytes of the LENGTH bytes of the disk at OFFSET. */
int vmc_memory_file_edges (int fd, struct vmc_source *source, uint64_t offset, uint64_t length, size_t edge,
			   struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Copy LENGTH bytes of the disk at OFFSET to AT. */
int vmc_memory_file_copy (int fd, uint64_t at, struct vmc_source *source, uint64_t offset, size_t length,
			  struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
