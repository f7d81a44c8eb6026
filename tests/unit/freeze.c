/* freeze.c - tests of host/freeze.c and of its keeper, with libvirt's own test driver and a new tmpfs for the journal
 *
 * The keeper is this program once more. It has a test driver of its own, whose domain has two filesystems.
 */
#include "unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apart.h"
#include "freeze.h"

#define URI "test:///default"
#define LONG_MS 20000

static struct vmc_connection connection;
static struct vmc_domain domain;
static struct vmc_journal journal;

static int begin (void **state)
{
	struct vmc_error err;

	(void) state;
	if (mount ("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755") < 0 ||
	    mount ("tmpfs", "/run", "tmpfs", 0, "mode=0755") < 0 || vmc_connection_open (&connection, URI, &err) < 0 ||
	    vmc_domain_find (&connection, "test", &domain, &err) < 0)
		return -1;
	memset (&journal, 0, sizeof journal);
	memcpy (journal.uuid, domain.uuid, sizeof journal.uuid);
	journal.step = VMC_STEP_REDIRECT;
	return vmc_journal_write (&journal, &err);
}

static int end (void **state)
{
	(void) state;
	vmc_domain_clear (&domain);
	vmc_connection_close (&connection);
	return umount2 ("/var/lib", MNT_DETACH) < 0 || umount2 ("/run", MNT_DETACH) < 0 ? -1 : 0;
}

static void assert_marked (bool marked)
{
	struct vmc_journal written;
	struct vmc_error err;

	assert_int_equal (journal.frozen[0] != 0, marked);
	assert_int_equal (vmc_journal_read (domain.uuid, &written, &err), 1);
	assert_string_equal (written.frozen, journal.frozen);
	vmc_journal_clear (&written);
}

static void freeze (struct vmc_freeze *one)
{
	struct vmc_error err;

	if (vmc_freeze_begin (one, &domain, &journal, &err) < 0)
		fail_msg ("%s", err.text);
	assert_int_equal (one->count, 2);
	assert_marked (true);
}

static void a_freeze_holds_until_its_end (void **state)
{
	struct vmc_freeze one = VMC_FREEZE_INIT (LONG_MS);
	struct vmc_error err;

	(void) state;
	freeze (&one);
	(void) usleep (50000);
	if (vmc_freeze_end (&one, &domain, &journal, &err) < 0)
		fail_msg ("%s", err.text);
	assert_true (one.frozen_ms >= 50 && one.frozen_ms < LONG_MS);
	assert_int_equal (one.more, 0);
	assert_marked (false);
}

static void no_two_marks_are_the_same (void **state)
{
	char before[VMC_NAME_SIZE] = "";
	struct vmc_error err;

	(void) state;
	for (int i = 0; i < 3; i++) {
		struct vmc_freeze one = VMC_FREEZE_INIT (LONG_MS);

		freeze (&one);
		assert_string_not_equal (journal.frozen, before);
		memcpy (before, journal.frozen, sizeof before);
		assert_int_equal (vmc_freeze_end (&one, &domain, &journal, &err), 0);
	}
}

static void after_its_time_it_does_not_count (void **state)
{
	struct vmc_freeze one = VMC_FREEZE_INIT (1);
	struct vmc_error err;

	(void) state;
	freeze (&one);
	(void) usleep (200000);
	assert_int_equal (vmc_freeze_end (&one, &domain, &journal, &err), -1);
	assert_error (err, VMC_NOT_HELD, "took longer than 1 ms");
	assert_true (one.frozen_ms < LONG_MS);
	assert_marked (false);
}

static void a_dead_keeper_is_replaced (void **state)
{
	struct vmc_freeze one = VMC_FREEZE_INIT (LONG_MS);
	struct vmc_error err;

	(void) state;
	freeze (&one);
	assert_int_equal (kill (one.keeper.process.pid, SIGKILL), 0);
	assert_int_equal (vmc_freeze_end (&one, &domain, &journal, &err), -1);
	assert_error (err, VMC_NOT_HELD, "has died; the guest is thawed");
	assert_marked (false);
}

/* Not a word comes from us any more: it thaws, and takes the mark out of the journal. */
static void without_us_the_keeper_ends_it (void **state)
{
	struct vmc_freeze one = VMC_FREEZE_INIT (LONG_MS);
	pid_t keeper;

	(void) state;
	freeze (&one);
	keeper = one.keeper.process.pid;
	vmc_keeper_leave (&one.keeper);
	for (int i = 0; i < 100 && waitpid (keeper, NULL, WNOHANG) == 0; i++)
		(void) usleep (50000);
	assert_int_equal (kill (keeper, 0), -1);
	journal.frozen[0] = 0;
	assert_marked (false);
}

/* That of the next run, which is at work while the keeper of the one before comes to its end. */
static void it_leaves_the_mark_of_another (void **state)
{
	struct vmc_freeze one = VMC_FREEZE_INIT (LONG_MS);
	struct vmc_error err;
	pid_t keeper;

	(void) state;
	freeze (&one);
	keeper = one.keeper.process.pid;
	strcpy (journal.frozen, "1@another/01234567");
	assert_int_equal (vmc_journal_write (&journal, &err), 0);
	vmc_keeper_leave (&one.keeper);
	for (int i = 0; i < 100 && waitpid (keeper, NULL, WNOHANG) == 0; i++)
		(void) usleep (50000);
	assert_int_equal (kill (keeper, 0), -1);
	assert_marked (true);
}

static void what_is_left_is_thawed (void **state)
{
	struct vmc_freeze one = VMC_FREEZE_INIT (LONG_MS);
	struct vmc_error err;

	(void) state;
	freeze (&one);
	assert_int_equal (kill (one.keeper.process.pid, SIGKILL), 0);
	vmc_keeper_dismiss (&one.keeper);
	assert_marked (true);
	assert_int_equal (vmc_freeze_can_last (&domain, journal.frozen, &err), 1);
	assert_int_equal (vmc_freeze_end_left (&domain, &journal, &err), 0);
	assert_marked (false);
	assert_int_equal (vmc_freeze_end_left (&domain, &journal, &err), 0);
}

/* Of a QEMU that has ended, on this host or before it was booted. */
static void a_freeze_ends_with_its_qemu (void **state)
{
	struct vmc_freeze one = VMC_FREEZE_INIT (LONG_MS);
	char mark[VMC_NAME_SIZE];
	struct vmc_error err;

	(void) state;
	freeze (&one);
	memcpy (mark, journal.frozen, sizeof mark);
	assert_int_equal (vmc_freeze_end (&one, &domain, &journal, &err), 0);
	assert_int_equal (vmc_freeze_can_last (&domain, mark, &err), 1);
	mark[0]++;
	assert_int_equal (vmc_freeze_can_last (&domain, mark, &err), 0);
	mark[0]--;
	mark[2] = mark[2] == 'a' ? 'b' : 'a';
	assert_int_equal (vmc_freeze_can_last (&domain, mark, &err), 0);
	assert_int_equal (vmc_freeze_can_last (&domain, "", &err), 0);
	memcpy (journal.frozen, mark, sizeof mark);
	assert_int_equal (vmc_freeze_end_left (&domain, &journal, &err), 0);
	assert_marked (false);
	assert_int_equal (virDomainDestroy (domain.handle), 0);
	assert_int_equal (vmc_freeze_can_last (&domain, mark, &err), 0);
}

static void nothing_is_frozen_without_a_journal (void **state)
{
	struct vmc_freeze one = VMC_FREEZE_INIT (LONG_MS);
	struct vmc_error err;

	(void) state;
	if (mount ("none", "/var/lib", NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		fail_msg ("remount");
	assert_int_equal (vmc_freeze_begin (&one, &domain, &journal, &err), -1);
	assert_contains (err.text, "cannot keep the journal of the run");
	assert_true (journal.frozen[0] == 0);
	assert_int_equal (one.keeper.process.pid, 0);
}

#define FREEZE_TEST(test) cmocka_unit_test_setup_teardown (test, begin, end)

static const struct CMUnitTest tests[] = {
	FREEZE_TEST (a_freeze_holds_until_its_end),
	FREEZE_TEST (no_two_marks_are_the_same),
	FREEZE_TEST (after_its_time_it_does_not_count),
	FREEZE_TEST (a_dead_keeper_is_replaced),
	FREEZE_TEST (without_us_the_keeper_ends_it),
	FREEZE_TEST (it_leaves_the_mark_of_another),
	FREEZE_TEST (what_is_left_is_thawed),
	FREEZE_TEST (a_freeze_ends_with_its_qemu),
	FREEZE_TEST (nothing_is_frozen_without_a_journal),
};

int main (int argc, char **argv)
{
	if (argc == 2 + VMC_KEEPER_ARGUMENTS && strcmp (argv[1], VMC_KEEPER_OPTION) == 0)
		return vmc_keeper_main (argv + 2);
	(void) signal (SIGPIPE, SIG_IGN); /* as main.c has it */
	return unit_apart () ? UNIT_RUN (tests) : 0;
}
