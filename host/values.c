/* values.c - see values.h */
#include "values.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int vmc_value_choice (const char *option, const char *word, const char *const *names, int count, struct vmc_error *err)
{
	for (int i = 0; i < count; i++)
		if (strcmp (word, names[i]) == 0)
			return i;
	return vmc_fail (err, VMC_USAGE, 0, "%s cannot be '%.40s'; see vmcompact --help", option, word);
}

int vmc_value_yes_no (const char *option, const char *word, bool *into, struct vmc_error *err)
{
	*into = strcmp (word, "yes") == 0;
	if (*into || strcmp (word, "no") == 0)
		return 0;
	return vmc_fail (err, VMC_USAGE, 0, "%s is yes or no, not '%.40s'", option, word);
}

int vmc_value_seconds (const char *option, const char *word, double min_s, double max_s, uint64_t *ms,
		       struct vmc_error *err)
{
	char *end;
	double seconds;

	errno = 0;
	seconds = strtod (word, &end);
	if (end == word || *end != 0 || errno != 0 || !isfinite (seconds) || seconds < min_s || seconds > max_s)
		return vmc_fail (err, VMC_USAGE, 0, "%s needs a number of seconds up to %.0f, not '%.40s'", option,
				 max_s, word);
	*ms = (uint64_t) (seconds * 1000);
	return 0;
}

/* Digits, and nothing before them: strtoull would take a minus. The place behind them, or NULL. */
static const char *digits (const char *word, uint64_t *number)
{
	char *end;

	if (!isdigit ((unsigned char) word[0]))
		return NULL;
	errno = 0;
	*number = strtoull (word, &end, 10);
	return errno == 0 ? end : NULL;
}

int vmc_value_number (const char *option, const char *word, const char *what, uint64_t min, uint64_t max,
		      uint64_t *into, struct vmc_error *err)
{
	const char *end = digits (word, into);

	if (end == NULL || *end != 0 || *into < min || *into > max)
		return vmc_fail (err, VMC_USAGE, 0, "%s needs a number of %s, not '%.40s'", option, what, word);
	return 0;
}

int vmc_value_bytes (const char *option, const char *word, uint64_t *bytes, struct vmc_error *err)
{
	static const char units[] = "KMGT";
	const char *end = digits (word, bytes), *unit = NULL;
	int shift = 0;

	if (end != NULL && *end != 0) {
		unit = strchr (units, toupper ((unsigned char) *end));
		end = unit != NULL ? end + 1 : NULL;
	}
	if (unit != NULL)
		shift = 10 * (int) (unit - units + 1);
	if (end == NULL || *end != 0 || *bytes > UINT64_MAX >> 1 >> shift)
		return vmc_fail (err, VMC_USAGE, 0, "%s needs a number of bytes, as 4096, 64K, 100M or 2G, not '%.40s'",
				 option, word);
	*bytes <<= shift;
	return 0;
}

int vmc_value_time (const char *option, const char *word, int *minutes, struct vmc_error *err)
{
	uint64_t hour = 0, minute = 0;
	const char *end = digits (word, &hour);

	if (end != NULL && end - word <= 2 && *end == ':' && strlen (end) == 3)
		end = digits (end + 1, &minute);
	else
		end = NULL;
	if (end == NULL || *end != 0 || hour > 23 || minute > 59)
		return vmc_fail (err, VMC_USAGE, 0, "%s needs a time of the day, as 05:30, not '%.40s'", option, word);
	*minutes = (int) (hour * 60 + minute);
	return 0;
}

int vmc_value_path (const char *option, const char *word, const char **into, struct vmc_error *err)
{
	*into = word;
	return word[0] == '/' ? 0
			      : vmc_fail (err, VMC_USAGE, 0, "%s needs an absolute path, not '%.40s'", option, word);
}
