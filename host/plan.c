/* plan.c - see plan.h */
#include "plan.h"

#include <stdio.h>
#include <string.h>

#include "qemu_agent.h"
#include "qemu_version.h"
#include "report.h"
#include "text.h"

/* The overlay takes what the guest writes meanwhile, for seconds as a rule, and QEMU pauses the guest when there is no room. */
#define ROOM_MIN_BYTES (UINT64_C (128) << 20)
#define ROOM_SECONDS 60

/* Less is not worth a word. */
#define OFFER_MIN_BYTES (UINT64_C (64) << 20)

#define SLACK_BYTES (UINT64_C (16) << 20)
#define SLACK_DIVISOR 50 /* of the virtual size: 2 % */

static int refuse (struct vmc_error *err, const char *what)
{
	return vmc_fail (err, VMC_REFUSED, 0, "%s", what);
}

static int check_domain (const struct vmc_domain_facts *domain, struct vmc_error *err)
{
	if (!domain->local)
		return refuse (err, "the domain runs on another host; run vmcompact there, where its images are");
	if (domain->job)
		return refuse (err,
			       "a migration, backup or save of the domain is under way; try again when it has ended");
	if (!domain->agent && !domain->qemu_agent)
		return vmc_fail (err, VMC_NO_AGENT, 0, "%s", domain->why_no_agent);
	return 0;
}

static bool is_here (const struct vmc_disk *disk)
{
	return strcmp (disk->type, "file") == 0 || strcmp (disk->type, "block") == 0;
}

static bool is_remote (const struct vmc_disk *disk)
{
	return strcmp (disk->type, "network") == 0;
}

/* Our agent tells more, and keeps a deadline itself: where it answers, it is the one. */
static bool by_qemu_agent (const struct vmc_domain_facts *domain)
{
	return domain->active && !domain->agent;
}

/* Whether its guest runs or not. */
static int check_disk (const struct vmc_disk_facts *facts, struct vmc_error *err)
{
	const struct vmc_disk *disk = facts->disk;

	if (strcmp (disk->device, "disk") != 0)
		return vmc_fail (err, VMC_UNSUPPORTED, 0, "it is a %s, not a disk", disk->device);
	if (!is_here (disk) && !is_remote (disk))
		return vmc_fail (err, VMC_REFUSED, 0,
				 "it is a disk of type '%s'; only files, block devices and network disks are handled",
				 disk->type);
	if (disk->read_only)
		return refuse (err, "it is read-only");
	if (disk->shareable)
		return refuse (err, "it is shareable: another guest may use it at the same time");
	if (disk->transient)
		return refuse (err, "it is transient: its changes are thrown away when the guest ends");
	if (disk->encrypted)
		return refuse (err, "it is encrypted: an overlay would hold plain text");
	if (disk->sliced)
		return refuse (err, "it uses only a slice of its file");
	if (disk->mirror || facts->block_job)
		return refuse (err, "a block job is at work on it; try again when it has ended (virsh blockjob)");
	if (is_remote (disk))
		return 0;
	if (strcmp (disk->format, "qcow2") != 0 && strcmp (disk->format, "raw") != 0)
		return vmc_fail (err, VMC_REFUSED, 0, "its format is '%s'; only qcow2 and raw are handled",
				 disk->format);
	if (!facts->image_known)
		return refuse (err, facts->why_no_image);
	if (facts->used_by[0] != 0)
		return vmc_fail (err, VMC_REFUSED, 0, "the domain '%s' uses the same file, as a disk or a backing file",
				 facts->used_by);
	return 0;
}

static int check_live_disk (const struct vmc_disk_facts *facts, struct vmc_error *err)
{
	const struct vmc_disk *disk = facts->disk;

	if (check_disk (facts, err) < 0)
		return -1;
	if (strcmp (disk->bus, "virtio") != 0 && strcmp (disk->bus, "scsi") != 0)
		return vmc_fail (err, VMC_REFUSED, 0, "it is on the bus '%s'; only virtio and scsi are handled",
				 disk->bus);
	if (facts->other_writer)
		return refuse (err, "somebody else than the guest's QEMU has its image open for writing");
	if (by_qemu_agent (facts->domain))
		return facts->mounted > 0 ? 0
					  : refuse (err, "qemu-guest-agent names no filesystem that lies on this disk");
	if (facts->filesystem_count == 0)
		return refuse (err, facts->why_no_guest_disk);
	return 0;
}

enum treatment { CAN_TRIM, CAN_MAP, CAN_ZERO };

static bool passes_discards (const struct vmc_disk *disk)
{
	return strcmp (disk->discard, "unmap") == 0;
}

/* It does not say how much it has trimmed, so there is nothing to tell a trim that was dropped from one with nothing to do. */
static int check_qemu_agent (const struct vmc_disk_facts *facts, enum treatment treatment, struct vmc_error *err)
{
	if (treatment == CAN_ZERO)
		return refuse (err,
			       "qemu-guest-agent cannot fill anything with zeros; that needs vmcompact-agent in the "
			       "guest");
	if (treatment == CAN_TRIM && !passes_discards (facts->disk))
		return refuse (err, "the disk has no discard='unmap', so QEMU drops what qemu-guest-agent trims; "
				    "use --method=commit");
	if (treatment == CAN_MAP && facts->mounted_ext == 0)
		return refuse (err,
			       "qemu-guest-agent names no ext4 that lies directly on the disk or on a partition of "
			       "it; everything else needs vmcompact-agent in the guest");
	if (treatment == CAN_MAP && facts->bare_loops == VMC_LOOPS_UNKNOWN)
		return refuse (err,
			       "qemu-guest-agent cannot tell of loop devices, which may write through a freeze; one "
			       "of QEMU 5.2 or later can, or else vmcompact-agent in the guest is needed");
	if (treatment == CAN_MAP && facts->bare_loops > 0)
		return refuse (err,
			       "the guest has a loop device from which no filesystem is mounted, and which may write "
			       "through a freeze; that needs vmcompact-agent in the guest");
	return 0;
}

static const char *why_not (const struct vmc_filesystem *filesystem, enum treatment treatment)
{
	return treatment == CAN_TRIM  ? filesystem->why_not_trim
	       : treatment == CAN_MAP ? filesystem->why_not_map
				      : filesystem->why_not_zero;
}

/* What --zero would bring: what is free in filesystems that nobody can map, as far as it takes space on the host. */
static uint64_t zero_gain (const struct vmc_disk_facts *facts)
{
	uint64_t free_bytes = 0;

	for (size_t i = 0; i < facts->filesystem_count; i++)
		if (why_not (facts->filesystems[i], CAN_MAP)[0] != 0 &&
		    why_not (facts->filesystems[i], CAN_ZERO)[0] == 0)
			free_bytes += facts->filesystems[i]->free_bytes;
	return free_bytes < facts->image.allocated_bytes ? free_bytes : facts->image.allocated_bytes;
}

/* "; --zero would give back ...", if it is worth it. OFFER: 80 bytes. */
static const char *offer_zero (const struct vmc_disk_facts *facts, char *offer)
{
	uint64_t gain = zero_gain (facts);
	char size[16];

	offer[0] = 0;
	if (gain >= OFFER_MIN_BYTES && !facts->zeroed)
		(void) snprintf (offer, 80, "; --zero would give back up to %s", vmc_text_size (size, gain));
	return offer;
}

/* The reasons of the filesystems that cannot be treated, when none can. */
static int check_filesystems (const struct vmc_disk_facts *facts, enum treatment treatment, struct vmc_error *err)
{
	static const char *const names[] = {"trimmed", "mapped", "filled with zeros"};
	const char *reason = "";
	char offer[80];

	if (by_qemu_agent (facts->domain))
		return check_qemu_agent (facts, treatment, err);
	for (size_t i = 0; i < facts->filesystem_count; i++) {
		reason = why_not (facts->filesystems[i], treatment);
		if (reason[0] == 0)
			return 0;
	}
	return vmc_fail (err, VMC_REFUSED, 0, "no filesystem of the guest on it can be %s: %s%s", names[treatment],
			 reason, treatment == CAN_MAP ? offer_zero (facts, offer) : "");
}

uint64_t vmc_plan_room (uint64_t write_bytes_per_s)
{
	return write_bytes_per_s > (UINT64_MAX - ROOM_MIN_BYTES) / ROOM_SECONDS
		       ? UINT64_MAX
		       : ROOM_MIN_BYTES + write_bytes_per_s * ROOM_SECONDS;
}

static int check_room (const struct vmc_disk_facts *facts, struct vmc_error *err)
{
	uint64_t needed = vmc_plan_room (facts->write_bytes_per_s);
	char room[16], rate[16], need[16];

	if (facts->image.room_bytes >= needed)
		return 0;
	return vmc_fail (err, VMC_REFUSED, 0,
			 "there are %s of room, but the guest writes %s a second, so the overlay needs %s; see "
			 "--overlay-dir",
			 vmc_text_size (room, facts->image.room_bytes), vmc_text_size (rate, facts->write_bytes_per_s),
			 vmc_text_size (need, needed));
}

static int check_names (const struct vmc_disk_facts *facts, struct vmc_error *err)
{
	if (facts->in_the_way[0] == 0)
		return 0;
	return vmc_fail (err, VMC_REFUSED, 0,
			 "the file '%.300s' is in the way; no journal names it; remove it if nobody needs it",
			 facts->in_the_way);
}

/* What is not known is not refused: it is rather newer than older. */
static int check_version (const char *what, unsigned long version, unsigned long oldest, struct vmc_error *err)
{
	char text[40], oldest_text[40];

	if (version == 0 || version >= oldest)
		return 0;
	return vmc_fail (err, VMC_REFUSED, 0,
			 "%s %s is older than %s, the oldest on which this was tested; --method=trim works with it",
			 what, vmc_version_text (version, text), vmc_version_text (oldest, oldest_text));
}

/* Nothing of its image is on this host, so that nothing but a trim can be done about it. */
static int check_image_here (const struct vmc_disk_facts *facts, struct vmc_error *err)
{
	if (!is_remote (facts->disk))
		return 0;
	return vmc_fail (err, VMC_REFUSED, 0,
			 "it is a disk on the network (%s): its image is not here, so only a trim can give its space "
			 "back%s",
			 facts->disk->protocol,
			 strcmp (facts->disk->discard, "unmap") == 0 ? "" : ", and that needs discard='unmap'");
}

/* Without an error_policy libvirt says nothing to QEMU, whose own is "enospc". */
bool vmc_plan_pauses (const struct vmc_disk *disk)
{
	static const char *const pausing[] = {"", "enospace", "stop"};

	for (size_t i = 0; i < sizeof pausing / sizeof pausing[0]; i++)
		if (strcmp (disk->error_policy, pausing[i]) == 0)
			return true;
	return false;
}

static int check_policy (const struct vmc_disk *disk, struct vmc_error *err)
{
	if (vmc_plan_pauses (disk))
		return 0;
	return vmc_fail (err, VMC_REFUSED, 0,
			 "it has error_policy='%s': were there no room for the overlay, QEMU would not pause the "
			 "guest, whose writes would be lost; use 'enospace', or --method=trim",
			 disk->error_policy);
}

/* What an overlay needs, and the way home from it. */
static int check_overlay (const struct vmc_disk_facts *facts, struct vmc_error *err)
{
	if (check_image_here (facts, err) < 0)
		return -1;
	if (facts->image.is_block && facts->overlay_path[0] == 0)
		return refuse (err, "its image is a block device, beside which there is no place for the overlay; "
				    "name one with --overlay-dir");
	if (check_version ("the domain's QEMU", facts->domain->qemu_version, VMC_QEMU_OLDEST, err) < 0 ||
	    check_version ("libvirt", facts->domain->libvirt_version, VMC_LIBVIRT_OLDEST, err) < 0 ||
	    check_policy (facts->disk, err) < 0)
		return -1;
	if (facts->domain->checkpoints)
		return refuse (err,
			       "the domain has checkpoints, whose bitmaps a commit would change; delete them first");
	if (!facts->domain->persistent)
		return refuse (err, "the domain is transient: if it ended in the middle, nothing would know its disk "
				    "any more");
	if (check_names (facts, err) < 0)
		return -1;
	return check_room (facts, err);
}

static int check_commit (const struct vmc_disk_facts *facts, struct vmc_error *err)
{
	if (check_image_here (facts, err) < 0)
		return -1;
	if (facts->why_no_punch[0] != 0)
		return refuse (err, facts->why_no_punch);
	return check_overlay (facts, err) < 0 ? -1 : check_filesystems (facts, CAN_MAP, err);
}

/* The new image takes the path of the old one: that must be the file's only name. */
static int check_place (const struct vmc_disk_facts *facts, struct vmc_error *err)
{
	if (check_image_here (facts, err) < 0)
		return -1;
	if (facts->image.is_block)
		return refuse (err, "its image is a block device, which no new image can take the place of; "
				    "--method=commit gives its space back");
	if (facts->image.is_link)
		return refuse (err,
			       "its path is a symbolic link; a convert needs the path of the file itself in the XML");
	if (facts->image.names != 1)
		return refuse (err,
			       "its file has other names (hard links), which a convert would leave on the old image");
	return check_names (facts, err);
}

/* Without a filesystem that can be mapped, a copy of all there is can be had, which leaves out only zeros: that is worth it when the
 * guest has made some. */
static int check_convert (const struct vmc_disk_facts *facts, struct vmc_error *err)
{
	if (check_place (facts, err) < 0 || check_overlay (facts, err) < 0)
		return -1;
	return facts->zeroed ? 0 : check_filesystems (facts, CAN_MAP, err);
}

static int plan_auto (const struct vmc_disk_facts *facts, struct vmc_plan *plan, struct vmc_error *err)
{
	struct vmc_error why_no_commit;
	char offer[80];
	bool can_trim = passes_discards (facts->disk) && check_filesystems (facts, CAN_TRIM, err) == 0;
	bool can_commit = check_commit (facts, &why_no_commit) == 0;

	if (can_trim) {
		*plan = (struct vmc_plan) {.method = VMC_METHOD_TRIM,
					   .then = can_commit ? VMC_METHOD_COMMIT : VMC_METHOD_AUTO};
		(void) snprintf (plan->reason, sizeof plan->reason, "%s",
				 is_remote (facts->disk) ? "it is a disk on the network with discard='unmap'; what "
							   "that brings cannot be "
							   "measured on this host"
							 : "the disk has discard='unmap', so a trim is enough");
		return 0;
	}
	if (!can_commit) {
		*err = why_no_commit;
		return -1;
	}
	*plan = (struct vmc_plan) {.method = VMC_METHOD_COMMIT};
	(void) snprintf (plan->reason, sizeof plan->reason, "%s%s",
			 passes_discards (facts->disk)
				 ? "the guest cannot trim this disk"
				 : "the disk has no discard='unmap', so QEMU drops what the guest trims",
			 offer_zero (facts, offer));
	return 0;
}

/* With discards passed on, what the guest zeroes is given back at once; if it is not after all, and without them, a convert
 * follows, which must be possible then. */
static int plan_zero (const struct vmc_disk_facts *facts, struct vmc_plan *plan, struct vmc_error *err)
{
	bool enough = passes_discards (facts->disk);
	struct vmc_disk_facts later = *facts;
	int can_convert;

	later.zeroed = true;
	if (check_filesystems (facts, CAN_ZERO, err) < 0)
		return -1;
	can_convert = check_convert (&later, err);
	if (can_convert < 0 && !enough)
		return -1;
	*plan = (struct vmc_plan) {.zero = true,
				   .method = VMC_METHOD_CONVERT,
				   .then = can_convert == 0 ? VMC_METHOD_CONVERT : VMC_METHOD_AUTO};
	(void) snprintf (plan->reason, sizeof plan->reason, "it was asked for%s",
			 enough ? ", and QEMU gives back what the guest zeroes" : "; a convert leaves the zeros out");
	return 0;
}

static void say_agent (const struct vmc_domain_facts *domain, struct vmc_plan *plan)
{
	size_t used = strlen (plan->reason);

	if (by_qemu_agent (domain))
		(void) snprintf (plan->reason + used, sizeof plan->reason - used, "; by qemu-guest-agent");
}

/* A commit by a QEMU that loses writes at its start needs a pause (home.c): that is said beforehand. */
static void say_pause (const struct vmc_domain_facts *domain, struct vmc_plan *plan)
{
	unsigned long version = domain->qemu_version;
	size_t used = strlen (plan->reason);
	char name[40] = "of unknown version";

	if (plan->zero || plan->method == VMC_METHOD_TRIM || !vmc_qemu_loses_writes (version))
		return;
	if (version != 0)
		(void) vmc_version_text (version, name);
	(void) snprintf (plan->reason + used, sizeof plan->reason - used,
			 "; QEMU %s may lose writes while a commit starts, so the guest is paused for that moment",
			 name);
}

/* --- at rest ---------------------------------------------------------------------------------- */

static int check_off (const struct vmc_domain_facts *domain, enum vmc_method_choice wanted, struct vmc_error *err)
{
	if (!domain->local)
		return refuse (err, "the domain is on another host; run vmcompact there, where its images are");
	if (!domain->switched_off)
		return refuse (err,
			       "the domain is off, but was not simply switched off (saved? moved? brought back to a "
			       "snapshot?), so its image must stay as it is; start it, and shut it down if it is to be "
			       "off");
	if (wanted == VMC_METHOD_TRIM)
		return refuse (err, "the domain is not running, so its guest cannot trim; use --method=auto");
	return 0;
}

static int plan_rewrite (const struct vmc_disk_facts *facts, struct vmc_plan *plan, struct vmc_error *err)
{
	if (!facts->copied && check_place (facts, err) < 0)
		return -1;
	*plan = (struct vmc_plan) {.method = VMC_METHOD_CONVERT};
	(void) snprintf (plan->reason, sizeof plan->reason, "%s",
			 facts->copied ? "a compact copy was asked for" : facts->why_wanted);
	return 0;
}

static int plan_at_rest (const struct vmc_disk_facts *facts, enum vmc_method_choice wanted, struct vmc_plan *plan,
			 struct vmc_error *err)
{
	if (facts->zero)
		return refuse (err, "the domain is not running, so its guest cannot fill anything with zeros");
	if (check_off (facts->domain, wanted, err) < 0 || check_disk (facts, err) < 0 ||
	    check_image_here (facts, err) < 0)
		return -1;
	if (facts->image.is_block)
		return refuse (err, "its image is a block device, and nothing would keep the domain from being started "
				    "meanwhile; it can be compacted while the domain runs");
	if (facts->why_no_lock[0] != 0)
		return refuse (err, facts->why_no_lock);
	if (wanted == VMC_METHOD_CONVERT)
		return plan_rewrite (facts, plan, err);
	if (facts->why_no_punch[0] != 0)
		return refuse (err, facts->why_no_punch);
	*plan = (struct vmc_plan) {.method = VMC_METHOD_COMMIT};
	(void) snprintf (plan->reason, sizeof plan->reason, "%s",
			 wanted == VMC_METHOD_AUTO ? "nobody runs it, so it is compacted in place" : facts->why_wanted);
	return 0;
}

int vmc_plan_disk (const struct vmc_disk_facts *facts, enum vmc_method_choice wanted, struct vmc_plan *plan,
		   struct vmc_error *err)
{
	int result;

	if (!facts->domain->active)
		return plan_at_rest (facts, wanted, plan, err);
	if (check_domain (facts->domain, err) < 0 || check_live_disk (facts, err) < 0)
		return -1;
	if (facts->zero && !facts->zeroed) {
		result = plan_zero (facts, plan, err);
	} else if (wanted == VMC_METHOD_AUTO) {
		result = plan_auto (facts, plan, err);
	} else {
		*plan = (struct vmc_plan) {.method = wanted};
		(void) snprintf (plan->reason, sizeof plan->reason, "%s", facts->why_wanted);
		result = wanted == VMC_METHOD_TRIM     ? check_filesystems (facts, CAN_TRIM, err)
			 : wanted == VMC_METHOD_COMMIT ? check_commit (facts, err)
						       : check_convert (facts, err);
	}
	if (result == 0) {
		say_agent (facts->domain, plan);
		say_pause (facts->domain, plan);
	}
	return result;
}

uint64_t vmc_plan_reclaimable (uint64_t used_bytes, uint64_t free_bytes, uint64_t allocated_bytes)
{
	uint64_t unused = allocated_bytes > used_bytes ? allocated_bytes - used_bytes : 0;

	if (allocated_bytes == VMC_UNKNOWN || (used_bytes == 0 && free_bytes == 0))
		return VMC_UNKNOWN;
	return unused < free_bytes ? unused : free_bytes;
}

uint64_t vmc_plan_left_over (uint64_t virtual_bytes, uint64_t discarded_bytes, uint64_t allocated_bytes)
{
	uint64_t kept = virtual_bytes > discarded_bytes ? virtual_bytes - discarded_bytes : 0;
	uint64_t allowed = kept + virtual_bytes / SLACK_DIVISOR + SLACK_BYTES;

	return allocated_bytes > allowed ? allocated_bytes - allowed : 0;
}

bool vmc_plan_trim_dropped (uint64_t virtual_bytes, uint64_t trimmed_bytes, uint64_t before_bytes, uint64_t after_bytes)
{
	uint64_t expected = vmc_plan_left_over (virtual_bytes, trimmed_bytes, before_bytes);
	uint64_t got = before_bytes > after_bytes ? before_bytes - after_bytes : 0;

	return expected > 0 && got < expected / 10;
}
