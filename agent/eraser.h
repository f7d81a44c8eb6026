/* eraser.h - zeros over ranges of a block device, in the cheapest way that it takes */
#ifndef VMC_ERASER_H
#define VMC_ERASER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "message.h"
#include "placeholder.h"

/* From the cheapest on; what does not work is not tried again. */
enum vmc_eraser_way {
	VMC_ERASER_PUNCH,   /* the device deallocates, and reads as zero then */
	VMC_ERASER_ZEROOUT, /* the device writes zeros by itself */
	VMC_ERASER_WRITE,   /* read, and write zeros over blocks that are not zero */
	VMC_ERASER_THROUGH, /* the same, but write through a file: nobody may write to the device */
};

struct vmc_eraser {
	int fd;
	dev_t device;
	uint64_t device_bytes;
	size_t block_bytes; /* of the filesystem; a power of two */
	enum vmc_eraser_way way;
	char *buffer;      /* VMC_ERASER_BUFFER_BYTES, aligned for what goes past the page cache; there is only one */
	const char *zeros; /* the same */
};

#define VMC_ERASER_BUFFER_BYTES (1024 * 1024)

/* Open DEVICE, past the page cache. BLOCK_BYTES: the filesystem's block. */
int vmc_eraser_open (struct vmc_eraser *eraser, dev_t device, size_t block_bytes, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Make the first bytes of STRETCH (aligned to blocks) zero, as many as are done in a moment; COUNT grows by their number. FILE
 * is open for writing past the page cache, and has the stretch. Blocks until it is done; a kill ends it early. */
int vmc_eraser_run (struct vmc_eraser *eraser, int file, const struct vmc_stretch *stretch,
		    struct vmc_zero_result *count, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Read BYTES (at most VMC_ERASER_BUFFER_BYTES) from OFFSET of the device into the buffer. */
int vmc_eraser_read (struct vmc_eraser *eraser, uint64_t offset, size_t bytes, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Close the device, if it is open (fd -1: it is not). */
void vmc_eraser_close (struct vmc_eraser *eraser) __attribute__ ((nonnull));

#endif
