/* device_mapper.c - tests of agent/device_mapper.c, with lines as "dmsetup table" shows them */
#include "unit.h"

#include "device_mapper.h"

#define MIB 1048576

static struct vmc_device device;

static int set_up (void **state)
{
	(void) state;
	device = (struct vmc_device) {.bytes = 100 * MIB};
	return 0;
}

static int tear_down (void **state)
{
	(void) state;
	vmc_fields_clear (vmc_device_fields, &device);
	return 0;
}

static void take (uint64_t start, uint64_t sectors, const char *type, const char *params)
{
	struct vmc_error err;

	if (vmc_device_mapper_take (&device, start, sectors, type, params, &err) < 0)
		fail_msg ("%s", err.text);
}

static const struct vmc_target *target (size_t i)
{
	assert_true (i < device.targets.count);
	return (const struct vmc_target *) device.targets.items + i;
}

static void assert_leg (size_t i, size_t j, const char *name, uint64_t offset)
{
	const struct vmc_leg *legs = target (i)->legs.items;

	assert_true (j < target (i)->legs.count);
	assert_string_equal (legs[j].device, name);
	assert_int_equal (legs[j].offset, offset);
}

static void pieces_of_a_volume_are_read (void **state)
{
	(void) state;
	take (0, 8192, "linear", "254:1 2048");
	take (8192, 2048, "linear", "254:17 0");
	assert_string_equal (device.why_not_map, "");
	assert_int_equal (device.targets.count, 2);
	assert_int_equal (target (0)->start, 0);
	assert_int_equal (target (0)->length, 4 * MIB);
	assert_leg (0, 0, "254:1", MIB);
	assert_int_equal (target (1)->start, 4 * MIB);
	assert_leg (1, 0, "254:17", 0);
	assert_false (device.encrypted);
}

static void stripes_are_read (void **state)
{
	(void) state;
	take (0, 16384, "striped", "2 128 254:1 2048 254:17 4096");
	assert_int_equal (target (0)->chunk_bytes, 65536);
	assert_int_equal (target (0)->legs.count, 2);
	assert_leg (0, 0, "254:1", MIB);
	assert_leg (0, 1, "254:17", 2 * MIB);
}

/* The number between the key and the device counts for the initial vectors only. */
static void encryption_is_read_and_said (void **state)
{
	(void) state;
	take (0, 8192, "crypt", "aes-xts-plain64 :64:logon:cryptsetup:0123-d0 0 254:1 32768 1 allow_discards");
	assert_true (device.encrypted);
	assert_leg (0, 0, "254:1", 16 * MIB);
	take (8192, 8192, "crypt", "aes-xts-plain64 00112233445566778899aabbccddeeff 999 254:2 8");
	assert_leg (1, 0, "254:2", 4096);
}

static void what_moves_blocks_is_given_up_and_named (void **state)
{
	static const char *const types[] = {"thin",       "thin-pool", "snapshot", "snapshot-origin",
					    "cache",      "mirror",    "raid",     "multipath",
					    "verity",     "integrity", "zero",     "error",
					    "writecache", "era",       "clone",    "vdo"};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (types); i++) {
		(void) set_up (NULL);
		take (0, 8192, "linear", "254:1 0");
		take (8192, 8192, types[i], "254:1 0 254:2 0");
		assert_contains (device.why_not_map, types[i]);
		assert_int_equal (device.targets.count, 0);
		/* What follows does not bring it back. */
		take (16384, 8192, "linear", "254:1 0");
		assert_int_equal (device.targets.count, 0);
	}
}

static void what_cannot_be_read_is_given_up (void **state)
{
	static const struct {
		const char *type, *params;
	} cases[] = {
		{"linear", ""},
		{"linear", "/dev/vda1 0"},
		{"linear", "254:1"},
		{"linear", "254:1 99999999999999999999"},
		{"linear", "254:1 18446744073709551615"},
		{"striped", "2 128 254:1 0"},
		{"striped", "2 0 254:1 0 254:2 0"},
		{"striped", "0 128"},
		{"striped", "999 128 254:1 0"},
		{"crypt", "aes key 0"},
		{"crypt", "aes"},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		(void) set_up (NULL);
		take (0, 8192, cases[i].type, cases[i].params);
		if (device.why_not_map[0] == 0 || device.targets.count > 0)
			fail_msg ("'%s' of %s was read", cases[i].params, cases[i].type);
	}
	(void) set_up (NULL);
	take (UINT64_MAX, 8, "linear", "254:1 0");
	assert_contains (device.why_not_map, "cannot be read");
}

#define TABLE_TEST(function) cmocka_unit_test_setup_teardown (function, set_up, tear_down)

static const struct CMUnitTest tests[] = {
	TABLE_TEST (pieces_of_a_volume_are_read),     TABLE_TEST (stripes_are_read),
	TABLE_TEST (encryption_is_read_and_said),     TABLE_TEST (what_moves_blocks_is_given_up_and_named),
	TABLE_TEST (what_cannot_be_read_is_given_up),
};

UNIT_MAIN (tests)
