/* freeze.c - see freeze.h
 *
 * A freeze that does not end is the worst that can happen to a guest, so four parties end it, each without the others:
 *
 *   the keeper   the worker that froze; it thaws when asked, at the deadline, and when the agent dies (end of file);
 *   the agent    when the keeper dies, on hang-up and on SIGTERM;
 *   the next agent, at its start, by the note in /run that was written before the first FIFREEZE; as long as a keeper lives that has
 *                it locked, for a FIFREEZE of that may still be at work, or something of it cannot be opened, again and again;
 *   anybody with CAP_SYS_ADMIN, whose FITHAW we notice: ours then fails with EINVAL and "held" is false.
 *
 * A filesystem that somebody else has frozen answers FIFREEZE with EBUSY: then the whole freeze fails, and what was
 * frozen by us, and only that, is thawed.
 *
 * FIFREEZE does not keep everybody from writing. A loop device with direct I/O allocates blocks of its file in a frozen ext4, which only
 * warns (seen with Linux 6.1: ext4_journal_check_start, called from the loop device's own worker); and who thaws and freezes again
 * meanwhile is not noticed. What was allocated like that is known to the kernel, but not yet
 * on the disk. So nothing is called free that is not still free in a second map, from after the thaw.
 *
 * Everything slow is done before: what the host proves by itself is mapped, of the rest the bitmaps are read, and the
 * filesystems are synced while they still run; the journal of an ext4 is emptied, so that FIFREEZE has little left to
 * write. What it then waits for most is RCU, once for each of three kinds of writers (freeze_super in fs/super.c,
 * percpu_down_write, rcu_sync_enter): some 12 ms each at 250 Hz, under 1 ms each if it is expedited. That is a setting of
 * the whole kernel, so it is made only while FIFREEZE is at work, and a kernel that is told never to expedite (rcu_normal,
 * as real-time kernels are) does not. While the filesystems are frozen nothing is written, not even to a log: the log may
 * lie on one of them.
 */
#include "freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checksums.h"
#include "clock.h"
#include "devices.h"
#include "filesystems.h"
#include "fsmap.h"
#include "rcu.h"
#include "snapshots.h"

#define KEEPER_PATIENCE_MS 500
#define EXT4_CHECKPOINT _IOW ('f', 43, uint32_t) /* EXT4_IOC_CHECKPOINT, Linux 5.14 */
#define HURRY_NOTE "rcu_expedited"
#define CROSSED_OUT "-" /* so begins a line of the note that is not to be looked at any more */

static const char *note_path = "/run/vmcompact-agent.frozen";

void vmc_freeze_set_note (const char *path)
{
	note_path = path;
}

/* --- preparing -------------------------------------------------------------------------------- */

static int take_facts (struct vmc_freeze *freeze, const struct vmc_mount *mount, struct vmc_filesystem *facts,
		       struct vmc_error *err)
{
	if (vmc_filesystem_describe (mount, false, &freeze->devices, facts, err) < 0)
		return -1;
	if (facts->why_not_map[0] != 0)
		return vmc_fail (err, VMC_UNSUPPORTED, 0, "%s", facts->why_not_map);
	if (!vmc_stack_uses (&freeze->devices, ((struct vmc_name *) facts->devices.items)[0].name, freeze->disk))
		return vmc_fail (err, VMC_USAGE, EINVAL, "it does not lie on the disk '%s'", freeze->disk);
	return 0;
}

static int add_target (struct vmc_freeze *freeze, const struct vmc_mount *mount, struct vmc_error *err)
{
	struct vmc_freeze_target *target = &freeze->targets[freeze->count];
	struct vmc_filesystem facts;
	int result = take_facts (freeze, mount, &facts, err);

	if (result == 0) {
		*target = (struct vmc_freeze_target) {.device = mount->device,
						      .depth = mount->depth,
						      .covered = vmc_checksums_cover (mount->device, mount->type)};
		memcpy (target->on, ((struct vmc_name *) facts.devices.items)[0].name, sizeof target->on);
		memcpy (target->name, facts.filesystem, sizeof target->name);
		memcpy (target->mount_point, facts.mount_point, sizeof target->mount_point);
		target->fd = result = vmc_mount_open (mount, err);
	}
	vmc_filesystem_clear (&facts);
	if (result < 0)
		return -1;
	freeze->count++;
	return 0;
}

static int deepest_first (const void *a, const void *b)
{
	return ((const struct vmc_freeze_target *) b)->depth - ((const struct vmc_freeze_target *) a)->depth;
}

static struct vmc_freeze_target *find_target (const struct vmc_freeze *freeze, const char *name)
{
	for (size_t i = 0; i < freeze->count; i++)
		if (strcmp (freeze->targets[i].name, name) == 0)
			return &freeze->targets[i];
	return NULL;
}

/* Is each of SOME among ALL, just as it is there? Both are of struct vmc_device. */
static bool same_places (const struct vmc_list *some, const struct vmc_list *all)
{
	for (size_t i = 0; i < some->count; i++) {
		const struct vmc_device *one = (const struct vmc_device *) some->items + i;
		const struct vmc_device *other = vmc_stack_find (all, one->device);

		if (other == NULL || !vmc_stack_same_device (one, other))
			return false;
	}
	return true;
}

/* Without checksums, the host proves nothing by itself, and needs the map of the frozen filesystem. So it does if it would look at other
 * places than ours: the map of a frozen filesystem is true on the disk whatever the host believes of it. */
static int mark_early (const struct vmc_list *early, const struct vmc_list *told, const struct vmc_freeze *freeze,
		       struct vmc_error *err)
{
	const struct vmc_name *names = early->items;
	bool known = same_places (&freeze->devices, told);

	for (size_t i = 0; i < early->count; i++) {
		struct vmc_freeze_target *target = find_target (freeze, names[i].name);

		if (target == NULL)
			return vmc_fail (err, VMC_USAGE, ENOENT, "filesystem '%s' is early, but not to be frozen",
					 names[i].name);
		target->early = known && target->covered;
	}
	return 0;
}

static int add_targets (const struct vmc_freeze_params *params, const struct vmc_list *told, struct vmc_freeze *freeze,
			struct vmc_error *err)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};
	const struct vmc_name *names = params->filesystems.items;

	memcpy (freeze->disk, params->disk, sizeof freeze->disk);
	if (vmc_mounts_read (&mounts, err) < 0)
		return -1;
	for (size_t i = 0; i < params->filesystems.count; i++) {
		const struct vmc_mount *mount = vmc_filesystems_find (&mounts, names[i].name);

		if (mount == NULL || find_target (freeze, names[i].name) != NULL)
			return vmc_fail (err, VMC_USAGE, ENOENT, "filesystem '%s' is %s", names[i].name,
					 mount ? "named twice" : "not mounted");
		if (add_target (freeze, mount, err) < 0)
			return vmc_fail_in (err, "filesystem '%s'", names[i].name);
	}
	qsort (freeze->targets, freeze->count, sizeof *freeze->targets, deepest_first);
	return mark_early (&params->early, told, freeze, err);
}

/* A token is a random name; nobody who has not seen our answer can know it. */
static int make_token (char *token, struct vmc_error *err)
{
	unsigned char bytes[16];

	if (getrandom (bytes, sizeof bytes, 0) != sizeof bytes)
		return vmc_fail (err, VMC_FAILED, errno, "no random bytes");
	for (size_t i = 0; i < sizeof bytes; i++)
		(void) snprintf (token + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

int vmc_freeze_prepare (const struct vmc_freeze_params *params, const struct vmc_list *told, struct vmc_freeze *freeze,
			struct vmc_error *err)
{
	*freeze = (struct vmc_freeze) {.deadline_ms = params->deadline_ms, .complete = true};
	if (params->filesystems.count == 0)
		return vmc_fail (err, VMC_USAGE, EINVAL, "no filesystem to freeze is named");
	if (params->deadline_ms == 0 || params->deadline_ms > VMC_FREEZE_MAX_MS)
		return vmc_fail (err, VMC_USAGE, EINVAL, "the deadline is not between 1 and %d ms", VMC_FREEZE_MAX_MS);
	freeze->targets = calloc (params->filesystems.count, sizeof *freeze->targets);
	freeze->progress =
		mmap (NULL, sizeof *freeze->progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (freeze->targets == NULL || freeze->progress == MAP_FAILED) {
		free (freeze->targets);
		if (freeze->progress != MAP_FAILED)
			(void) munmap (freeze->progress, sizeof *freeze->progress);
		*freeze = (struct vmc_freeze) {0};
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the freeze");
	}
	if (add_targets (params, told, freeze, err) < 0 || make_token (freeze->token, err) < 0) {
		vmc_freeze_clear (freeze);
		return -1;
	}
	return 0;
}

void vmc_freeze_close (struct vmc_freeze *freeze)
{
	for (size_t i = 0; i < freeze->count; i++)
		if (freeze->targets[i].fd >= 0)
			(void) close (freeze->targets[i].fd);
	free (freeze->targets);
	if (freeze->progress != NULL)
		(void) munmap (freeze->progress, sizeof *freeze->progress);
	freeze->targets = NULL;
	freeze->progress = NULL;
	freeze->count = 0;
}

void vmc_freeze_clear (struct vmc_freeze *freeze)
{
	vmc_freeze_close (freeze);
	vmc_stack_clear (&freeze->devices);
	vmc_extents_clear (&freeze->map);
	vmc_extents_clear (&freeze->map_again);
	*freeze = (struct vmc_freeze) {0};
}

/* --- the note --------------------------------------------------------------------------------- */

/* The note, locked until this process dies. */
static int open_note (int *note_fd, struct vmc_error *err)
{
	struct stat status;
	int fd = open (note_path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot write '%s'", note_path);
	/* One that is gone by now was that of somebody who has just come to his end. */
	if (flock (fd, LOCK_EX | LOCK_NB) < 0 || fstat (fd, &status) < 0 || status.st_nlink == 0 ||
	    ftruncate (fd, 0) < 0) {
		(void) close (fd);
		return vmc_fail (err, VMC_BUSY, EBUSY, "an earlier freeze has not come to its end");
	}
	*note_fd = fd;
	return 0;
}

/* Names the filesystems that are frozen and the one that is about to be, and no others: a freeze that somebody else
 * made must not be thawed by it. And what RCU must be told again. It only grows, and is written over itself: a full /run, or a kill,
 * takes none of its names. */
static int write_note (int note_fd, const struct vmc_freeze *freeze, struct vmc_error *err)
{
	bool written = lseek (note_fd, 0, SEEK_SET) == 0;

	for (size_t i = 0; i < freeze->progress->attempted && written; i++)
		written = dprintf (note_fd, "%s\n", freeze->targets[i].name) > 0;
	if (freeze->progress->hurries && written)
		written = dprintf (note_fd, HURRY_NOTE "\n") > 0;
	return written ? 0 : vmc_fail (err, VMC_FAILED, errno, "cannot write '%s'", note_path);
}

static void remove_note (void)
{
	(void) unlink (note_path);
}

/* True when it is not frozen by us any more. One that is not mounted may be: what is unmounted while it is frozen stays so, and whoever
 * mounts it again finds it like that. */
static bool thaw_by_name (const char *name)
{
	struct vmc_error ignored;
	int fd = -1, found = vmc_mounts_open_any (name, &fd, &ignored);
	bool thawed;

	if (found <= 0)
		return found == 0 && !vmc_filesystem_lives (name);
	thawed = ioctl (fd, FITHAW, 0) == 0 || errno == EINVAL; /* EINVAL: it is not frozen, which is what we want */
	(void) close (fd);
	return thawed;
}

/* While another name is still to be thawed, somebody else may freeze this one. One byte, which needs no room. */
static void cross_out (long position)
{
	int fd = open (note_path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	if (pwrite (fd, CROSSED_OUT, 1, position) < 0) {
		/* Then it is thawed once more. */
	}
	(void) close (fd);
}

/* True when the line NAME says nothing any more. */
static bool settle (const char *name)
{
	if (strcmp (name, HURRY_NOTE) == 0)
		vmc_rcu_hurry (false);
	else
		return name[0] == CROSSED_OUT[0] || thaw_by_name (name);
	return true;
}

int vmc_freeze_recover (struct vmc_error *err)
{
	char name[VMC_NAME_SIZE];
	FILE *note = fopen (note_path, "re");
	bool alone, settled = true;

	if (note == NULL)
		return errno == ENOENT ? 0 : vmc_fail (err, VMC_FAILED, errno, "cannot read '%s'", note_path);
	/* Asked for before: of what a keeper is still at work on, FITHAW may say too early that it is not frozen. */
	alone = flock (fileno (note), LOCK_EX | LOCK_NB) == 0;
	for (long position = 0; fgets (name, sizeof name, note) != NULL; position = ftell (note)) {
		name[strcspn (name, "\n")] = 0;
		if (!settle (name))
			settled = false;
		else if (alone && name[0] != 0)
			cross_out (position);
	}
	if (alone && settled)
		remove_note ();
	(void) fclose (note);
	return alone && settled ? 0 : 1;
}

/* --- the keeper ------------------------------------------------------------------------------- */

struct keeper {
	int fd;
	const struct vmc_freeze *freeze;
	struct vmc_freeze_progress *progress;
	size_t ranges; /* sent to the agent */
	int note_fd;   /* -1: it has not written the note */
	struct vmc_report report;
};

/* Thaw in the reverse order. True when each was still frozen. */
static bool thaw (struct keeper *keeper)
{
	bool held = true;

	while (keeper->progress->frozen > 0)
		if (ioctl (keeper->freeze->targets[--keeper->progress->frozen].fd, FITHAW, 0) < 0)
			held = false;
	keeper->progress->attempted = 0;
	if (keeper->note_fd >= 0) /* else it may be that of the next agent: we were slow to notice that ours is gone */
		remove_note ();
	return held;
}

static int check_deadline (const struct keeper *keeper, struct vmc_error *err)
{
	if (vmc_now_ms () - keeper->progress->since_ms < keeper->freeze->deadline_ms)
		return 0;
	return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT, "freezing took longer than the deadline of %llu ms",
			 (unsigned long long) keeper->freeze->deadline_ms);
}

/* The first one is in the note already, with what RCU is told. */
static int note_next (struct keeper *keeper, struct vmc_error *err)
{
	size_t attempted = keeper->progress->frozen + 1;

	if (keeper->progress->attempted == attempted)
		return 0;
	keeper->progress->attempted = attempted;
	return write_note (keeper->note_fd, keeper->freeze, err);
}

static int freeze_one (struct keeper *keeper, struct vmc_error *err)
{
	const struct vmc_freeze_target *target = &keeper->freeze->targets[keeper->progress->frozen];

	if (note_next (keeper, err) < 0)
		return -1;
	if (ioctl (target->fd, FIFREEZE, 0) < 0) {
		keeper->progress->attempted = keeper->progress->frozen;
		return vmc_fail (err,
				 errno == EBUSY        ? VMC_BUSY
				 : errno == EOPNOTSUPP ? VMC_UNSUPPORTED
						       : VMC_FAILED,
				 errno,
				 errno == EBUSY ? "'%s' is already frozen by somebody else" : "cannot freeze '%s'",
				 target->mount_point);
	}
	keeper->progress->frozen++;
	return check_deadline (keeper, err);
}

/* How long the kernel takes to tell what is free in those that will be mapped while they are frozen. */
static int time_map (const struct vmc_freeze *freeze, uint64_t *ms, struct vmc_error *err)
{
	uint64_t began_ms = vmc_now_ms ();

	for (size_t i = 0; i < freeze->count; i++) {
		VMC_CLEANUP_EXTENTS struct vmc_extents unused = {0};
		bool complete = true;

		if (freeze->targets[i].early)
			continue;
		if (vmc_fsmap_free (freeze->targets[i].fd, freeze->targets[i].device, &unused, &complete, err) < 0)
			return vmc_fail_in (err, "'%s'", freeze->targets[i].mount_point);
	}
	*ms = vmc_now_ms () - began_ms;
	return 0;
}

/* What the kernel must read of its bitmaps it reads now: that is most of the time of a first map. A filesystem that is so large that it
 * would stand still for too long is not frozen at all. The map itself counts only when it is made of a frozen filesystem. */
static int read_before (const struct vmc_freeze *freeze, struct vmc_error *err)
{
	uint64_t ms;

	if (time_map (freeze, &ms, err) < 0)
		return -1;
	if (ms >= freeze->deadline_ms / 2 && time_map (freeze, &ms, err) < 0)
		return -1;
	if (ms < freeze->deadline_ms / 2)
		return 0;
	return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT,
			 "the guest's kernel takes %llu ms to tell what is free, too long for a freeze of at most %llu "
			 "ms",
			 (unsigned long long) ms, (unsigned long long) freeze->deadline_ms);
}

/* What a freeze would write otherwise. An older kernel, and another filesystem, cannot empty the journal before: then it can not. */
static int write_before (const struct vmc_freeze *freeze, struct vmc_error *err)
{
	for (size_t i = 0; i < freeze->count; i++) {
		uint32_t no_flags = 0;

		if (syncfs (freeze->targets[i].fd) < 0)
			return vmc_fail (err, VMC_FAILED, errno, "cannot sync '%s'", freeze->targets[i].mount_point);
		(void) ioctl (freeze->targets[i].fd, EXT4_CHECKPOINT, &no_flags);
	}
	return 0;
}

static int freeze_in_hurry (struct keeper *keeper, struct vmc_error *err)
{
	struct vmc_freeze_progress *progress = keeper->progress;
	int result = 0;

	progress->hurries = vmc_rcu_can_hurry ();
	progress->attempted = 1;
	if (open_note (&keeper->note_fd, err) < 0 || write_note (keeper->note_fd, keeper->freeze, err) < 0)
		return -1;
	progress->since_ms = vmc_now_ms ();
	if (progress->hurries)
		vmc_rcu_hurry (true);
	while (result == 0 && progress->frozen < keeper->freeze->count)
		result = freeze_one (keeper, err);
	if (progress->hurries)
		vmc_rcu_hurry (false);
	progress->hurries = false;
	return result;
}

/* An agent that stands still is waited for until we have frozen something, and from then on until the deadline. */
static int send_report (struct keeper *keeper, struct vmc_error *err)
{
	uint64_t since_ms = keeper->progress->since_ms, end_ms = since_ms + keeper->freeze->deadline_ms,
		 now_ms = vmc_now_ms ();
	struct pollfd entry = {.fd = keeper->fd, .events = POLLOUT};

	if (since_ms != 0 && poll (&entry, 1, now_ms < end_ms ? (int) (end_ms - now_ms) : 0) <= 0)
		return vmc_fail (err, VMC_TIMEOUT, ETIMEDOUT, "the agent stood still until the deadline");
	return vmc_worker_report (keeper->fd, &keeper->report) ? 0
							       : vmc_fail (err, VMC_FAILED, errno, "the agent is gone");
}

static int send_map (struct keeper *keeper, const struct vmc_extents *map, struct vmc_error *err)
{
	for (size_t i = 0; i < map->count; i += keeper->report.count) {
		size_t left = map->count - i;

		keeper->report.kind = VMC_REPORT_RANGES_PART;
		keeper->report.count = left < VMC_REPORT_RANGES ? (uint32_t) left : VMC_REPORT_RANGES;
		memcpy (keeper->report.ranges, map->items + i, keeper->report.count * sizeof map->items[0]);
		if (send_report (keeper, err) < 0)
			return -1;
	}
	keeper->report.count = 0;
	keeper->ranges += map->count;
	return 0;
}

/* The free ranges of one filesystem, down to the disk; those on other disks are left out. */
static int map_one (struct keeper *keeper, const struct vmc_freeze_target *target, struct vmc_extents *map,
		    struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents free = {0};
	const struct vmc_freeze *freeze = keeper->freeze;

	if (vmc_fsmap_free (target->fd, target->device, &free, &keeper->report.flag, err) < 0)
		return -1;
	for (size_t i = 0; i < free.count; i++) {
		if (keeper->ranges + map->count >= VMC_MAP_MAX_RANGES) {
			keeper->report.flag = false;
			return 0;
		}
		if (vmc_stack_map (&freeze->devices, target->on, &free.items[i], freeze->disk, map, err) < 0)
			return -1;
	}
	return 0;
}

/* The agent has given it up, or has died. It says nothing to a keeper that has not said that all are frozen, nor when it thaws. */
static int check_wanted (const struct keeper *keeper, struct vmc_error *err)
{
	struct pollfd entry = {.fd = keeper->fd, .events = POLLIN};

	return poll (&entry, 1, 0) == 0 ? 0 : vmc_fail (err, VMC_CANCELLED, ECANCELED, "the agent is gone");
}

enum when {
	BEFORE, /* those that are mapped early */
	FROZEN, /* the others */
	AFTER   /* all */
};

static int map_all (struct keeper *keeper, enum when when, struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};

	for (size_t i = 0; i < keeper->freeze->count; i++) {
		const struct vmc_freeze_target *target = &keeper->freeze->targets[i];

		if (when != AFTER && target->early != (when == BEFORE))
			continue;
		if (map_one (keeper, target, &map, err) < 0)
			return vmc_fail_in (err, "'%s'", target->mount_point);
		if ((when == FROZEN ? check_deadline (keeper, err) : check_wanted (keeper, err)) < 0)
			return -1;
	}
	return send_map (keeper, &map, err);
}

/* Has the kernel found errors since they were looked at? Then what it has called free may be in use. */
static bool errors_found (const struct vmc_freeze *freeze)
{
	for (size_t i = 0; i < freeze->count; i++)
		if (vmc_filesystem_has_errors (&freeze->devices, freeze->targets[i].on))
			return true;
	return false;
}

/* Of what has become read-only since it was looked at, FIFREEZE has written nothing, and has not failed; and it stays as it is. By the
 * filesystem's own options: fstatvfs would also tell of a mount that is read-only by itself. */
static bool all_writable (const struct vmc_freeze *freeze)
{
	VMC_CLEANUP_MOUNTS struct vmc_mounts mounts = {0};
	struct vmc_error ignored;

	if (vmc_mounts_read (&mounts, &ignored) < 0)
		return false;
	for (size_t i = 0; i < freeze->count; i++) {
		const struct vmc_mount *mount = vmc_filesystems_find (&mounts, freeze->targets[i].name);

		if (mount == NULL || mount->read_only)
			return false;
	}
	return true;
}

/* Do the filesystems still lie where they did? A table of the device mapper can be changed below a frozen filesystem. And has nothing
 * been loaded meanwhile that could keep a snapshot of what is free? */
static bool places_held (const struct vmc_freeze *freeze)
{
	struct vmc_list now = {0};
	struct vmc_error ignored;
	char why[VMC_TEXT_SIZE];
	bool known = true, same;

	for (size_t i = 0; i < freeze->count && known; i++)
		known = vmc_devices_add (&now, freeze->targets[i].device, false, &ignored) == 0;
	same = known && same_places (&freeze->devices, &now) && all_writable (freeze) && !errors_found (freeze) &&
	       !vmc_snapshots_possible (why);
	vmc_stack_clear (&now);
	return same;
}

/* Wait for a word from the agent, its death, or the deadline; all three mean "thaw", true only the first. The word is
 * taken: a socket that is closed over unread bytes resets the other end (unix(7)), which would lose the last report. */
static bool wait_for_end (const struct keeper *keeper)
{
	char word;
	uint64_t end_ms = keeper->progress->since_ms + keeper->freeze->deadline_ms, now_ms;

	while ((now_ms = vmc_now_ms ()) < end_ms) {
		struct pollfd entry = {.fd = keeper->fd, .events = POLLIN};

		if (poll (&entry, 1, (int) (end_ms - now_ms)) > 0)
			return recv (keeper->fd, &word, 1, MSG_DONTWAIT) == 1;
	}
	return false;
}

static int freeze_and_map (struct keeper *keeper, struct vmc_error *err)
{
	keeper->report.flag = true; /* the map is complete */
	if (map_all (keeper, BEFORE, err) < 0 || read_before (keeper->freeze, err) < 0 ||
	    write_before (keeper->freeze, err) < 0 || check_wanted (keeper, err) < 0 ||
	    freeze_in_hurry (keeper, err) < 0)
		return -1;
	if (map_all (keeper, FROZEN, err) < 0)
		return -1;
	keeper->report.kind = VMC_REPORT_FROZEN;
	return send_report (keeper, err);
}

void vmc_freeze_keeper (int fd, void *argument)
{
	struct keeper keeper = {.fd = fd, .freeze = argument, .note_fd = -1};
	bool asked, unbroken;
	uint64_t frozen_ms;

	keeper.progress = keeper.freeze->progress;
	if (freeze_and_map (&keeper, &keeper.report.error) < 0) {
		(void) thaw (&keeper);
		keeper.report.kind = VMC_REPORT_FAILED;
		keeper.report.count = 0;
		(void) vmc_worker_report (fd, &keeper.report);
		return;
	}
	asked = wait_for_end (&keeper);
	unbroken = thaw (&keeper);
	frozen_ms = vmc_now_ms () - keeper.progress->since_ms;
	keeper.report.flag =
		unbroken && asked && places_held (keeper.freeze); /* looked at later, which can only find more */
	keeper.report.kind = VMC_REPORT_DONE;
	keeper.report.value = frozen_ms;
	(void) vmc_worker_report (fd, &keeper.report);
}

/* --- after the thaw --------------------------------------------------------------------------- */

void vmc_freeze_map_again (int fd, void *argument)
{
	struct vmc_freeze_progress nothing_is_frozen = {0};
	struct keeper mapper = {.fd = fd,
				.freeze = argument,
				.note_fd = -1,
				.progress = &nothing_is_frozen,
				.report.flag = true};

	mapper.report.kind = map_all (&mapper, AFTER, &mapper.report.error) < 0 ? VMC_REPORT_FAILED : VMC_REPORT_DONE;
	mapper.report.count = 0;
	(void) vmc_worker_report (fd, &mapper.report);
}

int vmc_freeze_join_maps (struct vmc_freeze *freeze, struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents both = {0};

	vmc_extents_normalise (&freeze->map_again);
	if (vmc_extents_intersect (&freeze->map, &freeze->map_again, &both, err) < 0)
		return -1;
	vmc_extents_clear (&freeze->map);
	vmc_extents_clear (&freeze->map_again);
	freeze->map = both;
	both = (struct vmc_extents) {0};
	freeze->joined = true;
	return 0;
}

/* --- the agent's side ------------------------------------------------------------------------- */

void vmc_freeze_ask_thaw (struct vmc_worker *worker)
{
	(void) send (worker->fd, "t", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void vmc_freeze_thaw_all (struct vmc_freeze *freeze, bool keeper_dead)
{
	size_t count = freeze->progress == NULL ? 0
		       : keeper_dead            ? freeze->progress->attempted
						: freeze->progress->frozen;

	for (size_t i = count; i > 0; i--)
		(void) ioctl (freeze->targets[i - 1].fd, FITHAW, 0);
	if (keeper_dead && freeze->progress != NULL && freeze->progress->hurries)
		vmc_rcu_hurry (false);
	if (keeper_dead)
		remove_note ();
	freeze->frozen = freeze->held = false;
}

uint64_t vmc_freeze_patience_ends_ms (const struct vmc_freeze *freeze)
{
	uint64_t since_ms = freeze->active && freeze->progress != NULL ? freeze->progress->since_ms : 0;

	return since_ms == 0 ? UINT64_MAX : since_ms + freeze->deadline_ms + KEEPER_PATIENCE_MS;
}
