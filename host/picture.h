/* picture.h - how much is in use and how much was given back in each part of a disk, without a list of ranges */
#ifndef VMC_PICTURE_H
#define VMC_PICTURE_H

#include "extent.h"
#include "table.h"

/* All zero: nothing is drawn. */
struct vmc_picture {
	uint64_t cell_bytes;                                    /* of the virtual disk, for each cell */
	uint64_t used[VMC_TABLE_CELLS], freed[VMC_TABLE_CELLS]; /* bytes */
	uint64_t used_bytes, freed_bytes;
};

/* Draw what is ALLOCATED of a disk of VIRTUAL_BYTES: as freed where it is FREE, else as used. Both are normalised; what lies behind the
 * end of the disk is left out. */
void vmc_picture_draw (struct vmc_picture *picture, uint64_t virtual_bytes, const struct vmc_extents *allocated,
		       const struct vmc_extents *free) __attribute__ ((nonnull));

/* Print it in brackets, with what its marks mean; nothing, if nothing is drawn. */
void vmc_picture_print (const struct vmc_picture *picture) __attribute__ ((nonnull));

#endif
