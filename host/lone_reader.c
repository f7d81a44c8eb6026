/* lone_reader.c - see lone_reader.h */
#include "lone_reader.h"

#include <stdio.h>
#include <string.h>

#include "text.h"

#define NO_CHECKSUMS "it has no metadata_csum, so without its guest nothing proves what is free in it"

/* --- before the freeze ------------------------------------------------------------------------ */

/* NULL: it could be believed. */
static const char *why_not_freeze (const struct vmc_witness *place)
{
	if (place->in_use)
		return place->checksums ? NULL : NO_CHECKSUMS;
	return place->usable ? "it is not mounted for writing now, or somebody has frozen it" : place->why_not;
}

int vmc_lone_reader_check (const struct vmc_reading *look, struct vmc_error *err)
{
	const char *first = "it has no filesystem";

	for (size_t i = look->count; i-- > 0;) {
		if (why_not_freeze (&look->places[i]) == NULL)
			return 0;
		first = why_not_freeze (&look->places[i]);
	}
	return vmc_fail (err, VMC_REFUSED, 0,
			 "without vmcompact-agent in the guest, nothing on it could be trusted after a freeze: %s",
			 first);
}

/* --- at rest ---------------------------------------------------------------------------------- */

static bool was_in_use (const struct vmc_reading *look, const struct vmc_witness *place)
{
	for (size_t i = 0; i < look->count; i++) {
		const struct vmc_witness *before = &look->places[i];

		if (before->offset == place->offset && before->length == place->length)
			return before->in_use && place->uuid[0] != 0 && strcmp (before->uuid, place->uuid) == 0;
	}
	return false;
}

/* NULL: it is believed. */
static const char *why_not (const struct vmc_reading *look, const struct vmc_witness *place)
{
	if (!place->alone)
		return place->usable ? NO_CHECKSUMS : place->why_not;
	if (look == NULL || was_in_use (look, place))
		return NULL;
	return "it was not mounted for writing just before the freeze, or somebody else had frozen it";
}

static void leave_out (struct vmc_disk_report *report, const struct vmc_witness *place, const char *why)
{
	char at[24] = "at ";

	(void) vmc_text_size (at + 3, place->offset);
	vmc_report_left_out (report, at, why);
}

int vmc_lone_reader_trust (const struct vmc_reading *look, const struct vmc_reading *reading,
			   struct vmc_extents *places, struct vmc_extents *free, struct vmc_disk_report *report,
			   const char **why, struct vmc_error *err)
{
	int believed = 0;

	*why = NULL;
	for (size_t i = 0; i < reading->count; i++) {
		const struct vmc_witness *place = &reading->places[i];
		const char *reason = why_not (look, place);

		if (reason != NULL) {
			leave_out (report, place, reason);
			*why = *why ? *why : reason;
		} else if (vmc_extents_add (places, place->offset, place->length, err) < 0) {
			return -1;
		} else {
			believed++;
		}
	}
	if (*why == NULL)
		*why = "it has no filesystem";
	vmc_extents_normalise (places);
	return vmc_extents_intersect (&reading->free, places, free, err) < 0 ? -1 : believed;
}
