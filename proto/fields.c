/* fields.c - see fields.h */
#include "fields.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct vmc_field vmc_name_fields[] = {
	{NULL, VMC_FIELD_TEXT, offsetof (struct vmc_name, name), VMC_NAME_SIZE, NULL, 0},
};

/* Printable ASCII only: the agent escapes everything else, so nothing else is ever expected. */
static bool printable (const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] < 0x20 || text[i] > 0x7E)
			return false;
	return true;
}

static void copy_escaped (char *to, size_t size, const char *text, bool backslash)
{
	size_t used = 0;

	for (; *text != 0; text++) {
		char piece[5] = {*text};

		if (!printable (text, 1) || (backslash && *text == '\\'))
			(void) snprintf (piece, sizeof piece, "\\x%02X", (unsigned char) *text);
		if (used + strlen (piece) >= size)
			break;
		memcpy (to + used, piece, strlen (piece));
		used += strlen (piece);
	}
	to[used] = 0;
}

void vmc_text_copy (char *to, size_t size, const char *text)
{
	copy_escaped (to, size, text, true);
}

void vmc_text_take (char *to, size_t size, const char *text)
{
	copy_escaped (to, size, text, false);
}

static const char *key_of (const struct vmc_field *field)
{
	return field->key ? field->key : "element";
}

static int wrong (struct vmc_error *err, const struct vmc_field *field, const char *what)
{
	return vmc_fail (err, VMC_PROTOCOL, EBADMSG, "'%s' %s", key_of (field), what);
}

static int get_number (struct json_object *value, uint64_t *number)
{
	int64_t signed_number;

	if (!json_object_is_type (value, json_type_int))
		return -1;
	/* json-c clamps what does not fit: INT64_MAX itself is therefore not accepted. */
	signed_number = json_object_get_int64 (value);
	if (signed_number < 0 || signed_number == INT64_MAX)
		return -1;
	*number = (uint64_t) signed_number;
	return 0;
}

static int decode_text (const struct vmc_field *field, struct json_object *value, char *text, struct vmc_error *err)
{
	size_t length;

	if (!json_object_is_type (value, json_type_string))
		return wrong (err, field, "is not a text");
	length = (size_t) json_object_get_string_len (value);
	if (length >= field->max)
		return wrong (err, field, "is too long");
	if (!printable (json_object_get_string (value), length))
		return wrong (err, field, "has bytes that are not printable ASCII");
	memcpy (text, json_object_get_string (value), length);
	text[length] = 0;
	return 0;
}

static int decode_ranges (const struct vmc_field *field, struct json_object *value, struct vmc_extents *ranges,
			  struct vmc_error *err)
{
	for (size_t i = 0; i < json_object_array_length (value); i++) {
		struct json_object *pair = json_object_array_get_idx (value, i);
		uint64_t start, length;

		if (!json_object_is_type (pair, json_type_array) || json_object_array_length (pair) != 2 ||
		    get_number (json_object_array_get_idx (pair, 0), &start) < 0 ||
		    get_number (json_object_array_get_idx (pair, 1), &length) < 0 || length == 0)
			return wrong (err, field, "has an element that is not [start, length]");
		if (vmc_extents_add (ranges, start, length, err) < 0)
			return vmc_fail_in (err, "'%s'", key_of (field));
	}
	return 0;
}

static int decode_list (const struct vmc_field *field, struct json_object *value, struct vmc_list *list,
			struct vmc_error *err)
{
	size_t count = json_object_array_length (value);

	if (count == 0)
		return 0;
	list->items = calloc (count, field->element_size);
	if (list->items == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for '%s'", key_of (field));
	list->count = count;
	for (size_t i = 0; i < count; i++) {
		void *item = (char *) list->items + i * field->element_size;

		if (vmc_fields_decode (field->element, json_object_array_get_idx (value, i), item, err) < 0)
			return vmc_fail_in (err, "'%s'", key_of (field));
	}
	return 0;
}

static int decode_array (const struct vmc_field *field, struct json_object *value, void *member, struct vmc_error *err)
{
	if (!json_object_is_type (value, json_type_array))
		return wrong (err, field, "is not a list");
	if (json_object_array_length (value) > field->max)
		return wrong (err, field, "has too many elements");
	return field->type == VMC_FIELD_LIST ? decode_list (field, value, member, err)
					     : decode_ranges (field, value, member, err);
}

static int decode_value (const struct vmc_field *field, struct json_object *value, void *structure,
			 struct vmc_error *err)
{
	void *member = (char *) structure + field->offset;

	switch (field->type) {
	case VMC_FIELD_NUMBER:
		return get_number (value, member) < 0 ? wrong (err, field, "is not a number from 0 to 2^63-2") : 0;
	case VMC_FIELD_BOOL:
		if (!json_object_is_type (value, json_type_boolean))
			return wrong (err, field, "is not true or false");
		*(bool *) member = json_object_get_boolean (value);
		return 0;
	case VMC_FIELD_TEXT:
		return decode_text (field, value, member, err);
	default:
		return decode_array (field, value, member, err);
	}
}

static bool ends_table (const struct vmc_field *field)
{
	return field->key == NULL;
}

int vmc_fields_decode (const struct vmc_field *table, struct json_object *object, void *structure,
		       struct vmc_error *err)
{
	size_t known = 0;

	if (ends_table (table) && table->max > 0)
		return decode_value (table, object, structure, err);
	if (!json_object_is_type (object, json_type_object))
		return vmc_fail (err, VMC_PROTOCOL, EBADMSG, "an object was expected");
	for (const struct vmc_field *field = table; !ends_table (field); field++) {
		struct json_object *value;

		if (!json_object_object_get_ex (object, field->key, &value))
			return wrong (err, field, "is missing");
		if (decode_value (field, value, structure, err) < 0)
			return -1;
		known++;
	}
	if ((size_t) json_object_object_length (object) != known)
		return vmc_fail (err, VMC_PROTOCOL, EBADMSG, "an object has keys that are not known");
	return 0;
}

static struct json_object *encode_ranges (const struct vmc_extents *ranges)
{
	struct json_object *array = json_object_new_array ();

	for (size_t i = 0; array != NULL && i < ranges->count; i++) {
		struct json_object *pair = json_object_new_array ();

		if (pair == NULL)
			break;
		json_object_array_add (pair, json_object_new_int64 ((int64_t) ranges->items[i].start));
		json_object_array_add (pair, json_object_new_int64 ((int64_t) ranges->items[i].length));
		json_object_array_add (array, pair);
	}
	return array;
}

static struct json_object *encode_list (const struct vmc_field *field, const struct vmc_list *list)
{
	struct json_object *array = json_object_new_array ();

	for (size_t i = 0; array != NULL && i < list->count; i++) {
		const void *item = (const char *) list->items + i * field->element_size;

		json_object_array_add (array, vmc_fields_encode (field->element, item));
	}
	return array;
}

static struct json_object *encode_value (const struct vmc_field *field, const void *structure)
{
	const void *member = (const char *) structure + field->offset;

	switch (field->type) {
	case VMC_FIELD_NUMBER:
		return json_object_new_int64 ((int64_t) * (const uint64_t *) member);
	case VMC_FIELD_BOOL:
		return json_object_new_boolean (*(const bool *) member);
	case VMC_FIELD_TEXT:
		return json_object_new_string (member);
	case VMC_FIELD_RANGES:
		return encode_ranges (member);
	default:
		return encode_list (field, member);
	}
}

struct json_object *vmc_fields_encode (const struct vmc_field *table, const void *structure)
{
	struct json_object *object;

	if (ends_table (table) && table->max > 0)
		return encode_value (table, structure);
	object = json_object_new_object ();
	for (const struct vmc_field *field = table; object != NULL && !ends_table (field); field++)
		json_object_object_add (object, field->key, encode_value (field, structure));
	return object;
}

bool vmc_names_have (const struct vmc_list *names, const char *name)
{
	const struct vmc_name *all = names->items;

	for (size_t i = 0; i < names->count; i++)
		if (strcmp (all[i].name, name) == 0)
			return true;
	return false;
}

void vmc_fields_clear (const struct vmc_field *table, void *structure)
{
	for (const struct vmc_field *field = table; !ends_table (field); field++) {
		void *member = (char *) structure + field->offset;

		if (field->type == VMC_FIELD_RANGES) {
			vmc_extents_clear (member);
		} else if (field->type == VMC_FIELD_LIST) {
			struct vmc_list *list = member;

			for (size_t i = 0; i < list->count; i++)
				vmc_fields_clear (field->element, (char *) list->items + i * field->element_size);
			free (list->items);
			*list = (struct vmc_list) {0};
		}
	}
}
