/* apart.h - mounts that the test's own process alone sees */
#ifndef VMC_UNIT_APART_H
#define VMC_UNIT_APART_H

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

/* From now on, what is mounted is seen by this process alone. False: that cannot be had, the whole test is skipped, and TAP is
 * told so. */
static inline bool unit_apart (void)
{
	if (geteuid () == 0 && unshare (CLONE_NEWNS) == 0 &&
	    mount ("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0)
		return true;
	(void) printf ("1..0 # SKIP only root has a mount namespace of its own\n");
	return false;
}

#endif
