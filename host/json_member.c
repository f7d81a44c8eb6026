/* json_member.c - see json_member.h */
#include "json_member.h"

#include "report.h"
#include "text.h"

void vmc_json_text (struct json_object *object, const char *key, const char *value)
{
	char text[VMC_PATH_SIZE];

	if (value != NULL)
		vmc_text_escape (text, sizeof text, value);
	(void) json_object_object_add (object, key, value ? json_object_new_string (text) : NULL);
}

void vmc_json_number (struct json_object *object, const char *key, uint64_t value)
{
	(void) json_object_object_add (object, key, value == VMC_UNKNOWN ? NULL : json_object_new_uint64 (value));
}
