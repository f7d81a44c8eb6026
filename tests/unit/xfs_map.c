/* xfs_map.c - tests of host/xfs_*.c, on filesystems made by mkfs.xfs
 *
 * What is free is compared with what xfs_db says, and, of one that is mounted, torn into pieces and frozen, with what the kernel says
 * when it is unmounted. What must be refused is made by changing bytes, with the checksum made right again where the check behind it
 * is meant. Then thousands of bits are flipped: whatever is still accepted calls nothing free that the filesystem uses.
 */
#include "file_source.h"

#include <endian.h>
#include <ext2fs/ext2fs.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "xfs_map.h"

#define MIB (UINT64_C (1) << 20)
#define SIZE (320 * MIB)
#define SECTOR 512

#define SUPER 0
#define SUPER_CRC 224
#define AGF SECTOR
#define AGF_CRC 216
#define AGI (2 * SECTOR)
#define AGI_CRC 312
#define TREE_CRC 52 /* of a block of a tree, 4 KiB */

static struct file_source make_fs (const char *options)
{
	struct file_source disk = file_source_make (SIZE);
	char command[300];

	(void) snprintf (command, sizeof command, "mkfs.xfs -q -f -K %s $DISK", options);
	file_source_run (&disk, command);
	return disk;
}

static int try_map (struct file_source *disk, struct vmc_extents *map, struct vmc_error *err)
{
	struct vmc_xfs_geometry geometry;

	return vmc_xfs_map (&disk->source, 0, disk->source.size_bytes, &geometry, map, err);
}

static uint64_t get_be (const struct file_source *disk, uint64_t offset, int width)
{
	unsigned char bytes[8];
	uint64_t value = 0;

	file_source_get (disk, offset, bytes, (size_t) width);
	for (int i = 0; i < width; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* --- what is free ------------------------------------------------------------------------------- */

/* As xfs_db tells it: lines of group, block in it, length. */
static void get_truth (const struct file_source *disk, struct vmc_extents *truth)
{
	char command[300];
	unsigned long group, block, length, group_blocks = 0, block_bytes = 0;
	struct vmc_error err;
	FILE *out;

	(void) snprintf (command, sizeof command,
			 "xfs_db -f -r -c 'sb 0' -c 'p agblocks blocksize' -c 'freesp -d' /proc/%d/fd/%d",
			 (int) getpid (), disk->fd);
	out = popen (command, "r");
	assert_non_null (out);
	assert_int_equal (fscanf (out, "agblocks = %lu blocksize = %lu", &group_blocks, &block_bytes), 2);
	while (fscanf (out, " agno agbno len") == 0 && fscanf (out, " %lu %lu %lu", &group, &block, &length) == 3)
		assert_int_equal (vmc_extents_add (truth, (group * group_blocks + block) * block_bytes,
						   length * block_bytes, &err),
				  0);
	(void) pclose (out);
	vmc_extents_normalise (truth);
}

/* Blocks that the headers of the groups keep for their own trees: xfs_db calls them free, but the kernel writes there. */
static uint64_t kept_for_trees (const struct file_source *disk, const struct vmc_xfs_geometry *geometry)
{
	uint64_t blocks = 0;

	for (uint32_t group = 0; group < geometry->groups; group++)
		blocks += get_be (disk,
				  (uint64_t) group * geometry->group_blocks * geometry->block_bytes +
					  geometry->sector_bytes + 48,
				  4);
	return blocks * geometry->block_bytes;
}

/* Free is all that xfs_db calls free, but those. */
static void assert_true_map (struct file_source *disk, size_t at_least)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0}, truth = {0}, more = {0}, less = {0};
	struct vmc_xfs_geometry geometry;
	struct vmc_error err;

	if (vmc_xfs_map (&disk->source, 0, disk->source.size_bytes, &geometry, &map, &err) < 0)
		fail_msg ("%s", err.text);
	vmc_extents_normalise (&map);
	get_truth (disk, &truth);
	assert_true (map.count >= at_least);
	assert_int_equal (vmc_extents_subtract (&map, &truth, &more, &err), 0);
	assert_int_equal (more.count, 0);
	assert_int_equal (vmc_extents_subtract (&truth, &map, &less, &err), 0);
	assert_int_equal (vmc_extents_total (&less), kept_for_trees (disk, &geometry));
}

static void what_mkfs_makes_is_mapped (void **state)
{
	static const char *const options[] = {"",
					      "-b size=1024",
					      "-b size=2048",
					      "-s size=4096",
					      "-d agcount=3",
					      "-m rmapbt=1",
					      "-m reflink=0,finobt=0",
					      "-m bigtime=0,inobtcount=0 -i sparse=0",
					      "-l size=64m,su=64k,version=2"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (options); i++) {
		struct file_source disk = make_fs (options[i]);

		assert_true_map (&disk, 1);
		file_source_end (&disk);
	}
}

/* Mounted by a shell in a namespace of its own; INSIDE is done while it is mounted on $AT. */
static void mount_and (const struct file_source *disk, const char *inside)
{
	char line[1500];

	(void) snprintf (line, sizeof line,
			 "unshare --mount --propagation private sh -ec 'AT=$(mktemp -d); trap \"umount $AT 2>/dev/null "
			 "|| "
			 "true; rmdir $AT\" EXIT; mount -o loop,noatime /proc/%d/fd/%d $AT; %s; umount $AT'",
			 (int) getpid (), disk->fd, inside);
	if (system (line) != 0)
		fail_msg ("this failed: %s", line);
}

/* As many free pieces as make trees of several levels. */
static const char tear[] =
	"python3 -c \"import os, sys\n"
	"for i in range(6000):\n"
	"    with open(sys.argv[1] + chr(47) + str(i), chr(119) + chr(98)) as f: f.write(bytes(4096))\n"
	"os.sync()\n"
	"for i in range(0, 6000, 2): os.unlink(sys.argv[1] + chr(47) + str(i))\n"
	"\" $AT; sync";

static bool can_mount (void)
{
	return geteuid () == 0 && system ("grep -qw xfs /proc/filesystems && losetup -f >/dev/null 2>&1") == 0;
}

static void a_torn_one_is_mapped (void **state)
{
	struct file_source disk;

	(void) state;
	if (!can_mount ())
		skip ();
	disk = make_fs ("-d agcount=2");
	mount_and (&disk, tear);
	assert_true_map (&disk, 1500);
	file_source_end (&disk);
}

/* The bytes below it while it is frozen, in a file of their own: just what the base of an overlay is. */
static void a_frozen_one_is_mapped_and_one_that_is_not_is_refused (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents none = {0};
	struct file_source disk, frozen = file_source_make (SIZE), dirty = file_source_make (SIZE);
	struct vmc_error err;
	char inside[1200];

	(void) state;
	if (!can_mount ())
		skip ();
	disk = make_fs ("-d agcount=3");
	(void) snprintf (inside, sizeof inside,
			 "%s; fsfreeze -f $AT; cp /proc/%d/fd/%d /proc/%d/fd/%d; fsfreeze -u $AT; for i in 1 2 3 4 5; "
			 "do echo $i "
			 ">$AT/more$i; done; sync; cp /proc/%d/fd/%d /proc/%d/fd/%d",
			 tear, (int) getpid (), disk.fd, (int) getpid (), frozen.fd, (int) getpid (), disk.fd,
			 (int) getpid (), dirty.fd);
	mount_and (&disk, inside);
	assert_true_map (&frozen, 1000);
	assert_int_equal (try_map (&dirty, &none, &err), -1);
	assert_error (err, VMC_REFUSED, "log");
	assert_int_equal (none.count, 0);
	file_source_end (&disk);
	file_source_end (&frozen);
	file_source_end (&dirty);
}

/* --- what is refused ------------------------------------------------------------------------------ */

static void mend (const struct file_source *disk, uint64_t block, size_t length, size_t crc)
{
	unsigned char bytes[4096];
	uint32_t sum;

	file_source_get (disk, block, bytes, length);
	memset (bytes + crc, 0, 4);
	sum = htole32 (~ext2fs_crc32c_le (~0u, bytes, length));
	file_source_put (disk, block + crc, &sum, 4);
}

static void put_be (const struct file_source *disk, uint64_t offset, uint64_t value, int width)
{
	unsigned char bytes[8];

	for (int i = width; i-- > 0; value >>= 8)
		bytes[i] = (unsigned char) value;
	file_source_put (disk, offset, bytes, (size_t) width);
}

/* The root of the tree by block (0) or by size (1) of the first group, in bytes. */
static uint64_t root_of (const struct file_source *disk, int tree)
{
	return get_be (disk, AGF + 16 + 4 * (uint64_t) tree, 4) * 4096;
}

static void expect_refused (struct file_source *disk, const char *reason)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};
	struct vmc_error err;

	if (try_map (disk, &map, &err) == 0)
		fail_msg ("'%s' was not a reason to refuse", reason);
	assert_error (err, VMC_REFUSED, reason);
	assert_int_equal (map.count, 0);
}

struct change {
	uint64_t place; /* of the sector or block; 1 and 2: the roots of the trees */
	size_t at;
	int width;
	int64_t add; /* to what is there; or, if SET */
	bool set;
	const char *reason;
	bool leave; /* the checksum wrong */
};

static void change (struct file_source *disk, const struct change *one)
{
	bool tree = one->place == 1 || one->place == 2;
	uint64_t place = tree ? root_of (disk, (int) one->place - 1) : one->place;
	size_t crc = tree ? TREE_CRC : place == SUPER ? SUPER_CRC : place % SIZE == AGI ? AGI_CRC : AGF_CRC;
	uint64_t value =
		one->set ? (uint64_t) one->add : get_be (disk, place + one->at, one->width) + (uint64_t) one->add;

	put_be (disk, place + one->at, value, one->width);
	if (!one->leave)
		mend (disk, place, tree ? 4096 : SECTOR, crc);
}

static void single_changes_are_refused (void **state)
{
	static const struct change changes[] = {
		{SUPER, 0, 4, 0x58465342 + 1, true, "it is not XFS", false},
		{SUPER, 7, 1, 9, false, "blocks have a size", false},         /* blocksize */
		{SUPER, 8, 8, 1, false, "", false},                           /* dblocks */
		{SUPER, 8, 8, 1000000, false, "", false},                     /* dblocks */
		{SUPER, 84, 4, 1, false, "", false},                          /* agblocks */
		{SUPER, 88, 4, 1, false, "", false},                          /* agcount */
		{SUPER, 88, 4, 0, true, "", false},                           /* agcount */
		{SUPER, 101, 1, 4, true, "", false},                          /* versionnum: 4 in its low half byte */
		{SUPER, 102, 2, 4096, false, "", false},                      /* sectsize */
		{SUPER, 126, 1, 1, true, "mkfs.xfs has not finished", false}, /* inprogress */
		{SUPER, 48, 8, 1, false, "", false},                          /* logstart */
		{SUPER, 96, 4, 0, true, "", false},                           /* logblocks */
		{SUPER, 216, 4, 0x10000, false, "", false},                   /* incompat */
		{SUPER, 212, 4, 0x10000, false, "", false},                   /* ro_compat */
		{SUPER, 216, 4, 0x10, false, "in need of repair", false},     /* NEEDSREPAIR */
		{SUPER, 40, 1, 1, false, "wrong checksum", true},
		{AGF, 0, 4, 1, false, "header of a group is missing", false},
		{AGF, 8, 4, 1, false, "", false},   /* seqno */
		{AGF, 12, 4, -1, false, "", false}, /* length */
		{AGF, 16, 4, 1, false, "", false},  /* root by block */
		{AGF, 16, 4, 0x7FFFFFFF, true, "outside of its group", false},
		{AGF, 28, 4, 1, false, "", false}, /* level */
		{AGF, 28, 4, 200, true, "number of levels", false},
		{AGF, 40, 4, 1, false, "", false}, /* flfirst */
		{AGF, 48, 4, 1, false, "", false}, /* flcount */
		{AGF, 52, 4, 1, false, "as many free blocks", false},
		{AGF, 52, 4, -1, false, "as many free blocks", false},
		{AGF, 56, 4, 1, false, "as many free blocks", false}, /* longest */
		{AGF, 64, 1, 1, false, "another filesystem", false},
		{AGF, 12, 1, 1, false, "wrong checksum", true},
		{AGI, 8, 4, 1, false, "", false},
		{AGI, 0, 4, 1, false, "header of a group is missing", false},
		{AGI, 296, 1, 1, false, "another filesystem", false},
		{AGF + SIZE / 4, 52, 4, 1, false, "as many free blocks", false}, /* of the second of four groups */
		{1, 0, 4, 1, false, "another kind of block", false},
		{1, 4, 2, 1, false, "", false}, /* level */
		{1, 6, 2, 1, false, "", false}, /* numrecs */
		{1, 6, 2, 9999, true, "a number of entries", false},
		{1, 8, 4, 0, true, "do not follow each other", false}, /* left sibling */
		{1, 16, 8, 1, false, "not where it says", false},
		{1, 32, 1, 1, false, "another group or filesystem", false},
		{1, 48, 4, 1, false, "another group or filesystem", false},
		{1, 56, 4, 1, false, "", false}, /* first record: start */
		{1, 56, 4, -1, false, "", false},
		{1, 56, 4, 1, true, "", false},  /* over the headers */
		{1, 60, 4, 1, false, "", false}, /* length */
		{1, 60, 4, 0, true, "", false},
		{1, 60, 4, 0x7FFFFFFF, true, "outside of its group", false},
		{1, 61, 1, 1, false, "wrong checksum", true},
		{2, 60, 4, 1, false, "", false},
		{2, 56, 4, 1, false, "do not tell the same", false},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (changes); i++) {
		struct file_source disk = make_fs ("-d agcount=4");

		change (&disk, &changes[i]);
		expect_refused (&disk, changes[i].reason);
		file_source_end (&disk);
	}
}

static void a_place_that_is_too_short_is_refused (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};
	struct file_source disk = make_fs ("");
	struct vmc_xfs_geometry geometry;
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_xfs_map (&disk.source, 0, SIZE - 4096, &geometry, &map, &err), -1);
	assert_int_equal (vmc_xfs_map (&disk.source, 0, 100, &geometry, &map, &err), -1);
	assert_int_equal (vmc_xfs_map (&disk.source, SIZE, 0, &geometry, &map, &err), -1);
	assert_int_equal (vmc_xfs_map (&disk.source, 4096, SIZE - 4096, &geometry, &map, &err), -1);
	assert_int_equal (map.count, 0);
	file_source_end (&disk);
}

static void the_old_version_is_refused (void **state)
{
	struct file_source disk = make_fs ("-m crc=0,finobt=0,reflink=0,bigtime=0,inobtcount=0");

	(void) state;
	expect_refused (&disk, "which has no checksums");
	file_source_end (&disk);
}

/* --- bits that flip ---------------------------------------------------------------------------- */

static unsigned random_state = 20; /* any; the same each time */

static unsigned next_random (void)
{
	random_state = random_state * 1103515245u + 12345u;
	return random_state >> 8;
}

/* Of each group: its headers and the roots of its trees. */
struct metadata {
	uint64_t place;
	size_t length, crc;
};

static size_t find_metadata (const struct file_source *disk, struct metadata *list)
{
	uint64_t group_bytes = get_be (disk, 84, 4) * 4096, groups = get_be (disk, 88, 4);
	size_t count = 0;

	for (uint64_t group = 0; group < groups; group++) {
		uint64_t start = group * group_bytes;

		list[count++] = (struct metadata) {start + AGF, SECTOR, AGF_CRC};
		list[count++] = (struct metadata) {start + AGI, SECTOR, AGI_CRC};
		for (uint64_t tree = 0; tree < 2; tree++)
			list[count++] = (struct metadata) {start + get_be (disk, start + AGF + 16 + 4 * tree, 4) * 4096,
							   4096, TREE_CRC};
	}
	list[count++] = (struct metadata) {SUPER, SECTOR, SUPER_CRC};
	return count;
}

static void nothing_in_use_becomes_free_by_a_flipped_bit (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents truth = {0};
	struct file_source disk = make_fs ("-d agcount=4");
	struct metadata list[32];
	size_t count = find_metadata (&disk, list), accepted = 0;

	(void) state;
	get_truth (&disk, &truth);
	for (int i = 0; i < 4000; i++) {
		VMC_CLEANUP_EXTENTS struct vmc_extents map = {0}, wrong = {0};
		const struct metadata *one = &list[next_random () % count];
		unsigned char before[4096], after[4096];
		size_t bit = next_random () % ((i % 3 ? 128 : one->length) * 8); /* most in the first bytes */
		struct vmc_error err;

		file_source_get (&disk, one->place, before, one->length);
		memcpy (after, before, one->length);
		after[bit / 8] ^= (unsigned char) (1 << bit % 8);
		file_source_put (&disk, one->place, after, one->length);
		if (i % 8 != 0)
			mend (&disk, one->place, one->length, one->crc);
		if (try_map (&disk, &map, &err) == 0) {
			accepted++;
			vmc_extents_normalise (&map);
			assert_int_equal (vmc_extents_subtract (&map, &truth, &wrong, &err), 0);
			if (wrong.count > 0)
				fail_msg ("bit %zu of %llx: used blocks are called free", bit,
					  (unsigned long long) one->place);
		} else {
			assert_int_equal (map.count, 0);
		}
		file_source_put (&disk, one->place, before, one->length);
	}
	(void) printf ("# %zu of 4000 flips were accepted, and harmed nothing\n", accepted);
	assert_true (accepted > 0 && accepted < 3000);
	file_source_end (&disk);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (what_mkfs_makes_is_mapped),
	cmocka_unit_test (a_torn_one_is_mapped),
	cmocka_unit_test (a_frozen_one_is_mapped_and_one_that_is_not_is_refused),
	cmocka_unit_test (single_changes_are_refused),
	cmocka_unit_test (a_place_that_is_too_short_is_refused),
	cmocka_unit_test (the_old_version_is_refused),
	cmocka_unit_test (nothing_in_use_becomes_free_by_a_flipped_bit),
};

int main (void)
{
	return unit_missing ("mkfs.xfs") || unit_missing ("xfs_db") ? 0 : UNIT_RUN (tests);
}
