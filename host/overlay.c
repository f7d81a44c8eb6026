/* overlay.c - see overlay.h
 *
 * The overlay is made empty and owned by the base's owner before the guest is frozen, so that nothing but the redirection
 * itself happens during the freeze. Killed before that, a run leaves an empty file that nobody uses; killed after it, the
 * domain runs on (or boots from) the overlay over its base, which is a complete chain. The journal tells the next run.
 */
#include "overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"
#include "guard.h"
#include "process.h"
#include "saved_xml.h"

#define CREATE_MS 60000

/* --- looking ---------------------------------------------------------------------------------- */

/* On the overlay means: directly over the base. The XML of a domain that is off may not name the base. */
static bool is_ours (const struct vmc_journal *journal, const struct vmc_disk *disk, bool active)
{
	if (strcmp (disk->path, journal->overlay) != 0)
		return false;
	if (disk->backing_count == 0)
		return !active;
	return strcmp (disk->backing[0], journal->base) == 0;
}

/* Below somebody else's overlay: is ours still there, over the base? Of a domain that is off, the XML is no proof. */
static int look_below (const struct vmc_journal *journal, const struct vmc_disk *disk, bool active)
{
	for (size_t i = 0; i < disk->backing_count; i++) {
		if (strcmp (disk->backing[i], journal->base) == 0)
			return active ? VMC_UNCOVERED : VMC_ELSEWHERE;
		if (strcmp (disk->backing[i], journal->overlay) == 0)
			return i + 1 < disk->backing_count && strcmp (disk->backing[i + 1], journal->base) == 0
				       ? VMC_BURIED
				       : VMC_ELSEWHERE;
	}
	return VMC_ELSEWHERE;
}

static void look_at_disk (const struct vmc_journal *journal, const struct vmc_disk *disk,
			  struct vmc_overlay_state *state)
{
	state->where = VMC_ELSEWHERE;
	if (disk == NULL)
		return;
	if (is_ours (journal, disk, state->active))
		state->where = VMC_ON_OVERLAY;
	else if (strcmp (disk->path, journal->base) == 0)
		state->where = VMC_ON_BASE;
	else if (strcmp (disk->path, journal->overlay) != 0)
		state->where = look_below (journal, disk, state->active);
	if (!disk->mirror)
		return;
	state->job = state->where == VMC_ON_OVERLAY && strcmp (disk->mirror_path, journal->base) == 0;
	state->other_job = !state->job;
	state->ready = disk->mirror_ready;
	state->moving = disk->mirror_moving;
}

/* This call waits until libvirt has ended what it does with the domain (a pivot that it has not noted yet; after a restart of
 * the daemon, finding out what QEMU did meanwhile): only then its XML tells the truth. */
static int look_at_job (const struct vmc_overlay *overlay, struct vmc_overlay_state *state, struct vmc_error *err)
{
	virDomainBlockJobInfo info = {0};
	int found = VMC_LIBVIRT (virDomainGetBlockJobInfo (overlay->domain->handle, overlay->journal.target, &info, 0));

	if (found < 0 && virGetLastErrorCode () == VIR_ERR_OPERATION_TIMEOUT)
		return vmc_fail_libvirt (err, VMC_FAILED, "libvirt is busy with the domain");
	state->any_job = found == 1;
	state->lost_job = found == 1 && info.type == VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT;
	state->below_job = found == 1 && info.type == VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT;
	state->done_bytes = info.cur;
	state->all_bytes = info.end;
	return 0;
}

int vmc_overlay_look_in (const struct vmc_journal *journal, const char *xml, struct vmc_overlay_state *state,
			 struct vmc_error *err)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};

	if (vmc_domain_xml_parse (xml, &disks, err) < 0)
		return -1;
	look_at_disk (journal, vmc_disks_find (&disks, journal->target), state);
	state->lost_job = state->lost_job && !state->job && !state->other_job;
	state->other_job = state->other_job || (state->any_job && !state->job);
	return 0;
}

/* libvirtd may have died before it noted what QEMU had done. What QEMU writes to, its locks tell. */
static void look_at_locks (const struct vmc_journal *journal, struct vmc_overlay_state *state)
{
	bool overlay = vmc_guard_written (journal->overlay), base = vmc_guard_written (journal->base);

	state->orphan = !state->active && (overlay || base);
	state->on_base = base && !overlay;
	if (state->active && state->where == VMC_ON_BASE && overlay)
		state->where = VMC_UNNOTICED;
	if (state->active && state->where == VMC_ON_OVERLAY && state->on_base)
		state->where = VMC_FORGOTTEN;
}

int vmc_overlay_look (const struct vmc_overlay *overlay, struct vmc_overlay_state *state, struct vmc_error *err)
{
	int active, result;
	char *xml;

	*state = (struct vmc_overlay_state) {.where = VMC_GONE};
	if (overlay->domain->handle == NULL)
		return 0;
	active = VMC_LIBVIRT (virDomainIsActive (overlay->domain->handle));
	if (active < 0 && virGetLastErrorCode () == VIR_ERR_NO_DOMAIN)
		return 0;
	if (active < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the state of the domain");
	state->active = active == 1;
	if (state->active && look_at_job (overlay, state, err) < 0)
		return -1;
	xml = vmc_domain_xml (overlay->domain->handle, !state->active, err);
	if (xml == NULL)
		return virGetLastErrorCode () == VIR_ERR_NO_DOMAIN ? 0 : -1;
	result = vmc_overlay_look_in (&overlay->journal, xml, state, err);
	free (xml);
	if (result == 0)
		look_at_locks (&overlay->journal, state);
	return result;
}

void vmc_overlay_measure (struct vmc_overlay *overlay)
{
	struct stat status;

	if (stat (overlay->journal.overlay, &status) == 0 && (uint64_t) status.st_blocks * 512 > overlay->peak_bytes)
		overlay->peak_bytes = (uint64_t) status.st_blocks * 512;
}

int vmc_overlay_check (struct vmc_overlay *overlay, struct vmc_error *err)
{
	struct vmc_overlay_state state;

	vmc_overlay_measure (overlay);
	if (vmc_overlay_look (overlay, &state, err) < 0)
		return -1;
	if (!state.active)
		return vmc_fail (err, VMC_FAILED, 0, "the guest was switched off in the middle");
	if (state.where == VMC_ON_OVERLAY && !state.job && !state.other_job)
		return 0;
	return vmc_fail (err, VMC_FAILED, 0, "somebody else has changed the disk of the domain in the middle");
}

/* --- making ----------------------------------------------------------------------------------- */

int vmc_overlay_step (struct vmc_overlay *overlay, enum vmc_journal_step step, struct vmc_error *err)
{
	overlay->journal.step = step;
	return vmc_journal_write (&overlay->journal, err);
}

/* A disk that is only there until the guest ends, or another one then, could not be brought home if it ended in the middle. */
static int check_next_start (const struct vmc_journal *journal, struct vmc_error *err)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	const struct vmc_disk *disk;

	if (vmc_domain_xml_parse (journal->inactive_xml, &disks, err) < 0)
		return -1;
	disk = vmc_disks_find (&disks, journal->target);
	if (disk != NULL && strcmp (disk->path, journal->base) == 0)
		return 0;
	return vmc_fail (err, VMC_REFUSED, 0,
			 "at its next start the domain has another disk there, or none (virsh dumpxml --inactive)");
}

static int remember_xml (struct vmc_overlay *overlay, struct vmc_error *err)
{
	char *live;

	overlay->journal.inactive_xml = vmc_domain_xml (overlay->domain->handle, true, err);
	live = vmc_domain_xml (overlay->domain->handle, false, err);
	if (live != NULL)
		overlay->live_disk_before = vmc_domain_xml_disk_text (live, overlay->journal.target);
	free (live);
	if (overlay->journal.inactive_xml == NULL || live == NULL)
		return -1;
	if (overlay->live_disk_before == NULL)
		return vmc_fail (err, VMC_FAILED, 0, "the disk is no longer in the domain's XML");
	return check_next_start (&overlay->journal, err);
}

/* An empty file that nobody else has made, owned as the base is: libvirt gives it to QEMU, or lets it as it is. */
static int make_file (struct vmc_overlay *overlay, struct vmc_error *err)
{
	struct vmc_journal *journal = &overlay->journal;
	int fd = open (journal->overlay, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat base, own;

	if (fd < 0) {
		(void) vmc_fail (err, VMC_REFUSED, errno, "cannot make the overlay '%s'", journal->overlay);
		journal->overlay[0] = 0; /* what is there is not ours */
		return -1;
	}
	vmc_fault_point ("made");
	if (stat (journal->base, &base) < 0 || fchown (fd, base.st_uid, base.st_gid) < 0 || fstat (fd, &own) < 0) {
		(void) vmc_fail (err, VMC_FAILED, errno, "cannot make the overlay '%s'", journal->overlay);
		(void) close (fd);
		return -1;
	}
	journal->overlay_inode = own.st_ino;
	return close (fd) < 0 ? vmc_fail (err, VMC_FAILED, errno, "cannot make the overlay '%s'", journal->overlay)
			      : vmc_journal_write (journal, err);
}

/* -u: the base, which the domain has open, is not opened. */
static int format_overlay (struct vmc_overlay *overlay, const char *base_format, uint64_t virtual_bytes,
			   struct vmc_error *err)
{
	struct vmc_journal *journal = &overlay->journal;
	char size[32];
	const char *const argv[] = {"qemu-img",    "create",         "-q", "-u", "-f", "qcow2", "-F", base_format, "-b",
				    journal->base, journal->overlay, size, NULL};
	struct stat status;

	(void) snprintf (size, sizeof size, "%llu", (unsigned long long) ((virtual_bytes + 511) / 512 * 512));
	if (vmc_process_run (argv, vmc_now_ms () + CREATE_MS, err) < 0)
		return -1;
	if (stat (journal->overlay, &status) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot look at the overlay '%s'", journal->overlay);
	journal->overlay_bytes = (uint64_t) status.st_size;
	return 0;
}

int vmc_overlay_prepare (struct vmc_domain *domain, const struct vmc_disk *disk, const char *path,
			 uint64_t virtual_bytes, struct vmc_overlay *overlay, struct vmc_error *err)
{
	struct vmc_journal *journal = &overlay->journal;

	*overlay = (struct vmc_overlay) {.domain = domain};
	memcpy (journal->uuid, domain->uuid, sizeof journal->uuid);
	memcpy (journal->name, domain->name, sizeof journal->name);
	memcpy (journal->target, disk->target, sizeof journal->target);
	memcpy (journal->base, disk->path, sizeof journal->base);
	(void) snprintf (journal->overlay, sizeof journal->overlay, "%s", path);
	if (remember_xml (overlay, err) < 0 || vmc_overlay_step (overlay, VMC_STEP_PREPARE, err) < 0)
		return -1;
	vmc_deadline_means (VMC_INTERRUPTED);
	vmc_fault_point ("prepare");
	if (make_file (overlay, err) < 0 || format_overlay (overlay, disk->format, virtual_bytes, err) < 0)
		return -1;
	vmc_fault_point ("prepared");
	/* Before the freeze, so that it is as short as can be. */
	return vmc_overlay_step (overlay, VMC_STEP_REDIRECT, err);
}

/* Every write, and every discard, to an empty qcow2 makes it longer by a table at least. */
bool vmc_overlay_unused (const struct vmc_overlay *overlay)
{
	struct stat status;

	if (lstat (overlay->journal.overlay, &status) < 0)
		return errno == ENOENT;
	return (uint64_t) status.st_size == overlay->journal.overlay_bytes &&
	       !vmc_guard_written (overlay->journal.overlay);
}

int vmc_overlay_create (struct vmc_overlay *overlay, const struct vmc_disks *disks, struct vmc_error *err)
{
	const unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA |
			       VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC | VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT;
	char *xml = vmc_domain_xml_snapshot (disks, overlay->journal.target, overlay->journal.overlay);
	virDomainSnapshotPtr snapshot;

	if (xml == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the snapshot's XML");
	vmc_fault_point ("redirect");
	snapshot = VMC_LIBVIRT (virDomainSnapshotCreateXML (overlay->domain->handle, xml, flags));
	free (xml);
	if (snapshot == NULL)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot redirect the disk to an overlay");
	(void) virDomainSnapshotFree (snapshot);
	vmc_fault_point ("redirected");
	vmc_overlay_measure (overlay);
	return 0;
}

int vmc_overlay_settle (struct vmc_overlay *overlay, struct vmc_error *err)
{
	struct vmc_error other;

	if (vmc_saved_xml_settle (overlay->domain, overlay->journal.overlay, true, err) >= 0)
		return 0;
	if (vmc_overlay_check (overlay, &other) < 0) /* somebody was at it: that is why */
		*err = other;
	return -1;
}

/* --- afterwards ------------------------------------------------------------------------------- */

static bool same (char *now, const char *before)
{
	bool equal = now != NULL && strcmp (now, before) == 0;

	free (now);
	return equal;
}

/* Somebody may have had reasons to change something else since a run was killed: then only the disk counts. */
static bool same_inactive (const struct vmc_overlay *overlay, char *now)
{
	const struct vmc_journal *journal = &overlay->journal;
	char *disk;
	bool equal;

	if (now == NULL || journal->inactive_xml == NULL || overlay->live_disk_before != NULL)
		return same (now, journal->inactive_xml ? journal->inactive_xml : "");
	disk = vmc_domain_xml_disk_text (journal->inactive_xml, journal->target);
	equal = disk != NULL && same (vmc_domain_xml_disk_text (now, journal->target), disk);
	free (disk);
	free (now);
	return equal;
}

int vmc_overlay_check_xml (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	int active = VMC_LIBVIRT (virDomainIsActive (overlay->domain->handle));
	bool equal;
	char *live;

	if (active < 0)
		return virGetLastErrorCode () == VIR_ERR_NO_DOMAIN
			       ? 0
			       : vmc_fail_libvirt (err, VMC_FAILED, "cannot look at the domain");
	if (!same_inactive (overlay, vmc_domain_xml (overlay->domain->handle, true, err)))
		return vmc_fail (err, VMC_FAILED, 0,
				 "the XML of the domain is not what it was before the run; compare it with your own "
				 "copy");
	if (active == 0 || overlay->live_disk_before == NULL)
		return 0;
	live = vmc_domain_xml (overlay->domain->handle, false, err);
	if (live == NULL)
		return -1;
	equal = same (vmc_domain_xml_disk_text (live, overlay->journal.target), overlay->live_disk_before);
	free (live);
	return equal ? 0
		     : vmc_fail (err, VMC_FAILED, 0,
				 "the disk in the live XML of the domain is not what it was before the run");
}

void vmc_overlay_clear (struct vmc_overlay *overlay)
{
	free (overlay->live_disk_before);
	overlay->live_disk_before = NULL;
	vmc_journal_clear (&overlay->journal);
}
