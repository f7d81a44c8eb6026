/* options.h - the command line */
#ifndef VMC_OPTIONS_H
#define VMC_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "rewrite.h"

#define VMC_OPTION_DISKS_MAX 64

enum vmc_method_choice { VMC_METHOD_AUTO, VMC_METHOD_TRIM, VMC_METHOD_COMMIT, VMC_METHOD_CONVERT };

struct vmc_options {
	const char *uri; /* NULL: libvirt's default */
	enum vmc_method_choice method;
	const char *disks[VMC_OPTION_DISKS_MAX]; /* targets; none: all */
	size_t disk_count;
	bool dry_run, json, quiet, verbose;
	enum { VMC_PROGRESS_AUTO, VMC_PROGRESS_ALWAYS, VMC_PROGRESS_NEVER } progress;
	uint64_t timeout_ms; /* 0: none */
	unsigned freeze_timeout_ms, lock_wait_ms;
	bool recover;                 /* with no domain named: all that need it */
	const char *overlay_dir;      /* NULL: beside the image */
	const char *image;            /* a file that belongs to no domain; NULL: domains */
	const char *output;           /* where its compact copy goes; NULL: into its own place */
	struct vmc_rewrite_wish wish; /* of the method convert */
	bool keep_old;
	bool zero; /* the guest fills with zeros first what is free */
	char **domains;
	size_t domain_count;
	bool help, version;
};

/* Read ARGV; its strings are borrowed. VMC_USAGE with one sentence. */
int vmc_options_parse (int argc, char **argv, struct vmc_options *options, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

extern const char vmc_options_help[];

/* "auto", "trim", "commit", "convert". */
const char *vmc_method_choice_name (enum vmc_method_choice method);

#endif
