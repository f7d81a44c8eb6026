/* values.h - the values of options, read from words: one of several names, times, sizes, numbers
 *
 * OPTION is the name for the error, which is VMC_USAGE with one sentence. */
#ifndef VMC_VALUES_H
#define VMC_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/* The place of WORD among COUNT NAMES, or -1. */
int vmc_value_choice (const char *option, const char *word, const char *const *names, int count, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* "yes" or "no". */
int vmc_value_yes_no (const char *option, const char *word, bool *into, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Seconds, with decimals, from MIN_S to MAX_S; in milliseconds. */
int vmc_value_seconds (const char *option, const char *word, double min_s, double max_s, uint64_t *ms,
		       struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* A whole number from MIN to MAX; WHAT it counts is for the error. */
int vmc_value_number (const char *option, const char *word, const char *what, uint64_t min, uint64_t max,
		      uint64_t *into, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Bytes: a whole number, with K, M, G or T for powers of 1024. */
int vmc_value_bytes (const char *option, const char *word, uint64_t *bytes, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* "HH:MM", in minutes since midnight. */
int vmc_value_time (const char *option, const char *word, int *minutes, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* A path that begins with a slash. */
int vmc_value_path (const char *option, const char *word, const char **into, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
