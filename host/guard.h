/* guard.h - qemu-nbd with the base open read-only: nobody can write to the base while it runs, and we can read it
 *
 * QEMU's image locks do it: a block commit, ours or anybody's, fails to get the write lock (docs/system/images, "file
 * locking"). So no --force-share here.
 */
#ifndef VMC_GUARD_H
#define VMC_GUARD_H

#include "domain_xml.h"
#include "process.h"

struct vmc_guard {
	struct vmc_process process;
	char socket[108]; /* its path, empty when there is none */
};

#define VMC_CLEANUP_GUARD __attribute__ ((cleanup (vmc_guard_drop)))
#define VMC_GUARD_INIT {.process = VMC_PROCESS_INIT}

/* Open the image PATH of FORMAT. NAME makes the socket's path unique. */
int vmc_guard_start (struct vmc_guard *guard, const char *name, const char *format, const char *path,
		     struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* A new connection to it, a descriptor. */
int vmc_guard_connect (struct vmc_guard *guard, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* -1 when it has died: then the base is no longer guarded. */
int vmc_guard_check (struct vmc_guard *guard, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

void vmc_guard_drop (struct vmc_guard *guard) __attribute__ ((nonnull));

#endif
