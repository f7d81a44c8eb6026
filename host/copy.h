/* copy.h - what an image stores and its guest uses, from one export to another; and the proof that it got there */
#ifndef VMC_COPY_H
#define VMC_COPY_H

#include "export.h"

struct vmc_copy {
	struct vmc_export *from, *to;
	const struct vmc_extents *free;
	bool backed;          /* both lie over the same backing file */
	uint64_t grain_bytes; /* what TO stores as one, a power of two, at most VMC_WINDOW_BYTES */
	int to_fd;            /* the file of TO: its pages are sent to the disk while they are written */
	bool compressed;      /* TO compresses what it is given */
	/* FROM's and TO's file where that is raw, else -1: it is compared without a program between it and us. */
	int raw_from_fd, raw_to_fd;
	struct vmc_pace *pace;
	struct vmc_extents stored; /* found by vmc_copy_run: what FROM's own top layer has an entry for */
};

/* Write to TO, which stores nothing yet, all that FROM stores outside FREE. Without a backing file, the rest of TO stays zero. With
 * one, it stays as the backing file has it, and zeros that hide the backing file go on hiding it. */
int vmc_copy_run (struct vmc_copy *copy, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Read both, now with TO opened anew, and compare each byte outside FREE. VMC_FAILED with the place of the first
 * difference. */
int vmc_copy_verify (struct vmc_copy *copy, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

void vmc_copy_clear (struct vmc_copy *copy) __attribute__ ((nonnull));

#endif
