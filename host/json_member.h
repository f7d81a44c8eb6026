/* json_member.h - members of the JSON that is printed: escaped texts, numbers that may be unknown */
#ifndef VMC_JSON_MEMBER_H
#define VMC_JSON_MEMBER_H

#include <json-c/json.h>
#include <stdint.h>

/* Add VALUE to OBJECT, escaped (text.h): a path need not be UTF-8, JSON must be. NULL becomes null. */
void vmc_json_text (struct json_object *object, const char *key, const char *value) __attribute__ ((nonnull (1, 2)));

/* The same for a number; VMC_UNKNOWN becomes null. */
void vmc_json_number (struct json_object *object, const char *key, uint64_t value) __attribute__ ((nonnull));

#endif
