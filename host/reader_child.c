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

#include "claims.h"
#include "container.h"
#include "ext4_map.h"
#include "memory_file.h"
#include "partitions.h"
#include "reader.h"
#include "reader_record.h"
#include "sandbox.h"
#include "signature.h"
#include "view.h"
#include "xfs_map.h"

#define GAP_MIN_BYTES (2 * 1024 * 1024)
#define CLAIMS_FD 3 /* where the parent has put them */
#define PIECE_BYTES ((size_t) 128 << 10)

/* --- the source ------------------------------------------------------------------------------- */

/* Bitmaps lie side by side, and are read one by one: what is read is a whole piece, and the last one is kept. Nobody writes to a
 * base meanwhile; of a disk that a guest writes to (vmc_guard_look) nothing that is read counts as free. */
struct nbd_source {
	struct vmc_source source;
	struct nbd_handle *nbd;
	uint64_t piece_start;
	size_t piece_length; /* 0: none was read yet */
	unsigned char piece[PIECE_BYTES];
};

static int nbd_read_now (struct nbd_source *self, void *buffer, uint64_t offset, size_t length, struct vmc_error *err)
{
	if (nbd_pread (self->nbd, buffer, length, offset, 0) < 0)
		return vmc_fail (err, VMC_FAILED, nbd_get_errno (), "cannot read the base");
	return 0;
}

static int nbd_read (struct vmc_source *source, void *buffer, uint64_t offset, size_t length, struct vmc_error *err)
{
	struct nbd_source *self = (struct nbd_source *) source;
	uint64_t start = offset - offset % PIECE_BYTES, left = source->size_bytes - start;
	size_t piece_length = left < PIECE_BYTES ? (size_t) left : PIECE_BYTES;

	if (length > start + piece_length - offset)
		return nbd_read_now (self, buffer, offset, length, err);
	if (self->piece_length == 0 || start != self->piece_start) {
		self->piece_length = 0;
		if (nbd_read_now (self, self->piece, start, piece_length, err) < 0)
			return -1;
		self->piece_start = start;
		self->piece_length = piece_length;
	}
	memcpy (buffer, self->piece + (offset - start), length);
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

static bool is_ext (const char *type)
{
	return strncmp (type, "ext", 3) == 0;
}

/* Is there an ext at PLACE? Then SUPERBLOCK is that of it. */
static bool has_ext (struct vmc_source *source, const struct vmc_place *place, unsigned char *superblock)
{
	struct vmc_error ignored;

	return place->length >= VMC_EXT4_SUPERBLOCK_OFFSET + VMC_EXT4_SUPERBLOCK_BYTES &&
	       vmc_source_read (source, superblock, place->offset + VMC_EXT4_SUPERBLOCK_OFFSET,
				VMC_EXT4_SUPERBLOCK_BYTES, &ignored) == 0 &&
	       vmc_ext4_magic (superblock);
}

static void map_place (struct vmc_source *source, const struct vmc_place *place, const struct vmc_signature *signature,
		       struct vmc_extents *free, struct vmc_record *record)
{
	unsigned char superblock[VMC_EXT4_SUPERBLOCK_BYTES];
	struct vmc_ext4_geometry geometry = {0};
	struct vmc_error error;

	if (!has_ext (source, place, superblock)) {
		name_it (signature, record);
		return;
	}
	record->in_use = is_ext (signature->type) && vmc_ext4_in_use (superblock);
	record->checksums = vmc_ext4_checksums (superblock);
	record->usable = vmc_ext4_map (source, place->offset, place->length, &geometry, free, &error) == 0;
	record->alone = record->usable && geometry.metadata_csum && is_ext (signature->type);
	if (!record->usable)
		(void) snprintf (record->text, sizeof record->text, "%s", error.text);
}

/* What a disk with partitions is as a whole: nothing, that is. Else the partitions may be those that somebody has left under a RAID or a
 * pool that was made of the disk later, with filesystems in them that look as sound as on their last day. */
static int look_at_whole (struct vmc_source *source, int memory_fd, const struct vmc_partitions *partitions,
			  const char **why_not, struct vmc_error *err)
{
	struct vmc_signature whole;

	*why_not = NULL;
	if (partitions->count == 1 && partitions->items[0].length == source->size_bytes)
		return 0;
	if (vmc_signature_find (source, memory_fd, 0, source->size_bytes, &whole, err) < 0)
		return -1;
	if (whole.ambiguous || whole.type[0] != 0)
		*why_not = "the disk has partitions, but as a whole it is something else, too; counts as used";
	return 0;
}

static int read_place (struct vmc_source *source, int memory_fd, const struct vmc_place *place, const char *why_not,
		       bool map)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents free = {0};
	struct vmc_record record = {.kind = VMC_RECORD_PLACE, .offset = place->offset, .length = place->length};
	struct vmc_signature signature;
	struct vmc_error error = {0};

	if (vmc_signature_find (source, memory_fd, place->offset, place->length, &signature, &error) < 0) {
		(void) snprintf (record.text, sizeof record.text, "%s", error.text);
		record.data = record.length;
		return put_place (&record, &free);
	}
	memcpy (record.type, signature.type, sizeof record.type);
	memcpy (record.name, signature.uuid, sizeof record.name);
	record.data = vmc_container_data (source, place->offset, place->length, signature.type);
	if (map && why_not != NULL)
		(void) snprintf (record.text, sizeof record.text, "%s", why_not);
	else if (map)
		map_place (source, place, &signature, &free, &record);
	else if (signature.ambiguous || signature.type[0] == 0)
		name_it (&signature, &record);
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

/* --- what the guest says ------------------------------------------------------------------------ */

static int map_filesystem (struct vmc_source *source, const char *type, bool *checksums, struct vmc_extents *free,
			   struct vmc_error *err)
{
	struct vmc_ext4_geometry ext4 = {0};
	struct vmc_xfs_geometry xfs;
	int result;

	*checksums = true; /* XFS without is refused */
	if (is_ext (type)) {
		result = vmc_ext4_map (source, 0, source->size_bytes, &ext4, free, err);
		*checksums = ext4.metadata_csum;
		return result;
	}
	if (strcmp (type, "xfs") == 0)
		return vmc_xfs_map (source, 0, source->size_bytes, &xfs, free, err);
	return vmc_fail (err, VMC_REFUSED, 0, "the reader does not understand %s", type);
}

/* The free ranges of one filesystem, on the disk. */
static int map_view (struct vmc_source *source, const struct vmc_claims *claims, const struct vmc_claim *claim,
		     bool *checksums, struct vmc_extents *free, struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents inside = {0};
	struct vmc_view_source view;

	if (vmc_view_open (&view, source, claims->disk, &claims->devices, claim->device, err) < 0 ||
	    map_filesystem (&view.source, claim->type, checksums, &inside, err) < 0)
		return -1;
	return vmc_view_locate (&view, &inside, free, err);
}

static int read_views (struct vmc_source *source, const struct vmc_claims *claims, struct vmc_error *err)
{
	const struct vmc_claim *all = claims->filesystems.items;

	for (size_t i = 0; i < claims->filesystems.count; i++) {
		VMC_CLEANUP_EXTENTS struct vmc_extents free = {0};
		struct vmc_record record = {.kind = VMC_RECORD_VIEW};
		struct vmc_error why;
		bool checksums = false;

		record.usable = map_view (source, claims, &all[i], &checksums, &free, &why) == 0;
		record.checksums = record.usable && checksums;
		if (!record.usable) {
			(void) snprintf (record.text, sizeof record.text, "%.199s", why.text);
			vmc_extents_clear (&free);
		}
		memcpy (record.name, all[i].filesystem, sizeof record.name);
		record.ranges = free.count;
		if (put_place (&record, &free) < 0)
			return vmc_fail (err, VMC_FAILED, errno, "the pipe is closed");
	}
	return 0;
}

/* --- the disk --------------------------------------------------------------------------------------- */

/* What comes from the parent is read while there are still descriptors for it; it is no byte of the disk. */
static int enter_sandbox (bool with_claims, struct vmc_claims *claims, struct nbd_source *source, int *memory_fd,
			  struct vmc_error *err)
{
	if (with_claims && vmc_claims_read (CLAIMS_FD, claims, err) < 0)
		return -1;
	if (vmc_sandbox_drop (err) < 0 || connect_source (source, err) < 0)
		return -1;
	vmc_container_warm_up ();
	*memory_fd = vmc_memory_file_make (err);
	return *memory_fd < 0 ? -1 : vmc_sandbox_close (*memory_fd, err);
}

static int read_disk (bool with_claims, struct vmc_error *err)
{
	static struct vmc_partitions partitions;
	static struct vmc_claims claims;
	static struct nbd_source source;
	const char *why_not;
	int memory_fd;

	if (enter_sandbox (with_claims, &claims, &source, &memory_fd, err) < 0 ||
	    vmc_partitions_find (&source.source, memory_fd, &partitions, err) < 0 ||
	    look_at_whole (&source.source, memory_fd, &partitions, &why_not, err) < 0)
		return -1;
	for (size_t i = 0; i < partitions.count; i++)
		if (read_place (&source.source, memory_fd, &partitions.items[i], why_not, !with_claims) < 0)
			return vmc_fail (err, VMC_FAILED, errno, "the pipe is closed");
	if (read_views (&source.source, &claims, err) < 0)
		return -1;
	return put_gaps (&partitions, source.source.size_bytes, err);
}

int vmc_reader_main (bool with_claims)
{
	struct vmc_record last = {.kind = VMC_RECORD_END};
	struct vmc_error error = {0};

	if (read_disk (with_claims, &error) < 0) {
		last.kind = VMC_RECORD_FAILED;
		(void) snprintf (last.text, sizeof last.text, "%s", error.text);
	}
	return put (&last, sizeof last) < 0;
}
