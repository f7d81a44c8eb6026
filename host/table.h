/* table.h - what the tables on the terminal have in common */
#ifndef VMC_TABLE_H
#define VMC_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define VMC_TABLE_CELLS 64 /* of the picture of a disk */

/* Print BYTES as a cell of 12 columns, right-aligned: "  3.41 GiB", with a tilde if it is ABOUT so much, "-" for VMC_UNKNOWN. */
void vmc_table_bytes (uint64_t bytes, bool about);

/* The marks of a picture as this terminal can show them: in use, free but allocated, not allocated. */
const char *const *vmc_table_marks (void);

#endif
