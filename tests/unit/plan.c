/* plan.c - tests of host/plan.c: a table of facts and what is decided from them */
#include "unit.h"

#include "plan.h"
#include "qemu_agent.h"

#define MIB (UINT64_C (1) << 20)
#define GIB (UINT64_C (1) << 30)
#define GOOD_QEMU 10000010 /* 10.0.10 */

static struct vmc_domain_facts domain;
static struct vmc_disk disk;
static struct vmc_filesystem one, two;
static struct vmc_disk_facts facts;

/* Facts that nothing speaks against: a qcow2 image on virtio, without discard. */
static int make_good (void **state)
{
	(void) state;
	domain = (struct vmc_domain_facts) {.active = true,
					    .local = true,
					    .agent = true,
					    .persistent = true,
					    .qemu_version = GOOD_QEMU};
	memset (&disk, 0, sizeof disk);
	strcpy (disk.target, "vda");
	strcpy (disk.bus, "virtio");
	strcpy (disk.type, "file");
	strcpy (disk.device, "disk");
	strcpy (disk.format, "qcow2");
	strcpy (disk.path, "/images/vm1.qcow2");
	memset (&one, 0, sizeof one);
	memset (&two, 0, sizeof two);
	memset (&facts, 0, sizeof facts);
	facts.domain = &domain;
	facts.disk = &disk;
	facts.why_wanted = "it was asked for";
	facts.image_known = true;
	facts.image.room_bytes = GIB;
	facts.image.names = 1;
	facts.filesystems[0] = &one;
	facts.filesystems[1] = &two;
	facts.filesystem_count = 2;
	return 0;
}

/* The same disk, of a domain that is switched off. */
static void make_off (void)
{
	domain = (struct vmc_domain_facts) {.local = true, .persistent = true, .switched_off = true};
	facts.filesystem_count = 0;
	facts.image.room_bytes = 0;
}

static void assert_plan (enum vmc_method_choice wanted, enum vmc_method_choice method, bool then_commit,
			 const char *reason)
{
	struct vmc_plan plan;
	struct vmc_error err;

	if (vmc_plan_disk (&facts, wanted, &plan, &err) < 0)
		fail_msg ("%s", err.text);
	assert_int_equal (plan.method, method);
	assert_int_equal (plan.then, then_commit ? VMC_METHOD_COMMIT : VMC_METHOD_AUTO);
	assert_false (plan.zero);
	assert_contains (plan.reason, reason);
}

static void assert_refusal (enum vmc_method_choice wanted, enum vmc_code code, const char *reason)
{
	struct vmc_plan plan;
	struct vmc_error err;

	if (vmc_plan_disk (&facts, wanted, &plan, &err) == 0)
		fail_msg ("'%s' was not a reason to refuse", reason);
	assert_error (err, code, reason);
}

/* For every method. */
static void assert_refused_with (enum vmc_code code, const char *reason)
{
	for (int method = VMC_METHOD_AUTO; method <= VMC_METHOD_CONVERT; method++)
		assert_refusal (method, code, reason);
}

static void assert_refused (const char *reason)
{
	assert_refused_with (VMC_REFUSED, reason);
}

/* --- what is chosen --------------------------------------------------------------------------- */

static void without_discard_it_is_a_commit (void **state)
{
	(void) state;
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_COMMIT, false, "the disk has no discard='unmap'");
	strcpy (disk.discard, "ignore");
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_COMMIT, false, "the disk has no discard='unmap'");
}

static void with_discard_it_is_a_trim_first (void **state)
{
	(void) state;
	strcpy (disk.discard, "unmap");
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_TRIM, true, "discard='unmap', so a trim is enough");
}

static void a_trim_needs_no_commit (void **state)
{
	(void) state;
	strcpy (disk.discard, "unmap");
	domain.checkpoints = true;
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_TRIM, false, "a trim is enough");
}

static void what_cannot_be_trimmed_is_committed (void **state)
{
	(void) state;
	strcpy (disk.discard, "unmap");
	strcpy (one.why_not_trim, "no discard");
	strcpy (two.why_not_trim, "no discard");
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_COMMIT, false, "the guest cannot trim this disk");
}

static void one_filesystem_that_can_is_enough (void **state)
{
	(void) state;
	strcpy (disk.discard, "unmap");
	strcpy (one.why_not_trim, "no discard");
	strcpy (one.why_not_map, "not ext4");
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_TRIM, true, "");
	assert_plan (VMC_METHOD_COMMIT, VMC_METHOD_COMMIT, false, "");
}

static void what_was_asked_for_is_done (void **state)
{
	(void) state;
	assert_plan (VMC_METHOD_TRIM, VMC_METHOD_TRIM, false, "asked for");
	strcpy (disk.discard, "unmap");
	assert_plan (VMC_METHOD_COMMIT, VMC_METHOD_COMMIT, false, "asked for");
	assert_plan (VMC_METHOD_CONVERT, VMC_METHOD_CONVERT, false, "asked for");
}

static void the_reason_for_what_was_asked_for_is_the_callers (void **state)
{
	(void) state;
	facts.why_wanted = "the trim has left too much";
	assert_plan (VMC_METHOD_COMMIT, VMC_METHOD_COMMIT, false, "the trim has left too much");
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_COMMIT, false, "the disk has no discard='unmap'");
}

static void raw_and_scsi_are_handled_too (void **state)
{
	(void) state;
	strcpy (disk.format, "raw");
	strcpy (disk.bus, "scsi");
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_COMMIT, false, "");
	assert_plan (VMC_METHOD_CONVERT, VMC_METHOD_CONVERT, false, "");
}

/* Whatever speaks for or against the others: it is no method to be chosen without being asked for. */
static void auto_never_chooses_a_convert (void **state)
{
	struct vmc_plan plan;
	struct vmc_error err;
	int planned = 0;

	for (unsigned facets = 0; facets < 128; facets++) {
		(void) make_good (state);
		strcpy (disk.discard, facets & 1 ? "unmap" : "");
		strcpy (facts.why_no_punch, facets & 2 ? "cannot punch holes" : "");
		strcpy (one.why_not_trim, facets & 4 ? "no discard" : "");
		strcpy (two.why_not_trim, one.why_not_trim);
		strcpy (one.why_not_map, facets & 8 ? "not ext4" : "");
		strcpy (two.why_not_map, one.why_not_map);
		domain.checkpoints = facets & 16;
		strcpy (disk.format, facets & 32 ? "raw" : "qcow2");
		facts.image.is_link = facets & 64;
		if (vmc_plan_disk (&facts, VMC_METHOD_AUTO, &plan, &err) < 0)
			continue;
		assert_true (plan.method == VMC_METHOD_TRIM || plan.method == VMC_METHOD_COMMIT);
		planned++;
	}
	assert_int_equal (planned, 32 + 96 / 8); /* trims, and the commits that three things forbid */
}

/* --- what the domain forbids ------------------------------------------------------------------ */

static void a_trim_needs_a_running_domain (void **state)
{
	(void) state;
	make_off ();
	assert_refusal (VMC_METHOD_TRIM, VMC_REFUSED, "the domain is not running");
}

static void a_domain_must_be_here (void **state)
{
	(void) state;
	domain.local = false;
	assert_refused ("the domain runs on another host");
}

static void a_domain_must_have_no_job (void **state)
{
	(void) state;
	domain.job = true;
	assert_refused ("a migration, backup or save of the domain is under way");
}

static void a_domain_must_have_an_agent (void **state)
{
	(void) state;
	domain.agent = false;
	strcpy (domain.why_no_agent, "nothing answers");
	assert_refused_with (VMC_NO_AGENT, "nothing answers");
}

/* --- qemu-guest-agent alone ------------------------------------------------------------------- */

/* What qemu-guest-agent says of two filesystems, one of them directly on a partition. */
static void make_qemu_agent (void)
{
	domain.agent = false;
	domain.qemu_agent = true;
	strcpy (domain.why_no_agent, "nothing answers");
	facts.filesystem_count = 0;
	facts.mounted = 2;
	facts.mounted_ext = 1;
}

static void our_agent_is_preferred (void **state)
{
	(void) state;
	domain.qemu_agent = true;
	strcpy (disk.discard, "unmap");
	for (int method = VMC_METHOD_AUTO; method <= VMC_METHOD_CONVERT; method++) {
		struct vmc_plan plan;
		struct vmc_error err;

		assert_int_equal (vmc_plan_disk (&facts, method, &plan, &err), 0);
		assert_null (strstr (plan.reason, "qemu-guest-agent"));
	}
	facts.filesystem_count = 0;
	facts.mounted = facts.mounted_ext = 1;
	strcpy (facts.why_no_guest_disk, "it cannot be told");
	assert_refused ("it cannot be told"); /* whatever the other one says */
}

static void qemu_agent_is_enough (void **state)
{
	(void) state;
	make_qemu_agent ();
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_COMMIT, false, "QEMU drops what the guest trims; by qemu-guest-agent");
	assert_plan (VMC_METHOD_COMMIT, VMC_METHOD_COMMIT, false, "it was asked for; by qemu-guest-agent");
	assert_plan (VMC_METHOD_CONVERT, VMC_METHOD_CONVERT, false, "it was asked for; by qemu-guest-agent");
	strcpy (disk.discard, "unmap");
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_TRIM, true, "a trim is enough; by qemu-guest-agent");
	assert_plan (VMC_METHOD_TRIM, VMC_METHOD_TRIM, false, "it was asked for; by qemu-guest-agent");
}

static void it_trims_nothing_that_is_dropped (void **state)
{
	(void) state;
	make_qemu_agent ();
	assert_refusal (VMC_METHOD_TRIM, VMC_REFUSED, "QEMU drops what qemu-guest-agent trims; use --method=commit");
}

static void it_freezes_for_ext4_alone (void **state)
{
	(void) state;
	make_qemu_agent ();
	facts.mounted_ext = 0;
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED, "names no ext4 that lies directly on the disk");
	assert_refusal (VMC_METHOD_COMMIT, VMC_REFUSED, "names no ext4 that lies directly on the disk");
	assert_refusal (VMC_METHOD_CONVERT, VMC_REFUSED, "names no ext4 that lies directly on the disk");
	strcpy (disk.discard, "unmap");
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_TRIM, false, "a trim is enough");
}

static void it_must_know_of_loop_devices (void **state)
{
	(void) state;
	make_qemu_agent ();
	facts.bare_loops = 1;
	assert_refusal (VMC_METHOD_COMMIT, VMC_REFUSED, "a loop device from which no filesystem is mounted");
	assert_refusal (VMC_METHOD_CONVERT, VMC_REFUSED, "a loop device from which no filesystem is mounted");
	facts.bare_loops = VMC_LOOPS_UNKNOWN;
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED, "cannot tell of loop devices");
	strcpy (disk.discard, "unmap");
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_TRIM, false, "a trim is enough");
}

static void it_must_name_a_filesystem (void **state)
{
	(void) state;
	make_qemu_agent ();
	strcpy (disk.discard, "unmap");
	facts.mounted = facts.mounted_ext = 0;
	assert_refused ("names no filesystem that lies on this disk");
}

static void it_changes_nothing_of_what_is_forbidden (void **state)
{
	(void) state;
	make_qemu_agent ();
	facts.image.room_bytes = 0;
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED, "there are 0 B of room");
	facts.image.room_bytes = GIB;
	domain.persistent = false;
	assert_refusal (VMC_METHOD_COMMIT, VMC_REFUSED, "the domain is transient");
	domain.persistent = true;
	facts.other_writer = true;
	assert_refused ("somebody else than the guest's QEMU");
}

static void a_pause_is_said_behind_it (void **state)
{
	(void) state;
	make_qemu_agent ();
	domain.qemu_version = 9000000;
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_COMMIT, false, "; by qemu-guest-agent; QEMU 9.0.0 may lose writes");
}

/* --- what the disk forbids -------------------------------------------------------------------- */

static void a_cdrom_is_no_disk (void **state)
{
	(void) state;
	strcpy (disk.device, "cdrom");
	assert_refused_with (VMC_UNSUPPORTED, "it is a cdrom, not a disk");
}

static void other_types_of_disks_are_refused (void **state)
{
	static const char *const types[] = {"volume", "dir", "nvme", "vhostuser", "vhostvdpa", ""};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (types); i++) {
		strcpy (disk.type, types[i]);
		assert_refused ("it is a disk of type '");
	}
}

static void make_block (void)
{
	strcpy (disk.type, "block");
	facts.image.is_block = true;
	facts.image.allocated_bytes = UINT64_MAX;
}

static void a_block_device_needs_a_place_for_the_overlay (void **state)
{
	(void) state;
	make_block ();
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED, "name one with --overlay-dir");
	assert_refusal (VMC_METHOD_COMMIT, VMC_REFUSED, "name one with --overlay-dir");
	strcpy (facts.overlay_path, "/overlays/x");
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_COMMIT, false, "");
	strcpy (disk.discard, "unmap");
	facts.overlay_path[0] = 0;
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_TRIM, false, "a trim is enough");
}

static void a_block_device_is_not_replaced (void **state)
{
	(void) state;
	make_block ();
	strcpy (facts.overlay_path, "/overlays/x");
	assert_refusal (VMC_METHOD_CONVERT, VMC_REFUSED, "--method=commit gives its space back");
}

static void a_block_device_at_rest_is_left_alone (void **state)
{
	(void) state;
	make_off ();
	make_block ();
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED, "it can be compacted while the domain runs");
	assert_refusal (VMC_METHOD_CONVERT, VMC_REFUSED, "it can be compacted while the domain runs");
}

/* Whatever its format: nothing of it is looked at. */
static void a_disk_on_the_network_is_only_trimmed (void **state)
{
	(void) state;
	strcpy (disk.type, "network");
	strcpy (disk.protocol, "rbd");
	facts.image_known = false;
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED,
			"on the network (rbd): its image is not here, so only a trim can "
			"give its space back, and that needs discard='unmap'");
	assert_refusal (VMC_METHOD_COMMIT, VMC_REFUSED, "only a trim can give its space back");
	assert_refusal (VMC_METHOD_CONVERT, VMC_REFUSED, "only a trim can give its space back");
	strcpy (disk.discard, "unmap");
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_TRIM, false, "cannot be measured on this host");
	assert_plan (VMC_METHOD_TRIM, VMC_METHOD_TRIM, false, "");
	make_off ();
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED, "only a trim can give its space back");
}

static void read_only_is_refused (void **state)
{
	(void) state;
	disk.read_only = true;
	assert_refused ("it is read-only");
}

static void shareable_is_refused (void **state)
{
	(void) state;
	disk.shareable = true;
	assert_refused ("it is shareable");
}

static void transient_is_refused (void **state)
{
	(void) state;
	disk.transient = true;
	assert_refused ("it is transient");
}

static void encrypted_is_refused (void **state)
{
	(void) state;
	disk.encrypted = true;
	assert_refused ("it is encrypted");
}

static void a_slice_is_refused (void **state)
{
	(void) state;
	disk.sliced = true;
	assert_refused ("only a slice of its file");
}

static void a_block_job_is_refused (void **state)
{
	(void) state;
	disk.mirror = true;
	assert_refused ("a block job is at work on it");
	disk.mirror = false;
	facts.block_job = true;
	assert_refused ("a block job is at work on it");
}

static void other_buses_are_refused (void **state)
{
	static const char *const buses[] = {"sata", "ide", "usb", "fdc", "xen", ""};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (buses); i++) {
		strcpy (disk.bus, buses[i]);
		assert_refused ("only virtio and scsi are handled");
	}
}

static void other_formats_are_refused (void **state)
{
	static const char *const formats[] = {"vmdk", "qcow", "qed", "vdi", "luks", ""};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (formats); i++) {
		strcpy (disk.format, formats[i]);
		assert_refused ("only qcow2 and raw are handled");
	}
}

static void an_image_that_is_not_known_is_refused (void **state)
{
	(void) state;
	facts.image_known = false;
	strcpy (facts.why_no_image, "the image is encrypted");
	assert_refused ("the image is encrypted");
}

static void a_file_of_another_domain_is_refused (void **state)
{
	(void) state;
	strcpy (facts.used_by, "vm2");
	assert_refused ("the domain 'vm2' uses the same file");
}

static void another_writer_is_refused (void **state)
{
	(void) state;
	facts.other_writer = true;
	assert_refused ("somebody else than the guest's QEMU");
}

static void a_disk_without_filesystems_is_refused (void **state)
{
	(void) state;
	facts.filesystem_count = 0;
	strcpy (facts.why_no_guest_disk, "it cannot be told");
	assert_refused ("it cannot be told");
}

static void what_can_neither_be_trimmed_nor_mapped_is_refused (void **state)
{
	(void) state;
	strcpy (one.why_not_trim, "no discard 1");
	strcpy (two.why_not_trim, "no discard 2");
	strcpy (one.why_not_map, "no map 1");
	strcpy (two.why_not_map, "no map 2");
	assert_refusal (VMC_METHOD_TRIM, VMC_REFUSED, "can be trimmed: no discard 2");
	assert_refusal (VMC_METHOD_COMMIT, VMC_REFUSED, "can be mapped: no map 2");
	assert_refusal (VMC_METHOD_CONVERT, VMC_REFUSED, "can be mapped: no map 2");
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED, "can be mapped: no map 2");
	strcpy (disk.discard, "unmap");
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED, "can be mapped: no map 2");
}

/* --- what forbids a commit -------------------------------------------------------------------- */

/* A commit is refused, also as the choice of auto; a trim is not. */
static void assert_no_commit (const char *reason)
{
	assert_refusal (VMC_METHOD_COMMIT, VMC_REFUSED, reason);
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED, reason);
	assert_plan (VMC_METHOD_TRIM, VMC_METHOD_TRIM, false, "");
	strcpy (disk.discard, "unmap");
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_TRIM, false, "");
}

/* Nor is a convert done: both need an overlay. */
static void assert_only_trim (const char *reason)
{
	assert_refusal (VMC_METHOD_CONVERT, VMC_REFUSED, reason);
	assert_no_commit (reason);
}

static void writes_that_may_be_lost_forbid_an_overlay (void **state)
{
	static const char *const lose[] = {"report", "ignore", "retry"}, *const pause[] = {"enospace", "stop"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (pause); i++) {
		strcpy (disk.error_policy, pause[i]);
		assert_plan (VMC_METHOD_COMMIT, VMC_METHOD_COMMIT, false, "");
		assert_plan (VMC_METHOD_CONVERT, VMC_METHOD_CONVERT, false, "");
	}
	for (size_t i = 0; i < UNIT_COUNT (lose); i++) {
		char reason[80];

		(void) snprintf (reason, sizeof reason, "it has error_policy='%s'", lose[i]);
		strcpy (disk.error_policy, lose[i]);
		disk.discard[0] = 0;
		assert_only_trim (reason);
	}
	make_off (); /* there is no overlay */
	assert_plan (VMC_METHOD_COMMIT, VMC_METHOD_COMMIT, false, "");
	assert_plan (VMC_METHOD_CONVERT, VMC_METHOD_CONVERT, false, "");
}

static void checkpoints_forbid_a_commit (void **state)
{
	(void) state;
	domain.checkpoints = true;
	assert_only_trim ("the domain has checkpoints");
}

static void a_host_that_cannot_punch_forbids_a_commit (void **state)
{
	(void) state;
	strcpy (facts.why_no_punch, "cannot punch holes");
	assert_no_commit ("cannot punch holes");
}

/* It does not punch, it leaves out. */
static void a_host_that_cannot_punch_can_convert (void **state)
{
	(void) state;
	strcpy (facts.why_no_punch, "cannot punch holes");
	assert_plan (VMC_METHOD_CONVERT, VMC_METHOD_CONVERT, false, "asked for");
}

static void a_transient_domain_is_not_committed (void **state)
{
	(void) state;
	domain.persistent = false;
	assert_only_trim ("the domain is transient");
}

static void a_file_in_the_way_forbids_a_commit (void **state)
{
	(void) state;
	(void) strcpy (facts.in_the_way, "/images/vm1.qcow2.vmcompact-overlay");
	assert_only_trim ("the file '/images/vm1.qcow2.vmcompact-overlay' is in the way; no journal names it");
}

static void too_little_room_forbids_a_commit (void **state)
{
	(void) state;
	facts.image.room_bytes = 128 * MIB;
	assert_plan (VMC_METHOD_COMMIT, VMC_METHOD_COMMIT, false, "");
	assert_plan (VMC_METHOD_CONVERT, VMC_METHOD_CONVERT, false, "");
	facts.image.room_bytes--;
	assert_only_trim ("there are 128 MiB of room, but the guest writes 0 B a second, so the overlay needs 128 MiB");
}

/* Enough for a minute of writing. */
static void a_guest_that_writes_needs_more_room (void **state)
{
	(void) state;
	facts.write_bytes_per_s = 10 * MIB;
	facts.image.room_bytes = 728 * MIB;
	assert_plan (VMC_METHOD_COMMIT, VMC_METHOD_COMMIT, false, "");
	facts.image.room_bytes--;
	assert_only_trim ("the guest writes 10.0 MiB a second, so the overlay needs 728 MiB; see --overlay-dir");
}

static void the_room_does_not_overflow (void **state)
{
	(void) state;
	assert_int_equal (vmc_plan_room (0), 128 * MIB);
	assert_int_equal (vmc_plan_room ((UINT64_MAX - 128 * MIB) / 60 + 1), UINT64_MAX);
	assert_int_equal (vmc_plan_room (UINT64_MAX), UINT64_MAX);
}

static void versions_that_nobody_has_tested_forbid_a_commit (void **state)
{
	(void) state;
	domain.qemu_version = 7001099;
	assert_only_trim ("the domain's QEMU 7.1.99 is older than 7.2.0");
	domain.qemu_version = 7002000;
	assert_plan (VMC_METHOD_COMMIT, VMC_METHOD_COMMIT, false, "");
	disk.discard[0] = 0;
	domain.libvirt_version = 8999999;
	assert_only_trim ("libvirt 8.999.999 is older than 9.0.0");
	domain.libvirt_version = 9000000;
	assert_plan (VMC_METHOD_CONVERT, VMC_METHOD_CONVERT, false, "");
	domain.libvirt_version = 0;
	assert_plan (VMC_METHOD_COMMIT, VMC_METHOD_COMMIT, false, "");
}

static void filesystems_that_cannot_be_mapped_forbid_a_commit (void **state)
{
	(void) state;
	strcpy (one.why_not_map, "not ext4");
	strcpy (two.why_not_map, "not ext4");
	assert_only_trim ("can be mapped: not ext4");
}

/* --- zeros --------------------------------------------------------------------------------------- */

static void cannot_map (void)
{
	strcpy (one.why_not_map, "its type cannot be mapped");
	strcpy (two.why_not_map, "its type cannot be mapped");
}

static void assert_zero (enum vmc_method_choice wanted, enum vmc_method_choice then, const char *reason)
{
	struct vmc_plan plan;
	struct vmc_error err;

	facts.zero = true;
	if (vmc_plan_disk (&facts, wanted, &plan, &err) < 0)
		fail_msg ("%s", err.text);
	assert_true (plan.zero);
	assert_int_equal (plan.then, then);
	assert_contains (plan.reason, reason);
}

static void zeros_are_made_before_a_convert (void **state)
{
	(void) state;
	cannot_map ();
	assert_zero (VMC_METHOD_AUTO, VMC_METHOD_CONVERT, "a convert leaves the zeros out");
	assert_zero (VMC_METHOD_CONVERT, VMC_METHOD_CONVERT, "");
}

/* Then the convert needs no filesystem that can be mapped. */
static void after_the_zeros_all_is_copied (void **state)
{
	(void) state;
	cannot_map ();
	facts.zero = facts.zeroed = true;
	assert_plan (VMC_METHOD_CONVERT, VMC_METHOD_CONVERT, false, "asked for");
	facts.zeroed = facts.zero = false;
	assert_refusal (VMC_METHOD_CONVERT, VMC_REFUSED, "cannot be mapped");
}

static void with_discards_zeros_are_enough (void **state)
{
	(void) state;
	cannot_map ();
	strcpy (disk.discard, "unmap");
	assert_zero (VMC_METHOD_AUTO, VMC_METHOD_CONVERT, "QEMU gives back what the guest zeroes");
	facts.image.names = 2; /* no convert, but none is needed either */
	assert_zero (VMC_METHOD_AUTO, VMC_METHOD_AUTO, "QEMU gives back what the guest zeroes");
}

static void zeros_that_no_convert_could_leave_out_are_not_made (void **state)
{
	(void) state;
	facts.zero = true;
	facts.image.names = 2;
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED, "hard links");
}

static void zeros_need_a_filesystem_that_can_be_filled (void **state)
{
	(void) state;
	facts.zero = true;
	strcpy (one.why_not_zero, "it lies on dm-crypt");
	strcpy (two.why_not_zero, "it lies on dm-crypt");
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED, "can be filled with zeros: it lies on dm-crypt");
}

static void zeros_need_a_running_guest (void **state)
{
	(void) state;
	make_off ();
	facts.zero = true;
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED, "cannot fill anything with zeros");
}

static void zeros_are_offered_with_what_they_would_bring (void **state)
{
	(void) state;
	facts.image.allocated_bytes = 5 * GIB;
	two.free_bytes = 3 * GIB;
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_COMMIT, false, "trims"); /* both can be mapped: no word of it */
	strcpy (two.why_not_map, "not ext4");
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_COMMIT, false, "; --zero would give back up to 3.00 GiB");
	cannot_map ();
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED, "; --zero would give back up to 3.00 GiB");
	one.free_bytes = 9 * GIB; /* more than there is on the host */
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED, "; --zero would give back up to 5.00 GiB");
	strcpy (one.why_not_zero, "it lies on dm-crypt");
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED, "; --zero would give back up to 3.00 GiB");
}

static void a_little_is_not_offered (void **state)
{
	struct vmc_plan plan;
	struct vmc_error err;

	(void) state;
	facts.image.allocated_bytes = 5 * GIB;
	two.free_bytes = 60 * MIB;
	strcpy (two.why_not_map, "not ext4");
	assert_int_equal (vmc_plan_disk (&facts, VMC_METHOD_AUTO, &plan, &err), 0);
	assert_null (strstr (plan.reason, "--zero"));
}

/* --- what forbids a convert ------------------------------------------------------------------- */

/* The others do not give the path to another file. */
static void assert_only_in_place (const char *reason)
{
	assert_refusal (VMC_METHOD_CONVERT, VMC_REFUSED, reason);
	assert_plan (VMC_METHOD_COMMIT, VMC_METHOD_COMMIT, false, "");
	assert_plan (VMC_METHOD_TRIM, VMC_METHOD_TRIM, false, "");
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_COMMIT, false, "");
}

static void a_symbolic_link_forbids_a_convert (void **state)
{
	(void) state;
	facts.image.is_link = true;
	assert_only_in_place ("its path is a symbolic link; a convert needs the path of the file itself");
}

/* None at all: it has been removed meanwhile. */
static void other_names_forbid_a_convert (void **state)
{
	static const uint64_t names[] = {2, 3, UINT64_C (1) << 32, 0};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (names); i++) {
		facts.image.names = names[i];
		assert_only_in_place ("its file has other names (hard links)");
	}
}

static void a_new_or_old_image_in_the_way_forbids_a_convert (void **state)
{
	static const char *const names[] = {"/images/vm1.qcow2.vmcompact-new", "/images/vm1.qcow2.vmcompact-old",
					    "/images/vm1.qcow2.vmcompact-swap", "/images/vm1.qcow2.vmcompact-overlay2"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (names); i++) {
		strcpy (facts.in_the_way, names[i]);
		assert_refusal (VMC_METHOD_CONVERT, VMC_REFUSED, names[i]);
	}
}

/* --- the pause of a commit ---------------------------------------------------------------------- */

#define PAUSE "may lose writes while a commit starts, so the guest is paused for that moment"

static void assert_reason (enum vmc_method_choice wanted, const char *reason)
{
	struct vmc_plan plan;
	struct vmc_error err;

	if (vmc_plan_disk (&facts, wanted, &plan, &err) < 0)
		fail_msg ("%s", err.text);
	assert_string_equal (plan.reason, reason);
}

static void a_commit_by_a_qemu_that_loses_writes_tells_of_the_pause (void **state)
{
	static const struct {
		unsigned long version;
		const char *name; /* NULL: no pause */
	} cases[] = {
		{8001099, NULL},      {8002000, "8.2.0"},   {10000009, "10.0.9"}, {10000010, NULL},
		{10001000, "10.1.0"}, {10002001, "10.2.1"}, {10002002, NULL},     {0, "of unknown version"},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		char reason[VMC_TEXT_SIZE] = "it was asked for";

		if (cases[i].name != NULL)
			(void) snprintf (reason, sizeof reason, "it was asked for; QEMU %s " PAUSE, cases[i].name);
		domain.qemu_version = cases[i].version;
		assert_reason (VMC_METHOD_COMMIT, reason);
		assert_reason (VMC_METHOD_CONVERT, reason);
	}
}

static void the_pause_is_told_of_when_auto_commits (void **state)
{
	(void) state;
	domain.qemu_version = 10001000;
	assert_reason (VMC_METHOD_AUTO, "the disk has no discard='unmap', so QEMU drops what the guest trims; "
					"QEMU 10.1.0 " PAUSE);
}

static void a_trim_has_no_pause (void **state)
{
	(void) state;
	domain.qemu_version = 10001000;
	assert_reason (VMC_METHOD_TRIM, "it was asked for");
	strcpy (disk.discard, "unmap");
	assert_reason (VMC_METHOD_AUTO, "the disk has discard='unmap', so a trim is enough");
}

/* The sentence is cut then; what is before it stays. */
static void a_long_reason_has_room_for_no_more (void **state)
{
	char reason[VMC_TEXT_SIZE];

	(void) state;
	memset (reason, 'r', sizeof reason - 1);
	reason[sizeof reason - 1] = 0;
	facts.why_wanted = reason;
	domain.qemu_version = 0;
	assert_reason (VMC_METHOD_COMMIT, reason);
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* The slack is 2 % of the virtual size and 16 MiB. */
static void what_is_left_over_is_beyond_the_slack (void **state)
{
	(void) state;
	assert_int_equal (vmc_plan_left_over (100 * GIB, 90 * GIB, 10 * GIB), 0);
	assert_int_equal (vmc_plan_left_over (100 * GIB, 90 * GIB, 12 * GIB + 16 * MIB), 0);
	assert_int_equal (vmc_plan_left_over (100 * GIB, 90 * GIB, 12 * GIB + 16 * MIB + 1), 1);
	assert_int_equal (vmc_plan_left_over (100 * GIB, 90 * GIB, 100 * GIB), 88 * GIB - 16 * MIB);
}

static void without_a_discard_nothing_is_left_over (void **state)
{
	(void) state;
	assert_int_equal (vmc_plan_left_over (100 * GIB, 0, 100 * GIB), 0);
}

/* The guest counts, and may count wrongly. */
static void more_discarded_than_there_is_means_all_of_it (void **state)
{
	(void) state;
	assert_int_equal (vmc_plan_left_over (100 * GIB, 200 * GIB, 50 * GIB), 48 * GIB - 16 * MIB);
	assert_int_equal (vmc_plan_left_over (100 * GIB, UINT64_MAX, 50 * GIB), 48 * GIB - 16 * MIB);
}

static void a_trim_that_changed_nothing_was_dropped (void **state)
{
	(void) state;
	assert_true (vmc_plan_trim_dropped (100 * GIB, 90 * GIB, 50 * GIB, 50 * GIB));
	assert_true (vmc_plan_trim_dropped (100 * GIB, 90 * GIB, 50 * GIB, 51 * GIB));
}

static void a_trim_that_gave_a_tenth_was_not_dropped (void **state)
{
	uint64_t expected = vmc_plan_left_over (100 * GIB, 90 * GIB, 50 * GIB);

	(void) state;
	assert_false (vmc_plan_trim_dropped (100 * GIB, 90 * GIB, 50 * GIB, 50 * GIB - expected / 10));
	assert_true (vmc_plan_trim_dropped (100 * GIB, 90 * GIB, 50 * GIB, 50 * GIB - expected / 10 + 1));
	assert_false (vmc_plan_trim_dropped (100 * GIB, 90 * GIB, 50 * GIB, 10 * GIB));
}

static void a_trim_of_what_is_small_already_was_not_dropped (void **state)
{
	(void) state;
	assert_false (vmc_plan_trim_dropped (100 * GIB, 90 * GIB, 10 * GIB, 10 * GIB));
}

/* --- at rest ---------------------------------------------------------------------------------- */

static void at_rest_it_is_done_in_place (void **state)
{
	(void) state;
	make_off ();
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_COMMIT, false, "nobody runs it");
	assert_plan (VMC_METHOD_COMMIT, VMC_METHOD_COMMIT, false, "asked for");
	strcpy (disk.discard, "unmap");
	strcpy (disk.bus, "sata");
	domain.checkpoints = true;
	assert_plan (VMC_METHOD_AUTO, VMC_METHOD_COMMIT, false, "nobody runs it");
}

/* In its place, or into a file of its own, for which the place of the image does not matter; no holes need to be punched. */
static void at_rest_a_convert_is_a_rewrite (void **state)
{
	(void) state;
	make_off ();
	assert_plan (VMC_METHOD_CONVERT, VMC_METHOD_CONVERT, false, "asked for");
	strcpy (facts.in_the_way, "/images/vm1.qcow2.vmcompact-old");
	assert_refusal (VMC_METHOD_CONVERT, VMC_REFUSED, "vmcompact-old' is in the way");
	facts.in_the_way[0] = 0;
	facts.image.is_link = true;
	assert_refusal (VMC_METHOD_CONVERT, VMC_REFUSED, "symbolic link");
	facts.image.is_link = false;
	facts.image.names = 2;
	assert_refusal (VMC_METHOD_CONVERT, VMC_REFUSED, "hard links");
	facts.copied = true;
	strcpy (facts.why_no_punch, "cannot punch");
	assert_plan (VMC_METHOD_CONVERT, VMC_METHOD_CONVERT, false, "a compact copy was asked for");
	domain.switched_off = false;
	assert_refusal (VMC_METHOD_CONVERT, VMC_REFUSED, "not simply switched off");
}

/* For both methods that there are at rest. */
static void assert_refused_at_rest (const char *reason)
{
	assert_refusal (VMC_METHOD_AUTO, VMC_REFUSED, reason);
	assert_refusal (VMC_METHOD_COMMIT, VMC_REFUSED, reason);
}

static void a_saved_domain_is_not_at_rest (void **state)
{
	(void) state;
	make_off ();
	domain.switched_off = false;
	assert_refused_at_rest ("not simply switched off");
}

static void at_rest_it_must_be_here (void **state)
{
	(void) state;
	make_off ();
	domain.local = false;
	assert_refused_at_rest ("on another host");
}

static void at_rest_the_disk_must_be_one_that_is_handled (void **state)
{
	static bool *const flags[] = {&disk.read_only, &disk.shareable, &disk.transient, &disk.encrypted, &disk.sliced};
	static const char *const reasons[] = {"read-only", "shareable", "transient", "encrypted", "slice"};

	for (size_t i = 0; i < UNIT_COUNT (flags); i++) {
		(void) make_good (state);
		make_off ();
		*flags[i] = true;
		assert_refused_at_rest (reasons[i]);
	}
	(void) make_good (state);
	make_off ();
	strcpy (disk.type, "volume");
	assert_refused_at_rest ("type 'volume'");
}

static void at_rest_the_image_must_be_known_and_nobody_elses (void **state)
{
	make_off ();
	strcpy (facts.used_by, "vm2");
	assert_refused_at_rest ("'vm2' uses the same file");
	(void) make_good (state);
	make_off ();
	facts.image_known = false;
	strcpy (facts.why_no_image, "it has internal snapshots");
	assert_refused_at_rest ("internal snapshots");
	(void) make_good (state);
	make_off ();
	strcpy (facts.why_no_punch, "cannot punch");
	assert_refused_at_rest ("cannot punch");
	(void) make_good (state);
	make_off ();
	strcpy (facts.why_no_lock, "locks stay here");
	assert_refused_at_rest ("locks stay here");
	facts.copied = true; /* what is read must not change either */
	assert_refused_at_rest ("locks stay here");
}

#define PLAN_TEST(test) cmocka_unit_test_setup (test, make_good)

static const struct CMUnitTest tests[] = {
	PLAN_TEST (without_discard_it_is_a_commit),
	PLAN_TEST (with_discard_it_is_a_trim_first),
	PLAN_TEST (a_trim_needs_no_commit),
	PLAN_TEST (what_cannot_be_trimmed_is_committed),
	PLAN_TEST (one_filesystem_that_can_is_enough),
	PLAN_TEST (what_was_asked_for_is_done),
	PLAN_TEST (the_reason_for_what_was_asked_for_is_the_callers),
	PLAN_TEST (raw_and_scsi_are_handled_too),
	PLAN_TEST (auto_never_chooses_a_convert),
	PLAN_TEST (a_trim_needs_a_running_domain),
	PLAN_TEST (a_domain_must_be_here),
	PLAN_TEST (at_rest_it_is_done_in_place),
	PLAN_TEST (at_rest_a_convert_is_a_rewrite),
	PLAN_TEST (a_saved_domain_is_not_at_rest),
	PLAN_TEST (at_rest_it_must_be_here),
	PLAN_TEST (at_rest_the_disk_must_be_one_that_is_handled),
	PLAN_TEST (at_rest_the_image_must_be_known_and_nobody_elses),
	PLAN_TEST (a_domain_must_have_no_job),
	PLAN_TEST (a_domain_must_have_an_agent),
	PLAN_TEST (our_agent_is_preferred),
	PLAN_TEST (qemu_agent_is_enough),
	PLAN_TEST (it_trims_nothing_that_is_dropped),
	PLAN_TEST (it_freezes_for_ext4_alone),
	PLAN_TEST (it_must_know_of_loop_devices),
	PLAN_TEST (it_must_name_a_filesystem),
	PLAN_TEST (it_changes_nothing_of_what_is_forbidden),
	PLAN_TEST (a_pause_is_said_behind_it),
	PLAN_TEST (a_cdrom_is_no_disk),
	PLAN_TEST (other_types_of_disks_are_refused),
	PLAN_TEST (a_block_device_needs_a_place_for_the_overlay),
	PLAN_TEST (a_block_device_is_not_replaced),
	PLAN_TEST (a_block_device_at_rest_is_left_alone),
	PLAN_TEST (a_disk_on_the_network_is_only_trimmed),
	PLAN_TEST (read_only_is_refused),
	PLAN_TEST (shareable_is_refused),
	PLAN_TEST (a_transient_domain_is_not_committed),
	PLAN_TEST (transient_is_refused),
	PLAN_TEST (encrypted_is_refused),
	PLAN_TEST (a_slice_is_refused),
	PLAN_TEST (a_block_job_is_refused),
	PLAN_TEST (other_buses_are_refused),
	PLAN_TEST (other_formats_are_refused),
	PLAN_TEST (an_image_that_is_not_known_is_refused),
	PLAN_TEST (a_file_of_another_domain_is_refused),
	PLAN_TEST (another_writer_is_refused),
	PLAN_TEST (a_disk_without_filesystems_is_refused),
	PLAN_TEST (what_can_neither_be_trimmed_nor_mapped_is_refused),
	PLAN_TEST (writes_that_may_be_lost_forbid_an_overlay),
	PLAN_TEST (checkpoints_forbid_a_commit),
	PLAN_TEST (a_host_that_cannot_punch_forbids_a_commit),
	PLAN_TEST (a_host_that_cannot_punch_can_convert),
	PLAN_TEST (a_file_in_the_way_forbids_a_commit),
	PLAN_TEST (too_little_room_forbids_a_commit),
	PLAN_TEST (a_guest_that_writes_needs_more_room),
	PLAN_TEST (the_room_does_not_overflow),
	PLAN_TEST (versions_that_nobody_has_tested_forbid_a_commit),
	PLAN_TEST (filesystems_that_cannot_be_mapped_forbid_a_commit),
	PLAN_TEST (zeros_are_made_before_a_convert),
	PLAN_TEST (after_the_zeros_all_is_copied),
	PLAN_TEST (with_discards_zeros_are_enough),
	PLAN_TEST (zeros_that_no_convert_could_leave_out_are_not_made),
	PLAN_TEST (zeros_need_a_filesystem_that_can_be_filled),
	PLAN_TEST (zeros_need_a_running_guest),
	PLAN_TEST (zeros_are_offered_with_what_they_would_bring),
	PLAN_TEST (a_little_is_not_offered),
	PLAN_TEST (a_symbolic_link_forbids_a_convert),
	PLAN_TEST (other_names_forbid_a_convert),
	PLAN_TEST (a_new_or_old_image_in_the_way_forbids_a_convert),
	PLAN_TEST (a_commit_by_a_qemu_that_loses_writes_tells_of_the_pause),
	PLAN_TEST (the_pause_is_told_of_when_auto_commits),
	PLAN_TEST (a_trim_has_no_pause),
	PLAN_TEST (a_long_reason_has_room_for_no_more),
	cmocka_unit_test (what_is_left_over_is_beyond_the_slack),
	cmocka_unit_test (without_a_discard_nothing_is_left_over),
	cmocka_unit_test (more_discarded_than_there_is_means_all_of_it),
	cmocka_unit_test (a_trim_that_changed_nothing_was_dropped),
	cmocka_unit_test (a_trim_that_gave_a_tenth_was_not_dropped),
	cmocka_unit_test (a_trim_of_what_is_small_already_was_not_dropped),
};

UNIT_MAIN (tests)
