/* qemu_version.c - tests of host/qemu_version.c: what a version's text says, and which versions lose writes */
#include "unit.h"

#include "qemu_version.h"

static void the_version_is_read (void **state)
{
	static const struct {
		const char *text;
		unsigned long version;
	} cases[] = {
		{"QEMU emulator version 8.2.0\n", 8002000},
		{"QEMU emulator version 10.0.9 (Debian 1:10.0.9+ds-1)\nCopyright (c) 2003-2025\n", 10000009},
		{"QEMU emulator version 6.2.0 (Debian 1:6.2+dfsg-2ubuntu6.24)", 6002000},
		{"QEMU emulator version 10.1", 10001000},
		{"QEMU emulator version 8.1.91", 8001091},
		{"version 999.999.999", 999999999},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++)
		if (vmc_qemu_version_parse (cases[i].text) != cases[i].version)
			fail_msg ("%s", cases[i].text);
}

static void what_is_no_version_is_not_known (void **state)
{
	static const char *const texts[] = {
		"",
		"8.2.0",
		"version",
		"version ",
		"version x",
		"version 8",
		"version 8.",
		"version 1000.0.0",
		"version 8.1000.0",
		"version 8.2.1000",
		"version -1.2.0",
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (texts); i++)
		if (vmc_qemu_version_parse (texts[i]) != 0)
			fail_msg ("%s", texts[i]);
}

static void the_versions_that_lose_writes_are_known (void **state)
{
	static const struct {
		unsigned long version;
		bool loses;
	} cases[] = {
		{0, true}, /* not known */
		{6002000, false},  {8001005, false},  {8001099, false}, {8001999, false}, {8002000, true},
		{9000000, true},   {9002004, true},   {10000000, true}, {10000009, true}, {10000010, false},
		{10000999, false}, {10001000, true},  {10001005, true}, {10002000, true}, {10002001, true},
		{10002002, false}, {11000000, false},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++)
		if (vmc_qemu_loses_writes (cases[i].version) != cases[i].loses)
			fail_msg ("version %lu", cases[i].version);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (the_version_is_read),
	cmocka_unit_test (what_is_no_version_is_not_known),
	cmocka_unit_test (the_versions_that_lose_writes_are_known),
};

UNIT_MAIN (tests)
