/* clock.h - the clock that all deadlines go by, on both sides */
#ifndef VMC_CLOCK_H
#define VMC_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds since some moment; goes on while nothing else does, never jumps. */
static inline uint64_t vmc_now_ms (void)
{
	struct timespec now;

	(void) clock_gettime (CLOCK_MONOTONIC, &now);
	return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

#endif
