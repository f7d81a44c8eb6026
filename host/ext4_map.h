/* ext4_map.h - the free ranges of an ext4 filesystem on an immutable disk, proved */
#ifndef VMC_EXT4_MAP_H
#define VMC_EXT4_MAP_H

#include "ext4_gate.h"
#include "extent.h"
#include "source.h"

/* Add the free ranges of the ext4 filesystem in [OFFSET, OFFSET + LENGTH) of the disk to MAP (positions on the disk).
 * VMC_REFUSED, with the reason and nothing added, unless all of this holds: it passed the gate; the journal is empty;
 * with metadata_csum every checksum of the superblock, the descriptors and the bitmaps is right; every bitmap and table
 * lies inside the filesystem; each group has as many free bits as its descriptor says, and all together as many as the
 * superblock says. GEOMETRY is filled as far as it was read. */
int vmc_ext4_map (struct vmc_source *source, uint64_t offset, uint64_t length, struct vmc_ext4_geometry *geometry,
		  struct vmc_extents *map, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
