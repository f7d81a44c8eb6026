/* sandbox.h - what the reader's child may still do: next to nothing
 *
 * The child parses bytes that a guest has made up. Whoever takes it over that way is to find a process that owns nothing,
 * sees no files and can ask the kernel for nothing but the bytes of its own disk. Both steps are for ever.
 */
#ifndef VMC_SANDBOX_H
#define VMC_SANDBOX_H

#include "error.h"

#define VMC_SANDBOX_SOCKET_FD 0 /* to qemu-nbd */
#define VMC_SANDBOX_PIPE_FD 1   /* to the parent */

/* First: give up everything but the two descriptors: environment, other descriptors, files, user, privileges, and what the
 * limits forbid. Libraries may still be set up afterwards, but nothing of the guest's may be read. -1: not all was given up,
 * the process must end. */
int vmc_sandbox_drop (struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Then: close the filter over the system calls. From now on the process is killed with SIGSYS for any call but those that
 * vmcompact(8) names. MEMORY_FD is the nameless file in memory that libblkid looks at; it stays readable and writable. */
int vmc_sandbox_close (int memory_fd, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
