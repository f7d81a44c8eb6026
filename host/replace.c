/* replace.c - see replace.h
 *
 *   journal    which file is which, and the XML as it was
 *   name       the new image: BASE.vmcompact-new
 *   define     only if the format changes: the XML names the new image by that name, with its format, in one step of libvirt's
 *   swap       the old image gets a second name, the new one is renamed to the path of the image
 *   wait       a QEMU that has opened the old file before the rename fails at our lock; until it has closed it, the lock is held
 *   define     the XML names the path again
 *   tidy       the names that are no longer needed, the journal
 *
 * At every moment the XML names a complete image of the format that it says. Killed before the XML names the new image or the
 * path is its own, all goes back; from then on it goes forward, because the domain may have been started on it.
 */
#include "replace.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "connection.h"
#include "directories.h"
#include "fault.h"
#include "guard.h"
#include "new_image.h"
#include "rewrite.h"
#include "saved_xml.h"

#define WAIT_MAX_MS 10000
#define LOOK_MS 50

/* --- the files -------------------------------------------------------------------------------- */

static int name_new (const struct vmc_journal *journal, int fd, struct vmc_error *err)
{
	char path[VMC_PATH_SIZE];

	if (!vmc_new_image_name (journal->base, VMC_NEW_SUFFIX, path))
		return vmc_fail (err, VMC_REFUSED, 0, "the path of the image is too long");
	vmc_fault_point ("name");
	if (vmc_rewrite_name (fd, path, err) < 0)
		return -1;
	vmc_fault_point ("named");
	return 0;
}

/* The old image must not be written to any more: nobody would find it. */
static int swap (const struct vmc_journal *journal, struct vmc_error *err)
{
	uint64_t until_ms = vmc_now_ms () + WAIT_MAX_MS;
	char old[VMC_PATH_SIZE];

	if (!vmc_new_image_name (journal->base, VMC_OLD_SUFFIX, old) || vmc_new_image_swap (journal, err) < 0)
		return -1;
	while (access (old, F_OK) == 0 && vmc_guard_unwritten (old, err) < 0) {
		if (vmc_now_ms () >= until_ms) {
			err->code = VMC_INTERRUPTED;
			return -1;
		}
		vmc_events_pause (LOOK_MS);
	}
	return 0;
}

int vmc_replace_file (const struct vmc_journal *journal, int fd, struct vmc_error *err)
{
	struct vmc_error second;
	int result = name_new (journal, fd, err);

	if (result == 0)
		result = swap (journal, err);
	if (result == 0 || !vmc_new_image_in_place (journal))
		if (vmc_new_image_tidy (journal, &second) < 0 && result == 0) {
			*err = second;
			return -1;
		}
	return result;
}

/* --- the disk of a domain --------------------------------------------------------------------- */

/* Only one of the two may be seen: the XML as it was, or the new image by its own name. */
static int define_new (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	const struct vmc_journal *journal = &overlay->journal;
	char path[VMC_PATH_SIZE], *xml;
	int result;

	if (!vmc_new_image_name (journal->base, VMC_NEW_SUFFIX, path))
		return vmc_fail (err, VMC_REFUSED, 0, "the path of the image is too long");
	xml = vmc_domain_xml_on_image (journal->inactive_xml, journal->target, path, journal->new_format);
	if (xml == NULL)
		return vmc_fail (err, VMC_FAILED, 0, "the disk is no longer in the domain's XML");
	vmc_fault_point ("define-new");
	result = vmc_domain_define (overlay->domain, xml, err);
	free (xml);
	if (result == 0)
		result = vmc_saved_xml_settle (overlay->domain, path, true, err) < 0 ? -1 : 0;
	vmc_fault_point ("defined-new");
	return result;
}

/* The XML names the path, with the format of the new image. */
static int define_path (const struct vmc_overlay *overlay, struct vmc_error *err)
{
	const struct vmc_journal *journal = &overlay->journal;
	char path[VMC_PATH_SIZE];
	struct vmc_error differs;

	if (!vmc_new_image_name (journal->base, VMC_NEW_SUFFIX, path))
		return vmc_fail (err, VMC_REFUSED, 0, "the path of the image is too long");
	if (vmc_overlay_check_xml (overlay, &differs) < 0 && vmc_overlay_define_wanted (overlay, err) < 0)
		return -1;
	vmc_fault_point ("defined");
	return vmc_saved_xml_settle (overlay->domain, path, false, err) < 0 ? -1 : 0;
}

static int go_forward (struct vmc_overlay *overlay, struct vmc_error *err)
{
	const struct vmc_journal *journal = &overlay->journal;
	char new[VMC_PATH_SIZE], path[VMC_PATH_SIZE] = "";
	int active;

	if (swap (journal, err) < 0 || define_path (overlay, err) < 0)
		return -1;
	/* It may have been started on the new image before the XML named the path. */
	active = VMC_LIBVIRT (virDomainIsActive (overlay->domain->handle));
	if (active < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the state of the domain");
	if (active == 1 && vmc_overlay_find_path (overlay, false, path, err) < 0)
		return -1;
	if (vmc_new_image_name (journal->base, VMC_NEW_SUFFIX, new) && strcmp (path, new) == 0)
		return vmc_fail (err, VMC_INTERRUPTED, 0,
				 "the domain runs on its new image under another name, '%s'; when the guest has been "
				 "switched off, run vmcompact --recover",
				 new);
	if (vmc_new_image_tidy (journal, err) < 0)
		return -1;
	return vmc_journal_remove (journal->uuid, err);
}

static int go_back (struct vmc_overlay *overlay, struct vmc_error *err)
{
	if (vmc_new_image_tidy (&overlay->journal, err) < 0)
		return -1;
	return vmc_journal_remove (overlay->journal.uuid, err);
}

bool vmc_replace_is (const struct vmc_journal *journal)
{
	return journal->step == VMC_STEP_PREPARE && journal->new_inode != 0 && journal->overlay[0] == 0;
}

int vmc_replace_recover (struct vmc_overlay *overlay, struct vmc_error *err)
{
	const struct vmc_journal *journal = &overlay->journal;
	char path[VMC_PATH_SIZE], new[VMC_PATH_SIZE];

	if (!vmc_new_image_name (journal->base, VMC_NEW_SUFFIX, new))
		return vmc_fail (err, VMC_INTERRUPTED, 0, "the path of the image is too long");
	if (overlay->domain->handle == NULL)
		return vmc_fail (err, VMC_INTERRUPTED, 0,
				 "the domain is no longer known here; '%s' and '%s' are both complete images of its "
				 "disk; remove the one that is not needed, and " VMC_STATE_DIRECTORY "/%s.journal",
				 journal->base, new, journal->uuid);
	if (vmc_overlay_find_path (overlay, true, path, err) < 0)
		return -1;
	if (strcmp (path, new) == 0 || vmc_new_image_in_place (journal))
		return go_forward (overlay, err);
	if (strcmp (path, journal->base) == 0)
		return go_back (overlay, err);
	return vmc_fail (err, VMC_INTERRUPTED, 0,
			 "somebody has changed the disk in the domain's XML; its image is '%s', or '%s'", journal->base,
			 new);
}

static int replace (struct vmc_overlay *overlay, int fd, const char *format, struct vmc_error *err)
{
	struct vmc_journal *journal = &overlay->journal;

	if (vmc_journal_write (journal, err) < 0 || name_new (journal, fd, err) < 0)
		return -1;
	if (strcmp (format, journal->new_format) != 0 && define_new (overlay, err) < 0)
		return -1;
	return go_forward (overlay, err);
}

/* What the disk's format is now, as the XML says. */
static int find_format (const struct vmc_journal *journal, char *format, struct vmc_error *err)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	const struct vmc_disk *disk;

	if (vmc_domain_xml_parse (journal->inactive_xml, &disks, err) < 0)
		return -1;
	disk = vmc_disks_find (&disks, journal->target);
	if (disk == NULL || strcmp (disk->path, journal->base) != 0)
		return vmc_fail (err, VMC_FAILED, 0, "somebody else has changed the disk of the domain");
	memcpy (format, disk->format, sizeof disk->format);
	return 0;
}

int vmc_replace_disk (struct vmc_overlay *overlay, int fd, struct vmc_error *err)
{
	struct vmc_journal *journal = &overlay->journal;
	char format[VMC_NAME_SIZE];
	struct vmc_error second;

	journal->inactive_xml = vmc_domain_xml (overlay->domain->handle, true, err);
	if (journal->inactive_xml == NULL || find_format (journal, format, err) < 0)
		return -1;
	vmc_deadline_means (VMC_INTERRUPTED);
	if (replace (overlay, fd, format, err) < 0) {
		if (err->code == VMC_INTERRUPTED)
			return -1;
		if (vmc_replace_recover (overlay, &second) < 0) {
			*err = second;
			err->code = VMC_INTERRUPTED;
			return vmc_fail_in (err, "the image is being replaced; run vmcompact --recover");
		}
		if (!vmc_new_image_in_place (journal))
			return -1;
	}
	vmc_deadline_means (VMC_FAILED);
	return 0;
}
