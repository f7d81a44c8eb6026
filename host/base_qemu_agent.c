/* base_qemu_agent.c - base.h with qemu-guest-agent alone: it freezes and thaws, and the reader is the only witness
 *
 *   look       while the guest writes: which ext4 are mounted for writing? Without one that could be believed, nothing is frozen
 *   freeze     all filesystems of the guest; a keeper holds the freeze, and thaws when its time is over (freeze.h)
 *   thaw       at least as many as were frozen
 *   witness    of what was in use at the look, what the reader proves, and what its superblock calls frozen (lone_reader.h)
 *
 * FIFREEZE does not keep everybody in the guest from writing (agent/freeze.c), and this agent cannot map once more. So QEMU's count of
 * writes to the disk must stand still from when all is frozen until the overlay is there.
 *
 * The guest may lay something between its partition and the filesystem that does not show on the disk: a mapping of the device mapper
 * made by hand, which keeps old blocks for a snapshot, say. So it is also asked how many ext it has mounted with nothing between; if
 * the reader believes more than that, one of them is not what it seems to be.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base.h"
#include "clock.h"
#include "lone_reader.h"

static int read_through (struct vmc_base *base, struct vmc_guard *guard, const struct vmc_meanwhile *meanwhile,
			 struct vmc_reading *reading, struct vmc_error *err)
{
	return vmc_guard_read (guard, base->report->virtual_bytes, NULL, vmc_now_ms () + VMC_BASE_READER_MS, meanwhile,
			       reading, err);
}

static int look (struct vmc_base *base, struct vmc_error *err)
{
	VMC_CLEANUP_GUARD struct vmc_guard peek = VMC_GUARD_INIT;
	const struct vmc_disk *disk = base->facts->disk;

	base->freeze.max_ms = base->run->options->freeze_timeout_ms;
	if (vmc_base_step (base, "look at the disk", err) < 0 ||
	    vmc_guard_look (&peek, base->run->domain.uuid, disk->format, disk->path, err) < 0 ||
	    read_through (base, &peek, NULL, &base->look, err) < 0)
		return -1;
	return vmc_lone_reader_check (&base->look, err);
}

/* How many writes the guest has made to the disk, by QEMU's count. */
static int count_writes (const struct vmc_base *base, long long *writes, struct vmc_error *err)
{
	virDomainBlockStatsStruct stats;

	if (VMC_LIBVIRT (virDomainBlockStats (base->run->domain.handle, base->facts->disk->target, &stats,
					      sizeof stats)) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the writes to the disk");
	if (stats.wr_req < 0)
		return vmc_fail (err, VMC_UNSUPPORTED, 0, "libvirt does not count the writes to the disk");
	*writes = stats.wr_req;
	return 0;
}

static int freeze (struct vmc_base *base, struct vmc_error *err)
{
	struct vmc_error worse;

	if (vmc_freeze_begin (&base->freeze, &base->run->domain, &base->overlay.journal, err) < 0)
		return -1;
	if (count_writes (base, &base->writes, err) == 0)
		return 0;
	if (vmc_freeze_end (&base->freeze, &base->run->domain, &base->overlay.journal, &worse) < 0)
		*err = worse;
	return -1;
}

static int check_writes (const struct vmc_base *base, struct vmc_error *err)
{
	long long writes;

	if (count_writes (base, &writes, err) < 0)
		return -1;
	if (writes == base->writes)
		return 0;
	return vmc_fail (err, VMC_NOT_HELD, 0,
			 "the guest wrote to the disk while its filesystems were frozen: a loop device, or swap?");
}

static int thaw (struct vmc_base *base, struct vmc_error *err)
{
	struct vmc_error wrote;
	int still = check_writes (base, &wrote);
	int result = vmc_freeze_end (&base->freeze, &base->run->domain, &base->overlay.journal, err);

	base->report->frozen_ms = base->freeze.frozen_ms;
	if (base->freeze.more > 0)
		vmc_report_note (base->report, "thaw", "it has also ended a freeze of somebody else's");
	if (result == 0 && still < 0) {
		*err = wrote;
		return -1;
	}
	return result;
}

static int find_free (struct vmc_base *base, struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents places = {0};
	struct vmc_disk_report *report = base->report;
	const char *why;
	int believed;

	const struct vmc_meanwhile meanwhile = {vmc_base_meanwhile, base};

	if (read_through (base, &base->guard, &meanwhile, &base->reading, err) < 0)
		return -1;
	believed = vmc_lone_reader_trust (&base->look, &base->reading, &places, &base->free, report, &why, err);
	if (believed < 0)
		return -1;
	if (believed == 0)
		return vmc_fail (err, VMC_REFUSED, 0, "nothing in the base can be trusted: %s", why);
	if ((size_t) believed > base->facts->mounted_ext)
		return vmc_fail (err, VMC_REFUSED, 0,
				 "nothing in the base can be trusted: there are %d ext4 in use, but qemu-guest-agent "
				 "names only %zu that lie directly on the disk or on a partition of it",
				 believed, base->facts->mounted_ext);
	return 0;
}

const struct vmc_base_way vmc_base_by_qemu_agent = {.look = look,
						    .freeze = freeze,
						    .thaw = thaw,
						    .find_free = find_free};
