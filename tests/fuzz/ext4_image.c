/* ext4_image.c - see ext4_image.h */
#include "ext4_image.h"

#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

#define MIB (UINT64_C (1) << 20)
#define PAGE 4096
#define SUPER 1024
#define COMMON "none,filetype,sparse_super,large_file,dir_index,ext_attr"
#define EXT4 COMMON ",extent,huge_file,dir_nlink,extra_isize,has_journal"

/* A checksum of metadata_csum has 16 bits where descriptors have 32 bytes: two flips in one bitmap may get past that and past
 * the counts, and without checksums they do so easily. A bit of the superblock turns all checksums off. */
const struct ext4_kind ext4_kinds[] = {
	{"4k", "-b 4096 -g 2048 -O " EXT4 ",64bit,metadata_csum,flex_bg,resize_inode", 48 * MIB, 0, 3},
	{"1k", "-b 1024 -g 2048 -O " EXT4 ",64bit,metadata_csum,flex_bg,resize_inode", 24 * MIB, MIB, 3},
	{"64k", "-b 65536 -g 2048 -O " EXT4 ",64bit,metadata_csum,flex_bg", 512 * MIB, 0, 3},
	{"bigalloc", "-b 4096 -C 16384 -O " EXT4 ",64bit,metadata_csum,flex_bg,bigalloc", 48 * MIB, 0, 3},
	{"meta_bg", "-b 1024 -g 1024 -O " EXT4 ",64bit,metadata_csum,flex_bg,meta_bg", 48 * MIB, 0, 3},
	{"32bit", "-b 4096 -g 2048 -O " EXT4 ",metadata_csum,flex_bg,resize_inode", 48 * MIB, 0, 1},
	{"no-journal", "-b 4096 -O " COMMON ",extent,64bit,metadata_csum,flex_bg", 48 * MIB, 0, 3},
	{"ext3", "-b 4096 -g 2048 -I 128 -O " COMMON ",has_journal,resize_inode", 48 * MIB, 0, 1},
	{"no-flex_bg", "-b 2048 -g 2048 -O " EXT4 ",64bit,metadata_csum", 48 * MIB, 512, 3},
	{"uninit_bg", "-b 4096 -g 2048 -O " EXT4 ",uninit_bg,flex_bg,resize_inode", 48 * MIB, 0, 1},
	{"no-csum", "-b 1024 -g 4096 -O " EXT4 ",flex_bg", 24 * MIB, 0, 1},
	{"seed",
	 "-b 4096 -g 1024 -O " EXT4 ",64bit,metadata_csum,metadata_csum_seed,sparse_super2,ea_inode -E num_backup_sb=1",
	 40 * MIB, 0, 3},
	{"bigalloc-1k", "-b 1024 -C 4096 -O " EXT4 ",64bit,metadata_csum,bigalloc", 48 * MIB, 0, 3},
};
const unsigned ext4_kinds_count = sizeof ext4_kinds / sizeof ext4_kinds[0];

struct ext4_page {
	uint64_t number;
	unsigned char old[PAGE];
};

/* --- making ----------------------------------------------------------------------------------- */

/* Some files of different sizes, one of which is deleted again, so that what is free is in pieces. Nothing is taken from
 * mke2fs.conf, and names, sizes and times are the same each time. What mke2fs says goes into the file VMC_FUZZ_LOG. */
static const char recipe[] =
	"set -e; exec >${VMC_FUZZ_LOG:-/dev/null} 2>&1; PATH=$PATH:/usr/sbin:/sbin; DISK=/proc/self/fd/%d; export "
	"MKE2FS_CONFIG=/dev/null E2FSPROGS_FAKE_TIME=1700000000;"
	"files=$(mktemp -d); trap 'rm -rf \"$files\"' EXIT; mkdir \"$files/folder\"; for i in 1 3 20 90 300 700; do "
	"head -c ${i}000 /dev/zero | tr '\\0' x >\"$files/f$i\"; done; cp \"$files/f90\" \"$files/folder\"; ln -s f1 "
	"\"$files/link\";"
	"mke2fs -q -F -t ext4 -m 1 -N 512 -U 6f1d2b3a-0000-4000-8000-123456789abc -E nodiscard -d \"$files\" %s $DISK;"
	"debugfs -w -R 'rm f90' $DISK;";

static bool make_file (const struct ext4_kind *kind, int fd)
{
	char command[2000];

	if (ftruncate (fd, (off_t) kind->bytes) < 0)
		return false;
	(void) snprintf (command, sizeof command, recipe, fd, kind->options);
	return system (command) == 0;
}

static int read_image (struct vmc_source *source, void *buffer, uint64_t offset, size_t length, struct vmc_error *err)
{
	const struct ext4_image *image = (const struct ext4_image *) source;

	if (offset < image->kind->shift)
		return vmc_fail (err, VMC_FAILED, 0, "the test read before the filesystem");
	memcpy (buffer, image->bytes + (offset - image->kind->shift), length);
	return 0;
}

static void note_places (struct ext4_image *image)
{
	const struct ext4_truth *truth = &image->truth;
	uint64_t bytes = truth->block_bytes;

	image->places = calloc (truth->groups, sizeof *image->places);
	FUZZ_MUST (image->places != NULL);
	for (uint32_t group = 0; group < truth->groups; group++) {
		uint64_t *places = image->places[group];

		places[EXT4_AREA_SUPER] = SUPER;
		places[EXT4_AREA_DESC] = ext4_truth_desc (truth, group);
		places[EXT4_AREA_BLOCK_BITMAP] = ext4_truth_location (truth, group, EXT4_DESC_BLOCK_BITMAP) * bytes;
		places[EXT4_AREA_INODE_BITMAP] = ext4_truth_location (truth, group, EXT4_DESC_INODE_BITMAP) * bytes;
		places[EXT4_AREA_JOURNAL_SUPER] = ext4_truth_journal (truth) * bytes;
		places[EXT4_AREA_JOURNAL_INODE] = ext4_truth_journal_inode (truth);
	}
}

static bool make (struct ext4_image *image, const struct ext4_kind *kind)
{
	int fd = memfd_create ("disk", 0);

	if (fd < 0 || !make_file (kind, fd))
		return false;
	image->bytes = mmap (NULL, kind->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	(void) close (fd);
	if (image->bytes == MAP_FAILED)
		return false;
	image->kind = kind;
	image->source = (struct vmc_source) {kind->shift + kind->bytes, read_image};
	image->page_saved = calloc (kind->bytes / PAGE, 1);
	FUZZ_MUST (image->page_saved != NULL);
	FUZZ_MUST (ext4_truth_open (&image->truth, image->bytes, kind->bytes));
	note_places (image);
	image->used = ext4_truth_used (&image->truth);
	image->fixed = ext4_truth_static (&image->truth);
	return true;
}

struct ext4_image *ext4_image_get (unsigned kind)
{
	static struct ext4_image images[sizeof ext4_kinds / sizeof ext4_kinds[0]];
	struct ext4_image *image = &images[kind % ext4_kinds_count];

	if (image->bytes == NULL && !make (image, &ext4_kinds[kind % ext4_kinds_count]))
		return NULL;
	return image;
}

/* --- places ----------------------------------------------------------------------------------- */

uint64_t ext4_image_area_bytes (const struct ext4_image *image, enum ext4_area area)
{
	const struct ext4_truth *truth = &image->truth;
	uint64_t bits;

	switch (area) {
	case EXT4_AREA_DESC:
		return truth->desc_bytes;
	case EXT4_AREA_BLOCK_BITMAP:
		bits = truth->blocks_per_group / truth->blocks_per_cluster;
		break;
	case EXT4_AREA_INODE_BITMAP:
		bits = truth->inodes_per_group;
		break;
	case EXT4_AREA_JOURNAL_INODE:
		return truth->inode_bytes;
	default:
		return 1024;
	}
	return bits < 8 ? 1 : bits / 8;
}

uint64_t ext4_image_place (const struct ext4_image *image, enum ext4_area area, uint64_t group, uint64_t index)
{
	return image->places[group % image->truth.groups][area] + index % ext4_image_area_bytes (image, area);
}

/* --- changing --------------------------------------------------------------------------------- */

static void save_page (struct ext4_image *image, uint64_t number)
{
	if (image->page_saved[number])
		return;
	if (image->page_count == image->page_room) {
		image->page_room = image->page_room * 2 + 64;
		image->pages = reallocarray (image->pages, image->page_room, sizeof *image->pages);
		FUZZ_MUST (image->pages != NULL);
	}
	image->pages[image->page_count].number = number;
	memcpy (image->pages[image->page_count++].old, image->bytes + number * PAGE, PAGE);
	image->page_saved[number] = 1;
}

void ext4_image_write (struct ext4_image *image, uint64_t offset, const void *bytes, size_t length)
{
	if (length == 0 || offset > image->kind->bytes || length > image->kind->bytes - offset)
		return;
	for (uint64_t number = offset / PAGE; number <= (offset + length - 1) / PAGE; number++)
		save_page (image, number);
	memcpy (image->bytes + offset, bytes, length);
}

void ext4_image_restore (struct ext4_image *image)
{
	for (size_t i = 0; i < image->page_count; i++) {
		memcpy (image->bytes + image->pages[i].number * PAGE, image->pages[i].old, PAGE);
		image->page_saved[image->pages[i].number] = 0;
	}
	image->page_count = 0;
}

/* The lower COUNT bytes of VALUE, little-endian. */
static void put (struct ext4_image *image, uint64_t offset, unsigned count, uint64_t value)
{
	unsigned char bytes[8];

	for (unsigned i = 0; i < count; i++)
		bytes[i] = (unsigned char) (value >> 8 * i);
	if (offset > image->kind->bytes - count || memcmp (image->bytes + offset, bytes, count) != 0)
		ext4_image_write (image, offset, bytes, count);
}

/* A number of the descriptor of a group that is in two halves, the upper one only in long descriptors. */
static void put_halves (struct ext4_image *image, const struct ext4_truth *truth, uint32_t group, unsigned low,
			unsigned high, uint32_t value)
{
	uint64_t desc = ext4_truth_desc (truth, group);

	put (image, desc + low, 2, value);
	if (truth->desc_bytes >= 64)
		put (image, desc + high, 2, value >> 16);
}

/* How many clusters of GROUP are free: by its bitmap, or by what its own structures take when it has none. */
static uint32_t count_free (const struct ext4_truth *truth, const uint8_t *fixed, uint32_t group)
{
	uint32_t bits = ext4_truth_bits (truth, group), count = 0, ratio = truth->blocks_per_cluster;
	uint64_t first = truth->first_block + (uint64_t) group * truth->blocks_per_group;
	const unsigned char *bitmap = ext4_truth_bitmap (truth, group);
	bool uninit = ext4_truth_uninit (truth, group);

	for (uint32_t bit = 0; bit < bits; bit++) {
		bool used = false;

		if (!uninit)
			used = ext4_truth_bit (truth, bitmap, bit);
		else
			for (uint64_t block = first + (uint64_t) bit * ratio, i = 0;
			     i < ratio && block + i < truth->blocks; i++)
				used |= fixed[block + i];
		count += !used;
	}
	return count;
}

void ext4_image_settle (struct ext4_image *image)
{
	struct ext4_truth truth;
	uint64_t total = 0;
	uint8_t *fixed;

	if (!ext4_truth_open (&truth, image->bytes, image->kind->bytes))
		return;
	fixed = ext4_truth_static (&truth);
	for (uint32_t group = 0; group < truth.groups; group++) {
		uint32_t count = count_free (&truth, fixed, group);

		put_halves (image, &truth, group, 12, 44, count);
		total += (uint64_t) count * truth.blocks_per_cluster;
	}
	put (image, SUPER + 12, 4, total);
	if (truth.incompat & EXT4_FEATURE_INCOMPAT_64BIT)
		put (image, SUPER + 344, 4, total >> 32);
	free (fixed);
}

/* --- checksums -------------------------------------------------------------------------------- */

/* The CRC of LENGTH bytes at OFFSET; outside of the image: SEED. */
static uint32_t crc_at (const struct ext4_image *image, uint32_t seed, uint64_t offset, uint64_t length)
{
	if (offset > image->kind->bytes || length > image->kind->bytes - offset)
		return seed;
	return ext2fs_crc32c_le (seed, image->bytes + offset, length);
}

/* That of GDT_CSUM: polynomial x^16 + x^15 + x^2 + 1, lowest bit first. */
static uint16_t crc16 (uint16_t crc, const unsigned char *bytes, size_t length)
{
	while (length-- > 0) {
		crc ^= *bytes++;
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t) (crc >> 1 ^ (crc & 1 ? 0xA001 : 0));
	}
	return crc;
}

static uint32_t crc_number (uint32_t seed, uint32_t number)
{
	unsigned char bytes[4] = {(unsigned char) number, (unsigned char) (number >> 8), (unsigned char) (number >> 16),
				  (unsigned char) (number >> 24)};

	return ext2fs_crc32c_le (seed, bytes, 4);
}

static uint32_t seed_of (const struct ext4_truth *truth)
{
	if (truth->incompat & EXT4_FEATURE_INCOMPAT_CSUM_SEED)
		return (uint32_t) ext4_truth_get (truth, SUPER + 624, 4);
	return ext2fs_crc32c_le (~0U, truth->bytes + SUPER + 104, 16);
}

static void repair_bitmaps (struct ext4_image *image, const struct ext4_truth *truth, uint32_t group)
{
	uint64_t bytes = truth->block_bytes;
	uint32_t seed = seed_of (truth), per_group = truth->blocks_per_group / truth->blocks_per_cluster;

	put_halves (image, truth, group, 24, 56,
		    crc_at (image, seed, ext4_truth_location (truth, group, EXT4_DESC_BLOCK_BITMAP) * bytes,
			    per_group / 8 < bytes ? per_group / 8 : bytes));
	put_halves (image, truth, group, 26, 58,
		    crc_at (image, seed, ext4_truth_location (truth, group, EXT4_DESC_INODE_BITMAP) * bytes,
			    truth->inodes_per_group / 8 < bytes ? truth->inodes_per_group / 8 : bytes));
}

static void repair_desc (struct ext4_image *image, const struct ext4_truth *truth, uint32_t group)
{
	uint64_t desc = ext4_truth_desc (truth, group);
	unsigned char number[4] = {(unsigned char) group, (unsigned char) (group >> 8), (unsigned char) (group >> 16),
				   (unsigned char) (group >> 24)};
	uint16_t crc;

	if (desc > image->kind->bytes || truth->desc_bytes > image->kind->bytes - desc)
		return;
	if (truth->ro_compat & EXT4_FEATURE_RO_COMPAT_METADATA_CSUM) {
		put (image, desc + 30, 2, 0);
		put (image, desc + 30, 2, crc_at (image, crc_number (seed_of (truth), group), desc, truth->desc_bytes));
		return;
	}
	crc = crc16 (0xFFFF, image->bytes + SUPER + 104, 16);
	crc = crc16 (crc, number, 4);
	crc = crc16 (crc, image->bytes + desc, 30);
	if (truth->desc_bytes > 32)
		crc = crc16 (crc, image->bytes + desc + 32, truth->desc_bytes - 32);
	put (image, desc + 30, 2, crc);
}

static void repair_journal_inode (struct ext4_image *image, const struct ext4_truth *truth)
{
	uint64_t inode = ext4_truth_journal_inode (truth);
	bool wide = truth->inode_bytes > 128 && ext4_truth_get (truth, inode + 128, 2) >= 4;
	uint32_t crc = crc_number (crc_number (seed_of (truth), 8), (uint32_t) ext4_truth_get (truth, inode + 100, 4));

	put (image, inode + 124, 2, 0);
	if (wide)
		put (image, inode + 130, 2, 0);
	crc = crc_at (image, crc, inode, truth->inode_bytes);
	put (image, inode + 124, 2, crc);
	if (wide)
		put (image, inode + 130, 2, crc >> 16);
}

/* The journal's own superblock is big-endian; its checksum counts with the features CSUM_V2 and CSUM_V3. */
static void repair_journal (struct ext4_image *image, const struct ext4_truth *truth)
{
	uint64_t at = ext4_truth_journal (truth) * truth->block_bytes;

	if (ext4_truth_journal (truth) == 0 || !(ext4_truth_get (truth, at + 43, 1) & 0x18))
		return;
	put (image, at + 252, 4, 0);
	put (image, at + 252, 4, __builtin_bswap32 (crc_at (image, ~0U, at, 1024)));
}

void ext4_image_repair (struct ext4_image *image)
{
	struct ext4_truth truth;

	if (ext4_truth_open (&truth, image->bytes, image->kind->bytes)) {
		bool csum = (truth.ro_compat & EXT4_FEATURE_RO_COMPAT_METADATA_CSUM) != 0;

		for (uint32_t group = 0; ext4_truth_desc_csum (&truth) && group < truth.groups; group++) {
			if (csum)
				repair_bitmaps (image, &truth, group);
			repair_desc (image, &truth, group);
		}
		if (csum)
			repair_journal_inode (image, &truth);
		repair_journal (image, &truth);
		if (csum)
			put (image, SUPER + 1020, 4, crc_at (image, ~0U, SUPER, 1020));
	}
}
