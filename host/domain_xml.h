/* domain_xml.h - what the domain XML says about disks and the agents' channels; reads and edits text, asks nobody */
#ifndef VMC_DOMAIN_XML_H
#define VMC_DOMAIN_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

#define VMC_PATH_SIZE 4096 /* with the final zero: PATH_MAX */
#define VMC_CHAIN_MAX 32   /* backing files of one disk */

#define VMC_QEMU_CHANNEL_NAME "org.qemu.guest_agent.0" /* of qemu-guest-agent */

/* One <disk>. Texts that the XML does not have are empty. */
struct vmc_disk {
	char target[VMC_NAME_SIZE]; /* "vda" */
	char bus[VMC_NAME_SIZE];
	char type[VMC_NAME_SIZE];   /* "file", "block", "network", ... */
	char device[VMC_NAME_SIZE]; /* "disk", "cdrom", ... */
	char format[VMC_NAME_SIZE];
	char discard[VMC_NAME_SIZE];
	char error_policy[VMC_NAME_SIZE]; /* "stop", "enospace", "report", "ignore" */
	char serial[VMC_NAME_SIZE];
	char address
		[VMC_NAME_SIZE];  /* as the agent writes it: "virtio 0000:00:04.0", "scsi 0:1:0" (without the host) */
	char path[VMC_PATH_SIZE]; /* empty: no file or device of this host */
	char protocol[VMC_NAME_SIZE]; /* of a disk on the network: "rbd", "nbd" */
	char backing[VMC_CHAIN_MAX][VMC_PATH_SIZE];
	char backing_format[VMC_CHAIN_MAX][VMC_NAME_SIZE];
	size_t backing_count;
	bool chain_known; /* the XML says what the backing files are, or that there is none */
	bool read_only, shareable, transient, encrypted, sliced;
	bool mirror, mirror_ready; /* a block job that writes to a second image, and has written all of it */
	bool mirror_moving;        /* the domain is being moved to it */
	char mirror_path[VMC_PATH_SIZE];
};

struct vmc_disks {
	struct vmc_disk *items;
	size_t count;
	bool channel;                /* there is a channel for the agent */
	bool channel_connected;      /* and the guest has it open */
	bool channel_controller;     /* there is one that channels can be attached to */
	char machine[VMC_NAME_SIZE]; /* "pc-i440fx-7.2" */
	bool qemu_channel;           /* the same for qemu-guest-agent */
	bool qemu_channel_connected;
};

#define VMC_CLEANUP_DISKS __attribute__ ((cleanup (vmc_disks_clear)))

void vmc_disks_clear (struct vmc_disks *disks) __attribute__ ((nonnull));

/* Parse the XML of a domain. */
int vmc_domain_xml_parse (const char *xml, struct vmc_disks *disks, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

const struct vmc_disk *vmc_disks_find (const struct vmc_disks *disks, const char *target) __attribute__ ((nonnull));

/* The <disk> with that target as text, without what libvirt numbers anew at each opening (the "index" attributes): two
 * of them are equal if the disk is. To be freed by the caller; NULL: there is none. */
char *vmc_domain_xml_disk_text (const char *xml, const char *target) __attribute__ ((nonnull));

/* XML with its <disk> TARGET replaced by that of FROM. To be freed by the caller; NULL: one has no such disk. */
char *vmc_domain_xml_with_disk (const char *xml, const char *from, const char *target) __attribute__ ((nonnull));

/* XML with its <disk> TARGET on the image FILE of FORMAT, and without the backing files that it names; FILE or FORMAT NULL: as it is. To
 * be freed by the caller; NULL: there is no such disk, or no memory. */
char *vmc_domain_xml_on_image (const char *xml, const char *target, const char *file, const char *format)
	__attribute__ ((nonnull (1, 2)));

/* XML with discard='unmap' for its <disk> TARGET. To be freed by the caller; NULL: there is no such disk, or no memory. */
char *vmc_domain_xml_with_discard (const char *xml, const char *target) __attribute__ ((nonnull));

/* The XML of a <disk> that is the qcow2 file OVERLAY, for a block copy. To be freed by the caller; NULL when memory runs
 * out. */
char *vmc_domain_xml_copy (const char *overlay) __attribute__ ((nonnull));

/* The XML of a snapshot of the one disk TARGET to the qcow2 file OVERLAY; every other disk of DISKS is left out of it.
 * To be freed by the caller; NULL when memory runs out. */
char *vmc_domain_xml_snapshot (const struct vmc_disks *disks, const char *target, const char *overlay)
	__attribute__ ((nonnull));

#endif
