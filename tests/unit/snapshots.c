/* snapshots.c - tests of agent/snapshots.c */
#include "unit.h"

#include "fields.h"
#include "snapshots.h"

#define CHARACTER "Character devices:\n  1 mem\n  4 /dev/vc/0\n252 hcp\n\n"

static void assert_driver (const char *drivers, const char *strange)
{
	char text[1000], name[VMC_NAME_SIZE] = "";

	(void) snprintf (text, sizeof text, CHARACTER "Block devices:\n%s", drivers);
	if (vmc_snapshots_strange_driver (text, name) != (strange != NULL) ||
	    strcmp (name, strange ? strange : "") != 0)
		fail_msg ("of '%s' it was '%s'", drivers, name);
}

static void those_of_the_kernel_are_known (void **state)
{
	(void) state;
	assert_driver ("  1 ramdisk\n  2 fd\n259 blkext\n  7 loop\n  8 sd\n  9 md\n 11 sr\n 65 sd\n 66 sd\n252 "
		       "device-mapper\n"
		       "253 virtblk\n254 mdp\n",
		       NULL);
	assert_driver (" 31 mtdblock\n 43 nbd\n 94 dasd\n147 drbd\n152 aoe\n179 mmc\n202 xvd\n230 zvol\n249 rnbd\n250 "
		       "bcache\n251 pktcdvd\n253 zram\n254 nvme\n",
		       NULL);
	assert_driver ("  3 ide0\n 22 ide1\n250 rbd\n251 rbd0\n252 rbd17\n", NULL);
	assert_driver ("", NULL);
	assert_driver ("\n", NULL);
}

static void another_one_is_named (void **state)
{
	(void) state;
	assert_driver ("252 hcp\n", "hcp");
	assert_driver ("  8 sd\n252 datto\n259 blkext\n", "datto");
	assert_driver ("  8 sd\n252 hcp", "hcp");
	assert_driver ("252 first\n253 second\n", "first");
}

static void what_only_looks_like_a_known_one_is_none (void **state)
{
	(void) state;
	assert_driver ("252 sdx\n", "sdx");
	assert_driver ("252 s\n", "s");
	assert_driver ("252 loop-snap\n", "loop-snap");
	assert_driver ("252 sd 8\n", "sd 8");
	assert_driver ("252 77\n", "77");
	assert_driver ("252 8sd\n", "8sd");
	assert_driver ("sdsnap\n", "sdsnap");
}

static void drivers_of_characters_do_not_count (void **state)
{
	char name[VMC_NAME_SIZE];

	(void) state;
	assert_false (vmc_snapshots_strange_driver (CHARACTER, name));
	assert_false (vmc_snapshots_strange_driver ("", name));
}

static void a_name_is_escaped_and_bounded (void **state)
{
	char line[300], name[200];

	(void) state;
	assert_driver ("252 a\033[2Jb\xFF\n", "a\\x1B[2Jb\\xFF");
	memset (name, 'x', sizeof name);
	name[sizeof name - 1] = 0;
	(void) snprintf (line, sizeof line, "252 %s\n", name);
	name[VMC_NAME_SIZE - 1] = 0;
	assert_driver (line, name);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (those_of_the_kernel_are_known),
	cmocka_unit_test (another_one_is_named),
	cmocka_unit_test (what_only_looks_like_a_known_one_is_none),
	cmocka_unit_test (drivers_of_characters_do_not_count),
	cmocka_unit_test (a_name_is_escaped_and_bounded),
};

UNIT_MAIN (tests)
