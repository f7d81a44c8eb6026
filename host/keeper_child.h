/* keeper_child.h - what the jobs of a keeper have in common, on its own side of keeper.h */
#ifndef VMC_KEEPER_CHILD_H
#define VMC_KEEPER_CHILD_H

#include "domain.h"

#define VMC_KEEPER_AGAIN_MS 100
#define VMC_KEEPER_GIVE_UP_MS 86400000 /* a day without libvirtd, or with a guest that does not answer */

/* In place of a word: the run has died, or left; or it has said nothing for so long. */
#define VMC_KEEPER_ALONE 0
#define VMC_KEEPER_LATE (-1)

/* Wait for a word of the run until UNTIL_MS (vmc_now_ms; UINT64_MAX: for ever): its letter, or one of these. */
int vmc_keeper_word (uint64_t until_ms);

/* The jobs "freeze" and "thaw" (FROZEN) under MARK; see freeze.h. Returns the exit status. */
int vmc_keeper_freeze (struct vmc_domain *domain, unsigned max_ms, const char *mark, bool frozen)
	__attribute__ ((nonnull));

#endif
