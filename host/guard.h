/* guard.h - nobody can write to the base while it is held, and we can read it
 *
 * QEMU keeps others from an image by locks on single bytes of the file (raw_apply_lock_bytes in block/file-posix.c): a
 * read lock on byte 100 + n says "I have permission n", one on byte 200 + n says "I do not share permission n"; writing is
 * permission 1. The guard takes the lock "writing is not shared" itself, after which no QEMU, the domain's own included, can
 * commit into the base or open it for writing; and it checks that nobody has permission to write already. A read-only
 * qemu-nbd alone would not do: over a raw image it shares everything. It only serves the reader.
 *
 * Programs that know nothing of these locks (losetup, dd) are not kept out, but noticed: the time of modification of a file must stand
 * still while the base is guarded. A block device has none.
 */
#ifndef VMC_GUARD_H
#define VMC_GUARD_H

#include <time.h>

#include "domain_xml.h"
#include "image.h"
#include "nodes.h"
#include "process.h"
#include "reader.h"

struct vmc_guard {
	struct vmc_process process;
	struct vmc_nodes nodes; /* hold the locks */
	struct timespec
		modified; /* when the base was last written to, but for what we have told of (vmc_guard_wrote) */
	char socket[108]; /* its path, empty when there is none */
};

#define VMC_CLEANUP_GUARD __attribute__ ((cleanup (vmc_guard_drop)))
#define VMC_GUARD_INIT \
	{ \
		.process = VMC_PROCESS_INIT \
	}

/* How many have the image open for writing, and say so in QEMU's way? Before the overlay is there, the guest's QEMU is one, so
 * that no lock could tell; the kernel's list does. It is 0 where the list cannot be read or names another device than stat,
 * as on btrfs: the guard looks once more. */
unsigned vmc_guard_writers (const char *path) __attribute__ ((nonnull));

/* Nobody may have the image PATH open, not even to read, in QEMU's way, and nobody open for writing in any way (a loop device, say),
 * as far as the kernel can tell. VMC_REFUSED: somebody has. Only a look: the guard that is taken after it lasts. */
int vmc_guard_alone (const char *path, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Only the second half of it: nobody has it open for writing. */
int vmc_guard_unwritten (const char *path, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Lock the image PATH against writing, then serve it as FORMAT; NAME makes the socket's path unique. VMC_REFUSED: somebody
 * has it open for writing, or its filesystem has no locks. */
int vmc_guard_start (struct vmc_guard *guard, const char *name, const char *format, const char *path,
		     struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Only serve it, to be looked at while a QEMU writes to it: nothing is locked, and what is seen may be torn. */
int vmc_guard_look (struct vmc_guard *guard, const char *name, const char *format, const char *path,
		    struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Only lock the image PATH against writing, until vmc_guard_drop. */
int vmc_guard_lock (struct vmc_guard *guard, const char *path, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Has a QEMU the image PATH open for writing? No file there, or a filesystem without locks, is no. -1: it could not be asked. */
int vmc_guard_ask (const char *path, bool *written, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The same, where "cannot be told" may count as no. */
bool vmc_guard_written (const char *path) __attribute__ ((nonnull, warn_unused_result));

/* Let the reader read what is served: vmc_reader_run. What it found, or did not find, is void when the guard has died meanwhile. */
int vmc_guard_read (struct vmc_guard *guard, uint64_t disk_bytes, const struct vmc_claims *claims, uint64_t deadline_ms,
		    const struct vmc_meanwhile *meanwhile, struct vmc_reading *reading, struct vmc_error *err)
	__attribute__ ((nonnull (1, 6, 7), warn_unused_result));

/* -1 when somebody has written to the base since it was locked. */
int vmc_guard_untouched (const struct vmc_guard *guard, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* What has been written until now was written by us. */
void vmc_guard_wrote (struct vmc_guard *guard) __attribute__ ((nonnull));

/* The same as vmc_guard_untouched, and -1 when the guard has died: in both cases the base is no longer guarded. */
int vmc_guard_check (struct vmc_guard *guard, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

void vmc_guard_drop (struct vmc_guard *guard) __attribute__ ((nonnull));

#endif
