/* lock_reach.c - tests of host/lock_reach.c: mounts as /proc/self/mountinfo has them, and files of this machine */
#include "unit.h"

#include "lock_reach.h"

static void mounts_by_type_and_options (void **state)
{
	static const struct {
		const char *type, *options;
		bool reaches;
	} cases[] = {
		{"ext4", "rw", true},
		{"xfs", "rw,nolock", true},
		{"fuseblk", "rw,user_id=0", true},
		{"nfs", "rw,vers=3,local_lock=none,addr=10.0.0.1", true},
		{"nfs4", "rw,local_lock=none", true},
		{"nfs", "rw,vers=3,local_lock=flock", true},
		{"nfs", "rw,vers=3,nolock,local_lock=all", false},
		{"nfs", "nolock", false},
		{"nfs", "rw,local_lock=posix", false},
		{"nfs4", "rw,local_lock=all,vers=4.2", false},
		{"nfs", "rw,nolocks", true}, /* no such option: only whole words count */
		{"cifs", "rw,nobrl", false},
		{"cifs", "rw", true},
		{"gfs2", "rw,localflocks", false},
		{"gfs2", "rw", true},
		{"lustre", "rw,localflock", false},
		{"fuse.glusterfs", "rw", true},
		{"ocfs2", "rw", false},
		{"9p", "rw", false},
		{"virtiofs", "rw", false},
		{"fuse.sshfs", "rw", false},
		{"fuse", "rw", false},
		{"ext", "rw", false},
		{"", "", false},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++)
		if (vmc_lock_reaches (cases[i].type, cases[i].options) != cases[i].reaches)
			fail_msg ("%s, %s", cases[i].type, cases[i].options);
}

static void files_of_this_machine (void **state)
{
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_lock_reach_check ("/proc/version", &err), -1);
	assert_error (err, VMC_REFUSED, "on a filesystem (proc) whose locks");
	assert_int_equal (vmc_lock_reach_check ("/nowhere/at/all", &err), -1);
	assert_error (err, VMC_REFUSED, "it cannot be told on which filesystem");
	if (vmc_lock_reach_check ("/dev/shm", &err) < 0)
		fail_msg ("%s", err.text);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (mounts_by_type_and_options),
	cmocka_unit_test (files_of_this_machine),
};

UNIT_MAIN (tests)
