/* base.h - a base at rest below its overlay, while the guest writes on, and what is free in it
 *
 * What the methods commit and convert begin and end with. Whatever happens in between, the way home is the same (home.h): ranges
 * that were given back are free in the base, what the guest has put there since lies in the overlay, and is committed over it.
 */
#ifndef VMC_BASE_H
#define VMC_BASE_H

#include "allocation.h"
#include "freeze.h"
#include "guard.h"
#include "method.h"
#include "overlay.h"
#include "reader.h"

#define VMC_BASE_READER_MS 600000

struct vmc_base;

/* Who brings the guest to rest, and what tells what is free then. Each returns 0, or -1 with an error. */
struct vmc_base_way {
	/* Before anything is changed: could it be done? NULL: the plan has seen to that. */
	int (*look) (struct vmc_base *base, struct vmc_error *err);
	/* 0: frozen until the thaw. -1: not frozen, or thawed in time without us. */
	int (*freeze) (struct vmc_base *base, struct vmc_error *err);
	/* 0: the freeze has held. Fills the report's time. */
	int (*thaw) (struct vmc_base *base, struct vmc_error *err);
	/* The base is guarded: what is free in it? */
	int (*find_free) (struct vmc_base *base, struct vmc_error *err);
};

extern const struct vmc_base_way vmc_base_by_agent;      /* base_agent.c */
extern const struct vmc_base_way vmc_base_by_qemu_agent; /* base_qemu_agent.c */

struct vmc_base {
	const struct vmc_base_way *way;
	struct vmc_run *run;
	const struct vmc_disk_facts *facts;
	struct vmc_disk_report *report;
	struct vmc_overlay overlay;
	struct vmc_guard guard;     /* nobody can write to the base */
	struct vmc_image image;     /* the base since then: the guest may have made it longer before */
	struct vmc_reading reading; /* of the base */
	struct vmc_extents free;    /* of the virtual disk: what all witnesses that there are call free */

	/* By our agent. */
	char token[VMC_NAME_SIZE]; /* of the freeze */
	struct vmc_extents agent_map;
	struct vmc_name early_names[VMC_FILESYSTEMS_MAX];
	struct vmc_list early; /* of early_names: whose part of the map is older than the freeze */

	/* By qemu-guest-agent. */
	struct vmc_reading look; /* of the disk, before the freeze */
	struct vmc_freeze freeze;
	long long writes; /* to the disk, when all was frozen */
};

#define VMC_BASE_INIT(run_, facts_, report_) \
	{ \
		.run = (run_), .facts = (facts_), .report = (report_), .guard = VMC_GUARD_INIT, \
		.freeze = VMC_FREEZE_INIT (0) \
	}

/* Look, freeze, overlay, thaw, guard, find what is free. Whatever it returns, vmc_base_end must follow. */
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

/* The same while the reader is awaited, as a struct vmc_meanwhile calls it: OPAQUE is the struct vmc_base. */
int vmc_base_meanwhile (void *opaque, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Bring the domain home, and release all that BASE owns. Returns RESULT, or -1 with the worse error. */
int vmc_base_end (struct vmc_base *base, int result, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
