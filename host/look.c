/* look.c - see look.h
 *
 * Nothing is changed by looking, and nothing is decided: what is not as it should be is a fact, too, and the plan refuses it.
 */
#include "look.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "connection.h"
#include "guard.h"
#include "new_image.h"
#include "overlay.h"
#include "qemu_agent.h"

#define HELLO_MS 5000
#define CHANNEL_MS 1000
#define RATE_MS 100 /* over which the guest's writes are counted, at least */

/* The overlay's name; false: it does not fit. There is none beside a block device. */
static bool name_overlay (const struct vmc_run *run, struct vmc_disk_facts *facts)
{
	const char *directory = run->options->overlay_dir, *path = facts->disk->path;
	int length;

	if (directory == NULL && strcmp (facts->disk->type, "block") == 0)
		return true;
	if (directory == NULL)
		length = snprintf (facts->overlay_path, sizeof facts->overlay_path, "%s" VMC_OVERLAY_SUFFIX, path);
	else
		length = snprintf (facts->overlay_path, sizeof facts->overlay_path, "%s/%s-%s" VMC_OVERLAY_SUFFIX,
				   directory, run->domain.uuid, facts->disk->target);
	return length < (int) sizeof facts->overlay_path;
}

static void note_in_the_way (struct vmc_disk_facts *facts, const char *path)
{
	struct stat status;

	if (lstat (path, &status) == 0)
		(void) snprintf (facts->in_the_way, sizeof facts->in_the_way, "%s", path);
}

/* Files with the names that a run needs; false: one of the names does not fit. */
static bool look_for_names (const struct vmc_run *run, struct vmc_disk_facts *facts)
{
	char path[VMC_PATH_SIZE];

	if (!name_overlay (run, facts))
		return false;
	if (facts->overlay_path[0] == 0)
		return true;
	note_in_the_way (facts, facts->overlay_path);
	if (run->options->method != VMC_METHOD_CONVERT || facts->in_the_way[0] != 0)
		return true;
	if (!vmc_overlay_next_name (facts->overlay_path, path))
		return false;
	note_in_the_way (facts, path);
	return facts->in_the_way[0] != 0 || vmc_new_image_in_the_way (facts->disk->path, facts->in_the_way) >= 0;
}

static int look_at_image (struct vmc_run *run, struct vmc_disk_facts *facts, struct vmc_error *err)
{
	struct vmc_error why;

	if (!look_for_names (run, facts))
		return vmc_fail (err, VMC_REFUSED, 0, "the path of the image is too long");
	if (vmc_image_look (facts->disk, facts->overlay_path[0] ? facts->overlay_path : facts->disk->path,
			    &facts->image, &why) < 0) {
		(void) snprintf (facts->why_no_image, sizeof facts->why_no_image, "%s", why.text);
		return 0;
	}
	facts->image_known = true;
	facts->other_writer = vmc_guard_writers (facts->disk->path) > 1;
	if (vmc_image_can_punch (facts->disk->path, &why) < 0)
		(void) snprintf (facts->why_no_punch, sizeof facts->why_no_punch, "%s", why.text);
	return vmc_domain_other_user (&run->domain, facts->disk->target, &facts->image, facts->used_by,
				      sizeof facts->used_by, err);
}

/* The size that the guest sees, and whether a block job is at work. */
static int look_at_block (struct vmc_run *run, struct vmc_disk_facts *facts, struct vmc_disk_report *report,
			  struct vmc_error *err)
{
	virDomainBlockInfo info;
	virDomainBlockJobInfo job;
	int jobs;

	if (VMC_LIBVIRT (virDomainGetBlockInfo (run->domain.handle, facts->disk->target, &info, 0)) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the size of the disk");
	jobs = VMC_LIBVIRT (virDomainGetBlockJobInfo (run->domain.handle, facts->disk->target, &job, 0));
	if (jobs < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the block jobs of the disk");
	facts->block_job = jobs > 0;
	report->virtual_bytes = info.capacity;
	return 0;
}

static int ask_qemu_agent (struct vmc_run *run, struct vmc_disk_facts *facts, struct vmc_disk_report *report,
			   struct vmc_error *err)
{
	struct vmc_qemu_filesystems filesystems;

	if (vmc_qemu_agent_filesystems (&run->domain, facts->disk->target, &filesystems, err) < 0)
		return -1;
	facts->mounted = filesystems.mounted;
	facts->mounted_ext = filesystems.mounted_ext;
	facts->bare_loops = filesystems.bare_loops;
	facts->free_bytes = filesystems.free_bytes;
	facts->used_bytes = filesystems.used_bytes;
	if (facts->used_bytes > 0)
		report->used_bytes = facts->used_bytes;
	return 0;
}

static int look_at_guest (struct vmc_run *run, struct vmc_disk_facts *facts, struct vmc_filesystems_result *filesystems,
			  struct vmc_disk_report *report, struct vmc_error *err)
{
	if (look_at_block (run, facts, report, err) < 0)
		return -1;
	if (run->agent == NULL)
		return facts->domain->qemu_agent ? ask_qemu_agent (run, facts, report, err) : 0;
	if (vmc_agent_filesystems (run->agent, filesystems, err) < 0)
		return -1;
	vmc_facts_match (facts, report->virtual_bytes, filesystems);
	if (facts->filesystem_count > 0)
		report->used_bytes = facts->used_bytes;
	return 0;
}

/* What the guest has written to the disk since it was started; 0 where that is not known. */
static uint64_t written_bytes (const struct vmc_run *run, const struct vmc_disk_facts *facts)
{
	virDomainBlockStatsStruct stats;

	if (VMC_LIBVIRT (virDomainBlockStats (run->domain.handle, facts->disk->target, &stats, sizeof stats)) < 0)
		return 0;
	return stats.wr_bytes > 0 ? (uint64_t) stats.wr_bytes : 0;
}

/* Everything about the disk. */
static int look_at_disk (struct vmc_run *run, struct vmc_disk_facts *facts, struct vmc_filesystems_result *filesystems,
			 struct vmc_disk_report *report, struct vmc_error *err)
{
	if (facts->disk->path[0] != 0 && look_at_image (run, facts, err) < 0)
		return -1;
	if (facts->image_known && report->allocated_before_bytes == VMC_UNKNOWN)
		report->allocated_before_bytes = facts->image.allocated_bytes;
	return look_at_guest (run, facts, filesystems, report, err);
}

/* What the guest has written since BEGAN_MS, when it was BEFORE. */
static void measure_writes (struct vmc_run *run, struct vmc_disk_facts *facts, uint64_t began_ms, uint64_t before)
{
	uint64_t took_ms = vmc_now_ms () - began_ms, after;

	if (took_ms < RATE_MS)
		vmc_events_pause ((unsigned) (RATE_MS - took_ms));
	took_ms = vmc_now_ms () - began_ms;
	after = written_bytes (run, facts);
	if (after > before && after - before < UINT64_MAX / 1000)
		facts->write_bytes_per_s = (after - before) * 1000 / (took_ms + 1);
}

/* The stream of a run that has just ended may still be there for a moment. */
static struct vmc_transport *open_channel (const struct vmc_run *run, struct vmc_error *err)
{
	uint64_t until_ms = vmc_now_ms () + CHANNEL_MS;
	struct vmc_transport *transport;

	while ((transport = vmc_stream_open (run->domain.handle, err)) == NULL && vmc_now_ms () < until_ms)
		vmc_events_pause (CHANNEL_MS / 10);
	return transport;
}

/* Where it is not there either. */
static void name_other_way (const struct vmc_disks *disks, struct vmc_error *why)
{
	size_t used = strlen (why->text);

	(void) snprintf (why->text + used, sizeof why->text - used, "; or %s",
			 disks->qemu_channel ? "start qemu-guest-agent in the guest"
					     : "use qemu-guest-agent, with the channel '" VMC_QEMU_CHANNEL_NAME "'");
}

/* Greet the agent; a domain without one, and without qemu-guest-agent, is refused by the plan. */
void vmc_look_for_agent (struct vmc_run *run)
{
	struct vmc_transport *transport = NULL;
	struct vmc_error why = {0};

	if (!run->disks.channel)
		(void) vmc_fail (&why, VMC_NO_AGENT, 0,
				 "the domain has no channel for the agent; add <channel type='unix'><target "
				 "type='virtio' name='" VMC_CHANNEL_NAME
				 "'/></channel> and install vmcompact-agent in the guest");
	else if (!run->disks.channel_connected)
		(void) vmc_fail (&why, VMC_NO_AGENT, 0,
				 "no agent has the channel open; install vmcompact-agent in the guest and start it");
	else
		transport = open_channel (run, &why);
	if (transport != NULL)
		run->agent = vmc_agent_open (transport, HELLO_MS, &why);
	if (run->agent == NULL)
		name_other_way (&run->disks, &why);
	memcpy (run->why_no_agent, why.text, sizeof run->why_no_agent);
}

static bool can_look (const struct vmc_disk *disk)
{
	if (strcmp (disk->type, "network") == 0)
		return true;
	return (strcmp (disk->type, "file") == 0 || strcmp (disk->type, "block") == 0) && disk->path[0] != 0;
}

int vmc_look (struct vmc_run *run, const struct vmc_disk *disk, struct vmc_look *look, struct vmc_disk_report *report,
	      struct vmc_error *err)
{
	uint64_t began_ms = vmc_now_ms (), before;

	*look = (struct vmc_look) {.domain = {.agent = run->agent != NULL,
					      .qemu_agent = run->disks.qemu_channel_connected},
				   .facts = {.domain = &look->domain,
					     .disk = disk,
					     .disks = &run->disks,
					     .zero = run->options->zero}};
	memcpy (look->domain.why_no_agent, run->why_no_agent, sizeof look->domain.why_no_agent);
	before = can_look (disk) ? written_bytes (run, &look->facts) : 0;
	if (vmc_domain_facts (&run->domain, &look->domain, err) < 0)
		return -1;
	if (!look->domain.active || !look->domain.local || !can_look (disk))
		return 0;
	if (look_at_disk (run, &look->facts, &look->filesystems, report, err) < 0)
		return -1;
	measure_writes (run, &look->facts, began_ms, before);
	return 0;
}

void vmc_look_clear (struct vmc_look *look)
{
	vmc_fields_clear (vmc_method (VMC_FILESYSTEMS)->result, &look->filesystems);
}
