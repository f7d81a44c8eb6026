/* transfer.h - going through a virtual disk in windows, with several of them on their way at a time */
#ifndef VMC_TRANSFER_H
#define VMC_TRANSFER_H

#include "export.h"

/* Windows begin at multiples of this: no cluster lies in two of them. */
#define VMC_WINDOW_BYTES (UINT64_C (2) << 20)
#define VMC_WINDOWS 4
#define VMC_WINDOW_ALIGN 4096 /* of the buffers in memory, for O_DIRECT */

struct vmc_window {
	uint64_t start, length;
	unsigned char *buffers[2]; /* of VMC_WINDOW_BYTES each, with anything in them */
	unsigned waiting;          /* requests for it that are not answered */
};

struct vmc_transfer {
	struct vmc_export *exports[2];  /* both dropped when it fails */
	const struct vmc_extents *todo; /* the windows that have any of it are gone through, in order */
	bool one_by_one;                /* nothing of a window is written before all of the one before is */
	struct vmc_pace *pace;          /* its done_bytes grow by what is done of TODO */
	/* Ask for what is to be read. */
	int (*begin) (struct vmc_transfer *transfer, struct vmc_window *window, struct vmc_error *err);
	/* It is there; in the order of the disk. May ask for something to be written, which is waited for. */
	int (*end) (struct vmc_transfer *transfer, struct vmc_window *window, struct vmc_error *err);
	void *opaque;
};

int vmc_transfer_run (struct vmc_transfer *transfer, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The next part of LIST inside WINDOW. *INDEX is where it was found: 0 at first. False: there is none left. */
bool vmc_window_part (const struct vmc_window *window, const struct vmc_extents *list, size_t *index,
		      struct vmc_extent *part) __attribute__ ((nonnull));

/* Read each part of LIST inside WINDOW into its place in BUFFER, which has zeros elsewhere. */
int vmc_window_read (struct vmc_window *window, struct vmc_export *export, unsigned char *buffer,
		     const struct vmc_extents *list, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
