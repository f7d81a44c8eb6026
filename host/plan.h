/* plan.h - what to do with a disk, decided from facts; no I/O, no libvirt */
#ifndef VMC_PLAN_H
#define VMC_PLAN_H

#include "facts.h"
#include "options.h"

struct vmc_plan {
	enum vmc_method_choice method; /* never VMC_METHOD_AUTO */
	bool zero;                     /* no method yet: the guest fills with zeros what is free */
	enum vmc_method_choice then; /* what follows, if that leaves something on the host; VMC_METHOD_AUTO: nothing */
	char reason[VMC_TEXT_SIZE];
};

/* Plan for one disk. VMC_REFUSED (or VMC_NO_AGENT) with the reason, or VMC_UNSUPPORTED for what is no disk at all, as a
 * CD-ROM. */
int vmc_plan_disk (const struct vmc_disk_facts *facts, enum vmc_method_choice wanted, struct vmc_plan *plan,
		   struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* How many bytes of the image are still there although the guest has discarded (or would discard) DISCARDED_BYTES of a
 * disk of VIRTUAL_BYTES: at most VIRTUAL - DISCARDED can be in use, and a slack for the format's own tables and for
 * clusters that are used in part. 0: none. */
uint64_t vmc_plan_left_over (uint64_t virtual_bytes, uint64_t discarded_bytes, uint64_t allocated_bytes);

/* What of ALLOCATED_BYTES could be given back, as far as a guest at work can tell: what takes space and is not in use there, but no more
 * than is free. What lies in no mounted filesystem, as swap, is taken for free, too: only ever a reason to look. VMC_UNKNOWN where the
 * guest tells nothing, or the host does not. */
uint64_t vmc_plan_reclaimable (uint64_t used_bytes, uint64_t free_bytes, uint64_t allocated_bytes);

/* The room that the overlay needs before a commit is begun, when the guest writes WRITE_BYTES_PER_S. */
uint64_t vmc_plan_room (uint64_t write_bytes_per_s);

/* Did the host drop a trim of TRIMMED_BYTES that took the image from BEFORE to AFTER bytes? */
bool vmc_plan_trim_dropped (uint64_t virtual_bytes, uint64_t trimmed_bytes, uint64_t before_bytes,
			    uint64_t after_bytes);

/* Does QEMU pause the guest of DISK when a write finds no room on the host? */
bool vmc_plan_pauses (const struct vmc_disk *disk) __attribute__ ((nonnull));

#endif
