/* stack.h - the block devices below a guest's filesystems, and where a range of one lies on a virtual disk
 *
 * The agent lists the devices by the kernel's own tables. Both sides follow ranges through them with this code: the agent
 * to name free ranges of a disk, the host to hold what the agent says against the disk. A list has the lower devices
 * before the ones that lie on them, so there is no circle to run in.
 */
#ifndef VMC_STACK_H
#define VMC_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "extent.h"
#include "fields.h"

/* A part of a device below. */
struct vmc_leg {
	char device[VMC_NAME_SIZE];
	uint64_t offset; /* bytes, on that device */
};

/* A part of a device that lies on its legs: one leg, or several that take turns every chunk_bytes. */
struct vmc_target {
	uint64_t start, length; /* bytes, of the device */
	uint64_t chunk_bytes;   /* 0: there is one leg */
	struct vmc_list legs;   /* struct vmc_leg */
};

struct vmc_device {
	char device[VMC_NAME_SIZE];      /* "253:0" */
	char name[VMC_NAME_SIZE];        /* "vda", "dm-0" */
	char kind[VMC_NAME_SIZE];        /* "disk", "partition", "LVM", "LUKS", "device-mapper", "RAID" */
	char content[VMC_NAME_SIZE];     /* what libblkid sees in it: "LVM2_member", "ext4"; may be empty */
	char uuid[VMC_NAME_SIZE];        /* of that */
	char serial[VMC_NAME_SIZE];      /* of a disk */
	char address[VMC_NAME_SIZE];     /* of a disk: "virtio 0000:00:04.0", "scsi 0:0:1:0", or empty */
	char why_not_map[VMC_TEXT_SIZE]; /* empty, or why ranges cannot be followed through it */
	bool encrypted;                  /* what is written to it reads as something else below */
	bool probed;                     /* content and uuid were looked for; as takes_space */
	bool takes_space; /* what is written to it may need new space below; only the agent knows, it is not sent */
	uint64_t bytes;
	struct vmc_list below; /* struct vmc_name: all devices that it lies on, understood or not */
	struct vmc_list
		targets; /* struct vmc_target, sorted, without gaps; none for a disk and where why_not_map says why */
};

extern const struct vmc_field vmc_device_fields[];

#define VMC_KIND_DISK "disk"
#define VMC_KIND_PARTITION "partition"

/* The device of that NAME ("253:0"), or NULL. DEVICES: struct vmc_device, here and below. */
const struct vmc_device *vmc_stack_find (const struct vmc_list *devices, const char *name) __attribute__ ((nonnull));

/* Is DEVICES a list that the other functions can follow? VMC_PROTOCOL: a name twice, a device below that is not listed
 * before or is named twice, more of those than VMC_BELOW_ALL_MAX, targets with gaps, that leave the device, or with legs that it does not lie on. */
int vmc_stack_check (const struct vmc_list *devices, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Add to OUT, not normalised, the parts of RANGE of DEVICE that lie on DISK; what lies elsewhere is left out.
 * VMC_UNSUPPORTED: ranges cannot be followed through a device below. */
int vmc_stack_map (const struct vmc_list *devices, const char *device, const struct vmc_extent *range, const char *disk,
		   struct vmc_extents *out, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Where one byte of a device lies, and how many after it lie behind it there. */
struct vmc_spot {
	const struct vmc_device *disk;
	uint64_t offset, length; /* bytes, on the disk */
};

/* Find the byte OFFSET of DEVICE. VMC_UNSUPPORTED: as above. */
int vmc_stack_spot (const struct vmc_list *devices, const char *device, uint64_t offset, struct vmc_spot *spot,
		    struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Does DEVICE lie on BELOW, wholly or in part, at any depth, or is it that one? */
bool vmc_stack_uses (const struct vmc_list *devices, const char *device, const char *below) __attribute__ ((nonnull));

/* The same for all at once: MARKS[i] (one for each of DEVICES) says whether DEVICE lies on the i-th, or whether the i-th lies on
 * BELOW. A long list takes milliseconds, so this is not for loops in loops. */
void vmc_stack_mark_below (const struct vmc_list *devices, const char *device, bool *marks) __attribute__ ((nonnull));
void vmc_stack_mark_above (const struct vmc_list *devices, const char *below, bool *marks) __attribute__ ((nonnull));

/* Is something between DEVICE and its disks encrypted? */
bool vmc_stack_encrypted (const struct vmc_list *devices, const char *device) __attribute__ ((nonnull));

/* Why ranges of DEVICE cannot be followed to its disks; empty: they can. */
const char *vmc_stack_why_not_map (const struct vmc_list *devices, const char *device) __attribute__ ((nonnull));

/* The tag that libblkid has for the UUID that is a device's own, by what is in it: the members of an array share the array's. */
const char *vmc_stack_uuid_tag (const char *content) __attribute__ ((nonnull, returns_nonnull));

/* Are A and B the same device, with the same table? */
bool vmc_stack_same_device (const struct vmc_device *a, const struct vmc_device *b) __attribute__ ((nonnull));

/* Append a target to DEVICE, and a leg to its last target. Of more than fit, DEVICE's why_not_map tells. -1: no memory. */
int vmc_stack_add_target (struct vmc_device *device, uint64_t start, uint64_t length, uint64_t chunk_bytes,
			  struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));
int vmc_stack_add_leg (struct vmc_device *device, const char *below, uint64_t offset, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* DEVICE cannot be followed: WHY says the reason, and its targets go. */
void vmc_stack_give_up (struct vmc_device *device, const char *why) __attribute__ ((nonnull));

/* Release what the list owns. */
void vmc_stack_clear (struct vmc_list *devices) __attribute__ ((nonnull));

#endif
