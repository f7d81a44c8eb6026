/* xfs_map.h - the free ranges of an XFS filesystem on an immutable disk, proved */
#ifndef VMC_XFS_MAP_H
#define VMC_XFS_MAP_H

#include "extent.h"
#include "source.h"
#include "xfs_gate.h"

/* Add the free ranges of the XFS filesystem in [OFFSET, OFFSET + LENGTH) of the disk to MAP (positions on the disk).
 * VMC_REFUSED, with the reason and nothing added, unless all of this holds: it passed the gate; its log is clean; every checksum of
 * the superblock, the headers of its groups and the free-space trees is right; both trees of each group have the same ranges, as
 * many and as long as its header says; nothing that a header, a tree or the log takes is free. Other errors: the disk could not be
 * read, no memory. GEOMETRY is filled as far as it was read. A log that is clean is proved, but not that nobody goes on writing:
 * that is up to who made the disk immutable. After a crash of an idle guest it may be clean, too, and the map is right; who wants
 * to know of a shutdown looks at GEOMETRY's unmounted. */
int vmc_xfs_map (struct vmc_source *source, uint64_t offset, uint64_t length, struct vmc_xfs_geometry *geometry,
		 struct vmc_extents *map, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
