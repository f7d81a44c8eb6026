/* lone_reader.h - what the reader may be believed about where there is no agent of ours to ask; no I/O
 *
 * Of an image at rest, each place that proves itself (vmc_witness.alone). Of a base below the overlay of a guest that runs, only
 * those of them that were in use just before the freeze, under the same UUID. Their superblocks say that they were mounted for
 * writing, and then that they were not: the freeze has done that, and it lasted when the overlay was made, for a thaw marks the
 * superblock again. So no filesystem that something else lies over by now is believed, and none whose freeze was broken.
 */
#ifndef VMC_LONE_READER_H
#define VMC_LONE_READER_H

#include "reader.h"
#include "report.h"

/* A look at the disk while its guest writes to it: is there a place that could be believed after a freeze? VMC_REFUSED, with the
 * reason of the first one, if not. */
int vmc_lone_reader_check (const struct vmc_reading *look, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* PLACES (empty before) = those of READING that are believed, FREE (empty before) = what is free in them; REPORT gets a note for each of
 * the others, with its reason. LOOK: from just before the freeze; NULL: the image is at rest. How many are believed; if none is, WHY (not NULL then)
 * is the reason of the first place, borrowed from READING. */
int vmc_lone_reader_trust (const struct vmc_reading *look, const struct vmc_reading *reading,
			   struct vmc_extents *places, struct vmc_extents *free, struct vmc_disk_report *report,
			   const char **why, struct vmc_error *err)
	__attribute__ ((nonnull (2, 3, 4, 5, 6, 7), warn_unused_result));

#endif
