/* doctor.h - what keeps a domain's disks from being compacted, and the commands that mend it: "vmcompact --doctor" */
#ifndef VMC_DOCTOR_H
#define VMC_DOCTOR_H

#include "connection.h"
#include "options.h"

/* Tell about the domains that OPTIONS name. The exit status: VMC_REFUSED's if a disk can be compacted by no method. */
int vmc_doctor (struct vmc_connection *connection, const struct vmc_options *options) __attribute__ ((nonnull));

#endif
