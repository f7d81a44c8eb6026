/* rcu.h - let the kernel's RCU hurry while it is waited for */
#ifndef VMC_RCU_H
#define VMC_RCU_H

#include <stdbool.h>

/* Is it not in a hurry, and can it be told to be? */
bool vmc_rcu_can_hurry (void);

/* Whether each wait for RCU, of the whole kernel, is to be "expedited": short, for which the processors are interrupted. Only
 * where vmc_rcu_can_hurry; what cannot be told is left as it is. */
void vmc_rcu_hurry (bool hurry);

#endif
