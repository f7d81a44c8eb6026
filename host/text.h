/* text.h - texts for people: what comes from a guest or a file name is escaped, sizes are short */
#ifndef VMC_HOST_TEXT_H
#define VMC_HOST_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Copy TEXT into TO (SIZE bytes), cut to fit. Printable characters and valid UTF-8 stay; control characters, escape
 * sequences and stray bytes become \xNN: nothing of a guest's reaches a terminal or a log as it is. */
void vmc_text_escape (char *to, size_t size, const char *text) __attribute__ ((nonnull));

/* Write BYTES as "3.41 GiB" into TO (at least 16 bytes) and return it. */
char *vmc_text_size (char *to, uint64_t bytes) __attribute__ ((nonnull, returns_nonnull));

/* Copy TEXT into TO (SIZE bytes) as one word for the shell, quoted where that is needed. What does not fit becomes '...' as a whole: a
 * part of it could mean something else. Returns TO. */
const char *vmc_text_quote (char *to, size_t size, const char *text) __attribute__ ((nonnull, returns_nonnull));

#endif
