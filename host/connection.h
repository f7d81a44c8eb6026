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

/* Connect to URI (NULL: the default, as virsh) and start the event thread. NULL: see ERR. Ended by
 * vmc_connection_close. */
virConnectPtr vmc_connection_open (const char *uri, struct vmc_error *err) __attribute__ ((nonnull (2)));

void vmc_connection_close (virConnectPtr connection);

/* Does CONNECTION lead to this machine, where the images are? */
bool vmc_connection_local (virConnectPtr connection) __attribute__ ((nonnull));

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
