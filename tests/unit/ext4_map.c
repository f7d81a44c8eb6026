/* ext4_map.c - tests of host/ext4_gate.c and host/ext4_map.c, on filesystems made by mkfs.ext4
 *
 * What is free is compared with what dumpe2fs says, and with where the bytes of a file lie. What must be refused is made
 * by changing bytes of a good filesystem: positions are those of struct ext2_super_block and struct ext4_group_desc.
 */
#include "file_source.h"

#include <endian.h>

#include "ext4_layout.h"
#include "ext4_map.h"

#define MIB (UINT64_C (1) << 20)
#define MARK 0xA7 /* each byte of the file in the filesystem */

#define SUPER(offset) (VMC_EXT4_SUPERBLOCK_OFFSET + (offset))
#define S_INODES_COUNT 0
#define S_BLOCKS_COUNT 4
#define S_FREE_BLOCKS 12
#define S_FIRST_DATA_BLOCK 20
#define S_LOG_BLOCK_SIZE 24
#define S_LOG_CLUSTER_SIZE 28
#define S_BLOCKS_PER_GROUP 32
#define S_CLUSTERS_PER_GROUP 36
#define S_INODES_PER_GROUP 40
#define S_MAGIC 56
#define S_STATE 58
#define S_CREATOR_OS 72
#define S_REV_LEVEL 76
#define S_INODE_SIZE 88
#define S_FEATURE_COMPAT 92
#define S_FEATURE_INCOMPAT 96
#define S_FEATURE_RO_COMPAT 100
#define S_JOURNAL_INUM 224
#define S_RESERVED_GDT_BLOCKS 206
#define S_JOURNAL_DEV 228
#define S_DESC_SIZE 254
#define S_FIRST_META_BG 260
#define S_BLOCKS_COUNT_HI 336
#define S_LOG_GROUPS_PER_FLEX 372
#define S_CHECKSUM_TYPE 373
#define S_BACKUP_BGS 588

#define GD_BLOCK_BITMAP 0
#define GD_INODE_BITMAP 4
#define GD_INODE_TABLE 8
#define GD_FREE_BLOCKS 12

/* A filesystem of BYTES made with OPTIONS, with some files in it, one of them deleted. */
static struct file_source make_fs (const char *options, uint64_t bytes)
{
	struct file_source disk = file_source_make (bytes);
	int fd = memfd_create ("file", 0);
	char command[500], *data = malloc (2 * MIB);

	memset (data, MARK, 2 * MIB);
	assert_int_equal (write (fd, data, 2 * MIB), 2 * MIB);
	free (data);
	(void) snprintf (command, sizeof command, "mkfs.ext4 -q -F %s $DISK", options);
	file_source_run (&disk, command);
	(void) snprintf (command, sizeof command,
			 "printf 'write /proc/self/fd/%d one\\nwrite /proc/self/fd/%d two\\nwrite /proc/self/fd/%d "
			 "three\\nrm two\\n' | "
			 "debugfs -w -f - $DISK",
			 fd, fd, fd);
	file_source_run (&disk, command);
	(void) close (fd);
	return disk;
}

static struct file_source make_plain (void)
{
	return make_fs ("-b 4096", 64 * MIB);
}

/* Without checksums: what libext2fs cannot notice. */
static struct file_source make_unchecked (void)
{
	return make_fs ("-b 4096 -O ^metadata_csum", 64 * MIB);
}

static uint32_t get32 (const struct file_source *disk, uint64_t offset)
{
	uint32_t value;

	file_source_get (disk, offset, &value, 4);
	return le32toh (value);
}

static void put32 (const struct file_source *disk, uint64_t offset, uint32_t value)
{
	value = htole32 (value);
	file_source_put (disk, offset, &value, 4);
}

static void put16 (const struct file_source *disk, uint64_t offset, uint16_t value)
{
	value = htole16 (value);
	file_source_put (disk, offset, &value, 2);
}

static void flip (const struct file_source *disk, uint64_t offset, uint8_t bits)
{
	uint8_t value;

	file_source_get (disk, offset, &value, 1);
	value ^= bits;
	file_source_put (disk, offset, &value, 1);
}

/* Where the descriptor of the first group lies, for blocks of 4 KiB. */
#define DESC(offset) (4096 + (offset))

static int map_place (struct file_source *disk, uint64_t offset, uint64_t length, struct vmc_extents *map,
		      struct vmc_error *err)
{
	struct vmc_ext4_geometry geometry;

	return vmc_ext4_map (&disk->source, offset, length, &geometry, map, err);
}

static void map_all (struct file_source *disk, struct vmc_extents *map)
{
	struct vmc_error err;

	if (map_place (disk, 0, disk->source.size_bytes, map, &err) < 0)
		fail_msg ("%s", err.text);
}

/* It is refused, and nothing of it is believed; then the disk ends. */
static void assert_refused (struct file_source disk, const char *reason)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};
	struct vmc_error err;

	if (map_place (&disk, 0, disk.source.size_bytes, &map, &err) == 0)
		fail_msg ("'%s' was not a reason to refuse", reason);
	assert_error (err, VMC_REFUSED, reason);
	assert_int_equal (map.count, 0);
	file_source_end (&disk);
}

/* --- what is free ------------------------------------------------------------------------------------------------------ */

/* The free ranges in bytes, as dumpe2fs lists the blocks of each group: "  Free blocks: 10-20, 25". With bigalloc the last
 * of a range is the first or the last block of its cluster, as the version may be. */
static void ask_dumpe2fs (const struct file_source *disk, uint32_t block_bytes, uint32_t cluster_bytes,
			  struct vmc_extents *list)
{
	char command[200], line[65536];
	struct vmc_error err;
	FILE *output;

	(void) snprintf (command, sizeof command, "dumpe2fs /proc/self/fd/%d 2>/dev/null", disk->fd);
	output = popen (command, "r");
	while (fgets (line, sizeof line, output) != NULL) {
		char *at = strstr (line, "  Free blocks: ");

		for (at = at ? at + 14 : NULL; at != NULL; at = strchr (at, ',')) {
			uint64_t first = strtoull (at + 1, &at, 10), last = first;

			if (first == 0)
				break;
			if (*at == '-')
				last = strtoull (at + 1, &at, 10);
			last = last * block_bytes / cluster_bytes + 1;
			assert_int_equal (vmc_extents_add (list, first * block_bytes,
							   last * cluster_bytes - first * block_bytes, &err),
					  0);
		}
	}
	assert_int_equal (pclose (output), 0);
	vmc_extents_normalise (list);
}

/* The map is what dumpe2fs says, and adds up to what the superblock says. */
static void assert_map_is_right (const char *options, uint64_t bytes, uint32_t block_bytes, uint32_t cluster_bytes)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0}, wanted = {0};
	struct file_source disk = make_fs (options, bytes);

	map_all (&disk, &map);
	vmc_extents_normalise (&map);
	ask_dumpe2fs (&disk, block_bytes, cluster_bytes, &wanted);
	assert_true (wanted.count > 0);
	assert_int_equal (map.count, wanted.count);
	assert_memory_equal (map.items, wanted.items, map.count * sizeof *map.items);
	assert_int_equal (vmc_extents_total (&map), (uint64_t) get32 (&disk, SUPER (S_FREE_BLOCKS)) * block_bytes);
	assert_true (vmc_extents_valid (&map, bytes));
	file_source_end (&disk);
}

#define CLUSTER_TEST(name, options, mib, block_bytes, cluster_bytes) \
	static void name (void **state) \
	{ \
		(void) state; \
		assert_map_is_right (options, (mib) *MIB, block_bytes, cluster_bytes); \
	}
#define MAP_TEST(name, options, mib, block_bytes) CLUSTER_TEST (name, options, mib, block_bytes, block_bytes)
MAP_TEST (defaults_are_mapped, "-b 4096", 300, 4096)
MAP_TEST (blocks_of_1_kib_are_mapped, "-b 1024", 60, 1024)
MAP_TEST (blocks_of_2_kib_are_mapped, "-b 2048", 60, 2048)
MAP_TEST (small_groups_are_mapped, "-b 4096 -g 1024", 64, 4096)
MAP_TEST (a_short_last_group_is_mapped, "-b 1024 -g 8192 -N 4096", 61, 1024)
MAP_TEST (with_64bit_is_mapped, "-b 4096 -O 64bit", 64, 4096)
MAP_TEST (without_64bit_is_mapped, "-b 4096 -O ^64bit", 64, 4096)
MAP_TEST (without_checksums_is_mapped, "-b 4096 -O ^metadata_csum", 64, 4096)
MAP_TEST (with_old_checksums_is_mapped, "-b 1024 -O ^metadata_csum,uninit_bg", 60, 1024)
MAP_TEST (with_meta_bg_is_mapped, "-b 1024 -O meta_bg,^resize_inode", 60, 1024)
MAP_TEST (without_flex_bg_is_mapped, "-b 1024 -O ^flex_bg", 60, 1024)
MAP_TEST (with_sparse_super2_is_mapped, "-b 1024 -O sparse_super2", 60, 1024)
MAP_TEST (inline_data_is_mapped, "-b 4096 -I 256 -O inline_data", 64, 4096)
MAP_TEST (ext3_is_mapped, "-b 4096 -O ^extents,^64bit,^metadata_csum,^flex_bg,^huge_file,^dir_nlink,^extra_isize", 64,
	  4096)
MAP_TEST (a_filesystem_smaller_than_its_place_is_mapped, "-b 4096 -E resize=200000", 64, 4096)

MAP_TEST (blocks_of_64_kib_are_mapped, "-b 65536", 300, 65536)
MAP_TEST (many_groups_of_64_kib_are_mapped, "-b 65536 -g 1024", 300, 65536)
MAP_TEST (without_64bit_and_flex_bg_is_mapped, "-b 4096 -g 2048 -O ^64bit,^flex_bg", 100, 4096)
MAP_TEST (meta_bg_and_64bit_without_flex_bg_is_mapped, "-b 1024 -O meta_bg,64bit,^resize_inode,^flex_bg", 200, 1024)
MAP_TEST (without_resize_inode_is_mapped, "-b 1024 -O ^resize_inode", 60, 1024)
MAP_TEST (without_sparse_super_is_mapped, "-b 1024 -O ^sparse_super,^resize_inode", 60, 1024)
MAP_TEST (sparse_super2_with_one_copy_is_mapped, "-b 1024 -O sparse_super2,^resize_inode -E num_backup_sb=1", 60, 1024)
MAP_TEST (sparse_super2_without_copies_is_mapped, "-b 1024 -O sparse_super2,^resize_inode -E num_backup_sb=0", 60, 1024)
MAP_TEST (packed_tables_are_mapped, "-b 4096 -G 256 -E packed_meta_blocks=1", 600, 4096)
MAP_TEST (large_inodes_are_mapped, "-b 4096 -I 1024", 64, 4096)
MAP_TEST (small_inodes_are_mapped, "-b 4096 -I 128", 64, 4096)
MAP_TEST (many_inodes_are_mapped, "-b 1024 -N 65536", 60, 1024)
MAP_TEST (no_journal_is_mapped, "-b 4096 -O ^has_journal", 64, 4096)
MAP_TEST (ext2_is_mapped, "-b 1024 -t ext2", 60, 1024)
MAP_TEST (ext3_by_name_is_mapped, "-b 1024 -t ext3", 60, 1024)
MAP_TEST (a_large_journal_is_mapped, "-b 1024 -J size=32", 100, 1024)
MAP_TEST (a_journal_without_extents_is_mapped, "-b 1024 -O ^extents,^64bit -J size=32", 100, 1024)
MAP_TEST (quota_and_project_are_mapped, "-b 4096 -O quota,project", 64, 4096)
MAP_TEST (an_orphan_file_is_mapped, "-b 4096 -O orphan_file", 64, 4096)
CLUSTER_TEST (bigalloc_is_mapped, "-b 4096 -O bigalloc", 300, 4096, 65536)
CLUSTER_TEST (bigalloc_of_1_kib_is_mapped, "-b 1024 -O bigalloc -C 16384", 300, 1024, 16384)
CLUSTER_TEST (bigalloc_with_small_groups_is_mapped, "-b 1024 -O bigalloc -C 4096 -g 8192", 100, 1024, 4096)
CLUSTER_TEST (bigalloc_without_checksums_is_mapped, "-b 4096 -O bigalloc,^metadata_csum -C 8192", 100, 4096, 8192)
CLUSTER_TEST (bigalloc_without_flex_bg_is_mapped, "-b 4096 -O bigalloc,^flex_bg,^resize_inode -C 16384 -g 16384", 300,
	      4096, 16384)

/* A block full of the mark is one of a file, unless that was deleted: the bytes say so, whatever tables say. */
static void no_block_of_a_file_is_free (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};
	struct file_source disk = make_plain ();
	static unsigned char block[4096];
	uint64_t marked = 0, marked_free = 0;

	(void) state;
	map_all (&disk, &map);
	for (uint64_t at = 0; at < disk.source.size_bytes; at += sizeof block) {
		file_source_get (&disk, at, block, sizeof block);
		marked += block[0] == MARK && memcmp (block, block + 1, sizeof block - 1) == 0;
	}
	for (size_t i = 0; i < map.count; i++)
		for (uint64_t at = 0; at < map.items[i].length; at += sizeof block) {
			file_source_get (&disk, map.items[i].start + at, block, sizeof block);
			marked_free += block[0] == MARK && memcmp (block, block + 1, sizeof block - 1) == 0;
		}
	assert_int_equal (marked, 3 * 2 * MIB / sizeof block);
	assert_int_equal (marked_free, 2 * MIB / sizeof block);
	file_source_end (&disk);
}

static void positions_are_those_on_the_disk (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents here = {0}, moved = {0};
	struct file_source disk = make_plain ();
	struct vmc_error err;

	(void) state;
	map_all (&disk, &here);
	disk.shift = 7 * MIB;
	disk.source.size_bytes += 7 * MIB;
	assert_int_equal (map_place (&disk, 7 * MIB, 64 * MIB, &moved, &err), 0);
	assert_int_equal (moved.count, here.count);
	for (size_t i = 0; i < here.count; i++) {
		assert_int_equal (moved.items[i].start, here.items[i].start + 7 * MIB);
		assert_int_equal (moved.items[i].length, here.items[i].length);
	}
	file_source_end (&disk);
}

static void ranges_are_added_to_those_that_are_there (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};
	struct file_source disk = make_plain ();
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_extents_add (&map, 0, 1, &err), 0);
	map_all (&disk, &map);
	assert_true (map.count > 1);
	assert_int_equal (map.items[0].length, 1);
	file_source_end (&disk);
}

static void the_geometry_is_told (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};
	struct file_source disk = make_fs ("-b 1024 -U 01234567-89ab-cdef-0123-456789abcdef", 60 * MIB);
	struct vmc_ext4_geometry geometry;
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_ext4_map (&disk.source, 0, 60 * MIB, &geometry, &map, &err), 0);
	assert_int_equal (geometry.blocks, 60 * 1024);
	assert_int_equal (geometry.block_bytes, 1024);
	assert_int_equal (geometry.groups, 8);
	assert_true (geometry.metadata_csum);
	assert_memory_equal (geometry.uuid, "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef", 16);
	file_source_end (&disk);
}

/* --- what is refused: the gate ----------------------------------------------------------------------------------------- */

static void the_magic_is_recognised (void **state)
{
	unsigned char superblock[VMC_EXT4_SUPERBLOCK_BYTES] = {0};

	(void) state;
	assert_false (vmc_ext4_magic (superblock));
	superblock[S_MAGIC] = 0x53;
	superblock[S_MAGIC + 1] = 0xEF;
	assert_true (vmc_ext4_magic (superblock));
}

static void needs_recovery_is_refused (void **state)
{
	struct file_source disk = make_plain ();

	(void) state;
	flip (&disk, SUPER (S_FEATURE_INCOMPAT), 4);
	assert_refused (disk, "its journal needs recovery");
}

static void the_error_state_is_refused (void **state)
{
	struct file_source disk = make_plain ();

	(void) state;
	put16 (&disk, SUPER (S_STATE), 3);
	assert_refused (disk, "marked as having errors");
}

static void a_state_that_is_not_clean_is_refused (void **state)
{
	struct file_source disk = make_plain ();

	(void) state;
	put16 (&disk, SUPER (S_STATE), 0);
	assert_refused (disk, "boot it and shut it down cleanly, or run e2fsck");
}

/* As it is while it is mounted: nothing else tells that it is being written. */
static void no_journal_and_not_clean_is_refused (void **state)
{
	struct file_source disk = make_fs ("-b 4096 -O ^has_journal,^metadata_csum", 64 * MIB);

	(void) state;
	put16 (&disk, SUPER (S_STATE), 0);
	assert_refused (disk, "boot it and shut it down cleanly, or run e2fsck");
}

static void a_device_for_journals_is_refused (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);

	(void) state;
	file_source_run (&disk, "mkfs.ext4 -q -F -b 4096 -O journal_dev $DISK");
	assert_refused (disk, "");
}

static void multiple_mount_protection_is_refused (void **state)
{
	(void) state;
	assert_refused (make_fs ("-b 4096 -O mmp", 64 * MIB), "features that are not known here");
}

/* Numbers that the gate must not let through, each in an otherwise good superblock. */
static void impossible_numbers_are_refused (void **state)
{
	static const struct {
		unsigned offset, bytes;
		uint32_t value;
		const char *reason;
	} cases[] = {
		{S_MAGIC, 2, 0xEF54, "not ext4"},
		{S_REV_LEVEL, 4, 0, "not ext4"},
		{S_REV_LEVEL, 4, 2, "not ext4"},
		{S_CREATOR_OS, 4, 1, "not made by Linux"},
		{S_LOG_BLOCK_SIZE, 4, 7, "blocks have a size"},
		{S_LOG_BLOCK_SIZE, 4, UINT32_MAX, "blocks have a size"},
		{S_LOG_BLOCK_SIZE, 4, 0, "blocks have a size"}, /* the first data block would be 1 */
		{S_FIRST_DATA_BLOCK, 4, 1, "blocks have a size"},
		{S_BLOCKS_PER_GROUP, 4, 0, "block groups have a size"},
		{S_BLOCKS_PER_GROUP, 4, 8, "block groups have a size"},
		{S_BLOCKS_PER_GROUP, 4, 32776, "block groups have a size"},
		{S_BLOCKS_PER_GROUP, 4, 32767, "block groups have a size"},
		{S_CLUSTERS_PER_GROUP, 4, 32760, "block groups have a size"},
		{S_LOG_CLUSTER_SIZE, 4, 6, "clusters have a size"},
		{S_INODES_PER_GROUP, 4, 0, "inodes have a size or number"},
		{S_INODES_PER_GROUP, 4, 8, "inodes have a size or number"},
		{S_INODES_PER_GROUP, 4, 32769, "inodes have a size or number"},
		{S_INODE_SIZE, 2, 0, "inodes have a size or number"},
		{S_INODE_SIZE, 2, 64, "inodes have a size or number"},
		{S_INODE_SIZE, 2, 257, "inodes have a size or number"},
		{S_INODE_SIZE, 2, 8192, "inodes have a size or number"},
		{S_DESC_SIZE, 2, 0, "group descriptors have a size"},
		{S_DESC_SIZE, 2, 32, "group descriptors have a size"},
		{S_DESC_SIZE, 2, 96, "group descriptors have a size"},
		{S_DESC_SIZE, 2, 2048, "group descriptors have a size"},
		{S_BLOCKS_COUNT, 4, 0, "larger than the place"},
		{S_BLOCKS_COUNT, 4, 8, "larger than the place"},
		{S_BLOCKS_COUNT, 4, 16385, "larger than the place"},
		{S_BLOCKS_COUNT_HI, 4, 1, "larger than the place"},
		{S_BLOCKS_COUNT_HI, 4, UINT32_MAX, "larger than the place"},
		{S_INODES_COUNT, 4, 5, "does not fit its number of groups"},
		{S_RESERVED_GDT_BLOCKS, 2, 1025, "more room is reserved"},
		{S_RESERVED_GDT_BLOCKS, 2, UINT16_MAX, "more room is reserved"},
		{S_LOG_GROUPS_PER_FLEX, 1, 32, "groups of groups"},
		{S_CHECKSUM_TYPE, 1, 0, "checksums are of a type"},
		{S_CHECKSUM_TYPE, 1, 2, "checksums are of a type"},
	};
	struct file_source disk = make_plain ();
	unsigned char good[VMC_EXT4_SUPERBLOCK_BYTES], superblock[VMC_EXT4_SUPERBLOCK_BYTES];
	struct vmc_ext4_geometry geometry;
	struct vmc_error err;

	(void) state;
	file_source_get (&disk, VMC_EXT4_SUPERBLOCK_OFFSET, good, sizeof good);
	file_source_end (&disk);
	assert_int_equal (vmc_ext4_gate (good, 64 * MIB, &geometry, &err), 0);
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		uint32_t value = htole32 (cases[i].value);

		memcpy (superblock, good, sizeof good);
		memcpy (superblock + cases[i].offset, &value, cases[i].bytes);
		if (vmc_ext4_gate (superblock, 64 * MIB, &geometry, &err) == 0)
			fail_msg ("%u at %u was taken", cases[i].value, cases[i].offset);
		assert_error (err, VMC_REFUSED, cases[i].reason);
	}
}

/* The same where other numbers count. */
static void impossible_numbers_of_other_kinds_are_refused (void **state)
{
	static const struct {
		const char *options;
		unsigned offset, bytes;
		uint32_t value;
		const char *reason;
	} cases[] = {
		{"-O meta_bg,^resize_inode", S_FIRST_META_BG, 4, 2, "begin where no group is"},
		{"-O meta_bg,^resize_inode", S_FIRST_META_BG, 4, UINT32_MAX, "begin where no group is"},
		{"-O meta_bg,^resize_inode", S_FEATURE_COMPAT, 1, 0x3C, "in two places at once"},
		{"-g 1000", S_RESERVED_GDT_BLOCKS, 2, 1000, "do not fit into a group"},
		{"-O sparse_super2", S_BACKUP_BGS, 4, 2, "copies of its superblock"},
		{"-O sparse_super2", S_BACKUP_BGS + 4, 4, UINT32_MAX, "copies of its superblock"},
		{"-O bigalloc -C 16384", S_LOG_CLUSTER_SIZE, 4, 1, "clusters have a size"},
		{"-O bigalloc -C 16384", S_LOG_CLUSTER_SIZE, 4, 20, "clusters have a size"},
		{"-O bigalloc -C 16384", S_LOG_CLUSTER_SIZE, 4, UINT32_MAX, "clusters have a size"},
		{"-O bigalloc -C 16384", S_LOG_CLUSTER_SIZE, 4, 5, "block groups have a size"},
		{"-O bigalloc -C 16384", S_CLUSTERS_PER_GROUP, 4, 32760, "block groups have a size"},
		{"-O bigalloc -C 16384", S_FIRST_DATA_BLOCK, 4, 1, "blocks have a size"},
		{"-O ^64bit,^metadata_csum", S_DESC_SIZE, 2, 64, "group descriptors have a size"},
	};
	unsigned char superblock[VMC_EXT4_SUPERBLOCK_BYTES];
	struct vmc_ext4_geometry geometry;
	struct vmc_error err;

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		struct file_source disk = file_source_make (64 * MIB);
		uint32_t value = htole32 (cases[i].value);
		char command[200];

		(void) snprintf (command, sizeof command, "mkfs.ext4 -q -F -b 4096 %s $DISK", cases[i].options);
		file_source_run (&disk, command);
		file_source_get (&disk, VMC_EXT4_SUPERBLOCK_OFFSET, superblock, sizeof superblock);
		file_source_end (&disk);
		if (vmc_ext4_gate (superblock, 64 * MIB, &geometry, &err) < 0)
			fail_msg ("%s: %s", cases[i].options, err.text);
		memcpy (superblock + cases[i].offset, &value, cases[i].bytes);
		if (vmc_ext4_gate (superblock, 64 * MIB, &geometry, &err) == 0)
			fail_msg ("%s: %u at %u was taken", cases[i].options, cases[i].value, cases[i].offset);
		assert_error (err, VMC_REFUSED, cases[i].reason);
	}
}

/* The number of blocks in a group is that of clusters, too: both are changed, so that nothing else is wrong. */
static void groups_that_are_no_whole_bytes_are_refused (void **state)
{
	struct file_source disk = make_plain ();
	struct vmc_ext4_geometry geometry;
	unsigned char superblock[VMC_EXT4_SUPERBLOCK_BYTES];
	struct vmc_error err;

	(void) state;
	put32 (&disk, SUPER (S_BLOCKS_PER_GROUP), 32764);
	put32 (&disk, SUPER (S_CLUSTERS_PER_GROUP), 32764);
	file_source_get (&disk, VMC_EXT4_SUPERBLOCK_OFFSET, superblock, sizeof superblock);
	file_source_end (&disk);
	assert_int_equal (vmc_ext4_gate (superblock, 64 * MIB, &geometry, &err), -1);
	assert_error (err, VMC_REFUSED, "block groups have a size");
}

/* Each feature that is not known here by name, also those that nobody has invented yet. */
static void features_that_are_not_known_are_refused (void **state)
{
	static const struct {
		unsigned offset;
		uint32_t allowed;
	} cases[] = {
		{S_FEATURE_COMPAT, 0x4 | 0x8 | 0x10 | 0x20 | 0x200 | 0x800 | 0x1000},
		{S_FEATURE_INCOMPAT,
		 0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000},
		{S_FEATURE_RO_COMPAT, 0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 |
					      0x200 /* its clusters have a size */ | 0x400 | 0x2000 | 0x8000 | 0x10000},
	};
	struct file_source disk = make_plain ();
	unsigned char good[VMC_EXT4_SUPERBLOCK_BYTES], superblock[VMC_EXT4_SUPERBLOCK_BYTES];
	struct vmc_ext4_geometry geometry;
	struct vmc_error err;

	(void) state;
	file_source_get (&disk, VMC_EXT4_SUPERBLOCK_OFFSET, good, sizeof good);
	file_source_end (&disk);
	for (size_t i = 0; i < UNIT_COUNT (cases); i++)
		for (unsigned bit = 0; bit < 32; bit++) {
			if (cases[i].allowed >> bit & 1)
				continue;
			memcpy (superblock, good, sizeof good);
			superblock[cases[i].offset + bit / 8] |= (unsigned char) (1 << bit % 8);
			if (vmc_ext4_gate (superblock, 64 * MIB, &geometry, &err) == 0)
				fail_msg ("bit %u at %u was taken", bit, cases[i].offset);
			assert_int_equal (err.code, VMC_REFUSED);
		}
}

static void a_place_that_is_too_short_is_refused (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};
	struct file_source disk = make_plain ();
	struct vmc_error err;

	(void) state;
	assert_int_equal (map_place (&disk, 0, 64 * MIB - 1, &map, &err), -1);
	assert_error (err, VMC_REFUSED, "larger than the place where it lies");
	assert_int_equal (map_place (&disk, 0, 2047, &map, &err), -1);
	assert_error (err, VMC_REFUSED, "too small for a filesystem");
	assert_int_equal (map_place (&disk, 0, 0, &map, &err), -1);
	file_source_end (&disk);
}

static void a_place_beyond_the_disk_is_refused (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};
	struct file_source disk = make_plain ();
	struct vmc_error err;

	(void) state;
	assert_int_equal (map_place (&disk, 64 * MIB, 64 * MIB, &map, &err), -1);
	assert_error (err, VMC_REFUSED, "beyond the end of the disk");
	file_source_end (&disk);
}

/* The place was promised, but the bytes are not there. Without flex_bg the bitmaps lie all over it. */
static void a_truncated_disk_is_refused (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};
	struct file_source disk = make_fs ("-b 4096 -g 1024 -O ^flex_bg", 64 * MIB);
	struct vmc_error err;

	(void) state;
	disk.source.size_bytes = 40 * MIB;
	assert_int_equal (map_place (&disk, 0, 64 * MIB, &map, &err), -1);
	assert_int_equal (err.code, VMC_REFUSED);
	assert_int_equal (map.count, 0);
	file_source_end (&disk);
}

/* --- what is refused: the proofs --------------------------------------------------------------------------------------- */

static void a_wrong_checksum_of_the_superblock_is_refused (void **state)
{
	struct file_source disk = make_plain ();

	(void) state;
	put32 (&disk, SUPER (S_FREE_BLOCKS), get32 (&disk, SUPER (S_FREE_BLOCKS)) - 1);
	assert_refused (disk, "superblock has a wrong checksum");
}

static void a_wrong_checksum_of_a_descriptor_is_refused (void **state)
{
	struct file_source disk = make_plain ();

	(void) state;
	put16 (&disk, DESC (GD_FREE_BLOCKS), (uint16_t) (get32 (&disk, DESC (GD_FREE_BLOCKS)) - 1));
	assert_refused (disk, "a group descriptor has a wrong checksum");
}

static void a_wrong_old_checksum_of_a_descriptor_is_refused (void **state)
{
	struct file_source disk = make_fs ("-b 4096 -O ^metadata_csum,uninit_bg", 64 * MIB);

	(void) state;
	put16 (&disk, DESC (GD_FREE_BLOCKS), (uint16_t) (get32 (&disk, DESC (GD_FREE_BLOCKS)) - 1));
	assert_refused (disk, "a group descriptor has a wrong checksum");
}

static void a_wrong_checksum_of_a_bitmap_is_refused (void **state)
{
	struct file_source disk = make_plain ();

	(void) state;
	flip (&disk, (uint64_t) get32 (&disk, DESC (GD_BLOCK_BITMAP)) * 4096 + 100, 0x10);
	assert_refused (disk, "a block bitmap has a wrong checksum");
}

/* Two bits that balance each other: the count is right, the checksum is not. */
static void a_bitmap_with_the_right_count_is_refused_by_its_checksum (void **state)
{
	struct file_source disk = make_plain ();
	uint64_t bitmap = (uint64_t) get32 (&disk, DESC (GD_BLOCK_BITMAP)) * 4096;

	(void) state;
	flip (&disk, bitmap, 1);                      /* the superblock: used, now free */
	flip (&disk, bitmap + 16384 / 8 - 1, 1 << 6); /* near the end: free, now used */
	assert_refused (disk, "a block bitmap has a wrong checksum");
}

static void a_bitmap_with_another_count_is_refused (void **state)
{
	struct file_source disk = make_unchecked ();

	(void) state;
	flip (&disk, (uint64_t) get32 (&disk, DESC (GD_BLOCK_BITMAP)) * 4096 + 16384 / 8 - 1, 1 << 6);
	assert_refused (disk, "the bitmap of a group does not have as many free blocks");
}

static void a_superblock_with_another_count_is_refused (void **state)
{
	struct file_source disk = make_unchecked ();

	(void) state;
	put32 (&disk, SUPER (S_FREE_BLOCKS), get32 (&disk, SUPER (S_FREE_BLOCKS)) + 1);
	assert_refused (disk, "as many free blocks as its superblock says");
}

static void locations_outside_are_refused (void **state)
{
	static const unsigned fields[] = {GD_BLOCK_BITMAP, GD_INODE_BITMAP, GD_INODE_TABLE};
	static const uint32_t blocks[] = {16384, 16385, 0x7FFFFFFF, UINT32_MAX};

	(void) state;
	for (size_t field = 0; field < UNIT_COUNT (fields); field++)
		for (size_t i = 0; i < UNIT_COUNT (blocks); i++) {
			struct file_source disk = i % 2 ? make_unchecked () : make_plain ();

			put32 (&disk, DESC (fields[field]), blocks[i]);
			assert_refused (disk, "");
		}
}

/* libext2fs reads a bitmap that lies outside as a group that is all free, and says nothing. */
static void a_bitmap_outside_is_refused_with_checksums (void **state)
{
	struct file_source disk = make_plain ();

	(void) state;
	put32 (&disk, DESC (GD_BLOCK_BITMAP), 16384);
	assert_refused (disk, "a bitmap or table lies outside");
}

static void a_bitmap_outside_is_refused_without_checksums (void **state)
{
	struct file_source disk = make_unchecked ();

	(void) state;
	put32 (&disk, DESC (GD_BLOCK_BITMAP), 16384);
	assert_refused (disk, "a bitmap or table lies outside");
}

static void a_table_that_only_ends_outside_is_refused (void **state)
{
	struct file_source disk = make_unchecked ();

	(void) state;
	put32 (&disk, DESC (GD_INODE_TABLE), 16383);
	assert_refused (disk, "a bitmap or table lies outside");
}

/* Where the superblock of the journal is, found by what it starts with. */
static uint64_t find_journal (const struct file_source *disk)
{
	static const unsigned char start[8] = {0xC0, 0x3B, 0x39, 0x98, 0, 0, 0, 4};

	for (uint64_t at = 0; at < disk->source.size_bytes; at += 4096) {
		unsigned char bytes[8];

		file_source_get (disk, at, bytes, sizeof bytes);
		if (memcmp (bytes, start, sizeof start) == 0)
			return at;
	}
	fail_msg ("no journal was found");
	return 0;
}

static void a_journal_with_something_in_it_is_refused (void **state)
{
	struct file_source disk = make_plain ();

	(void) state;
	flip (&disk, find_journal (&disk) + 31, 1);
	assert_refused (disk, "its journal is not empty");
}

static void a_journal_with_an_error_is_refused (void **state)
{
	struct file_source disk = make_plain ();

	(void) state;
	flip (&disk, find_journal (&disk) + 35, 5);
	assert_refused (disk, "its journal is marked as having errors");
}

static void a_journal_that_is_none_is_refused (void **state)
{
	struct file_source disk = make_plain ();

	(void) state;
	flip (&disk, find_journal (&disk), 1);
	assert_refused (disk, "its journal has no superblock");
}

static void a_journal_elsewhere_is_refused (void **state)
{
	struct file_source disk = make_unchecked ();

	(void) state;
	put32 (&disk, SUPER (S_JOURNAL_INUM), 12);
	assert_refused (disk, "its journal is not inside of it");
}

static void a_journal_on_another_device_is_refused (void **state)
{
	struct file_source disk = make_unchecked ();

	(void) state;
	put32 (&disk, SUPER (S_JOURNAL_INUM), 0);
	put32 (&disk, SUPER (S_JOURNAL_DEV), 0x801);
	assert_refused (disk, "its journal is not");
}

static void a_journal_that_ends_too_early_is_refused (void **state)
{
	struct file_source disk = make_unchecked ();
	uint64_t inode = (uint64_t) get32 (&disk, DESC (GD_INODE_TABLE)) * 4096 + 7 * 256;

	(void) state;
	assert_int_equal (get32 (&disk, inode + 4), 4 * MIB); /* its size */
	put32 (&disk, inode + 4, 5 * MIB);
	assert_refused (disk, "its journal is not all there");
}

/* --- what must be in use --------------------------------------------------------------------------------------------------- */

/* A free block of the group of BLOCK, by what the map of the sound filesystem says. */
static uint64_t find_free (const struct vmc_extents *map, uint64_t block, uint64_t per_group)
{
	uint64_t start = block / per_group * per_group * 4096, end = start + per_group * 4096;

	for (size_t i = 0; i < map->count; i++)
		if (map->items[i].start >= start && map->items[i].start < end)
			return map->items[i].start / 4096;
	fail_msg ("no block is free in the group of block %ju", (uintmax_t) block);
	return 0;
}

/* debugfs marks the block as free and another one of its group as used: all counts and checksums are right. The bitmap of the
 * group is one that was written. */
static void assert_cannot_be_free (const char *options, uint64_t (*find) (const struct file_source *disk),
				   uint64_t per_group)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};
	struct file_source disk = make_fs (options, 64 * MIB);
	uint64_t block = find (&disk);
	char command[200];

	map_all (&disk, &map);
	(void) snprintf (command, sizeof command,
			 "printf 'set_bg %ju flags 4\\nset_bg %ju checksum calc\\nfreeb %ju\\nsetb %ju\\n' | "
			 "debugfs -w -f - $DISK",
			 (uintmax_t) (block / per_group), (uintmax_t) (block / per_group), (uintmax_t) block,
			 (uintmax_t) find_free (&map, block, per_group));
	file_source_run (&disk, command);
	assert_refused (disk, "a bitmap calls free where a table or the journal lies");
}

static uint64_t find_copy (const struct file_source *disk)
{
	(void) disk;
	return 4096;
}

static uint64_t find_descriptors (const struct file_source *disk)
{
	(void) disk;
	return 1;
}

static uint64_t find_reserved_descriptors (const struct file_source *disk)
{
	(void) disk;
	return 4096 + 3;
}

static uint64_t find_block_bitmap (const struct file_source *disk)
{
	return get32 (disk, DESC (64 + GD_BLOCK_BITMAP));
}

static uint64_t find_inode_bitmap (const struct file_source *disk)
{
	return get32 (disk, DESC (64 + GD_INODE_BITMAP));
}

static uint64_t find_inode_table (const struct file_source *disk)
{
	return get32 (disk, DESC (2 * 64 + GD_INODE_TABLE));
}

static uint64_t find_end_of_inode_table (const struct file_source *disk)
{
	return get32 (disk, DESC (GD_INODE_TABLE)) + get32 (disk, SUPER (S_INODES_PER_GROUP)) * 256 / 4096 - 1;
}

static uint64_t find_start_of_journal (const struct file_source *disk)
{
	return find_journal (disk) / 4096;
}

static uint64_t find_middle_of_journal (const struct file_source *disk)
{
	return find_journal (disk) / 4096 + 500;
}

static void what_must_be_in_use_is_not_free (void **state)
{
	static uint64_t (*const finds[]) (const struct file_source *disk) = {find_copy,
									     find_descriptors,
									     find_reserved_descriptors,
									     find_block_bitmap,
									     find_inode_bitmap,
									     find_inode_table,
									     find_end_of_inode_table,
									     find_start_of_journal,
									     find_middle_of_journal};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (finds); i++) {
		assert_cannot_be_free ("-b 4096 -g 4096", finds[i], 4096);
		assert_cannot_be_free ("-b 4096 -g 4096 -O ^flex_bg", finds[i], 4096);
	}
}

/* A journal that is mapped block by block: the blocks that name its blocks count, too. Its first is behind 12 of the data. */
static uint64_t find_indirect_block (const struct file_source *disk)
{
	uint64_t inode = (uint64_t) get32 (disk, DESC (GD_INODE_TABLE)) * 4096 + 7 * 256;

	return get32 (disk, inode + 40 + 12 * 4);
}

static void the_tree_of_the_journal_is_not_free (void **state)
{
	(void) state;
	assert_cannot_be_free ("-b 4096 -g 4096 -O ^extents,^64bit", find_indirect_block, 4096);
}

/* A cluster with something in it is used as a whole. */
static void the_layout_is_one_of_clusters (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents layout = {0};
	struct file_source disk = make_fs ("-b 4096 -O bigalloc -C 65536", 300 * MIB);
	char path[64];
	struct vmc_error err;
	ext2_filsys fs;

	(void) state;
	(void) snprintf (path, sizeof path, "/proc/self/fd/%d", disk.fd);
	assert_int_equal (ext2fs_open (path, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fs), 0);
	assert_int_equal (vmc_ext4_layout (fs, &layout, &err), 0);
	assert_true (layout.count > 0);
	for (size_t i = 0; i < layout.count; i++) {
		assert_int_equal (layout.items[i].start % 16, 0);
		assert_int_equal (layout.items[i].length % 16, 0);
	}
	(void) ext2fs_close (fs);
	file_source_end (&disk);
}

static void two_on_top_of_each_other_are_refused (void **state)
{
	static const struct {
		unsigned field, from;
		uint32_t more;
	} cases[] = {
		{GD_BLOCK_BITMAP, 64 + GD_BLOCK_BITMAP, 0}, {GD_INODE_BITMAP, GD_BLOCK_BITMAP, 0},
		{GD_INODE_TABLE, GD_INODE_BITMAP, 0},       {GD_BLOCK_BITMAP, GD_INODE_TABLE, 5},
		{GD_INODE_TABLE, 64 + GD_INODE_TABLE, 1},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		struct file_source disk = make_fs ("-b 4096 -g 4096 -O ^metadata_csum,64bit", 64 * MIB);

		put32 (&disk, DESC (cases[i].field), get32 (&disk, DESC (cases[i].from)) + cases[i].more);
		assert_refused (disk, "lie on top of each other");
	}
}

static void a_table_on_the_superblock_is_refused (void **state)
{
	struct file_source disk = make_unchecked ();

	(void) state;
	put32 (&disk, DESC (GD_INODE_BITMAP), 1);
	assert_refused (disk, "lie on top of each other");
	disk = make_unchecked ();
	put32 (&disk, DESC (GD_INODE_BITMAP), 0);
	assert_refused (disk, "a bitmap or table lies outside");
}

/* "Nothing was ever written here", of a group with files in it: what is counted tells. */
static void a_used_group_that_claims_to_be_new_is_refused (void **state)
{
	struct file_source disk = make_plain ();

	(void) state;
	file_source_run (&disk, "printf 'set_bg 0 flags 0x7\\nset_bg 0 checksum calc\\n' | debugfs -w -f - $DISK");
	assert_refused (disk, "as many free blocks as its descriptor says");
}

static int failing_read (struct vmc_source *source, void *buffer, uint64_t offset, size_t length, struct vmc_error *err)
{
	struct file_source *file = (struct file_source *) source;

	if (file->shift-- == 0)
		return vmc_fail (err, VMC_FAILED, 0, "no bytes today");
	return pread (file->fd, buffer, length, (off_t) offset) == (ssize_t) length ? 0 : -1;
}

/* Whichever read it is that fails: nothing is believed, nothing is lost. */
static void every_read_may_fail (void **state)
{
	struct file_source disk = make_plain ();
	unsigned reads = 0;
	int result = -1;

	(void) state;
	disk.source.read = failing_read;
	for (; result < 0 && reads < 1000; reads++) {
		VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};
		struct vmc_error err;

		disk.shift = reads;
		result = map_place (&disk, 0, 64 * MIB, &map, &err);
		assert_int_equal (result == 0, map.count > 0);
	}
	assert_int_equal (result, 0);
	assert_true (reads > 4);
	file_source_end (&disk);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (defaults_are_mapped),
	cmocka_unit_test (blocks_of_1_kib_are_mapped),
	cmocka_unit_test (blocks_of_2_kib_are_mapped),
	cmocka_unit_test (small_groups_are_mapped),
	cmocka_unit_test (a_short_last_group_is_mapped),
	cmocka_unit_test (with_64bit_is_mapped),
	cmocka_unit_test (without_64bit_is_mapped),
	cmocka_unit_test (without_checksums_is_mapped),
	cmocka_unit_test (with_old_checksums_is_mapped),
	cmocka_unit_test (with_meta_bg_is_mapped),
	cmocka_unit_test (without_flex_bg_is_mapped),
	cmocka_unit_test (with_sparse_super2_is_mapped),
	cmocka_unit_test (inline_data_is_mapped),
	cmocka_unit_test (ext3_is_mapped),
	cmocka_unit_test (a_filesystem_smaller_than_its_place_is_mapped),
	cmocka_unit_test (blocks_of_64_kib_are_mapped),
	cmocka_unit_test (many_groups_of_64_kib_are_mapped),
	cmocka_unit_test (without_64bit_and_flex_bg_is_mapped),
	cmocka_unit_test (meta_bg_and_64bit_without_flex_bg_is_mapped),
	cmocka_unit_test (without_resize_inode_is_mapped),
	cmocka_unit_test (without_sparse_super_is_mapped),
	cmocka_unit_test (sparse_super2_with_one_copy_is_mapped),
	cmocka_unit_test (sparse_super2_without_copies_is_mapped),
	cmocka_unit_test (packed_tables_are_mapped),
	cmocka_unit_test (large_inodes_are_mapped),
	cmocka_unit_test (small_inodes_are_mapped),
	cmocka_unit_test (many_inodes_are_mapped),
	cmocka_unit_test (no_journal_is_mapped),
	cmocka_unit_test (ext2_is_mapped),
	cmocka_unit_test (ext3_by_name_is_mapped),
	cmocka_unit_test (a_large_journal_is_mapped),
	cmocka_unit_test (a_journal_without_extents_is_mapped),
	cmocka_unit_test (quota_and_project_are_mapped),
	cmocka_unit_test (an_orphan_file_is_mapped),
	cmocka_unit_test (bigalloc_is_mapped),
	cmocka_unit_test (bigalloc_of_1_kib_is_mapped),
	cmocka_unit_test (bigalloc_with_small_groups_is_mapped),
	cmocka_unit_test (bigalloc_without_checksums_is_mapped),
	cmocka_unit_test (bigalloc_without_flex_bg_is_mapped),
	cmocka_unit_test (no_block_of_a_file_is_free),
	cmocka_unit_test (positions_are_those_on_the_disk),
	cmocka_unit_test (ranges_are_added_to_those_that_are_there),
	cmocka_unit_test (the_geometry_is_told),
	cmocka_unit_test (the_magic_is_recognised),
	cmocka_unit_test (needs_recovery_is_refused),
	cmocka_unit_test (the_error_state_is_refused),
	cmocka_unit_test (a_state_that_is_not_clean_is_refused),
	cmocka_unit_test (no_journal_and_not_clean_is_refused),
	cmocka_unit_test (a_device_for_journals_is_refused),
	cmocka_unit_test (multiple_mount_protection_is_refused),
	cmocka_unit_test (impossible_numbers_are_refused),
	cmocka_unit_test (impossible_numbers_of_other_kinds_are_refused),
	cmocka_unit_test (groups_that_are_no_whole_bytes_are_refused),
	cmocka_unit_test (features_that_are_not_known_are_refused),
	cmocka_unit_test (a_place_that_is_too_short_is_refused),
	cmocka_unit_test (a_place_beyond_the_disk_is_refused),
	cmocka_unit_test (a_truncated_disk_is_refused),
	cmocka_unit_test (a_wrong_checksum_of_the_superblock_is_refused),
	cmocka_unit_test (a_wrong_checksum_of_a_descriptor_is_refused),
	cmocka_unit_test (a_wrong_old_checksum_of_a_descriptor_is_refused),
	cmocka_unit_test (a_wrong_checksum_of_a_bitmap_is_refused),
	cmocka_unit_test (a_bitmap_with_the_right_count_is_refused_by_its_checksum),
	cmocka_unit_test (a_bitmap_with_another_count_is_refused),
	cmocka_unit_test (a_superblock_with_another_count_is_refused),
	cmocka_unit_test (locations_outside_are_refused),
	cmocka_unit_test (a_bitmap_outside_is_refused_with_checksums),
	cmocka_unit_test (a_bitmap_outside_is_refused_without_checksums),
	cmocka_unit_test (a_table_that_only_ends_outside_is_refused),
	cmocka_unit_test (a_journal_with_something_in_it_is_refused),
	cmocka_unit_test (a_journal_with_an_error_is_refused),
	cmocka_unit_test (a_journal_that_is_none_is_refused),
	cmocka_unit_test (a_journal_elsewhere_is_refused),
	cmocka_unit_test (a_journal_on_another_device_is_refused),
	cmocka_unit_test (a_journal_that_ends_too_early_is_refused),
	cmocka_unit_test (what_must_be_in_use_is_not_free),
	cmocka_unit_test (the_tree_of_the_journal_is_not_free),
	cmocka_unit_test (the_layout_is_one_of_clusters),
	cmocka_unit_test (two_on_top_of_each_other_are_refused),
	cmocka_unit_test (a_table_on_the_superblock_is_refused),
	cmocka_unit_test (a_used_group_that_claims_to_be_new_is_refused),
	cmocka_unit_test (every_read_may_fail),
};

int main (void)
{
	return unit_missing ("mkfs.ext4") || unit_missing ("debugfs") ? 0 : UNIT_RUN (tests);
}
