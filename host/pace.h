/* pace.h - how far a long copy has come, how fast it may go, and whether it shall stop */
#ifndef VMC_PACE_H
#define VMC_PACE_H

#include <stdbool.h>

#include "punch.h"

struct vmc_pace {
	vmc_punch_between *between;
	void *opaque;
	uint64_t done_bytes, total_bytes;
	uint64_t bandwidth_bytes_per_s; /* 0: no limit */
	uint64_t begun_ms, asked_ms;    /* vmc_now_ms; asked_ms: when BETWEEN was called last */
};

/* How many ms until the next bytes may be asked for, when ASKED_BYTES were since the beginning? 0: now. */
unsigned vmc_pace_wait_ms (const struct vmc_pace *pace, uint64_t asked_bytes) __attribute__ ((nonnull));

/* Call BETWEEN, if it is time to. -1: it says stop. */
int vmc_pace_check (struct vmc_pace *pace, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
