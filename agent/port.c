/* port.c - see port.h
 *
 * A virtio port with the host away reads 0 bytes and polls EPOLLHUP; that is not the end of anything. The kernel
 * learns in two ways, in either order, that a host has come: from its bytes, and from a control message that a work
 * queue handles later. So bytes may be read, and must be answered, while the port still says that nobody is there:
 * output is kept until it can be written, and only a host that was seen to be there can hang up.
 */
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* What may wait for a host that does not read: more than the longest answer. */
#define OUTPUT_MAX_BYTES (2 * VMC_ANSWER_MAX_BYTES)

static int open_listener (const char *path, struct vmc_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen (path) >= sizeof address.sun_path)
		return vmc_fail (err, VMC_USAGE, ENAMETOOLONG, "the path '%s' is too long for a socket", path);
	memcpy (address.sun_path, path, strlen (path) + 1);
	fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot make a socket");
	if (bind (fd, (struct sockaddr *) &address, sizeof address) < 0 || listen (fd, 1) < 0) {
		(void) vmc_fail (err, VMC_FAILED, errno, "cannot listen on '%s'", path);
		(void) close (fd);
		return -1;
	}
	return fd;
}

static int adopt (const char *number, struct vmc_error *err)
{
	char *end;
	long fd = strtol (number, &end, 10);

	if (*number == 0 || *end != 0 || fd < 0 || fd > 1000000 || fcntl ((int) fd, F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl ((int) fd, F_SETFD, FD_CLOEXEC) < 0)
		return vmc_fail (err, VMC_USAGE, EBADF, "'fd:%s' is not an open descriptor", number);
	return (int) fd;
}

int vmc_port_open (struct vmc_port *port, const char *name, struct vmc_error *err)
{
	struct stat status;

	*port = (struct vmc_port) {.fd = -1, .listen_fd = -1};
	if (strncmp (name, "unix:", 5) == 0) {
		port->kind = VMC_PORT_LISTEN;
		port->listen_fd = open_listener (name + 5, err);
		return port->listen_fd < 0 ? -1 : 0;
	}
	if (strncmp (name, "fd:", 3) == 0) {
		port->kind = VMC_PORT_SOCKET;
		port->fd = adopt (name + 3, err);
		port->connected = port->fd >= 0;
		return port->fd < 0 ? -1 : 0;
	}
	port->kind = VMC_PORT_VIRTIO;
	port->fd = open (name, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (port->fd < 0)
		return vmc_fail (err, VMC_FAILED, errno,
				 errno == EBUSY ? "another program has the port '%s' open"
						: "cannot open the port '%s'",
				 name);
	if (fstat (port->fd, &status) == 0 && S_ISCHR (status.st_mode))
		return 0;
	vmc_port_close (port);
	return vmc_fail (err, VMC_USAGE, ENOTTY, "'%s' is not a virtio port", name);
}

static int watch (int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};

	return epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int vmc_port_watch (struct vmc_port *port, int epoll_fd, struct vmc_error *err)
{
	if (watch (epoll_fd, port->fd >= 0 ? port->fd : port->listen_fd) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot watch the port");
	return 0;
}

/* The host went away: what was meant for it is void. */
static enum vmc_port_event hang_up (struct vmc_port *port)
{
	bool was = port->connected;

	port->connected = false;
	if (was)
		port->output_used = 0;
	if (port->kind == VMC_PORT_SOCKET)
		return VMC_PORT_GONE;
	if (port->kind == VMC_PORT_LISTEN) {
		(void) close (port->fd);
		port->fd = -1;
	}
	return was ? VMC_PORT_HANGUP : VMC_PORT_NOTHING;
}

static bool accept_client (struct vmc_port *port, int epoll_fd)
{
	if (port->kind != VMC_PORT_LISTEN || port->fd >= 0)
		return port->fd >= 0;
	port->fd = accept4 (port->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (port->fd < 0)
		return false;
	port->connected = true;
	return watch (epoll_fd, port->fd) == 0;
}

enum vmc_port_event vmc_port_read (struct vmc_port *port, int epoll_fd, char *buffer, size_t *length)
{
	ssize_t got;

	if (!accept_client (port, epoll_fd))
		return VMC_PORT_NOTHING;
	got = read (port->fd, buffer, *length);
	if (got > 0) {
		*length = (size_t) got;
		return VMC_PORT_BYTES;
	}
	if (got < 0 && errno == EINTR)
		return vmc_port_read (port, epoll_fd, buffer, length);
	if (got < 0 && errno == EAGAIN) {
		port->connected = true; /* else a virtio port would have read 0 bytes */
		vmc_port_flush (port);
		return VMC_PORT_NOTHING;
	}
	if (got < 0 && port->kind == VMC_PORT_VIRTIO)
		return VMC_PORT_GONE;
	return hang_up (port);
}

void vmc_port_flush (struct vmc_port *port)
{
	size_t done = 0;

	while (port->fd >= 0 && done < port->output_used) {
		ssize_t put = write (port->fd, port->output + done, port->output_used - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			break; /* full, or gone: the next read finds out */
		done += (size_t) put;
	}
	if (done == 0)
		return;
	memmove (port->output, port->output + done, port->output_used - done);
	port->output_used -= done;
}

bool vmc_port_send (struct vmc_port *port, const char *bytes, size_t length)
{
	if (port->output_used > OUTPUT_MAX_BYTES)
		port->output_used = 0; /* nobody takes it */
	if (port->output_room - port->output_used < length) {
		char *output = realloc (port->output, port->output_used + length);

		if (output == NULL)
			return false;
		port->output = output;
		port->output_room = port->output_used + length;
	}
	memcpy (port->output + port->output_used, bytes, length);
	port->output_used += length;
	vmc_port_flush (port);
	return true;
}

void vmc_port_close (struct vmc_port *port)
{
	if (port->fd >= 0)
		(void) close (port->fd);
	if (port->listen_fd >= 0)
		(void) close (port->listen_fd);
	free (port->output);
	*port = (struct vmc_port) {.fd = -1, .listen_fd = -1};
}
