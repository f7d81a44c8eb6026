/* file.h - a whole file, read or written at once */
#ifndef VMC_FILE_H
#define VMC_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "error.h"

#define VMC_FILE_NEW ".new" /* behind the name of a file that takes the place of another one */

/* All bytes of FD, a regular file of at most MAX_BYTES, and a zero behind them; LENGTH gets their number without it. To be freed
 * by the caller. NULL with errno set: EINVAL for what is no such file. */
char *vmc_file_read (int fd, size_t max_bytes, size_t *length) __attribute__ ((nonnull));

/* Have the file PATH hold TEXT, with MODE: written and synced beside it, then renamed, so that whoever reads it finds all of the old one
 * or all of the new one. The rename counts after a crash when the directory has been synced (vmc_directory_sync). */
int vmc_file_replace (const char *path, const char *text, mode_t mode, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
