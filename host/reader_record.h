/* reader_record.h - what goes through the pipe between the reader and its parent: one program at both ends
 *
 * A record for each place, followed by its "ranges" struct vmc_extent; then a last record with the end marked. */
#ifndef VMC_READER_RECORD_H
#define VMC_READER_RECORD_H

#include <stdint.h>

#include "extent.h"
#include "partitions.h"

/* Partitions, and the gaps between, before and behind them. */
#define VMC_RECORD_PLACES_MAX (2 * VMC_PARTITIONS_MAX + 1)

enum vmc_record_kind { VMC_RECORD_PLACE = 1, VMC_RECORD_END = 2, VMC_RECORD_FAILED = 3 };

struct vmc_record {
	uint32_t kind;
	uint32_t usable, alone;
	uint64_t offset, length, ranges;
	unsigned char uuid[16];
	uint32_t has_uuid;
	char text[200];
};

#endif
