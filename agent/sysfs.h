/* sysfs.h - small files below /sys, and what they say */
#ifndef VMC_SYSFS_H
#define VMC_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VMC_SECTOR_BYTES \
	UINT64_C (512) /* sysfs and the device mapper count in these, whatever the disk's own sector size */

/* The first line of DIRECTORY/FILE, cut to SIZE bytes with the final zero. False: it cannot be read. */
bool vmc_sysfs_text (const char *directory, const char *file, char *text, size_t size) __attribute__ ((nonnull));

/* The same as a number; 0 also where there is none, or none that times 512 is below 2^63. */
uint64_t vmc_sysfs_number (const char *directory, const char *file) __attribute__ ((nonnull));

bool vmc_sysfs_exists (const char *directory, const char *file) __attribute__ ((nonnull));

/* The number of the block device with that directory, from its file "dev". */
bool vmc_sysfs_device (const char *directory, dev_t *number) __attribute__ ((nonnull));

/* What comes after the last slash. */
const char *vmc_sysfs_last_name (const char *path) __attribute__ ((nonnull));

#endif
