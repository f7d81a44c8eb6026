/* reader.c - tests of host/reader.c and host/reader_child.c: a disk served by qemu-nbd, read in the sandbox, checked outside
 *
 * The reader runs the program that it is in as its child, so this program is its own child, too. With READER_ACTS in the
 * environment that child is one that has been taken over, and does what the variable says.
 */
#include "file_source.h"

#include <endian.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "clock.h"
#include "devices.h"
#include "ext4_map.h"
#include "memory_file.h"
#include "process.h"
#include "reader.h"
#include "reader_record.h"
#include "sandbox.h"

#define MIB (UINT64_C (1) << 20)
#define LONG_MS 30000

/* --- a disk behind NBD ---------------------------------------------------------------------------------------------------- */

struct server {
	char directory[32], socket[64];
	struct vmc_process process;
};

static int try_connect (const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void) snprintf (address.sun_path, sizeof address.sun_path, "%s", path);
	if (connect (fd, (struct sockaddr *) &address, sizeof address) == 0)
		return fd;
	(void) close (fd);
	return -1;
}

/* Returns the connection. */
static int serve (const struct file_source *disk, struct server *server)
{
	uint64_t until_ms = vmc_now_ms () + LONG_MS;
	const char *argv[] = {"qemu-nbd", "--read-only", "--persistent", "--format=raw", server->socket, NULL, NULL};
	struct vmc_error err;
	char option[80], path[64];
	int fd = -1;

	(void) snprintf (server->directory, sizeof server->directory, "/tmp/vmcompact-unit-XXXXXX");
	assert_non_null (mkdtemp (server->directory));
	(void) snprintf (server->socket, sizeof server->socket, "%s/nbd", server->directory);
	(void) snprintf (option, sizeof option, "--socket=%s", server->socket);
	(void) snprintf (path, sizeof path, "/proc/%d/fd/%d", (int) getpid (), disk->fd);
	argv[4] = option;
	argv[5] = path;
	if (vmc_process_start (&server->process, argv, -1, &err) < 0)
		fail_msg ("%s", err.text);
	while (fd < 0 && vmc_now_ms () < until_ms && !vmc_process_ended (&server->process)) {
		(void) poll (NULL, 0, 5);
		fd = try_connect (server->socket);
	}
	assert_true (fd >= 0);
	return fd;
}

static void stop_serving (struct server *server)
{
	vmc_process_end (&server->process);
	(void) unlink (server->socket);
	assert_int_equal (rmdir (server->directory), 0);
}

static int try_read (const struct file_source *disk, uint64_t wait_ms, struct vmc_reading *reading,
		     struct vmc_error *err)
{
	struct server server = {.process = VMC_PROCESS_INIT};
	int fd = serve (disk, &server), result;

	result = vmc_reader_run (fd, disk->source.size_bytes, NULL, vmc_now_ms () + wait_ms, NULL, reading, err);
	(void) close (fd);
	stop_serving (&server);
	return result;
}

static void read_disk (const struct file_source *disk, struct vmc_reading *reading)
{
	struct vmc_error err;

	if (try_read (disk, LONG_MS, reading, &err) < 0)
		fail_msg ("%s", err.text);
}

/* --- what it finds -------------------------------------------------------------------------------------------------------- */

#define UUID "01234567-89ab-cdef-0123-456789abcdef"

static void an_ext4_on_the_whole_disk_is_read (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);
	struct vmc_reading reading = {0};

	(void) state;
	file_source_run (&disk, "mkfs.ext4 -q -F -b 4096 -U " UUID " $DISK");
	read_disk (&disk, &reading);
	assert_int_equal (reading.count, 1);
	assert_int_equal (reading.places[0].offset, 0);
	assert_int_equal (reading.places[0].length, 64 * MIB);
	assert_string_equal (reading.places[0].uuid, UUID);
	assert_string_equal (reading.places[0].why_not, "");
	assert_true (reading.places[0].usable);
	assert_true (reading.places[0].alone);
	assert_true (vmc_extents_total (&reading.free) > 40 * MIB);
	assert_true (vmc_extents_valid (&reading.free, 64 * MIB));
	vmc_reading_clear (&reading);
	file_source_end (&disk);
}

/* Which may be believed without the agent, which are not usable at all. */
static void only_checksums_make_it_a_witness_alone (void **state)
{
	static const struct {
		const char *options, *then;
		bool usable, alone;
	} cases[] = {
		{"", "true", true, true},
		{"-O ^metadata_csum", "true", true, false},
		{"-O ^metadata_csum,uninit_bg", "true", true, false},
		{"-t ext2", "true", true, false},
		{"-O ^has_journal", "true", true, true},
		{"-O ^has_journal", "debugfs -w -R 'ssv state 0' $DISK", false, false},
		{"-O ^has_journal", "debugfs -w -R 'ssv state 3' $DISK", false, false},
		{"-O bigalloc", "true", true, true},
		{"", "debugfs -w -R 'feature needs_recovery' $DISK", false, false},
		/* A member of a RAID, by what lies at its end. */
		{"", "printf '\\374N+\\251\\0\\0\\0\\0Z\\0\\0\\0' | dd of=$DISK bs=1 seek=67043328 conv=notrunc", true,
		 false},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		struct file_source disk = file_source_make (64 * MIB);
		struct vmc_reading reading = {0};
		char command[200];

		(void) snprintf (command, sizeof command, "mkfs.ext4 -q -F -b 4096 %s $DISK && %s", cases[i].options,
				 cases[i].then);
		file_source_run (&disk, command);
		read_disk (&disk, &reading);
		assert_int_equal (reading.count, 1);
		if (reading.places[0].usable != cases[i].usable || reading.places[0].alone != cases[i].alone)
			fail_msg ("case %zu: %s", i, reading.places[0].why_not);
		assert_int_equal (reading.free.count > 0, cases[i].usable);
		vmc_reading_clear (&reading);
		file_source_end (&disk);
	}
}

/* Which are mounted for writing, as far as a look can tell. */
static void what_is_in_use_is_told (void **state)
{
	static const struct {
		const char *options, *then;
		bool in_use, checksums;
	} cases[] = {
		{"", "true", false, true},
		{"-O ^metadata_csum", "true", false, false},
		{"", "debugfs -w -R 'feature needs_recovery' $DISK", true, true},
		{"-O ^metadata_csum", "debugfs -w -R 'feature needs_recovery' $DISK", true, false},
		{"-O ^has_journal", "debugfs -w -R 'feature needs_recovery' $DISK", false, true},
		/* A member of a RAID, by what lies at its end. */
		{"",
		 "debugfs -w -R 'feature needs_recovery' $DISK; printf '\\374N+\\251\\0\\0\\0\\0Z\\0\\0\\0' | dd "
		 "of=$DISK "
		 "bs=1 seek=67043328 conv=notrunc",
		 false, true},
		{"", "mkfs.ext4 -q -F -t ext4 $DISK && dd if=/dev/zero of=$DISK bs=1024 seek=1 count=1 conv=notrunc",
		 false, false},
	};

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		struct file_source disk = file_source_make (64 * MIB);
		struct vmc_reading reading = {0};
		char command[300];

		(void) snprintf (command, sizeof command, "mkfs.ext4 -q -F -b 4096 -U " UUID " %s $DISK && %s",
				 cases[i].options, cases[i].then);
		file_source_run (&disk, command);
		read_disk (&disk, &reading);
		assert_int_equal (reading.count, 1);
		if (reading.places[0].in_use != cases[i].in_use || reading.places[0].checksums != cases[i].checksums)
			fail_msg ("case %zu: %s", i, reading.places[0].why_not);
		if (cases[i].in_use)
			assert_string_equal (reading.places[0].uuid, UUID);
		vmc_reading_clear (&reading);
		file_source_end (&disk);
	}
}

static void an_ext4_in_a_partition_is_read (void **state)
{
	struct file_source disk = file_source_make (64 * MIB);
	struct vmc_reading reading = {0};

	(void) state;
	file_source_run (&disk, "printf 'label: gpt\\nstart=2048,size=20480\\nstart=40960,size=65536\\n' | sfdisk "
				"--no-reread $DISK && mkfs.ext4 -q -F -b 4096 -E offset=20971520 $DISK 32M");
	read_disk (&disk, &reading);
	assert_int_equal (reading.count, 4);
	assert_false (reading.places[0].usable);
	assert_string_equal (reading.places[0].why_not, "there is no ext4");
	assert_int_equal (reading.places[2].offset, 11 * MIB);
	assert_int_equal (reading.places[2].length, 9 * MIB);
	assert_int_equal (reading.places[3].offset, 52 * MIB);
	assert_string_equal (reading.places[3].why_not, "no partition, counts as used");
	assert_true (reading.places[1].usable);
	assert_int_equal (reading.places[1].offset, 20 * MIB);
	assert_true (reading.free.count > 0 && reading.free.items[0].start > 20 * MIB);
	assert_true (vmc_extents_valid (&reading.free, 52 * MIB));
	vmc_reading_clear (&reading);
	file_source_end (&disk);
}

/* A RAID (its superblock at 4 KiB), and swap, made of a disk whose table of partitions nobody has wiped, nor the filesystem there. */
static void partitions_that_something_was_made_over_are_not_believed (void **state)
{
	static const char *const over[] = {
		"printf '\\374\\116\\053\\251\\001' | dd of=$DISK bs=1 seek=4096 conv=notrunc status=none && "
		"printf '\\010' | dd of=$DISK bs=1 seek=4240 conv=notrunc status=none",
		"mkswap -q $DISK",
	};

	(void) state;
	for (size_t i = 0; i <= UNIT_COUNT (over); i++) {
		struct file_source disk = file_source_make (64 * MIB);
		struct vmc_reading reading = {0};

		file_source_run (&disk, "printf 'label: dos\\nstart=2048,size=65536\\n' | sfdisk --no-reread $DISK && "
					"mkfs.ext4 -q -F -b 4096 -E offset=1048576 $DISK 32M");
		if (i > 0)
			file_source_run (&disk, over[i - 1]);
		read_disk (&disk, &reading);
		assert_int_equal (reading.places[0].offset, MIB);
		assert_string_equal (reading.places[0].type, "ext4");
		assert_int_equal (reading.places[0].usable, i == 0);
		assert_int_equal (reading.places[0].alone, i == 0);
		if (i > 0)
			assert_contains (reading.places[0].why_not, "as a whole it is something else");
		vmc_reading_clear (&reading);
		file_source_end (&disk);
	}
}

/* The disks that people have: each kind of filesystem in a partition, the third of them a logical one. */
static void each_place_is_named (void **state)
{
	static const struct {
		const char *make, *said;
	} cases[] = {
		{"mkswap", "swap: not understood, counts as used"},
		{"mkfs.xfs -q -f", "xfs: not understood, counts as used"},
		{"mkfs.minix", "minix: not understood, counts as used"},
		{"mkfs.bfs", "bfs: not understood, counts as used"},
		{"mkfs.btrfs -q -f", "btrfs: not understood, counts as used"},
		{"mkfs.vfat -F 32", "vfat: not understood, counts as used"},
		{"mkfs.ntfs -q -F", "ntfs: not understood, counts as used"},
		{"cryptsetup -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /bin/true "
		 "luksFormat",
		 "crypto_LUKS: not understood, counts as used"},
		{"mkfs.exfat", "exfat: not understood, counts as used"},
		{"true", "there is no ext4"},
	};
	unsigned made = 0;

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		struct file_source disk = file_source_make (700 * MIB);
		struct vmc_reading reading = {0};
		char command[400];

		(void) snprintf (command, sizeof command, "command -v %.*s >/dev/null 2>&1",
				 (int) strcspn (cases[i].make, " "), cases[i].make);
		if (system (command) != 0)
			continue;
		made++;
		(void) snprintf (command, sizeof command,
				 "set -e; part=$(mktemp); trap 'rm -f $part' EXIT; truncate -s 400M $part; %s $part; "
				 "printf 'label: "
				 "dos\\nstart=2048,size=20480\\nstart=40960,type=5\\nstart=43008,size=819200"
				 "\\n' | sfdisk --no-reread $DISK; "
				 "dd if=$part of=$DISK bs=1M seek=21 conv=notrunc,sparse",
				 cases[i].make);
		file_source_run (&disk, command);
		read_disk (&disk, &reading);
		assert_true (reading.count >= 2);
		assert_int_equal (reading.places[1].offset, 21 * MIB);
		assert_string_equal (reading.places[1].why_not, cases[i].said);
		assert_false (reading.places[1].usable);
		assert_int_equal (reading.free.count, 0);
		vmc_reading_clear (&reading);
		file_source_end (&disk);
	}
	assert_true (made >= 2);
	(void) printf ("# %u kinds of %zu could be made here\n", made, UNIT_COUNT (cases));
}

/* --- what the guest says ---------------------------------------------------------------------------------------------------- */

#define CHUNK 4096

/* An ext4 of 64 MiB in stripes over two partitions of 40 MiB, from their second MiB on. INNER: the ext4 by itself. */
static void make_striped (struct file_source *inner, struct file_source *disk, const char *options)
{
	static const uint64_t legs[] = {2 * MIB, 43 * MIB};
	char bytes[CHUNK], command[200];

	*inner = file_source_make (64 * MIB);
	*disk = file_source_make (100 * MIB);
	(void) snprintf (command, sizeof command, "mkfs.ext4 -q -F -b 4096 -U " UUID " %s $DISK", options);
	file_source_run (inner, command);
	file_source_run (disk, "printf 'label: dos\\nstart=2048,size=81920\\nstart=86016,size=81920\\n' | sfdisk "
			       "--no-reread $DISK");
	for (uint64_t chunk = 0; chunk < 64 * MIB / CHUNK; chunk++) {
		file_source_get (inner, chunk * CHUNK, bytes, CHUNK);
		file_source_put (disk, legs[chunk % 2] + chunk / 2 * CHUNK, bytes, CHUNK);
	}
}

static void make_claims (struct vmc_claims *claims, struct vmc_claim *claim)
{
	struct vmc_device *stripes;

	add_device ("a", VMC_KIND_DISK, 100 * MIB);
	add_part ("a1", VMC_KIND_PARTITION, 40 * MIB, "a", MIB);
	add_part ("a2", VMC_KIND_PARTITION, 40 * MIB, "a", 42 * MIB);
	stripes = add_device ("lv", "LVM", 64 * MIB);
	lies_on (stripes, "a1");
	lies_on (stripes, "a2");
	add_target (stripes, 0, 64 * MIB, CHUNK);
	add_leg (stripes, "a1", MIB);
	add_leg (stripes, "a2", MIB);
	*claim = (struct vmc_claim) {"lv", "ext4", "lv"};
	*claims = (struct vmc_claims) {"a", {claim, 1}, list};
}

static int read_claimed (const struct file_source *disk, const struct vmc_claims *claims, struct vmc_reading *reading,
			 struct vmc_error *err)
{
	struct server server = {.process = VMC_PROCESS_INIT};
	int fd = serve (disk, &server), result;

	result = vmc_reader_run (fd, disk->source.size_bytes, claims, vmc_now_ms () + LONG_MS, NULL, reading, err);
	(void) close (fd);
	stop_serving (&server);
	return result;
}

/* What is free in the ext4 by itself, moved to where it lies on the disk. */
static void get_truth (struct file_source *inner, struct vmc_extents *truth)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents inside = {0};
	struct vmc_ext4_geometry geometry;
	struct vmc_error err;

	assert_int_equal (vmc_ext4_map (&inner->source, 0, 64 * MIB, &geometry, &inside, &err), 0);
	for (size_t i = 0; i < inside.count; i++)
		for (uint64_t at = inside.items[i].start; at < inside.items[i].start + inside.items[i].length;
		     at += 4096) {
			uint64_t chunk = at / CHUNK, leg = chunk % 2 ? 43 * MIB : 2 * MIB;

			assert_int_equal (vmc_extents_add (truth, leg + chunk / 2 * CHUNK + at % CHUNK, 4096, &err), 0);
		}
	vmc_extents_normalise (truth);
}

static void read_striped (const struct file_source *disk, struct vmc_reading *reading)
{
	struct vmc_claims claims;
	struct vmc_claim claim;
	struct vmc_error err;

	make_claims (&claims, &claim);
	if (read_claimed (disk, &claims, reading, &err) < 0)
		fail_msg ("%s", err.text);
}

static void an_ext4_in_stripes_is_read_where_the_guest_says (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents truth = {0};
	struct vmc_reading reading = {0};
	struct file_source inner, disk;

	(void) state;
	make_striped (&inner, &disk, "");
	read_striped (&disk, &reading);
	assert_int_equal (reading.view_count, 1);
	assert_string_equal (reading.views[0].filesystem, "lv");
	assert_string_equal (reading.views[0].why_not, "");
	assert_true (reading.views[0].usable);
	assert_true (reading.views[0].checksums);
	get_truth (&inner, &truth);
	assert_true (vmc_extents_total (&truth) > 40 * MIB);
	assert_int_equal (reading.views[0].free.count, truth.count);
	assert_memory_equal (reading.views[0].free.items, truth.items, truth.count * sizeof truth.items[0]);
	/* Of the places only what lies there is told. */
	assert_int_equal (reading.free.count, 0);
	assert_false (reading.places[0].usable);
	vmc_reading_clear (&reading);
	vmc_stack_clear (&list);
	file_source_end (&inner);
	file_source_end (&disk);
}

static void a_filesystem_without_checksums_is_told_as_such (void **state)
{
	struct vmc_reading reading = {0};
	struct file_source inner, disk;

	(void) state;
	make_striped (&inner, &disk, "-O ^metadata_csum");
	read_striped (&disk, &reading);
	assert_true (reading.views[0].usable);
	assert_false (reading.views[0].checksums);
	vmc_reading_clear (&reading);
	vmc_stack_clear (&list);
	file_source_end (&inner);
	file_source_end (&disk);
}

/* A table that is wrong by a chunk, or in which the legs have changed places: what is read then is no ext4 that holds. */
static void wrong_tables_are_noticed (void **state)
{
	struct file_source inner, disk;

	(void) state;
	make_striped (&inner, &disk, "");
	for (int fault = 0; fault < 5; fault++) {
		struct vmc_reading reading = {0};
		struct vmc_claims claims;
		struct vmc_target *target;
		struct vmc_leg *legs;
		struct vmc_claim claim;
		struct vmc_error err;

		make_claims (&claims, &claim);
		target = get ("lv")->targets.items;
		legs = target->legs.items;
		if (fault == 0)
			legs[1].offset += CHUNK;
		else if (fault == 1)
			target->chunk_bytes = 2 * CHUNK;
		else if (fault == 2)
			legs[1] = legs[0];
		else if (fault == 3)
			get ("lv")->encrypted = true;
		else
			get ("a")->bytes -= 512;
		if (read_claimed (&disk, &claims, &reading, &err) < 0)
			fail_msg ("%s", err.text);
		if (reading.views[0].usable || reading.views[0].free.count > 0 || reading.views[0].why_not[0] == 0)
			fail_msg ("fault %d was not noticed", fault);
		vmc_reading_clear (&reading);
		vmc_stack_clear (&list);
	}
	file_source_end (&inner);
	file_source_end (&disk);
}

static void claims_that_cannot_be_followed_are_void (void **state)
{
	struct file_source disk = file_source_make (100 * MIB);
	struct vmc_reading reading = {0};
	struct vmc_claims claims;
	struct vmc_claim claim;
	struct vmc_error err;

	(void) state;
	make_claims (&claims, &claim);
	strcpy (((struct vmc_leg *) ((struct vmc_target *) get ("lv")->targets.items)->legs.items)->device, "lv");
	assert_int_equal (read_claimed (&disk, &claims, &reading, &err), -1);
	assert_error (err, VMC_REFUSED, "names what it does not lie on");
	vmc_reading_clear (&reading);
	vmc_stack_clear (&list);
	file_source_end (&disk);
}

/* --- a child that was taken over -------------------------------------------------------------------------------------------- */

static void send_record (struct vmc_record record, const struct vmc_extent *ranges)
{
	if (write (1, &record, sizeof record) != sizeof record ||
	    write (1, ranges, record.ranges * sizeof *ranges) != (ssize_t) (record.ranges * sizeof *ranges))
		_exit (1);
}

static const struct vmc_record good = {.kind = VMC_RECORD_PLACE,
				       .usable = 1,
				       .offset = 10 * MIB,
				       .length = 20 * MIB,
				       .ranges = 1};
static const struct vmc_extent good_range = {10 * MIB, MIB};

static void lie (const char *how)
{
	struct vmc_record record = good;
	struct vmc_extent ranges[2] = {good_range, {12 * MIB, MIB}};

	if (strcmp (how, "before its place") == 0)
		ranges[0].start--;
	else if (strcmp (how, "behind its place") == 0)
		ranges[0].length = 20 * MIB + 1;
	else if (strcmp (how, "without end") == 0)
		ranges[0].length = UINT64_MAX;
	else if (strcmp (how, "empty") == 0)
		ranges[0].length = 0;
	else if (strcmp (how, "behind the disk") == 0)
		record.length = 60 * MIB;
	else if (strcmp (how, "too many") == 0)
		record.ranges = VMC_MAP_MAX_RANGES + 1;
	else if (strcmp (how, "not usable") == 0)
		record.usable = 0;
	else if (strcmp (how, "alone, not usable") == 0)
		record = (struct vmc_record) {.kind = VMC_RECORD_PLACE,
					      .alone = 1,
					      .offset = good.offset,
					      .length = good.length};
	else if (strcmp (how, "in use, but usable") == 0)
		record.in_use = 1;
	else if (strcmp (how, "of no kind") == 0)
		record.kind = 7;
	else if (strcmp (how, "without zero") == 0)
		memset (record.text, 'x', sizeof record.text);
	else if (strcmp (how, "twice") == 0)
		send_record (record, ranges);
	else if (strcmp (how, "overlapping") == 0)
		ranges[1].start = 11 * MIB - 1;
	if (record.ranges > 2) {
		if (write (1, &record, sizeof record) != sizeof record)
			_exit (1);
	} else {
		record.ranges = strcmp (how, "overlapping") == 0 ? 2 : record.ranges;
		send_record (record, ranges);
	}
	send_record ((struct vmc_record) {.kind = VMC_RECORD_END}, NULL);
	_exit (0);
}

/* What the environment asks for. */
static void act (const char *how)
{
	struct vmc_error err;

	if (strncmp (how, "lie ", 4) == 0)
		lie (how + 4);
	if (strcmp (how, "hang") == 0)
		(void) pause ();
	if (strcmp (how, "die") == 0)
		_exit (9);
	if (vmc_sandbox_drop (&err) < 0 || vmc_sandbox_close (vmc_memory_file_make (&err), &err) < 0)
		_exit (8);
	(void) open ("/etc/shadow", O_RDONLY);
	_exit (0);
}

static int read_by_one_who (const char *acts, uint64_t wait_ms, struct vmc_error *err)
{
	struct file_source disk = file_source_make (64 * MIB);
	struct vmc_reading reading = {0};
	int result;

	assert_int_equal (setenv ("READER_ACTS", acts, 1), 0);
	result = try_read (&disk, wait_ms, &reading, err);
	assert_int_equal (unsetenv ("READER_ACTS"), 0);
	vmc_reading_clear (&reading);
	file_source_end (&disk);
	return result;
}

static void one_that_breaks_out_is_killed_and_told (void **state)
{
	struct vmc_error err;

	(void) state;
	assert_int_equal (read_by_one_who ("break out", LONG_MS, &err), -1);
	assert_error (err, VMC_FAILED, "'the reader' was killed by its sandbox");
}

static void one_that_dies_is_told (void **state)
{
	struct vmc_error err;

	(void) state;
	assert_int_equal (read_by_one_who ("die", LONG_MS, &err), -1);
	assert_error (err, VMC_FAILED, "'the reader' failed");
}

static void one_that_hangs_is_not_waited_for (void **state)
{
	struct vmc_error err;

	(void) state;
	assert_int_equal (read_by_one_who ("hang", 300, &err), -1);
	assert_error (err, VMC_TIMEOUT, "has not finished in time");
}

static void lies_are_void (void **state)
{
	static const char *const lies[] = {"before its place",   "behind its place",
					   "without end",        "empty",
					   "behind the disk",    "too many",
					   "not usable",         "alone, not usable",
					   "in use, but usable", "of no kind",
					   "without zero",       "twice",
					   "overlapping"};
	struct vmc_error err;

	(void) state;
	assert_int_equal (read_by_one_who ("lie not at all", LONG_MS, &err), 0);
	for (size_t i = 0; i < UNIT_COUNT (lies); i++) {
		char acts[64];

		(void) snprintf (acts, sizeof acts, "lie %s", lies[i]);
		if (read_by_one_who (acts, LONG_MS, &err) == 0)
			fail_msg ("'%s' was believed", lies[i]);
		assert_error (err, VMC_PROTOCOL, "the reader ");
	}
}

/* --- how much it takes ------------------------------------------------------------------------------------------------------- */

/* In a process of its own, whose only child is the reader: the most that it had resident, in KiB; the time in ms. */
static void measure (int fd, uint64_t disk_bytes, long *result)
{
	uint64_t start_ms = vmc_now_ms ();
	struct vmc_reading reading = {0};
	struct rusage usage;
	struct vmc_error err;

	if (vmc_reader_run (fd, disk_bytes, NULL, start_ms + LONG_MS, NULL, &reading, &err) < 0 ||
	    !reading.places[0].usable || getrusage (RUSAGE_CHILDREN, &usage) < 0) {
		(void) printf ("# %s\n", reading.count == 1 ? reading.places[0].why_not : err.text);
		(void) fflush (stdout);
		_exit (1);
	}
	result[0] = usage.ru_maxrss;
	result[1] = (long) (vmc_now_ms () - start_ms);
	_exit (0);
}

/* Every other block of the groups that nothing was written to is made used: 4 ranges for each byte of the bitmaps. Blocks are
 * of 1 KiB, groups have 8192 of them, and there are no checksums. */
static void shatter (const struct file_source *disk)
{
	unsigned char bitmap[1024], descriptor[32];
	uint32_t lost = 0, free_blocks;

	for (uint64_t group = 0; group < disk->source.size_bytes / (8 * MIB); group++) {
		uint32_t block;
		uint16_t left;

		file_source_get (disk, 2048 + group * sizeof descriptor, descriptor, sizeof descriptor);
		memcpy (&block, descriptor, 4);
		memcpy (&left, descriptor + 12, 2);
		file_source_get (disk, (uint64_t) le32toh (block) * 1024, bitmap, sizeof bitmap);
		left = le16toh (left);
		for (size_t i = 0; i < sizeof bitmap; i++)
			if (bitmap[i] == 0) {
				bitmap[i] = 0xAA;
				left = (uint16_t) (left - 4);
				lost += 4;
			}
		left = htole16 (left);
		memcpy (descriptor + 12, &left, 2);
		file_source_put (disk, (uint64_t) le32toh (block) * 1024, bitmap, sizeof bitmap);
		file_source_put (disk, 2048 + group * sizeof descriptor, descriptor, sizeof descriptor);
	}
	file_source_get (disk, 1024 + 12, &free_blocks, 4);
	free_blocks = htole32 (le32toh (free_blocks) - lost);
	file_source_put (disk, 1024 + 12, &free_blocks, 4);
}

static void of_too_many_ranges_the_rest_counts_as_used (void **state)
{
	struct file_source disk = file_source_make (UINT64_C (3) << 30);
	struct vmc_reading reading = {0};

	(void) state;
	file_source_run (&disk, "mkfs.ext4 -q -F -b 1024 -O ^metadata_csum,^uninit_bg,^64bit $DISK");
	shatter (&disk);
	read_disk (&disk, &reading);
	assert_string_equal (reading.places[0].why_not, "");
	assert_int_equal (reading.free.count, VMC_MAP_MAX_RANGES);
	vmc_reading_clear (&reading);
	file_source_end (&disk);
}

static void measure_disk (const char *make)
{
	struct file_source disk = file_source_make (UINT64_C (1) << 40);
	struct server server = {.process = VMC_PROCESS_INIT};
	long *result = mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd, status;
	pid_t child;

	file_source_run (&disk, make);
	fd = serve (&disk, &server);
	(void) fflush (NULL);
	child = fork ();
	if (child == 0)
		measure (fd, disk.source.size_bytes, result);
	assert_int_equal (waitpid (child, &status, 0), child);
	(void) close (fd);
	stop_serving (&server);
	file_source_end (&disk);
	assert_int_equal (status, 0);
	(void) printf ("# 1 TiB: %ld KiB resident, %ld ms\n", result[0], result[1]);
#ifndef __SANITIZE_ADDRESS__
	assert_true (result[0] < 64 * 1024);
	assert_true (result[1] < 2000);
#endif
	(void) munmap (result, 4096);
}

static void a_large_disk_takes_little (void **state)
{
	(void) state;
	measure_disk ("mkfs.ext4 -q -F -E nodiscard $DISK");
}

/* Each of its 8192 bitmaps was written and is read. */
static void a_large_disk_that_was_used_takes_little (void **state)
{
	(void) state;
	measure_disk ("mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=1 -O ^metadata_csum,^uninit_bg -N 1000000 $DISK");
}

/* Of all places together no more ranges are kept than of one; the rest counts as used. */
static void ranges_are_bounded_for_all_places_together (void **state)
{
	static struct vmc_extent ranges[VMC_MAP_MAX_RANGES - 10];
	int fd = memfd_create ("pipe", MFD_CLOEXEC);
	struct vmc_record record = {.kind = VMC_RECORD_PLACE, .usable = 1, .length = 1024 * MIB},
			  end = {.kind = VMC_RECORD_END};
	struct vmc_reading reading = {0};
	struct vmc_error err;

	(void) state;
	record.ranges = UNIT_COUNT (ranges);
	for (size_t place = 0; place < 2; place++) {
		record.offset = place * 1024 * MIB;
		for (size_t i = 0; i < UNIT_COUNT (ranges); i++)
			ranges[i] = (struct vmc_extent) {record.offset + i * 1024, 512};
		assert_int_equal (write (fd, &record, sizeof record), sizeof record);
		assert_int_equal (write (fd, ranges, sizeof ranges), sizeof ranges);
	}
	assert_int_equal (write (fd, &end, sizeof end), sizeof end);
	assert_int_equal (lseek (fd, 0, SEEK_SET), 0);
	if (vmc_reader_take (fd, 2048 * MIB, vmc_now_ms () + LONG_MS, &reading, &err) < 0)
		fail_msg ("%s", err.text);
	assert_int_equal (reading.count, 2);
	assert_int_equal (reading.free.count, VMC_MAP_MAX_RANGES);
	assert_true (vmc_extents_valid (&reading.free, 2048 * MIB));
	vmc_reading_clear (&reading);
	(void) close (fd);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (an_ext4_on_the_whole_disk_is_read),
	cmocka_unit_test (only_checksums_make_it_a_witness_alone),
	cmocka_unit_test (what_is_in_use_is_told),
	cmocka_unit_test (an_ext4_in_a_partition_is_read),
	cmocka_unit_test (partitions_that_something_was_made_over_are_not_believed),
	cmocka_unit_test (each_place_is_named),
	cmocka_unit_test (an_ext4_in_stripes_is_read_where_the_guest_says),
	cmocka_unit_test (a_filesystem_without_checksums_is_told_as_such),
	cmocka_unit_test (wrong_tables_are_noticed),
	cmocka_unit_test (claims_that_cannot_be_followed_are_void),
	cmocka_unit_test (one_that_breaks_out_is_killed_and_told),
	cmocka_unit_test (one_that_dies_is_told),
	cmocka_unit_test (one_that_hangs_is_not_waited_for),
	cmocka_unit_test (lies_are_void),
	cmocka_unit_test (of_too_many_ranges_the_rest_counts_as_used),
	cmocka_unit_test (ranges_are_bounded_for_all_places_together),
	cmocka_unit_test (a_large_disk_takes_little),
	cmocka_unit_test (a_large_disk_that_was_used_takes_little),
};

int main (int argc, char **argv)
{
	if (argc >= 2 && strcmp (argv[1], VMC_READER_OPTION) == 0) {
		if (getenv ("READER_ACTS") != NULL)
			act (getenv ("READER_ACTS"));
		_exit (vmc_reader_main (argc > 2));
	}
	return unit_missing ("mkfs.ext4") || unit_missing ("sfdisk") || unit_missing ("qemu-nbd") ? 0
												  : UNIT_RUN (tests);
}
