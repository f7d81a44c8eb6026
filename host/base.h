/* base.h - a base at rest below its overlay, while the guest writes on, and what is free in it
 *
 * What the methods commit and convert begin and end with. Whatever happens in between, the way home is the same (home.h): ranges
 * that were given back are free in the base, what the guest has put there since lies in the overlay, and is committed over it.
 */
#ifndef VMC_BASE_H
#define VMC_BASE_H

#include "allocation.h"
#include "guard.h"
#include "method.h"
#include "overlay.h"
#include "reader.h"

struct vmc_base {
	struct vmc_run *run;
	const struct vmc_disk_facts *facts;
	struct vmc_disk_report *report;
	struct vmc_overlay overlay;
	char token[VMC_NAME_SIZE]; /* of the freeze */
	struct vmc_guard guard;    /* nobody can write to the base */
	struct vmc_image image;    /* the base since then: the guest may have made it longer before */
	struct vmc_extents agent_map;
	struct vmc_reading reading;
	struct vmc_extents free; /* of the virtual disk: what both witnesses call free */
};

#define VMC_BASE_INIT(run_, facts_, report_) \
	{ \
		.run = (run_), .facts = (facts_), .report = (report_), .guard = VMC_GUARD_INIT \
	}

/* Freeze, overlay, thaw, guard, find what is free. Whatever it returns, vmc_base_end must follow. */
int vmc_base_begin (struct vmc_base *base, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* The step NAME is next: has the run time and the host room for it? */
int vmc_base_step (struct vmc_base *base, const char *name, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The picture of the disk in the report: what ALLOCATION says, and what of it is free. */
int vmc_base_draw (struct vmc_base *base, const struct vmc_allocation *allocation, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* In the middle of a step: is the base still guarded, is there room and time? Shows how far the step is. */
int vmc_base_go_on (struct vmc_base *base, uint64_t done_bytes, uint64_t total_bytes, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Bring the domain home, and release all that BASE owns. Returns RESULT, or -1 with the worse error. */
int vmc_base_end (struct vmc_base *base, int result, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
