/* image_check.c - tests of host/image_check.c: qcow2 images of qemu-img, with entries of the first table of clusters overwritten
 *
 * qemu-img makes an image of this size as header, refcount table, refcount block and L1 table, of a cluster each; qemu-io then adds the
 * table of clusters (L2) and the data.
 */
#include "unit.h"

#include <endian.h>
#include <fcntl.h>
#include <unistd.h>

#include "clock.h"
#include "image_check.h"

#define CLUSTER UINT64_C (65536)
#define TABLE (4 * CLUSTER)
#define ENTRIES (CLUSTER / 8)
#define OURS_ALONE (UINT64_C (1) << 63) /* QCOW_OFLAG_COPIED */

static char path[64];

static int make_image (void **state)
{
	char command[400];

	(void) state;
	(void) snprintf (path, sizeof path, "/tmp/vmcompact-unit.%d.qcow2", (int) getpid ());
	(void) snprintf (command, sizeof command,
			 "qemu-img create -q -f qcow2 %s 512M && qemu-io -c 'write -q 0 1M' %s >/dev/null", path, path);
	return system (command);
}

static int remove_image (void **state)
{
	(void) state;
	return unlink (path);
}

static void set_entry (size_t index, uint64_t value)
{
	int fd = open (path, O_WRONLY | O_CLOEXEC);

	value = htobe64 (value);
	assert_int_equal (pwrite (fd, &value, sizeof value, (off_t) (TABLE + index * sizeof value)), sizeof value);
	assert_return_code (close (fd), 0);
}

static int do_not_stop (void *opaque, struct vmc_error *err)
{
	(void) opaque;
	(void) err;
	return 0;
}

static int check (const char *format, struct vmc_error *err)
{
	return vmc_image_check (format, path, vmc_now_ms () + 20000, &(struct vmc_meanwhile) {do_not_stop, NULL}, err);
}

static void a_sound_image_passes (void **state)
{
	struct vmc_error err;

	(void) state;
	assert_int_equal (check ("qcow2", &err), 0);
}

static void space_that_is_lost_is_no_fault (void **state)
{
	struct vmc_error err;

	(void) state;
	set_entry (3, 0);
	assert_int_equal (check ("qcow2", &err), 0);
}

/* What is free there would be punched, and with it the table. */
static void data_that_lie_where_a_table_is_are_a_fault (void **state)
{
	struct vmc_error err;

	(void) state;
	set_entry (100, TABLE | OURS_ALONE);
	assert_int_equal (check ("qcow2", &err), -1);
	assert_error (err, VMC_REFUSED, "the image is damaged");
}

/* Clusters that nobody has asked for: qemu-img complains of each, and of all with more than a pipe holds. */
static void any_number_of_faults_is_heard_to_the_end (void **state)
{
	struct vmc_error err;

	(void) state;
	for (size_t i = 0; i < ENTRIES; i++)
		set_entry (i, (5 + i) * CLUSTER | OURS_ALONE);
	assert_int_equal (check ("qcow2", &err), -1);
	assert_error (err, VMC_REFUSED, "the image is damaged");
}

static void raw_has_no_tables (void **state)
{
	struct vmc_error err;

	(void) state;
	set_entry (100, TABLE | OURS_ALONE);
	assert_int_equal (check ("raw", &err), 0);
}

static void what_cannot_be_checked_is_an_error (void **state)
{
	struct vmc_error err;
	int fd = open (path, O_WRONLY | O_CLOEXEC);

	(void) state;
	assert_int_equal (pwrite (fd, "XXXX", 4, 0), 4);
	assert_return_code (close (fd), 0);
	assert_int_equal (check ("qcow2", &err), -1);
	assert_error (err, VMC_FAILED, "qemu-img");
}

#define IMAGE_TEST(test) cmocka_unit_test_setup_teardown (test, make_image, remove_image)

static const struct CMUnitTest tests[] = {
	IMAGE_TEST (a_sound_image_passes),
	IMAGE_TEST (space_that_is_lost_is_no_fault),
	IMAGE_TEST (data_that_lie_where_a_table_is_are_a_fault),
	IMAGE_TEST (any_number_of_faults_is_heard_to_the_end),
	IMAGE_TEST (raw_has_no_tables),
	IMAGE_TEST (what_cannot_be_checked_is_an_error),
};

int main (void)
{
	return unit_missing ("qemu-img") || unit_missing ("qemu-io") ? 0 : UNIT_RUN (tests);
}
