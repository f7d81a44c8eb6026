/* signature.h - what libblkid takes the bytes of a place for: a name for what is left alone, and a second opinion on ext4 */
#ifndef VMC_SIGNATURE_H
#define VMC_SIGNATURE_H

#include <stdbool.h>

#include "source.h"

#define VMC_SIGNATURE_SIZE 40

struct vmc_signature {
	char type[VMC_SIGNATURE_SIZE]; /* "xfs", "LVM2_member", "swap"; empty: nothing that it knows */
	char uuid[VMC_NAME_SIZE];      /* as libblkid writes it; empty: it has none */
	bool ambiguous;                /* it could be more than one thing */
};

/* Look at the LENGTH bytes of the disk at OFFSET. What the file MEMORY_FD held is lost. -1: they could not be read. */
int vmc_signature_find (struct vmc_source *source, int memory_fd, uint64_t offset, uint64_t length,
			struct vmc_signature *signature, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
