/* facts.h - everything that the plan for one disk is made from */
#ifndef VMC_FACTS_H
#define VMC_FACTS_H

#include <stdbool.h>

#include "domain_xml.h"
#include "image.h"
#include "message.h"

/* About the domain, the same for all of its disks. */
struct vmc_domain_facts {
	bool active;
	bool switched_off; /* neither running nor saved nor moved: nobody's memory belongs to its disks */
	bool local;        /* its images lie on this machine */
	bool job;          /* migration, backup, save */
	bool checkpoints;  /* their bitmaps would be lost or merged */
	bool persistent;
	unsigned long libvirt_version; /* of the daemon, as qemu_version; 0: unknown */
	unsigned long
		qemu_version; /* of the running process: major * 1,000,000 + minor * 1,000 + release; 0: unknown */
	bool agent;
	bool qemu_agent; /* qemu-guest-agent has its channel open; counts only where our agent is not there */
	char why_no_agent[VMC_TEXT_SIZE];
};

/* About one disk. */
struct vmc_disk_facts {
	const struct vmc_domain_facts *domain;
	const struct vmc_disk *disk;
	const struct vmc_disks *disks; /* all of the domain's; NULL: not known */
	const char *why_wanted;        /* the reason for the method, unless it is VMC_METHOD_AUTO */
	bool zero;                     /* the guest is to fill with zeros first what is free */
	bool zeroed;                   /* it has done so */
	bool image_known;
	struct vmc_image image;
	char why_no_image[VMC_TEXT_SIZE];
	bool block_job;                  /* also one that the XML does not show: a pull, a commit of a backing file */
	char used_by[VMC_NAME_SIZE * 2]; /* another domain with the same file, escaped; or empty */
	bool other_writer;               /* somebody else than the guest's QEMU has it open for writing */
	bool copied;                     /* what is written is another, new file (--output) */
	char in_the_way[VMC_PATH_SIZE];  /* a file with a name that the run needs, or empty */
	char overlay_path[VMC_PATH_SIZE];
	uint64_t write_bytes_per_s;       /* of the guest to this disk, just now */
	char why_no_punch[VMC_TEXT_SIZE]; /* empty: holes can be punched */
	char why_no_lock
		[VMC_TEXT_SIZE]; /* empty: locks reach all who can reach it; looked at only for an image at rest */

	/* In the guest: the disk, and the filesystems that lie on it, at least in part. */
	const struct vmc_list *devices;      /* struct vmc_device: all of the guest's */
	const struct vmc_device *guest_disk; /* NULL: not found */
	const struct vmc_filesystem *filesystems[VMC_FILESYSTEMS_MAX];
	size_t filesystem_count;
	char why_no_guest_disk[VMC_TEXT_SIZE];
	uint64_t free_bytes, used_bytes; /* of these filesystems on this disk, as the guest counts */

	/* By qemu-guest-agent, in place of all that but the bytes. */
	size_t mounted;     /* filesystems that lie on this disk, at least in part */
	size_t mounted_ext; /* those of ext that lie on the disk itself or on a partition of it, with nothing between */
	uint32_t bare_loops; /* see qemu_agent.h */
};

/* Which of the guest's filesystems lie on the disk of FACTS, of VIRTUAL_BYTES? Fills the guest's part of FACTS, which borrows from
 * GUEST. The guest's disk is the one of that size and bus, with the serial of the domain's XML, or without one at the address of
 * the XML; if several fit, none is taken. Only a pointer for the agent: the reader proves by content what lies in the base. */
void vmc_facts_match (struct vmc_disk_facts *facts, uint64_t virtual_bytes, const struct vmc_filesystems_result *guest)
	__attribute__ ((nonnull));

/* The device that FILESYSTEM lies on, "253:0"; NULL: on several, or none that is known. */
const char *vmc_facts_device (const struct vmc_filesystem *filesystem) __attribute__ ((nonnull));

#endif
