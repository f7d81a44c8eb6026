/* thin.h - how much of a thin volume takes space in its pool */
#ifndef VMC_THIN_H
#define VMC_THIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The bytes that the pool holds for the block device NUMBER. False: it is no thin volume of the device mapper, or that cannot be
 * asked. Asks the kernel; does not wait for I/O. */
bool vmc_thin_allocated (dev_t number, uint64_t *bytes) __attribute__ ((nonnull));

/* The same from the kernel's line about one target, as "dmsetup status" shows it: "thin", and "MAPPED HIGHEST" in sectors. */
bool vmc_thin_parse (const char *type, const char *status, uint64_t *bytes) __attribute__ ((nonnull));

#endif
