/* ext4_layout.h - where an ext4 filesystem has what is never free: superblocks, descriptors, bitmaps, inode tables, journal
 *
 * Computed from the descriptors, not from the bitmaps, so that the two can be held against each other.
 */
#ifndef VMC_EXT4_LAYOUT_H
#define VMC_EXT4_LAYOUT_H

#include <ext2fs/ext2fs.h>

#include "error.h"
#include "extent.h"

/* Fill LAYOUT (empty before) with the ranges, in blocks of the filesystem, normalised and widened to whole clusters. FS has
 * been opened and nothing of it is trusted. VMC_REFUSED: something lies outside of the filesystem, two of them on top of each
 * other, or the journal is not all there. */
int vmc_ext4_layout (ext2_filsys fs, struct vmc_extents *layout, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
