/* facts.c - tests of host/facts.c: which of the guest's disks is this one? */
#include "unit.h"

#include "facts.h"

#define SIZE 1000000

static struct vmc_disk make_disk (const char *bus, const char *address, const char *serial)
{
	struct vmc_disk disk = {0};

	strcpy (disk.target, "vda");
	strcpy (disk.bus, bus);
	strcpy (disk.address, address);
	strcpy (disk.serial, serial);
	return disk;
}

static struct vmc_filesystem make_fs (const char *disk, const char *address, const char *serial)
{
	struct vmc_filesystem fs = {.disk_bytes = SIZE, .size_bytes = 100, .free_bytes = 40};

	strcpy (fs.disk, disk);
	strcpy (fs.address, address);
	strcpy (fs.serial, serial);
	return fs;
}

static void match (const struct vmc_disk *disk, struct vmc_disk_facts *facts, const struct vmc_filesystem *all,
		   size_t count)
{
	*facts = (struct vmc_disk_facts) {.disk = disk};
	vmc_facts_match (facts, SIZE, all, count);
}

static void assert_no_disk (const struct vmc_disk *disk, const struct vmc_filesystem *all, size_t count,
			    const char *reason)
{
	struct vmc_disk_facts facts;

	match (disk, &facts, all, count);
	assert_int_equal (facts.filesystem_count, 0);
	assert_contains (facts.why_no_guest_disk, reason);
}

static void the_only_disk_of_that_size_is_it (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "virtio 0000:00:04.0", "");
	struct vmc_filesystem all[] = {make_fs ("vdb", "virtio 0000:00:05.0", ""),
				       make_fs ("vda", "virtio 0000:00:04.0", "")};
	struct vmc_disk_facts facts;

	(void) state;
	all[0].disk_bytes = SIZE + 512;
	match (&disk, &facts, all, 2);
	assert_int_equal (facts.filesystem_count, 1);
	assert_ptr_equal (facts.filesystems[0], &all[1]);
	assert_string_equal (facts.why_no_guest_disk, "");
}

static void all_filesystems_of_the_disk_are_taken (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "");
	struct vmc_filesystem all[] = {make_fs ("vda", "", ""), make_fs ("vda", "", ""), make_fs ("vda", "", "")};
	struct vmc_disk_facts facts;

	(void) state;
	match (&disk, &facts, all, 3);
	assert_int_equal (facts.filesystem_count, 3);
	assert_int_equal (facts.free_bytes, 120);
	assert_int_equal (facts.used_bytes, 180);
}

/* The numbers come from the guest. */
static void more_free_than_there_is_counts_as_nothing_used (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "");
	struct vmc_filesystem fs = make_fs ("vda", "", "");
	struct vmc_disk_facts facts;

	(void) state;
	fs.free_bytes = 500;
	match (&disk, &facts, &fs, 1);
	assert_int_equal (facts.used_bytes, 0);
}

static void without_filesystems_there_is_no_disk (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "");

	(void) state;
	assert_no_disk (&disk, NULL, 0, "no filesystem mounted");
}

static void the_size_must_be_the_same (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "");
	struct vmc_filesystem fs = make_fs ("vda", "", "");

	(void) state;
	fs.disk_bytes = SIZE - 512;
	assert_no_disk (&disk, &fs, 1, "no filesystem mounted");
}

static void the_bus_must_be_the_same (void **state)
{
	struct vmc_disk virtio = make_disk ("virtio", "", ""), scsi = make_disk ("scsi", "", "");
	struct vmc_filesystem on_virtio = make_fs ("vda", "virtio 0000:00:04.0", ""),
			      on_scsi = make_fs ("sda", "scsi 0:0:0:0", "");

	(void) state;
	assert_no_disk (&virtio, &on_scsi, 1, "no filesystem mounted");
	assert_no_disk (&scsi, &on_virtio, 1, "no filesystem mounted");
}

static void the_serial_must_be_the_same (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "one");
	struct vmc_filesystem fs = make_fs ("vda", "", "two");

	(void) state;
	assert_no_disk (&disk, &fs, 1, "no filesystem mounted");
}

static void the_serial_tells_disks_of_one_size_apart (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "two");
	struct vmc_filesystem all[] = {make_fs ("vda", "", "one"), make_fs ("vdb", "", "two")};
	struct vmc_disk_facts facts;

	(void) state;
	match (&disk, &facts, all, 2);
	assert_int_equal (facts.filesystem_count, 1);
	assert_ptr_equal (facts.filesystems[0], &all[1]);
}

/* The kernel's virtio_blk shows the first 20 characters. */
static void a_serial_may_be_cut_after_20 (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "12345678901234567890abc");
	struct vmc_filesystem fs = make_fs ("vda", "", "12345678901234567890");
	struct vmc_disk_facts facts;

	(void) state;
	match (&disk, &facts, &fs, 1);
	assert_int_equal (facts.filesystem_count, 1);
}

static void a_serial_is_not_a_prefix (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "disk1");
	struct vmc_filesystem fs = make_fs ("vda", "", "disk12");

	(void) state;
	assert_no_disk (&disk, &fs, 1, "no filesystem mounted");
}

static void the_address_tells_disks_of_one_size_apart (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "virtio 0000:00:05.0", "");
	struct vmc_filesystem all[] = {make_fs ("vda", "virtio 0000:00:04.0", ""),
				       make_fs ("vdb", "virtio 0000:00:05.0", ""),
				       make_fs ("vdc", "virtio 0000:00:06.0", "")};
	struct vmc_disk_facts facts;

	(void) state;
	match (&disk, &facts, all, 3);
	assert_int_equal (facts.filesystem_count, 1);
	assert_ptr_equal (facts.filesystems[0], &all[1]);
}

/* The guest numbers its SCSI hosts as it likes. */
static void the_host_of_a_scsi_address_does_not_count (void **state)
{
	struct vmc_disk disk = make_disk ("scsi", "scsi 0:1:0", "");
	struct vmc_filesystem all[] = {make_fs ("sda", "scsi 2:0:0:0", ""), make_fs ("sdb", "scsi 2:0:1:0", "")};
	struct vmc_disk_facts facts;

	(void) state;
	match (&disk, &facts, all, 2);
	assert_int_equal (facts.filesystem_count, 1);
	assert_ptr_equal (facts.filesystems[0], &all[1]);
}

static void several_without_a_hint_cannot_be_told_apart (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "");
	struct vmc_filesystem all[] = {make_fs ("vda", "virtio 0000:00:04.0", ""),
				       make_fs ("vdb", "virtio 0000:00:05.0", "")};

	(void) state;
	assert_no_disk (&disk, all, 2, "cannot be told");
}

/* The guest's host numbers are not libvirt's controllers. */
static void the_same_address_on_two_controllers_cannot_be_told_apart (void **state)
{
	struct vmc_disk disk = make_disk ("scsi", "scsi 0:0:0", "");
	struct vmc_filesystem all[] = {make_fs ("sda", "scsi 0:0:0:0", ""), make_fs ("sdb", "scsi 1:0:0:0", "")};

	(void) state;
	assert_no_disk (&disk, all, 2, "cannot be told");
}

static void a_disk_at_another_address_is_not_it (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "virtio 0000:00:07.0", "");
	struct vmc_filesystem fs = make_fs ("vdb", "virtio 0000:00:05.0", "");

	(void) state;
	assert_no_disk (&disk, &fs, 1, "no filesystem mounted");
}

static void a_filesystem_on_no_disk_is_not_on_this_one (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "");
	struct vmc_filesystem fs = make_fs ("", "", "");

	(void) state;
	assert_no_disk (&disk, &fs, 1, "no filesystem mounted");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (the_only_disk_of_that_size_is_it),
	cmocka_unit_test (all_filesystems_of_the_disk_are_taken),
	cmocka_unit_test (more_free_than_there_is_counts_as_nothing_used),
	cmocka_unit_test (without_filesystems_there_is_no_disk),
	cmocka_unit_test (the_size_must_be_the_same),
	cmocka_unit_test (the_bus_must_be_the_same),
	cmocka_unit_test (the_serial_must_be_the_same),
	cmocka_unit_test (the_serial_tells_disks_of_one_size_apart),
	cmocka_unit_test (a_serial_may_be_cut_after_20),
	cmocka_unit_test (a_serial_is_not_a_prefix),
	cmocka_unit_test (the_address_tells_disks_of_one_size_apart),
	cmocka_unit_test (the_host_of_a_scsi_address_does_not_count),
	cmocka_unit_test (several_without_a_hint_cannot_be_told_apart),
	cmocka_unit_test (the_same_address_on_two_controllers_cannot_be_told_apart),
	cmocka_unit_test (a_disk_at_another_address_is_not_it),
	cmocka_unit_test (a_filesystem_on_no_disk_is_not_on_this_one),
};

UNIT_MAIN (tests)
