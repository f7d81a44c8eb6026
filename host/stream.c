/* stream.c - transports for agent_client.h: a libvirt stream on the domain's channel, and a socket
 *
 * The stream does not block; its callback, in the event thread, moves bytes into a buffer under the events lock, and the
 * main thread takes them from there. A guest that floods fills the buffer; then nothing more is taken until there is room.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent_client.h"
#include "clock.h"
#include "connection.h"

#define WAIT_MS 100 /* between two looks at the deadline */
#define STREAM_BUFFER_BYTES 65536

struct stream {
	struct vmc_transport transport;
	virStreamPtr stream;
	char buffer[STREAM_BUFFER_BYTES];
	size_t used;
	bool ended;  /* the channel was closed */
	bool paused; /* the buffer is full: not listening */
};

/* In the event thread. */
static void on_stream (virStreamPtr stream, int events, void *opaque)
{
	struct stream *self = opaque;
	int got = 0;

	vmc_events_lock ();
	if (events & VIR_STREAM_EVENT_READABLE) {
		got = virStreamRecv (stream, self->buffer + self->used, sizeof self->buffer - self->used);
		if (got > 0)
			self->used += (size_t) got;
	}
	if ((events & VIR_STREAM_EVENT_READABLE && got != -2 && got <= 0) ||
	    events & (VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP))
		self->ended = true;
	if (self->ended || self->used == sizeof self->buffer) {
		self->paused = true;
		(void) virStreamEventUpdateCallback (stream, 0);
	}
	vmc_events_signal ();
	vmc_events_unlock ();
}

static int stream_send (struct vmc_transport *transport, const char *bytes, size_t length, uint64_t deadline_ms,
			struct vmc_error *err)
{
	struct stream *self = (struct stream *) transport;

	while (length > 0) {
		int sent = virStreamSend (self->stream, bytes, length);

		if (self->ended)
			return vmc_fail (err, VMC_NO_AGENT, 0, "the channel to the agent was closed");
		if (sent == -1)
			return vmc_fail_libvirt (err, VMC_NO_AGENT, "the channel to the agent was closed");
		if (sent >= 0) {
			bytes += sent;
			length -= (size_t) sent;
		} else if (vmc_now_ms () >= deadline_ms) {
			return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT, "the agent takes no bytes");
		} else {
			vmc_events_pause (10);
		}
	}
	return 0;
}

static ssize_t stream_receive (struct vmc_transport *transport, char *buffer, size_t size, uint64_t deadline_ms,
			       struct vmc_error *err)
{
	struct stream *self = (struct stream *) transport;
	size_t got;

	vmc_events_lock ();
	while (self->used == 0 && !self->ended && vmc_now_ms () < deadline_ms)
		vmc_events_wait (WAIT_MS);
	got = self->used < size ? self->used : size;
	memcpy (buffer, self->buffer, got);
	memmove (self->buffer, self->buffer + got, self->used - got);
	self->used -= got;
	if (got > 0 && self->paused && !self->ended) {
		self->paused = false;
		(void) virStreamEventUpdateCallback (self->stream, VIR_STREAM_EVENT_READABLE);
	}
	vmc_events_unlock ();
	if (got > 0)
		return (ssize_t) got;
	if (self->ended)
		return vmc_fail (err, VMC_NO_AGENT, 0, "the channel to the agent was closed");
	return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT, "the agent does not answer");
}

static void stream_close (struct vmc_transport *transport)
{
	struct stream *self = (struct stream *) transport;

	/* libvirt does not tell when it has called back for the last time. */
	(void) virStreamEventRemoveCallback (self->stream);
	vmc_events_barrier ();
	(void) virStreamAbort (self->stream);
	(void) virStreamFree (self->stream);
	free (self);
}

struct vmc_transport *vmc_stream_open (virDomainPtr domain, struct vmc_error *err)
{
	struct stream *self = calloc (1, sizeof *self);

	if (self == NULL) {
		(void) vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the channel");
		return NULL;
	}
	self->transport = (struct vmc_transport) {stream_send, stream_receive, stream_close};
	self->stream = virStreamNew (virDomainGetConnect (domain), VIR_STREAM_NONBLOCK);
	if (self->stream == NULL ||
	    VMC_LIBVIRT (virDomainOpenChannel (domain, VMC_CHANNEL_NAME, self->stream, 0)) < 0 ||
	    virStreamEventAddCallback (self->stream, VIR_STREAM_EVENT_READABLE, on_stream, self, NULL) < 0) {
		(void) vmc_fail_libvirt (err, VMC_NO_AGENT, "cannot open the channel " VMC_CHANNEL_NAME);
		if (self->stream != NULL)
			(void) virStreamFree (self->stream);
		free (self);
		return NULL;
	}
	return &self->transport;
}

/* --- sockets ---------------------------------------------------------------------------------- */

struct socket {
	struct vmc_transport transport;
	int fd;
};

/* Wait for EVENTS until DEADLINE_MS. */
static int socket_wait (const struct socket *self, short events, uint64_t deadline_ms, struct vmc_error *err)
{
	for (;;) {
		struct pollfd entry = {.fd = self->fd, .events = events};

		if (poll (&entry, 1, WAIT_MS) > 0)
			return 0;
		if (vmc_now_ms () >= deadline_ms)
			return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT, "the agent does not answer");
	}
}

static int socket_send (struct vmc_transport *transport, const char *bytes, size_t length, uint64_t deadline_ms,
			struct vmc_error *err)
{
	struct socket *self = (struct socket *) transport;

	while (length > 0) {
		ssize_t sent = send (self->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return vmc_fail (err, VMC_NO_AGENT, errno, "the channel to the agent was closed");
		if (sent < 0 && socket_wait (self, POLLOUT, deadline_ms, err) < 0)
			return -1;
		bytes += sent > 0 ? sent : 0;
		length -= sent > 0 ? (size_t) sent : 0;
	}
	return 0;
}

static ssize_t socket_receive (struct vmc_transport *transport, char *buffer, size_t size, uint64_t deadline_ms,
			       struct vmc_error *err)
{
	struct socket *self = (struct socket *) transport;
	ssize_t got;

	if (socket_wait (self, POLLIN, deadline_ms, err) < 0)
		return -1;
	got = recv (self->fd, buffer, size, 0);
	return got > 0 ? got : vmc_fail (err, VMC_NO_AGENT, 0, "the channel to the agent was closed");
}

static void socket_close (struct vmc_transport *transport)
{
	struct socket *self = (struct socket *) transport;

	(void) close (self->fd);
	free (self);
}

struct vmc_transport *vmc_socket_transport (int fd, struct vmc_error *err)
{
	struct socket *self = calloc (1, sizeof *self);

	if (self == NULL) {
		(void) vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the channel");
		return NULL;
	}
	self->transport = (struct vmc_transport) {socket_send, socket_receive, socket_close};
	self->fd = fd;
	return &self->transport;
}
