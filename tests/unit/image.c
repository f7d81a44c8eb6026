/* image.c - tests of host/image.c, on files in a directory of our own */
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "image.h"

static char directory[256];

static const char *path_of (const char *name)
{
	static char paths[4][600];
	static unsigned next;
	char *path = paths[next++ % 4];

	(void) snprintf (path, sizeof paths[0], "%s/%s", directory, name);
	return path;
}

/* A qcow2 file (or what starts like one) with that backing file. */
static void make_qcow2 (const char *name, const char *backing)
{
	unsigned char header[512] = {'Q', 'F', 'I', 0xFB, 0, 0, 0, 3};
	FILE *file = fopen (path_of (name), "w");

	assert_non_null (file);
	header[14] = backing ? 1 : 0; /* offset 256 */
	header[19] = (unsigned char) (backing ? strlen (backing) : 0);
	header[23] = 16;
	header[28] = 0x40; /* 1 GiB */
	header[99] = 4;
	header[103] = 104;
	if (backing != NULL) {
		memcpy (header + 104, "\xE2\x79\x2A\xCA\0\0\0\3raw", 11); /* the format of the backing file */
		memcpy (header + 256, backing, strlen (backing));
	}
	assert_int_equal (fwrite (header, 1, sizeof header, file), sizeof header);
	assert_int_equal (fclose (file), 0);
}

static void make_raw (const char *name, long bytes)
{
	FILE *file = fopen (path_of (name), "w");

	assert_non_null (file);
	assert_int_equal (ftruncate (fileno (file), bytes), 0);
	assert_int_equal (fclose (file), 0);
}

static void image_of (const char *name, struct vmc_image *image)
{
	struct stat status;

	assert_int_equal (stat (path_of (name), &status), 0);
	*image = (struct vmc_image) {.device = status.st_dev, .inode = status.st_ino};
}

static int make_directory (void **state)
{
	(void) state;
	(void) snprintf (directory, sizeof directory, "%.200s/vmcompact-unit-XXXXXX",
			 getenv ("TMPDIR") ? getenv ("TMPDIR") : P_tmpdir);
	return mkdtemp (directory) == NULL;
}

static int remove_directory (void **state)
{
	char command[300];

	(void) state;
	(void) snprintf (command, sizeof command, "rm -rf '%s'", directory);
	return system (command);
}

/* --- names ------------------------------------------------------------------------------------------------------------- */

static void assert_directory (const char *path, const char *wanted)
{
	char got[VMC_PATH_SIZE];

	vmc_image_directory (path, got);
	assert_string_equal (got, wanted);
}

static void the_directory_is_what_is_before_the_last_slash (void **state)
{
	(void) state;
	assert_directory ("/images/vm1.qcow2", "/images");
	assert_directory ("/a/b/c", "/a/b");
	assert_directory ("a/b", "a");
}

static void the_directory_may_be_the_root (void **state)
{
	(void) state;
	assert_directory ("/vm1.qcow2", "/");
}

static void a_name_alone_lies_here (void **state)
{
	(void) state;
	assert_directory ("vm1.qcow2", ".");
}

static void assert_options (const char *format, const char *path, const char *wanted)
{
	char got[VMC_IMAGE_OPTIONS_SIZE];

	vmc_image_options (format, path, got);
	assert_string_equal (got, wanted);
}

static void options_say_format_and_driver (void **state)
{
	(void) state;
	assert_options ("qcow2", "/images/vm1", "driver=qcow2,file.driver=file,file.filename=/images/vm1");
	assert_options ("raw", "/images/vm1", "driver=raw,file.driver=file,file.filename=/images/vm1");
}

/* Otherwise a path could add options of its own. */
static void commas_in_a_path_are_doubled (void **state)
{
	(void) state;
	assert_options ("raw", "/a,b,,c", "driver=raw,file.driver=file,file.filename=/a,,b,,,,c");
	assert_options ("raw", ",", "driver=raw,file.driver=file,file.filename=,,");
	assert_options ("raw", "/x,file.driver=nbd", "driver=raw,file.driver=file,file.filename=/x,,file.driver=nbd");
}

static void the_longest_path_of_commas_fits (void **state)
{
	char path[VMC_PATH_SIZE], got[VMC_IMAGE_OPTIONS_SIZE];

	(void) state;
	memset (path, ',', sizeof path - 1);
	path[sizeof path - 1] = 0;
	vmc_image_options ("qcow2", path, got);
	assert_true (strlen (got) > 2 * (sizeof path - 1));
}

static void nothing_else_in_a_path_is_changed (void **state)
{
	(void) state;
	assert_options ("raw", "/a b=c:d\\e'f\"g{h}", "driver=raw,file.driver=file,file.filename=/a b=c:d\\e'f\"g{h}");
	assert_options ("raw", "nbd:x", "driver=raw,file.driver=file,file.filename=nbd:x");
}

/* --- chains ------------------------------------------------------------------------------------------------------------ */

static void assert_chain (const char *name, const char *wanted, bool has)
{
	struct vmc_image image;

	image_of (wanted, &image);
	if (vmc_image_chain_has (path_of (name), &image) != has)
		fail_msg ("%s and %s", name, wanted);
}

static void a_file_has_itself (void **state)
{
	(void) state;
	make_raw ("one", 1000);
	make_raw ("other", 1000);
	assert_chain ("one", "one", true);
	assert_chain ("one", "other", false);
}

static void another_name_is_the_same_file (void **state)
{
	(void) state;
	make_raw ("one", 1000);
	(void) unlink (path_of ("hard"));
	(void) unlink (path_of ("soft"));
	assert_int_equal (link (path_of ("one"), path_of ("hard")), 0);
	assert_int_equal (symlink ("one", path_of ("soft")), 0);
	assert_chain ("hard", "one", true);
	assert_chain ("soft", "one", true);
}

static void a_backing_file_is_found_by_an_absolute_name (void **state)
{
	(void) state;
	make_raw ("base", 1000);
	make_qcow2 ("top", path_of ("base"));
	assert_chain ("top", "base", true);
}

/* QEMU opens these as files, too. */
static void a_backing_file_is_found_by_a_name_with_a_protocol (void **state)
{
	char name[400];

	(void) state;
	make_raw ("base", 1000);
	(void) snprintf (name, sizeof name, "file:%s", path_of ("base"));
	make_qcow2 ("top", name);
	assert_chain ("top", "base", true);
	(void) snprintf (name, sizeof name,
			 "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"%s\"}}",
			 path_of ("base"));
	make_qcow2 ("top", name);
	assert_chain ("top", "base", true);
	make_qcow2 ("top", "nbd://localhost/base");
	assert_chain ("top", "base", false);
}

/* Relative to the image that names it, not to where we are. */
static void a_backing_file_is_found_by_a_relative_name (void **state)
{
	(void) state;
	(void) mkdir (path_of ("sub"), 0700);
	make_raw ("base", 1000);
	make_qcow2 ("sub/middle", "../base");
	make_qcow2 ("top", "sub/middle");
	assert_chain ("top", "base", true);
	assert_chain ("top", "sub/middle", true);
	assert_chain ("sub/middle", "top", false);
}

static void a_chain_without_it_does_not_have_it (void **state)
{
	(void) state;
	make_raw ("base", 1000);
	make_raw ("stranger", 1000);
	make_qcow2 ("top", "base");
	assert_chain ("top", "stranger", false);
}

static void a_chain_in_a_circle_ends (void **state)
{
	(void) state;
	make_raw ("stranger", 1000);
	make_qcow2 ("a", "b");
	make_qcow2 ("b", "a");
	assert_chain ("a", "stranger", false);
	assert_chain ("a", "b", true);
}

static void a_chain_may_be_as_long_as_the_limit (void **state)
{
	char name[20], next[20];

	(void) state;
	make_raw ("c32", 1000);
	for (int i = 0; i < VMC_CHAIN_MAX; i++) {
		sprintf (name, "c%d", i);
		sprintf (next, "c%d", i + 1);
		make_qcow2 (name, next);
	}
	assert_chain ("c0", "c32", true);
}

/* The chain of a disk whose XML does not name it. */
static int find_chain (const char *name, struct vmc_disk *disk, struct vmc_error *err)
{
	memset (disk, 0, sizeof *disk);
	strcpy (disk->format, "qcow2");
	strcpy (disk->path, path_of (name));
	return vmc_image_find_chain (disk, err);
}

static void a_chain_is_found_in_the_headers (void **state)
{
	struct vmc_disk disk;
	struct vmc_error err;

	(void) state;
	make_raw ("base", 1000);
	make_qcow2 ("top", "base");
	assert_int_equal (find_chain ("top", &disk, &err), 0);
	assert_int_equal (disk.backing_count, 1);
	assert_string_equal (disk.backing[0], path_of ("base"));
	assert_string_equal (disk.backing_format[0], "raw");
	make_qcow2 ("alone", NULL);
	assert_int_equal (find_chain ("alone", &disk, &err), 0);
	assert_int_equal (disk.backing_count, 0);
}

/* <backingStore/> in the XML says that there is none; the check of the header refuses it then. */
static void a_chain_that_the_xml_names_is_left_alone (void **state)
{
	struct vmc_disk disk = {.format = "qcow2", .chain_known = true};
	struct vmc_error err;

	(void) state;
	make_raw ("base", 1000);
	make_qcow2 ("top", "base");
	strcpy (disk.path, path_of ("top"));
	assert_int_equal (vmc_image_find_chain (&disk, &err), 0);
	assert_int_equal (disk.backing_count, 0);
}

static void a_backing_file_that_is_none_is_refused (void **state)
{
	static const char *const names[] = {"missing", "nbd://localhost/base", "json:{\"file.filename\":\"base\"}",
					    "."};
	struct vmc_disk disk;
	struct vmc_error err;

	(void) state;
	make_raw ("base", 1000);
	for (size_t i = 0; i < UNIT_COUNT (names); i++) {
		make_qcow2 ("top", names[i]);
		assert_int_equal (find_chain ("top", &disk, &err), -1);
		assert_error (err, VMC_REFUSED, "cannot be found");
	}
}

static void what_cannot_be_read_has_nothing (void **state)
{
	struct vmc_image image;

	(void) state;
	make_raw ("one", 1000);
	image_of ("one", &image);
	make_qcow2 ("broken", "no such file");
	assert_chain ("broken", "one", false);
	assert_false (vmc_image_chain_has (path_of ("no such file"), &image));
	assert_false (vmc_image_chain_has ("", &image));
	assert_false (vmc_image_chain_has (directory, &image));
}

/* A FIFO must not make us wait for a writer. */
static void a_fifo_has_nothing (void **state)
{
	(void) state;
	make_raw ("one", 1000);
	(void) mkfifo (path_of ("fifo"), 0600);
	assert_chain ("fifo", "one", false);
}

/* --- looking ----------------------------------------------------------------------------------------------------------- */

static struct vmc_disk disk;

static void make_disk (const char *format, const char *name)
{
	memset (&disk, 0, sizeof disk);
	strcpy (disk.target, "vda");
	strcpy (disk.format, format);
	strcpy (disk.path, path_of (name));
}

static void look_well (struct vmc_image *image)
{
	struct vmc_error err;

	if (vmc_image_look (&disk, directory, image, &err) < 0)
		fail_msg ("%s", err.text);
}

static void assert_refused (const char *reason)
{
	struct vmc_image image;
	struct vmc_error err;

	assert_int_equal (vmc_image_look (&disk, directory, &image, &err), -1);
	assert_error (err, VMC_REFUSED, reason);
}

static void a_raw_image_is_as_long_as_its_file (void **state)
{
	struct vmc_image image, wanted;

	(void) state;
	make_raw ("raw", 5 << 20);
	make_disk ("raw", "raw");
	look_well (&image);
	image_of ("raw", &wanted);
	assert_true (image.device == wanted.device && image.inode == wanted.inode);
	assert_int_equal (image.virtual_bytes, 5 << 20);
	assert_int_equal (image.length_bytes, 5 << 20);
	assert_true (image.allocated_bytes < 1 << 20);
	assert_int_equal (image.punch_bytes & (image.punch_bytes - 1), 0);
	assert_true (image.punch_bytes >= 512);
	assert_true (image.room_bytes > 0);
}

static void a_qcow2_image_says_its_size (void **state)
{
	struct vmc_image image;

	(void) state;
	make_qcow2 ("q", NULL);
	make_disk ("qcow2", "q");
	look_well (&image);
	assert_int_equal (image.virtual_bytes, 1 << 30);
	assert_int_equal (image.length_bytes, 512);
}

static void a_guest_cannot_make_its_raw_image_a_qcow2 (void **state)
{
	struct vmc_image image;

	(void) state;
	make_qcow2 ("q", "base");
	make_disk ("raw", "q");
	look_well (&image);
	assert_int_equal (image.virtual_bytes, 512);
}

static void what_is_no_qcow2_is_refused (void **state)
{
	(void) state;
	make_raw ("raw", 8192);
	make_disk ("qcow2", "raw");
	assert_refused ("no qcow2 header");
	make_raw ("empty", 0);
	make_disk ("qcow2", "empty");
	assert_refused ("no qcow2 header");
}

static void the_backing_file_is_that_of_the_domain (void **state)
{
	struct vmc_image image;

	(void) state;
	make_raw ("base", 1000);
	make_qcow2 ("q", "base");
	make_disk ("qcow2", "q");
	disk.backing_count = 1;
	strcpy (disk.backing[0], path_of ("base"));
	strcpy (disk.backing_format[0], "raw");
	look_well (&image);
}

/* QEMU would guess the format of a backing file that the header does not name. */
static void another_backing_format_than_the_domains_is_refused (void **state)
{
	(void) state;
	make_raw ("base", 1000);
	make_qcow2 ("q", "base");
	make_disk ("qcow2", "q");
	disk.backing_count = 1;
	strcpy (disk.backing[0], path_of ("base"));
	strcpy (disk.backing_format[0], "qcow2");
	assert_refused ("does not say that its backing file is qcow2");
}

static void another_backing_file_than_the_domains_is_refused (void **state)
{
	(void) state;
	make_raw ("base", 1000);
	make_raw ("other", 1000);
	make_qcow2 ("q", "base");
	make_disk ("qcow2", "q");
	assert_refused ("names another backing file");
	disk.backing_count = 1;
	strcpy (disk.backing_format[0], "raw");
	strcpy (disk.backing[0], path_of ("other"));
	assert_refused ("names another backing file");
	make_qcow2 ("q", NULL);
	assert_refused ("names another backing file");
	make_qcow2 ("q", "no such file");
	assert_refused ("names another backing file");
}

/* The XML names only the file, from whose first byte on it would be read. */
static void a_part_of_the_domains_backing_file_is_refused (void **state)
{
	static const char *const parts[] = {"", "\"offset\":512,", "\"size\":512,"};

	(void) state;
	make_raw ("base", 1000);
	for (size_t i = 0; i < UNIT_COUNT (parts); i++) {
		char name[400];

		(void) snprintf (name, sizeof name,
				 "json:{\"driver\":\"raw\",%s\"file\":{\"driver\":\"file\",\"filename\":\"%s\"}}",
				 parts[i], path_of ("base"));
		make_qcow2 ("q", name);
		make_disk ("qcow2", "q");
		disk.backing_count = 1;
		strcpy (disk.backing_format[0], "raw");
		strcpy (disk.backing[0], path_of ("base"));
		if (i == 0)
			assert_int_equal (vmc_image_look (&disk, directory, &(struct vmc_image) {0},
							  &(struct vmc_error) {0}),
					  0);
		else
			assert_refused ("names another backing file");
	}
}

static void what_is_no_regular_file_is_refused (void **state)
{
	(void) state;
	(void) mkfifo (path_of ("fifo"), 0600);
	make_disk ("raw", "fifo");
	assert_refused ("is neither a file nor a block device");
	make_disk ("raw", ".");
	assert_refused ("is neither a file nor a block device");
	make_disk ("raw", "no such file");
	assert_refused ("cannot open");
}

static void the_directory_of_the_overlay_must_be_there (void **state)
{
	struct vmc_image image;
	struct vmc_error err;

	(void) state;
	make_raw ("raw", 8192);
	make_disk ("raw", "raw");
	assert_int_equal (vmc_image_look (&disk, path_of ("no such directory/overlay"), &image, &err), -1);
	assert_error (err, VMC_REFUSED, "cannot look at the directory");
}

static void allocated_bytes_are_those_on_the_disk (void **state)
{
	static const char data[1 << 20] = {1};
	FILE *file = fopen (path_of ("data"), "w");
	struct vmc_error err;
	uint64_t bytes;

	(void) state;
	assert_int_equal (fwrite (data, 1, sizeof data, file), sizeof data);
	assert_int_equal (ftruncate (fileno (file), 1L << 30), 0);
	assert_int_equal (fsync (fileno (file)), 0);
	assert_int_equal (fclose (file), 0);
	assert_int_equal (vmc_image_allocated (path_of ("data"), &bytes, &err), 0);
	assert_true (bytes < 1 << 29);
	assert_int_equal (vmc_image_allocated (path_of ("no such file"), &bytes, &err), -1);
	assert_error (err, VMC_FAILED, "cannot look at");
}

static void punching_needs_a_directory (void **state)
{
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_image_can_punch (path_of ("no such directory/image"), &err), -1);
	assert_error (err, VMC_REFUSED, "punch holes");
}

static void assert_snapshots (const char *name, int wanted)
{
	struct vmc_error err;

	assert_int_equal (vmc_image_has_snapshots (path_of (name), &err), wanted);
}

static void snapshots_are_seen_in_the_header (void **state)
{
	FILE *file;

	(void) state;
	assert_snapshots ("not made", 0);
	make_raw ("empty", 0);
	assert_snapshots ("empty", 0);
	make_raw ("raw", 4096);
	assert_snapshots ("raw", 0);
	make_qcow2 ("snapshots", NULL);
	assert_snapshots ("snapshots", 0);
	file = fopen (path_of ("snapshots"), "r+");
	assert_non_null (file);
	assert_int_equal (fseek (file, 60, SEEK_SET), 0);
	assert_int_equal (fputc (1, file), 1); /* of four bytes, the highest */
	assert_int_equal (fclose (file), 0);
	assert_snapshots ("snapshots", 1);
	assert_snapshots (".", -1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (the_directory_is_what_is_before_the_last_slash),
	cmocka_unit_test (the_directory_may_be_the_root),
	cmocka_unit_test (a_name_alone_lies_here),
	cmocka_unit_test (options_say_format_and_driver),
	cmocka_unit_test (commas_in_a_path_are_doubled),
	cmocka_unit_test (the_longest_path_of_commas_fits),
	cmocka_unit_test (nothing_else_in_a_path_is_changed),
	cmocka_unit_test (a_file_has_itself),
	cmocka_unit_test (another_name_is_the_same_file),
	cmocka_unit_test (a_backing_file_is_found_by_an_absolute_name),
	cmocka_unit_test (a_backing_file_is_found_by_a_relative_name),
	cmocka_unit_test (a_backing_file_is_found_by_a_name_with_a_protocol),
	cmocka_unit_test (a_chain_without_it_does_not_have_it),
	cmocka_unit_test (a_chain_in_a_circle_ends),
	cmocka_unit_test (a_chain_may_be_as_long_as_the_limit),
	cmocka_unit_test (what_cannot_be_read_has_nothing),
	cmocka_unit_test (a_chain_is_found_in_the_headers),
	cmocka_unit_test (a_chain_that_the_xml_names_is_left_alone),
	cmocka_unit_test (a_backing_file_that_is_none_is_refused),
	cmocka_unit_test (a_fifo_has_nothing),
	cmocka_unit_test (a_raw_image_is_as_long_as_its_file),
	cmocka_unit_test (a_qcow2_image_says_its_size),
	cmocka_unit_test (a_guest_cannot_make_its_raw_image_a_qcow2),
	cmocka_unit_test (what_is_no_qcow2_is_refused),
	cmocka_unit_test (the_backing_file_is_that_of_the_domain),
	cmocka_unit_test (another_backing_file_than_the_domains_is_refused),
	cmocka_unit_test (a_part_of_the_domains_backing_file_is_refused),
	cmocka_unit_test (another_backing_format_than_the_domains_is_refused),
	cmocka_unit_test (what_is_no_regular_file_is_refused),
	cmocka_unit_test (the_directory_of_the_overlay_must_be_there),
	cmocka_unit_test (allocated_bytes_are_those_on_the_disk),
	cmocka_unit_test (punching_needs_a_directory),
	cmocka_unit_test (snapshots_are_seen_in_the_header),
};

int main (void)
{
	cmocka_set_message_output (CM_OUTPUT_TAP);
	return cmocka_run_group_tests (tests, make_directory, remove_directory);
}
