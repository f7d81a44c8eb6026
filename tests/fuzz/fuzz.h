/* fuzz.h - what every fuzz target needs
 *
 * A target is one function, LLVMFuzzerTestOneInput, that takes any bytes at all. It is linked twice: with driver.c, which
 * runs the files of tests/fuzz/corpus through it in "make check", and with libFuzzer, which makes up new ones ("make fuzz").
 * A target that finds something wrong ends the program: neither of the two takes that for a success.
 */
#ifndef VMC_FUZZ_H
#define VMC_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Returns 0, always. */
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* End the program unless CONDITION, which the code under test has promised, is true. */
#define FUZZ_MUST(condition) \
	do { \
		if (!(condition)) { \
			(void) fprintf (stderr, "%s:%d: this is not so: %s\n", __FILE__, __LINE__, #condition); \
			abort (); \
		} \
	} while (0)

/* A copy of LENGTH bytes with a zero behind them and nothing else: AddressSanitizer sees each byte that is read too far.
 * To be freed by the caller. */
static inline char *fuzz_text (const uint8_t *data, size_t length)
{
	char *text = malloc (length + 1);

	FUZZ_MUST (text != NULL);
	if (length > 0)
		memcpy (text, data, length);
	text[length] = 0;
	return text;
}

/* The input, as a target uses it up. Behind its end are zeros. */
struct fuzz_input {
	const uint8_t *data;
	size_t left;
};

static inline uint8_t fuzz_byte (struct fuzz_input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->data++;
}

/* BYTES of them, little-endian. */
static inline uint64_t fuzz_number (struct fuzz_input *input, unsigned bytes)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < bytes; i++)
		number |= (uint64_t) fuzz_byte (input) << 8 * i;
	return number;
}

#endif
