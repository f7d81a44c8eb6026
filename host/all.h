/* all.h - all domains of a host, compacted in one night: "vmcompact --all" */
#ifndef VMC_ALL_H
#define VMC_ALL_H

#include "connection.h"
#include "options.h"

/* Compact the domains that OPTIONS choose, and tell how it went. The exit status of the worst. */
int vmc_all (struct vmc_connection *connection, const struct vmc_options *options) __attribute__ ((nonnull));

#endif
