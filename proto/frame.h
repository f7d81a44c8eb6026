/* frame.h - cutting a stream of bytes into lines
 *
 * One message is one line. A 0xFF byte, which no UTF-8 text contains, throws away what was collected of a line: a
 * side that connects sends one first, so that the rest of an interrupted line cannot spoil its first message.
 * A line that is too long is thrown away up to its newline and reported once.
 */
#ifndef VMC_FRAME_H
#define VMC_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

#define VMC_FRAME_RESET 0xFF

/* Owned by the caller: set up with VMC_FRAME_INIT, released with vmc_frame_clear. */
struct vmc_frame {
	size_t max_bytes; /* the longest line, without its newline */
	char *data;
	size_t used;
	size_t room;
	bool overlong; /* skipping to the next newline */
};

#define VMC_FRAME_INIT(max) \
	{ \
		.max_bytes = (max) \
	}

enum vmc_frame_result {
	VMC_FRAME_MORE,     /* all input is taken, no line is complete */
	VMC_FRAME_LINE,     /* a line is complete */
	VMC_FRAME_OVERLONG, /* a line was too long and is lost */
	VMC_FRAME_NOMEM,
};

void vmc_frame_clear (struct vmc_frame *frame) __attribute__ ((nonnull));

/* Forget a half line, as a 0xFF byte does. */
void vmc_frame_reset (struct vmc_frame *frame) __attribute__ ((nonnull));

/* Take bytes from *INPUT (*LENGTH of them), moving both on, until a line is complete or the input is used up.
 * With VMC_FRAME_LINE, *LINE is the line without its newline, ended by a zero; it stays valid until the next call.
 * An empty line is not reported. */
enum vmc_frame_result vmc_frame_feed (struct vmc_frame *frame, const char **input, size_t *length, char **line)
	__attribute__ ((nonnull, warn_unused_result));

#endif
