/* method.h - what the methods have in common: the run that they are a part of, and their one interface */
#ifndef VMC_METHOD_H
#define VMC_METHOD_H

#include "agent_client.h"
#include "domain.h"
#include "facts.h"
#include "options.h"
#include "report.h"

/* One run on one domain. */
struct vmc_run {
	const struct vmc_options *options;
	struct vmc_domain domain;
	struct vmc_disks disks;  /* of the live XML, read anew for each disk */
	struct vmc_agent *agent; /* NULL: there is none, or it is lost: */
	char why_no_agent[VMC_TEXT_SIZE];
	uint64_t deadline_ms; /* vmc_now_ms; UINT64_MAX: none */
};

/* A method: compact the disk of FACTS and fill REPORT with what was measured. Decides nothing: the plan has. */
typedef int vmc_method_run (struct vmc_run *run, const struct vmc_disk_facts *facts, struct vmc_disk_report *report,
			    struct vmc_error *err);

vmc_method_run vmc_trim_run;    /* trim.c */
vmc_method_run vmc_commit_run;  /* commit.c */
vmc_method_run vmc_convert_run; /* convert.c */
vmc_method_run vmc_zero_run;    /* zero.c: no method by itself, but what --zero begins with */

/* -1 when there was an interrupt or the run's time is over. */
int vmc_run_check (const struct vmc_run *run, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Is what REPORT names as reclaimable less than --min-reclaim? Then REPORT says that nothing is done. */
bool vmc_run_too_little (const struct vmc_run *run, struct vmc_disk_report *report) __attribute__ ((nonnull));

/* How long the guest may take for something long, by the run's deadline, at most an hour. */
unsigned vmc_run_patience_ms (const struct vmc_run *run) __attribute__ ((nonnull));

/* Hang up on the agent: it thaws by itself. */
void vmc_run_drop_agent (struct vmc_run *run) __attribute__ ((nonnull));

#endif
