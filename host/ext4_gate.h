/* ext4_gate.h - is this superblock sane enough to be shown to libext2fs?
 *
 * The library believes what a superblock says and can be led astray by numbers that no mkfs would write. The gate reads
 * the 1,024 bytes itself, trusts none of them, and lets through only a geometry that the library was made for and the
 * features that are known here to leave the block bitmaps' meaning alone.
 */
#ifndef VMC_EXT4_GATE_H
#define VMC_EXT4_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/* Bytes, from the start of the filesystem. */
#define VMC_EXT4_SUPERBLOCK_OFFSET 1024
#define VMC_EXT4_SUPERBLOCK_BYTES 1024

struct vmc_ext4_geometry {
	uint64_t blocks; /* block_bytes each */
	uint32_t block_bytes;
	uint32_t cluster_blocks; /* blocks that are free or used together: 1 without bigalloc */
	uint32_t groups;
	bool metadata_csum;
	unsigned char uuid[16];
};

/* Does SUPERBLOCK have ext's magic number at all? */
bool vmc_ext4_magic (const unsigned char *superblock) __attribute__ ((nonnull));

/* Says SUPERBLOCK (with ext's magic number) that its journal needs recovery: that it is mounted for writing, or was when its
 * machine died? A filesystem that is frozen does not. One without a journal never does. */
bool vmc_ext4_in_use (const unsigned char *superblock) __attribute__ ((nonnull));

/* Says it that all metadata have checksums? */
bool vmc_ext4_checksums (const unsigned char *superblock) __attribute__ ((nonnull));

/* Check SUPERBLOCK of a filesystem in LENGTH bytes. VMC_REFUSED, with what is wrong or not handled. */
int vmc_ext4_gate (const unsigned char *superblock, uint64_t length, struct vmc_ext4_geometry *geometry,
		   struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
