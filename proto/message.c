/* message.c - see message.h */
#include "message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- the fields of each method ---------------------------------------------------------------- */

static const struct vmc_field no_fields[] = {VMC_FIELDS_END};

#define SESSION(type) VMC_TEXT (type, session)

static const struct vmc_field session_params[] = {SESSION (struct vmc_session_params), VMC_FIELDS_END};
static const struct vmc_field token_params[] = {SESSION (struct vmc_token_params),
						VMC_TEXT (struct vmc_token_params, token), VMC_FIELDS_END};

static const struct vmc_field hello_params[] = {VMC_TEXT (struct vmc_hello_params, nonce),
						VMC_NUMBER (struct vmc_hello_params, protocol_min),
						VMC_NUMBER (struct vmc_hello_params, protocol_max), VMC_FIELDS_END};
static const struct vmc_field hello_result[] = {VMC_TEXT (struct vmc_hello_result, nonce),
						VMC_TEXT (struct vmc_hello_result, session),
						VMC_TEXT (struct vmc_hello_result, agent_version),
						VMC_TEXT (struct vmc_hello_result, boot_id),
						VMC_NUMBER (struct vmc_hello_result, protocol),
						VMC_LIST (struct vmc_hello_result, capabilities, VMC_CAPABILITIES_MAX,
							  vmc_name_fields, struct vmc_name),
						VMC_FIELDS_END};

static const struct vmc_field filesystem_fields[] = {VMC_TEXT (struct vmc_filesystem, filesystem),
						     VMC_TEXT (struct vmc_filesystem, type),
						     VMC_TEXT (struct vmc_filesystem, uuid),
						     VMC_TEXT (struct vmc_filesystem, mount_point),
						     VMC_LIST (struct vmc_filesystem, devices, VMC_DEVICES_MAX,
							       vmc_name_fields, struct vmc_name),
						     VMC_TEXT (struct vmc_filesystem, why_not_trim),
						     VMC_TEXT (struct vmc_filesystem, why_not_map),
						     VMC_TEXT (struct vmc_filesystem, why_not_zero),
						     VMC_NUMBER (struct vmc_filesystem, size_bytes),
						     VMC_NUMBER (struct vmc_filesystem, free_bytes),
						     VMC_FIELDS_END};
static const struct vmc_field filesystems_result[] = {VMC_LIST (struct vmc_filesystems_result, filesystems,
								VMC_FILESYSTEMS_MAX, filesystem_fields,
								struct vmc_filesystem),
						      VMC_LIST (struct vmc_filesystems_result, devices, VMC_DEVICES_MAX,
								vmc_device_fields, struct vmc_device),
						      VMC_FIELDS_END};

static const struct vmc_field trim_params[] = {SESSION (struct vmc_trim_params),
					       VMC_TEXT (struct vmc_trim_params, filesystem),
					       VMC_NUMBER (struct vmc_trim_params, minimum_bytes),
					       VMC_BOOL (struct vmc_trim_params, force), VMC_FIELDS_END};
static const struct vmc_field trim_result[] = {VMC_NUMBER (struct vmc_trim_result, trimmed_bytes), VMC_FIELDS_END};

static const struct vmc_field zero_params[] = {SESSION (struct vmc_zero_params),
					       VMC_TEXT (struct vmc_zero_params, filesystem),
					       VMC_NUMBER (struct vmc_zero_params, reserve_bytes),
					       VMC_NUMBER (struct vmc_zero_params, rate_bytes_per_s), VMC_FIELDS_END};
static const struct vmc_field zero_result[] = {VMC_NUMBER (struct vmc_zero_result, zeroed_bytes),
					       VMC_NUMBER (struct vmc_zero_result, zero_bytes), VMC_FIELDS_END};

static const struct vmc_field freeze_params[] = {SESSION (struct vmc_freeze_params),
						 VMC_TEXT (struct vmc_freeze_params, disk),
						 VMC_LIST (struct vmc_freeze_params, filesystems, VMC_FILESYSTEMS_MAX,
							   vmc_name_fields, struct vmc_name),
						 VMC_LIST (struct vmc_freeze_params, early, VMC_FILESYSTEMS_MAX,
							   vmc_name_fields, struct vmc_name),
						 VMC_NUMBER (struct vmc_freeze_params, deadline_ms),
						 VMC_FIELDS_END};
static const struct vmc_field freeze_result[] = {VMC_TEXT (struct vmc_freeze_result, token),
						 VMC_LIST (struct vmc_freeze_result, frozen, VMC_FILESYSTEMS_MAX,
							   vmc_name_fields, struct vmc_name),
						 VMC_LIST (struct vmc_freeze_result, early, VMC_FILESYSTEMS_MAX,
							   vmc_name_fields, struct vmc_name),
						 VMC_NUMBER (struct vmc_freeze_result, ranges),
						 VMC_BOOL (struct vmc_freeze_result, complete),
						 VMC_FIELDS_END};

static const struct vmc_field map_params[] = {SESSION (struct vmc_map_params), VMC_TEXT (struct vmc_map_params, token),
					      VMC_NUMBER (struct vmc_map_params, position), VMC_FIELDS_END};
static const struct vmc_field map_result[] = {VMC_RANGES (struct vmc_map_result, ranges, VMC_MAP_PAGE_RANGES),
					      VMC_NUMBER (struct vmc_map_result, next), VMC_FIELDS_END};

static const struct vmc_field thaw_result[] = {VMC_BOOL (struct vmc_thaw_result, held),
					       VMC_NUMBER (struct vmc_thaw_result, frozen_ms), VMC_FIELDS_END};
static const struct vmc_field cancel_result[] = {VMC_BOOL (struct vmc_cancel_result, cancelled), VMC_FIELDS_END};
static const struct vmc_field ping_result[] = {VMC_NUMBER (struct vmc_ping_result, uptime_ms), VMC_FIELDS_END};
static const struct vmc_field status_result[] = {VMC_TEXT (struct vmc_status_result, job),
						 VMC_BOOL (struct vmc_status_result, frozen),
						 VMC_NUMBER (struct vmc_status_result, deadline_ms), VMC_FIELDS_END};

static const struct vmc_field progress_fields[] = {VMC_NUMBER (struct vmc_progress, id),
						   VMC_NUMBER (struct vmc_progress, done_bytes),
						   VMC_NUMBER (struct vmc_progress, total_bytes), VMC_FIELDS_END};

static const struct vmc_method_info methods[VMC_METHODS] = {
	[VMC_HELLO] = {"hello", hello_params, hello_result},
	[VMC_FILESYSTEMS] = {"filesystems", session_params, filesystems_result},
	[VMC_TRIM] = {"trim", trim_params, trim_result},
	[VMC_ZERO] = {"zero", zero_params, zero_result},
	[VMC_FREEZE] = {"freeze", freeze_params, freeze_result},
	[VMC_MAP] = {"map", map_params, map_result},
	[VMC_THAW] = {"thaw", token_params, thaw_result},
	[VMC_CANCEL] = {"cancel", session_params, cancel_result},
	[VMC_PING] = {"ping", no_fields, ping_result},
	[VMC_STATUS] = {"status", no_fields, status_result},
};

const struct vmc_method_info *vmc_method (enum vmc_method method)
{
	return &methods[method];
}

/* --- the error object ------------------------------------------------------------------------- */

struct wire_error_data {
	char code[VMC_NAME_SIZE];
	char errnum[VMC_NAME_SIZE];
};

static const struct vmc_field error_data_fields[] =
	{{"code", VMC_FIELD_TEXT, offsetof (struct wire_error_data, code), VMC_NAME_SIZE, NULL, 0},
	 {"errno", VMC_FIELD_TEXT, offsetof (struct wire_error_data, errnum), VMC_NAME_SIZE, NULL, 0},
	 VMC_FIELDS_END};

static int decode_error (struct json_object *object, struct vmc_error *error, struct vmc_error *err)
{
	struct wire_error_data data = {0};
	struct json_object *code, *text, *inner;

	if (!json_object_object_get_ex (object, "code", &code) || !json_object_is_type (code, json_type_int) ||
	    !json_object_object_get_ex (object, "message", &text) || !json_object_is_type (text, json_type_string) ||
	    !json_object_object_get_ex (object, "data", &inner) || json_object_object_length (object) != 3)
		return vmc_fail (err, VMC_PROTOCOL, EBADMSG, "'error' is not {code, message, data}");
	if (vmc_fields_decode (error_data_fields, inner, &data, err) < 0)
		return -1;
	error->code = vmc_code_from_name (data.code);
	error->errnum = vmc_errno_from_name (data.errnum);
	vmc_text_take (error->text, sizeof error->text, json_object_get_string (text));
	return 0;
}

/* JSON-RPC's own numbers: -32600 for a request that is no request, -32000 for what the server defines. */
static struct json_object *encode_error (const struct vmc_error *error)
{
	struct wire_error_data data = {0};
	struct json_object *object = json_object_new_object ();
	char text[VMC_TEXT_SIZE];

	vmc_text_copy (data.code, sizeof data.code, vmc_code_name (error->code));
	vmc_text_copy (data.errnum, sizeof data.errnum, vmc_errno_name (error->errnum));
	vmc_text_copy (text, sizeof text, error->text);
	json_object_object_add (object, "code", json_object_new_int (error->code == VMC_PROTOCOL ? -32600 : -32000));
	json_object_object_add (object, "message", json_object_new_string (text));
	json_object_object_add (object, "data", vmc_fields_encode (error_data_fields, &data));
	return object;
}

/* --- lines ------------------------------------------------------------------------------------ */

void vmc_message_clear (struct vmc_message *message)
{
	json_object_put (message->root);
	message->root = message->body = NULL;
}

static struct json_object *parse (const char *line, size_t length)
{
	struct json_tokener *tokener = json_tokener_new_ex (VMC_JSON_MAX_DEPTH);
	struct json_object *root = NULL;

	if (tokener == NULL || length > VMC_ANSWER_MAX_BYTES) {
		if (tokener != NULL)
			json_tokener_free (tokener);
		return NULL;
	}
	json_tokener_set_flags (tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	root = json_tokener_parse_ex (tokener, line, (int) length + 1);
	if (json_tokener_get_error (tokener) != json_tokener_success || json_tokener_get_parse_end (tokener) < length) {
		json_object_put (root);
		root = NULL;
	}
	json_tokener_free (tokener);
	return root;
}

static int find_method (const char *name, enum vmc_method *method)
{
	for (int i = 0; i < VMC_METHODS; i++)
		if (strcmp (methods[i].name, name) == 0) {
			*method = i;
			return 0;
		}
	return -1;
}

static struct json_object *member (struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex (object, key, &value);
	return value;
}

/* A message without an id can only be a notification of progress. */
static int decode_call (struct vmc_message *message, struct json_object *name, struct vmc_error *err)
{
	message->body = member (message->root, "params");
	if (message->body == NULL || json_object_object_length (message->root) != (message->id_known ? 4 : 3))
		return vmc_fail (err, VMC_PROTOCOL, EBADMSG,
				 "a request must have 'jsonrpc', 'id', 'method' and 'params'");
	if (!message->id_known && strcmp (json_object_get_string (name), "progress") == 0) {
		message->kind = VMC_PROGRESS;
		return vmc_fields_decode (progress_fields, message->body, &message->progress, err);
	}
	message->kind = VMC_REQUEST;
	if (!message->id_known)
		return vmc_fail (err, VMC_PROTOCOL, EBADMSG, "a request must have an 'id'");
	if (find_method (json_object_get_string (name), &message->method) < 0)
		return vmc_fail (err, VMC_UNSUPPORTED, ENOSYS, "this method is not known");
	return 0;
}

static int decode_answer (struct vmc_message *message, struct vmc_error *err)
{
	struct json_object *error = member (message->root, "error");

	message->body = member (message->root, "result");
	if (json_object_object_length (message->root) != 3 || !json_object_object_get_ex (message->root, "id", NULL) ||
	    (error == NULL) == (message->body == NULL))
		return vmc_fail (err, VMC_PROTOCOL, EBADMSG, "a message is neither request, result nor error");
	message->kind = error ? VMC_ERROR : VMC_RESULT;
	return error ? decode_error (error, &message->error, err) : 0;
}

int vmc_message_decode (const char *line, size_t length, struct vmc_message *message, struct vmc_error *err)
{
	struct json_object *version, *id, *name;
	uint64_t number;

	*message = (struct vmc_message) {.root = parse (line, length)};
	if (message->root == NULL || !json_object_is_type (message->root, json_type_object))
		return vmc_fail (err, VMC_PROTOCOL, EBADMSG, "a line is not a JSON object");
	version = member (message->root, "jsonrpc");
	if (!json_object_is_type (version, json_type_string) || strcmp (json_object_get_string (version), "2.0") != 0)
		return vmc_fail (err, VMC_PROTOCOL, EBADMSG, "'jsonrpc' is not \"2.0\"");
	id = member (message->root, "id");
	/* json-c clamps what does not fit: INT64_MAX itself is therefore not accepted. */
	if (json_object_is_type (id, json_type_int) && json_object_get_int64 (id) >= 0 &&
	    json_object_get_int64 (id) < INT64_MAX) {
		number = (uint64_t) json_object_get_int64 (id);
		message->id = number;
		message->id_known = true;
	} else if (json_object_object_get_ex (message->root, "id", NULL) && id != NULL) {
		return vmc_fail (err, VMC_PROTOCOL, EBADMSG, "'id' is not a number");
	}
	name = member (message->root, "method");
	if (json_object_is_type (name, json_type_string))
		return decode_call (message, name, err);
	return decode_answer (message, err);
}

/* Takes over ROOT. */
static char *finish_line (struct json_object *root)
{
	const char *text =
		json_object_to_json_string_ext (root, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	size_t length = text ? strlen (text) : 0;
	char *line = text ? malloc (length + 2) : NULL;

	if (line != NULL) {
		memcpy (line, text, length);
		memcpy (line + length, "\n", 2);
	}
	json_object_put (root);
	return line;
}

static struct json_object *new_message (void)
{
	struct json_object *root = json_object_new_object ();

	json_object_object_add (root, "jsonrpc", json_object_new_string ("2.0"));
	return root;
}

char *vmc_request_line (uint64_t id, enum vmc_method method, const void *params)
{
	struct json_object *root = new_message ();

	json_object_object_add (root, "id", json_object_new_int64 ((int64_t) id));
	json_object_object_add (root, "method", json_object_new_string (methods[method].name));
	json_object_object_add (root, "params", vmc_fields_encode (methods[method].params, params));
	return finish_line (root);
}

char *vmc_result_line (uint64_t id, enum vmc_method method, const void *result)
{
	struct json_object *root = new_message ();

	json_object_object_add (root, "id", json_object_new_int64 ((int64_t) id));
	json_object_object_add (root, "result", vmc_fields_encode (methods[method].result, result));
	return finish_line (root);
}

char *vmc_progress_line (const struct vmc_progress *progress)
{
	struct json_object *root = new_message ();

	json_object_object_add (root, "method", json_object_new_string ("progress"));
	json_object_object_add (root, "params", vmc_fields_encode (progress_fields, progress));
	return finish_line (root);
}

char *vmc_error_line (bool id_known, uint64_t id, const struct vmc_error *error)
{
	struct json_object *root = new_message ();

	json_object_object_add (root, "id", id_known ? json_object_new_int64 ((int64_t) id) : NULL);
	json_object_object_add (root, "error", encode_error (error));
	return finish_line (root);
}
