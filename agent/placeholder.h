/* placeholder.h - files without a name that hold free space of a filesystem, so that nobody else can use it meanwhile
 *
 * Only the process that opens them has them. When it ends, however it ends, the space is free again.
 */
#ifndef VMC_PLACEHOLDER_H
#define VMC_PLACEHOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* A filesystem limits how long one file may be: 4 GiB on FAT, 2 TiB on ext3, 16 TiB on ext4. */
#define VMC_PLACEHOLDER_FILES 64

struct vmc_placeholder {
	int directory; /* borrowed */
	char type[VMC_NAME_SIZE];
	int files[VMC_PLACEHOLDER_FILES]; /* the last one is at work */
	size_t count;
	uint64_t end;  /* bytes; of the last file so much is reserved or written */
	bool direct;   /* past the page cache */
	bool realtime; /* its blocks are on another device (XFS) */
};

/* A piece of the last file that lies in one place of the device, in bytes. */
struct vmc_stretch {
	uint64_t logical, physical, length;
};

/* More than these do not fit: 24 KiB. */
#define VMC_LAYOUT_STRETCHES 1024

struct vmc_layout {
	uint64_t start, end; /* of the last file, in bytes */
	size_t count;
	struct vmc_stretch stretches[VMC_LAYOUT_STRETCHES]; /* without a gap, from start to end */
};

/* Open a first file on the filesystem of TYPE whose open directory is DIRECTORY. VMC_UNSUPPORTED: what would be written to it
 * would lie on the disk as something else, encrypted or compressed. */
int vmc_placeholder_open (struct vmc_placeholder *placeholder, int directory, const char *type, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The descriptor of the last file. */
int vmc_placeholder_file (const struct vmc_placeholder *placeholder) __attribute__ ((nonnull));

/* Reserve BYTES more, which nothing is written to, and wait until the disk knows it. 1: done; 0: there is no room;
 * -1: see ERR, VMC_UNSUPPORTED: the filesystem cannot do it. */
int vmc_placeholder_reserve (struct vmc_placeholder *placeholder, uint64_t bytes, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Write at most BYTES zeros, as many as are written in a moment, to the end; they are on the disk when vmc_placeholder_sync
 * has returned, too. 1: *WRITTEN bytes were written; 0: there is no room; -1: see ERR. */
int vmc_placeholder_write (struct vmc_placeholder *placeholder, uint64_t bytes, uint64_t *written,
			   struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Bring to the disk what is not written past the page cache, and take no more of the page cache for it. */
int vmc_placeholder_sync (struct vmc_placeholder *placeholder, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Ask the kernel where [START, END) of the last file lies; LAYOUT ends before END where it is full. All of it must be there,
 * on the device of the filesystem, which has DEVICE_BYTES, and nobody else's; and, except with WRITTEN, nothing may have been
 * written to it. VMC_UNSUPPORTED: it is not so. */
int vmc_placeholder_layout (const struct vmc_placeholder *placeholder, uint64_t start, uint64_t end,
			    uint64_t device_bytes, bool written, struct vmc_layout *layout, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

bool vmc_layout_same (const struct vmc_layout *a, const struct vmc_layout *b) __attribute__ ((nonnull));

/* Give all of the space back, at once. Nothing may be at work on it. */
void vmc_placeholder_release (struct vmc_placeholder *placeholder) __attribute__ ((nonnull));

#endif
