/* unit.h - what every unit test needs: cmocka, TAP, and a way to say that a program is missing */
#ifndef VMC_UNIT_H
#define VMC_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UNIT_COUNT(array) (sizeof (array) / sizeof (array)[0])

/* The return value of main for the array TESTS. */
#define UNIT_RUN(tests) (cmocka_set_message_output (CM_OUTPUT_TAP), cmocka_run_group_tests (tests, NULL, NULL))

#define UNIT_MAIN(tests) \
	int main (void) \
	{ \
		return UNIT_RUN (tests); \
	}

/* TEXT has PART in it; says which of the two is not as it should be. */
#define assert_contains(text, part) \
	do { \
		if (strstr (text, part) == NULL) \
			fail_msg ("'%s' is not in '%s'", part, text); \
	} while (0)

/* The struct vmc_error ERR has this code, and a text with PART in it. */
#define assert_error(err, wanted, part) \
	do { \
		assert_contains ((err).text, part); \
		assert_int_equal ((err).code, wanted); \
	} while (0)

/* Is PROGRAM missing? Then the whole test is skipped, and TAP is told so. The tools that make filesystems are not in the
 * PATH of every user. */
static inline bool unit_missing (const char *program)
{
	char command[200], path[4096];

	(void) snprintf (path, sizeof path, "%s:/usr/sbin:/sbin", getenv ("PATH") ? getenv ("PATH") : "/usr/bin:/bin");
	(void) setenv ("PATH", path, 1);
	(void) snprintf (command, sizeof command, "command -v %s >/dev/null 2>&1", program);
	if (system (command) == 0)
		return false;
	(void) printf ("1..0 # SKIP %s is not installed\n", program);
	return true;
}

#endif
