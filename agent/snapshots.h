/* snapshots.h - who may keep old blocks for a snapshot below the kernel's tables, as drivers for backups do */
#ifndef VMC_SNAPSHOTS_H
#define VMC_SNAPSHOTS_H

#include <stdbool.h>

/* Can anybody? Then WHY (VMC_TEXT_SIZE bytes) says who, in one line. */
bool vmc_snapshots_possible (char *why) __attribute__ ((nonnull));

/* Is there a block driver in TEXT, which has the format of /proc/devices, that is not among those of the kernel? Its name, escaped, is put
 * into NAME (VMC_NAME_SIZE bytes). */
bool vmc_snapshots_strange_driver (const char *text, char *name) __attribute__ ((nonnull));

#endif
