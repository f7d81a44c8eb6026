/* trust.c - tests of host/trust.c: what of the agent's word counts
 *
 * The disk "a" has two partitions. On a1 lies ext4, which the reader can read; on a2 a volume of LVM, and on that, encrypted, XFS.
 * Each test spoils one thing.
 */
#include "devices.h"

#include "trust.h"

#define MIB 1048576
#define DISK_BYTES (100 * MIB)

static struct vmc_filesystem ext4, xfs;
static struct vmc_name ext4_on, xfs_on;
static struct vmc_witness places[3];
static struct vmc_view view;
static struct vmc_name early_name;
static struct vmc_list early;
static struct vmc_disk_facts facts;
static struct vmc_reading reading;
static struct vmc_extents agent_map, result;
static struct vmc_disk_report report;

static void make_filesystem (struct vmc_filesystem *filesystem, const char *type, struct vmc_name *on,
			     const char *device)
{
	*filesystem = (struct vmc_filesystem) {.devices = {on, 1}};
	strcpy (filesystem->filesystem, type);
	strcpy (filesystem->type, type);
	(void) snprintf (filesystem->uuid, sizeof filesystem->uuid, "uuid-%s", type);
	(void) snprintf (filesystem->mount_point, sizeof filesystem->mount_point, "/%s", type);
	strcpy (on->name, device);
}

static void make_place (struct vmc_witness *place, uint64_t offset, uint64_t length, const char *type, const char *uuid,
			uint64_t data)
{
	*place = (struct vmc_witness) {.offset = offset, .length = length, .data = data};
	strcpy (place->type, type);
	strcpy (place->uuid, uuid);
}

static void add_range (struct vmc_extents *ranges, uint64_t start, uint64_t length)
{
	struct vmc_error err;

	assert_int_equal (vmc_extents_add (ranges, start, length, &err), 0);
}

static void make_devices (void)
{
	struct vmc_device *device;

	add_device ("a", VMC_KIND_DISK, DISK_BYTES);
	add_device ("b", VMC_KIND_DISK, DISK_BYTES);
	device = add_part ("a1", VMC_KIND_PARTITION, 40 * MIB, "a", MIB);
	strcpy (device->content, "ext4");
	strcpy (device->uuid, "uuid-ext4");
	device = add_part ("a2", VMC_KIND_PARTITION, 50 * MIB, "a", 41 * MIB);
	strcpy (device->content, "LVM2_member");
	strcpy (device->uuid, "uuid-pv");
	add_part ("lv", "LVM", 20 * MIB, "a2", 2 * MIB)->encrypted = true;
}

static int set_up (void **state)
{
	(void) state;
	make_devices ();
	make_filesystem (&ext4, "ext4", &ext4_on, "a1");
	make_filesystem (&xfs, "xfs", &xfs_on, "lv");
	make_place (&places[0], MIB, 40 * MIB, "ext4", "uuid-ext4", 40 * MIB);
	make_place (&places[1], 41 * MIB, 50 * MIB, "LVM2_member", "uuid-pv", MIB);
	make_place (&places[2], 91 * MIB, 9 * MIB, "", "", 9 * MIB);
	view = (struct vmc_view) {.usable = true};
	early = (struct vmc_list) {&early_name, 0};
	strcpy (view.filesystem, "ext4");
	add_range (&view.free, 10 * MIB, 10 * MIB);
	reading = (struct vmc_reading) {.places = places, .count = 3, .views = &view, .view_count = 1};
	facts = (struct vmc_disk_facts) {.devices = &list,
					 .guest_disk = get ("a"),
					 .filesystems = {&ext4, &xfs},
					 .filesystem_count = 2};
	agent_map = (struct vmc_extents) {0};
	add_range (&agent_map, 0, DISK_BYTES); /* a liar: all of it is free */
	result = (struct vmc_extents) {0};
	report.notes[0] = 0;
	return 0;
}

static int tear_down (void **state)
{
	(void) state;
	vmc_extents_clear (&view.free);
	vmc_extents_clear (&agent_map);
	vmc_extents_clear (&result);
	vmc_stack_clear (&list);
	return 0;
}

/* What is believed: ext4's from the reader, XFS's as far as its volume goes. */
static void expect (bool of_ext4, bool of_xfs, const char *note)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents wanted = {0};
	struct vmc_error err;
	int done = vmc_trust (&facts, &reading, &agent_map, &early, &result, &report, &err);

	if (!of_ext4 && !of_xfs) {
		assert_int_equal (done, -1);
		assert_error (err, VMC_REFUSED, note);
		return;
	}
	assert_int_equal (done, 0);
	if (of_ext4)
		add_range (&wanted, 10 * MIB, 10 * MIB);
	if (of_xfs)
		add_range (&wanted, 43 * MIB, 20 * MIB);
	assert_int_equal (result.count, wanted.count);
	assert_memory_equal (result.items, wanted.items, wanted.count * sizeof wanted.items[0]);
	if (note[0] == 0)
		assert_string_equal (report.notes, "");
	else
		assert_contains (report.notes, note);
}

static void what_is_proven_is_believed (void **state)
{
	(void) state;
	expect (true, true, "");
}

static void the_agent_must_call_it_free_too (void **state)
{
	struct vmc_error err;

	(void) state;
	vmc_extents_clear (&agent_map);
	add_range (&agent_map, 15 * MIB, 10 * MIB);
	add_range (&agent_map, 60 * MIB, 10 * MIB);
	assert_int_equal (vmc_trust (&facts, &reading, &agent_map, &early, &result, &report, &err), 0);
	assert_int_equal (result.count, 2);
	assert_int_equal (result.items[0].start, 15 * MIB);
	assert_int_equal (result.items[0].length, 5 * MIB);
	assert_int_equal (result.items[1].start, 60 * MIB);
	assert_int_equal (result.items[1].length, 3 * MIB);
}

static void is_mapped_early (const char *name)
{
	strcpy (early_name.name, name);
	early.count = 1;
}

static void a_map_from_before_the_freeze_needs_checksums (void **state)
{
	(void) state;
	is_mapped_early ("ext4");
	expect (false, true, "/ext4: the agent's map of it is older than the freeze, and it has no checksums");
}

static void with_checksums_the_map_may_be_from_before_the_freeze (void **state)
{
	(void) state;
	is_mapped_early ("ext4");
	view.checksums = true;
	expect (true, true, "");
}

static void a_map_from_before_the_freeze_needs_the_reader (void **state)
{
	(void) state;
	is_mapped_early ("xfs");
	expect (true, false, "/xfs: the agent's map of it is older than the freeze, and the reader cannot read it");
}

static void of_another_filesystem_it_does_not_matter (void **state)
{
	(void) state;
	is_mapped_early ("other");
	expect (true, true, "");
}

static void another_uuid_is_another_filesystem (void **state)
{
	(void) state;
	strcpy (places[0].uuid, "uuid-other");
	expect (false, true, "/ext4: the base has no ext4 with its UUID");
}

static void no_uuid_is_no_proof (void **state)
{
	(void) state;
	ext4.uuid[0] = places[0].uuid[0] = 0;
	expect (false, true, "/ext4: the base has no ext4");
}

static void another_type_is_another_filesystem (void **state)
{
	(void) state;
	strcpy (places[0].type, "swap");
	expect (false, true, "/ext4: the base has no ext4");
}

/* The kernel mounts it as ext4, libblkid tells it from what features it has. */
static void ext3_is_ext4_to_the_kernel (void **state)
{
	(void) state;
	strcpy (places[0].type, "ext3");
	expect (true, true, "");
}

static void another_place_is_not_the_place (void **state)
{
	(void) state;
	places[0].offset += 512;
	expect (false, true, "/ext4: the base has no ext4");
}

static void a_place_of_another_size_is_not_the_place (void **state)
{
	(void) state;
	places[1].length -= 512;
	expect (true, false, "/xfs: the base has no LVM2_member");
}

static void another_volume_is_not_the_volume (void **state)
{
	(void) state;
	strcpy (places[1].uuid, "uuid-other");
	expect (true, false, "/xfs: the base has no LVM2_member with its UUID");
}

static void a_volume_that_the_guest_does_not_name_is_not_believed (void **state)
{
	(void) state;
	get ("a2")->content[0] = get ("a2")->uuid[0] = 0;
	places[1].type[0] = places[1].uuid[0] = 0;
	expect (true, false, "/xfs: the base has no such volume");
}

static void nothing_before_the_data_is_free (void **state)
{
	struct vmc_error err;

	(void) state;
	places[1].data = 5 * MIB;
	assert_int_equal (vmc_trust (&facts, &reading, &agent_map, &early, &result, &report, &err), 0);
	assert_int_equal (result.items[1].start, 46 * MIB);
	assert_int_equal (result.items[1].length, 17 * MIB);
}

static void a_volume_without_known_data_is_not_believed (void **state)
{
	(void) state;
	places[1].data = places[1].length;
	expect (true, false, "/xfs: it is not known where the data begin");
}

static void what_the_reader_refuses_is_not_believed (void **state)
{
	(void) state;
	view.usable = false;
	strcpy (view.why_not, "its journal is not empty");
	expect (false, true, "/ext4: its journal is not empty");
}

static void what_the_reader_does_not_speak_of_is_not_believed (void **state)
{
	(void) state;
	reading.view_count = 0;
	expect (false, true, "/ext4: the reader has not looked at it");
}

static void a_view_of_another_filesystem_does_not_count (void **state)
{
	(void) state;
	strcpy (view.filesystem, "xfs");
	expect (false, true, "/ext4: the reader has not looked at it");
}

/* The reader names what lies outside of the partition: only what is inside counts. */
static void the_reader_is_held_to_the_partition (void **state)
{
	struct vmc_error err;

	(void) state;
	vmc_extents_clear (&view.free);
	add_range (&view.free, 0, 50 * MIB);
	facts.filesystem_count = 1;
	assert_int_equal (vmc_trust (&facts, &reading, &agent_map, &early, &result, &report, &err), 0);
	assert_int_equal (result.count, 1);
	assert_int_equal (result.items[0].start, MIB);
	assert_int_equal (result.items[0].length, 40 * MIB);
}

static void what_cannot_be_mapped_is_named (void **state)
{
	(void) state;
	strcpy (xfs.why_not_map, "it lies on a thin pool");
	expect (true, false, "/xfs: it lies on a thin pool");
}

static void several_devices_are_not_mapped (void **state)
{
	struct vmc_name both[] = {{"lv"}, {"b"}};

	(void) state;
	xfs.devices = (struct vmc_list) {both, 2};
	strcpy (xfs.why_not_map, "it lies on several");
	expect (true, false, "/xfs: it lies on several");
}

static void nothing_left_is_a_refusal_with_the_last_reason (void **state)
{
	(void) state;
	strcpy (ext4.why_not_map, "first");
	strcpy (xfs.why_not_map, "second");
	expect (false, false, "nothing in the base can be trusted: second");
}

/* --- over two disks --------------------------------------------------------------------------------- */

/* The volume gets a piece on the other disk; the ext4 moves onto it. */
static void spread (void)
{
	struct vmc_device *volume;

	volume = get ("lv");
	volume->encrypted = false;
	vmc_stack_give_up (volume, "again");
	volume->why_not_map[0] = 0;
	lies_on (volume, "b");
	add_target (volume, 0, 5 * MIB, 0);
	add_leg (volume, "b", 10 * MIB);
	add_target (volume, 5 * MIB, 15 * MIB, 0);
	add_leg (volume, "a2", 3 * MIB);
	strcpy (ext4_on.name, "lv");
	facts.filesystem_count = 1;
}

static void what_lies_on_two_disks_is_not_read_but_held_to_its_volume (void **state)
{
	struct vmc_claims claims = {0};
	struct vmc_error err;

	(void) state;
	spread ();
	assert_int_equal (vmc_trust_claims (&facts, &claims, &err), 0);
	assert_int_equal (claims.filesystems.count, 0);
	free (claims.filesystems.items);
	assert_int_equal (vmc_trust (&facts, &reading, &agent_map, &early, &result, &report, &err), 0);
	assert_int_equal (result.count, 1);
	assert_int_equal (result.items[0].start, 44 * MIB);
	assert_int_equal (result.items[0].length, 15 * MIB);
}

static void of_two_disks_this_ones_volume_counts (void **state)
{
	(void) state;
	spread ();
	strcpy (places[1].uuid, "uuid-other");
	expect (false, false, "the base has no LVM2_member with its UUID");
}

static void what_is_encrypted_is_not_read (void **state)
{
	struct vmc_claims claims = {0};
	struct vmc_error err;

	(void) state;
	strcpy (ext4_on.name, "lv");
	facts.filesystem_count = 1;
	assert_int_equal (vmc_trust_claims (&facts, &claims, &err), 0);
	assert_int_equal (claims.filesystems.count, 0);
	free (claims.filesystems.items);
	assert_int_equal (vmc_trust (&facts, &reading, &agent_map, &early, &result, &report, &err), 0);
	assert_int_equal (result.items[0].start, 43 * MIB);
}

static void xfs_that_can_be_read_must_be_read (void **state)
{
	struct vmc_claims claims = {0};
	struct vmc_error err;

	(void) state;
	get ("lv")->encrypted = false;
	assert_int_equal (vmc_trust_claims (&facts, &claims, &err), 0);
	assert_int_equal (claims.filesystems.count, 2);
	free (claims.filesystems.items);
	expect (true, false, "/xfs: the reader has not looked at it");
}

static void what_can_be_read_is_claimed (void **state)
{
	struct vmc_claims claims = {0};
	const struct vmc_claim *claim;
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_trust_claims (&facts, &claims, &err), 0);
	assert_string_equal (claims.disk, "a");
	assert_int_equal (claims.filesystems.count, 1);
	claim = claims.filesystems.items;
	assert_string_equal (claim->filesystem, "ext4");
	assert_string_equal (claim->device, "a1");
	free (claims.filesystems.items);
}

#define TRUST_TEST(function) cmocka_unit_test_setup_teardown (function, set_up, tear_down)

static const struct CMUnitTest tests[] = {
	TRUST_TEST (what_is_proven_is_believed),
	TRUST_TEST (the_agent_must_call_it_free_too),
	TRUST_TEST (a_map_from_before_the_freeze_needs_checksums),
	TRUST_TEST (with_checksums_the_map_may_be_from_before_the_freeze),
	TRUST_TEST (a_map_from_before_the_freeze_needs_the_reader),
	TRUST_TEST (of_another_filesystem_it_does_not_matter),
	TRUST_TEST (another_uuid_is_another_filesystem),
	TRUST_TEST (no_uuid_is_no_proof),
	TRUST_TEST (another_type_is_another_filesystem),
	TRUST_TEST (ext3_is_ext4_to_the_kernel),
	TRUST_TEST (another_place_is_not_the_place),
	TRUST_TEST (a_place_of_another_size_is_not_the_place),
	TRUST_TEST (another_volume_is_not_the_volume),
	TRUST_TEST (a_volume_that_the_guest_does_not_name_is_not_believed),
	TRUST_TEST (nothing_before_the_data_is_free),
	TRUST_TEST (a_volume_without_known_data_is_not_believed),
	TRUST_TEST (what_the_reader_refuses_is_not_believed),
	TRUST_TEST (what_the_reader_does_not_speak_of_is_not_believed),
	TRUST_TEST (a_view_of_another_filesystem_does_not_count),
	TRUST_TEST (the_reader_is_held_to_the_partition),
	TRUST_TEST (what_cannot_be_mapped_is_named),
	TRUST_TEST (several_devices_are_not_mapped),
	TRUST_TEST (nothing_left_is_a_refusal_with_the_last_reason),
	TRUST_TEST (what_lies_on_two_disks_is_not_read_but_held_to_its_volume),
	TRUST_TEST (of_two_disks_this_ones_volume_counts),
	TRUST_TEST (what_is_encrypted_is_not_read),
	TRUST_TEST (xfs_that_can_be_read_must_be_read),
	TRUST_TEST (what_can_be_read_is_claimed),
};

UNIT_MAIN (tests)
