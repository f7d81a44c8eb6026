/* claims.h - what the guest says about its filesystems on one disk, for the reader to look at the disk by
 *
 * The reader's child has no agent to ask and no files. It gets the claims as a file in memory that is open when it starts.
 */
#ifndef VMC_CLAIMS_H
#define VMC_CLAIMS_H

#include "stack.h"

/* A filesystem that the reader shall map. */
struct vmc_claim {
	char filesystem[VMC_NAME_SIZE]; /* its name in the guest */
	char type[VMC_NAME_SIZE];
	char device[VMC_NAME_SIZE]; /* that it lies on */
};

struct vmc_claims {
	char disk[VMC_NAME_SIZE];    /* the name that the guest has for the disk that is read */
	struct vmc_list filesystems; /* struct vmc_claim */
	struct vmc_list devices;     /* struct vmc_device */
};

#define VMC_CLEANUP_CLAIMS __attribute__ ((cleanup (vmc_claims_clear)))

void vmc_claims_clear (struct vmc_claims *claims) __attribute__ ((nonnull));

/* A new file in memory with CLAIMS in it, to be closed by the caller. -1: none. */
int vmc_claims_write (const struct vmc_claims *claims, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Fill CLAIMS (all zero before) from the file FD, from its start. They can be followed (vmc_stack_check). */
int vmc_claims_read (int fd, struct vmc_claims *claims, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
