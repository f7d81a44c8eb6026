/* connection.c - see connection.h */
#include "connection.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t happened;
static pthread_t thread;
static bool stop;
static unsigned long rounds; /* of the event loop */
static int wake_timer = -1;

#define BARRIER_MS 10
#define KEEPALIVE_S 5 /* a daemon that does not answer for 20 s counts as gone */
#define KEEPALIVE_COUNT 3

void vmc_events_lock (void)
{
	(void) pthread_mutex_lock (&lock);
}

void vmc_events_unlock (void)
{
	(void) pthread_mutex_unlock (&lock);
}

void vmc_events_signal (void)
{
	(void) pthread_cond_broadcast (&happened);
}

void vmc_events_wait (unsigned ms)
{
	struct timespec until;

	(void) clock_gettime (CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long) (ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	(void) pthread_cond_timedwait (&happened, &lock, &until);
}

void vmc_events_pause (unsigned ms)
{
	vmc_events_lock ();
	vmc_events_wait (ms);
	vmc_events_unlock ();
}

static void *run_events (void *unused)
{
	(void) unused;
	for (;;) {
		bool ended;

		vmc_events_lock ();
		ended = stop;
		rounds++;
		vmc_events_signal ();
		vmc_events_unlock ();
		if (ended || virEventRunDefaultImpl () < 0)
			return NULL;
	}
}

/* The round that is under way may have been in a callback; the one after it has not, unless it began later. */
void vmc_events_barrier (void)
{
	unsigned long until;

	vmc_events_lock ();
	until = rounds + 2;
	while (rounds < until) {
		vmc_events_unlock ();
		(void) virEventUpdateTimeout (wake_timer, 0);
		vmc_events_lock ();
		if (rounds < until)
			vmc_events_wait (BARRIER_MS);
	}
	vmc_events_unlock ();
}

/* Exists only to be updated, which wakes the loop. */
static void do_nothing (int timer, void *opaque)
{
	(void) opaque;
	(void) virEventUpdateTimeout (timer, -1);
}

/* libvirt prints each error unless told otherwise; main.c prints them here. */
static void keep_quiet (void *opaque, virErrorPtr error)
{
	(void) opaque;
	(void) error;
}

static int start_thread (struct vmc_error *err)
{
	pthread_condattr_t attributes;
	sigset_t all, old;
	int result;

	(void) pthread_condattr_init (&attributes);
	(void) pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
	(void) pthread_cond_init (&happened, &attributes);
	(void) pthread_condattr_destroy (&attributes);
	wake_timer = virEventAddTimeout (-1, do_nothing, NULL, NULL);
	/* Signals are the main thread's. */
	(void) sigfillset (&all);
	(void) pthread_sigmask (SIG_BLOCK, &all, &old);
	result = pthread_create (&thread, NULL, run_events, NULL);
	(void) pthread_sigmask (SIG_SETMASK, &old, NULL);
	return result == 0 ? 0 : vmc_fail (err, VMC_FAILED, result, "cannot start a thread");
}

static int connect_to (struct vmc_connection *connection, struct vmc_error *err)
{
	connection->handle = VMC_LIBVIRT (virConnectOpen (connection->uri));
	if (connection->handle == NULL)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot connect to libvirt");
	(void) virConnectSetKeepAlive (connection->handle, KEEPALIVE_S, KEEPALIVE_COUNT);
	return 0;
}

int vmc_connection_open (struct vmc_connection *connection, const char *uri, struct vmc_error *err)
{
	*connection = (struct vmc_connection) {.uri = uri};
	virSetErrorFunc (NULL, keep_quiet);
	if (virInitialize () < 0 || virEventRegisterDefaultImpl () < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot set up libvirt");
	if (start_thread (err) < 0)
		return -1;
	return connect_to (connection, err);
}

int vmc_connection_revive (struct vmc_connection *connection, struct vmc_error *err)
{
	if (connection->handle != NULL && virConnectIsAlive (connection->handle) == 1)
		return 0;
	if (connection->handle != NULL)
		(void) virConnectClose (connection->handle);
	return connect_to (connection, err) < 0 ? -1 : 1;
}

void vmc_connection_close (struct vmc_connection *connection)
{
	if (connection->handle != NULL)
		(void) virConnectClose (connection->handle);
	connection->handle = NULL;
	vmc_events_lock ();
	stop = true;
	vmc_events_unlock ();
	(void) virEventUpdateTimeout (wake_timer, 0);
	(void) pthread_join (thread, NULL);
	/* Once more: what was removed is freed at the end of a round. */
	(void) virEventUpdateTimeout (wake_timer, 0);
	(void) virEventRunDefaultImpl ();
}

/* "qemu:///system" has an empty host part, "qemu+ssh://host/system" does not. */
bool vmc_connection_local (const struct vmc_connection *connection)
{
	char *uri = VMC_LIBVIRT (virConnectGetURI (connection->handle));
	const char *host = uri ? strstr (uri, "://") : NULL;
	bool local = host != NULL && host[3] == '/';

	free (uri);
	return local;
}

int vmc_fail_libvirt (struct vmc_error *err, enum vmc_code code, const char *context)
{
	virErrorPtr last = virGetLastError ();
	char said[400];

	vmc_text_escape (said, sizeof said, last != NULL && last->message != NULL ? last->message : "no reason given");
	return vmc_fail (err, code, 0, "%s: %s", context, said);
}
