/* extent.h - lists of byte ranges: the free map, the allocated part of an image, what is to be deallocated
 *
 * A list is sorted and merged when "normalised" by vmc_extents_normalise; the set operations need and produce
 * normalised lists. All arithmetic is checked: a range never ends beyond INT64_MAX.
 */
#ifndef VMC_EXTENT_H
#define VMC_EXTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct vmc_extent {
	uint64_t start;  /* bytes */
	uint64_t length; /* bytes, never 0 */
};

/* All zero is an empty list. Owned by the caller, released with vmc_extents_clear. */
struct vmc_extents {
	struct vmc_extent *items;
	size_t count;
	size_t room;
};

#define VMC_CLEANUP_EXTENTS __attribute__ ((cleanup (vmc_extents_clear)))

void vmc_extents_clear (struct vmc_extents *list) __attribute__ ((nonnull));

/* Append [START, START + LENGTH). A length of 0 adds nothing; a range that follows the last one is merged into it.
 * -1: out of memory, or the range ends beyond INT64_MAX. */
int vmc_extents_add (struct vmc_extents *list, uint64_t start, uint64_t length, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Add what FROM has at the end, and leave it empty: moved, not copied, to an empty LIST. On failure both are to be cleared. */
int vmc_extents_take (struct vmc_extents *list, struct vmc_extents *from, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Sort LIST and merge ranges that touch or overlap. */
void vmc_extents_normalise (struct vmc_extents *list) __attribute__ ((nonnull));

/* Is LIST sorted, without overlaps, inside [0, END)? Ranges may touch. */
bool vmc_extents_valid (const struct vmc_extents *list, uint64_t end) __attribute__ ((nonnull));

/* OUT (empty before) = A intersected with B; both normalised. -1: out of memory. */
int vmc_extents_intersect (const struct vmc_extents *a, const struct vmc_extents *b, struct vmc_extents *out,
			   struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* OUT (empty before) = A without B; both normalised. -1: out of memory. */
int vmc_extents_subtract (const struct vmc_extents *a, const struct vmc_extents *b, struct vmc_extents *out,
			  struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Shrink each range to multiples of ALIGN bytes (a power of two), dropping what becomes empty. */
void vmc_extents_align_inward (struct vmc_extents *list, uint64_t align) __attribute__ ((nonnull));

/* Widen each range to multiples of ALIGN bytes (a power of two), but not beyond END, and merge what touches then. */
void vmc_extents_align_outward (struct vmc_extents *list, uint64_t align, uint64_t end) __attribute__ ((nonnull));

/* The first range of the normalised LIST that ends behind OFFSET, or the count. */
size_t vmc_extents_first_behind (const struct vmc_extents *list, uint64_t offset) __attribute__ ((nonnull));

/* The sum of the lengths, in bytes. */
uint64_t vmc_extents_total (const struct vmc_extents *list) __attribute__ ((nonnull));

#endif
