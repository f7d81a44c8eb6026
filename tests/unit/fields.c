/* fields.c - tests of proto/fields.c */
#include "unit.h"

#include "fields.h"

struct inner {
	char name[8];
};

struct outer {
	uint64_t number;
	bool flag;
	char text[8];
	struct vmc_list list;  /* struct inner */
	struct vmc_list plain; /* struct inner, without an object around the text */
	struct vmc_extents ranges;
};

static const struct vmc_field inner_fields[] = {VMC_TEXT (struct inner, name), VMC_FIELDS_END};
static const struct vmc_field plain_fields[] = {{NULL, VMC_FIELD_TEXT, offsetof (struct inner, name), 8, NULL, 0}};
static const struct vmc_field outer_fields[] = {
	VMC_NUMBER (struct outer, number),
	VMC_BOOL (struct outer, flag),
	VMC_TEXT (struct outer, text),
	VMC_LIST (struct outer, list, 2, inner_fields, struct inner),
	VMC_LIST (struct outer, plain, 2, plain_fields, struct inner),
	VMC_RANGES (struct outer, ranges, 3),
	VMC_FIELDS_END,
};

#define GOOD \
	"{\"number\":7,\"flag\":true,\"text\":\"abc\",\"list\":[{\"name\":\"a\"},{\"name\":\"b\"}]," \
	"\"plain\":[\"c\"],\"ranges\":[[0,4],[8,4]]}"

static int decode (const char *text, struct outer *outer, struct vmc_error *err)
{
	struct json_object *object = json_tokener_parse (text);
	int result = vmc_fields_decode (outer_fields, object, outer, err);

	json_object_put (object);
	return result;
}

/* Decode GOOD with KEY's VALUE in place of its own. */
static int decode_with (const char *key, const char *value, struct outer *outer, struct vmc_error *err)
{
	struct json_object *object = json_tokener_parse (GOOD);
	int result;

	json_object_object_add (object, key, json_tokener_parse (value));
	result = vmc_fields_decode (outer_fields, object, outer, err);
	json_object_put (object);
	return result;
}

static void assert_wrong (const char *key, const char *value, const char *reason)
{
	struct outer outer = {0};
	struct vmc_error err;

	if (decode_with (key, value, &outer, &err) == 0)
		fail_msg ("%s: %s was taken", key, value);
	assert_error (err, VMC_PROTOCOL, reason);
	assert_contains (err.text, key);
	vmc_fields_clear (outer_fields, &outer);
}

static void a_good_object_is_decoded (void **state)
{
	struct outer outer = {0};
	struct vmc_error err;

	(void) state;
	assert_int_equal (decode (GOOD, &outer, &err), 0);
	assert_int_equal (outer.number, 7);
	assert_true (outer.flag);
	assert_string_equal (outer.text, "abc");
	assert_int_equal (outer.list.count, 2);
	assert_string_equal (((struct inner *) outer.list.items)[1].name, "b");
	assert_string_equal (((struct inner *) outer.plain.items)[0].name, "c");
	assert_int_equal (outer.ranges.count, 2);
	assert_int_equal (outer.ranges.items[1].start, 8);
	vmc_fields_clear (outer_fields, &outer);
}

static void what_is_encoded_is_what_was_decoded (void **state)
{
	struct json_object *object;
	struct outer outer = {0};
	struct vmc_error err;

	(void) state;
	assert_int_equal (decode (GOOD, &outer, &err), 0);
	object = vmc_fields_encode (outer_fields, &outer);
	assert_string_equal (json_object_to_json_string_ext (object, JSON_C_TO_STRING_PLAIN), GOOD);
	json_object_put (object);
	vmc_fields_clear (outer_fields, &outer);
}

static void an_empty_list_needs_no_memory (void **state)
{
	struct outer outer = {0};
	struct vmc_error err;

	(void) state;
	assert_int_equal (decode_with ("list", "[]", &outer, &err), 0);
	assert_int_equal (outer.list.count, 0);
	assert_null (outer.list.items);
	vmc_fields_clear (outer_fields, &outer);
}

static void what_is_no_object_is_refused (void **state)
{
	static const char *const texts[] = {"[]", "7", "\"text\"", "null"};
	struct vmc_error err;

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (texts); i++) {
		struct outer outer = {0};

		assert_int_equal (decode (texts[i], &outer, &err), -1);
		assert_error (err, VMC_PROTOCOL, "an object was expected");
	}
}

static void each_key_must_be_there (void **state)
{
	struct vmc_error err;

	(void) state;
	for (const struct vmc_field *field = outer_fields; field->key != NULL; field++) {
		struct json_object *object = json_tokener_parse (GOOD);
		struct outer outer = {0};

		json_object_object_del (object, field->key);
		assert_int_equal (vmc_fields_decode (outer_fields, object, &outer, &err), -1);
		assert_error (err, VMC_PROTOCOL, "is missing");
		assert_contains (err.text, field->key);
		json_object_put (object);
		vmc_fields_clear (outer_fields, &outer);
	}
}

static void a_key_that_is_not_known_is_refused (void **state)
{
	struct outer outer = {0};
	struct vmc_error err;

	(void) state;
	assert_int_equal (decode_with ("more", "1", &outer, &err), -1);
	assert_error (err, VMC_PROTOCOL, "keys that are not known");
	vmc_fields_clear (outer_fields, &outer);
}

static void a_key_that_is_not_known_in_an_element_is_refused (void **state)
{
	(void) state;
	assert_wrong ("list", "[{\"name\":\"a\",\"more\":1}]", "keys that are not known");
}

static void numbers_are_whole_and_in_range (void **state)
{
	static const char *const values[] = {"-1",
					     "9223372036854775807",
					     "9223372036854775808",
					     "18446744073709551616",
					     "-9223372036854775809",
					     "1.0",
					     "1e3",
					     "true",
					     "\"1\"",
					     "null",
					     "[]",
					     "{}"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (values); i++)
		assert_wrong ("number", values[i], "is not a number from 0 to 2^63-2");
}

static void the_largest_number_is_taken (void **state)
{
	struct outer outer = {0};
	struct vmc_error err;

	(void) state;
	assert_int_equal (decode_with ("number", "9223372036854775806", &outer, &err), 0);
	assert_true (outer.number == INT64_MAX - 1);
	vmc_fields_clear (outer_fields, &outer);
}

static void flags_are_true_or_false (void **state)
{
	static const char *const values[] = {"0", "1", "\"true\"", "null", "[]"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (values); i++)
		assert_wrong ("flag", values[i], "is not true or false");
}

static void texts_are_texts (void **state)
{
	static const char *const values[] = {"0", "true", "null", "[]", "{}"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (values); i++)
		assert_wrong ("text", values[i], "is not a text");
}

static void a_text_must_fit_with_its_zero (void **state)
{
	struct outer outer = {0};
	struct vmc_error err;

	(void) state;
	assert_wrong ("text", "\"12345678\"", "is too long");
	assert_int_equal (decode_with ("text", "\"1234567\"", &outer, &err), 0);
	assert_string_equal (outer.text, "1234567");
	vmc_fields_clear (outer_fields, &outer);
}

static void a_text_is_printable_ascii (void **state)
{
	static const char *const values[] = {"\"a\\u0000b\"", "\"a\\u001bb\"", "\"a\\nb\"",  "\"\\u007f\"",
					     "\"\\u00e9\"",   "\"\xc3\xa9\"",  "\"\\u202e\""};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (values); i++)
		assert_wrong ("text", values[i], "not printable ASCII");
}

static void a_list_is_a_list (void **state)
{
	static const char *const values[] = {"0", "{}", "null", "\"a\""};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (values); i++) {
		assert_wrong ("list", values[i], "is not a list");
		assert_wrong ("ranges", values[i], "is not a list");
	}
}

static void a_list_has_a_limit (void **state)
{
	(void) state;
	assert_wrong ("list", "[{\"name\":\"a\"},{\"name\":\"a\"},{\"name\":\"a\"}]", "too many elements");
	assert_wrong ("plain", "[\"a\",\"a\",\"a\"]", "too many elements");
	assert_wrong ("ranges", "[[0,1],[2,1],[4,1],[6,1]]", "too many elements");
}

static void elements_are_checked (void **state)
{
	(void) state;
	assert_wrong ("list", "[{\"name\":\"a\"},7]", "an object was expected");
	assert_wrong ("list", "[{\"name\":\"a\"},null]", "an object was expected");
	assert_wrong ("plain", "[\"a\",7]", "is not a text");
	assert_wrong ("plain", "[\"12345678\"]", "is too long");
}

static void ranges_are_pairs_of_numbers (void **state)
{
	static const char *const values[] = {"[[0]]",     "[[0,1,2]]",
					     "[7]",       "[null]",
					     "[[0,0]]",   "[[-1,4]]",
					     "[[0,-4]]",  "[[\"0\",4]]",
					     "[[0,4.0]]", "[[0,9223372036854775807]]"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (values); i++)
		assert_wrong ("ranges", values[i], "is not [start, length]");
}

static void a_range_must_end_inside_the_limit (void **state)
{
	(void) state;
	assert_wrong ("ranges", "[[9223372036854775806,2]]", "2^63");
}

static void clearing_what_is_half_decoded_is_safe (void **state)
{
	struct outer outer = {0};
	struct vmc_error err;

	(void) state;
	assert_int_equal (decode_with ("ranges", "[[0,1],[5,1],7]", &outer, &err), -1);
	vmc_fields_clear (outer_fields, &outer);
	assert_null (outer.list.items);
	assert_null (outer.ranges.items);
	assert_int_equal (outer.list.count + outer.ranges.count, 0);
}

static void copying_escapes_what_cannot_be_sent (void **state)
{
	char to[64];

	(void) state;
	vmc_text_copy (to, sizeof to, "a b~\x7F\x1B[1m\n\xC3\xA9\\");
	assert_string_equal (to, "a b~\\x7F\\x1B[1m\\x0A\\xC3\\xA9\\x5C");
}

static void copying_never_cuts_an_escape_in_two (void **state)
{
	char to[8];

	(void) state;
	vmc_text_copy (to, sizeof to, "abcd\nefg");
	assert_string_equal (to, "abcd");
	vmc_text_copy (to, sizeof to, "abc\ndefg");
	assert_string_equal (to, "abc\\x0A");
	vmc_text_copy (to, sizeof to, "abcdefghij");
	assert_string_equal (to, "abcdefg");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (a_good_object_is_decoded),
	cmocka_unit_test (what_is_encoded_is_what_was_decoded),
	cmocka_unit_test (an_empty_list_needs_no_memory),
	cmocka_unit_test (what_is_no_object_is_refused),
	cmocka_unit_test (each_key_must_be_there),
	cmocka_unit_test (a_key_that_is_not_known_is_refused),
	cmocka_unit_test (a_key_that_is_not_known_in_an_element_is_refused),
	cmocka_unit_test (numbers_are_whole_and_in_range),
	cmocka_unit_test (the_largest_number_is_taken),
	cmocka_unit_test (flags_are_true_or_false),
	cmocka_unit_test (texts_are_texts),
	cmocka_unit_test (a_text_must_fit_with_its_zero),
	cmocka_unit_test (a_text_is_printable_ascii),
	cmocka_unit_test (a_list_is_a_list),
	cmocka_unit_test (a_list_has_a_limit),
	cmocka_unit_test (elements_are_checked),
	cmocka_unit_test (ranges_are_pairs_of_numbers),
	cmocka_unit_test (a_range_must_end_inside_the_limit),
	cmocka_unit_test (clearing_what_is_half_decoded_is_safe),
	cmocka_unit_test (copying_escapes_what_cannot_be_sent),
	cmocka_unit_test (copying_never_cuts_an_escape_in_two),
};

UNIT_MAIN (tests)
