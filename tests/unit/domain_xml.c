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
	parse (DOMAIN ("<disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap' "
		       "error_policy='report'/>"
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
	assert_string_equal (disk->error_policy, "report");
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
	assert_string_equal (disks.items[0].error_policy, "");
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
	assert_string_equal (disk->backing_format[0], "raw");
	assert_string_equal (disk->backing_format[1], "qcow2");
}

static void an_empty_backing_store_ends_the_chain (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};

	(void) state;
	parse (DOMAIN (DISK ("<backingStore/>")), &disks);
	assert_int_equal (disks.items[0].backing_count, 0);
	assert_true (disks.items[0].chain_known);
}

/* As in the XML of a domain that is off: libvirt finds it in the headers. */
static void no_backing_store_says_nothing (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};

	(void) state;
	parse (DOMAIN (DISK ("")), &disks);
	assert_int_equal (disks.items[0].backing_count, 0);
	assert_false (disks.items[0].chain_known);
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
	assert_true (disks.qemu_channel && disks.qemu_channel_connected);
}

static void our_channel_may_be_connected (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};

	(void) state;
	parse (DOMAIN (CHANNEL ("org.vmcompact.agent.0", "connected")
			       CHANNEL ("org.qemu.guest_agent.0", "disconnected")),
	       &disks);
	assert_true (disks.channel_connected);
	assert_true (disks.qemu_channel);
	assert_false (disks.qemu_channel_connected);
}

static void other_channels_are_not_ours (void **state)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};

	(void) state;
	parse (DOMAIN (CHANNEL ("org.qemu.guest_agent.0", "connected")), &disks);
	assert_false (disks.channel || disks.channel_connected);
	vmc_disks_clear (&disks);
	parse (DOMAIN (CHANNEL ("org.vmcompact.agent.0", "connected") CHANNEL ("org.example.0", "connected")), &disks);
	assert_false (disks.qemu_channel || disks.qemu_channel_connected);
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

/* --- another image ------------------------------------------------------------------------------------------------------ */

#define TWO_DISKS(driver, source, store) \
	DOMAIN ("<disk type='file' device='disk'>" driver source store "<target dev='vda' bus='virtio'/></disk>" \
		"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/b'/><backingStore/>" \
		"<target dev='vdb' bus='virtio'/></disk>")
#define DRIVER "<driver name='qemu' type='qcow2' cache='none' discard='unmap'/>"
#define SOURCE "<source file='/a' index='3'><seclabel model='dac' relabel='no'/></source>"
#define STORE \
	"<backingStore type='file'><format type='raw'/><source file='/low'/><backingStore type='file'>" \
	"<source file='/lower'/></backingStore></backingStore>"

/* What vmc_domain_xml_on_image makes of the disk vda; the rest of the domain must be as it was. To be freed. */
static char *put_on_image (const char *file, const char *format)
{
	static const char xml[] = TWO_DISKS (DRIVER, SOURCE, STORE);
	char *changed = vmc_domain_xml_on_image (xml, "vda", file, format), *text, *other, *before;

	assert_non_null (changed);
	text = vmc_domain_xml_disk_text (changed, "vda");
	other = vmc_domain_xml_disk_text (changed, "vdb");
	before = vmc_domain_xml_disk_text (xml, "vdb");
	assert_string_equal (other, before);
	assert_contains (changed, "<name>vm1</name>");
	free (before);
	free (other);
	free (changed);
	assert_non_null (text);
	return text;
}

/* As vmc_domain_xml_disk_text writes the disk vda with that format, file and chain. */
#define ON_IMAGE(format, file, store) \
	"<disk type=\"file\" device=\"disk\"><driver name=\"qemu\" type=\"" format \
	"\" cache=\"none\" discard=\"unmap\"/><source file=\"" file \
	"\"><seclabel model=\"dac\" relabel=\"no\"/></source>" store "<target dev=\"vda\" bus=\"virtio\"/></disk>"
#define STORE_TEXT \
	"<backingStore type=\"file\"><format type=\"raw\"/><source file=\"/low\"/><backingStore type=\"file\">" \
	"<source file=\"/lower\"/></backingStore></backingStore>"

/* The chain of another file is another one: libvirt finds it out. That of the same file stays. */
static void a_disk_is_put_on_another_image (void **state)
{
	static const struct {
		const char *file, *format, *wanted;
	} cases[] = {
		{"/new", NULL, ON_IMAGE ("qcow2", "/new", "")}, {NULL, "raw", ON_IMAGE ("raw", "/a", STORE_TEXT)},
		{"/new", "raw", ON_IMAGE ("raw", "/new", "")},  {NULL, NULL, ON_IMAGE ("qcow2", "/a", STORE_TEXT)},
		{"/a", "qcow2", ON_IMAGE ("qcow2", "/a", "")},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		char *text = put_on_image (cases[i].file, cases[i].format);

		assert_string_equal (text, cases[i].wanted);
		free (text);
	}
}

/* Paths as libvirt takes them; as they come back from its XML. */
static const char *const odd_paths[] = {"/images/a b.qcow2",
					"/a&b",
					"/a&amp;b",
					"/a<b>c",
					"/a\"b'c",
					"/ a  b ",
					"/&#38;",
					"/a]]>b",
					"/%41",
					"/\xc3\xbc\xe2\x82\xac",
					"/a\tb",
					"/a\nb",
					"/--><source file='/x'/>"};

static void an_odd_path_is_put_in_as_it_is (void **state)
{
	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (odd_paths); i++) {
		VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
		char *xml = vmc_domain_xml_on_image (TWO_DISKS (DRIVER, SOURCE, STORE), "vda", odd_paths[i], "raw");

		assert_non_null (xml);
		parse (xml, &disks);
		free (xml);
		assert_int_equal (disks.count, 2);
		assert_string_equal (disks.items[0].path, odd_paths[i]);
		assert_string_equal (disks.items[0].format, "raw");
		assert_string_equal (disks.items[0].discard, "unmap");
		assert_int_equal (disks.items[0].backing_count, 0);
		assert_string_equal (disks.items[1].path, "/b");
	}
}

static void what_is_not_there_is_not_put_on_an_image (void **state)
{
	(void) state;
	assert_null (vmc_domain_xml_on_image (TWO_DISKS (DRIVER, SOURCE, ""), "vdc", "/new", "raw"));
	assert_null (vmc_domain_xml_on_image (TWO_DISKS ("", SOURCE, ""), "vda", "/new", "raw"));
	assert_null (vmc_domain_xml_on_image (TWO_DISKS (DRIVER, "", ""), "vda", "/new", "raw"));
	assert_null (vmc_domain_xml_on_image (TWO_DISKS ("", SOURCE, ""), "vda", "/new", NULL));
	assert_null (vmc_domain_xml_on_image (TWO_DISKS (DRIVER, "", ""), "vda", NULL, "raw"));
	assert_null (vmc_domain_xml_on_image (DOMAIN (""), "vda", "/new", "raw"));
	assert_null (vmc_domain_xml_on_image ("junk", "vda", "/new", "raw"));
	assert_null (vmc_domain_xml_on_image ("", "vda", NULL, NULL));
}

/* --- a copy ---------------------------------------------------------------------------------------------------------- */

static void a_copy_goes_to_a_qcow2_file (void **state)
{
	char *text = vmc_domain_xml_copy ("/o");

	(void) state;
	assert_string_equal (text, "<?xml version=\"1.0\"?>\n<disk type=\"file\"><driver type=\"qcow2\"/><source "
				   "file=\"/o\"/></disk>\n");
	free (text);
}

static void a_copy_goes_to_an_odd_path_as_it_is (void **state)
{
	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (odd_paths); i++) {
		VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
		char *copy = vmc_domain_xml_copy (odd_paths[i]), *disk, *xml;

		assert_non_null (copy);
		disk = strstr (copy, "<disk ");
		assert_non_null (disk);
		*strstr (disk, "</disk>") = 0;
		assert_true (asprintf (&xml, DOMAIN ("%s<target dev='vda'/></disk>"), disk) > 0);
		parse (xml, &disks);
		assert_int_equal (disks.count, 1);
		assert_string_equal (disks.items[0].path, odd_paths[i]);
		assert_string_equal (disks.items[0].format, "qcow2");
		free (xml);
		free (copy);
	}
}

/* --- discard ------------------------------------------------------------------------------------------------------------ */

/* XML with discard='unmap' for its disk TARGET is WANTED. */
static void assert_discard (const char *xml, const char *target, const char *wanted)
{
	char *text = vmc_domain_xml_with_discard (xml, target);

	assert_non_null (text);
	assert_contains (text, wanted);
	free (text);
}

static void discard_is_set_on_one_disk (void **state)
{
	static const char xml[] =
		DOMAIN ("<disk type='file'><driver name='qemu' type='qcow2' cache='none'/><target dev='vda'/></disk>"
			"<disk type='file'><driver name='qemu' type='raw' discard='ignore'/><target dev='vdb'/></disk>"
			"<disk type='file'><target dev='vdc'/></disk>");

	(void) state;
	assert_discard (xml, "vda",
			"<disk type=\"file\"><driver name=\"qemu\" type=\"qcow2\" cache=\"none\" discard=\"unmap\"/>"
			"<target dev=\"vda\"/></disk>"
			"<disk type=\"file\"><driver name=\"qemu\" type=\"raw\" discard=\"ignore\"/><target "
			"dev=\"vdb\"/></disk>"
			"<disk type=\"file\"><target dev=\"vdc\"/></disk>");
	assert_discard (xml, "vdb",
			"<driver name=\"qemu\" type=\"qcow2\" cache=\"none\"/><target dev=\"vda\"/></disk>"
			"<disk type=\"file\"><driver name=\"qemu\" type=\"raw\" discard=\"unmap\"/>");
	assert_discard (xml, "vdc", "<target dev=\"vdc\"/><driver discard=\"unmap\"/></disk>");
}

static void discard_that_is_set_stays_as_it_is (void **state)
{
	(void) state;
	assert_discard (DOMAIN ("<disk><driver discard='unmap' type='raw'/><target dev='vda'/></disk>"), "vda",
			"<disk><driver discard=\"unmap\" type=\"raw\"/><target dev=\"vda\"/></disk>");
}

static void discard_needs_a_disk (void **state)
{
	(void) state;
	assert_null (vmc_domain_xml_with_discard (DOMAIN (DISK ("")), "vdz"));
	assert_null (vmc_domain_xml_with_discard (DOMAIN (DISK ("")), ""));
	assert_null (vmc_domain_xml_with_discard (DOMAIN (""), "vda"));
	assert_null (vmc_domain_xml_with_discard ("junk", "vda"));
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
	cmocka_unit_test (no_backing_store_says_nothing),
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
	cmocka_unit_test (a_disk_is_put_on_another_image),
	cmocka_unit_test (an_odd_path_is_put_in_as_it_is),
	cmocka_unit_test (what_is_not_there_is_not_put_on_an_image),
	cmocka_unit_test (a_copy_goes_to_a_qcow2_file),
	cmocka_unit_test (a_copy_goes_to_an_odd_path_as_it_is),
	cmocka_unit_test (discard_is_set_on_one_disk),
	cmocka_unit_test (discard_that_is_set_stays_as_it_is),
	cmocka_unit_test (discard_needs_a_disk),
};

UNIT_MAIN (tests)
