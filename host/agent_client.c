/* agent_client.c - see agent_client.h */
#include "agent_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "clock.h"
#include "frame.h"
#include "interrupt.h"

#define ANSWER_MS 10000  /* for requests that the agent answers at once */
#define LOOK_UP_MS 60000 /* for one that makes it look at all of its devices: a busy guest takes its time */
#define SILENCE_MS 10000 /* of an agent at a job, before it is asked whether it is there, and after */
#define LOOK_MS 100      /* between two looks at the interrupt */

struct vmc_agent {
	struct vmc_transport *transport;
	struct vmc_frame frame;
	char buffer[65536];
	const char *input; /* not yet framed, in buffer */
	size_t input_left;
	uint64_t last_id;
	unsigned messages;  /* received */
	bool interruptible; /* the present wait */
	bool at_job;        /* and what it waits for may take an hour */
	char session[VMC_NAME_SIZE];
	char version[VMC_NAME_SIZE];
	vmc_agent_progress *progress;
	void *opaque;
};

const char *vmc_agent_version (const struct vmc_agent *agent)
{
	return agent->version;
}

void vmc_agent_on_progress (struct vmc_agent *agent, vmc_agent_progress *progress, void *opaque)
{
	agent->progress = progress;
	agent->opaque = opaque;
}

void vmc_agent_close (struct vmc_agent *agent)
{
	if (agent == NULL)
		return;
	agent->transport->close (agent->transport);
	vmc_frame_clear (&agent->frame);
	free (agent);
}

/* Receive before DEADLINE_MS. Long waits end with an interrupt; short ones (a thaw above all) are seen through. */
static ssize_t receive (struct vmc_agent *agent, uint64_t deadline_ms, struct vmc_error *err)
{
	for (;;) {
		uint64_t look_ms = vmc_now_ms () + LOOK_MS;
		bool last = look_ms >= deadline_ms;
		ssize_t got = agent->transport->receive (agent->transport, agent->buffer, sizeof agent->buffer,
							 last ? deadline_ms : look_ms, err);

		if (got >= 0 || err->code != VMC_TIMEOUT || last)
			return got;
		if (agent->interruptible && vmc_interrupt_check (err) < 0)
			return -1;
	}
}

/* The next line, from what was received or is received before DEADLINE_MS. */
static int next_line (struct vmc_agent *agent, uint64_t deadline_ms, char **line, struct vmc_error *err)
{
	for (;;) {
		ssize_t got;

		switch (vmc_frame_feed (&agent->frame, &agent->input, &agent->input_left, line)) {
		case VMC_FRAME_LINE:
			if (++agent->messages > VMC_MESSAGES_MAX)
				return vmc_fail (err, VMC_PROTOCOL, E2BIG, "the agent sent more than %d messages",
						 VMC_MESSAGES_MAX);
			return 0;
		case VMC_FRAME_OVERLONG:
			return vmc_fail (err, VMC_PROTOCOL, E2BIG, "the agent sent a line of more than %d bytes",
					 VMC_ANSWER_MAX_BYTES);
		case VMC_FRAME_NOMEM:
			return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for an answer of the agent");
		case VMC_FRAME_MORE:
			break;
		}
		/* Bytes that never become a line must not keep us for ever. */
		if (vmc_now_ms () >= deadline_ms)
			return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT, "the agent does not answer");
		if (agent->interruptible && vmc_interrupt_check (err) < 0)
			return -1;
		got = receive (agent, deadline_ms, err);
		if (got < 0)
			return -1;
		agent->input = agent->buffer;
		agent->input_left = (size_t) got;
	}
}

static int send_request (struct vmc_agent *agent, enum vmc_method method, const void *params, uint64_t deadline_ms,
			 struct vmc_error *err)
{
	char *line = vmc_request_line (++agent->last_id, method, params);
	int result;

	if (line == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for a request");
	result = agent->transport->send (agent->transport, line, strlen (line), deadline_ms, err);
	free (line);
	return result;
}

/* The same while the agent is at a long job: it may say nothing for a while, but then it must answer a ping. The channel does not
 * tell us that it has died. */
static int next_line_of_job (struct vmc_agent *agent, uint64_t deadline_ms, char **line, struct vmc_error *err)
{
	const struct vmc_no_params none = {0};

	for (bool asked = false;; asked = true) {
		uint64_t silent_ms = vmc_now_ms () + SILENCE_MS;

		if (next_line (agent, silent_ms < deadline_ms ? silent_ms : deadline_ms, line, err) == 0)
			return 0;
		if (err->code != VMC_TIMEOUT || silent_ms >= deadline_ms)
			return -1;
		if (asked)
			return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT, "the agent has died, or hangs");
		if (send_request (agent, VMC_PING, &none, silent_ms + SILENCE_MS, err) < 0)
			return -1;
	}
}

/* Wait for the answer to request ID. In a greeting, rubbish of an earlier session may come first. */
static int await (struct vmc_agent *agent, uint64_t id, bool greeting, uint64_t deadline_ms,
		  struct vmc_message *message, struct vmc_error *err)
{
	for (;;) {
		char *line;
		int result;

		if ((agent->at_job ? next_line_of_job : next_line) (agent, deadline_ms, &line, err) < 0)
			return -1;
		vmc_message_clear (message);
		result = vmc_message_decode (line, strlen (line), message, err);
		if (result < 0 && !greeting)
			return vmc_fail_in (err, "the agent sent what is not allowed");
		if (result < 0 || message->kind == VMC_REQUEST)
			continue;
		if (message->kind == VMC_PROGRESS) {
			if (agent->progress != NULL && message->progress.id == id)
				agent->progress (agent->opaque, message->progress.done_bytes,
						 message->progress.total_bytes);
			continue;
		}
		if (message->id_known && message->id == id)
			return 0;
	}
}

/* RESULT: a structure for METHOD, all zero. */
static int take_answer (const struct vmc_message *message, enum vmc_method method, void *result, struct vmc_error *err)
{
	const struct vmc_field *fields = vmc_method (method)->result;

	if (message->kind == VMC_ERROR) {
		*err = message->error;
		if (err->code == VMC_USAGE)
			err->code = VMC_FAILED; /* it is our request that makes no sense to it, not the command line */
		return vmc_fail_in (err, "the agent");
	}
	if (vmc_fields_decode (fields, message->body, result, err) == 0)
		return 0;
	vmc_fields_clear (fields, result);
	return vmc_fail_in (err, "the agent's answer to '%s'", vmc_method (method)->name);
}

static int request (struct vmc_agent *agent, enum vmc_method method, const void *params, unsigned timeout_ms,
		    void *result, struct vmc_error *err)
{
	VMC_CLEANUP_MESSAGE struct vmc_message message = {0};
	uint64_t deadline_ms = vmc_now_ms () + timeout_ms;

	agent->at_job = method == VMC_TRIM || method == VMC_ZERO || method == VMC_FREEZE;
	agent->interruptible = agent->at_job || method == VMC_FILESYSTEMS;
	if (send_request (agent, method, params, deadline_ms, err) < 0 ||
	    await (agent, agent->last_id, false, deadline_ms, &message, err) < 0) {
		if (err->code == VMC_NO_AGENT)
			err->code = VMC_FAILED; /* there was one */
		return vmc_fail_in (err, "'%s'", vmc_method (method)->name);
	}
	return take_answer (&message, method, result, err);
}

/* --- hello ------------------------------------------------------------------------------------ */

/* Answers that wait from an earlier day have another nonce. */
static int greet (struct vmc_agent *agent, uint64_t deadline_ms, struct vmc_error *err)
{
	struct vmc_hello_params params = {.protocol_min = VMC_PROTOCOL_VERSION, .protocol_max = VMC_PROTOCOL_VERSION};
	VMC_CLEANUP_MESSAGE struct vmc_message message = {0};
	uint64_t random[2];
	bool ours = false;

	if (getrandom (random, sizeof random, 0) != sizeof random)
		return vmc_fail (err, VMC_FAILED, errno, "no random bytes");
	(void) snprintf (params.nonce, sizeof params.nonce, "%016llx%016llx", (unsigned long long) random[0],
			 (unsigned long long) random[1]);
	if (agent->transport->send (agent->transport, "\xFF", 1, deadline_ms, err) < 0 ||
	    send_request (agent, VMC_HELLO, &params, deadline_ms, err) < 0)
		return -1;
	while (!ours) {
		struct vmc_hello_result result = {0};

		if (await (agent, agent->last_id, true, deadline_ms, &message, err) < 0 ||
		    take_answer (&message, VMC_HELLO, &result, err) < 0)
			return -1;
		ours = strcmp (result.nonce, params.nonce) == 0;
		memcpy (agent->session, result.session, sizeof agent->session);
		memcpy (agent->version, result.agent_version, sizeof agent->version);
		vmc_fields_clear (vmc_method (VMC_HELLO)->result, &result);
	}
	return 0;
}

struct vmc_agent *vmc_agent_open (struct vmc_transport *transport, unsigned timeout_ms, struct vmc_error *err)
{
	struct vmc_agent *agent = calloc (1, sizeof *agent);

	if (agent == NULL) {
		transport->close (transport);
		(void) vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the agent's connection");
		return NULL;
	}
	agent->transport = transport;
	agent->frame = (struct vmc_frame) VMC_FRAME_INIT (VMC_ANSWER_MAX_BYTES);
	agent->input = agent->buffer;
	if (greet (agent, vmc_now_ms () + timeout_ms, err) < 0) {
		if (err->code == VMC_TIMEOUT)
			(void) vmc_fail (err, VMC_NO_AGENT, ETIMEDOUT, "nothing answers on the channel within %u ms",
					 timeout_ms);
		vmc_agent_close (agent);
		return NULL;
	}
	return agent;
}

/* --- requests --------------------------------------------------------------------------------- */

#define SET_SESSION(params, agent) memcpy ((params).session, (agent)->session, sizeof (params).session)

int vmc_agent_filesystems (struct vmc_agent *agent, struct vmc_filesystems_result *result, struct vmc_error *err)
{
	struct vmc_session_params params;

	SET_SESSION (params, agent);
	if (request (agent, VMC_FILESYSTEMS, &params, LOOK_UP_MS, result, err) < 0)
		return -1;
	if (vmc_stack_check (&result->devices, err) == 0)
		return 0;
	vmc_fields_clear (vmc_method (VMC_FILESYSTEMS)->result, result);
	return vmc_fail_in (err, "the agent's answer to 'filesystems'");
}

int vmc_agent_trim (struct vmc_agent *agent, const char *filesystem, bool force, unsigned timeout_ms,
		    uint64_t *trimmed_bytes, struct vmc_error *err)
{
	struct vmc_trim_params params = {.force = force};
	struct vmc_trim_result result = {0};

	SET_SESSION (params, agent);
	vmc_text_copy (params.filesystem, sizeof params.filesystem, filesystem);
	if (request (agent, VMC_TRIM, &params, timeout_ms, &result, err) < 0)
		return -1;
	*trimmed_bytes = result.trimmed_bytes;
	return 0;
}

int vmc_agent_zero (struct vmc_agent *agent, const char *filesystem, uint64_t reserve_bytes, uint64_t rate_bytes_per_s,
		    unsigned timeout_ms, struct vmc_zero_result *result, struct vmc_error *err)
{
	struct vmc_zero_params params = {.reserve_bytes = reserve_bytes, .rate_bytes_per_s = rate_bytes_per_s};

	struct vmc_zero_result got = {0};

	*result = got;
	SET_SESSION (params, agent);
	vmc_text_copy (params.filesystem, sizeof params.filesystem, filesystem);
	if (request (agent, VMC_ZERO, &params, timeout_ms, &got, err) < 0)
		return -1;
	*result = got;
	return 0;
}

/* EARLY = ANSWERED. False: not each of that was wished for, and named once. */
static bool take_early (const struct vmc_list *wished, const struct vmc_list *answered, struct vmc_list *early)
{
	struct vmc_name *names = early->items;

	early->count = 0;
	for (size_t i = 0; i < answered->count; i++) {
		const struct vmc_name *name = (const struct vmc_name *) answered->items + i;

		if (!vmc_names_have (wished, name->name) || vmc_names_have (early, name->name))
			return false;
		names[early->count++] = *name;
	}
	return true;
}

int vmc_agent_freeze (struct vmc_agent *agent, struct vmc_freeze_params *params, unsigned timeout_ms, char *token,
		      struct vmc_list *early, struct vmc_error *err)
{
	struct vmc_freeze_result result = {0};
	bool as_asked;

	SET_SESSION (*params, agent);
	if (request (agent, VMC_FREEZE, params, timeout_ms, &result, err) < 0)
		return -1;
	as_asked =
		result.frozen.count == params->filesystems.count && take_early (&params->early, &result.early, early);
	memcpy (token, result.token, VMC_NAME_SIZE);
	vmc_fields_clear (vmc_method (VMC_FREEZE)->result, &result);
	return as_asked ? 0 : vmc_fail (err, VMC_PROTOCOL, 0, "the agent froze something else than it was asked to");
}

int vmc_agent_thaw (struct vmc_agent *agent, const char *token, struct vmc_thaw_result *result, struct vmc_error *err)
{
	struct vmc_token_params params;

	*result = (struct vmc_thaw_result) {0};
	SET_SESSION (params, agent);
	vmc_text_copy (params.token, sizeof params.token, token);
	return request (agent, VMC_THAW, &params, ANSWER_MS, result, err);
}

static int take_page (const struct vmc_map_result *page, struct vmc_extents *map, struct vmc_error *err)
{
	for (size_t i = 0; i < page->ranges.count; i++)
		if (vmc_extents_add (map, page->ranges.items[i].start, page->ranges.items[i].length, err) < 0)
			return -1;
	return 0;
}

int vmc_agent_map (struct vmc_agent *agent, const char *token, uint64_t disk_bytes, unsigned timeout_ms,
		   struct vmc_extents *map, struct vmc_error *err)
{
	struct vmc_map_params params = {0};
	bool last = false;

	SET_SESSION (params, agent);
	vmc_text_copy (params.token, sizeof params.token, token);
	while (!last) {
		struct vmc_map_result page = {0};
		uint64_t expected;
		int result;

		if (vmc_interrupt_check (err) < 0 || request (agent, VMC_MAP, &params, timeout_ms, &page, err) < 0)
			return -1;
		timeout_ms = ANSWER_MS;
		result = take_page (&page, map, err);
		expected = params.position + page.ranges.count;
		params.position = page.next;
		last = page.ranges.count == 0;
		vmc_fields_clear (vmc_method (VMC_MAP)->result, &page);
		if (result < 0)
			return -1;
		if (params.position != expected || map->count > VMC_MAP_MAX_RANGES)
			return vmc_fail (err, VMC_PROTOCOL, 0, "the agent's free map has no end");
	}
	if (!vmc_extents_valid (map, disk_bytes))
		return vmc_fail (err, VMC_PROTOCOL, 0, "the agent's free map is not sorted or goes beyond the disk");
	vmc_extents_normalise (map);
	return 0;
}
