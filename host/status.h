/* status.h - what each disk takes and could give back, and how its last run went: "vmcompact --status" */
#ifndef VMC_STATUS_H
#define VMC_STATUS_H

#include "connection.h"
#include "options.h"

/* Tell about the domains that OPTIONS name, or about all. The exit status: what a run would refuse is no failure here. */
int vmc_status (struct vmc_connection *connection, const struct vmc_options *options) __attribute__ ((nonnull));

#endif
