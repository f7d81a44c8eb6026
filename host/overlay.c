/* overlay.c - see overlay.h
 *
 * The overlay is made empty and owned by the base's owner before the guest is frozen, so that nothing but the redirection
 * itself happens during the freeze. Killed before that, a run leaves an empty file that nobody uses; killed after it, the
 * domain runs on (or boots from) the overlay over its base, which is a complete chain.
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
#include "connection.h"
#include "process.h"

#define CREATE_MS 60000

/* --- looking ---------------------------------------------------------------------------------- */

/* On the overlay means: directly over the base. The XML of a domain that is off may not name the base. */
static bool is_ours (const struct vmc_overlay *overlay, const struct vmc_disk *disk, bool active)
{
	if (strcmp (disk->path, overlay->path) != 0)
		return false;
	if (disk->backing_count == 0)
		return !active;
	return strcmp (disk->backing[0], overlay->base) == 0;
}

static int look_at_disk (const struct vmc_overlay *overlay, const struct vmc_disk *disk,
			 struct vmc_overlay_state *state)
{
	state->where = disk == NULL                              ? VMC_ELSEWHERE
		       : is_ours (overlay, disk, state->active)  ? VMC_ON_OVERLAY
		       : strcmp (disk->path, overlay->base) == 0 ? VMC_ON_BASE
								 : VMC_ELSEWHERE;
	if (disk == NULL || !disk->mirror)
		return 0;
	state->job = state->where == VMC_ON_OVERLAY && strcmp (disk->mirror_path, overlay->base) == 0;
	state->other_job = !state->job;
	state->ready = disk->mirror_ready;
	return 0;
}

/* The handle remembers the id of the run that it was looked up in: ask anew. */
static int domain_id (const struct vmc_overlay *overlay)
{
	virDomainPtr now = virDomainLookupByUUIDString (overlay->domain->connection, overlay->domain->uuid);
	int id = now ? (int) virDomainGetID (now) : 0;

	if (now != NULL)
		(void) virDomainFree (now);
	return id;
}

int vmc_overlay_look (const struct vmc_overlay *overlay, struct vmc_overlay_state *state, struct vmc_error *err)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	int active = virDomainIsActive (overlay->domain->handle), result;
	char *xml;

	*state = (struct vmc_overlay_state) {.where = VMC_GONE};
	if (active < 0 && virGetLastErrorCode () == VIR_ERR_NO_DOMAIN)
		return 0;
	if (active < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the state of the domain");
	state->active = active == 1;
	state->id = domain_id (overlay);
	xml = vmc_domain_xml (overlay->domain->handle, !state->active, err);
	if (xml == NULL)
		return virGetLastErrorCode () == VIR_ERR_NO_DOMAIN ? 0 : -1;
	result = vmc_domain_xml_parse (xml, &disks, err);
	free (xml);
	return result < 0 ? -1 : look_at_disk (overlay, vmc_disks_find (&disks, overlay->target), state);
}

void vmc_overlay_measure (struct vmc_overlay *overlay)
{
	struct stat status;

	if (stat (overlay->path, &status) == 0 && (uint64_t) status.st_blocks * 512 > overlay->peak_bytes)
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

static int remember_xml (struct vmc_overlay *overlay, struct vmc_error *err)
{
	char *live;

	overlay->inactive_before = vmc_domain_xml (overlay->domain->handle, true, err);
	live = vmc_domain_xml (overlay->domain->handle, false, err);
	if (live != NULL)
		overlay->live_disk_before = vmc_domain_xml_disk_text (live, overlay->target);
	free (live);
	if (overlay->inactive_before == NULL || live == NULL)
		return -1;
	if (overlay->live_disk_before == NULL)
		return vmc_fail (err, VMC_FAILED, 0, "the disk is no longer in the domain's XML");
	return 0;
}

/* An empty file that nobody else has made, owned as the base is: libvirt gives it to QEMU, or lets it as it is. */
static int make_file (struct vmc_overlay *overlay, struct vmc_error *err)
{
	int fd = open (overlay->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat base, own;

	if (fd < 0)
		return vmc_fail (err, VMC_REFUSED, errno, "cannot make the overlay '%s'", overlay->path);
	if (fstat (fd, &own) == 0) {
		overlay->made = true;
		overlay->device = own.st_dev;
		overlay->inode = own.st_ino;
	}
	if (!overlay->made || stat (overlay->base, &base) < 0 || fchown (fd, base.st_uid, base.st_gid) < 0) {
		(void) vmc_fail (err, VMC_FAILED, errno, "cannot make the overlay '%s'", overlay->path);
		(void) close (fd);
		return -1;
	}
	return close (fd) < 0 ? vmc_fail (err, VMC_FAILED, errno, "cannot make the overlay '%s'", overlay->path) : 0;
}

/* -u: the base, which the domain has open, is not opened. */
static int format_overlay (const struct vmc_overlay *overlay, const char *base_format, uint64_t virtual_bytes,
			   struct vmc_error *err)
{
	char size[32];
	const char *const argv[] = {"qemu-img",  "create", "-q",          "-u",          "-f", "qcow2", "-F",
				    base_format, "-b",     overlay->base, overlay->path, size, NULL};

	(void) snprintf (size, sizeof size, "%llu", (unsigned long long) ((virtual_bytes + 511) / 512 * 512));
	return vmc_process_run (argv, vmc_now_ms () + CREATE_MS, err);
}

int vmc_overlay_prepare (const struct vmc_domain *domain, const struct vmc_disk *disk, const char *path,
			 uint64_t virtual_bytes, struct vmc_overlay *overlay, struct vmc_error *err)
{
	*overlay = (struct vmc_overlay) {.domain = domain};
	memcpy (overlay->target, disk->target, sizeof overlay->target);
	memcpy (overlay->base, disk->path, sizeof overlay->base);
	(void) snprintf (overlay->path, sizeof overlay->path, "%s", path);
	if (remember_xml (overlay, err) < 0 || make_file (overlay, err) < 0)
		return -1;
	return format_overlay (overlay, disk->format, virtual_bytes, err);
}

int vmc_overlay_create (struct vmc_overlay *overlay, const struct vmc_disks *disks, struct vmc_error *err)
{
	const unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA |
			       VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC | VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT;
	char *xml = vmc_domain_xml_snapshot (disks, overlay->target, overlay->path);
	virDomainSnapshotPtr snapshot;

	if (xml == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the snapshot's XML");
	overlay->attempted = true;
	snapshot = virDomainSnapshotCreateXML (overlay->domain->handle, xml, flags);
	free (xml);
	if (snapshot == NULL)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot redirect the disk to an overlay");
	(void) virDomainSnapshotFree (snapshot);
	overlay->used = true;
	vmc_overlay_measure (overlay);
	return 0;
}

/* --- afterwards ------------------------------------------------------------------------------- */

static bool same (char *now, const char *before)
{
	bool equal = now != NULL && strcmp (now, before) == 0;

	free (now);
	return equal;
}

int vmc_overlay_check_xml (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	int active = virDomainIsActive (overlay->domain->handle);
	char *live;

	if (active < 0)
		return virGetLastErrorCode () == VIR_ERR_NO_DOMAIN
			       ? 0
			       : vmc_fail_libvirt (err, VMC_FAILED, "cannot look at the domain");
	if (!same (vmc_domain_xml (overlay->domain->handle, true, err), overlay->inactive_before))
		return vmc_fail (err, VMC_FAILED, 0,
				 "the XML of the domain is not what it was before the run; compare it with your own "
				 "copy");
	if (active == 0)
		return 0;
	live = vmc_domain_xml (overlay->domain->handle, false, err);
	if (live == NULL)
		return -1;
	if (!same (vmc_domain_xml_disk_text (live, overlay->target), overlay->live_disk_before)) {
		free (live);
		return vmc_fail (err, VMC_FAILED, 0,
				 "the disk in the live XML of the domain is not what it was before the run");
	}
	free (live);
	return 0;
}

void vmc_overlay_clear (struct vmc_overlay *overlay)
{
	free (overlay->inactive_before);
	free (overlay->live_disk_before);
	overlay->inactive_before = overlay->live_disk_before = NULL;
}
