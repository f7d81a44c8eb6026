/* source.h - bytes of a virtual disk, for the reader; read-only */
#ifndef VMC_SOURCE_H
#define VMC_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct vmc_source {
	uint64_t size_bytes;
	/* Read LENGTH bytes at OFFSET, all of them inside the disk. */
	int (*read) (struct vmc_source *source, void *buffer, uint64_t offset, size_t length, struct vmc_error *err);
};

/* Read with the bounds checked. */
static inline int vmc_source_read (struct vmc_source *source, void *buffer, uint64_t offset, size_t length,
				   struct vmc_error *err)
{
	if (offset > source->size_bytes || length > source->size_bytes - offset)
		return vmc_fail (err, VMC_REFUSED, 0, "something lies beyond the end of the disk");
	return source->read (source, buffer, offset, length, err);
}

#endif
