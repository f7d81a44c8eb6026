/* new_image.h - an image that was written anew takes the place of the old one, under the same path
 *
 *   BASE.vmcompact-new   the new image, from when it is complete and verified until the domain is home
 *   BASE                 the old image, then (in one rename) the new one: always a complete image
 *   BASE.vmcompact-old   the old image, until the domain is home, or for good with --keep-old
 *
 * Which file is which, their inodes tell: the journal has them.
 */
#ifndef VMC_NEW_IMAGE_H
#define VMC_NEW_IMAGE_H

#include "journal.h"

#define VMC_NEW_SUFFIX ".vmcompact-new"
#define VMC_OLD_SUFFIX ".vmcompact-old"
#define VMC_SWAP_SUFFIX ".vmcompact-swap" /* of a second name that the new image has for a moment */

/* BASE with SUFFIX, into a buffer of VMC_PATH_SIZE. False: it does not fit. */
bool vmc_new_image_name (const char *base, const char *suffix, char *path)
	__attribute__ ((nonnull, warn_unused_result));

/* Is one of these names taken? Then it is in PATH, a buffer of VMC_PATH_SIZE. 1: one is; -1: BASE is too long for them. */
int vmc_new_image_in_the_way (const char *base, char *path) __attribute__ ((nonnull, warn_unused_result));

/* Has the new image the path of the base? False also when there is no new image. */
bool vmc_new_image_in_place (const struct vmc_journal *journal) __attribute__ ((nonnull));

/* Is the file under the path of the base the one that the overlay belongs over: the base as it was made over, or the new image?
 * VMC_INTERRUPTED if not: the overlay would spoil it, and be lost. 0 also where the journal does not say which file it was. */
int vmc_new_image_check_base (const struct vmc_journal *journal, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Give the old image its second name beforehand: what can be refused is refused here, where the way back is short. */
int vmc_new_image_prepare (const struct vmc_journal *journal, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Give it that path. The old image has its own name then. Does nothing if that is done. VMC_INTERRUPTED: a file is not what the
 * journal says. */
int vmc_new_image_swap (const struct vmc_journal *journal, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The domain is home: remove the names that are no longer needed. The old image is kept only if the new one is in its place and
 * the journal says so. */
int vmc_new_image_tidy (const struct vmc_journal *journal, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
