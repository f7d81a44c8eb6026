/* reader_child.c - the child of reader.h: enters the sandbox, reads the disk over NBD, reports into the pipe
 *
 * The order matters: rights are dropped, then the libraries are set up (the NBD handshake, the file in memory for libblkid),
 * then the filter over the system calls is closed, and only then is the first byte of the guest's disk read. Nothing is
 * released at the end: close and the like are not among the calls that are left.
 */
#include <errno.h>
#include <libnbd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ext4_map.h"
#include "partitions.h"
#include "reader.h"
#include "reader_record.h"
#include "sandbox.h"

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

static int put_place (const struct vmc_place *place, const struct vmc_ext4_geometry *geometry, bool is_ext,
		      const struct vmc_extents *free, const char *why_not)
{
	struct vmc_record record = {.kind = VMC_RECORD_PLACE,
				    .usable = why_not == NULL,
				    .alone = why_not == NULL && geometry->metadata_csum,
				    .offset = place->offset,
				    .length = place->length,
				    .ranges = free->count,
				    .has_uuid = is_ext};

	memcpy (record.uuid, geometry->uuid, sizeof record.uuid);
	(void) snprintf (record.text, sizeof record.text, "%s", why_not ? why_not : "");
	if (put (&record, sizeof record) < 0)
		return -1;
	return put (free->items, free->count * sizeof free->items[0]);
}

static int read_place (struct vmc_source *source, const struct vmc_place *place)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents free = {0};
	struct vmc_ext4_geometry geometry = {0};
	unsigned char superblock[VMC_EXT4_SUPERBLOCK_BYTES];
	struct vmc_error error = {0};

	if (place->length < VMC_EXT4_SUPERBLOCK_OFFSET + sizeof superblock ||
	    vmc_source_read (source, superblock, place->offset + VMC_EXT4_SUPERBLOCK_OFFSET, sizeof superblock,
			     &error) < 0 ||
	    !vmc_ext4_magic (superblock))
		return put_place (place, &geometry, false, &free, "there is no ext4");
	if (vmc_ext4_map (source, place->offset, place->length, &geometry, &free, &error) < 0)
		return put_place (place, &geometry, true, &free, error.text);
	if (free.count > VMC_MAP_MAX_RANGES)
		free.count = VMC_MAP_MAX_RANGES; /* the rest counts as used */
	return put_place (place, &geometry, true, &free, NULL);
}

static int read_disk (struct vmc_error *err)
{
	static struct vmc_partitions partitions;
	struct nbd_source source = {0};
	int memory_fd;

	if (vmc_sandbox_drop (err) < 0 || connect_source (&source, err) < 0)
		return -1;
	memory_fd = vmc_partitions_memory (err);
	if (memory_fd < 0 || vmc_sandbox_close (memory_fd, err) < 0 ||
	    vmc_partitions_find (&source.source, memory_fd, &partitions, err) < 0)
		return -1;
	for (size_t i = 0; i < partitions.count; i++)
		if (read_place (&source.source, &partitions.items[i]) < 0)
			return vmc_fail (err, VMC_FAILED, errno, "the pipe is closed");
	return 0;
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
