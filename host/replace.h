/* replace.h - an image at rest gives its place to the one that was written anew from it
 *
 * The caller holds the lock on the old image (guard.h) from before it was read until this is done. */
#ifndef VMC_REPLACE_H
#define VMC_REPLACE_H

#include "overlay.h"

/* A file that belongs to no domain: FD is the new image, without a name yet. JOURNAL says what is what (base, inodes, keep_old)
 * and is not written. Killed in the middle, names may be left beside the image, which is always complete. */
int vmc_replace_file (const struct vmc_journal *journal, int fd, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The disk of a domain that is off. The journal in OVERLAY is complete but for the inactive XML, and names no overlay. 0: the new
 * image has the path, and the XML its format. VMC_INTERRUPTED: neither that, nor as before. Else all is as before. */
int vmc_replace_disk (struct vmc_overlay *overlay, int fd, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Is it this that the journal is about? */
bool vmc_replace_is (const struct vmc_journal *journal) __attribute__ ((nonnull));

/* Bring to an end what a run that died has begun: forward if the domain may have been started on the new image, else back. */
int vmc_replace_recover (struct vmc_overlay *overlay, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
