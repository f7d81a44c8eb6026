/* connection.h - the connection to libvirt, and the thread that runs its events
 *
 * libvirt calls back (stream data, block jobs) from its event loop. That loop runs in a thread of its own here, so that
 * the main thread can wait with a deadline: it sleeps on one condition, which each callback signals.
 */
#ifndef VMC_CONNECTION_H
#define VMC_CONNECTION_H

#include <libvirt/libvirt.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "interrupt.h"

struct vmc_connection {
	virConnectPtr handle;
	const char *uri; /* NULL: libvirt's default; borrowed */
};

/* Make every call to libvirt through this: one that has not returned after some minutes ends the process, with the exit status
 * that interrupt.h was told. Being killed is what a run is made for; waiting for ever is not. */
#define VMC_LIBVIRT(call) \
	({ \
		vmc_deadline_begin (); \
		__typeof__ (call) returned_ = (call); \
		vmc_deadline_end (); \
		returned_; \
	})

/* Start the event thread and connect to URI (NULL: the default, as virsh). Ended by vmc_connection_close. */
int vmc_connection_open (struct vmc_connection *connection, const char *uri, struct vmc_error *err)
	__attribute__ ((nonnull (1, 3), warn_unused_result));

void vmc_connection_close (struct vmc_connection *connection) __attribute__ ((nonnull));

/* Connect anew if the daemon is no longer there: what was got from the old connection is of no use then. 1: it was done. */
int vmc_connection_revive (struct vmc_connection *connection, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Does CONNECTION lead to this machine, where the images are? */
bool vmc_connection_local (const struct vmc_connection *connection) __attribute__ ((nonnull));

/* The lock and the condition that callbacks and the main thread share. */
void vmc_events_lock (void);
void vmc_events_unlock (void);
void vmc_events_signal (void);

/* With the lock held: sleep until an event, or for MS milliseconds at most. */
void vmc_events_wait (unsigned ms);

/* Sleep for MS without the lock, or until an event. */
void vmc_events_pause (unsigned ms);

/* Wait until no callback that libvirt began before this call is still running. Not with the lock held. */
void vmc_events_barrier (void);

/* Fill ERR with "CONTEXT: what libvirt said", escaped, and return -1. */
int vmc_fail_libvirt (struct vmc_error *err, enum vmc_code code, const char *context) __attribute__ ((nonnull));

#endif
