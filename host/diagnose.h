/* diagnose.h - what stands in the way of a disk, layer by layer, and the command that mends it; from facts, no I/O */
#ifndef VMC_DIAGNOSE_H
#define VMC_DIAGNOSE_H

#include "facts.h"

#define VMC_FINDINGS_MAX 256

enum vmc_finding_level {
	VMC_FINDING_OK,
	VMC_FINDING_NOTE, /* something is lost by it, as discards, but there is another way */
	VMC_FINDING_STOP  /* a method, or all, cannot be used because of it */
};

struct vmc_finding {
	enum vmc_finding_level level;
	char where[VMC_TEXT_SIZE]; /* the layer: "agent", "vda", "vda /boot". Escaped, as all of it */
	char text[VMC_TEXT_SIZE];
	char command[VMC_TEXT_SIZE]; /* or empty. In the guest if the text says so */
};

struct vmc_findings {
	struct vmc_finding items[VMC_FINDINGS_MAX];
	size_t count;
};

/* "ok", "note", "stop". */
const char *vmc_finding_level_name (enum vmc_finding_level level);

/* Add a finding; the last ones are left out when there are too many. COMMAND may be NULL. */
void vmc_findings_add (struct vmc_findings *findings, enum vmc_finding_level level, const char *where, const char *text,
		       const char *command) __attribute__ ((nonnull (1, 3, 4)));

/* The same with a command that is put together. */
void vmc_findings_addf (struct vmc_findings *findings, enum vmc_finding_level level, const char *where,
			const char *text, const char *format, ...) __attribute__ ((format (printf, 5, 6), nonnull));

/* About the domain GUEST (a word for the shell), of which DISKS is the XML. */
void vmc_diagnose_domain (const struct vmc_domain_facts *domain, const struct vmc_disks *disks, const char *guest,
			  struct vmc_findings *findings) __attribute__ ((nonnull));

/* About one disk of it, while it runs: its XML, its image, and each layer in the guest. */
void vmc_diagnose_disk (const struct vmc_disk_facts *facts, const char *guest, struct vmc_findings *findings)
	__attribute__ ((nonnull));

#endif
