/* file.h - a whole file, read into memory */
#ifndef VMC_FILE_H
#define VMC_FILE_H

#include <stddef.h>

/* All bytes of FD, a regular file of at most MAX_BYTES, and a zero behind them; LENGTH gets their number without it. To be freed
 * by the caller. NULL with errno set: EINVAL for what is no such file. */
char *vmc_file_read (int fd, size_t max_bytes, size_t *length) __attribute__ ((nonnull));

#endif
