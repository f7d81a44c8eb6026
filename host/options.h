/* options.h - the command line, and what the configuration file says where it says nothing */
#ifndef VMC_OPTIONS_H
#define VMC_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "rewrite.h"

#define VMC_OPTION_DISKS_MAX 64
#define VMC_OPTION_EXCLUDES_MAX 64

enum vmc_method_choice { VMC_METHOD_AUTO, VMC_METHOD_TRIM, VMC_METHOD_COMMIT, VMC_METHOD_CONVERT };

enum vmc_action {
	VMC_ACTION_RUN,
	VMC_ACTION_ALL,
	VMC_ACTION_RECOVER, /* with no domain named: all that need it */
	VMC_ACTION_STATUS,  /* with no domain named: all */
	VMC_ACTION_DOCTOR,
	VMC_ACTION_SETUP,
	VMC_ACTION_IMAGE /* a file that belongs to no domain */
};

struct vmc_options {
	enum vmc_action action;
	const char *uri; /* NULL: libvirt's default */
	enum vmc_method_choice method;
	const char *disks[VMC_OPTION_DISKS_MAX]; /* targets; none: all */
	size_t disk_count;
	bool dry_run, json, quiet, verbose;
	enum { VMC_PROGRESS_AUTO, VMC_PROGRESS_ALWAYS, VMC_PROGRESS_NEVER } progress;
	uint64_t timeout_ms; /* 0: none */
	unsigned freeze_timeout_ms, lock_wait_ms;
	uint64_t min_reclaim_bytes;   /* a disk with less to give back is left alone */
	const char *overlay_dir;      /* NULL: beside the image */
	const char *image;            /* of VMC_ACTION_IMAGE, else NULL */
	const char *output;           /* where its compact copy goes; NULL: into its own place */
	struct vmc_rewrite_wish wish; /* of the method convert */
	bool keep_old;
	bool zero; /* the guest fills with zeros first what is free */
	/* Of VMC_ACTION_ALL: which domains, and when. */
	bool running, inactive;
	const char *excludes[VMC_OPTION_EXCLUDES_MAX]; /* patterns of names */
	size_t exclude_count;
	int until_minutes; /* since midnight, local time; -1: no end */
	unsigned jobs;
	bool discard;            /* of VMC_ACTION_SETUP: set discard='unmap', too */
	const char *metrics_dir; /* NULL: no metrics are written */
	const char *on_failure;  /* a command for the shell, or NULL */
	char **domains;
	size_t domain_count;
	char *config_text; /* some of these strings lie in it */
	bool help, version;
};

/* Read the configuration file and ARGV, whose strings are borrowed. VMC_USAGE with one sentence; else the caller releases it with
 * vmc_options_clear. */
int vmc_options_parse (int argc, char **argv, struct vmc_options *options, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

void vmc_options_clear (struct vmc_options *options) __attribute__ ((nonnull));

extern const char vmc_options_help[];

/* "auto", "trim", "commit", "convert". */
const char *vmc_method_choice_name (enum vmc_method_choice method);

#endif
