/* rewrite.c - tests of host/rewrite.c with the real qemu-img and qemu-nbd, on images in a directory of our own
 *
 * What the guest sees is read by another program than the one under test: qemu-img convert to raw. Root only: the sockets lie
 * in /run/vmcompact. Linked with the fault points, so that things can go wrong between the steps.
 */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "allocation.h"
#include "clock.h"
#include "guard.h"
#include "rewrite.h"

#define MIB (1 << 20)
#define DISK_BYTES (48 * MIB)

static char directory[256];

/* Run a line of shell in the directory. */
static void __attribute__ ((format (printf, 1, 2))) sh (const char *format, ...)
{
	char line[4096] = "set -e; ", *command = line + strlen (line);
	va_list arguments;

	command += snprintf (command, 300, "cd '%s'; ", directory);
	va_start (arguments, format);
	(void) vsnprintf (command, sizeof line - (size_t) (command - line), format, arguments);
	va_end (arguments);
	if (system (line) != 0)
		fail_msg ("failed: %s", command);
}

static const char *path_of (const char *name)
{
	static char paths[4][600];
	static unsigned next;
	char *path = paths[next++ % 4];

	(void) snprintf (path, sizeof paths[0], "%s/%s", directory, name);
	return path;
}

static unsigned char *load (const char *name, size_t *length)
{
	FILE *file = fopen (path_of (name), "r");
	struct stat status;
	unsigned char *bytes;

	assert_non_null (file);
	assert_int_equal (fstat (fileno (file), &status), 0);
	*length = (size_t) status.st_size;
	bytes = malloc (*length + 1);
	assert_non_null (bytes);
	assert_int_equal (fread (bytes, 1, *length, file), *length);
	(void) fclose (file);
	return bytes;
}

static uint64_t length_of (const char *name)
{
	struct stat status;

	assert_int_equal (stat (path_of (name), &status), 0);
	return (uint64_t) status.st_size;
}

static uint64_t allocated (const char *name)
{
	struct stat status;

	assert_int_equal (stat (path_of (name), &status), 0);
	return (uint64_t) status.st_blocks * 512;
}

static int make_directory (void **state)
{
	(void) state;
	(void) snprintf (directory, sizeof directory, "%.200s/vmcompact-unit-XXXXXX",
			 getenv ("TMPDIR") ? getenv ("TMPDIR") : P_tmpdir);
	if (mkdtemp (directory) == NULL)
		return 1;
	/* Noise, holes, zeros that are stored, some bytes in the middle of nothing; and where the guest's files would be. */
	sh ("truncate -s %d content; for range in '0 16' '24 8' '40 1'; do set -- $range; "
	    "dd if=/dev/urandom of=content bs=1M seek=$1 count=$2 conv=notrunc status=none; done; "
	    "dd if=/dev/zero of=content bs=1M seek=12 count=1 conv=notrunc status=none; "
	    "dd if=/dev/urandom of=content bs=1 seek=%d count=777 conv=notrunc status=none",
	    DISK_BYTES, 36 * MIB + 12345);
	return 0;
}

static int remove_directory (void **state)
{
	char command[300];

	(void) state;
	(void) snprintf (command, sizeof command, "rm -rf '%s'", directory);
	return system (command);
}

/* --- a rewrite --------------------------------------------------------------------------------- */

static struct vmc_disk disk;
static struct vmc_image image;
static struct vmc_rewrite rewrite;
static struct vmc_extents free_map;
static unsigned calls, stop_at; /* of between */
static uint64_t last_done, last_total;

static int between (void *opaque, uint64_t done_bytes, uint64_t total_bytes, struct vmc_error *err)
{
	(void) opaque;
	calls++;
	assert_true (done_bytes >= last_done && done_bytes <= total_bytes);
	last_done = done_bytes;
	last_total = total_bytes;
	return calls == stop_at ? vmc_fail (err, VMC_CANCELLED, 0, "stopped by the test") : 0;
}

static void add_free (uint64_t start, uint64_t length)
{
	struct vmc_error err;

	assert_int_equal (vmc_extents_add (&free_map, start, length, &err), 0);
}

/* Aligned to nothing, inside clusters, over holes and noise. */
static void make_free_map (void)
{
	vmc_extents_clear (&free_map);
	add_free (MIB + 4096, 4 * MIB);
	add_free (9 * MIB, 10 * MIB);
	add_free (26 * MIB + 512, 1500 * 1024);
	add_free (29 * MIB + 1, 65536 * 3);
	add_free (42 * MIB, 6 * MIB);
}

static void make_rewrite (const char *name, const char *format)
{
	VMC_CLEANUP_ALLOCATION struct vmc_allocation allocation = {0};
	struct vmc_error err;

	memset (&disk, 0, sizeof disk);
	strcpy (disk.target, "vda");
	strcpy (disk.format, format);
	strcpy (disk.path, path_of (name));
	if (access (path_of ("base"), F_OK) == 0) {
		disk.backing_count = 1;
		strcpy (disk.backing[0], path_of ("base"));
		strcpy (disk.backing_format[0], "raw");
	}
	if (vmc_image_look (&disk, path_of ("overlay"), &image, &err) < 0)
		fail_msg ("%s", err.text);
	if (vmc_allocation_read (disk.format, disk.path, true, vmc_now_ms () + 60000, &allocation, &err) < 0)
		fail_msg ("%s", err.text);
	rewrite = (struct vmc_rewrite) {.disk = &disk,
					.image = &image,
					.directory = directory,
					.name = "unit-rewrite",
					.stored_end = vmc_allocation_end (&allocation)};
	make_free_map ();
	calls = stop_at = 0;
	last_done = last_total = 0;
}

/* Nothing is left but the files that were there: no name, no process, no socket. */
static void assert_nothing_left (void)
{
	DIR *names = opendir ("/run/vmcompact");
	const struct dirent *entry;

	sh ("! ls -A | grep -vxE 'content|old|old.raw|base|new|.*\\.(qcow2|log)'");
	assert_int_equal (waitpid (-1, NULL, WNOHANG), -1);
	assert_int_equal (errno, ECHILD);
	assert_non_null (names);
	while ((entry = readdir (names)) != NULL)
		if (strncmp (entry->d_name, "unit-rewrite", 12) == 0)
			fail_msg ("left: %s", entry->d_name);
	(void) closedir (names);
}

/* Rewrite it and call the result "new". */
static void run_well (void)
{
	struct vmc_error err;
	int fd;

	(void) unlink (path_of ("new"));
	if (vmc_rewrite_check (&rewrite, DISK_BYTES, &err) < 0)
		fail_msg ("%s", err.text);
	fd = vmc_rewrite_run (&rewrite, &free_map, between, NULL, &err);
	if (fd < 0)
		fail_msg ("%s (%d)", err.text, err.errnum);
	if (vmc_rewrite_name (fd, path_of ("new"), &err) < 0)
		fail_msg ("%s", err.text);
	assert_int_equal (close (fd), 0);
	assert_nothing_left ();
}

static void assert_fails (enum vmc_code code, const char *reason)
{
	struct vmc_error err;

	(void) unlink (path_of ("new"));
	assert_int_equal (vmc_rewrite_run (&rewrite, &free_map, between, NULL, &err), -1);
	assert_error (err, code, reason);
	assert_nothing_left ();
}

static void assert_refused (const char *reason)
{
	struct vmc_error err;

	assert_int_equal (vmc_rewrite_check (&rewrite, MIB, &err), -1);
	assert_error (err, VMC_REFUSED, reason);
}

static const char *new_format (void)
{
	return rewrite.wish.format ? rewrite.wish.format : disk.format;
}

static bool is_free (size_t at)
{
	for (size_t i = 0; i < free_map.count; i++)
		if (at >= free_map.items[i].start && at - free_map.items[i].start < free_map.items[i].length)
			return true;
	return false;
}

/* Outside the free map the new image is the old one; in it, it is zero, or what the backing file has there. */
static void assert_same_content (void)
{
	size_t length, new_length, free_kept = 0;
	unsigned char *old, *new;

	sh ("qemu-img convert -f %s -O raw old old.raw; qemu-img convert -f %s -O raw new new.log", disk.format,
	    new_format ());
	old = load ("old.raw", &length);
	new = load ("new.log", &new_length);
	assert_int_equal (length, new_length);
	for (size_t at = 0; at < length; at++) {
		if (at % 4096 == 0 && at + 4096 <= length && memcmp (old + at, new + at, 4096) == 0)
			at += 4095;
		if (old[at] == new[at])
			continue;
		if (!is_free (at))
			fail_msg ("byte %zu", at);
		if (disk.backing_count == 0 && new[at] != 0)
			free_kept++;
	}
	assert_int_equal (free_kept, 0);
	free (old);
	free (new);
	sh ("rm new.log");
}

/* What qemu-img says of both, but for what differs with the content. */
static void assert_same_options (void)
{
	sh ("for i in old new; do qemu-img info $i | grep -vE '^(image|disk size)' >$i.log; done; cmp old.log new.log; "
	    "rm *.log");
}

static void assert_sound (void)
{
	if (strcmp (new_format (), "qcow2") == 0)
		sh ("qemu-img check -q new");
}

/* The file is as long as plain qemu-img convert makes it from the same content, free ranges zeroed. */
static void assert_short (void)
{
	uint64_t got = length_of ("new"), got_allocated = allocated ("new"), plain, plain_allocated;
	char zeros[1000] = "";

	for (size_t i = 0; i < free_map.count; i++)
		(void) snprintf (zeros + strlen (zeros), sizeof zeros - strlen (zeros), " -c 'write -q -z %llu %llu'",
				 (unsigned long long) free_map.items[i].start,
				 (unsigned long long) free_map.items[i].length);
	sh ("qemu-io -f raw %s old.raw; options=$(qemu-img info new | sed -n 's/^cluster_size: /-o cluster_size=/p; "
	    "s/^ *compat: /-o compat=/p; s/^ *extended l2: true/-o extended_l2=on/p; s/^ *compression type: zstd/-o "
	    "compression_type=zstd/p; s/^ *refcount bits: /-o refcount_bits=/p'); "
	    "qemu-img convert %s -f raw -O %s $options old.raw plain.log",
	    zeros, rewrite.wish.compress ? "-c" : "", new_format ());
	plain = length_of ("plain.log");
	plain_allocated = allocated ("plain.log");
	sh ("rm plain.log");
	(void) printf ("# length %llu, plain %llu; on the disk %llu, plain %llu\n", (unsigned long long) got,
		       (unsigned long long) plain, (unsigned long long) got_allocated,
		       (unsigned long long) plain_allocated);
	if (got > plain + plain / 50 || got_allocated > plain_allocated + plain_allocated / 50)
		fail_msg ("longer than it should be");
}

/* --- formats and options ----------------------------------------------------------------------- */

static const struct {
	const char *what, *options;
} kinds[] = {
	/* those whose tables differ most */
	{"extended L2", "extended_l2=on,cluster_size=128k"},
	{"compat 0.10", "compat=0.10"},
	/* the others */
	{"compat 1.1", "compat=1.1"},
	{"small clusters", "cluster_size=4k"},
	{"large clusters", "cluster_size=2M"},
	{"zstd", "compression_type=zstd"},
	{"refcounts", "refcount_bits=1"},
	{"lazy refcounts", "lazy_refcounts=on"},
};

/* How many of these are tried where each takes two copies of an image; all of them with VMC_LONG. */
static size_t kinds_to_try (void)
{
	return getenv ("VMC_LONG") != NULL ? UNIT_COUNT (kinds) : 2;
}

static void the_qcow2_options_stay (void **state)
{
	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (kinds); i++) {
		(void) printf ("# %s\n", kinds[i].what);
		sh ("qemu-img convert -f raw -O qcow2 -S 0 -o %s content old", kinds[i].options);
		make_rewrite ("old", "qcow2");
		run_well ();
		assert_same_content ();
		assert_same_options ();
		assert_sound ();
		assert_short ();
		assert_true (allocated ("new") < allocated ("old"));
	}
}

static void a_compressed_image_is_read (void **state)
{
	(void) state;
	for (int zstd = 0; zstd < 2; zstd++) {
		sh ("qemu-img convert -c -f raw -O qcow2 %s content old", zstd ? "-o compression_type=zstd" : "");
		make_rewrite ("old", "qcow2");
		run_well ();
		assert_same_content ();
		assert_same_options ();
		assert_sound ();
	}
}

/* Text, so that there is something to be won. The last cluster is half a cluster. */
static void the_wish_to_compress (void **state)
{
	(void) state;
	for (size_t i = 0; i < kinds_to_try (); i++) {
		(void) printf ("# %s\n", kinds[i].what);
		sh ("cp content text; seq 1 2000000 | dd of=text bs=1M seek=17 conv=notrunc status=none; "
		    "truncate -s %d text; seq 100 | dd of=text bs=1 seek=%d conv=notrunc status=none; "
		    "qemu-img convert -f raw -O qcow2 -o %s text old; rm text",
		    50 * MIB + 33 * 512, 50 * MIB, kinds[i].options);
		make_rewrite ("old", "qcow2");
		rewrite.wish.compress = true;
		run_well ();
		assert_same_content ();
		assert_same_options ();
		assert_sound ();
		assert_short ();
		sh ("qemu-img map --output=json new | grep -q '\"compressed\": true' || "
		    "[ $(stat -c %%b new) -lt $(($(stat -c %%b old) / 2)) ]");
	}
}

static void raw_keeps_its_length (void **state)
{
	static const int lengths[] = {DISK_BYTES, DISK_BYTES + 1000, DISK_BYTES + 1};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (lengths); i++) {
		sh ("cp --sparse=never content old; truncate -s %d old; printf x | dd of=old bs=1 seek=%d conv=notrunc "
		    "status=none",
		    lengths[i], lengths[i] - 1);
		make_rewrite ("old", "raw");
		vmc_extents_clear (&free_map);
		add_free (MIB + 4096, 4 * MIB);
		add_free (9 * MIB, 10 * MIB);
		run_well ();
		assert_int_equal (length_of ("new"), lengths[i]);
		assert_same_content ();
		assert_short ();
		assert_true (allocated ("new") < allocated ("old"));
	}
}

static void from_one_format_to_the_other (void **state)
{
	(void) state;
	sh ("cp --sparse=never content old");
	make_rewrite ("old", "raw");
	rewrite.wish.format = "qcow2";
	run_well ();
	assert_same_content ();
	assert_sound ();
	assert_short ();
	sh ("qemu-img convert -f raw -O qcow2 -S 0 content old");
	make_rewrite ("old", "qcow2");
	rewrite.wish.format = "raw";
	run_well ();
	assert_int_equal (length_of ("new"), DISK_BYTES);
	assert_same_content ();
	assert_short ();
}

static void the_wish_for_other_clusters (void **state)
{
	static const unsigned sizes[] = {512, 4096, 1 << 20};

	(void) state;
	sh ("qemu-img convert -f raw -O qcow2 -S 0 content old");
	for (size_t i = 0; i < UNIT_COUNT (sizes); i++) {
		make_rewrite ("old", "qcow2");
		rewrite.wish.cluster_bytes = sizes[i];
		run_well ();
		assert_same_content ();
		assert_sound ();
		assert_short ();
		sh ("qemu-img info new | grep -qx 'cluster_size: %u'", sizes[i]);
	}
}

/* --- backing files ----------------------------------------------------------------------------- */

/* Every kind of cluster over every kind of what is below. */
static void make_clone (const char *options)
{
	sh ("cp content base; qemu-img create -q -f qcow2 -o %s -b base -F raw old; "
	    "qemu-io -f qcow2 -d unmap -c 'write -q -P 65 1M 3M' -c 'write -q -P 66 17M 2M' -c 'write -q -z -u 6M 2M' "
	    "-c 'write -q -z 14M 4M' -c 'write -q -P 67 24117249 70000' -c 'write -q -z 25M 300000' "
	    "-c 'write -q -P 69 29M 1M' -c 'write -q -P 68 42M 1M' old; "
	    "[ %d = 1 ] || qemu-io -f qcow2 -c 'write -q -c -P 70 30M 2M' -c 'write -q -c -P 71 34M 2M' old",
	    options, strstr (options, "0.10") != NULL);
}

static int remove_base (void **state)
{
	(void) state;
	(void) unlink (path_of ("base"));
	return 0;
}

static void assert_sparse_top (void)
{
	/* What the old top layer does not store, the new one does not, either: clusters touched in the middle aside. */
	sh ("for i in old new; do qemu-img map --output=json $i | grep '\"depth\": 0' | "
	    "sed 's/.*\"length\": \\([0-9]*\\).*/\\1/' | awk '{s += $1} END {print s + 0}' >$i.log; done; "
	    "[ $(cat new.log) -le $(cat old.log) ]; rm *.log");
}

static void a_backing_file_stays_below (void **state)
{
	(void) state;
	for (size_t i = 0; i < kinds_to_try (); i++) {
		(void) printf ("# %s\n", kinds[i].what);
		make_clone (kinds[i].options);
		make_rewrite ("old", "qcow2");
		run_well ();
		assert_same_content ();
		assert_same_options ();
		assert_sound ();
		assert_sparse_top ();
		sh ("qemu-img info new | grep -q '^backing file: base'");
	}
}

static void a_compressed_clone (void **state)
{
	(void) state;
	for (size_t i = 0; i < kinds_to_try (); i++) {
		(void) printf ("# %s\n", kinds[i].what);
		make_clone (kinds[i].options);
		make_rewrite ("old", "qcow2");
		rewrite.wish.compress = true;
		run_well ();
		assert_same_content ();
		assert_same_options ();
		assert_sound ();
	}
}

static void a_clone_with_other_clusters (void **state)
{
	static const unsigned sizes[] = {4096, 2 * MIB};

	(void) state;
	make_clone ("cluster_size=64k");
	for (size_t i = 0; i < UNIT_COUNT (sizes); i++) {
		make_rewrite ("old", "qcow2");
		rewrite.wish.cluster_bytes = sizes[i];
		run_well ();
		assert_same_content ();
		assert_sound ();
	}
}

/* A free range is not written into the new top layer. */
static void what_is_free_falls_through (void **state)
{
	(void) state;
	sh ("cp content base; qemu-img create -q -f qcow2 -b base -F raw old; qemu-io -f qcow2 -c 'write -q -P 65 0 "
	    "40M' old");
	make_rewrite ("old", "qcow2");
	vmc_extents_clear (&free_map);
	add_free (4 * MIB, 34 * MIB);
	run_well ();
	assert_same_content ();
	assert_true (allocated ("new") < 8 * MIB);
}

/* --- attributes -------------------------------------------------------------------------------- */

/* user::rw-, user:7:rw-, group::r--, mask::rw-, other::--- as the kernel stores it: little-endian. */
static const unsigned char acl[] = {2, 0, 0,   0,   1,   0,   6,  0, 255, 255, 255, 255, 2,   0,  6,
				    0, 7, 0,   0,   0,   4,   0,  4, 0,   255, 255, 255, 255, 16, 0,
				    6, 0, 255, 255, 255, 255, 32, 0, 0,   0,   255, 255, 255, 255};

static void owner_mode_and_attributes_stay (void **state)
{
	unsigned char got[200];
	struct stat status;

	(void) state;
	sh ("qemu-img convert -f raw -O qcow2 content old; chown 64055:109 old; chmod 2640 old");
	if (setxattr (path_of ("old"), "system.posix_acl_access", acl, sizeof acl, 0) < 0)
		(void) printf ("# this filesystem has no ACLs: not tested\n");
	assert_int_equal (setxattr (path_of ("old"), "trusted.libvirt.security.dac", "+0:+0", 5, 0), 0);
	assert_int_equal (setxattr (path_of ("old"), "user.note", "", 0, 0), 0);
	make_rewrite ("old", "qcow2");
	run_well ();
	assert_int_equal (stat (path_of ("new"), &status), 0);
	assert_int_equal (status.st_uid, 64055);
	assert_int_equal (status.st_gid, 109);
	sh ("[ $(stat -c %%a old) = $(stat -c %%a new) ]; cd /; for i in old new; do getfattr -d -m - --absolute-names "
	    "'%s'/$i | "
	    "grep -v '^# file' >'%s'/$i.log; done; cd '%s'; grep -q trusted.libvirt old.log; cmp old.log new.log; rm "
	    "*.log",
	    directory, directory, directory);
	assert_int_equal (getxattr (path_of ("new"), "trusted.libvirt.security.dac", got, sizeof got), 5);
	assert_memory_equal (got, "+0:+0", 5);
}

/* From the directory's default ACL. */
static void attributes_that_the_old_one_has_not_go (void **state)
{
	(void) state;
	sh ("rm -f old; qemu-img convert -f raw -O qcow2 content old; chmod 600 old");
	if (setxattr (directory, "system.posix_acl_default", acl, sizeof acl, 0) < 0)
		return;
	make_rewrite ("old", "qcow2");
	run_well ();
	(void) removexattr (directory, "system.posix_acl_default");
	assert_int_equal (getxattr (path_of ("new"), "system.posix_acl_access", NULL, 0), -1);
	assert_int_equal (errno, ENODATA);
	sh ("[ $(stat -c %%a new) = 600 ]");
}

/* --- what goes wrong --------------------------------------------------------------------------- */

/* A place in the list fires once in a process: take the next one each time. */
static void set_fault (const char *point, const char *action)
{
	static char list[100] = "";

	(void) snprintf (list + strlen (list), sizeof list - strlen (list), "%s", point);
	(void) setenv ("VMC_FAULT_POINT", list, 1);
	for (char *at = list + strlen (list) - strlen (point); *at != 0; at++)
		*at = '-';
	(void) snprintf (list + strlen (list), sizeof list - strlen (list), ",");
	(void) setenv ("VMC_FAULT_ACTION", action, 1);
	(void) setenv ("VMC_FAULT_LOG", path_of ("fault.log"), 1);
	(void) unlink (path_of ("fault.log"));
}

static void clear_fault (const char *point)
{
	sh ("grep -qx %s fault.log; rm fault.log", point);
	(void) unsetenv ("VMC_FAULT_POINT");
}

static int stop_everywhere (void **state)
{
	unsigned last;

	(void) state;
	sh ("qemu-img convert -f raw -O qcow2 content old");
	make_rewrite ("old", "qcow2");
	rewrite.wish.bandwidth_bytes_per_s = 16 * MIB; /* slow enough to be asked often */
	run_well ();
	last = calls;
	assert_true (last >= 5);
	for (unsigned at = 1; at < last; at += 3) {
		make_rewrite ("old", "qcow2");
		rewrite.wish.bandwidth_bytes_per_s = 16 * MIB;
		stop_at = at;
		assert_fails (VMC_CANCELLED, "stopped by the test");
	}
	return 0;
}

static void a_stop_leaves_nothing (void **state)
{
	(void) stop_everywhere (state);
}

/* The byte lies in a data cluster of the new file that is used: in the middle of the only noise at the disk's beginning. */
#define FLIP \
	"for fd in /proc/$PID/fd/*; do case $(readlink $fd) in '%s'/#*) " \
	"at=$(($(stat -Lc %%s $fd) - %d)); byte=$(dd if=$fd bs=1 skip=$at count=1 status=none | od -An -tu1); " \
	"printf \"\\\\$(printf %%o $(( (byte + 1) %% 256 )))\" | dd of=$fd bs=1 seek=$at conv=notrunc status=none; " \
	"echo flipped " \
	">>'%s'/flip.log;; esac; done"

static void a_flipped_byte_is_noticed (void **state)
{
	char action[1000];

	(void) state;
	for (int raw = 0; raw < 2; raw++) {
		sh ("qemu-img convert -f raw -O %s content old", raw ? "raw" : "qcow2");
		make_rewrite ("old", raw ? "raw" : "qcow2");
		vmc_extents_clear (&free_map);
		/* In the raw image, a byte in a hole. */
		(void) snprintf (action, sizeof action, FLIP, directory, raw ? 3 * MIB : MIB / 2, directory);
		set_fault (raw ? "settled" : "written", action);
		assert_fails (VMC_FAILED, "not the same as the old one at byte");
		clear_fault (raw ? "settled" : "written");
		sh ("grep -qx flipped flip.log; rm flip.log");
	}
}

/* Copying reads what is used, and hardly more: counted by the kernel for the qemu-nbd over the old image. */
static void only_what_is_used_is_read (void **state)
{
	char action[600];

	(void) state;
	for (int raw = 0; raw < 2; raw++) {
		size_t length, used = 0;
		unsigned char *counted;

		sh ("rm -f old; if [ %d = 1 ]; then cp --sparse=always content old; else qemu-img convert -f raw -O "
		    "qcow2 content old; fi",
		    raw);
		make_rewrite ("old", raw ? "raw" : "qcow2");
		(void) snprintf (action, sizeof action,
				 "for dir in /proc/[0-9]*; do if grep -qs '^PPid:[[:space:]]*'$PID'$' $dir/status && "
				 "grep -qsx qemu-nbd $dir/comm; then sed -n 's/^rchar: //p' $dir/io >>'%s/rchar.log'; "
				 "fi; done",
				 directory);
		set_fault ("written", action);
		run_well ();
		clear_fault ("written");
		counted = load ("rchar.log", &length);
		counted[length] = 0;
		sh ("[ $(wc -l <rchar.log) = 1 ]; rm rchar.log");
		/* The noise outside the free map: the rest of it are holes. */
		for (size_t at = 0; at < DISK_BYTES; at += 512)
			used += !is_free (at) &&
						(at < 12 * MIB || (at >= 13 * MIB && at < 16 * MIB) ||
						 (at >= 24 * MIB && at < 32 * MIB) || (at >= 40 * MIB && at < 41 * MIB))
					? 512
					: 0;
		(void) printf ("# read %lu of %zu used bytes\n", strtoul ((char *) counted, NULL, 10), used);
		assert_true (strtoul ((char *) counted, NULL, 10) > used / 2);
		assert_true (strtoul ((char *) counted, NULL, 10) < used + used / 20);
		free (counted);
	}
}

/* The tables of the old image point behind the end of its file. */
static void a_file_that_was_cut_is_refused (void **state)
{
	(void) state;
	sh ("qemu-img convert -f raw -O qcow2 content old; truncate -s -3M old");
	make_rewrite ("old", "qcow2");
	assert_fails (VMC_REFUSED, "beyond its end");
}

/* A compressed cluster that is not one is an I/O error for QEMU. */
static void an_image_that_cannot_be_read (void **state)
{
	(void) state;
	sh ("seq 1 3000000 | head -c 20M | cat - /dev/zero | head -c %d >text; qemu-img convert -c -f raw -O qcow2 "
	    "text old; rm text; "
	    "dd if=/dev/urandom of=old bs=64k seek=20 count=10 conv=notrunc status=none",
	    DISK_BYTES);
	make_rewrite ("old", "qcow2");
	vmc_extents_clear (&free_map);
	assert_fails (VMC_FAILED, "cannot read the image");
}

static void another_file_than_before (void **state)
{
	(void) state;
	sh ("qemu-img convert -f raw -O qcow2 content old");
	make_rewrite ("old", "qcow2");
	sh ("cp old old2.qcow2; mv old2.qcow2 old");
	assert_fails (VMC_FAILED, "another file than before");
	make_rewrite ("old", "qcow2");
	sh ("truncate -s +64k old");
	assert_fails (VMC_FAILED, "another length than before");
}

static void a_writer_keeps_us_out (void **state)
{
	(void) state;
	sh ("qemu-img convert -f raw -O qcow2 content old; mkfifo go.log; "
	    "(cat go.log | qemu-io -f qcow2 old >open.log 2>&1; : >gone.log) & "
	    "exec 3>go.log; echo 'read 0 512' >&3; until grep -q bytes open.log; do sleep .1; done; sleep 30 & echo $! "
	    ">holder.log");
	make_rewrite ("old", "qcow2");
	assert_fails (VMC_FAILED, "Is another process using the image");
	sh ("kill $(cat holder.log); until [ -e gone.log ]; do sleep .1; done; rm *.log");
}

/* The caller's own guard, and a guest's QEMU that has the image as its backing file. */
static void readers_and_the_guard_do_no_harm (void **state)
{
	struct vmc_guard guard = VMC_GUARD_INIT;
	struct vmc_error err;

	(void) state;
	sh ("qemu-img convert -f raw -O qcow2 -S 0 content old; qemu-img create -q -f qcow2 -b old -F qcow2 top.qcow2; "
	    "qemu-nbd -f qcow2 -k $PWD/top.log --fork --pid-file=$PWD/nbd.log top.qcow2");
	assert_int_equal (vmc_guard_lock (&guard, path_of ("old"), &err), 0);
	make_rewrite ("old", "qcow2");
	run_well ();
	vmc_guard_drop (&guard);
	sh ("pid=$(cat nbd.log); kill $pid; while kill -0 $pid 2>/dev/null; do sleep .1; done; rm -f top.qcow2 *.log");
	assert_same_content ();
}

static void a_name_that_is_taken_stays (void **state)
{
	struct vmc_error err;
	int fd = open (directory, O_TMPFILE | O_RDWR, 0600);

	(void) state;
	sh ("echo mine >new");
	assert_int_equal (vmc_rewrite_name (fd, path_of ("new"), &err), -1);
	assert_error (err, VMC_FAILED, "cannot give the new image the name");
	assert_int_equal (err.errnum, EEXIST);
	sh ("grep -qx mine new");
	(void) close (fd);
}

/* A filesystem of 24 MiB of our own. */
static void a_full_disk_leaves_nothing (void **state)
{
	struct vmc_error err;
	char small[600];

	(void) state;
	(void) snprintf (small, sizeof small, "%s", path_of ("small.log"));
	sh ("cp --sparse=never content old; truncate -s 24M fs.log; mkfs.ext4 -q -F -m 0 fs.log; mkdir small.log; "
	    "mount -o loop fs.log small.log");
	for (int raw = 0; raw < 2; raw++) {
		make_rewrite ("old", "raw");
		rewrite.wish.format = raw ? "raw" : "qcow2";
		rewrite.directory = small;
		sh ("sync -f small.log; stat -fc %%f small.log >before.log");
		assert_int_equal (vmc_rewrite_check (&rewrite, 20 * MIB, &err), -1);
		assert_error (err, VMC_REFUSED, "are free");
		vmc_extents_clear (&free_map);
		assert_int_equal (vmc_rewrite_run (&rewrite, &free_map, between, NULL, &err), -1);
		sh ("sync -f small.log; stat -fc %%f small.log >after.log; [ -z \"$(ls -A small.log | grep -vx "
		    "lost+found)\" ]; "
		    "cmp before.log after.log");
		assert_error (err, VMC_FAILED, "cannot write to the new image");
		assert_int_equal (err.errnum, ENOSPC);
	}
	sh ("umount small.log; rmdir small.log; rm *.log");
	assert_nothing_left ();
}

/* --- wishes that make no sense ----------------------------------------------------------------- */

static void wishes_that_make_no_sense (void **state)
{
	(void) state;
	sh ("rm old; truncate -s 1000 old");
	make_rewrite ("old", "raw");
	rewrite.wish.format = "qcow2";
	assert_refused ("no multiple of 512");
	make_rewrite ("old", "raw");
	rewrite.wish.cluster_bytes = 65536;
	assert_refused ("has no clusters");
	make_rewrite ("old", "raw");
	rewrite.wish.compress = true;
	assert_refused ("cannot be compressed");
	make_rewrite ("old", "raw");
	rewrite.wish.format = "vmdk";
	assert_refused ("cannot be rewritten as 'vmdk'");
	sh ("qemu-img create -q -f qcow2 -o extended_l2=on old 2T");
	make_rewrite ("old", "qcow2");
	rewrite.wish.cluster_bytes = 8192;
	assert_refused ("16 KiB or more");
	rewrite.wish.cluster_bytes = 65536 + 512;
	assert_refused ("power of two");
	rewrite.wish.cluster_bytes = 4 * MIB;
	assert_refused ("power of two");
	rewrite.wish.cluster_bytes = 256;
	assert_refused ("power of two");
	sh ("qemu-img create -q -f qcow2 old 2T");
	make_rewrite ("old", "qcow2");
	rewrite.wish.cluster_bytes = 512;
	assert_refused ("too small for a disk");
}

static void what_would_be_lost_is_refused (void **state)
{
	(void) state;
	sh ("qemu-img create -q -f qcow2 old 1G; qemu-img bitmap --add old day");
	make_rewrite ("old", "qcow2");
	assert_refused ("bitmaps");
}

static void a_raw_image_has_no_backing_file (void **state)
{
	(void) state;
	make_clone ("compat=1.1");
	make_rewrite ("old", "qcow2");
	rewrite.wish.format = "raw";
	assert_refused ("cannot have a backing file");
}

static void a_free_map_of_another_disk (void **state)
{
	(void) state;
	sh ("qemu-img convert -f raw -O qcow2 content old");
	make_rewrite ("old", "qcow2");
	add_free (100 * (uint64_t) MIB, MIB);
	assert_fails (VMC_FAILED, "not one of this disk");
}

#define BACKED(test) cmocka_unit_test_teardown (test, remove_base)

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (the_qcow2_options_stay),
	cmocka_unit_test (a_compressed_image_is_read),
	cmocka_unit_test (the_wish_to_compress),
	cmocka_unit_test (raw_keeps_its_length),
	cmocka_unit_test (from_one_format_to_the_other),
	cmocka_unit_test (the_wish_for_other_clusters),
	BACKED (a_backing_file_stays_below),
	BACKED (a_compressed_clone),
	BACKED (a_clone_with_other_clusters),
	BACKED (what_is_free_falls_through),
	cmocka_unit_test (owner_mode_and_attributes_stay),
	cmocka_unit_test (attributes_that_the_old_one_has_not_go),
	cmocka_unit_test (a_stop_leaves_nothing),
	cmocka_unit_test (a_flipped_byte_is_noticed),
	cmocka_unit_test (only_what_is_used_is_read),
	cmocka_unit_test (a_file_that_was_cut_is_refused),
	cmocka_unit_test (an_image_that_cannot_be_read),
	cmocka_unit_test (another_file_than_before),
	cmocka_unit_test (a_writer_keeps_us_out),
	cmocka_unit_test (readers_and_the_guard_do_no_harm),
	cmocka_unit_test (a_name_that_is_taken_stays),
	cmocka_unit_test (a_full_disk_leaves_nothing),
	cmocka_unit_test (wishes_that_make_no_sense),
	cmocka_unit_test (what_would_be_lost_is_refused),
	BACKED (a_raw_image_has_no_backing_file),
	cmocka_unit_test (a_free_map_of_another_disk),
};

int main (void)
{
	static const char *const programs[] = {"qemu-img", "qemu-nbd", "qemu-io", "mkfs.ext4", "getfattr"};

	for (size_t i = 0; i < UNIT_COUNT (programs); i++)
		if (unit_missing (programs[i]))
			return 0;
	if (geteuid () != 0) {
		(void) printf ("1..0 # SKIP must be run as root\n");
		return 0;
	}
	cmocka_set_message_output (CM_OUTPUT_TAP);
	cmocka_set_test_filter (getenv ("UNIT_TEST")); /* one of them alone */
	return cmocka_run_group_tests (tests, make_directory, remove_directory);
}
