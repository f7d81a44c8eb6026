/* error.h - the one way to report an error, on both sides and on the wire between them
 *
 * A function that can fail takes a caller-owned struct vmc_error as its last argument, fills it with vmc_fail and
 * returns -1. Lower layers never print, exit or answer: main.c and the agent's dispatcher do.
 */
#ifndef VMC_ERROR_H
#define VMC_ERROR_H

#include <stddef.h>

#include "bounds.h"

enum vmc_code {
	VMC_FAILED,      /* a step failed; the domain is as it was */
	VMC_USAGE,       /* the command line or a request makes no sense */
	VMC_REFUSED,     /* not done, for a stated reason; nothing was changed */
	VMC_DROPPED,     /* the guest trimmed, the host got nothing back */
	VMC_INTERRUPTED, /* the domain may still run on an overlay */
	VMC_BUSY,        /* somebody else is at it */
	VMC_NO_AGENT,    /* nothing answers on the channel */
	VMC_TIMEOUT,     /* no answer in time; what happened is unknown */
	VMC_PROTOCOL,    /* the other side broke the protocol */
	VMC_UNSUPPORTED, /* the kernel, device or filesystem cannot do it */
	VMC_CANCELLED,   /* ended on request */
	VMC_NOT_HELD,    /* a freeze was broken before it was thawed */
	VMC_CODES
};

struct vmc_error {
	enum vmc_code code;
	int errnum; /* an errno, or 0 */
	char text[VMC_TEXT_SIZE];
};

/* Fill ERR and return -1. ERRNUM is an errno or 0; its name is not part of the text. A text that is too long is cut. */
int vmc_fail (struct vmc_error *err, enum vmc_code code, int errnum, const char *format, ...)
	__attribute__ ((format (printf, 4, 5), nonnull (1, 4)));

/* Put "CONTEXT: " before the text of ERR and return -1. */
int vmc_fail_in (struct vmc_error *err, const char *format, ...)
	__attribute__ ((format (printf, 2, 3), nonnull (1, 2)));

/* The name of CODE on the wire ("no-agent"). Never NULL. */
const char *vmc_code_name (enum vmc_code code);

/* The code with that name, or VMC_FAILED for a name that is not known. */
enum vmc_code vmc_code_from_name (const char *name) __attribute__ ((nonnull));

/* The exit status of the command for CODE. */
int vmc_code_exit_status (enum vmc_code code);

/* "ENOSPC" for ENOSPC; "" for 0; "E?" for an errno that has no name here. */
const char *vmc_errno_name (int errnum);

/* The errno with that name on this system, 0 for "" and for a name that is not known: errno numbers differ between
 * architectures, so only names cross the wire. */
int vmc_errno_from_name (const char *name) __attribute__ ((nonnull));

#endif
