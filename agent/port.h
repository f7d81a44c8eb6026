/* port.h - the byte stream to the host
 *
 * Three kinds, by name: a path opens a virtio port; "unix:PATH" listens there and serves one client at a time; "fd:N"
 * is a socket that is already connected. The kinds differ only in how the other side comes and goes.
 */
#ifndef VMC_PORT_H
#define VMC_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

struct vmc_port {
	enum vmc_port_kind { VMC_PORT_VIRTIO, VMC_PORT_LISTEN, VMC_PORT_SOCKET } kind;
	int fd;         /* the stream, or -1 while nobody is connected (VMC_PORT_LISTEN) */
	int listen_fd;  /* or -1 */
	bool connected; /* the host is there */
	char *output;   /* not yet taken by the kernel */
	size_t output_used, output_room;
};

/* Open NAME. */
int vmc_port_open (struct vmc_port *port, const char *name, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Put the port's descriptors into EPOLL_FD, edge-triggered: with the host away a virtio port reports a hang-up all the
 * time, and only the edge lets the agent sleep until the host comes (virtio_console wakes its wait queue then). */
int vmc_port_watch (struct vmc_port *port, int epoll_fd, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

enum vmc_port_event {
	VMC_PORT_NOTHING, /* no more bytes for now */
	VMC_PORT_BYTES,
	VMC_PORT_HANGUP, /* the host went away */
	VMC_PORT_GONE,   /* the port itself is gone: the agent has nothing left to do */
};

/* Read once, without waiting, into BUFFER (*LENGTH bytes of room; the number read afterwards). Accepts a client first
 * where that is due, and keeps "connected" true to life. Call until it returns VMC_PORT_NOTHING. */
enum vmc_port_event vmc_port_read (struct vmc_port *port, int epoll_fd, char *buffer, size_t *length)
	__attribute__ ((nonnull));

/* Queue LENGTH bytes and write what can be written. False: no memory. */
bool vmc_port_send (struct vmc_port *port, const char *bytes, size_t length) __attribute__ ((nonnull));

/* Write more of what is queued. */
void vmc_port_flush (struct vmc_port *port) __attribute__ ((nonnull));

void vmc_port_close (struct vmc_port *port) __attribute__ ((nonnull));

#endif
