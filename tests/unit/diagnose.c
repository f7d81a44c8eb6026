/* diagnose.c - tests of host/diagnose.c: a table of facts and what is found in them */
#include "unit.h"

#include <time.h>

#include "devices.h"
#include "diagnose.h"
#include "plan.h"
#include "qemu_version.h"

#define GIB (UINT64_C (1) << 30)
#define GUEST "'a guest'"

static struct vmc_domain_facts domain;
static struct vmc_disks disks;
static struct vmc_disk disk;
static struct vmc_disk_facts facts;
static struct vmc_filesystem filesystem;
static struct vmc_name below;
static struct vmc_findings findings;

/* Facts in which nothing is to be mended: ext4 on a partition of a virtio disk. */
static int make_good (void **state)
{
	(void) state;
	domain = (struct vmc_domain_facts) {.active = true,
					    .local = true,
					    .agent = true,
					    .persistent = true,
					    .libvirt_version = 11000000,
					    .qemu_version = 10000010};
	memset (&disk, 0, sizeof disk);
	strcpy (disk.target, "vda");
	strcpy (disk.bus, "virtio");
	strcpy (disk.format, "qcow2");
	strcpy (disk.discard, "unmap");
	strcpy (disk.path, "/images/vm1.qcow2");
	disks = (struct vmc_disks) {.items = &disk, .count = 1, .channel = true, .channel_connected = true};
	strcpy (disks.machine, "pc-q35-10.0");
	(void) add_device ("253:0", VMC_KIND_DISK, GIB);
	strcpy (get ("253:0")->name, "vda");
	(void) add_part ("253:1", VMC_KIND_PARTITION, GIB / 2, "253:0", 0);
	strcpy (below.name, "253:1");
	memset (&filesystem, 0, sizeof filesystem);
	strcpy (filesystem.type, "ext4");
	strcpy (filesystem.mount_point, "/srv");
	filesystem.devices = (struct vmc_list) {&below, 1};
	memset (&facts, 0, sizeof facts);
	facts.domain = &domain;
	facts.disk = &disk;
	facts.disks = &disks;
	facts.image_known = true;
	facts.image.room_bytes = 10 * GIB;
	facts.devices = &list;
	facts.filesystems[0] = &filesystem;
	facts.filesystem_count = 1;
	memset (&findings, 0, sizeof findings);
	return 0;
}

static int drop_devices (void **state)
{
	(void) state;
	vmc_stack_clear (&list);
	return 0;
}

static void diagnose_domain (void)
{
	memset (&findings, 0, sizeof findings);
	vmc_diagnose_domain (&domain, &disks, GUEST, &findings);
}

static void diagnose_disk (void)
{
	memset (&findings, 0, sizeof findings);
	vmc_diagnose_disk (&facts, GUEST, &findings);
}

/* The finding with PART in its text, or NULL. */
static const struct vmc_finding *find (const char *part)
{
	for (size_t i = 0; i < findings.count; i++)
		if (strstr (findings.items[i].text, part) != NULL)
			return &findings.items[i];
	return NULL;
}

static void assert_found (enum vmc_finding_level level, const char *where, const char *part, const char *command)
{
	const struct vmc_finding *finding = find (part);

	if (finding == NULL)
		fail_msg ("'%s' was not found", part);
	if (finding->level != level)
		fail_msg ("'%s' is '%s'", part, vmc_finding_level_name (finding->level));
	assert_string_equal (finding->where, where);
	assert_string_equal (finding->command, command);
}

/* Nothing is to be mended. */
static void assert_fine (void)
{
	for (size_t i = 0; i < findings.count; i++) {
		if (findings.items[i].level != VMC_FINDING_OK)
			fail_msg ("this was found: %s", findings.items[i].text);
		assert_string_equal (findings.items[i].command, "");
	}
}

/* One thing is to be mended. */
static void assert_only (enum vmc_finding_level level, const char *where, const char *part, const char *command)
{
	size_t count = 0;

	assert_found (level, where, part, command);
	for (size_t i = 0; i < findings.count; i++)
		count += findings.items[i].level != VMC_FINDING_OK;
	assert_int_equal (count, 1);
}

static void assert_domain (enum vmc_finding_level level, const char *where, const char *part, const char *command)
{
	diagnose_domain ();
	assert_only (level, where, part, command);
}

static void assert_disk (enum vmc_finding_level level, const char *where, const char *part, const char *command)
{
	diagnose_disk ();
	assert_only (level, where, part, command);
}

static void levels_have_names (void **state)
{
	(void) state;
	assert_string_equal (vmc_finding_level_name (VMC_FINDING_OK), "ok");
	assert_string_equal (vmc_finding_level_name (VMC_FINDING_NOTE), "note");
	assert_string_equal (vmc_finding_level_name (VMC_FINDING_STOP), "stop");
}

/* --- the domain --------------------------------------------------------------------------------- */

static void a_good_domain_is_fine (void **state)
{
	(void) state;
	diagnose_domain ();
	assert_fine ();
	assert_found (VMC_FINDING_OK, "agent", "vmcompact-agent answers", "");
	assert_int_equal (findings.count, 1);
}

static void a_domain_elsewhere_is_left_alone (void **state)
{
	(void) state;
	domain.local = domain.agent = false;
	domain.job = true;
	assert_domain (VMC_FINDING_STOP, "domain", "it is on another host", "");
}

static void an_agent_needs_a_channel (void **state)
{
	(void) state;
	domain.agent = disks.channel = disks.channel_connected = false;
	strcpy (domain.why_no_agent, "nothing answers");
	assert_domain (VMC_FINDING_STOP, "agent", "the domain has no channel for vmcompact-agent",
		       "vmcompact --setup " GUEST);
}

static void a_channel_needs_an_agent (void **state)
{
	(void) state;
	domain.agent = disks.channel_connected = false;
	assert_domain (VMC_FINDING_STOP, "agent", "nobody in the guest has the channel open",
		       "apt-get install vmcompact-agent && systemctl start vmcompact-agent");
}

static void an_agent_must_answer (void **state)
{
	(void) state;
	domain.agent = false;
	strcpy (domain.why_no_agent, "nothing answers");
	assert_domain (VMC_FINDING_STOP, "agent", "nothing answers", "systemctl restart vmcompact-agent");
}

/* Then something can be done, but not everything. */
static void qemu_guest_agent_is_not_enough_for_all (void **state)
{
	(void) state;
	domain.agent = disks.channel = disks.channel_connected = false;
	domain.qemu_agent = true;
	diagnose_domain ();
	assert_int_equal (findings.count, 2);
	assert_found (VMC_FINDING_NOTE, "agent", "only qemu-guest-agent answers", "");
	assert_found (VMC_FINDING_NOTE, "agent", "has no channel", "vmcompact --setup " GUEST);
	domain.agent = true;
	diagnose_domain ();
	assert_fine ();
}

static void a_domain_that_is_off_needs_no_agent (void **state)
{
	(void) state;
	domain = (struct vmc_domain_facts) {.local = true, .persistent = true, .switched_off = true};
	disks.channel = disks.channel_connected = false;
	assert_domain (VMC_FINDING_NOTE, "domain", "it is off", "");
	domain.switched_off = false;
	diagnose_domain ();
	assert_int_equal (findings.count, 2);
	assert_found (VMC_FINDING_STOP, "domain", "was not simply switched off",
		      "virsh start " GUEST " && virsh shutdown " GUEST);
}

static void what_the_domain_is_at_is_found (void **state)
{
	(void) state;
	domain.job = true;
	assert_domain (VMC_FINDING_STOP, "domain", "a migration, backup or save is under way",
		       "virsh domjobinfo " GUEST);
	domain.job = false;
	domain.checkpoints = true;
	assert_domain (VMC_FINDING_STOP, "domain", "it has checkpoints",
		       "virsh checkpoint-list " GUEST " --name | xargs -rn1 virsh checkpoint-delete " GUEST);
	domain.checkpoints = false;
	domain.persistent = false;
	assert_domain (VMC_FINDING_STOP, "domain", "it is transient",
		       "virsh dumpxml " GUEST " >domain.xml && virsh define domain.xml");
}

static void old_versions_are_found (void **state)
{
	(void) state;
	domain.qemu_version = VMC_QEMU_OLDEST;
	domain.libvirt_version = VMC_LIBVIRT_OLDEST;
	diagnose_domain ();
	assert_fine ();
	domain.qemu_version = VMC_QEMU_OLDEST - 1;
	assert_domain (VMC_FINDING_STOP, "QEMU", "QEMU 7.1.999 is older than 7.2.0: only trim can be used", "");
	domain.qemu_version = 0; /* not known */
	domain.libvirt_version = VMC_LIBVIRT_OLDEST - 1;
	assert_domain (VMC_FINDING_STOP, "libvirt", "libvirt 8.999.999 is older than 9.0.0", "");
	domain.libvirt_version = 0;
	diagnose_domain ();
	assert_fine ();
}

static void versions_that_need_a_pause_are_found (void **state)
{
	(void) state;
	domain.qemu_version = 10000009;
	assert_domain (VMC_FINDING_NOTE, "QEMU", "so the guest is paused for that moment", "");
}

/* --- the disk ------------------------------------------------------------------------------------- */

static void a_good_disk_is_fine (void **state)
{
	(void) state;
	diagnose_disk ();
	assert_fine ();
	assert_found (VMC_FINDING_OK, "vda", "discard='unmap'", "");
	assert_found (VMC_FINDING_OK, "vda /srv", "ext4: it can be mapped", "");
}

static void a_disk_without_discard_is_found (void **state)
{
	static const char *const words[] = {"", "ignore"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (words); i++) {
		strcpy (disk.discard, words[i]);
		assert_disk (VMC_FINDING_NOTE, "vda", "it has no discard='unmap'",
			     "vmcompact --setup --discard --disk=vda " GUEST);
	}
}

static void a_policy_that_loses_writes_is_found (void **state)
{
	(void) state;
	strcpy (disk.error_policy, "stop");
	diagnose_disk ();
	assert_fine ();
	strcpy (disk.error_policy, "report");
	assert_disk (VMC_FINDING_STOP, "vda", "its error_policy lets the guest's writes fail", "virsh edit " GUEST);
}

static void old_machine_types_are_found (void **state)
{
	static const char *const old[] = {"pc-i440fx-3.1", "pc-q35-2.12", "pc-1.0", "s390-ccw-virtio-3.0"},
				 *const fine[] = {"pc-i440fx-4.0",
						  "pc-q35-4.2.1",
						  "pc-q35-10.0",
						  "virt-9.2",
						  "",
						  "q35",
						  "pc",
						  "-",
						  "pc-i440fx-bionic",
						  "pc-q35-rhel7.6.0",
						  "x-3"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (old); i++) {
		strcpy (disks.machine, old[i]);
		assert_disk (VMC_FINDING_NOTE, "vda", "the machine type is older than QEMU 4.0", "virsh edit " GUEST);
	}
	for (size_t i = 0; i < UNIT_COUNT (fine); i++) {
		strcpy (disks.machine, fine[i]);
		diagnose_disk ();
		assert_fine ();
	}
	strcpy (disks.machine, "pc-i440fx-3.1");
	strcpy (disk.bus, "scsi"); /* it has always taken discards */
	diagnose_disk ();
	assert_fine ();
	facts.disks = NULL;
	strcpy (disk.bus, "virtio");
	diagnose_disk ();
	assert_fine ();
}

static void other_buses_are_found (void **state)
{
	static const char *const buses[] = {"sata", "ide", "usb", ""};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (buses); i++) {
		strcpy (disk.bus, buses[i]);
		assert_disk (VMC_FINDING_STOP, "vda", "its bus is none of virtio and scsi", "virsh edit " GUEST);
	}
}

/* --- the image ----------------------------------------------------------------------------------- */

static void what_is_wrong_with_the_image_is_found (void **state)
{
	(void) state;
	strcpy (facts.why_no_image, "it has a backing file that the XML does not name");
	facts.image_known = false;
	facts.image.room_bytes = 0; /* not known either */
	assert_disk (VMC_FINDING_STOP, "vda", "a backing file that the XML does not name",
		     "qemu-img info -U /images/vm1.qcow2");
}

static void who_else_has_the_image_is_found (void **state)
{
	(void) state;
	strcpy (facts.used_by, "vm2");
	assert_disk (VMC_FINDING_STOP, "vda", "the domain 'vm2' uses the same file", "virsh domblklist vm2");
	facts.used_by[0] = 0;
	facts.other_writer = true;
	assert_disk (VMC_FINDING_STOP, "vda", "somebody else than the guest's QEMU", "fuser -v /images/vm1.qcow2");
	facts.other_writer = false;
	facts.block_job = true;
	assert_disk (VMC_FINDING_STOP, "vda", "a block job is at work on it", "virsh blockjob " GUEST " vda");
	facts.block_job = false;
	disk.mirror = true;
	assert_disk (VMC_FINDING_STOP, "vda", "a block job is at work on it", "virsh blockjob " GUEST " vda");
}

static void a_file_in_the_way_is_found (void **state)
{
	(void) state;
	strcpy (facts.in_the_way, "/images/vm1.qcow2.vmcompact-overlay");
	assert_disk (VMC_FINDING_STOP, "vda", "a file with a name that the run needs is there already",
		     "qemu-img info -U /images/vm1.qcow2.vmcompact-overlay");
}

static void a_filesystem_without_holes_is_found (void **state)
{
	(void) state;
	strcpy (facts.why_no_punch, "the filesystem cannot punch holes");
	assert_disk (VMC_FINDING_STOP, "host filesystem", "cannot punch holes", "vmcompact --method=convert " GUEST);
}

static void too_little_room_is_found (void **state)
{
	(void) state;
	facts.write_bytes_per_s = 1 << 20;
	facts.image.room_bytes = vmc_plan_room (facts.write_bytes_per_s);
	diagnose_disk ();
	assert_fine ();
	facts.image.room_bytes--;
	assert_disk (VMC_FINDING_STOP, "host filesystem", "there is not enough room for the overlay",
		     "vmcompact --overlay-dir=/var/tmp " GUEST);
}

/* --- the guest ----------------------------------------------------------------------------------- */

static void a_disk_that_the_guest_does_not_have_is_found (void **state)
{
	(void) state;
	facts.filesystem_count = 0;
	strcpy (facts.why_no_guest_disk, "two disks of the guest have that size");
	assert_disk (VMC_FINDING_STOP, "vda", "two disks of the guest have that size", "virsh edit " GUEST);
	domain.agent = false; /* who could say so? */
	diagnose_disk ();
	assert_fine ();
}

static void what_cannot_be_mapped_is_found (void **state)
{
	(void) state;
	strcpy (filesystem.type, "btrfs");
	strcpy (filesystem.why_not_map, "nobody can");
	assert_disk (VMC_FINDING_NOTE, "vda /srv", "btrfs: commit and convert leave it out: nobody can", "");
}

static void what_cannot_be_trimmed_is_found (void **state)
{
	(void) state;
	strcpy (filesystem.why_not_trim, "its device does not pass discards on");
	assert_disk (VMC_FINDING_NOTE, "vda /srv", "it cannot be trimmed: its device does not pass discards on", "");
}

/* LVM on LUKS on a partition, and a LUKS beside it. */
static void add_luks (void)
{
	struct vmc_device *device;

	device = add_part ("252:0", "LUKS", GIB / 4, "253:0", GIB / 2);
	strcpy (device->name, "dm-0");
	device->encrypted = true;
	device = add_part ("252:1", "LUKS", GIB / 4, "253:1", 0);
	strcpy (device->name, "dm-1");
	device->encrypted = true;
	device = add_part ("252:2", "LVM", GIB / 8, "252:1", 0);
	strcpy (device->name, "dm-2");
	strcpy (filesystem.why_not_trim, "its device does not pass discards on");
}

static void the_luks_that_drops_discards_is_named (void **state)
{
	static const char *const devices[] = {"252:1", "252:2"};

	(void) state;
	add_luks ();
	for (size_t i = 0; i < UNIT_COUNT (devices); i++) {
		strcpy (below.name, devices[i]);
		assert_disk (VMC_FINDING_NOTE, "vda /srv", "it lies on LUKS, which drops discards",
			     "cryptsetup refresh --allow-discards --persistent "
			     "\"$(cat /sys/block/dm-1/dm/name)\"");
	}
	strcpy (below.name, "252:0");
	assert_disk (VMC_FINDING_NOTE, "vda /srv", "it lies on LUKS, which drops discards",
		     "cryptsetup refresh --allow-discards --persistent \"$(cat /sys/block/dm-0/dm/name)\"");
	strcpy (below.name, "253:1"); /* it lies beside them */
	diagnose_disk ();
	assert_null (find ("LUKS"));
	assert_found (VMC_FINDING_NOTE, "vda /srv", "it cannot be trimmed: its device", "");
	filesystem.why_not_trim[0] = 0;
	strcpy (below.name, "252:2"); /* this one passes them on */
	diagnose_disk ();
	assert_fine ();
}

static void luks_is_not_blamed_for_anything_else (void **state)
{
	(void) state;
	add_luks ();
	strcpy (below.name, "252:2");
	strcpy (filesystem.why_not_trim, "it is mounted read-only");
	assert_disk (VMC_FINDING_NOTE, "vda /srv", "it cannot be trimmed: it is mounted read-only", "");
}

/* Somebody is to type the command: a name that is more than one gets none. */
static void a_name_does_not_become_a_command (void **state)
{
	static const char *const names[] = {"dm-1/dm/name; reboot; echo ",
					    "$(reboot)",
					    "`reboot`",
					    "a b",
					    "..",
					    "\"",
					    "",
					    "../../../home/x",
					    "dm-1\n"};

	(void) state;
	add_luks ();
	strcpy (below.name, "252:2");
	for (size_t i = 0; i < UNIT_COUNT (names); i++) {
		strcpy (get ("252:1")->name, names[i]);
		assert_disk (VMC_FINDING_NOTE, "vda /srv", "it lies on LUKS, which drops discards", "");
	}
}

static void several_devices_are_none_to_be_named (void **state)
{
	static struct vmc_name two[] = {{"252:1"}, {"252:2"}};

	(void) state;
	add_luks ();
	filesystem.devices = (struct vmc_list) {two, 2};
	assert_disk (VMC_FINDING_NOTE, "vda /srv", "it cannot be trimmed: its device", "");
	filesystem.devices = (struct vmc_list) {NULL, 0};
	assert_disk (VMC_FINDING_NOTE, "vda /srv", "it cannot be trimmed: its device", "");
}

/* --- hostile guests -------------------------------------------------------------------------------- */

static void assert_printable (const char *text, size_t size)
{
	assert_true (strlen (text) < size);
	for (; *text != 0; text++)
		if ((unsigned char) *text < 0x20 || (unsigned char) *text == 0x7F)
			fail_msg ("\\x%02X is in a finding", (unsigned char) *text);
}

static void assert_all_printable (void)
{
	for (size_t i = 0; i < findings.count; i++) {
		assert_printable (findings.items[i].where, VMC_TEXT_SIZE);
		assert_printable (findings.items[i].text, VMC_TEXT_SIZE);
		assert_printable (findings.items[i].command, VMC_TEXT_SIZE);
	}
}

#define HOSTILE "\033]0;x\007\n\x7F\x9B\xFF"
#define HARMLESS "\\x1B]0;x\\x07\\x0A\\x7F\\x9B\\xFF"

static void hostile_texts_are_escaped (void **state)
{
	(void) state;
	domain.agent = false;
	strcpy (domain.why_no_agent, HOSTILE);
	assert_domain (VMC_FINDING_STOP, "agent", HARMLESS, "systemctl restart vmcompact-agent");
	domain.agent = true;
	strcpy (filesystem.type, HOSTILE "t");
	strcpy (filesystem.mount_point, "/" HOSTILE);
	strcpy (filesystem.why_not_map, HOSTILE "m");
	strcpy (filesystem.why_not_trim, HOSTILE "r");
	strcpy (facts.why_no_image, HOSTILE);
	strcpy (facts.in_the_way, HOSTILE);
	diagnose_disk ();
	assert_all_printable ();
	assert_found (VMC_FINDING_NOTE, "vda /" HARMLESS, HARMLESS "t: commit and convert leave it out: " HARMLESS "m",
		      "");
	assert_found (VMC_FINDING_NOTE, "vda /" HARMLESS, "it cannot be trimmed: " HARMLESS "r", "");
	assert_found (VMC_FINDING_STOP, "vda", "a file with a name that the run needs",
		      "qemu-img info -U '" HARMLESS "'");
}

static void fill (char *text, size_t size, char byte)
{
	memset (text, byte, size - 1);
	text[size - 1] = 0;
}

/* Each byte takes four when it is escaped. */
static void long_texts_are_cut (void **state)
{
	(void) state;
	for (const char *byte = "x\n\xFF"; *byte != 0; byte++) {
		fill (disk.path, sizeof disk.path, *byte);
		fill (disk.target, sizeof disk.target, *byte);
		fill (disk.bus, sizeof disk.bus, *byte);
		fill (disk.discard, sizeof disk.discard, *byte);
		fill (disks.machine, sizeof disks.machine, *byte);
		fill (facts.why_no_image, sizeof facts.why_no_image, *byte);
		fill (facts.used_by, sizeof facts.used_by, *byte);
		fill (facts.in_the_way, sizeof facts.in_the_way, *byte);
		fill (facts.why_no_punch, sizeof facts.why_no_punch, *byte);
		fill (filesystem.type, sizeof filesystem.type, *byte);
		fill (filesystem.mount_point, sizeof filesystem.mount_point, *byte);
		fill (filesystem.why_not_map, sizeof filesystem.why_not_map, *byte);
		fill (filesystem.why_not_trim, sizeof filesystem.why_not_trim, *byte);
		fill (domain.why_no_agent, sizeof domain.why_no_agent, *byte);
		facts.other_writer = true;
		domain.agent = true;
		diagnose_disk ();
		domain.agent = false;
		vmc_diagnose_domain (&domain, &disks, GUEST, &findings);
		assert_true (findings.count > 8);
		assert_all_printable ();
	}
}

static void the_last_of_too_many_are_left_out (void **state)
{
	(void) state;
	for (int i = 0; i < 3 * VMC_FINDINGS_MAX; i++) {
		char text[20];

		(void) snprintf (text, sizeof text, "finding %d", i);
		vmc_findings_add (&findings, VMC_FINDING_STOP, "here", text, NULL);
		vmc_findings_addf (&findings, VMC_FINDING_STOP, "here", text, "%s", "there");
	}
	assert_int_equal (findings.count, VMC_FINDINGS_MAX);
	assert_string_equal (findings.items[0].text, "finding 0");
	assert_string_equal (findings.items[VMC_FINDINGS_MAX - 1].text, "finding 127");
}

static struct vmc_filesystem many[VMC_FILESYSTEMS_MAX];

/* As many filesystems as a guest can name, all on one device. */
static void add_filesystems (const char *device)
{
	strcpy (below.name, device);
	strcpy (filesystem.why_not_map, "nobody can");
	strcpy (filesystem.why_not_trim, "its device does not pass discards on");
	for (size_t i = 0; i < VMC_FILESYSTEMS_MAX; i++) {
		many[i] = filesystem;
		facts.filesystems[i] = &many[i];
	}
	facts.filesystem_count = VMC_FILESYSTEMS_MAX;
}

static void many_filesystems_have_room (void **state)
{
	(void) state;
	add_luks ();
	add_filesystems ("252:2");
	for (int i = 0; i < 10; i++)
		vmc_diagnose_disk (&facts, GUEST, &findings);
	assert_int_equal (findings.count, VMC_FINDINGS_MAX);
	vmc_diagnose_domain (&domain, &disks, GUEST, &findings);
	assert_int_equal (findings.count, VMC_FINDINGS_MAX);
}

/* The upper half of the list, in which each device lies on many before it, has more ways down than anybody can walk; the lower half
 * lies beside it, and must be looked for in all of the upper one. */
static void many_ways_down_take_no_time (void **state)
{
	enum { DISKS = 64, HALF = VMC_DEVICES_MAX / 2, WIDTH = VMC_BELOW_ALL_MAX / HALF - 1, SECONDS_MAX = 5 };
	char name[VMC_NAME_SIZE];
	clock_t began;

	(void) state;
	for (size_t i = list.count; i < VMC_DEVICES_MAX; i++) {
		struct vmc_device *device;

		(void) snprintf (name, sizeof name, "250:%zu", i);
		device = add_device (name, "device-mapper", GIB);
		strcpy (device->name, "dm-9");
		device->encrypted = i == HALF; /* far from the top */
		for (size_t j = i > HALF + WIDTH ? i - WIDTH : HALF; j < i; j++)
			lies_on (device, ((struct vmc_device *) list.items)[j].device);
	}
	add_filesystems (name);
	began = clock ();
	for (int i = 0; i < DISKS; i++)
		vmc_diagnose_disk (&facts, GUEST, &findings);
	if ((clock () - began) / CLOCKS_PER_SEC >= SECONDS_MAX)
		fail_msg ("it took %ld s", (long) ((clock () - began) / CLOCKS_PER_SEC));
	assert_int_equal (findings.count, VMC_FINDINGS_MAX);
	assert_found (VMC_FINDING_NOTE, "vda /srv", "it lies on LUKS, which drops discards",
		      "cryptsetup refresh --allow-discards --persistent \"$(cat /sys/block/dm-9/dm/name)\"");
}

#define GOOD_TEST(name) cmocka_unit_test_setup_teardown (name, make_good, drop_devices)

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (levels_have_names),
	GOOD_TEST (a_good_domain_is_fine),
	GOOD_TEST (a_domain_elsewhere_is_left_alone),
	GOOD_TEST (an_agent_needs_a_channel),
	GOOD_TEST (a_channel_needs_an_agent),
	GOOD_TEST (an_agent_must_answer),
	GOOD_TEST (qemu_guest_agent_is_not_enough_for_all),
	GOOD_TEST (a_domain_that_is_off_needs_no_agent),
	GOOD_TEST (what_the_domain_is_at_is_found),
	GOOD_TEST (old_versions_are_found),
	GOOD_TEST (versions_that_need_a_pause_are_found),
	GOOD_TEST (a_good_disk_is_fine),
	GOOD_TEST (a_disk_without_discard_is_found),
	GOOD_TEST (a_policy_that_loses_writes_is_found),
	GOOD_TEST (old_machine_types_are_found),
	GOOD_TEST (other_buses_are_found),
	GOOD_TEST (what_is_wrong_with_the_image_is_found),
	GOOD_TEST (who_else_has_the_image_is_found),
	GOOD_TEST (a_file_in_the_way_is_found),
	GOOD_TEST (a_filesystem_without_holes_is_found),
	GOOD_TEST (too_little_room_is_found),
	GOOD_TEST (a_disk_that_the_guest_does_not_have_is_found),
	GOOD_TEST (what_cannot_be_mapped_is_found),
	GOOD_TEST (what_cannot_be_trimmed_is_found),
	GOOD_TEST (the_luks_that_drops_discards_is_named),
	GOOD_TEST (luks_is_not_blamed_for_anything_else),
	GOOD_TEST (a_name_does_not_become_a_command),
	GOOD_TEST (several_devices_are_none_to_be_named),
	GOOD_TEST (hostile_texts_are_escaped),
	GOOD_TEST (long_texts_are_cut),
	GOOD_TEST (the_last_of_too_many_are_left_out),
	GOOD_TEST (many_filesystems_have_room),
	GOOD_TEST (many_ways_down_take_no_time),
};

UNIT_MAIN (tests)
