/* text.c - see text.h */
#include "text.h"

#include <stdio.h>
#include <string.h>

/* The length of the valid UTF-8 sequence at BYTES (C1 control characters, overlong forms, surrogates and what is beyond
 * U+10FFFF are not valid here), or 0. */
static size_t utf8_length (const unsigned char *bytes)
{
	size_t length = bytes[0] >= 0xF0 ? 4 : bytes[0] >= 0xE0 ? 3 : 2;
	unsigned long code = bytes[0] & (0x7Fu >> length);
	static const unsigned long least[] = {0, 0, 0xA0, 0x800, 0x10000};

	if (bytes[0] < 0xC2 || bytes[0] > 0xF4)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((bytes[i] & 0xC0) != 0x80)
			return 0;
		code = code << 6 | (bytes[i] & 0x3Fu);
	}
	/* U+202A..U+202E and U+2066..U+2069 turn the direction of text around, to mislead a reader. */
	if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF) ||
	    (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069))
		return 0;
	return length;
}

void vmc_text_escape (char *to, size_t size, const char *text)
{
	size_t used = 0;

	while (*text != 0) {
		const unsigned char *bytes = (const unsigned char *) text;
		char piece[5] = "";
		size_t taken = bytes[0] < 0x80 ? 1 : utf8_length (bytes);

		if (taken == 0 || bytes[0] < 0x20 || bytes[0] == 0x7F) {
			(void) snprintf (piece, sizeof piece, "\\x%02X", bytes[0]);
			taken = 1;
		} else {
			memcpy (piece, text, taken);
		}
		if (used + strlen (piece) >= size)
			break;
		memcpy (to + used, piece, strlen (piece));
		used += strlen (piece);
		text += taken;
	}
	to[used] = 0;
}

char *vmc_text_size (char *to, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double) bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
		value /= 1024;
		unit++;
	}
	(void) snprintf (to, 16,
			 unit == 0 || value >= 100 ? "%.0f %s"
			 : value >= 10             ? "%.1f %s"
						   : "%.2f %s",
			 value, units[unit]);
	return to;
}

const char *vmc_text_quote (char *to, size_t size, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.,+@%/=:";
	size_t used = 1;

	if (text[0] != 0 && text[strspn (text, plain)] == 0 && strlen (text) < size) {
		memcpy (to, text, strlen (text) + 1);
		return to;
	}
	to[0] = '\'';
	for (; *text != 0 && used + 6 < size; text++) {
		size_t length = *text == '\'' ? 4 : 1;

		memcpy (to + used, *text == '\'' ? "'\\''" : text, length);
		used += length;
	}
	if (*text != 0)
		(void) snprintf (to, size, "...");
	else
		memcpy (to + used, "'", 2);
	return to;
}
