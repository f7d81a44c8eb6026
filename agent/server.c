/* server.c - see server.h
 *
 * One thread, one epoll set: the port, the worker, the signals. Answers are given here and nowhere else.
 *
 *   hello starts a session: what the last one left (a job, a freeze, a free map) ends first. Requests of another
 *   session are refused: bytes wait in a virtio port until an agent opens it, however long ago they were sent.
 *
 *   trim, zero, freeze and the first map start the worker; their answer is sent when it reports. One job at a time. After a freeze
 *   the worker stays, as its keeper, until thaw, the deadline, a hang-up or SIGTERM.
 *
 * The loop sleeps without a time-out, except while a freeze lasts (its deadline, and some patience for the keeper) and
 * while output waits (virtio_console has been seen to lose the wake-up for writing).
 */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clock.h"
#include "devices.h"
#include "filesystems.h"
#include "frame.h"
#include "freeze.h"
#include "message.h"
#include "port.h"
#include "trim.h"
#include "zero.h"

#define OUTPUT_RETRY_MS 250
#define FREEZING_LOOK_MS 100 /* until the keeper has called the first FIFREEZE */
#define LATE_LOOK_MS 500     /* at a keeper that hangs in FIFREEZE, also one of an earlier agent */

struct server {
	struct vmc_port port;
	struct vmc_frame frame;
	int epoll_fd, signal_fd;
	char session[VMC_NAME_SIZE]; /* empty: none */
	uint64_t started_ms;

	struct vmc_worker worker;
	enum vmc_method job; /* VMC_TRIM, VMC_ZERO, VMC_FREEZE or VMC_MAP while there is a worker */
	uint64_t job_id;     /* the request that is not answered yet, if "asked" */
	bool asked;
	uint64_t map_position; /* of the first map */
	uint64_t thaw_id;      /* the thaw that waits for the keeper, if "thaw_asked" */
	bool thaw_asked;
	bool late;       /* the keeper did not thaw in time, so we did */
	bool recovering; /* what an earlier agent, or a keeper that was let go, may have frozen is not known to be thawed */
	struct vmc_freeze freeze;
	struct vmc_list told; /* struct vmc_device: what the host was told of last in this session */
	bool done;
};

/* --- answers ---------------------------------------------------------------------------------- */

/* Takes over LINE. Without memory the host gets no answer and its own deadline tells it. */
static void send_line (struct server *server, char *line)
{
	if (line != NULL)
		(void) vmc_port_send (&server->port, line, strlen (line));
	free (line);
}

static void answer (struct server *server, uint64_t id, enum vmc_method method, const void *result)
{
	send_line (server, vmc_result_line (id, method, result));
}

static void answer_error (struct server *server, bool id_known, uint64_t id, const struct vmc_error *error)
{
	send_line (server, vmc_error_line (id_known, id, error));
}

static void answer_freeze (struct server *server)
{
	struct vmc_freeze *freeze = &server->freeze;
	struct vmc_freeze_result result = {.ranges = freeze->map.count, .complete = freeze->complete};
	struct vmc_name *frozen = calloc (freeze->count, sizeof *frozen),
			*early = calloc (freeze->count, sizeof *early);

	memcpy (result.token, freeze->token, sizeof result.token);
	if (frozen != NULL && early != NULL) {
		result.frozen.items = frozen;
		result.early.items = early;
		for (size_t i = 0; i < freeze->count; i++) {
			memcpy (frozen[result.frozen.count++].name, freeze->targets[i].name, sizeof frozen->name);
			if (freeze->targets[i].early)
				memcpy (early[result.early.count++].name, freeze->targets[i].name, sizeof early->name);
		}
	}
	answer (server, server->job_id, VMC_FREEZE, &result);
	free (frozen);
	free (early);
}

static int answer_map (struct server *server, uint64_t id, uint64_t position, struct vmc_error *err)
{
	const struct vmc_extents *all = &server->freeze.map;
	struct vmc_map_result result = {0};
	size_t left;

	if (position > all->count)
		return vmc_fail (err, VMC_USAGE, ERANGE, "the free map has only %zu ranges", all->count);
	left = all->count - position;
	/* Borrowed for the answer: not to be cleared. */
	result.ranges.items = all->items + position;
	result.ranges.count = left < VMC_MAP_PAGE_RANGES ? left : VMC_MAP_PAGE_RANGES;
	result.next = position + result.ranges.count;
	answer (server, id, VMC_MAP, &result);
	return 0;
}

static void answer_thaw (struct server *server, uint64_t id)
{
	struct vmc_thaw_result result = {.held = server->freeze.held, .frozen_ms = server->freeze.frozen_ms};

	answer (server, id, VMC_THAW, &result);
}

/* --- the worker ------------------------------------------------------------------------------- */

static void watch_worker (struct server *server)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = server->worker.fd};

	(void) epoll_ctl (server->epoll_fd, EPOLL_CTL_ADD, server->worker.fd, &event);
}

/* The worker is gone or no longer wanted. A keeper that is in the middle of FIFREEZE thaws that one when it comes back; if it is killed
 * before it can, nobody has but its note. */
static void finish_worker (struct server *server, bool kill_it)
{
	bool dead = vmc_worker_end (&server->worker, kill_it);

	server->asked = server->late = false;
	if (server->freeze.active) {
		vmc_freeze_thaw_all (&server->freeze, dead);
		server->recovering = server->recovering || !dead;
	}
	server->freeze.active = false;
	if (server->thaw_asked)
		answer_thaw (server, server->thaw_id);
	server->thaw_asked = false;
	if (!server->freeze.held || server->freeze.joined) /* else they are to be mapped once more */
		vmc_freeze_close (&server->freeze);
	vmc_extents_normalise (&server->freeze.map);
}

/* The freeze ended in the keeper, on request or at the deadline. */
static void keeper_done (struct server *server, const struct vmc_report *report)
{
	server->freeze.active = server->freeze.frozen = false;
	server->freeze.held = report->flag && server->thaw_asked;
	server->freeze.frozen_ms = report->value;
	finish_worker (server, false);
}

static void job_failed (struct server *server, const struct vmc_error *error)
{
	bool of_freeze = server->job == VMC_FREEZE || server->job == VMC_MAP;

	if (server->asked)
		answer_error (server, true, server->job_id, error);
	server->asked = false;
	if (of_freeze)
		server->freeze.active = server->freeze.held = false;
	finish_worker (server, false);
	if (of_freeze)
		vmc_freeze_clear (&server->freeze);
}

static void take_ranges (struct server *server, const struct vmc_report *report)
{
	struct vmc_extents *map = server->job == VMC_MAP ? &server->freeze.map_again : &server->freeze.map;
	struct vmc_error ignored;

	/* A range that finds no memory counts as used. */
	for (uint32_t i = 0; i < report->count && i < VMC_REPORT_RANGES; i++)
		if (vmc_extents_add (map, report->ranges[i].start, report->ranges[i].length, &ignored) < 0)
			server->freeze.complete = false;
}

static void job_done (struct server *server, const struct vmc_report *report)
{
	struct vmc_trim_result trimmed = {report->value};
	struct vmc_zero_result zeroed = {report->value, report->zero_bytes};

	if (server->job == VMC_TRIM)
		answer (server, server->job_id, VMC_TRIM, &trimmed);
	else
		answer (server, server->job_id, VMC_ZERO, &zeroed);
	finish_worker (server, false);
}

static void mapped_again (struct server *server)
{
	struct vmc_error error;

	if (vmc_freeze_join_maps (&server->freeze, &error) < 0 ||
	    answer_map (server, server->job_id, server->map_position, &error) < 0)
		answer_error (server, true, server->job_id, &error);
	finish_worker (server, false);
}

static void take_report (struct server *server, const struct vmc_report *report)
{
	struct vmc_progress progress = {server->job_id, report->done_bytes, report->total_bytes};

	switch (report->kind) {
	case VMC_REPORT_PROGRESS:
		send_line (server, vmc_progress_line (&progress));
		break;
	case VMC_REPORT_RANGES_PART:
		take_ranges (server, report);
		break;
	case VMC_REPORT_FROZEN:
		server->freeze.frozen = true;
		server->freeze.complete = server->freeze.complete && report->flag;
		answer_freeze (server);
		server->asked = false;
		break;
	case VMC_REPORT_FAILED:
		job_failed (server, &report->error);
		break;
	case VMC_REPORT_DONE:
		if (server->job == VMC_FREEZE)
			keeper_done (server, report);
		else if (server->job == VMC_MAP)
			mapped_again (server);
		else
			job_done (server, report);
		break;
	}
}

static void hear_worker (struct server *server)
{
	static struct vmc_report report; /* 16 KiB: not on the stack */

	while (server->worker.pid != 0) {
		int got = vmc_worker_receive (&server->worker, &report);
		struct vmc_error error;

		if (got == 0)
			return;
		if (got > 0) {
			take_report (server, &report);
			continue;
		}
		(void) vmc_fail (&error, VMC_FAILED, 0, "the agent's worker died");
		if (server->asked)
			answer_error (server, true, server->job_id, &error);
		finish_worker (server, true);
	}
}

/* End whatever is at work: a trim or zeroing is killed, a freeze is thawed. Waits for the thaw. */
static void end_job (struct server *server)
{
	struct vmc_error error;

	if (server->worker.pid == 0)
		return;
	if (server->asked) {
		(void) vmc_fail (&error, VMC_CANCELLED, ECANCELED, "cancelled");
		answer_error (server, true, server->job_id, &error);
	}
	/* The keeper thaws when its socket closes; a keeper that is in the middle of FIFREEZE finishes that first. */
	server->freeze.held = false;
	finish_worker (server, server->job != VMC_FREEZE);
}

static void end_session (struct server *server)
{
	end_job (server);
	vmc_freeze_clear (&server->freeze);
	vmc_stack_clear (&server->told);
	server->session[0] = 0;
}

/* --- requests --------------------------------------------------------------------------------- */

static void read_boot_id (char *text)
{
	int fd = open ("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char buffer[VMC_NAME_SIZE] = "";
	ssize_t length = fd < 0 ? -1 : read (fd, buffer, sizeof buffer - 1);

	if (fd >= 0)
		(void) close (fd);
	buffer[length > 0 ? length : 0] = 0;
	buffer[strcspn (buffer, "\n")] = 0;
	vmc_text_copy (text, VMC_NAME_SIZE, buffer);
}

static int new_session (struct server *server, struct vmc_error *err)
{
	uint64_t random[2];

	if (getrandom (random, sizeof random, 0) != sizeof random)
		return vmc_fail (err, VMC_FAILED, errno, "no random bytes");
	(void) snprintf (server->session, sizeof server->session, "%016llx%016llx", (unsigned long long) random[0],
			 (unsigned long long) random[1]);
	return 0;
}

static int do_hello (struct server *server, uint64_t id, void *params, struct vmc_error *err)
{
	static struct vmc_name names[] = {{"filesystems"}, {"trim"}, {"zero"},  {"freeze"},
					  {"map"},         {"thaw"}, {"cancel"}};
	const struct vmc_hello_params *hello = params;
	struct vmc_hello_result result = {.protocol = VMC_PROTOCOL_VERSION,
					  .agent_version = PACKAGE_VERSION,
					  .capabilities = {names, 7}};

	if (hello->protocol_min > VMC_PROTOCOL_VERSION || hello->protocol_max < VMC_PROTOCOL_VERSION)
		return vmc_fail (err, VMC_UNSUPPORTED, EPROTO, "this agent speaks version %d of the protocol",
				 VMC_PROTOCOL_VERSION);
	end_session (server);
	if (new_session (server, err) < 0)
		return -1;
	memcpy (result.nonce, hello->nonce, sizeof result.nonce);
	memcpy (result.session, server->session, sizeof result.session);
	read_boot_id (result.boot_id);
	/* The host may still have half a line of the last session. */
	(void) vmc_port_send (&server->port, "\xFF", 1);
	answer (server, id, VMC_HELLO, &result);
	return 0;
}

static int do_filesystems (struct server *server, uint64_t id, void *params, struct vmc_error *err)
{
	struct vmc_filesystems_result result = {0};
	int listed;

	(void) params;
	listed = vmc_filesystems_list (&result, err);
	if (listed == 0) {
		answer (server, id, VMC_FILESYSTEMS, &result);
		vmc_stack_clear (&server->told);
		server->told = result.devices;
		result.devices = (struct vmc_list) {0};
	}
	vmc_fields_clear (vmc_method (VMC_FILESYSTEMS)->result, &result);
	return listed;
}

static int must_be_idle (struct server *server, struct vmc_error *err)
{
	if (server->worker.pid == 0 && vmc_worker_gone (&server->worker))
		return 0;
	return vmc_fail (err, VMC_BUSY, EBUSY, "the agent is at work on '%s'", vmc_method (server->job)->name);
}

static int start_job (struct server *server, uint64_t id, enum vmc_method method, vmc_worker_main *main, void *argument,
		      struct vmc_error *err)
{
	if (vmc_worker_start (&server->worker, main, argument, err) < 0)
		return -1;
	server->job = method;
	server->job_id = id;
	server->asked = true;
	watch_worker (server);
	return 0;
}

/* Can METHOD be had of the filesystem NAME? */
static int check_filesystem (const struct vmc_mount *mount, const char *name, enum vmc_method method,
			     struct vmc_error *err)
{
	const char *why;
	struct vmc_filesystem facts;
	struct vmc_list devices = {0};
	int result;

	if (mount == NULL)
		return vmc_fail (err, VMC_USAGE, ENOENT, "filesystem '%s' is not mounted", name);
	result = vmc_filesystem_describe (mount, false, &devices, &facts, err);
	why = method == VMC_TRIM ? facts.why_not_trim : facts.why_not_zero;
	if (result == 0 && why[0] != 0)
		result = vmc_fail (err, VMC_UNSUPPORTED, 0, "filesystem '%s': %s", name, why);
	vmc_filesystem_clear (&facts);
	vmc_stack_clear (&devices);
	return result;
}

static int do_trim (struct server *server, uint64_t id, void *params, struct vmc_error *err)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};
	const struct vmc_trim_params *trim = params;
	const struct vmc_mount *mount;
	struct vmc_trim_job job;
	int result;

	if (must_be_idle (server, err) < 0 || vmc_mounts_read (&mounts, err) < 0)
		return -1;
	mount = vmc_filesystems_find (&mounts, trim->filesystem);
	if (check_filesystem (mount, trim->filesystem, VMC_TRIM, err) < 0)
		return -1;
	job = (struct vmc_trim_job) {.size_bytes = vmc_device_bytes (mount->device),
				     .minimum_bytes = trim->minimum_bytes,
				     .force = trim->force};
	job.fd = vmc_mount_open (mount, err);
	if (job.fd < 0)
		return -1;
	result = start_job (server, id, VMC_TRIM, vmc_trim_worker, &job, err);
	(void) close (job.fd);
	return result;
}

static int check_zero (const struct vmc_zero_params *params, struct vmc_error *err)
{
	if (params->reserve_bytes != 0 && params->reserve_bytes < VMC_ZERO_RESERVE_MIN_BYTES)
		return vmc_fail (err, VMC_USAGE, ERANGE, "a reserve of less than %d bytes is too small",
				 VMC_ZERO_RESERVE_MIN_BYTES);
	if (params->rate_bytes_per_s != 0 && params->rate_bytes_per_s < VMC_ZERO_RATE_MIN_BYTES)
		return vmc_fail (err, VMC_USAGE, ERANGE, "a rate of less than %d bytes a second is too low",
				 VMC_ZERO_RATE_MIN_BYTES);
	return 0;
}

static int do_zero (struct server *server, uint64_t id, void *params, struct vmc_error *err)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};
	const struct vmc_zero_params *zero = params;
	const struct vmc_mount *mount;
	struct vmc_zero_job job;
	int result;

	if (must_be_idle (server, err) < 0 || check_zero (zero, err) < 0 || vmc_mounts_read (&mounts, err) < 0)
		return -1;
	mount = vmc_filesystems_find (&mounts, zero->filesystem);
	if (check_filesystem (mount, zero->filesystem, VMC_ZERO, err) < 0)
		return -1;
	job = (struct vmc_zero_job) {.device = mount->device,
				     .reserve_bytes = zero->reserve_bytes,
				     .rate_bytes_per_s = zero->rate_bytes_per_s};
	memcpy (job.type, mount->type, sizeof job.type);
	job.fd = vmc_mount_open (mount, err);
	if (job.fd < 0)
		return -1;
	result = start_job (server, id, VMC_ZERO, vmc_zero_worker, &job, err);
	(void) close (job.fd);
	return result;
}

static int do_freeze (struct server *server, uint64_t id, void *params, struct vmc_error *err)
{
	if (must_be_idle (server, err) < 0)
		return -1;
	if (server->recovering)
		return vmc_fail (err, VMC_BUSY, EBUSY, "an earlier freeze has not come to its end");
	vmc_freeze_clear (&server->freeze);
	if (vmc_freeze_prepare (params, &server->told, &server->freeze, err) < 0)
		return -1;
	server->freeze.active = true;
	if (start_job (server, id, VMC_FREEZE, vmc_freeze_keeper, &server->freeze, err) < 0) {
		vmc_freeze_clear (&server->freeze);
		return -1;
	}
	return 0;
}

static int check_token (const struct server *server, const char *token, struct vmc_error *err)
{
	if (server->freeze.token[0] != 0 && strcmp (token, server->freeze.token) == 0)
		return 0;
	return vmc_fail (err, VMC_USAGE, EINVAL, "the token is not that of the last freeze");
}

static int do_map (struct server *server, uint64_t id, void *params, struct vmc_error *err)
{
	const struct vmc_map_params *map = params;

	if (check_token (server, map->token, err) < 0)
		return -1;
	if (server->freeze.active)
		return vmc_fail (err, VMC_BUSY, EBUSY, "the free map can be had after the thaw");
	if (server->freeze.joined)
		return answer_map (server, id, map->position, err);
	if (!server->freeze.held)
		return vmc_fail (err, VMC_NOT_HELD, 0, "the freeze did not hold, so its free map says nothing");
	if (must_be_idle (server, err) < 0)
		return -1;
	server->map_position = map->position;
	vmc_extents_clear (&server->freeze.map_again); /* of one that died */
	return start_job (server, id, VMC_MAP, vmc_freeze_map_again, &server->freeze, err);
}

static int do_thaw (struct server *server, uint64_t id, void *params, struct vmc_error *err)
{
	const struct vmc_token_params *thaw = params;

	if (check_token (server, thaw->token, err) < 0)
		return -1;
	if (!server->freeze.active) {
		answer_thaw (server, id);
		return 0;
	}
	if (server->thaw_asked)
		return vmc_fail (err, VMC_BUSY, EALREADY, "the thaw is under way");
	server->thaw_asked = true;
	server->thaw_id = id;
	vmc_freeze_ask_thaw (&server->worker);
	return 0;
}

static int do_cancel (struct server *server, uint64_t id, void *params, struct vmc_error *err)
{
	struct vmc_cancel_result result = {server->worker.pid != 0};

	(void) params;
	(void) err;
	end_job (server);
	answer (server, id, VMC_CANCEL, &result);
	return 0;
}

static int do_ping (struct server *server, uint64_t id, void *params, struct vmc_error *err)
{
	struct vmc_ping_result result = {vmc_now_ms () - server->started_ms};

	(void) params;
	(void) err;
	answer (server, id, VMC_PING, &result);
	return 0;
}

static int do_status (struct server *server, uint64_t id, void *params, struct vmc_error *err)
{
	struct vmc_status_result result = {.frozen = server->freeze.frozen};
	uint64_t now_ms = vmc_now_ms (), ends_ms;

	(void) params;
	(void) err;
	if (server->worker.pid != 0)
		(void) snprintf (result.job, sizeof result.job, "%s", vmc_method (server->job)->name);
	ends_ms = server->freeze.frozen ? server->freeze.progress->since_ms + server->freeze.deadline_ms : 0;
	result.deadline_ms = ends_ms > now_ms ? ends_ms - now_ms : 0;
	answer (server, id, VMC_STATUS, &result);
	return 0;
}

/* Every structure of parameters, for room; those that have a session have it first. */
union params {
	struct vmc_session_params session;
	struct vmc_hello_params hello;
	struct vmc_trim_params trim;
	struct vmc_zero_params zero;
	struct vmc_freeze_params freeze;
	struct vmc_map_params map;
	struct vmc_token_params token;
};

static const struct {
	int (*run) (struct server *server, uint64_t id, void *params, struct vmc_error *err);
	bool needs_session;
} handlers[VMC_METHODS] = {
	[VMC_HELLO] = {do_hello, false},   [VMC_FILESYSTEMS] = {do_filesystems, true}, [VMC_TRIM] = {do_trim, true},
	[VMC_ZERO] = {do_zero, true},      [VMC_FREEZE] = {do_freeze, true},           [VMC_MAP] = {do_map, true},
	[VMC_THAW] = {do_thaw, true},      [VMC_CANCEL] = {do_cancel, true},           [VMC_PING] = {do_ping, false},
	[VMC_STATUS] = {do_status, false},
};

static int run_request (struct server *server, const struct vmc_message *message, struct vmc_error *err)
{
	const struct vmc_field *fields = vmc_method (message->method)->params;
	union params params;
	int result;

	memset (&params, 0, sizeof params);
	result = vmc_fields_decode (fields, message->body, &params, err);
	if (result == 0 && handlers[message->method].needs_session &&
	    (server->session[0] == 0 || strcmp (params.session.session, server->session) != 0))
		result = vmc_fail (err, VMC_USAGE, ESTALE, "the session is not the present one");
	if (result == 0)
		result = handlers[message->method].run (server, message->id, &params, err);
	vmc_fields_clear (fields, &params);
	return result;
}

static void take_line (struct server *server, const char *line)
{
	VMC_CLEANUP_MESSAGE struct vmc_message message = {0};
	struct vmc_error error;
	int result = vmc_message_decode (line, strlen (line), &message, &error);

	if (result == 0 && message.kind != VMC_REQUEST)
		return; /* answers are for the host; nothing was asked of it */
	if (result == 0)
		result = run_request (server, &message, &error);
	if (result < 0)
		answer_error (server, message.id_known, message.id, &error);
}

static void take_bytes (struct server *server, const char *bytes, size_t length)
{
	struct vmc_error error;
	char *line;

	for (;;) {
		switch (vmc_frame_feed (&server->frame, &bytes, &length, &line)) {
		case VMC_FRAME_LINE:
			take_line (server, line);
			continue;
		case VMC_FRAME_OVERLONG:
			(void) vmc_fail (&error, VMC_PROTOCOL, E2BIG, "a line is longer than %d bytes",
					 VMC_REQUEST_MAX_BYTES);
			answer_error (server, false, 0, &error);
			continue;
		case VMC_FRAME_NOMEM:
			vmc_frame_reset (&server->frame);
			continue;
		case VMC_FRAME_MORE:
			return;
		}
	}
}

/* --- the loop --------------------------------------------------------------------------------- */

static void hear_port (struct server *server)
{
	static char buffer[16384];

	vmc_port_flush (&server->port);
	for (;;) {
		size_t length = sizeof buffer;

		switch (vmc_port_read (&server->port, server->epoll_fd, buffer, &length)) {
		case VMC_PORT_NOTHING:
			return;
		case VMC_PORT_BYTES:
			take_bytes (server, buffer, length);
			break;
		case VMC_PORT_GONE:
			server->done = true;
			/* fall through */
		case VMC_PORT_HANGUP:
			end_session (server);
			vmc_frame_clear (&server->frame);
			if (server->done)
				return;
			break;
		}
	}
}

/* How long to sleep, in ms; -1 is until something happens. */
static int patience_ms (const struct server *server)
{
	uint64_t now_ms = vmc_now_ms (), ends_ms = vmc_freeze_patience_ends_ms (&server->freeze);

	if (server->freeze.active) {
		if (server->late || ends_ms == UINT64_MAX)
			return server->late ? LATE_LOOK_MS : FREEZING_LOOK_MS;
		return ends_ms > now_ms ? (int) (ends_ms - now_ms) + 1 : 0;
	}
	if (server->port.connected && server->port.output_used > 0)
		return OUTPUT_RETRY_MS;
	return server->recovering ? LATE_LOOK_MS : -1;
}

/* No freeze is begun before that has come to its end. FITHAW would wait for a FIFREEZE of our own keeper, or come too early. */
static void recover (struct server *server)
{
	struct vmc_error ignored;

	if (server->recovering && vmc_worker_gone (&server->worker))
		server->recovering = vmc_freeze_recover (&ignored) != 0; /* also if it could not be found out */
}

/* The keeper did not thaw in time: thaw for it. If it hangs in a FIFREEZE it must live: it alone can thaw that one
 * afterwards, and if somebody has stopped it, it must go on. Otherwise it is of no use any more. Its end is noticed when its socket
 * closes. */
static void watch_keeper (struct server *server)
{
	bool freezing;

	if (!server->freeze.active || server->worker.pid == 0 ||
	    vmc_now_ms () < vmc_freeze_patience_ends_ms (&server->freeze))
		return;
	freezing = server->freeze.progress->frozen != server->freeze.progress->attempted;
	(void) kill (server->worker.pid, freezing ? SIGCONT : SIGKILL);
	if (!server->late)
		vmc_freeze_thaw_all (&server->freeze, !freezing);
	server->late = true;
}

static int loop (struct server *server, struct vmc_error *err)
{
	while (!server->done) {
		struct epoll_event event;
		int count = epoll_wait (server->epoll_fd, &event, 1, patience_ms (server));

		if (count < 0 && errno != EINTR)
			return vmc_fail (err, VMC_FAILED, errno, "cannot wait for events");
		watch_keeper (server);
		recover (server);
		if (count <= 0)
			vmc_port_flush (&server->port);
		else if (event.data.fd == server->signal_fd)
			server->done = true;
		else if (server->worker.pid != 0 && event.data.fd == server->worker.fd)
			hear_worker (server);
		else
			hear_port (server);
	}
	return 0;
}

static int set_up (struct server *server, const char *port_name, struct vmc_error *err)
{
	struct epoll_event event = {.events = EPOLLIN};
	sigset_t signals;

	(void) sigemptyset (&signals);
	(void) sigaddset (&signals, SIGTERM);
	(void) sigaddset (&signals, SIGINT);
	(void) sigaddset (&signals, SIGHUP);
	(void) signal (SIGPIPE, SIG_IGN);
	if (sigprocmask (SIG_BLOCK, &signals, NULL) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot block signals");
	server->signal_fd = signalfd (-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	server->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
	event.data.fd = server->signal_fd;
	if (server->signal_fd < 0 || server->epoll_fd < 0 ||
	    epoll_ctl (server->epoll_fd, EPOLL_CTL_ADD, server->signal_fd, &event) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot set up the loop");
	if (vmc_port_open (&server->port, port_name, err) < 0)
		return -1;
	return vmc_port_watch (&server->port, server->epoll_fd, err);
}

int vmc_serve (const char *port_name, struct vmc_error *err)
{
	struct server server = {.frame = VMC_FRAME_INIT (VMC_REQUEST_MAX_BYTES),
				.port = {.fd = -1, .listen_fd = -1},
				.epoll_fd = -1,
				.signal_fd = -1,
				.recovering = true,
				.started_ms = vmc_now_ms ()};
	int result = set_up (&server, port_name, err);

	recover (&server);
	if (result == 0)
		result = loop (&server, err);
	end_session (&server);
	vmc_frame_clear (&server.frame);
	vmc_port_close (&server.port);
	if (server.signal_fd >= 0)
		(void) close (server.signal_fd);
	if (server.epoll_fd >= 0)
		(void) close (server.epoll_fd);
	return result;
}
