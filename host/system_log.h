/* system_log.h - the system's log: what became of each disk, in fields where systemd's journal takes them, else as a line */
#ifndef VMC_SYSTEM_LOG_H
#define VMC_SYSTEM_LOG_H

#include "report.h"

/* Tell the log about each disk of REPORT, or why none was looked at. A log that does not listen is not waited for. */
void vmc_system_log (const struct vmc_report *report) __attribute__ ((nonnull));

#endif
