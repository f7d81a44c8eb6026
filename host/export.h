/* export.h - an image that a qemu-nbd of our own serves to us alone, and requests to it that do not wait
 *
 * What a request reads into or writes from must stay until vmc_export_turn has counted it as answered, or vmc_export_drop.
 */
#ifndef VMC_EXPORT_H
#define VMC_EXPORT_H

#include "extent.h"
#include "pace.h"
#include "process.h"

struct nbd_handle;

struct vmc_export {
	struct vmc_process process;
	struct nbd_handle *nbd;
	char socket[108];     /* its path, empty when there is none */
	const char *what;     /* for messages: "the image", "the new image" */
	uint64_t size_bytes;  /* of the virtual disk */
	uint64_t answered_ms; /* when the last request was answered, or the first one asked */
	unsigned waiting;     /* requests that are not answered */
	int errnum;           /* of the first request that failed */
	const char *doing;    /* what that request was */
};

#define VMC_CLEANUP_EXPORT __attribute__ ((cleanup (vmc_export_drop)))
#define VMC_EXPORT_INIT \
	{ \
		.process = VMC_PROCESS_INIT \
	}

enum vmc_export_mode {
	VMC_EXPORT_READ,        /* through the page cache */
	VMC_EXPORT_READ_DIRECT, /* from the disk (O_DIRECT), where vmc_export_direct says that it can be */
	VMC_EXPORT_WRITE        /* through the page cache: on the disk only after an fsync of the file */
};

/* Can the file PATH be read past the page cache? */
bool vmc_export_direct (const char *path) __attribute__ ((nonnull));

/* Serve the image that OPTIONS (--image-opts) name. NAME makes the socket's path unique; WHAT must outlive the export. */
int vmc_export_start (struct vmc_export *export, const char *name, const char *options, enum vmc_export_mode mode,
		      const char *what, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Ask for, send, or make zero LENGTH bytes at OFFSET. *WAITING is counted up now, and down with the answer. A read is a read:
 * QEMU does not answer it with what it knows of holes (NBD_CMD_FLAG_DF). Zeros take no space in a qcow2 image of version
 * 3, but hide the backing file. */
int vmc_export_read (struct vmc_export *export, void *buffer, uint64_t offset, uint64_t length, unsigned *waiting,
		     struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));
int vmc_export_write (struct vmc_export *export, const void *buffer, uint64_t offset, uint64_t length,
		      unsigned *waiting, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));
int vmc_export_zero (struct vmc_export *export, uint64_t offset, uint64_t length, unsigned *waiting,
		     struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Wait for something to be answered by one of the COUNT EXPORTS (at most 2), at most WAIT_MS. -1: a request failed, nothing was
 * answered for minutes, a qemu-nbd is dead, or PACE says stop. */
int vmc_export_turn (struct vmc_export *const *exports, size_t count, unsigned wait_ms, struct vmc_pace *pace,
		     struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Make RANGES zero, and wait for that. */
int vmc_export_zero_all (struct vmc_export *export, const struct vmc_extents *ranges, struct vmc_pace *pace,
			 struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* What the image says of itself: STORED is what its own top layer has an entry for, by its tables alone; ZERO what is known
 * to read as zeros, by holes of the file as well (both empty before). */
int vmc_export_status (struct vmc_export *export, struct vmc_extents *stored, struct vmc_extents *zero,
		       struct vmc_pace *pace, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Write what QEMU still has in memory, and have qemu-nbd end well. */
int vmc_export_finish (struct vmc_export *export, struct vmc_pace *pace, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Whatever it is doing: end it. Twice does no harm. */
void vmc_export_drop (struct vmc_export *export) __attribute__ ((nonnull));

#endif
