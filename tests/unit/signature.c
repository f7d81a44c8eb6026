/* signature.c - tests of host/signature.c: bytes that libblkid knows, where they lie, and how many of the disk are read for it */
#include "file_source.h"

#include <endian.h>
#include <sys/stat.h>

#include "memory_file.h"
#include "signature.h"

#define MIB (UINT64_C (1) << 20)

static uint64_t bytes_read;

static int counting_read (struct vmc_source *source, void *buffer, uint64_t offset, size_t length,
			  struct vmc_error *err)
{
	bytes_read += length;
	return file_source_read (source, buffer, offset, length, err);
}

static struct vmc_signature find (struct file_source *disk, uint64_t offset, uint64_t length)
{
	struct vmc_signature signature;
	struct vmc_error err;
	int memory_fd = vmc_memory_file_make (&err);

	assert_true (memory_fd >= 0);
	bytes_read = 0;
	disk->source.read = counting_read;
	if (vmc_signature_find (&disk->source, memory_fd, offset, length, &signature, &err) < 0)
		fail_msg ("%s", err.text);
	assert_true (bytes_read <= 3 * MIB);
	(void) close (memory_fd);
	return signature;
}

static void nothing_is_nothing (void **state)
{
	static const uint64_t lengths[] = {512, 1, 4096, MIB, 3 * MIB, 64 * MIB};
	struct file_source disk = file_source_make (64 * MIB);

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (lengths); i++) {
		struct vmc_signature signature = find (&disk, 0, lengths[i]);

		assert_string_equal (signature.type, "");
		assert_false (signature.ambiguous);
	}
	file_source_end (&disk);
}

static void a_signature_is_found_where_the_place_is (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);

	(void) state;
	file_source_run (&disk, "mkswap $DISK");
	assert_string_equal (find (&disk, 0, 64 * MIB).type, "swap");
	disk.shift = 5 * MIB;
	disk.source.size_bytes += 5 * MIB;
	assert_string_equal (find (&disk, 5 * MIB, 64 * MIB).type, "swap");
	assert_string_equal (find (&disk, 6 * MIB, 10 * MIB).type, "");
	file_source_end (&disk);
}

/* What was found before leaves nothing behind in the file in memory. */
static void one_place_says_nothing_about_the_next (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);
	struct vmc_signature signature;
	struct vmc_error err;
	int memory_fd = vmc_memory_file_make (&err);

	(void) state;
	file_source_run (&disk, "mkswap $DISK 16384");
	assert_int_equal (vmc_signature_find (&disk.source, memory_fd, 0, 16 * MIB, &signature, &err), 0);
	assert_string_equal (signature.type, "swap");
	assert_int_equal (vmc_signature_find (&disk.source, memory_fd, 16 * MIB, 16 * MIB, &signature, &err), 0);
	assert_string_equal (signature.type, "");
	(void) close (memory_fd);
	file_source_end (&disk);
}

/* At the end of a member, as mdadm wrote it when it was young. */
static void a_member_of_a_raid_is_known_by_its_end (void **state)
{
	static const unsigned char super[] = {0xFC, 0x4E, 0x2B, 0xA9, 0, 0, 0, 0, 90, 0, 0, 0};
	struct file_source disk = file_source_make (64 * MIB);

	(void) state;
	file_source_put (&disk, 64 * MIB - 65536, super, sizeof super);
	assert_string_equal (find (&disk, 0, 64 * MIB).type, "linux_raid_member");
	assert_string_equal (find (&disk, 0, 63 * MIB).type, "");
	/* It is that, whatever lies in it. */
	file_source_run (&disk, "mkfs.ext4 -q -F $DISK 32M");
	assert_string_equal (find (&disk, 0, 64 * MIB).type, "linux_raid_member");
	file_source_end (&disk);
}

/* As LVM computes it over its label. */
static uint32_t lvm_checksum (const unsigned char *bytes, size_t length)
{
	uint32_t sum = 0xF597A6CF;

	for (size_t i = 0; i < length; i++) {
		sum ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? 0xEDB88320 : 0);
	}
	return sum;
}

/* Put down by hand: pvcreate takes nothing but block devices. */
static void a_physical_volume_of_lvm_is_known (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);
	unsigned char label[512] = "LABELONE";
	uint32_t sum;

	(void) state;
	label[8] = 1; /* its sector */
	label[20] = 32;
	memcpy (label + 24, "LVM2 001", 8);
	memset (label + 32, 'u', 32);
	sum = htole32 (lvm_checksum (label + 20, sizeof label - 20));
	memcpy (label + 16, &sum, sizeof sum);
	file_source_put (&disk, 512, label, sizeof label);
	assert_string_equal (find (&disk, 0, 64 * MIB).type, "LVM2_member");
	file_source_end (&disk);
}

static void ext4_is_told (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);

	(void) state;
	file_source_run (&disk, "mkfs.ext4 -q -F $DISK");
	assert_string_equal (find (&disk, 0, 64 * MIB).type, "ext4");
	file_source_end (&disk);
}

/* NTFS with its table of files at CLUSTER, of 4 KiB. */
static struct file_source make_ntfs (uint64_t cluster, uint64_t table)
{
	struct file_source disk = file_source_make (UINT64_C (8) << 30);
	unsigned char sector[512] = {0xEB, 0x52, 0x90, 'N', 'T', 'F', 'S', ' ', ' ', ' ', ' ', 0, 2, 8};

	sector[21] = 0xF8;
	for (int i = 0; i < 8; i++)
		sector[48 + i] = (unsigned char) (cluster >> 8 * i);
	sector[40 + 3] = 1; /* sectors, of 512: 8 GiB */
	sector[56] = 2;     /* the copy of the table */
	sector[64] = 0xF6;  /* records of 2^10 */
	file_source_put (&disk, 0, sector, sizeof sector);
	for (int i = 0; i < 4; i++)
		file_source_put (&disk, table + 1024 * (uint64_t) i, "FILE", 4);
	return disk;
}

static void ntfs_is_known_by_its_table (void **state)
{
	struct file_source disk = make_ntfs (786432, UINT64_C (3) << 30);

	(void) state;
	assert_string_equal (find (&disk, 0, disk.source.size_bytes).type, "ntfs");
	file_source_end (&disk);
}

/* What was copied for one place takes no memory when the next is looked at. */
static void one_place_leaves_no_memory_behind (void **state)
{
	struct file_source disk = make_ntfs (786432, UINT64_C (3) << 30);
	struct vmc_signature signature;
	struct vmc_error err;
	int memory_fd = vmc_memory_file_make (&err);
	struct stat before, after;

	(void) state;
	assert_int_equal (vmc_signature_find (&disk.source, memory_fd, 0, disk.source.size_bytes, &signature, &err), 0);
	assert_string_equal (signature.type, "ntfs");
	assert_int_equal (fstat (memory_fd, &before), 0);
	file_source_put (&disk, 0, "gone now", 8);
	assert_int_equal (vmc_signature_find (&disk.source, memory_fd, 0, disk.source.size_bytes, &signature, &err), 0);
	assert_int_equal (fstat (memory_fd, &after), 0);
	assert_true (after.st_blocks <= before.st_blocks - 65536 / 512);
	(void) close (memory_fd);
	file_source_end (&disk);
}

static void a_table_of_ntfs_that_is_nowhere_does_no_harm (void **state)
{
	static const uint64_t clusters[] = {0, 2097152, 2097151, UINT64_MAX, UINT64_MAX / 4096 + 1};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (clusters); i++) {
		struct file_source disk = make_ntfs (clusters[i], UINT64_C (3) << 30);

		assert_string_equal (find (&disk, 0, disk.source.size_bytes).type, "");
		file_source_end (&disk);
	}
}

static void a_place_beyond_the_disk_is_refused (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);
	struct vmc_signature signature;
	struct vmc_error err;
	int memory_fd = vmc_memory_file_make (&err);

	(void) state;
	assert_int_equal (vmc_signature_find (&disk.source, memory_fd, 60 * MIB, 5 * MIB, &signature, &err), -1);
	assert_error (err, VMC_REFUSED, "beyond the end of the disk");
	(void) close (memory_fd);
	file_source_end (&disk);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (nothing_is_nothing),
	cmocka_unit_test (a_signature_is_found_where_the_place_is),
	cmocka_unit_test (one_place_says_nothing_about_the_next),
	cmocka_unit_test (a_member_of_a_raid_is_known_by_its_end),
	cmocka_unit_test (a_physical_volume_of_lvm_is_known),
	cmocka_unit_test (ext4_is_told),
	cmocka_unit_test (ntfs_is_known_by_its_table),
	cmocka_unit_test (one_place_leaves_no_memory_behind),
	cmocka_unit_test (a_table_of_ntfs_that_is_nowhere_does_no_harm),
	cmocka_unit_test (a_place_beyond_the_disk_is_refused),
};

int main (void)
{
	return unit_missing ("mkfs.ext4") || unit_missing ("mkswap") ? 0 : UNIT_RUN (tests);
}
