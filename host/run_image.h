/* run_image.h - one file that belongs to no domain, from its lock to its report */
#ifndef VMC_RUN_IMAGE_H
#define VMC_RUN_IMAGE_H

#include "connection.h"
#include "options.h"
#include "report.h"

/* Treat the file of OPTIONS->image and fill REPORT, which has one disk without a target then. CONNECTION may have no handle: on a host
 * without libvirt there is no domain that could use the file. */
void vmc_run_image (struct vmc_connection *connection, const struct vmc_options *options, struct vmc_report *report)
	__attribute__ ((nonnull));

#endif
