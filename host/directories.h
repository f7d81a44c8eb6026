/* directories.h - where vmcompact keeps its own files: root's alone */
#ifndef VMC_DIRECTORIES_H
#define VMC_DIRECTORIES_H

#include "error.h"

#define VMC_RUN_DIRECTORY "/run/vmcompact"       /* locks and sockets: gone with a reboot */
#define VMC_STATE_DIRECTORY "/var/lib/vmcompact" /* journals: there after it */

/* Make the directory PATH if need be, and check that nobody but us can write to it. */
int vmc_directory_prepare (const char *path, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Write the names in the directory PATH to the disk. */
int vmc_directory_sync (const char *path, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
