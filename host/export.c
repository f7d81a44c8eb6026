/* export.c - see export.h
 *
 * qemu-nbd listens on a socket in our run directory, takes one client, and ends when that one goes. It dies with us; then the
 * socket's name is left, which the next run of the same name removes. All waiting happens in vmc_export_turn: no call
 * of libnbd that waits by itself is made, because none has a deadline.
 */
#include "export.h"

#include <errno.h>
#include <fcntl.h>
#include <libnbd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "directories.h"

#define START_MS 15000
#define TURN_MS 100
#define STUCK_MS 300000                   /* a host under load takes its time, but not this long for one request */
#define FINISH_MS 300000                  /* its last writes may wait for the disk */
#define ZERO_BYTES (UINT64_C (1) << 30)   /* one request */
#define STATUS_BYTES (UINT64_C (1) << 31) /* one request: NBD counts them in 32 bits */
#define EXTENTS_MAX ((size_t) 16 << 20)   /* runs of one image: more is not fragmentation but an attack */
#define CONTEXT_ZERO "base:allocation"
#define CONTEXT_DEPTH "qemu:allocation-depth"
#define DEPTH_TOP 1

/* --- requests ---------------------------------------------------------------------------------- */

struct request {
	struct vmc_export *export;
	unsigned *waiting;
	const char *doing;
};

static int on_answer (void *opaque, int *errnum)
{
	struct request *request = opaque;

	if (*errnum != 0 && request->export->errnum == 0) {
		request->export->errnum = *errnum;
		request->export->doing = request->doing;
	}
	request->export->answered_ms = vmc_now_ms ();
	request->export->waiting--;
	(*request->waiting)--;
	return 1; /* libnbd may forget it */
}

/* What libnbd calls when one request is answered; it frees the memory, also when the request cannot be made. */
static int begin_request (struct vmc_export *export, const char *doing, unsigned *waiting,
			  nbd_completion_callback *callback, struct vmc_error *err)
{
	struct request *request = malloc (sizeof *request);

	if (request == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for a request");
	*request = (struct request) {export, waiting, doing};
	*callback = (nbd_completion_callback) {.callback = on_answer, .user_data = request, .free = free};
	if (export->waiting == 0)
		export->answered_ms = vmc_now_ms ();
	export->waiting++;
	(*waiting)++;
	return 0;
}

/* COOKIE is what libnbd returned for the request. */
static int made (struct vmc_export *export, int64_t cookie, unsigned *waiting, struct vmc_error *err)
{
	if (cookie >= 0)
		return 0;
	export->waiting--;
	(*waiting)--;
	return vmc_fail (err, VMC_FAILED, nbd_get_errno (), "qemu-nbd over %s takes no requests: %s", export->what,
			 nbd_get_error ());
}

/* libnbd has put the bytes into their place already. */
static int on_chunk (void *opaque, const void *bytes, size_t length, uint64_t offset, unsigned status, int *errnum)
{
	(void) opaque;
	(void) bytes;
	(void) length;
	(void) offset;
	(void) status;
	(void) errnum;
	return 0;
}

int vmc_export_read (struct vmc_export *export, void *buffer, uint64_t offset, uint64_t length, unsigned *waiting,
		     struct vmc_error *err)
{
	nbd_chunk_callback chunk = {.callback = on_chunk};
	nbd_completion_callback callback;

	if (begin_request (export, "read", waiting, &callback, err) < 0)
		return -1;
	return made (export,
		     nbd_aio_pread_structured (export->nbd, buffer, length, offset, chunk, callback,
					       LIBNBD_CMD_FLAG_DF),
		     waiting, err);
}

int vmc_export_write (struct vmc_export *export, const void *buffer, uint64_t offset, uint64_t length,
		      unsigned *waiting, struct vmc_error *err)
{
	nbd_completion_callback callback;

	if (begin_request (export, "write to", waiting, &callback, err) < 0)
		return -1;
	return made (export, nbd_aio_pwrite (export->nbd, buffer, length, offset, callback, 0), waiting, err);
}

int vmc_export_zero (struct vmc_export *export, uint64_t offset, uint64_t length, unsigned *waiting,
		     struct vmc_error *err)
{
	nbd_completion_callback callback;

	if (begin_request (export, "write zeros to", waiting, &callback, err) < 0)
		return -1;
	return made (export, nbd_aio_zero (export->nbd, length, offset, callback, 0), waiting, err);
}

/* --- waiting ----------------------------------------------------------------------------------- */

/* Its qemu-nbd has gone away: why? */
static int tell_death (struct vmc_export *export, struct vmc_error *err)
{
	if (vmc_process_wait (&export->process, vmc_now_ms () + START_MS, err) < 0)
		return vmc_fail_in (err, "%s is not served any more", export->what);
	return vmc_fail (err, VMC_FAILED, 0, "qemu-nbd over %s has ended", export->what);
}

static int check_export (struct vmc_export *export, struct vmc_error *err)
{
	if (export->errnum != 0)
		return vmc_fail (err, VMC_FAILED, export->errnum, "cannot %s %s", export->doing, export->what);
	if (nbd_aio_is_dead (export->nbd) != 0 || nbd_aio_is_closed (export->nbd) != 0)
		return tell_death (export, err);
	if (export->waiting > 0 && vmc_now_ms () >= export->answered_ms + STUCK_MS)
		return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT, "qemu-nbd over %s has not answered for %u minutes",
				 export->what, STUCK_MS / 60000);
	return 0;
}

static struct pollfd poll_entry (const struct vmc_export *export)
{
	unsigned direction = nbd_aio_get_direction (export->nbd);
	short events = 0;

	if (direction & LIBNBD_AIO_DIRECTION_READ)
		events |= POLLIN;
	if (direction & LIBNBD_AIO_DIRECTION_WRITE)
		events |= POLLOUT;
	return (struct pollfd) {.fd = nbd_aio_get_fd (export->nbd), .events = events};
}

/* What it fails with is seen in the state of the handle. */
static void notify (struct vmc_export *export, const struct pollfd *entry)
{
	if ((entry->events & POLLIN) != 0 && (entry->revents & (POLLIN | POLLHUP | POLLERR)) != 0)
		(void) nbd_aio_notify_read (export->nbd);
	else if ((entry->events & POLLOUT) != 0 && (entry->revents & (POLLOUT | POLLHUP | POLLERR)) != 0)
		(void) nbd_aio_notify_write (export->nbd);
}

int vmc_export_turn (struct vmc_export *const *exports, size_t count, unsigned wait_ms, struct vmc_pace *pace,
		     struct vmc_error *err)
{
	struct pollfd entries[2];

	for (size_t i = 0; i < count; i++)
		entries[i] = poll_entry (exports[i]);
	if (poll (entries, count, (int) wait_ms) > 0)
		for (size_t i = 0; i < count; i++)
			notify (exports[i], &entries[i]);
	for (size_t i = 0; i < count; i++)
		if (check_export (exports[i], err) < 0)
			return -1;
	return vmc_pace_check (pace, err);
}

/* WAITING is a variable of a caller that returns when this fails: no late answer may count in it. */
static int await (struct vmc_export *export, const unsigned *waiting, struct vmc_pace *pace, struct vmc_error *err)
{
	int result = 0;

	while (*waiting > 0 && result == 0)
		result = vmc_export_turn (&export, 1, TURN_MS, pace, err);
	/* An answer may come while a request is made, before anybody waits for it. */
	if (result == 0)
		result = check_export (export, err);
	if (result < 0)
		vmc_export_drop (export);
	return result;
}

/* --- start and end ----------------------------------------------------------------------------- */

static int check_abilities (struct vmc_export *export, struct vmc_error *err)
{
	int64_t size = nbd_get_size (export->nbd);

	if (size < 0)
		return vmc_fail (err, VMC_FAILED, nbd_get_errno (), "%s has no size", export->what);
	if (nbd_can_df (export->nbd) != 1 || nbd_can_meta_context (export->nbd, CONTEXT_ZERO) != 1 ||
	    nbd_can_meta_context (export->nbd, CONTEXT_DEPTH) != 1)
		return vmc_fail (err, VMC_REFUSED, 0, "this qemu-nbd cannot tell what an image stores");
	export->size_bytes = (uint64_t) size;
	return 0;
}

static int shake_hands (struct vmc_export *export, struct vmc_error *err)
{
	struct vmc_pace no_pace = {0};
	uint64_t deadline_ms;
	int fd = vmc_process_connect (&export->process, export->socket, err);

	if (fd < 0)
		return -1;
	export->nbd = nbd_create ();
	/* QEMU itself pads what is not a multiple of its blocks: the last bytes of a disk. */
	if (export->nbd == NULL ||
	    nbd_set_strict_mode (export->nbd, nbd_get_strict_mode (export->nbd) & (uint32_t) ~LIBNBD_STRICT_ALIGN) <
		    0 ||
	    nbd_add_meta_context (export->nbd, CONTEXT_ZERO) < 0 ||
	    nbd_add_meta_context (export->nbd, CONTEXT_DEPTH) < 0 || nbd_aio_connect_socket (export->nbd, fd) < 0) {
		(void) close (fd);
		return vmc_fail (err, VMC_FAILED, nbd_get_errno (), "cannot speak NBD: %s", nbd_get_error ());
	}
	deadline_ms = vmc_now_ms () + START_MS;
	while (nbd_aio_is_ready (export->nbd) == 0) {
		if (vmc_export_turn (&export, 1, TURN_MS, &no_pace, err) < 0)
			return -1;
		if (vmc_now_ms () >= deadline_ms)
			return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT, "qemu-nbd over %s does not answer", export->what);
	}
	return check_abilities (export, err);
}

bool vmc_export_direct (const char *path)
{
	int fd = open (path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd >= 0)
		(void) close (fd);
	return fd >= 0;
}

int vmc_export_start (struct vmc_export *export, const char *name, const char *options, enum vmc_export_mode mode,
		      const char *what, struct vmc_error *err)
{
	static const char *const caches[] = {"--cache=writeback", "--cache=none", "--cache=unsafe"};
	char socket_option[128];
	/* Nothing of what is written is meant to survive a crash: when all of it is there, one fsync follows. */
	const char *const argv[] =
		{"qemu-nbd", "--allocation-depth", socket_option,     "--image-opts",
		 options,    caches[mode],         "--discard=unmap", mode == VMC_EXPORT_WRITE ? NULL : "--read-only",
		 NULL};

	export->what = what;
	if (vmc_directory_prepare (VMC_RUN_DIRECTORY, err) < 0)
		return -1;
	if ((size_t) snprintf (export->socket, sizeof export->socket, VMC_RUN_DIRECTORY "/%s.nbd", name) >=
	    sizeof export->socket) {
		export->socket[0] = 0;
		return vmc_fail (err, VMC_FAILED, ENAMETOOLONG, "the name of a socket is too long");
	}
	(void) snprintf (socket_option, sizeof socket_option, "--socket=%s", export->socket);
	(void) unlink (export->socket); /* of a run that was killed */
	if (vmc_process_start_copier (&export->process, argv, err) < 0 || shake_hands (export, err) < 0)
		return -1;
	(void) unlink (export->socket); /* nobody else shall come */
	export->socket[0] = 0;
	return 0;
}

/* Until qemu-nbd has closed the connection: before, it may not have got the word. */
static int disconnect (struct vmc_export *export, uint64_t deadline_ms, struct vmc_error *err)
{
	if (nbd_aio_disconnect (export->nbd, 0) < 0)
		return vmc_fail (err, VMC_FAILED, nbd_get_errno (), "cannot end qemu-nbd over %s", export->what);
	while (nbd_aio_is_closed (export->nbd) == 0 && nbd_aio_is_dead (export->nbd) == 0) {
		struct pollfd entry = poll_entry (export);

		if (vmc_now_ms () >= deadline_ms)
			return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT, "qemu-nbd over %s does not end", export->what);
		if (poll (&entry, 1, TURN_MS) > 0)
			notify (export, &entry);
	}
	return 0;
}

static int flush (struct vmc_export *export, struct vmc_pace *pace, struct vmc_error *err)
{
	nbd_completion_callback callback;
	unsigned waiting = 0;

	if (begin_request (export, "flush", &waiting, &callback, err) < 0 ||
	    made (export, nbd_aio_flush (export->nbd, callback, 0), &waiting, err) < 0)
		return -1;
	return await (export, &waiting, pace, err);
}

int vmc_export_finish (struct vmc_export *export, struct vmc_pace *pace, struct vmc_error *err)
{
	uint64_t deadline_ms;

	/* It writes the tables of a qcow2 image; at the end of qemu-nbd, nobody would be told of an error. */
	if (nbd_is_read_only (export->nbd) == 0 && flush (export, pace, err) < 0)
		return -1;
	deadline_ms = vmc_now_ms () + FINISH_MS;
	if (disconnect (export, deadline_ms, err) < 0)
		return -1;
	if (vmc_process_wait (&export->process, deadline_ms, err) < 0)
		return vmc_fail_in (err, "%s could not be closed", export->what);
	vmc_export_drop (export);
	return 0;
}

void vmc_export_drop (struct vmc_export *export)
{
	vmc_process_end (&export->process);
	nbd_close (export->nbd);
	export->nbd = NULL;
	if (export->socket[0] != 0)
		(void) unlink (export->socket);
	export->socket[0] = 0;
}

/* --- zeros, and what is stored ----------------------------------------------------------------- */

int vmc_export_zero_all (struct vmc_export *export, const struct vmc_extents *ranges, struct vmc_pace *pace,
			 struct vmc_error *err)
{
	for (size_t i = 0; i < ranges->count; i++) {
		uint64_t start = ranges->items[i].start, left = ranges->items[i].length;

		while (left > 0) {
			uint64_t length = left < ZERO_BYTES ? left : ZERO_BYTES;
			unsigned waiting = 0;

			if (vmc_export_zero (export, start, length, &waiting, err) < 0 ||
			    await (export, &waiting, pace, err) < 0)
				return -1;
			start += length;
			left -= length;
		}
	}
	return 0;
}

struct status {
	struct vmc_extents *stored, *zero;
	uint64_t stored_end, zero_end; /* how far it is known */
	struct vmc_error error;
	bool failed;
};

/* One context's part of an answer: pairs of length and meaning, from OFFSET on. */
static int on_status (void *opaque, const char *context, uint64_t offset, uint32_t *entries, size_t count, int *errnum)
{
	struct status *status = opaque;
	bool depth = strcmp (context, CONTEXT_DEPTH) == 0;
	struct vmc_extents *list = depth ? status->stored : status->zero;

	if (*errnum != 0 || status->failed || (!depth && strcmp (context, CONTEXT_ZERO) != 0))
		return 0;
	for (size_t i = 0; i + 1 < count; i += 2) {
		bool wanted = depth ? entries[i + 1] == DEPTH_TOP : (entries[i + 1] & LIBNBD_STATE_ZERO) != 0;

		if (wanted && vmc_extents_add (list, offset, entries[i], &status->error) < 0)
			status->failed = true;
		offset += entries[i];
	}
	if (list->count > EXTENTS_MAX) {
		(void) vmc_fail (&status->error, VMC_REFUSED, 0, "the image has more than %zu runs", EXTENTS_MAX);
		status->failed = true;
	}
	*(depth ? &status->stored_end : &status->zero_end) = offset;
	return 0;
}

static int status_from (struct vmc_export *export, uint64_t offset, struct status *status, struct vmc_pace *pace,
			struct vmc_error *err)
{
	uint64_t left = export->size_bytes - offset, length = left < STATUS_BYTES ? left : STATUS_BYTES;
	nbd_extent_callback extents = {.callback = on_status, .user_data = status};
	nbd_completion_callback callback;
	unsigned waiting = 0;

	status->stored_end = status->zero_end = offset;
	if (begin_request (export, "map", &waiting, &callback, err) < 0 ||
	    made (export, nbd_aio_block_status (export->nbd, length, offset, extents, callback, 0), &waiting, err) < 0)
		return -1;
	if (await (export, &waiting, pace, err) < 0)
		return -1;
	if (status->failed) {
		*err = status->error;
		return -1;
	}
	return 0;
}

/* Cut what an answer says beyond END: the next one says it again. */
static void cut (struct vmc_extents *list, uint64_t end)
{
	while (list->count > 0) {
		struct vmc_extent *last = &list->items[list->count - 1];

		if (last->start + last->length <= end)
			return;
		if (last->start < end) {
			last->length = end - last->start;
			return;
		}
		list->count--;
	}
}

int vmc_export_status (struct vmc_export *export, struct vmc_extents *stored, struct vmc_extents *zero,
		       struct vmc_pace *pace, struct vmc_error *err)
{
	struct status status = {.stored = stored, .zero = zero};
	uint64_t offset = 0;

	while (offset < export->size_bytes) {
		uint64_t end;

		if (status_from (export, offset, &status, pace, err) < 0)
			return -1;
		end = status.stored_end < status.zero_end ? status.stored_end : status.zero_end;
		end = end < export->size_bytes ? end : export->size_bytes;
		if (end <= offset)
			return vmc_fail (err, VMC_FAILED, 0, "qemu-nbd does not tell what %s stores", export->what);
		cut (stored, end);
		cut (zero, end);
		offset = end;
	}
	return 0;
}
