/* domain_xml.c - tests of host/domain_xml.c */
#include "unit.h"

#include "domain_xml.h"

#define DISK(inside) "<disk type='file' device='disk'><target dev='vda' bus='virtio'/>" inside "</disk>"
#define DOMAIN(devices) "<domain><name>vm1</name><devices>" devices "</devices></domain>"

static void parse (const char *xml, struct vmc_disks *disks)
{
	struct vmc_error err;

	if (vmc_domain_xml_parse (xml, disks, &err) < 0)
		fail_msg ("%s", err.text);
}

static void assert_fails (const char *xml, enum vmc_code code, const char *reason)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	struct vmc_error err;

	assert_int_equal (vmc_domain_xml_parse (xml, &disks, &err), -1);
	assert_error (err, code, reason);
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

static void a_disk_is_read (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	const struct vmc_disk *disk;

	(void) state;
	parse (DOMAIN ("<disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/>"
		       "<source file='/images/a &amp; b.qcow2' index='2'/><target dev='vda' "
		       "bus='virtio'/><serial>S1</serial>"
		       "<address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/></disk>"),
	       &disks);
	assert_int_equal (disks.count, 1);
	disk = &disks.items[0];
	assert_string_equal (disk->target, "vda");
	assert_string_equal (disk->bus, "virtio");
	assert_string_equal (disk->type, "file");
	assert_string_equal (disk->device, "disk");
	assert_string_equal (disk->format, "qcow2");
	assert_string_equal (disk->discard, "unmap");
	assert_string_equal (disk->serial, "S1");
	assert_string_equal (disk->address, "virtio 0000:04:00.0");
	assert_string_equal (disk->path, "/images/a & b.qcow2");
	assert_int_equal (disk->backing_count, 0);
	assert_false (disk->read_only || disk->shareable || disk->transient || disk->encrypted || disk->sliced ||
		      disk->mirror);
}

static void what_a_disk_does_not_say_is_empty (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};

	(void) state;
	parse (DOMAIN ("<disk><target dev='sda'/></disk>"), &disks);
	assert_string_equal (disks.items[0].target, "sda");
	assert_string_equal (disks.items[0].bus, "");
	assert_string_equal (disks.items[0].type, "");
	assert_string_equal (disks.items[0].format, "");
	assert_string_equal (disks.items[0].discard, "");
	assert_string_equal (disks.items[0].serial, "");
	assert_string_equal (disks.items[0].address, "");
	assert_string_equal (disks.items[0].path, "");
}

static void the_address_of_a_scsi_disk_has_no_host (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};

	(void) state;
	parse (DOMAIN (DISK ("<address type='drive' controller='0' bus='1' target='2' unit='3'/>")), &disks);
	assert_string_equal (disks.items[0].address, "scsi 1:2:3");
}

static void a_block_device_has_its_path (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};

	(void) state;
	parse (DOMAIN ("<disk type='block' device='disk'><source dev='/dev/vg/lv'/><target dev='vda'/></disk>"),
	       &disks);
	assert_string_equal (disks.items[0].path, "/dev/vg/lv");
}

static void several_disks_are_found_by_target (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};

	(void) state;
	parse (DOMAIN ("<disk><target dev='vda'/></disk> <!-- --> <emulator>x</emulator><disk><target "
		       "dev='vdb'/></disk>"),
	       &disks);
	assert_int_equal (disks.count, 2);
	assert_ptr_equal (vmc_disks_find (&disks, "vda"), &disks.items[0]);
	assert_ptr_equal (vmc_disks_find (&disks, "vdb"), &disks.items[1]);
	assert_null (vmc_disks_find (&disks, "vd"));
	assert_null (vmc_disks_find (&disks, "vdaa"));
}

#define FLAG_TEST(name, inside, member) \
	static void name (void **state) \
	{ \
		VMC_CLEANUP_DISKS struct vmc_disks disks = {0}; \
		(void) state; \
		parse (DOMAIN (DISK (inside)), &disks); \
		assert_true (disks.items[0].member); \
	}
FLAG_TEST (read_only_is_read, "<readonly/>", read_only)
FLAG_TEST (shareable_is_read, "<shareable/>", shareable)
FLAG_TEST (transient_is_read, "<transient/>", transient)
FLAG_TEST (encryption_of_the_disk_is_read, "<encryption format='luks'/>", encrypted)
FLAG_TEST (encryption_of_the_source_is_read, "<source file='/a'><encryption format='luks'/></source>", encrypted)
FLAG_TEST (a_slice_is_read, "<source file='/a'><slices><slice type='storage' offset='0' size='9'/></slices></source>",
	   sliced)

static void a_mirror_is_read (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};

	(void) state;
	parse (DOMAIN (DISK ("<mirror type='file' job='active-commit'><source file='/base'/></mirror>")), &disks);
	assert_true (disks.items[0].mirror);
	assert_false (disks.items[0].mirror_ready || disks.items[0].mirror_moving);
	assert_string_equal (disks.items[0].mirror_path, "/base");
}

/* libvirt says ready='abort' while it takes a mirror away, and 'pivot' while it moves the domain to it. */
static void a_mirror_may_be_ready_or_moving (void **state)
{
	static const struct {
		const char *ready;
		bool is_ready, is_moving;
	} cases[] = {{"yes", true, false}, {"pivot", false, true}, {"abort", false, false}, {"", false, false}};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
		char xml[500];

		(void) snprintf (xml, sizeof xml,
				 DOMAIN (DISK ("<mirror type='file' job='active-commit' ready='%s'><source "
					       "file='/base'/></mirror>")),
				 cases[i].ready);
		parse (xml, &disks);
		assert_true (disks.items[0].mirror);
		if (disks.items[0].mirror_ready != cases[i].is_ready ||
		    disks.items[0].mirror_moving != cases[i].is_moving)
			fail_msg ("ready='%s'", cases[i].ready);
	}
}

static void the_chain_is_read_in_order (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	const struct vmc_disk *disk;

	(void) state;
	parse (DOMAIN (DISK ("<source file='/top'/><backingStore type='file'><format type='raw'/><source file='/one'/>"
			     "<backingStore type='block'><format type='qcow2'/><source "
			     "dev='/two'/><backingStore/></backingStore>"
			     "</backingStore>")),
	       &disks);
	disk = &disks.items[0];
	assert_int_equal (disk->backing_count, 2);
	assert_string_equal (disk->backing[0], "/one");
	assert_string_equal (disk->backing[1], "/two");
	assert_string_equal (disk->backing_format, "raw");
}

static void an_empty_backing_store_ends_the_chain (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};

	(void) state;
	parse (DOMAIN (DISK ("<backingStore/>")), &disks);
	assert_int_equal (disks.items[0].backing_count, 0);
}

/* XML of a disk with COUNT backing files. */
static void make_chain (char *xml, int count)
{
	xml += sprintf (xml, "<domain><devices><disk><target dev='vda'/>");
	for (int i = 0; i < count; i++)
		xml += sprintf (xml, "<backingStore><source file='/%d'/>", i);
	for (int i = 0; i < count; i++)
		xml += sprintf (xml, "</backingStore>");
	strcpy (xml, "</disk></devices></domain>");
}

static void a_chain_has_a_limit (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	char xml[10000];

	(void) state;
	make_chain (xml, VMC_CHAIN_MAX);
	parse (xml, &disks);
	assert_int_equal (disks.items[0].backing_count, VMC_CHAIN_MAX);
	make_chain (xml, VMC_CHAIN_MAX + 1);
	assert_fails (xml, VMC_REFUSED, "more than 32 backing files");
}

/* A path that was cut would be another file. */
static void a_path_is_never_cut (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	char xml[5000];

	(void) state;
	sprintf (xml, DOMAIN (DISK ("<source file='/%0*d'/>")), VMC_PATH_SIZE - 2, 1);
	parse (xml, &disks);
	assert_int_equal (strlen (disks.items[0].path), VMC_PATH_SIZE - 1);
	sprintf (xml, DOMAIN (DISK ("<source file='/%0*d'/>")), VMC_PATH_SIZE - 1, 1);
	assert_fails (xml, VMC_REFUSED, "too long");
	sprintf (xml, DOMAIN (DISK ("<backingStore><source file='/%0*d'/></backingStore>")), VMC_PATH_SIZE - 1, 1);
	assert_fails (xml, VMC_REFUSED, "too long a path");
}

static void a_disk_without_a_target_is_refused (void **state)
{
	(void) state;
	assert_fails (DOMAIN ("<disk/>"), VMC_REFUSED, "has no target");
	assert_fails (DOMAIN ("<disk><target bus='virtio'/></disk>"), VMC_REFUSED, "has no target");
	assert_fails (DOMAIN ("<disk><target dev=''/></disk>"), VMC_REFUSED, "has no target");
}

static void what_is_no_domain_fails (void **state)
{
	static const char *const texts[] = {"", "x", "<domain>", "<domain/>", "<domain><devices></domain>"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (texts); i++)
		assert_fails (texts[i], VMC_FAILED, "cannot be read");
}

#define CHANNEL(name, state) "<channel type='unix'><target type='virtio' name='" name "' state='" state "'/></channel>"

static void our_channel_is_found (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};

	(void) state;
	parse (DOMAIN (CHANNEL ("org.qemu.guest_agent.0", "connected")
			       CHANNEL ("org.vmcompact.agent.0", "disconnected")),
	       &disks);
	assert_true (disks.channel);
	assert_false (disks.channel_connected);
}

static void our_channel_may_be_connected (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};

	(void) state;
	parse (DOMAIN (CHANNEL ("org.vmcompact.agent.0", "connected")
			       CHANNEL ("org.qemu.guest_agent.0", "disconnected")),
	       &disks);
	assert_true (disks.channel_connected);
}

static void other_channels_are_not_ours (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};

	(void) state;
	parse (DOMAIN (CHANNEL ("org.qemu.guest_agent.0", "connected")), &disks);
	assert_false (disks.channel || disks.channel_connected);
}

/* --- comparing and editing ----------------------------------------------------------------------------------------------- */

static void the_text_of_a_disk_has_no_indexes (void **state)
{
	char *text = vmc_domain_xml_disk_text (DOMAIN ("<disk index='9'><source file='/a' index='3'/><backingStore "
						       "index='4'><source file='/b' index='5'/></backingStore>"
						       "<target dev='vda'/></disk>"),
					       "vda");

	(void) state;
	assert_string_equal (text, "<disk><source file=\"/a\"/><backingStore><source "
				   "file=\"/b\"/></backingStore><target dev=\"vda\"/></disk>");
	free (text);
}

static void equal_disks_have_equal_texts (void **state)
{
	char *one = vmc_domain_xml_disk_text (DOMAIN (DISK ("<source file='/a' index='1'/>")), "vda");
	char *two = vmc_domain_xml_disk_text (DOMAIN ("<disk><target dev='sda'/></disk>" DISK (
						      "<source file='/a' index='2'/>")),
					      "vda");
	char *three = vmc_domain_xml_disk_text (DOMAIN (DISK ("<source file='/b' index='1'/>")), "vda");

	(void) state;
	assert_string_equal (one, two);
	assert_string_not_equal (one, three);
	free (one);
	free (two);
	free (three);
}

static void a_disk_that_is_not_there_has_no_text (void **state)
{
	(void) state;
	assert_null (vmc_domain_xml_disk_text (DOMAIN (DISK ("")), "vdb"));
	assert_null (vmc_domain_xml_disk_text ("junk", "vda"));
}

static void one_disk_is_replaced_and_nothing_else (void **state)
{
	char *text =
		vmc_domain_xml_with_disk (DOMAIN ("<disk><source file='/overlay'/><target "
						  "dev='vda'/></disk><disk><source file='/x'/><target "
						  "dev='vdb'/></disk>"),
					  DOMAIN ("<disk><source file='/base'/><target dev='vda'/></disk><disk><source "
						  "file='/y'/><target dev='vdb'/></disk>"),
					  "vda");

	(void) state;
	assert_contains (text, "<name>vm1</name>");
	assert_contains (text, "<disk><source file=\"/base\"/><target dev=\"vda\"/></disk>"
			       "<disk><source file=\"/x\"/><target dev=\"vdb\"/></disk>");
	assert_null (strstr (text, "/overlay"));
	free (text);
}

static void replacing_needs_the_disk_in_both (void **state)
{
	(void) state;
	assert_null (vmc_domain_xml_with_disk (DOMAIN (DISK ("")), DOMAIN (""), "vda"));
	assert_null (vmc_domain_xml_with_disk (DOMAIN (""), DOMAIN (DISK ("")), "vda"));
	assert_null (vmc_domain_xml_with_disk ("junk", DOMAIN (DISK ("")), "vda"));
	assert_null (vmc_domain_xml_with_disk (DOMAIN (DISK ("")), "junk", "vda"));
}

static void a_snapshot_names_every_disk (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	char *text;

	(void) state;
	parse (DOMAIN ("<disk><target dev='vda'/></disk><disk><target dev='vdb'/></disk><disk><target "
		       "dev='sda'/></disk>"),
	       &disks);
	text = vmc_domain_xml_snapshot (&disks, "vdb", "/o");
	assert_contains (text, "<domainsnapshot><disks><disk name=\"vda\" snapshot=\"no\"/>"
			       "<disk name=\"vdb\" snapshot=\"external\" type=\"file\"><driver type=\"qcow2\"/><source "
			       "file=\"/o\"/></disk>"
			       "<disk name=\"sda\" snapshot=\"no\"/></disks></domainsnapshot>");
	free (text);
}

static void a_snapshot_escapes_the_path (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	char *text;

	(void) state;
	parse (DOMAIN (DISK ("")), &disks);
	text = vmc_domain_xml_snapshot (&disks, "vda", "/a&b<c>\"d'");
	assert_contains (text, "file=\"/a&amp;b&lt;c&gt;&quot;d'\"");
	free (text);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (a_disk_is_read),
	cmocka_unit_test (what_a_disk_does_not_say_is_empty),
	cmocka_unit_test (the_address_of_a_scsi_disk_has_no_host),
	cmocka_unit_test (a_block_device_has_its_path),
	cmocka_unit_test (several_disks_are_found_by_target),
	cmocka_unit_test (read_only_is_read),
	cmocka_unit_test (shareable_is_read),
	cmocka_unit_test (transient_is_read),
	cmocka_unit_test (encryption_of_the_disk_is_read),
	cmocka_unit_test (encryption_of_the_source_is_read),
	cmocka_unit_test (a_slice_is_read),
	cmocka_unit_test (a_mirror_is_read),
	cmocka_unit_test (a_mirror_may_be_ready_or_moving),
	cmocka_unit_test (the_chain_is_read_in_order),
	cmocka_unit_test (an_empty_backing_store_ends_the_chain),
	cmocka_unit_test (a_chain_has_a_limit),
	cmocka_unit_test (a_path_is_never_cut),
	cmocka_unit_test (a_disk_without_a_target_is_refused),
	cmocka_unit_test (what_is_no_domain_fails),
	cmocka_unit_test (our_channel_is_found),
	cmocka_unit_test (our_channel_may_be_connected),
	cmocka_unit_test (other_channels_are_not_ours),
	cmocka_unit_test (the_text_of_a_disk_has_no_indexes),
	cmocka_unit_test (equal_disks_have_equal_texts),
	cmocka_unit_test (a_disk_that_is_not_there_has_no_text),
	cmocka_unit_test (one_disk_is_replaced_and_nothing_else),
	cmocka_unit_test (replacing_needs_the_disk_in_both),
	cmocka_unit_test (a_snapshot_names_every_disk),
	cmocka_unit_test (a_snapshot_escapes_the_path),
};

UNIT_MAIN (tests)
