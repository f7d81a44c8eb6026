/* frame.c - see frame.h */
#include "frame.h"

#include <stdlib.h>
#include <string.h>

void vmc_frame_clear (struct vmc_frame *frame)
{
	free (frame->data);
	frame->data = NULL;
	frame->used = frame->room = 0;
	frame->overlong = false;
}

void vmc_frame_reset (struct vmc_frame *frame)
{
	frame->used = 0;
	frame->overlong = false;
}

/* The buffer grows by doubling, so that an idle agent does not hold the memory of the longest line. */
static bool append (struct vmc_frame *frame, const char *bytes, size_t length)
{
	size_t room = frame->room ? frame->room : 256;
	char *data;

	while (room < frame->used + length + 1)
		room *= 2;
	if (room > frame->room) {
		data = realloc (frame->data, room);
		if (data == NULL)
			return false;
		frame->data = data;
		frame->room = room;
	}
	memcpy (frame->data + frame->used, bytes, length);
	frame->used += length;
	frame->data[frame->used] = 0;
	return true;
}

/* The length of the run before the next byte with a meaning of its own. */
static size_t plain_run (const char *bytes, size_t length)
{
	size_t i = 0;

	while (i < length && bytes[i] != '\n' && (unsigned char) bytes[i] != VMC_FRAME_RESET)
		i++;
	return i;
}

/* A newline: what it ends. */
static enum vmc_frame_result end_line (struct vmc_frame *frame, char **line)
{
	bool overlong = frame->overlong, empty = frame->used == 0;

	vmc_frame_reset (frame);
	*line = frame->data;
	return overlong ? VMC_FRAME_OVERLONG : empty ? VMC_FRAME_MORE : VMC_FRAME_LINE;
}

enum vmc_frame_result vmc_frame_feed (struct vmc_frame *frame, const char **input, size_t *length, char **line)
{
	while (*length > 0) {
		size_t run = plain_run (*input, *length);
		enum vmc_frame_result result;

		if (run > frame->max_bytes - frame->used)
			frame->overlong = true;
		if (!frame->overlong && run > 0 && !append (frame, *input, run))
			return VMC_FRAME_NOMEM;
		*input += run;
		*length -= run;
		if (*length == 0)
			break;
		(*input)++;
		(*length)--;
		if ((unsigned char) (*input)[-1] == VMC_FRAME_RESET) {
			vmc_frame_reset (frame);
			continue;
		}
		result = end_line (frame, line);
		if (result != VMC_FRAME_MORE)
			return result;
	}
	return VMC_FRAME_MORE;
}
