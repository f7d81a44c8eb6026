/* xfs_tree.h - the two free-space trees of one allocation group of an XFS filesystem, proved
 *
 * Each free range of a group is in both: one is sorted by where it starts, the other by how long it is.
 */
#ifndef VMC_XFS_TREE_H
#define VMC_XFS_TREE_H

#include "extent.h"
#include "xfs_disk.h"

/* A tree has no more levels than this in any XFS. */
#define VMC_XFS_TREE_MAX_LEVELS 9

enum vmc_xfs_order { VMC_XFS_BY_BLOCK, VMC_XFS_BY_SIZE };

struct vmc_xfs_tree {
	uint32_t group;  /* whose tree it is */
	uint32_t root;   /* block of the group */
	uint32_t levels; /* 1: the root has the records */
	enum vmc_xfs_order order;
};

/* What is in a tree. Two trees with the same ranges have the same sums. */
struct vmc_xfs_sums {
	uint64_t ranges;
	uint64_t free_blocks;
	uint64_t tree_blocks; /* that the tree itself takes */
	uint64_t mix;         /* a sum over a hash of each range */
	uint32_t longest;     /* blocks; 0: no range at all */
};

/* Walk TREE: each of its blocks once, of which MAX_BLOCKS may be read. The blocks that it takes are added to USED and, unless FREE
 * is NULL, what it calls free to FREE, both in blocks of the group; of more than FREE_MAX ranges the rest is only counted.
 * SUMS (zeroed before) is filled. VMC_REFUSED: a block has a wrong checksum or is not what its place in the tree says, keys and
 * records are not in order, or a range is not inside the group behind its headers. USED and FREE then have what was read. */
int vmc_xfs_tree_walk (const struct vmc_xfs *xfs, const struct vmc_xfs_tree *tree, uint64_t max_blocks,
		       struct vmc_extents *used, struct vmc_extents *free, size_t free_max, struct vmc_xfs_sums *sums,
		       struct vmc_error *err) __attribute__ ((nonnull (1, 2, 4, 7, 8), warn_unused_result));

#endif
