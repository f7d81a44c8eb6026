/* allocation.h - which parts of a virtual disk take space on the host, and where in the image file they lie */
#ifndef VMC_ALLOCATION_H
#define VMC_ALLOCATION_H

#include "domain_xml.h"
#include "extent.h"

/* A run of the virtual disk that the image's own top layer stores, uncompressed, at FILE_OFFSET. */
struct vmc_stored {
	uint64_t start, length, file_offset;
};

struct vmc_allocation {
	struct vmc_stored *items; /* sorted by start */
	size_t count, room;
	struct vmc_extents data; /* the parts of the file that are not holes (SEEK_DATA) */
};

#define VMC_CLEANUP_ALLOCATION __attribute__ ((cleanup (vmc_allocation_clear)))

void vmc_allocation_clear (struct vmc_allocation *allocation) __attribute__ ((nonnull));

/* Ask "qemu-img map" and the file itself. LIVE: a running QEMU writes to it, the answer is good for a picture only. */
int vmc_allocation_read (const char *format, const char *path, bool live, uint64_t deadline_ms,
			 struct vmc_allocation *allocation, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Take one line of "qemu-img map --output=json"; for vmc_allocation_read and for tests. */
int vmc_allocation_take_line (struct vmc_allocation *allocation, const char *line, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* RANGES (empty before) = the parts of the virtual disk that take space on the host. */
int vmc_allocation_ranges (const struct vmc_allocation *allocation, struct vmc_extents *ranges, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Where the last byte of the file that stores a part of the disk ends; 0: none does. */
uint64_t vmc_allocation_end (const struct vmc_allocation *allocation) __attribute__ ((nonnull));

/* FILE_RANGES (empty before) = where FREE ranges of the virtual disk take space in the file. VMC_REFUSED when two parts
 * of the disk are stored at the same place. */
int vmc_allocation_locate (const struct vmc_allocation *allocation, const struct vmc_extents *free,
			   struct vmc_extents *file_ranges, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
