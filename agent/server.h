/* server.h - the agent's loop and its dispatcher, the only place that answers */
#ifndef VMC_SERVER_H
#define VMC_SERVER_H

#include "error.h"

/* Serve the host on the port NAME until SIGTERM, SIGINT or the port's end (0), or a failure (-1). Nothing is frozen
 * when it returns. */
int vmc_serve (const char *port_name, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
