/* survey.h - what a domain could give back, found out by a dry run in a process of its own: one that hangs holds up nobody for ever */
#ifndef VMC_SURVEY_H
#define VMC_SURVEY_H

#include "error.h"
#include "schedule.h"

#define VMC_SURVEY_TEXT_SIZE 65536

/* ARGV is a dry run with --json. Fill what TASK knows of the domain: whether it is stranded, what is reclaimable, where its disks lie; and
 * how many bytes a run would copy (COPIED_BYTES). What a dry run does not tell is not known: nothing to give back, and no place. */
void vmc_survey (const char *const argv[], struct vmc_task *task, uint64_t *copied_bytes) __attribute__ ((nonnull));

/* The same of its line of JSON. */
void vmc_survey_read (const char *line, struct vmc_task *task, uint64_t *copied_bytes) __attribute__ ((nonnull));

#endif
