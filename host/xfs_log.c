/* xfs_log.c - see xfs_log.h
 *
 * The log is a ring of blocks of 512 bytes, which records are written to one behind the other. The first word of each block is the
 * number of the turn (the "cycle") in which it was written, so that
 *
 *      n n n n n n n | n-1 n-1 n-1 n-1       n: the number of this turn
 *                    ^ the head: where the next record will be written
 *
 * What these words replaced is in the header of the record, whose own block has a magic number first and the turn second. A header
 * also has the tail: where replaying would have to begin if the record were the last.
 *
 * Clean is the log when the record before the head is an unmount, as in xlog_check_unmount_rec of Linux. A filesystem that is
 * frozen has none: Linux puts a transaction that has only the superblock in it there, twice, so that the tail of the second is the
 * first (xfs_log_cover), or once behind an unmount (before Linux 5.12). So the second way to be clean is that all records from the
 * tail to the head hold nothing but that. Both times all earlier changes were written to where they belong before.
 *
 * The head is found by halving, which is right for a log at rest. In one that was cut off in the middle of writing, records may have
 * been written in another order; then the walk from the tail to the head comes to a block that belongs to another turn.
 *
 * Positions are those of struct xlog_rec_header, xlog_op_header and xfs_buf_log_format in Linux's
 * fs/xfs/libxfs/xfs_log_format.h. Headers are big-endian; what is in a record has the byte order of the machine that wrote it, which
 * under KVM is ours.
 */
#include "xfs_log.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdlib.h>

#define UNIT 512 /* bytes of a block of the log, whatever size blocks of the filesystem have */

#define HEADER_MAGIC 0xFEEDBABEu
#define RECORD_MAX_BYTES (256u * 1024)
#define PER_HEADER_BYTES (32u * 1024) /* of a record, whose first words are in one header */
#define PER_HEADER_WORDS (PER_HEADER_BYTES / UNIT)
#define RECORD_MAX_UNITS ((RECORD_MAX_BYTES + RECORD_MAX_BYTES / PER_HEADER_BYTES * UNIT) / UNIT)
/* xfs_admin and xfs_repair -L make the log anew: an unmount at its start, which takes that much, and behind it something that no
 * log has that is in its second turn or later, zeros. */
#define MADE_ANEW_UNITS 2
/* Two records that cover the log, and an unmount before them. */
#define COVER_MAX_UNITS (3 * RECORD_MAX_UNITS)

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OUR_FORMAT 1
#else
#define OUR_FORMAT 2
#endif

/* In a header, in bytes from its start. */
enum field {
	H_MAGIC = 0,
	H_CYCLE = 4,
	H_VERSION = 8,
	H_BYTES = 12,
	H_PLACE = 16, /* where it lies: turn and block */
	H_TAIL = 24,
	H_CHECKSUM = 32,
	H_OPERATIONS = 40,
	H_WORDS = 44,
	H_FORMAT = 300,
	H_UUID = 304,
	H_SIZE = 320, /* how long a record might have been */
	H_END = 328,
	H_END_I386 = 324, /* there the checksum ends earlier */
	X_WORDS = 4,      /* in a header that is not the first of its record */
	X_END = 260,
};

/* In front of each operation, and in what is logged of a buffer. */
#define OPERATION_BYTES 12
#define CLIENT_TRANSACTION 0x69
#define CLIENT_LOG 0xAA
#define FLAG_START 0x01
#define FLAG_COMMIT 0x02
#define FLAG_UNMOUNT 0x20
#define TRANSACTION_BYTES 16
#define TRANSACTION_MAGIC 0x5452414Eu /* "TRAN" */
#define BUFFER_MIN_BYTES 24
#define BUFFER_TYPE 0x123C

struct log {
	const struct vmc_xfs *xfs;
	uint64_t start; /* bytes, in the filesystem */
	uint32_t units;
	uint32_t head;        /* unit; all of them when it is the first one of the next turn */
	uint32_t cycle;       /* of the units before the head; of those from there on it is one less */
	unsigned char *bytes; /* of a whole record, headers first */
};

struct record {
	uint32_t at, units; /* where it lies, and how much it takes, with its headers */
	uint32_t headers;   /* units */
	uint32_t bytes;     /* without its headers */
	uint32_t operations;
	uint64_t tail;
	bool checked; /* it has a checksum */
};

/* --- reading ---------------------------------------------------------------------------------- */

/* Units AT, AT + 1, ...; behind the last one comes the first. */
static int read_units (const struct log *log, uint32_t at, uint32_t count, unsigned char *buffer, struct vmc_error *err)
{
	uint32_t until_end = log->units - at, now = count < until_end ? count : until_end;

	if (vmc_xfs_read (log->xfs, buffer, log->start + (uint64_t) at * UNIT, (size_t) now * UNIT, err) < 0)
		return -1;
	if (now == count)
		return 0;
	return vmc_xfs_read (log->xfs, buffer + (size_t) now * UNIT, log->start, (size_t) (count - now) * UNIT, err);
}

static uint32_t cycle_of (const unsigned char *unit)
{
	uint32_t word = vmc_xfs_get32 (unit);

	return word == HEADER_MAGIC ? vmc_xfs_get32 (unit + H_CYCLE) : word;
}

static int read_cycle (const struct log *log, uint32_t at, uint32_t *cycle, struct vmc_error *err)
{
	unsigned char unit[UNIT];

	if (read_units (log, at, 1, unit, err) < 0)
		return -1;
	*cycle = cycle_of (unit);
	return 0;
}

/* The turn in which the unit AT must have been written. */
static uint32_t cycle_at (const struct log *log, uint32_t at)
{
	return at < log->head ? log->cycle : log->cycle - 1;
}

/* --- the head --------------------------------------------------------------------------------- */

/* Between unit LOW of this turn and HIGH of the one before. */
static int halve (struct log *log, uint32_t low, uint32_t high, struct vmc_error *err)
{
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2, cycle;

		if (read_cycle (log, middle, &cycle, err) < 0)
			return -1;
		if (cycle == log->cycle)
			low = middle;
		else if (cycle == log->cycle - 1)
			high = middle;
		else
			return vmc_xfs_refuse (err, "its log is not in order");
	}
	log->head = high;
	return 0;
}

static int find_head (struct log *log, struct vmc_error *err)
{
	uint32_t last, behind;
	bool made_anew;

	if (read_cycle (log, 0, &log->cycle, err) < 0 || read_cycle (log, log->units - 1, &last, err) < 0 ||
	    read_cycle (log, MADE_ANEW_UNITS, &behind, err) < 0)
		return -1;
	made_anew = log->cycle > 1 && behind == 0;
	if (log->cycle == 0)
		return vmc_xfs_refuse (err, "its log is empty");
	if (last == log->cycle || made_anew) {
		log->head = made_anew ? MADE_ANEW_UNITS : log->units;
		return 0;
	}
	if (last != log->cycle - 1)
		return vmc_xfs_refuse (err, "its log is not in order");
	return halve (log, 0, log->units - 1, err);
}

/* --- a record --------------------------------------------------------------------------------- */

/* How many units are headers: one, or more if the record might have become so long. */
static uint32_t headers_for (uint32_t size)
{
	return size <= PER_HEADER_BYTES ? 1 : (size + PER_HEADER_BYTES - 1) / PER_HEADER_BYTES;
}

static int parse_header (const struct log *log, const unsigned char *bytes, struct record *record,
			 struct vmc_error *err)
{
	uint32_t cycle = cycle_at (log, record->at), size = vmc_xfs_get32 (bytes + H_SIZE);

	if (vmc_xfs_get32 (bytes + H_MAGIC) != HEADER_MAGIC || vmc_xfs_get32 (bytes + H_CYCLE) != cycle ||
	    vmc_xfs_get64 (bytes + H_PLACE) != ((uint64_t) cycle << 32 | record->at))
		return vmc_xfs_refuse (err, "its log has no record where one should be");
	if (vmc_xfs_get32 (bytes + H_VERSION) != 2 || vmc_xfs_get32 (bytes + H_FORMAT) != OUR_FORMAT)
		return vmc_xfs_refuse (err, "its log is of a kind that is not known here");
	if (memcmp (bytes + H_UUID, log->xfs->geometry->uuid, 16) != 0)
		return vmc_xfs_refuse (err, "its log is that of another filesystem");
	record->bytes = vmc_xfs_get32 (bytes + H_BYTES);
	if (record->bytes == 0 || record->bytes > RECORD_MAX_BYTES || record->bytes % UNIT != 0 ||
	    size > RECORD_MAX_BYTES)
		return vmc_xfs_refuse (err, "a record of its log has a length that none has");
	record->headers = headers_for (size);
	record->units = record->headers + record->bytes / UNIT;
	record->operations = vmc_xfs_get32 (bytes + H_OPERATIONS);
	record->tail = vmc_xfs_get64 (bytes + H_TAIL);
	record->checked = vmc_xfs_get32 (bytes + H_CHECKSUM) != 0;
	return record->units <= log->units ? 0 : vmc_xfs_refuse (err, "a record of its log is longer than the log");
}

/* Of the first header up to END, of as many others as it takes for the bytes that are there, and of these. */
static uint32_t sum_record (const struct log *log, const struct record *record, size_t end)
{
	static const unsigned char zeros[4];
	uint32_t others = headers_for (record->bytes), sum = ext2fs_crc32c_le (~0U, log->bytes, H_CHECKSUM);

	sum = ext2fs_crc32c_le (sum, zeros, sizeof zeros);
	sum = ext2fs_crc32c_le (sum, log->bytes + H_CHECKSUM + 4, end - H_CHECKSUM - 4);
	for (uint32_t i = 1; i < others && i < record->headers; i++)
		sum = ext2fs_crc32c_le (sum, log->bytes + (size_t) i * UNIT, X_END);
	return ~ext2fs_crc32c_le (sum, log->bytes + (size_t) record->headers * UNIT, record->bytes);
}

/* mkfs.xfs and xfs_repair write an unmount without a checksum. */
static int check_sum (const struct log *log, const struct record *record, struct vmc_error *err)
{
	uint32_t stored;

	memcpy (&stored, log->bytes + H_CHECKSUM, sizeof stored);
	stored = le32toh (stored);
	if (record->checked && stored != sum_record (log, record, H_END) &&
	    stored != sum_record (log, record, H_END_I386))
		return vmc_xfs_refuse (err, "a record of its log has a wrong checksum");
	return 0;
}

/* Each unit must be of the turn of its place; its first word is put back. */
static int put_words_back (const struct log *log, const struct record *record, struct vmc_error *err)
{
	unsigned char *data = log->bytes + (size_t) record->headers * UNIT;

	for (uint32_t i = 0; i < record->bytes / UNIT; i++) {
		uint32_t header = i / PER_HEADER_WORDS, at = (record->at + record->headers + i) % log->units;
		const unsigned char *words = log->bytes + (size_t) header * UNIT + (header == 0 ? H_WORDS : X_WORDS);

		if (header >= record->headers || vmc_xfs_get32 (data + (size_t) i * UNIT) != cycle_at (log, at))
			return vmc_xfs_refuse (err, "a record of its log was not written as a whole");
		memcpy (data + (size_t) i * UNIT, words + (size_t) (i % PER_HEADER_WORDS) * 4, 4);
	}
	return 0;
}

/* Read and check all of the record whose header is AT. */
static int read_record (const struct log *log, uint32_t at, struct record *record, struct vmc_error *err)
{
	*record = (struct record) {.at = at};
	if (read_units (log, at, 1, log->bytes, err) < 0 || parse_header (log, log->bytes, record, err) < 0 ||
	    read_units (log, at, record->units, log->bytes, err) < 0 || check_sum (log, record, err) < 0)
		return -1;
	return put_words_back (log, record, err);
}

/* The record that ends at the head. */
static int find_last (const struct log *log, struct record *record, struct vmc_error *err)
{
	unsigned char unit[UNIT];

	for (uint32_t back = 1; back <= RECORD_MAX_UNITS && back <= log->units; back++) {
		uint32_t at = (log->head + log->units - back) % log->units;

		if (read_units (log, at, 1, unit, err) < 0)
			return -1;
		if (vmc_xfs_get32 (unit) != HEADER_MAGIC)
			continue;
		if (read_record (log, at, record, err) < 0)
			return -1;
		return record->units == back ? 0
					     : vmc_xfs_refuse (err, "its log does not end with the end of a record");
	}
	return vmc_xfs_refuse (err, "its log does not end with a record");
}

/* --- what is in it ---------------------------------------------------------------------------- */

/* Where in a transaction the walk is. */
struct place {
	enum { OUTSIDE, STARTED, INSIDE } state;
	uint32_t regions; /* of the item at hand that are still to come */
};

static const char *const not_clean = "its log is not empty: it was not frozen, or not unmounted cleanly";

static uint16_t native16 (const unsigned char *bytes)
{
	uint16_t value;

	memcpy (&value, bytes, sizeof value);
	return value;
}

static bool is_transaction (const unsigned char *data, uint32_t bytes)
{
	uint32_t magic;

	if (bytes != TRANSACTION_BYTES)
		return false;
	memcpy (&magic, data, sizeof magic);
	return magic == TRANSACTION_MAGIC;
}

/* The start of an item: is it the superblock's sector, and nothing else? */
static bool is_superblock (const struct log *log, const unsigned char *data, uint32_t bytes)
{
	uint64_t sector;

	if (bytes < BUFFER_MIN_BYTES || native16 (data) != BUFFER_TYPE || native16 (data + 2) == 0)
		return false;
	memcpy (&sector, data + 8, sizeof sector);
	return sector == 0 && native16 (data + 6) == log->xfs->geometry->sector_bytes / UNIT;
}

/* Does what an operation says belong to a transaction that has only the superblock in it, or is it an unmount? */
static bool take_operation (const struct log *log, const unsigned char *operation, uint32_t bytes, struct place *place)
{
	unsigned client = operation[8], flags = operation[9];
	const unsigned char *data = operation + OPERATION_BYTES;

	if (client == CLIENT_LOG)
		return flags == FLAG_UNMOUNT && place->state == OUTSIDE;
	if (client != CLIENT_TRANSACTION)
		return false;
	if (flags == FLAG_START && bytes == 0 && place->state == OUTSIDE) {
		place->state = STARTED;
		return true;
	}
	if (flags == FLAG_COMMIT && bytes == 0 && place->state == INSIDE && place->regions == 0) {
		place->state = OUTSIDE;
		return true;
	}
	if (flags != 0 || place->state == OUTSIDE)
		return false;
	if (place->state == STARTED) {
		place->state = INSIDE;
		return is_transaction (data, bytes);
	}
	if (place->regions > 0) {
		place->regions--;
		return true;
	}
	place->regions = is_superblock (log, data, bytes) ? native16 (data + 2) - 1u : 0;
	return is_superblock (log, data, bytes);
}

static int take_record (const struct log *log, const struct record *record, struct place *place, struct vmc_error *err)
{
	const unsigned char *data = log->bytes + (size_t) record->headers * UNIT;
	uint32_t left = record->bytes;

	for (uint32_t i = 0; i < record->operations; i++) {
		uint32_t bytes = left < OPERATION_BYTES ? 0 : vmc_xfs_get32 (data + 4);

		if (left < OPERATION_BYTES || bytes > left - OPERATION_BYTES)
			return vmc_xfs_refuse (err, "a record of its log has more in it than fits");
		if (!take_operation (log, data, bytes, place))
			return vmc_xfs_refuse (err, not_clean);
		data += OPERATION_BYTES + bytes;
		left -= OPERATION_BYTES + bytes;
	}
	return 0;
}

/* From the tail to the head there is nothing but the superblock. */
static int check_covered (const struct log *log, uint64_t tail, struct vmc_error *err)
{
	uint32_t at = (uint32_t) tail, left;
	struct place place = {OUTSIDE, 0};

	if (at >= log->units || tail >> 32 != cycle_at (log, at))
		return vmc_xfs_refuse (err, "the tail of its log is not in the log");
	left = (log->head + log->units - at) % log->units;
	if (left == 0 || left > COVER_MAX_UNITS)
		return vmc_xfs_refuse (err, not_clean);
	while (left > 0) {
		struct record record;

		if (read_record (log, at, &record, err) < 0)
			return -1;
		if (record.units > left)
			return vmc_xfs_refuse (err, "its log does not end with the end of a record");
		if (!record.checked || take_record (log, &record, &place, err) < 0)
			return record.checked ? -1 : vmc_xfs_refuse (err, "a record of its log has no checksum");
		at = (at + record.units) % log->units;
		left -= record.units;
	}
	return place.state == OUTSIDE ? 0 : vmc_xfs_refuse (err, not_clean);
}

static int check (struct log *log, bool *unmounted, struct vmc_error *err)
{
	struct record last;
	const unsigned char *operation;

	if (find_head (log, err) < 0 || find_last (log, &last, err) < 0)
		return -1;
	operation = log->bytes + (size_t) last.headers * UNIT;
	*unmounted = last.operations == 1 && operation[8] == CLIENT_LOG && operation[9] == FLAG_UNMOUNT;
	return *unmounted ? 0 : check_covered (log, last.tail, err);
}

int vmc_xfs_log_check (const struct vmc_xfs *xfs, struct vmc_error *err)
{
	struct vmc_xfs_geometry *geometry = xfs->geometry;
	struct log log = {.xfs = xfs,
			  .start = geometry->log_block * geometry->block_bytes,
			  .units = geometry->log_blocks * (geometry->block_bytes / UNIT)};
	int result;

	log.bytes = malloc ((size_t) RECORD_MAX_UNITS * UNIT);
	if (log.bytes == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for a log");
	result = check (&log, &geometry->unmounted, err);
	free (log.bytes);
	return result;
}
