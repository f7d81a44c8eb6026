/* reader_child.c - the child of reader.h: enters the sandbox, reads the disk over NBD, reports into the pipe
 *
 * The order matters: rights are dropped, then the libraries are set up (the NBD handshake, the file in memory for libblkid),
 * then the filter over the system calls is closed, and only then is the first byte of the guest's disk read. Nothing is
 * released at the end: close and the like are not among the calls that are left.
 */
#include <errno.h>
#include <libnbd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ext4_map.h"
#include "memory_file.h"
#include "partitions.h"
#include "reader.h"
#include "reader_record.h"
#include "sandbox.h"
#include "signature.h"

#define GAP_MIN_BYTES (2 * 1024 * 1024)

/* --- the source ------------------------------------------------------------------------------- */

struct nbd_source {
	struct vmc_source source;
	struct nbd_handle *nbd;
};

static int nbd_read (struct vmc_source *source, void *buffer, uint64_t offset, size_t length, struct vmc_error *err)
{
	struct nbd_source *self = (struct nbd_source *) source;

	if (nbd_pread (self->nbd, buffer, length, offset, 0) < 0)
		return vmc_fail (err, VMC_FAILED, nbd_get_errno (), "cannot read the base");
	return 0;
}

static int connect_source (struct nbd_source *self, struct vmc_error *err)
{
	int64_t size;

	self->nbd = nbd_create ();
	if (self->nbd == NULL || nbd_connect_socket (self->nbd, VMC_SANDBOX_SOCKET_FD) < 0)
		return vmc_fail (err, VMC_FAILED, nbd_get_errno (), "cannot speak NBD: %s", nbd_get_error ());
	size = nbd_get_size (self->nbd);
	if (size < 0)
		return vmc_fail (err, VMC_FAILED, nbd_get_errno (), "the base has no size");
	self->source = (struct vmc_source) {(uint64_t) size, nbd_read};
	return 0;
}

/* --- the report ------------------------------------------------------------------------------- */

static int put (const void *data, size_t length)
{
	const char *bytes = data;

	while (length > 0) {
		ssize_t written = write (VMC_SANDBOX_PIPE_FD, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return -1;
		bytes += written;
		length -= (size_t) written;
	}
	return 0;
}

static int put_place (const struct vmc_record *record, const struct vmc_extents *free)
{
	if (put (record, sizeof *record) < 0)
		return -1;
	return put (free->items, free->count * sizeof free->items[0]);
}

/* What is not ext, by its name. */
static void name_it (const struct vmc_signature *signature, struct vmc_record *record)
{
	if (signature->ambiguous)
		(void) snprintf (record->text, sizeof record->text,
				 "it looks like more than one thing, counts as used");
	else if (signature->type[0] == 0)
		(void) snprintf (record->text, sizeof record->text, "there is no ext4");
	else
		(void) snprintf (record->text, sizeof record->text, "%s: not understood, counts as used",
				 signature->type);
}

static bool has_ext (struct vmc_source *source, const struct vmc_place *place)
{
	unsigned char superblock[VMC_EXT4_SUPERBLOCK_BYTES];
	struct vmc_error ignored;

	return place->length >= VMC_EXT4_SUPERBLOCK_OFFSET + sizeof superblock &&
	       vmc_source_read (source, superblock, place->offset + VMC_EXT4_SUPERBLOCK_OFFSET, sizeof superblock,
				&ignored) == 0 &&
	       vmc_ext4_magic (superblock);
}

static int read_place (struct vmc_source *source, int memory_fd, const struct vmc_place *place)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents free = {0};
	struct vmc_record record = {.kind = VMC_RECORD_PLACE, .offset = place->offset, .length = place->length};
	struct vmc_ext4_geometry geometry = {0};
	struct vmc_signature signature;
	struct vmc_error error = {0};

	if (vmc_signature_find (source, memory_fd, place->offset, place->length, &signature, &error) < 0) {
		(void) snprintf (record.text, sizeof record.text, "%s", error.text);
	} else if (!has_ext (source, place)) {
		name_it (&signature, &record);
	} else {
		record.usable = vmc_ext4_map (source, place->offset, place->length, &geometry, &free, &error) == 0;
		record.has_uuid = 1;
		memcpy (record.uuid, geometry.uuid, sizeof record.uuid);
		if (!record.usable)
			(void) snprintf (record.text, sizeof record.text, "%s", error.text);
	}
	record.alone = record.usable && geometry.metadata_csum && strncmp (signature.type, "ext", 3) == 0;
	record.ranges = free.count;
	return put_place (&record, &free);
}

/* Where no partition is. The alignment of partitions leaves smaller gaps, which nobody wants to hear of. */
static int put_gaps (const struct vmc_partitions *partitions, uint64_t disk_bytes, struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents disk = {0}, taken = {0}, gaps = {0};
	const struct vmc_extents none = {0};

	for (size_t i = 0; i < partitions->count; i++)
		if (vmc_extents_add (&taken, partitions->items[i].offset, partitions->items[i].length, err) < 0)
			return -1;
	vmc_extents_normalise (&taken);
	if (vmc_extents_add (&disk, 0, disk_bytes, err) < 0 || vmc_extents_subtract (&disk, &taken, &gaps, err) < 0)
		return -1;
	for (size_t i = 0; i < gaps.count; i++) {
		struct vmc_record record = {.kind = VMC_RECORD_PLACE,
					    .offset = gaps.items[i].start,
					    .length = gaps.items[i].length,
					    .text = "no partition, counts as used"};

		if (record.length >= GAP_MIN_BYTES && put_place (&record, &none) < 0)
			return vmc_fail (err, VMC_FAILED, errno, "the pipe is closed");
	}
	return 0;
}

static int read_disk (struct vmc_error *err)
{
	static struct vmc_partitions partitions;
	struct nbd_source source = {0};
	int memory_fd;

	if (vmc_sandbox_drop (err) < 0 || connect_source (&source, err) < 0)
		return -1;
	memory_fd = vmc_memory_file_make (err);
	if (memory_fd < 0 || vmc_sandbox_close (memory_fd, err) < 0 ||
	    vmc_partitions_find (&source.source, memory_fd, &partitions, err) < 0)
		return -1;
	for (size_t i = 0; i < partitions.count; i++)
		if (read_place (&source.source, memory_fd, &partitions.items[i]) < 0)
			return vmc_fail (err, VMC_FAILED, errno, "the pipe is closed");
	return put_gaps (&partitions, source.source.size_bytes, err);
}

int vmc_reader_main (void)
{
	struct vmc_record last = {.kind = VMC_RECORD_END};
	struct vmc_error error = {0};

	if (read_disk (&error) < 0) {
		last.kind = VMC_RECORD_FAILED;
		(void) snprintf (last.text, sizeof last.text, "%s", error.text);
	}
	return put (&last, sizeof last) < 0;
}
