/* message.c - tests of proto/message.c */
#include "unit.h"

#include <errno.h>

#include "message.h"

static int decode (const char *line, struct vmc_message *message, struct vmc_error *err)
{
	return vmc_message_decode (line, strlen (line), message, err);
}

static void assert_refused (const char *line, enum vmc_code code, const char *reason)
{
	VMC_CLEANUP_MESSAGE struct vmc_message message;
	struct vmc_error err;

	if (decode (line, &message, &err) == 0)
		fail_msg ("this was taken: %s", line);
	assert_error (err, code, reason);
}

/* Decode LINE, which ends with the one newline that is in it, and free it. */
static void take_line (char *line, struct vmc_message *message)
{
	size_t length = strlen (line);
	struct vmc_error err;

	assert_ptr_equal (strchr (line, '\n'), line + length - 1);
	line[length - 1] = 0;
	if (vmc_message_decode (line, length - 1, message, &err) < 0)
		fail_msg ("%s: %s", err.text, line);
	free (line);
}

/* TO = FROM, through the line of a request or of its result. */
static void round_trip (enum vmc_method method, bool request, const void *from, void *to)
{
	VMC_CLEANUP_MESSAGE struct vmc_message message;
	const struct vmc_method_info *info = vmc_method (method);
	struct vmc_error err;

	take_line (request ? vmc_request_line (42, method, from) : vmc_result_line (42, method, from), &message);
	assert_int_equal (message.kind, request ? VMC_REQUEST : VMC_RESULT);
	assert_true (message.id_known);
	assert_int_equal (message.id, 42);
	if (request)
		assert_int_equal (message.method, method);
	if (vmc_fields_decode (request ? info->params : info->result, message.body, to, &err) < 0)
		fail_msg ("%s", err.text);
}

#define ROUND_TRIP(method, request, from) \
	do { \
		__typeof__ (from) to = {0}; \
		round_trip (method, request, &(from), &to); \
		assert_memory_equal (&to, &(from), sizeof to); \
	} while (0)

/* --- each method ---------------------------------------------------------------------------------------------------- */

static void methods_have_their_names (void **state)
{
	static const char *const names[VMC_METHODS] = {"hello", "filesystems", "trim",   "zero", "freeze",
						       "map",   "thaw",        "cancel", "ping", "status"};

	(void) state;
	for (int i = 0; i < VMC_METHODS; i++)
		assert_string_equal (vmc_method (i)->name, names[i]);
}

static void hello_params_go_through (void **state)
{
	struct vmc_hello_params params = {"nonce", 1, 3};

	(void) state;
	ROUND_TRIP (VMC_HELLO, true, params);
}

static void hello_result_goes_through (void **state)
{
	struct vmc_name names[] = {{"trim"}, {"map"}};
	struct vmc_hello_result result = {"nonce", "session", "1.2", "boot", 1, {names, 2}}, got = {0};

	(void) state;
	round_trip (VMC_HELLO, false, &result, &got);
	assert_string_equal (got.nonce, "nonce");
	assert_string_equal (got.session, "session");
	assert_string_equal (got.agent_version, "1.2");
	assert_string_equal (got.boot_id, "boot");
	assert_int_equal (got.protocol, 1);
	assert_int_equal (got.capabilities.count, 2);
	assert_memory_equal (got.capabilities.items, names, sizeof names);
	vmc_fields_clear (vmc_method (VMC_HELLO)->result, &got);
}

static void session_params_go_through (void **state)
{
	struct vmc_session_params params = {"session"};

	(void) state;
	ROUND_TRIP (VMC_FILESYSTEMS, true, params);
	ROUND_TRIP (VMC_CANCEL, true, params);
}

static void filesystems_result_goes_through (void **state)
{
	struct vmc_name names[] = {{"254:1"}}, below[] = {{"254:0"}};
	struct vmc_leg legs[] = {{"254:0", 1048576}};
	struct vmc_target targets[] = {{0, 4096, 0, {legs, 1}}};
	struct vmc_filesystem list[] = {
		{"f1", "ext4", "uuid", "/", {names, 1}, "no trim", "no map", "no zero", 3, 4},
		{.filesystem = "f2", .size_bytes = INT64_MAX - 1},
	};
	struct vmc_device devices[] = {
		{.device = "254:0",
		 .name = "vda",
		 .kind = "disk",
		 .serial = "s",
		 .address = "virtio 0000:00:04.0",
		 .bytes = 9},
		{.device = "254:1",
		 .name = "vda1",
		 .kind = "partition",
		 .content = "ext4",
		 .uuid = "uuid",
		 .why_not_map = "why",
		 .encrypted = true,
		 .bytes = 4096,
		 .below = {below, 1},
		 .targets = {targets, 1}},
	};
	struct vmc_filesystems_result result = {{list, 2}, {devices, 2}}, got = {0};
	const struct vmc_filesystem *filesystem;
	const struct vmc_device *device;

	(void) state;
	round_trip (VMC_FILESYSTEMS, false, &result, &got);
	assert_int_equal (got.filesystems.count, 2);
	filesystem = got.filesystems.items;
	assert_string_equal (filesystem[0].type, "ext4");
	assert_string_equal (filesystem[0].mount_point, "/");
	assert_string_equal (filesystem[0].why_not_trim, "no trim");
	assert_string_equal (filesystem[0].why_not_map, "no map");
	assert_string_equal (filesystem[0].why_not_zero, "no zero");
	assert_string_equal (((struct vmc_name *) filesystem[0].devices.items)[0].name, "254:1");
	assert_int_equal (filesystem[0].free_bytes, 4);
	assert_int_equal (filesystem[1].size_bytes, INT64_MAX - 1);
	device = got.devices.items;
	assert_int_equal (got.devices.count, 2);
	assert_string_equal (device[0].address, "virtio 0000:00:04.0");
	assert_true (vmc_stack_same_device (&device[1], &devices[1]));
	assert_string_equal (((struct vmc_name *) device[1].below.items)[0].name, "254:0");
	vmc_fields_clear (vmc_method (VMC_FILESYSTEMS)->result, &got);
}

static void trim_goes_through (void **state)
{
	struct vmc_trim_params params;
	struct vmc_trim_result result = {123456789};

	(void) state;
	memset (&params, 0, sizeof params);
	strcpy (params.session, "session");
	strcpy (params.filesystem, "f1");
	params.minimum_bytes = 4096;
	params.force = true;
	ROUND_TRIP (VMC_TRIM, true, params);
	ROUND_TRIP (VMC_TRIM, false, result);
}

static void zero_goes_through (void **state)
{
	struct vmc_zero_params params = {"session", "f1", 268435456, 1048576};
	struct vmc_zero_result result = {123456789, 987654321};

	(void) state;
	ROUND_TRIP (VMC_ZERO, true, params);
	ROUND_TRIP (VMC_ZERO, false, result);
}

static void freeze_params_go_through (void **state)
{
	struct vmc_name names[] = {{"f1"}, {"f2"}};
	struct vmc_freeze_params params = {"session", "254:0", {names, 2}, {names + 1, 1}, 5000}, got = {0};

	(void) state;
	round_trip (VMC_FREEZE, true, &params, &got);
	assert_string_equal (got.session, "session");
	assert_string_equal (got.disk, "254:0");
	assert_int_equal (got.deadline_ms, 5000);
	assert_int_equal (got.filesystems.count, 2);
	assert_memory_equal (got.filesystems.items, names, sizeof names);
	assert_int_equal (got.early.count, 1);
	assert_memory_equal (got.early.items, names + 1, sizeof names[1]);
	vmc_fields_clear (vmc_method (VMC_FREEZE)->params, &got);
}

static void freeze_result_goes_through (void **state)
{
	struct vmc_name names[] = {{"f1"}, {"f2"}};
	struct vmc_freeze_result result = {"token", {names, 1}, {names + 1, 1}, 99, true}, got = {0};

	(void) state;
	round_trip (VMC_FREEZE, false, &result, &got);
	assert_string_equal (got.token, "token");
	assert_int_equal (got.frozen.count, 1);
	assert_memory_equal (got.frozen.items, names, sizeof names[0]);
	assert_int_equal (got.early.count, 1);
	assert_memory_equal (got.early.items, names + 1, sizeof names[1]);
	assert_int_equal (got.ranges, 99);
	assert_true (got.complete);
	vmc_fields_clear (vmc_method (VMC_FREEZE)->result, &got);
}

static void map_params_go_through (void **state)
{
	struct vmc_map_params params = {"session", "token", 4096};

	(void) state;
	ROUND_TRIP (VMC_MAP, true, params);
}

/* The largest page there can be must fit into a line. */
static void a_full_map_page_goes_through (void **state)
{
	struct vmc_map_result result = {.next = 8192}, got = {0};
	struct vmc_error err;
	char *line;

	(void) state;
	for (uint64_t i = 0; i < VMC_MAP_PAGE_RANGES; i++)
		assert_int_equal (vmc_extents_add (&result.ranges, (UINT64_C (1) << 62) + i * (UINT64_C (1) << 49),
						   1 + (UINT64_C (1) << 48), &err),
				  0);
	line = vmc_result_line (42, VMC_MAP, &result);
	assert_true (strlen (line) <= VMC_ANSWER_MAX_BYTES);
	free (line);
	round_trip (VMC_MAP, false, &result, &got);
	assert_int_equal (got.next, 8192);
	assert_int_equal (got.ranges.count, VMC_MAP_PAGE_RANGES);
	assert_memory_equal (got.ranges.items, result.ranges.items, VMC_MAP_PAGE_RANGES * sizeof *got.ranges.items);
	vmc_extents_clear (&result.ranges);
	vmc_extents_clear (&got.ranges);
}

static void thaw_goes_through (void **state)
{
	struct vmc_token_params params = {"session", "token"};
	struct vmc_thaw_result result;

	(void) state;
	memset (&result, 0, sizeof result);
	result.held = true;
	result.frozen_ms = 321;
	ROUND_TRIP (VMC_THAW, true, params);
	ROUND_TRIP (VMC_THAW, false, result);
}

static void the_small_results_go_through (void **state)
{
	struct vmc_cancel_result cancel = {true};
	struct vmc_ping_result ping = {77};
	struct vmc_status_result status;

	(void) state;
	memset (&status, 0, sizeof status);
	strcpy (status.job, "trim");
	status.frozen = true;
	status.deadline_ms = 4000;
	ROUND_TRIP (VMC_CANCEL, false, cancel);
	ROUND_TRIP (VMC_PING, false, ping);
	ROUND_TRIP (VMC_STATUS, false, status);
}

static void no_params_go_through (void **state)
{
	struct vmc_no_params params = {0};

	(void) state;
	ROUND_TRIP (VMC_PING, true, params);
	ROUND_TRIP (VMC_STATUS, true, params);
}

static void progress_goes_through (void **state)
{
	VMC_CLEANUP_MESSAGE struct vmc_message message;
	struct vmc_progress progress = {9, 100, 200};

	(void) state;
	take_line (vmc_progress_line (&progress), &message);
	assert_int_equal (message.kind, VMC_PROGRESS);
	assert_false (message.id_known);
	assert_memory_equal (&message.progress, &progress, sizeof progress);
}

static void an_error_goes_through (void **state)
{
	VMC_CLEANUP_MESSAGE struct vmc_message message;
	struct vmc_error error = {VMC_BUSY, ENOSPC, "somebody else"};

	(void) state;
	take_line (vmc_error_line (true, 7, &error), &message);
	assert_int_equal (message.kind, VMC_ERROR);
	assert_true (message.id_known);
	assert_int_equal (message.id, 7);
	assert_int_equal (message.error.code, VMC_BUSY);
	assert_int_equal (message.error.errnum, ENOSPC);
	assert_string_equal (message.error.text, "somebody else");
}

static void an_error_without_id_goes_through (void **state)
{
	VMC_CLEANUP_MESSAGE struct vmc_message message;
	struct vmc_error error = {VMC_PROTOCOL, EBADMSG, "no"};
	char *line = vmc_error_line (false, 7, &error);

	(void) state;
	assert_contains (line, "\"id\":null");
	assert_contains (line, "-32600");
	take_line (line, &message);
	assert_int_equal (message.kind, VMC_ERROR);
	assert_false (message.id_known);
}

/* A line stays one line and UTF-8, whatever is in the text of an error. */
static void an_error_is_escaped (void **state)
{
	struct vmc_error error = {VMC_FAILED, 0, "a\nb\x1B\xFF"};
	char *line = vmc_error_line (true, 7, &error);

	(void) state;
	for (const char *at = line; at[1] != 0; at++)
		assert_true (*at >= 0x20 && *at <= 0x7E);
	free (line);
}

/* --- what is no message --------------------------------------------------------------------------------------------- */

static void what_is_no_json_object_is_refused (void **state)
{
	static const char *const lines[] = {"",
					    "x",
					    "{",
					    "}",
					    "[]",
					    "7",
					    "null",
					    "\"text\"",
					    "{\"jsonrpc\":\"2.0\"",
					    "{\"jsonrpc\":\"2.0\",}",
					    "{\"a\":01}",
					    "{} {}",
					    "{} x",
					    "{}/* */",
					    "{\"a\":\"\xFF\"}",
					    "{\"a\":\"\xC3\"}"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (lines); i++)
		assert_refused (lines[i], VMC_PROTOCOL, "is not a JSON object");
}

static void a_zero_byte_is_refused (void **state)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{}}\0{}";
	VMC_CLEANUP_MESSAGE struct vmc_message message;
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_message_decode (line, sizeof line - 1, &message, &err), -1);
	assert_error (err, VMC_PROTOCOL, "is not a JSON object");
}

static void a_line_that_is_too_long_is_refused (void **state)
{
	size_t length = VMC_ANSWER_MAX_BYTES + 1;
	char *line = malloc (length + 1);

	(void) state;
	memset (line, ' ', length);
	memcpy (line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", 36);
	line[length] = 0;
	assert_refused (line, VMC_PROTOCOL, "is not a JSON object");
	free (line);
}

/* The result of a message, nested DEPTH deep. */
static void nest (char *line, int depth)
{
	line += sprintf (line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":");
	for (int i = 0; i < depth; i++)
		*line++ = '[';
	for (int i = 0; i < depth; i++)
		*line++ = ']';
	strcpy (line, "}");
}

static void nesting_has_a_limit (void **state)
{
	VMC_CLEANUP_MESSAGE struct vmc_message message;
	struct vmc_error err;
	char line[1000];

	(void) state;
	nest (line, 3);
	assert_int_equal (decode (line, &message, &err), 0);
	for (int depth = VMC_JSON_MAX_DEPTH; depth < 400; depth++) {
		nest (line, depth);
		assert_refused (line, VMC_PROTOCOL, "is not a JSON object");
	}
}

static void the_version_must_be_ours (void **state)
{
	static const char *const lines[] = {"{}", "{\"jsonrpc\":2.0,\"id\":1,\"method\":\"ping\",\"params\":{}}",
					    "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\",\"params\":{}}",
					    "{\"jsonrpc\":null,\"id\":1,\"method\":\"ping\",\"params\":{}}",
					    "{\"id\":1,\"method\":\"ping\",\"params\":{}}"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (lines); i++)
		assert_refused (lines[i], VMC_PROTOCOL, "'jsonrpc' is not");
}

static void an_id_is_a_number (void **state)
{
	static const char *const ids[] = {"-1", "\"1\"", "1.5", "true", "[]", "{}"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (ids); i++) {
		char line[200];

		sprintf (line, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"ping\",\"params\":{}}", ids[i]);
		assert_refused (line, VMC_PROTOCOL, "'id' is not a number");
	}
}

static void a_request_has_an_id (void **state)
{
	(void) state;
	assert_refused ("{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"params\":{}}", VMC_PROTOCOL, "must have an 'id'");
	assert_refused ("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\",\"params\":{}}", VMC_PROTOCOL,
			"a request must have");
}

static void a_request_has_params (void **state)
{
	(void) state;
	assert_refused ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", VMC_PROTOCOL, "a request must have");
	assert_refused ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":null}", VMC_PROTOCOL,
			"a request must have");
}

static void a_request_has_nothing_else (void **state)
{
	(void) state;
	assert_refused ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{},\"more\":1}", VMC_PROTOCOL,
			"a request must have");
	assert_refused ("{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":{},\"more\":1}", VMC_PROTOCOL,
			"a request must have");
}

static void a_method_that_is_not_known_is_told_so (void **state)
{
	VMC_CLEANUP_MESSAGE struct vmc_message message;
	struct vmc_error err;

	(void) state;
	assert_int_equal (decode ("{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"reboot\",\"params\":{}}", &message, &err),
			  -1);
	assert_error (err, VMC_UNSUPPORTED, "method is not known");
	assert_int_equal (err.errnum, ENOSYS);
	assert_true (message.id_known);
	assert_int_equal (message.id, 5);
}

/* So that the agent can answer it. */
static void the_id_of_a_bad_request_is_known (void **state)
{
	VMC_CLEANUP_MESSAGE struct vmc_message message;
	struct vmc_error err;

	(void) state;
	assert_int_equal (decode ("{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"ping\"}", &message, &err), -1);
	assert_true (message.id_known);
	assert_int_equal (message.id, 6);
}

static void progress_is_checked (void **state)
{
	(void) state;
	assert_refused ("{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":{\"id\":1,\"done_bytes\":2}}",
			VMC_PROTOCOL, "'total_bytes' is missing");
	assert_refused ("{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":[]}", VMC_PROTOCOL,
			"an object was expected");
}

static void progress_is_no_request (void **state)
{
	(void) state;
	assert_refused ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"progress\",\"params\":{\"id\":1,\"done_bytes\":2,"
			"\"total_bytes\":3}}",
			VMC_UNSUPPORTED, "method is not known");
}

static void an_answer_is_either_result_or_error (void **state)
{
	static const char *const lines[] = {
		"{\"jsonrpc\":\"2.0\",\"id\":1}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"more\":2}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":null}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"more\":2}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"error\":{}}",
		"{\"jsonrpc\":\"2.0\",\"result\":{}}",
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (lines); i++)
		assert_refused (lines[i], VMC_PROTOCOL, "neither request, result nor error");
}

static void an_error_has_its_three_parts (void **state)
{
	static const char *const errors[] = {
		"7",
		"[]",
		"{}",
		"{\"message\":\"m\",\"data\":{\"code\":\"busy\",\"errno\":\"\"}}",
		"{\"code\":\"1\",\"message\":\"m\",\"data\":{\"code\":\"busy\",\"errno\":\"\"}}",
		"{\"code\":1,\"message\":5,\"data\":{\"code\":\"busy\",\"errno\":\"\"}}",
		"{\"code\":1,\"data\":{\"code\":\"busy\",\"errno\":\"\"}}",
		"{\"code\":1,\"message\":\"m\"}",
		"{\"code\":1,\"message\":\"m\",\"data\":{\"code\":\"busy\",\"errno\":\"\"},\"more\":1}",
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (errors); i++) {
		char line[300];

		sprintf (line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":%s}", errors[i]);
		assert_refused (line, VMC_PROTOCOL, "'error' is not {code, message, data}");
	}
}

static void the_data_of_an_error_are_checked (void **state)
{
	(void) state;
	assert_refused ("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1,\"message\":\"m\",\"data\":{\"code\":"
			"\"busy\"}}}",
			VMC_PROTOCOL, "'errno' is missing");
	assert_refused ("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1,\"message\":\"m\",\"data\":null}}",
			VMC_PROTOCOL, "an object was expected");
}

/* The text comes from a guest and goes to a terminal. */
static void the_text_of_an_error_is_escaped_on_arrival (void **state)
{
	VMC_CLEANUP_MESSAGE struct vmc_message message;
	struct vmc_error err;

	(void) state;
	assert_int_equal (decode ("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1,\"message\":\"\\u001b[2J\\n\","
				  "\"data\":{\"code\":\"busy\",\"errno\":\"\"}}}",
				  &message, &err),
			  0);
	assert_string_equal (message.error.text, "\\x1B[2J\\x0A");
}

static void an_error_of_a_newer_agent_is_a_failure (void **state)
{
	VMC_CLEANUP_MESSAGE struct vmc_message message;
	struct vmc_error err;

	(void) state;
	assert_int_equal (decode ("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1,\"message\":\"m\","
				  "\"data\":{\"code\":\"exhausted\",\"errno\":\"ENEW\"}}}",
				  &message, &err),
			  0);
	assert_int_equal (message.error.code, VMC_FAILED);
	assert_int_equal (message.error.errnum, 0);
}

static void spaces_between_tokens_are_allowed (void **state)
{
	VMC_CLEANUP_MESSAGE struct vmc_message message;
	struct vmc_error err;

	(void) state;
	assert_int_equal (decode (" { \"params\" : { } , \"method\" : \"ping\" , \"id\" : 0 , \"jsonrpc\" : \"2.0\" } ",
				  &message, &err),
			  0);
	assert_int_equal (message.method, VMC_PING);
	assert_int_equal (message.id, 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (methods_have_their_names),
	cmocka_unit_test (hello_params_go_through),
	cmocka_unit_test (hello_result_goes_through),
	cmocka_unit_test (session_params_go_through),
	cmocka_unit_test (filesystems_result_goes_through),
	cmocka_unit_test (trim_goes_through),
	cmocka_unit_test (zero_goes_through),
	cmocka_unit_test (freeze_params_go_through),
	cmocka_unit_test (freeze_result_goes_through),
	cmocka_unit_test (map_params_go_through),
	cmocka_unit_test (a_full_map_page_goes_through),
	cmocka_unit_test (thaw_goes_through),
	cmocka_unit_test (the_small_results_go_through),
	cmocka_unit_test (no_params_go_through),
	cmocka_unit_test (progress_goes_through),
	cmocka_unit_test (an_error_goes_through),
	cmocka_unit_test (an_error_without_id_goes_through),
	cmocka_unit_test (an_error_is_escaped),
	cmocka_unit_test (what_is_no_json_object_is_refused),
	cmocka_unit_test (a_zero_byte_is_refused),
	cmocka_unit_test (a_line_that_is_too_long_is_refused),
	cmocka_unit_test (nesting_has_a_limit),
	cmocka_unit_test (the_version_must_be_ours),
	cmocka_unit_test (an_id_is_a_number),
	cmocka_unit_test (a_request_has_an_id),
	cmocka_unit_test (a_request_has_params),
	cmocka_unit_test (a_request_has_nothing_else),
	cmocka_unit_test (a_method_that_is_not_known_is_told_so),
	cmocka_unit_test (the_id_of_a_bad_request_is_known),
	cmocka_unit_test (progress_is_checked),
	cmocka_unit_test (progress_is_no_request),
	cmocka_unit_test (an_answer_is_either_result_or_error),
	cmocka_unit_test (an_error_has_its_three_parts),
	cmocka_unit_test (the_data_of_an_error_are_checked),
	cmocka_unit_test (the_text_of_an_error_is_escaped_on_arrival),
	cmocka_unit_test (an_error_of_a_newer_agent_is_a_failure),
	cmocka_unit_test (spaces_between_tokens_are_allowed),
};

UNIT_MAIN (tests)
