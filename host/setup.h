/* setup.h - what a domain needs to be compacted, added to its XML: "vmcompact --setup" */
#ifndef VMC_SETUP_H
#define VMC_SETUP_H

#include "connection.h"
#include "options.h"

/* Give each domain that OPTIONS name the channel for the agent, and discard='unmap' if that is asked for. The exit status of the
 * worst. */
int vmc_setup (struct vmc_connection *connection, const struct vmc_options *options) __attribute__ ((nonnull));

#endif
