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

/* A filesystem on a disk of the guest; several may be on one. */
struct fs {
	const char *disk, *address, *serial;
	uint64_t disk_bytes, free_bytes;
};

static struct fs make_fs (const char *disk, const char *address, const char *serial)
{
	return (struct fs) {disk, address, serial, SIZE, 40};
}

/* What the agent would say of them. */
static struct vmc_filesystems_result guest;
static struct vmc_filesystem filesystems[8];
static struct vmc_name names[8];
static struct vmc_device devices[16];

static void add_guest_disk (const struct fs *fs)
{
	struct vmc_device *device = &devices[guest.devices.count];

	if (vmc_stack_find (&guest.devices, fs->disk) != NULL)
		return;
	*device = (struct vmc_device) {.kind = VMC_KIND_DISK, .bytes = fs->disk_bytes};
	strcpy (device->device, fs->disk);
	strcpy (device->address, fs->address);
	strcpy (device->serial, fs->serial);
	guest.devices = (struct vmc_list) {devices, guest.devices.count + 1};
}

static void make_guest (const struct fs *all, size_t count)
{
	guest = (struct vmc_filesystems_result) {{filesystems, count}, {devices, 0}};
	for (size_t i = 0; i < count; i++) {
		filesystems[i] = (struct vmc_filesystem) {.size_bytes = 100, .free_bytes = all[i].free_bytes};
		if (all[i].disk[0] == 0)
			continue;
		strcpy (names[i].name, all[i].disk);
		filesystems[i].devices = (struct vmc_list) {&names[i], 1};
		add_guest_disk (&all[i]);
	}
}

static void match (const struct vmc_disk *disk, struct vmc_disk_facts *facts, const struct fs *all, size_t count)
{
	make_guest (all, count);
	*facts = (struct vmc_disk_facts) {.disk = disk};
	vmc_facts_match (facts, SIZE, &guest);
}

static void assert_no_disk (const struct vmc_disk *disk, const struct fs *all, size_t count, const char *reason)
{
	struct vmc_disk_facts facts;

	match (disk, &facts, all, count);
	assert_int_equal (facts.filesystem_count, 0);
	assert_contains (facts.why_no_guest_disk, reason);
}

static void the_only_disk_of_that_size_is_it (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "virtio 0000:00:04.0", "");
	struct fs all[] = {make_fs ("vdb", "virtio 0000:00:05.0", ""), make_fs ("vda", "virtio 0000:00:04.0", "")};
	struct vmc_disk_facts facts;

	(void) state;
	all[0].disk_bytes = SIZE + 512;
	match (&disk, &facts, all, 2);
	assert_int_equal (facts.filesystem_count, 1);
	assert_ptr_equal (facts.filesystems[0], &filesystems[1]);
	assert_string_equal (facts.why_no_guest_disk, "");
}

static void all_filesystems_of_the_disk_are_taken (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "");
	struct fs all[] = {make_fs ("vda", "", ""), make_fs ("vda", "", ""), make_fs ("vda", "", "")};
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
	struct fs fs = make_fs ("vda", "", "");
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
	assert_no_disk (&disk, NULL, 0, "shows no disk");
}

static void the_size_must_be_the_same (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "");
	struct fs fs = make_fs ("vda", "", "");

	(void) state;
	fs.disk_bytes = SIZE - 512;
	assert_no_disk (&disk, &fs, 1, "shows no disk");
}

static void the_bus_must_be_the_same (void **state)
{
	struct vmc_disk virtio = make_disk ("virtio", "", ""), scsi = make_disk ("scsi", "", "");
	struct fs on_virtio = make_fs ("vda", "virtio 0000:00:04.0", ""), on_scsi = make_fs ("sda", "scsi 0:0:0:0", "");

	(void) state;
	assert_no_disk (&virtio, &on_scsi, 1, "shows no disk");
	assert_no_disk (&scsi, &on_virtio, 1, "shows no disk");
}

static void the_serial_must_be_the_same (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "one");
	struct fs fs = make_fs ("vda", "", "two");

	(void) state;
	assert_no_disk (&disk, &fs, 1, "shows no disk");
}

static void the_serial_tells_disks_of_one_size_apart (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "two");
	struct fs all[] = {make_fs ("vda", "", "one"), make_fs ("vdb", "", "two")};
	struct vmc_disk_facts facts;

	(void) state;
	match (&disk, &facts, all, 2);
	assert_int_equal (facts.filesystem_count, 1);
	assert_ptr_equal (facts.filesystems[0], &filesystems[1]);
}

/* The kernel's virtio_blk shows the first 20 characters. */
static void a_serial_may_be_cut_after_20 (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "12345678901234567890abc");
	struct fs fs = make_fs ("vda", "", "12345678901234567890");
	struct vmc_disk_facts facts;

	(void) state;
	match (&disk, &facts, &fs, 1);
	assert_int_equal (facts.filesystem_count, 1);
}

static void a_serial_is_not_a_prefix (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "disk1");
	struct fs fs = make_fs ("vda", "", "disk12");

	(void) state;
	assert_no_disk (&disk, &fs, 1, "shows no disk");
}

static void the_address_tells_disks_of_one_size_apart (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "virtio 0000:00:05.0", "");
	struct fs all[] = {make_fs ("vda", "virtio 0000:00:04.0", ""), make_fs ("vdb", "virtio 0000:00:05.0", ""),
			   make_fs ("vdc", "virtio 0000:00:06.0", "")};
	struct vmc_disk_facts facts;

	(void) state;
	match (&disk, &facts, all, 3);
	assert_int_equal (facts.filesystem_count, 1);
	assert_ptr_equal (facts.filesystems[0], &filesystems[1]);
}

/* The guest numbers its SCSI hosts as it likes. */
static void the_host_of_a_scsi_address_does_not_count (void **state)
{
	struct vmc_disk disk = make_disk ("scsi", "scsi 0:1:0", "");
	struct fs all[] = {make_fs ("sda", "scsi 2:0:0:0", ""), make_fs ("sdb", "scsi 2:0:1:0", "")};
	struct vmc_disk_facts facts;

	(void) state;
	match (&disk, &facts, all, 2);
	assert_int_equal (facts.filesystem_count, 1);
	assert_ptr_equal (facts.filesystems[0], &filesystems[1]);
}

static void several_without_a_hint_cannot_be_told_apart (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "");
	struct fs all[] = {make_fs ("vda", "virtio 0000:00:04.0", ""), make_fs ("vdb", "virtio 0000:00:05.0", "")};

	(void) state;
	assert_no_disk (&disk, all, 2, "cannot be told");
}

/* The guest's host numbers are not libvirt's controllers. */
static void the_same_address_on_two_controllers_cannot_be_told_apart (void **state)
{
	struct vmc_disk disk = make_disk ("scsi", "scsi 0:0:0", "");
	struct fs all[] = {make_fs ("sda", "scsi 0:0:0:0", ""), make_fs ("sdb", "scsi 1:0:0:0", "")};

	(void) state;
	assert_no_disk (&disk, all, 2, "cannot be told");
}

static void a_disk_at_another_address_is_not_it (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "virtio 0000:00:07.0", "");
	struct fs fs = make_fs ("vdb", "virtio 0000:00:05.0", "");

	(void) state;
	assert_no_disk (&disk, &fs, 1, "shows no disk");
}

/* A loop device, for example. */
static void a_disk_without_an_address_is_not_it (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "virtio 0000:00:05.0", "");
	struct fs fs = make_fs ("loop0", "", "");

	(void) state;
	assert_no_disk (&disk, &fs, 1, "shows no disk");
}

static void a_disk_may_have_no_filesystem (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "virtio 0000:00:05.0", "");
	struct fs fs = make_fs ("vdb", "virtio 0000:00:05.0", "");
	struct vmc_disk_facts facts = {.disk = &disk};

	(void) state;
	make_guest (&fs, 1);
	guest.filesystems.count = 0;
	vmc_facts_match (&facts, SIZE, &guest);
	assert_int_equal (facts.filesystem_count, 0);
	assert_contains (facts.why_no_guest_disk, "no filesystem mounted");
}

/* Of the guest's two disks this is the second one, and there is a bridge before it. */
static void addresses_that_are_shifted_are_not_believed (void **state)
{
	struct vmc_disk all_disks[] = {make_disk ("virtio", "virtio 0000:09:00.0", ""),
				       make_disk ("virtio", "virtio 0000:0a:00.0", "")};
	struct vmc_disks disks = {.items = all_disks, .count = 2};
	struct fs all[] = {make_fs ("vda", "virtio 0000:0a:00.0", ""), make_fs ("vdb", "virtio 0000:0b:00.0", "")};
	struct vmc_disk_facts facts = {.disk = &all_disks[1], .disks = &disks};

	(void) state;
	make_guest (all, 2);
	vmc_facts_match (&facts, SIZE, &guest);
	assert_int_equal (facts.filesystem_count, 0);
	assert_contains (facts.why_no_guest_disk, "PCI addresses");

	strcpy (all_disks[1].serial, "mine");
	strcpy (devices[0].serial, "another");
	strcpy (devices[1].serial, "mine");
	vmc_facts_match (&facts, SIZE, &guest);
	assert_ptr_equal (facts.guest_disk, &devices[1]);

	strcpy (all_disks[1].serial, "");
	strcpy (devices[1].address, "virtio 0000:09:00.0");
	vmc_facts_match (&facts, SIZE, &guest);
	assert_ptr_equal (facts.guest_disk, &devices[0]);
}

static void a_filesystem_on_no_disk_is_not_on_this_one (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "", "");
	struct fs fs = make_fs ("", "", "");

	(void) state;
	assert_no_disk (&disk, &fs, 1, "shows no disk");
}

/* A volume over two disks, a third of it here. */
static void a_filesystem_over_two_disks_has_its_share_on_each (void **state)
{
	struct vmc_disk disk = make_disk ("virtio", "virtio 0000:00:04.0", "");
	struct fs all[] = {make_fs ("vda", "virtio 0000:00:04.0", ""), make_fs ("vdb", "virtio 0000:00:05.0", "")};
	struct vmc_leg here = {"vda", 0}, there = {"vdb", 0};
	struct vmc_target targets[] = {{0, 1024, 0, {&here, 1}}, {1024, 2048, 0, {&there, 1}}};
	struct vmc_name below[] = {{"vda"}, {"vdb"}};
	struct vmc_device volume = {.device = "lv",
				    .kind = "LVM",
				    .bytes = 3072,
				    .below = {below, 2},
				    .targets = {targets, 2}};
	struct vmc_disk_facts facts = {.disk = &disk};
	struct vmc_error err;

	(void) state;
	make_guest (all, 2);
	devices[2] = volume;
	guest.devices.count = 3;
	guest.filesystems.count = 1;
	strcpy (names[0].name, "lv");
	filesystems[0].size_bytes = 300;
	filesystems[0].free_bytes = 120;
	assert_int_equal (vmc_stack_check (&guest.devices, &err), 0);
	vmc_facts_match (&facts, SIZE, &guest);
	assert_int_equal (facts.filesystem_count, 1);
	assert_int_equal (facts.free_bytes, 40);
	assert_int_equal (facts.used_bytes, 60);
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
	cmocka_unit_test (a_disk_without_an_address_is_not_it),
	cmocka_unit_test (a_disk_may_have_no_filesystem),
	cmocka_unit_test (addresses_that_are_shifted_are_not_believed),
	cmocka_unit_test (a_filesystem_on_no_disk_is_not_on_this_one),
	cmocka_unit_test (a_filesystem_over_two_disks_has_its_share_on_each),
};

UNIT_MAIN (tests)
