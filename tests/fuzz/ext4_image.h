/* ext4_image.h - ext4 filesystems in memory, made by mke2fs, that can be damaged, mended and brought back
 *
 * An image belongs to the process: a child of fork has its own. Every byte that is changed with ext4_image_write (and all of
 * what is here uses that) comes back with ext4_image_restore.
 */
#ifndef VMC_EXT4_IMAGE_H
#define VMC_EXT4_IMAGE_H

#include "ext4_truth.h"
#include "source.h"

/* One way to make a filesystem. */
struct ext4_kind {
	const char *name;
	const char *options; /* for mke2fs */
	uint64_t bytes;
	uint64_t shift;     /* bytes of the disk before it */
	unsigned plain_max; /* how many bits may flip at once without that the checksums and counts of an undamaged
			     * filesystem could miss it */
};

/* Corpus files name kinds by their number: new ones go to the end. */
extern const struct ext4_kind ext4_kinds[];
extern const unsigned ext4_kinds_count;

/* What may be damaged. */
enum ext4_area {
	EXT4_AREA_SUPER,
	EXT4_AREA_DESC,
	EXT4_AREA_BLOCK_BITMAP,
	EXT4_AREA_INODE_BITMAP,
	EXT4_AREA_JOURNAL_SUPER,
	EXT4_AREA_JOURNAL_INODE,
	EXT4_AREAS
};

struct ext4_image {
	struct vmc_source source; /* the disk: the filesystem begins at kind->shift */
	const struct ext4_kind *kind;
	unsigned char *bytes;
	struct ext4_truth truth; /* of the undamaged filesystem; what it reads from memory is as damaged as that is */
	uint8_t *used, *fixed;   /* the same: ext4_truth_used, ext4_truth_static */
	uint64_t (*places)[EXT4_AREAS]; /* the same: where each area of a group begins */
	struct ext4_page *pages;        /* what is to be restored */
	size_t page_count, page_room;
	uint8_t *page_saved;
};

/* The image of KIND; made at the first call, and there until the program ends. NULL: mke2fs is missing or fails. */
struct ext4_image *ext4_image_get (unsigned kind);

/* Where byte INDEX of AREA (of GROUP, for those that each group has) lies in the image. INDEX and GROUP may be any numbers: they
 * are taken modulo what there is. */
uint64_t ext4_image_place (const struct ext4_image *image, enum ext4_area area, uint64_t group, uint64_t index)
	__attribute__ ((nonnull));

/* How many bytes AREA has in one group. */
uint64_t ext4_image_area_bytes (const struct ext4_image *image, enum ext4_area area) __attribute__ ((nonnull));

/* What is outside of the image is left out. */
void ext4_image_write (struct ext4_image *image, uint64_t offset, const void *bytes, size_t length)
	__attribute__ ((nonnull));

/* Make the free counts of groups and superblock what the bitmaps say now. */
void ext4_image_settle (struct ext4_image *image) __attribute__ ((nonnull));

/* Make every checksum right: bitmaps, descriptors, journal's inode and superblock, superblock. */
void ext4_image_repair (struct ext4_image *image) __attribute__ ((nonnull));

void ext4_image_restore (struct ext4_image *image) __attribute__ ((nonnull));

#endif
