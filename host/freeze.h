/* freeze.h - a freeze of all of the guest's filesystems by qemu-guest-agent, and the certainty that it ends
 *
 * That agent keeps no deadline, libvirt waits for its answers for ever, and its thaw ends whosever freeze there is. So neither freeze
 * nor thaw is done by us but by a keeper (keeper.h), when we tell it to: it alone knows for certain whether there is a freeze that is
 * ours, it thaws when our time is over or we have died, and a call that does not return holds up nobody but it. When that call
 * returns at last, it thaws.
 *
 * The journal has a mark from before the freeze until after the thaw. If the keeper is killed together with us, the next run thaws,
 * unless the QEMU of the mark has ended since: then nothing is frozen. Where no mark is, nothing is thawed.
 */
#ifndef VMC_FREEZE_H
#define VMC_FREEZE_H

#include "domain.h"
#include "journal.h"
#include "keeper.h"

struct vmc_freeze {
	unsigned max_ms; /* then the keeper thaws */
	int count;       /* filesystems that were frozen */
	int more;        /* that were thawed with them: somebody else had frozen them */
	uint64_t frozen_ms;
	struct vmc_keeper keeper;
};

#define VMC_FREEZE_INIT(ms) \
	{ \
		.max_ms = (ms), .keeper = VMC_KEEPER_INIT \
	}

/* Freeze. 0: all of it is frozen. -1: it is not, or thaws by itself as soon as the agent answers; JOURNAL has a mark if that is yet to
 * come. VMC_BUSY: somebody else has frozen it. Blocks for MAX_MS and some seconds at most. */
int vmc_freeze_begin (struct vmc_freeze *freeze, const struct vmc_domain *domain, struct vmc_journal *journal,
		      struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Thaw. 0: the freeze held until now. VMC_NOT_HELD: it is thawed, but something was before that. Anything else: as soon as the agent
 * answers, and JOURNAL has a mark. Blocks for some seconds at most. */
int vmc_freeze_end (struct vmc_freeze *freeze, const struct vmc_domain *domain, struct vmc_journal *journal,
		    struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Thaw what a run before us, or we, may have left frozen, if JOURNAL has a mark that says so; the mark goes. VMC_INTERRUPTED: the agent
 * does not answer; a keeper goes on trying. Blocks for some seconds at most. */
int vmc_freeze_end_left (const struct vmc_domain *domain, struct vmc_journal *journal, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* What the keeper writes after each freeze and thaw. */
struct vmc_freeze_answer {
	int count;   /* filesystems; -1: see error */
	bool frozen; /* there is a freeze of ours, or may be */
	bool late;   /* the time was over before it was told to thaw */
	uint64_t frozen_ms;
	struct vmc_error error;
};

/* Can the freeze of MARK last: does the QEMU that it was made for still run? 0: no. -1: it cannot be told now. */
int vmc_freeze_can_last (const struct vmc_domain *domain, const char *mark, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
