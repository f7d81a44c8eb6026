/* pause.c - tests of the end of a pause (host/pause.c), with libvirt's own test driver and a new tmpfs for the journal */
#include "unit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "apart.h"
#include "directories.h"
#include "pause.h"

#define WRITES 101 /* the byte of QEMU's locks that says "I write" */

static struct vmc_connection connection;
static struct vmc_domain domain;
static struct vmc_journal journal;
static int image = -1;

static int begin (void **state)
{
	struct vmc_error err;

	(void) state;
	image = memfd_create ("image", MFD_CLOEXEC);
	if (image < 0 || mount ("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755") < 0 ||
	    vmc_connection_open (&connection, "test:///default", &err) < 0 ||
	    vmc_domain_find (&connection, "test", &domain, &err) < 0)
		return -1;
	memset (&journal, 0, sizeof journal);
	memcpy (journal.uuid, domain.uuid, sizeof journal.uuid);
	strcpy (journal.overlay, "/nonexistent");
	(void) snprintf (journal.base, sizeof journal.base, "/proc/self/fd/%d", image);
	journal.step = VMC_STEP_ON_BASE;
	journal.paused = true;
	return 0;
}

static int end (void **state)
{
	(void) state;
	vmc_domain_clear (&domain);
	vmc_connection_close (&connection);
	(void) close (image);
	return umount2 ("/var/lib", MNT_DETACH);
}

static int state_now (void)
{
	struct vmc_error err;
	int now, reason;

	assert_int_equal (vmc_domain_state (&domain, &now, &reason, &err), 0);
	return now;
}

static void what_is_paused_goes_on (void **state)
{
	struct vmc_pause none = VMC_PAUSE_INIT (0);
	struct vmc_error err;

	(void) state;
	assert_int_equal (virDomainSuspend (domain.handle), 0);
	assert_int_equal (state_now (), VIR_DOMAIN_PAUSED);
	assert_int_equal (vmc_pause_end (&none, &domain, &journal, &err), 0);
	assert_int_equal (state_now (), VIR_DOMAIN_RUNNING);
	assert_false (journal.paused);
}

static void what_is_off_is_not_looked_for (void **state)
{
	struct vmc_pause none = VMC_PAUSE_INIT (0);
	struct vmc_error err;

	(void) state;
	assert_int_equal (virDomainDestroy (domain.handle), 0);
	if (vmc_pause_end (&none, &domain, &journal, &err) < 0)
		fail_msg ("%s", err.text);
	assert_int_equal (state_now (), VIR_DOMAIN_SHUTOFF);
	assert_false (journal.paused);
}

static void what_is_off_and_written_to_may_be_paused (void **state)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = WRITES, .l_len = 1};
	int writer = open (journal.base, O_RDWR | O_CLOEXEC);
	struct vmc_pause none = VMC_PAUSE_INIT (0);
	struct vmc_error err;

	(void) state;
	assert_true (writer >= 0);
	assert_int_equal (fcntl (writer, F_OFD_SETLK, &lock), 0);
	assert_int_equal (virDomainDestroy (domain.handle), 0);
	assert_int_equal (vmc_pause_end (&none, &domain, &journal, &err), -1);
	assert_error (err, VMC_FAILED, "may be paused: no QEMU of the domain answers");
	assert_true (journal.paused);
	(void) close (writer);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown (what_is_paused_goes_on, begin, end),
	cmocka_unit_test_setup_teardown (what_is_off_is_not_looked_for, begin, end),
	cmocka_unit_test_setup_teardown (what_is_off_and_written_to_may_be_paused, begin, end),
};

int main (void)
{
	return unit_apart () ? UNIT_RUN (tests) : 0;
}
