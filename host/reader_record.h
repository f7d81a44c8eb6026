/* reader_record.h - what goes through the pipe between the reader and its parent: one program at both ends
 *
 * A record for each place and each view, followed by its "ranges" struct vmc_extent; then a last record with the end marked. */
#ifndef VMC_READER_RECORD_H
#define VMC_READER_RECORD_H

#include <stdint.h>

#include "extent.h"
#include "partitions.h"
#include "signature.h"

/* Partitions, and the gaps between, before and behind them. */
#define VMC_RECORD_PLACES_MAX (2 * VMC_PARTITIONS_MAX + 1)

enum vmc_record_kind { VMC_RECORD_PLACE = 1, VMC_RECORD_END = 2, VMC_RECORD_FAILED = 3, VMC_RECORD_VIEW = 4 };

struct vmc_record {
	uint32_t kind;
	uint32_t usable, alone;
	uint16_t in_use, checksums;
	uint64_t offset, length, ranges; /* a view: offset and length are 0 */
	uint64_t data;                   /* of a place: its first byte of data, counted from offset */
	char type[VMC_SIGNATURE_SIZE];   /* of a place */
	char name[VMC_NAME_SIZE];        /* of a place, its UUID; of a view, its filesystem */
	char text[200];
};

#endif
