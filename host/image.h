/* image.h - facts about an image file, as the host sees it */
#ifndef VMC_IMAGE_H
#define VMC_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "domain_xml.h"
#include "error.h"
#include "qcow2.h"

/* Room for vmc_image_options: every byte of a path may be a comma, and so much for the rest. */
#define VMC_IMAGE_LAYER_SIZE 192
#define VMC_IMAGE_OPTIONS_SIZE (2 * VMC_PATH_SIZE + VMC_IMAGE_LAYER_SIZE)

struct vmc_image {
	dev_t device; /* with the inode: which file it is, whatever its name. Of a block device its number, and inode 0 */
	ino_t inode;
	bool is_block; /* a block device, not a file */
	uint64_t length_bytes;
	uint64_t allocated_bytes; /* st_blocks; of a block device see vmc_image_allocated */
	uint64_t virtual_bytes;   /* raw: the length */
	uint64_t punch_bytes;     /* the unit in which its filesystem, or the device, gives space back */
	uint64_t names;           /* hard links: 1 */
	bool is_link;             /* the path is a symbolic link */
	uint64_t room_bytes;      /* free, for the overlay and, when it is committed, for the image itself */
};

/* Look at the image of DISK; nothing is opened for writing, no program of QEMU is run. VMC_REFUSED, with the reason, for
 * what cannot be compacted: not a regular file, a header that is not allowed, a backing file that the XML does not name.
 * OVERLAY: where the overlay will lie. */
int vmc_image_look (const struct vmc_disk *disk, const char *overlay, struct vmc_image *image, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The XML of a domain that is off, and a file without a domain, do not name the backing files: fill them into DISK from the
 * headers, as libvirt does when it starts the domain. VMC_REFUSED where a program of QEMU would have to guess: no format, a
 * name that is not simply that of a file. Nothing is done to a DISK whose chain is known. */
int vmc_image_find_chain (struct vmc_disk *disk, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Does the file PATH begin as a qcow2 does? */
bool vmc_image_is_qcow2 (const char *path) __attribute__ ((nonnull));

/* What the header of the qcow2 image PATH says. VMC_REFUSED: it cannot be read, or has what is not understood. */
int vmc_image_header (const char *path, struct vmc_qcow2 *facts, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Does the file PATH, as it is now, hold internal snapshots of qcow2? 0 also if there is no such file, or it is no qcow2 (yet). */
int vmc_image_has_snapshots (const char *path, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Is PATH the file of IMAGE, or does it have it as a backing file, by what the qcow2 headers say? What cannot be read does
 * not. Only ever a reason to refuse: that is why the format may be guessed here. */
bool vmc_image_chain_has (const char *path, const struct vmc_image *image) __attribute__ ((nonnull));

/* Is what STATUS describes the image? */
bool vmc_image_is (const struct vmc_image *image, const struct stat *status) __attribute__ ((nonnull));

/* The bytes that the image takes on the host now. UINT64_MAX for what does not tell, as a block device that is no thin volume, and
 * for no path at all, as a disk on the network has. */
int vmc_image_allocated (const char *path, uint64_t *bytes, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* What is free on the filesystems of PATH and OVERLAY, or on the one that has less. A block device has its size and needs none. */
int vmc_image_room (const char *path, const char *overlay, uint64_t *bytes, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Can parts of the image PATH be given back? On the filesystem of a file it is tried, on a nameless file beside it; of a block device
 * the kernel says whether it takes discards. VMC_REFUSED, with what to do instead. */
int vmc_image_can_punch (const char *path, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* A name for locks and sockets that no other file on this host has, into a buffer of 64: "image-fe01-42a". */
void vmc_image_name (const struct vmc_image *image, char *name) __attribute__ ((nonnull));

/* The directory of PATH, into a buffer of VMC_PATH_SIZE. */
void vmc_image_directory (const char *path, char *directory) __attribute__ ((nonnull));

/* "driver=FORMAT,file.driver=file,file.filename=PATH", for --image-opts: the format is said, never probed, and no name is
 * taken for a URL. Into a buffer of VMC_IMAGE_OPTIONS_SIZE. */
void vmc_image_options (const char *format, const char *path, char *options) __attribute__ ((nonnull));

/* The same for a file PATH that stands, or shall stand, for the image of DISK: over the backing file that the XML names,
 * whatever the file itself calls it. COMPRESS: what is written is compressed. Into a buffer of 2 * VMC_IMAGE_OPTIONS_SIZE. */
void vmc_image_options_over (const struct vmc_disk *disk, const char *format, const char *path, bool compress,
			     char *options) __attribute__ ((nonnull));

#endif
