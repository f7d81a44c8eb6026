/* nightly.c - tests of host/nightly.c */
#include "unit.h"

#include "nightly.h"

static struct vmc_nightly nightly;
static struct vmc_error err;

static void parse_well (const char *xml)
{
	if (vmc_nightly_parse (xml, &nightly, &err) < 0)
		fail_msg ("%s: %s", xml, err.text);
}

static void assert_wrong (const char *xml, const char *reason)
{
	if (vmc_nightly_parse (xml, &nightly, &err) == 0)
		fail_msg ("this was taken: %s", xml);
	assert_error (err, VMC_USAGE, reason);
	assert_contains (err.text, "its metadata of urn:vmcompact:domain:1: ");
}

static void assert_all_is_open (void)
{
	assert_false (nightly.skip || nightly.method_known || nightly.min_reclaim_known);
	assert_int_equal (nightly.from_minutes, -1);
	assert_int_equal (nightly.until_minutes, -1);
}

static void without_attributes_all_is_open (void **state)
{
	(void) state;
	memset (&nightly, 0x55, sizeof nightly);
	parse_well ("<nightly/>");
	assert_all_is_open ();
	parse_well ("<nightly xmlns='urn:vmcompact:domain:1'></nightly>");
	assert_all_is_open ();
	parse_well ("<v:nightly xmlns:v='urn:vmcompact:domain:1'/>");
	assert_all_is_open ();
}

static void every_attribute_counts (void **state)
{
	(void) state;
	parse_well ("<nightly skip='yes' method='commit' from='22:15' until='05:30' min-reclaim='2G'/>");
	assert_true (nightly.skip && nightly.method_known && nightly.min_reclaim_known);
	assert_int_equal (nightly.method, VMC_METHOD_COMMIT);
	assert_int_equal (nightly.from_minutes, 22 * 60 + 15);
	assert_int_equal (nightly.until_minutes, 5 * 60 + 30);
	assert_int_equal (nightly.min_reclaim_bytes, UINT64_C (2) << 30);
}

static void one_attribute_leaves_the_others_open (void **state)
{
	(void) state;
	parse_well ("<nightly skip='no'/>");
	assert_all_is_open ();
	parse_well ("<nightly method='trim'/>");
	assert_true (nightly.method_known);
	assert_false (nightly.skip || nightly.min_reclaim_known);
	parse_well ("<nightly min-reclaim='0'/>");
	assert_true (nightly.min_reclaim_known); /* 0 is less than the default of a night */
	assert_int_equal (nightly.min_reclaim_bytes, 0);
	assert_false (nightly.skip || nightly.method_known);
	parse_well ("<nightly until='0:00' from='0:00'/>");
	assert_int_equal (nightly.from_minutes, 0);
	assert_int_equal (nightly.until_minutes, 0);
}

static void every_method_has_its_name (void **state)
{
	(void) state;
	for (int method = VMC_METHOD_AUTO; method <= VMC_METHOD_CONVERT; method++) {
		char xml[100];

		sprintf (xml, "<nightly method='%s'/>", vmc_method_choice_name (method));
		parse_well (xml);
		assert_true (nightly.method_known);
		assert_int_equal (nightly.method, method);
	}
}

static void from_and_until_go_together (void **state)
{
	(void) state;
	assert_wrong ("<nightly from='22:00'/>", "from and until go together");
	assert_wrong ("<nightly until='5:00'/>", "from and until go together");
}

static void wrong_values_are_named (void **state)
{
	(void) state;
	assert_wrong ("<nightly skip='true'/>", "skip is yes or no, not 'true'");
	assert_wrong ("<nightly skip=''/>", "skip is yes or no, not ''");
	assert_wrong ("<nightly method='shrink'/>", "method cannot be 'shrink'");
	assert_wrong ("<nightly method=''/>", "method cannot be ''");
	assert_wrong ("<nightly from='24:00' until='5:00'/>", "from needs a time of the day, as 05:30, not '24:00'");
	assert_wrong ("<nightly from='22:00' until='5'/>", "until needs a time of the day, as 05:30, not '5'");
	assert_wrong ("<nightly min-reclaim='lots'/>", "min-reclaim needs a number of bytes");
	assert_wrong ("<nightly min-reclaim='-1'/>", "min-reclaim needs a number of bytes");
}

static void wrong_names_are_named (void **state)
{
	(void) state;
	assert_wrong ("<nightly sikp='yes'/>", "<nightly> has no attribute 'sikp'");
	assert_wrong ("<nightly skip='yes' Skip='no'/>", "<nightly> has no attribute 'Skip'");
	assert_wrong ("<weekly skip='yes'/>", "there is a <weekly> where only a <nightly> can be");
	assert_wrong ("<night/>", "there is a <night> where");
}

static void what_is_no_xml_is_refused (void **state)
{
	static const char *const texts[] = {"",
					    " ",
					    "nightly",
					    "<nightly",
					    "<nightly>",
					    "<nightly skip=yes/>",
					    "<nightly skip='yes' skip='no'/>",
					    "<nightly/><nightly/>",
					    "<nightly skip='&x;'/>",
					    "<nightly skip='yes'/></a>",
					    "\xff\xfe"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (texts); i++)
		assert_wrong (texts[i], "they are no XML");
}

static void long_names_are_cut (void **state)
{
	static char xml[5000], name[4000];

	(void) state;
	memset (name, 'n', sizeof name - 1);
	(void) snprintf (xml, sizeof xml, "<nightly %s='1'/>", name);
	assert_wrong (xml, "<nightly> has no attribute 'nnn");
	(void) snprintf (xml, sizeof xml, "<%s/>", name);
	assert_wrong (xml, "where only a <nightly> can be");
	(void) snprintf (xml, sizeof xml, "<nightly method='%s'/>", name);
	assert_wrong (xml, "method cannot be 'nnn");
}

/* An entity that would become large, or a file of the host, becomes nothing. */
static void entities_bring_nothing_in (void **state)
{
	(void) state;
	assert_int_equal (vmc_nightly_parse ("<!DOCTYPE nightly [<!ENTITY x SYSTEM 'file:///etc/hostname'>]>"
					     "<nightly method='&x;'/>",
					     &nightly, &err),
			  -1);
	assert_int_equal (
		vmc_nightly_parse ("<!DOCTYPE nightly [<!ENTITY a 'nnnnnnnnnn'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>"
				   "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'><!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;'>"
				   "<!ENTITY e '&d;&d;&d;&d;&d;&d;&d;&d;'><!ENTITY f '&e;&e;&e;&e;&e;&e;&e;&e;'>"
				   "<!ENTITY g '&f;&f;&f;&f;&f;&f;&f;&f;'><!ENTITY h '&g;&g;&g;&g;&g;&g;&g;&g;'>]>"
				   "<nightly method='&h;&h;&h;&h;&h;&h;&h;&h;'/>",
				   &nightly, &err),
		-1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (without_attributes_all_is_open),
	cmocka_unit_test (every_attribute_counts),
	cmocka_unit_test (one_attribute_leaves_the_others_open),
	cmocka_unit_test (every_method_has_its_name),
	cmocka_unit_test (from_and_until_go_together),
	cmocka_unit_test (wrong_values_are_named),
	cmocka_unit_test (wrong_names_are_named),
	cmocka_unit_test (what_is_no_xml_is_refused),
	cmocka_unit_test (long_names_are_cut),
	cmocka_unit_test (entities_bring_nothing_in),
};

UNIT_MAIN (tests)
