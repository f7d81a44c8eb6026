/* keeper.h - a second process, which ends what we have begun with a guest, should we die or be stuck
 *
 * It is there before the guest is paused (pause.h) or frozen (freeze.h), and goes on without us: while libvirtd is away, or the guest
 * does not answer, it tries again, for a day. A line leads to it, on which we say one letter for each word.
 */
#ifndef VMC_KEEPER_H
#define VMC_KEEPER_H

#include "domain.h"
#include "process.h"

#define VMC_KEEPER_OPTION "--keeper-child"
#define VMC_KEEPER_ARGUMENTS 5 /* behind that */

/* What it is to end. */
#define VMC_KEEPER_PAUSE "pause"
#define VMC_KEEPER_FREEZE "freeze" /* one that it makes itself, when it is told to */
#define VMC_KEEPER_THAW "thaw"     /* one that may be left of a run before us */

/* The words. */
#define VMC_KEEPER_DONE 'd' /* there is nothing to end any more */
#define VMC_KEEPER_DO_FREEZE 'f'
#define VMC_KEEPER_DO_THAW 't'

struct vmc_keeper {
	struct vmc_process process;
	int line_fd; /* to the keeper; -1: none */
};

#define VMC_KEEPER_INIT \
	{ \
		.process = VMC_PROCESS_INIT, .line_fd = -1 \
	}

/* Start one for a JOB on DOMAIN that may last for MAX_MS; MARK is for the job. Returns when it has found the domain. To be ended by
 * vmc_keeper_dismiss or vmc_keeper_leave, whatever is returned. */
int vmc_keeper_start (struct vmc_keeper *keeper, const struct vmc_domain *domain, const char *job, unsigned max_ms,
		      const char *mark, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Say WORD. False: it has died. */
bool vmc_keeper_tell (struct vmc_keeper *keeper, char word) __attribute__ ((nonnull));

/* It has nothing more to do. */
void vmc_keeper_dismiss (struct vmc_keeper *keeper) __attribute__ ((nonnull));

/* We cannot end it: the keeper goes on. */
void vmc_keeper_leave (struct vmc_keeper *keeper) __attribute__ ((nonnull));

/* The keeper: JOB URI UUID MILLISECONDS MARK. Returns its exit status. */
int vmc_keeper_main (char **arguments) __attribute__ ((nonnull));

#endif
