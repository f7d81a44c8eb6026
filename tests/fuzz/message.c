/* message.c - fuzz target: the messages in both directions (proto/message.h)
 *
 * The input is one line as it comes out of the port. The agent's side decodes requests, the host's side answers and
 * notifications; an answer is tried as that of every method, as the guest may send any. What could be decoded is encoded and
 * decoded again, and must then be the same.
 */
#include "fuzz.h"

#include "message.h"

union any {
	struct vmc_session_params session;
	struct vmc_hello_params hello;
	struct vmc_hello_result hello_result;
	struct vmc_filesystems_result filesystems_result;
	struct vmc_trim_params trim;
	struct vmc_trim_result trim_result;
	struct vmc_zero_params zero;
	struct vmc_zero_result zero_result;
	struct vmc_freeze_params freeze;
	struct vmc_freeze_result freeze_result;
	struct vmc_map_params map;
	struct vmc_map_result map_result;
	struct vmc_token_params token;
	struct vmc_thaw_result thaw_result;
	struct vmc_cancel_result cancel_result;
	struct vmc_ping_result ping_result;
	struct vmc_status_result status_result;
};

/* A line that we wrote: it ends with its only newline, and decodes. */
static void decode_ours (const char *line, struct vmc_message *message)
{
	size_t length = strlen (line);
	char *text = fuzz_text ((const uint8_t *) line, length - 1);
	struct vmc_error err;

	FUZZ_MUST (strchr (line, '\n') == line + length - 1);
	FUZZ_MUST (vmc_message_decode (text, length - 1, message, &err) == 0);
	free (text);
}

static bool printable (const char *text)
{
	for (; *text != 0; text++)
		if (*text < 0x20 || *text > 0x7E)
			return false;
	return true;
}

static bool equal (const struct vmc_field *table, const void *first, const void *second);

static bool equal_lists (const struct vmc_field *field, const struct vmc_list *first, const struct vmc_list *second)
{
	FUZZ_MUST (first->count <= field->max);
	for (size_t i = 0; first->count == second->count && i < first->count; i++)
		if (!equal (field->element, (const char *) first->items + i * field->element_size,
			    (const char *) second->items + i * field->element_size))
			return false;
	return first->count == second->count;
}

static bool equal_ranges (const struct vmc_extents *first, const struct vmc_extents *second)
{
	for (size_t i = 0; i < first->count; i++)
		FUZZ_MUST (first->items[i].length > 0 && first->items[i].start <= INT64_MAX &&
			   first->items[i].length <= INT64_MAX - first->items[i].start);
	return first->count == second->count &&
	       (first->count == 0 || memcmp (first->items, second->items, first->count * sizeof first->items[0]) == 0);
}

/* Is one member the same in both? What no decoded member may be ends the program. */
static bool equal_member (const struct vmc_field *field, const void *first, const void *second)
{
	switch (field->type) {
	case VMC_FIELD_NUMBER:
		FUZZ_MUST (*(const uint64_t *) first < INT64_MAX);
		return *(const uint64_t *) first == *(const uint64_t *) second;
	case VMC_FIELD_BOOL:
		return *(const bool *) first == *(const bool *) second;
	case VMC_FIELD_TEXT:
		FUZZ_MUST (memchr (first, 0, field->max) != NULL && printable (first));
		return strcmp (first, second) == 0;
	case VMC_FIELD_LIST:
		return equal_lists (field, first, second);
	default:
		return equal_ranges (first, second);
	}
}

static bool equal (const struct vmc_field *table, const void *first, const void *second)
{
	/* A table of one has no key, but a size. */
	for (const struct vmc_field *field = table; field->key != NULL || field->max > 0; field++) {
		if (!equal_member (field, (const char *) first + field->offset, (const char *) second + field->offset))
			return false;
		if (field->key == NULL)
			break;
	}
	return true;
}

/* The body of MESSAGE, read as METHOD's: encoded and decoded again, it is the same. */
static void check_body (const struct vmc_message *message, enum vmc_method method)
{
	bool request = message->kind == VMC_REQUEST;
	const struct vmc_field *table = request ? vmc_method (method)->params : vmc_method (method)->result;
	VMC_CLEANUP_MESSAGE struct vmc_message again = {0};
	union any first, second;
	struct vmc_error err = {0};

	memset (&first, 0, sizeof first);
	memset (&second, 0, sizeof second);
	if (vmc_fields_decode (table, message->body, &first, &err) == 0) {
		char *line = request ? vmc_request_line (message->id, method, &first)
				     : vmc_result_line (message->id, method, &first);

		FUZZ_MUST (line != NULL);
		decode_ours (line, &again);
		FUZZ_MUST (again.kind == message->kind && again.id_known && again.id == message->id);
		FUZZ_MUST (!request || again.method == method);
		FUZZ_MUST (vmc_fields_decode (table, again.body, &second, &err) == 0);
		FUZZ_MUST (equal (table, &first, &second));
		free (line);
	} else {
		FUZZ_MUST (err.text[0] != 0);
	}
	vmc_fields_clear (table, &first);
	vmc_fields_clear (table, &second);
}

static void check_progress (const struct vmc_message *message)
{
	VMC_CLEANUP_MESSAGE struct vmc_message again = {0};
	char *line = vmc_progress_line (&message->progress);

	FUZZ_MUST (line != NULL);
	decode_ours (line, &again);
	FUZZ_MUST (again.kind == VMC_PROGRESS);
	FUZZ_MUST (memcmp (&again.progress, &message->progress, sizeof again.progress) == 0);
	free (line);
}

static void check_error (const struct vmc_message *message)
{
	VMC_CLEANUP_MESSAGE struct vmc_message again = {0};
	char *line = vmc_error_line (message->id_known, message->id, &message->error);

	FUZZ_MUST (line != NULL);
	FUZZ_MUST ((unsigned) message->error.code < VMC_CODES && printable (message->error.text));
	decode_ours (line, &again);
	FUZZ_MUST (again.kind == VMC_ERROR && again.id == message->id && again.id_known == message->id_known);
	FUZZ_MUST (again.error.code == message->error.code && again.error.errnum == message->error.errnum);
	free (line);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
	VMC_CLEANUP_MESSAGE struct vmc_message message = {0};
	struct vmc_error err = {0};
	char *line = fuzz_text (data, size);
	int result = vmc_message_decode (line, size, &message, &err);

	free (line);
	if (result < 0) {
		FUZZ_MUST (err.text[0] != 0 && (err.code == VMC_PROTOCOL || err.code == VMC_UNSUPPORTED));
		return 0;
	}
	FUZZ_MUST (message.id < INT64_MAX);
	if (message.kind == VMC_PROGRESS)
		check_progress (&message);
	else if (message.kind == VMC_ERROR)
		check_error (&message);
	else if (message.kind == VMC_REQUEST)
		check_body (&message, message.method);
	else
		for (int method = 0; method < VMC_METHODS; method++)
			if (message.id_known)
				check_body (&message, method);
	return 0;
}
