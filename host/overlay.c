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
#include "directories.h"
#include "fault.h"
#include "guard.h"
#include "image.h"
#include "new_image.h"
#include "owner.h"
#include "process.h"
#include "saved_xml.h"

#define CREATE_MS 60000

/* --- looking ---------------------------------------------------------------------------------- */

/* What an overlay lies over that is OVER_NEW: the base, or the new image under its own name. False: the name does not fit. */
static bool name_below (const struct vmc_journal *journal, bool over_new, char *below)
{
	return vmc_new_image_name (journal->base, over_new ? VMC_NEW_SUFFIX : "", below);
}

/* On the overlay means: directly over what it was made for. The XML of a domain that is off may not name that. */
static bool is_ours (const struct vmc_journal *journal, const struct vmc_disk *disk, const char *overlay, bool over_new,
		     bool active)
{
	char below[VMC_PATH_SIZE];

	if (overlay[0] == 0 || strcmp (disk->path, overlay) != 0)
		return false;
	if (disk->backing_count == 0)
		return !active;
	return name_below (journal, over_new, below) && strcmp (disk->backing[0], below) == 0;
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
	if (is_ours (journal, disk, journal->overlay, journal->over_new, state->active))
		state->where = VMC_ON_OVERLAY;
	else if (is_ours (journal, disk, journal->next, !journal->over_new, state->active))
		state->where = VMC_ON_NEXT;
	else if (strcmp (disk->path, journal->base) == 0)
		state->where = VMC_ON_BASE;
	else if (strcmp (disk->path, journal->overlay) != 0)
		state->where = look_below (journal, disk, state->active);
	if (!disk->mirror)
		return;
	state->copy = journal->next[0] != 0 && strcmp (disk->mirror_path, journal->next) == 0;
	state->stray_copy = state->copy && state->where != VMC_ON_OVERLAY;
	state->copy = state->copy && !state->stray_copy;
	/* Over the new image, no commit is ours. */
	state->job = state->copy || (state->where == VMC_ON_OVERLAY && !journal->over_new &&
				     strcmp (disk->mirror_path, journal->base) == 0);
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

/* libvirtd may have died before it noted what QEMU had done. What QEMU writes to, its locks tell: all of them, or nothing is said.
 * One file that could not be asked about must not make another look like the only one. */
static int look_at_locks (const struct vmc_journal *journal, struct vmc_overlay_state *state, struct vmc_error *err)
{
	bool overlay, base, next;

	/* An empty name is that of no file. */
	if (vmc_guard_ask (journal->overlay, &overlay, err) < 0 || vmc_guard_ask (journal->base, &base, err) < 0 ||
	    vmc_guard_ask (journal->next, &next, err) < 0)
		return -1;
	state->orphan = !state->active && (overlay || next || base);
	state->on_target = (journal->next[0] != 0 ? next : base) && !overlay;
	if (state->active && state->where == VMC_ON_BASE && overlay)
		state->where = VMC_UNNOTICED;
	if (state->active && state->where == VMC_ON_OVERLAY && state->on_target)
		state->where = VMC_FORGOTTEN;
	if (state->active && state->where == VMC_ON_NEXT && overlay && !next)
		state->where = VMC_FORGOTTEN;
	return 0;
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
	return result < 0 ? -1 : look_at_locks (&overlay->journal, state, err);
}

void vmc_overlay_measure (struct vmc_overlay *overlay)
{
	struct stat status;
	uint64_t bytes = 0;

	if (stat (overlay->journal.overlay, &status) == 0)
		bytes += (uint64_t) status.st_blocks * 512;
	if (overlay->journal.next[0] != 0 && stat (overlay->journal.next, &status) == 0)
		bytes += (uint64_t) status.st_blocks * 512;
	if (bytes > overlay->peak_bytes)
		overlay->peak_bytes = bytes;
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

void vmc_overlay_note (struct vmc_overlay *overlay, enum vmc_journal_step step)
{
	if (overlay->journal.step == step || overlay->journal.step == VMC_STEP_ON_BASE)
		return;
	overlay->journal.step = step;
	vmc_journal_note (&overlay->journal);
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
	overlay->journal.inactive_xml = vmc_domain_xml (overlay->domain->handle, true, err);
	overlay->live_xml_before = vmc_domain_xml (overlay->domain->handle, false, err);
	if (overlay->journal.inactive_xml == NULL || overlay->live_xml_before == NULL)
		return -1;
	return check_next_start (&overlay->journal, err);
}

/* A new file that nobody else has made, with the owner and the label of OWNER. *PATH becomes empty when it is not ours. */
static int make_file (char *path, const struct vmc_owner *owner, uint64_t *inode, struct vmc_error *err)
{
	int fd = open (path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), result = 0;
	char directory[VMC_PATH_SIZE];
	struct stat own;

	if (fd < 0) {
		(void) vmc_fail (err, VMC_REFUSED, errno, "cannot make the overlay '%s'", path);
		path[0] = 0; /* what is there is not ours */
		return -1;
	}
	vmc_fault_point ("made");
	if (vmc_owner_give (owner, fd) < 0 || fstat (fd, &own) < 0)
		result = vmc_fail (err, VMC_FAILED, errno, "cannot make the overlay '%s'", path);
	else
		*inode = own.st_ino;
	if (close (fd) < 0 && result == 0)
		result = vmc_fail (err, VMC_FAILED, errno, "cannot make the overlay '%s'", path);
	vmc_image_directory (path, directory);
	return result < 0 ? -1 : vmc_directory_sync (directory, err);
}

/* -u: what lies below, which the domain may have open, is not opened. */
static int format_file (const char *path, const char *below, const char *below_format, uint64_t virtual_bytes,
			struct vmc_error *err)
{
	char size[32];
	const char *const argv[] = {"qemu-img",   "create", "-q",  "-u", "-f", "qcow2", "-F",
				    below_format, "-b",     below, path, size, NULL};

	(void) snprintf (size, sizeof size, "%llu", (unsigned long long) ((virtual_bytes + 511) / 512 * 512));
	return vmc_process_run (argv, vmc_now_ms () + CREATE_MS, err);
}

static int make_overlay (struct vmc_overlay *overlay, const char *base_format, uint64_t virtual_bytes,
			 struct vmc_error *err)
{
	struct vmc_journal *journal = &overlay->journal;
	struct vmc_owner owner;
	struct stat status;

	if (vmc_owner_of (journal->base, &owner, err) < 0 ||
	    make_file (journal->overlay, &owner, &journal->overlay_inode, err) < 0 ||
	    vmc_journal_write (journal, err) < 0 ||
	    format_file (journal->overlay, journal->base, base_format, virtual_bytes, err) < 0)
		return -1;
	if (stat (journal->overlay, &status) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot look at the overlay '%s'", journal->overlay);
	journal->overlay_bytes = (uint64_t) status.st_size;
	return 0;
}

/* A device has no inode that lasts: its node may be another one after a boot. */
static void note_base (struct vmc_journal *journal)
{
	struct stat status;

	if (stat (journal->base, &status) == 0 && S_ISREG (status.st_mode))
		journal->base_inode = status.st_ino;
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
	note_base (journal);
	(void) snprintf (journal->overlay, sizeof journal->overlay, "%s", path);
	if (remember_xml (overlay, err) < 0 || vmc_overlay_step (overlay, VMC_STEP_PREPARE, err) < 0)
		return -1;
	vmc_deadline_means (VMC_INTERRUPTED);
	vmc_fault_point ("prepare");
	if (make_overlay (overlay, disk->format, virtual_bytes, err) < 0)
		return -1;
	vmc_fault_point ("prepared");
	/* Before the freeze, so that it is as short as can be. */
	return vmc_overlay_step (overlay, VMC_STEP_REDIRECT, err);
}

/* The overlays of a run take turns: NAME.vmcompact-overlay and NAME.vmcompact-overlay2. */
bool vmc_overlay_next_name (const char *overlay, char *next)
{
	size_t length = strlen (overlay), mark = strlen (VMC_OVERLAY_SECOND);
	bool second = length > mark && strcmp (overlay + length - mark, VMC_OVERLAY_SECOND) == 0;

	return snprintf (next, VMC_PATH_SIZE, "%.*s%s", (int) (second ? length - mark : length), overlay,
			 second ? "" : VMC_OVERLAY_SECOND) < VMC_PATH_SIZE;
}

int vmc_overlay_prepare_next (struct vmc_overlay *overlay, struct vmc_error *err)
{
	struct vmc_journal *journal = &overlay->journal;
	char below[VMC_PATH_SIZE];
	virDomainBlockInfo info;
	struct vmc_owner owner;

	if (!name_below (journal, !journal->over_new, below) ||
	    !vmc_overlay_next_name (journal->overlay, journal->next))
		return vmc_fail (err, VMC_FAILED, ENAMETOOLONG, "the path of the image is too long");
	if (VMC_LIBVIRT (virDomainGetBlockInfo (overlay->domain->handle, journal->target, &info, 0)) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the size of the disk");
	journal->next_inode = 0;
	journal->former = false;
	if (vmc_journal_write (journal, err) < 0 || vmc_owner_remembered (journal->overlay, &owner, err) < 0)
		return -1;
	if (make_file (journal->next, &owner, &journal->next_inode, err) < 0) {
		vmc_journal_note (journal); /* if it is somebody's, it has no place there */
		return -1;
	}
	if (vmc_journal_write (journal, err) < 0)
		return -1;
	return format_file (journal->next, below, journal->new_format, info.capacity, err);
}

void vmc_overlay_adopt_next (struct vmc_overlay *overlay)
{
	struct vmc_journal *journal = &overlay->journal;
	char former[VMC_PATH_SIZE];
	uint64_t former_inode = journal->overlay_inode;

	memcpy (former, journal->overlay, sizeof former);
	memcpy (journal->overlay, journal->next, sizeof former);
	memcpy (journal->next, former, sizeof former);
	journal->overlay_inode = journal->next_inode;
	journal->next_inode = former_inode;
	journal->former = true;
	journal->overlay_bytes = 0; /* it has been written to */
	journal->over_new = !journal->over_new;
	journal->step = VMC_STEP_COMMIT;
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

char *vmc_overlay_wanted_xml (const struct vmc_overlay *overlay, const char *before)
{
	const struct vmc_journal *journal = &overlay->journal;

	if (before == NULL || !vmc_new_image_in_place (journal))
		return before ? strdup (before) : NULL;
	return vmc_domain_xml_on_image (before, journal->target, NULL, journal->new_format);
}

/* The disk that the domain had before the run, of another format after a rewrite, is the one of its next start. */
int vmc_overlay_define_wanted (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	char *now = vmc_domain_xml (overlay->domain->handle, true, err), *wanted, *restored = NULL;
	int result;

	if (now == NULL)
		return -1;
	wanted = vmc_overlay_wanted_xml (overlay, overlay->journal.inactive_xml);
	if (wanted != NULL)
		restored = vmc_domain_xml_with_disk (now, wanted, overlay->journal.target);
	free (wanted);
	free (now);
	if (restored == NULL)
		return vmc_fail (err, VMC_FAILED, 0, "the disk is no longer in the domain's XML");
	result = vmc_domain_define (overlay->domain, restored, err);
	free (restored);
	return result;
}

int vmc_overlay_find_path (const struct vmc_overlay *overlay, bool inactive, char *path, struct vmc_error *err)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	char *xml = vmc_domain_xml (overlay->domain->handle, inactive, err);
	const struct vmc_disk *disk;
	int result;

	if (xml == NULL)
		return -1;
	result = vmc_domain_xml_parse (xml, &disks, err);
	free (xml);
	if (result < 0)
		return -1;
	disk = vmc_disks_find (&disks, overlay->journal.target);
	path[0] = 0;
	if (disk != NULL)
		memcpy (path, disk->path, sizeof disk->path);
	return 0;
}

/* Is the disk in the XML, live or INACTIVE, as in BEFORE, or as it is to be after a rewrite? */
static int check_disk (const struct vmc_overlay *overlay, const char *before, bool inactive, struct vmc_error *err)
{
	const char *target = overlay->journal.target;
	char *now = vmc_domain_xml (overlay->domain->handle, inactive, err);
	char *wanted = vmc_overlay_wanted_xml (overlay, before);
	char *disk = wanted ? vmc_domain_xml_disk_text (wanted, target) : NULL;
	bool known = now != NULL;
	bool equal = known && disk != NULL && same (vmc_domain_xml_disk_text (now, target), disk);

	free (disk);
	free (wanted);
	free (now);
	if (!known || equal)
		return known ? 0 : -1;
	return vmc_fail (err, VMC_FAILED, 0,
			 "the disk in the %s XML of the domain is not what it was before the run; compare it with your "
			 "own copy",
			 inactive ? "inactive" : "live");
}

/* All of it must be the same, unless a rewrite has changed the disk, or the run that is brought home was killed: somebody may have
 * had reasons to change something else since. */
static int check_inactive (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	const char *before = overlay->journal.inactive_xml;

	if (before == NULL)
		return 0;
	if (overlay->live_xml_before == NULL || vmc_new_image_in_place (&overlay->journal))
		return check_disk (overlay, before, true, err);
	if (same (vmc_domain_xml (overlay->domain->handle, true, err), before))
		return 0;
	return vmc_fail (err, VMC_FAILED, 0,
			 "the XML of the domain is not what it was before the run; compare it with your own copy");
}

int vmc_overlay_check_xml (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	int active = VMC_LIBVIRT (virDomainIsActive (overlay->domain->handle));

	if (active < 0)
		return virGetLastErrorCode () == VIR_ERR_NO_DOMAIN
			       ? 0
			       : vmc_fail_libvirt (err, VMC_FAILED, "cannot look at the domain");
	if (check_inactive (overlay, err) < 0)
		return -1;
	if (active == 0 || overlay->live_xml_before == NULL)
		return 0;
	return check_disk (overlay, overlay->live_xml_before, false, err);
}

void vmc_overlay_clear (struct vmc_overlay *overlay)
{
	free (overlay->live_xml_before);
	overlay->live_xml_before = NULL;
	vmc_journal_clear (&overlay->journal);
}
