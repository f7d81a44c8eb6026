/* recover.c - see recover.h
 *
 * A journal names the disk, the overlay and the step. Without one (it was lost), a disk that lies on a file with the name of an
 * overlay of ours is taken for one: while the domain runs, committing it changes nothing that the guest can see. A domain
 * that is off is left alone then, because nothing tells whether overlay or base is newer.
 */
#include "recover.h"

#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "freeze.h"
#include "home.h"
#include "new_image.h"
#include "progress.h"
#include "text.h"

/* --- without a journal ------------------------------------------------------------------------ */

static bool ends_with (const char *text, const char *end)
{
	size_t length = strlen (text), end_length = strlen (end);

	return length >= end_length && strcmp (text + length - end_length, end) == 0;
}

/* The length of PATH without the end that makes it the name of an overlay; 0: it has none. */
static size_t stem_of (const char *path)
{
	if (ends_with (path, VMC_OVERLAY_SUFFIX))
		return strlen (path) - strlen (VMC_OVERLAY_SUFFIX);
	if (ends_with (path, VMC_OVERLAY_SUFFIX VMC_OVERLAY_SECOND))
		return strlen (path) - strlen (VMC_OVERLAY_SUFFIX VMC_OVERLAY_SECOND);
	return 0;
}

/* Does DISK lie on what may be an overlay of ours: beside its base (or that one's new image), or in a directory for overlays? */
static bool is_overlay (const struct vmc_disk *disk, const char *uuid)
{
	char name[VMC_UUID_SIZE + VMC_NAME_SIZE + 2], stem[VMC_PATH_SIZE];
	size_t length = stem_of (disk->path);

	if (length == 0)
		return false;
	(void) snprintf (stem, sizeof stem, "%.*s", (int) length, disk->path);
	(void) snprintf (name, sizeof name, "/%s-%s", uuid, disk->target);
	return disk->backing_count == 0 || ends_with (stem, name) ||
	       (strncmp (disk->backing[0], stem, length) == 0 &&
		(disk->backing[0][length] == 0 || strcmp (disk->backing[0] + length, VMC_NEW_SUFFIX) == 0));
}

static const struct vmc_disk *find_overlay (const struct vmc_disks *disks, const char *uuid)
{
	for (size_t i = 0; i < disks->count; i++)
		if (is_overlay (&disks->items[i], uuid))
			return &disks->items[i];
	return NULL;
}

/* In the middle of a convert: the domain is over the new image. The old one is kept, as nobody knows what was asked for. */
static void find_images (const struct vmc_disk *disk, struct vmc_journal *journal)
{
	struct stat status;

	journal->over_new = journal->keep_old = true;
	memcpy (journal->new_format, disk->backing_format[0], sizeof journal->new_format);
	if (stat (disk->backing[0], &status) == 0)
		journal->new_inode = status.st_ino;
	if (stat (journal->base, &status) == 0)
		journal->old_inode = status.st_ino;
}

static void make_journal (const struct vmc_domain *domain, const struct vmc_disk *disk, struct vmc_journal *journal)
{
	struct stat status;
	size_t length;

	memcpy (journal->uuid, domain->uuid, sizeof journal->uuid);
	memcpy (journal->name, domain->name, sizeof journal->name);
	memcpy (journal->target, disk->target, sizeof journal->target);
	memcpy (journal->overlay, disk->path, sizeof journal->overlay);
	if (disk->backing_count > 0)
		memcpy (journal->base, disk->backing[0], sizeof journal->base);
	else
		(void) snprintf (journal->base, sizeof journal->base, "%.*s", (int) stem_of (disk->path), disk->path);
	length = strlen (journal->base);
	if (ends_with (journal->base, VMC_NEW_SUFFIX) && length > strlen (VMC_NEW_SUFFIX)) {
		journal->base[length - strlen (VMC_NEW_SUFFIX)] = 0;
		find_images (disk, journal);
	}
	journal->step = VMC_STEP_COMMIT;
	if (lstat (disk->path, &status) == 0)
		journal->overlay_inode = status.st_ino;
}

/* 1: there is something, described in JOURNAL. */
static int adopt (const struct vmc_domain *domain, struct vmc_journal *journal, struct vmc_error *err)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	const struct vmc_disk *disk;

	if (domain->handle == NULL)
		return 0;
	if (vmc_domain_disks (domain, &disks, err) < 0)
		return -1;
	disk = find_overlay (&disks, domain->uuid);
	if (disk == NULL)
		return 0;
	make_journal (domain, disk, journal);
	return 1;
}

/* --- one domain ------------------------------------------------------------------------------- */

/* 1: there is something, described in JOURNAL, which the caller clears. */
static int find_left (const struct vmc_domain *domain, struct vmc_journal *journal, struct vmc_error *err)
{
	int found = vmc_journal_read (domain->uuid, journal, err);

	return found != 0 ? found : adopt (domain, journal, err);
}

int vmc_recover_pending (struct vmc_domain *domain, struct vmc_error *err)
{
	struct vmc_journal journal;
	int found = find_left (domain, &journal, err);

	vmc_journal_clear (&journal);
	return found;
}

/* The way home may be long, and a guest that is frozen stands still. If this fails, it is tried once more at its end. */
static void thaw_first (const struct vmc_domain *domain, struct vmc_journal *journal)
{
	struct vmc_error unheard;

	if (vmc_freeze_end_left (domain, journal, &unheard) < 0)
		return;
}

int vmc_recover_domain (struct vmc_domain *domain, unsigned pause_max_ms, struct vmc_error *err)
{
	/* Two disks are away only if the journals were lost. */
	for (int i = 0; i < 64; i++) {
		struct vmc_overlay overlay = {.domain = domain};
		int result = find_left (domain, &overlay.journal, err);

		if (result == 1) {
			vmc_deadline_means (VMC_INTERRUPTED);
			vmc_progress_step (overlay.journal.target, "recover");
			thaw_first (domain, &overlay.journal);
			result = vmc_home (&overlay, pause_max_ms, err) < 0 ? -1 : 1;
			vmc_progress_end ();
		}
		if (result == 1 && domain->handle != NULL && overlay.journal.inactive_xml != NULL)
			result = vmc_overlay_check_xml (&overlay, err) < 0 ? -1 : 1;
		vmc_overlay_clear (&overlay);
		if (result != 1)
			return result;
	}
	return vmc_fail (err, VMC_INTERRUPTED, 0, "there is no end to what is left of earlier runs");
}

/* --- finding ---------------------------------------------------------------------------------- */

struct search {
	const char *name;
	struct vmc_domain *domain;
};

/* 1: found. */
static int compare_journal (void *opaque, const char *uuid, struct vmc_error *err)
{
	struct search *search = opaque;
	char escaped[sizeof search->domain->name];
	struct vmc_journal journal;
	int found = vmc_journal_read (uuid, &journal, err);

	vmc_text_escape (escaped, sizeof escaped, search->name);
	if (found == 1 && (strcmp (uuid, search->name) == 0 || strcmp (journal.name, escaped) == 0)) {
		memcpy (search->domain->uuid, uuid, VMC_UUID_SIZE);
		memcpy (search->domain->name, journal.name, sizeof journal.name);
		found = 1;
	} else {
		found = 0; /* one that is damaged is complained about when its domain is looked at */
	}
	vmc_journal_clear (&journal);
	return found;
}

int vmc_recover_find (struct vmc_connection *connection, const char *name, struct vmc_domain *domain,
		      struct vmc_error *err)
{
	struct search search = {.name = name, .domain = domain};
	struct vmc_error why;
	int found;

	if (vmc_domain_find (connection, name, domain, &why) == 0)
		return 0;
	found = why.code == VMC_USAGE ? vmc_journal_list (compare_journal, &search, err) : 0;
	if (found == 1)
		return 0;
	*err = found < 0 ? *err : why;
	return -1;
}

struct visit {
	void (*each) (void *opaque, const char *uuid);
	void *opaque;
};

static int visit_journal (void *opaque, const char *uuid, struct vmc_error *err)
{
	struct visit *visit = opaque;

	(void) err;
	visit->each (visit->opaque, uuid);
	return 0;
}

/* A domain whose journal was lost. */
static void visit_domain (struct visit *visit, struct vmc_connection *connection, virDomainPtr handle)
{
	struct vmc_domain domain = {.connection = connection, .handle = handle};
	struct vmc_journal journal;
	struct vmc_error ignored;

	if (virDomainGetUUIDString (handle, domain.uuid) < 0)
		return;
	if (vmc_journal_read (domain.uuid, &journal, &ignored) == 0 && adopt (&domain, &journal, &ignored) == 1)
		visit->each (visit->opaque, domain.uuid);
	vmc_journal_clear (&journal);
}

int vmc_recover_list (struct vmc_connection *connection, void (*each) (void *opaque, const char *uuid), void *opaque,
		      struct vmc_error *err)
{
	struct visit visit = {.each = each, .opaque = opaque};
	virDomainPtr *all = NULL;
	int count = VMC_LIBVIRT (virConnectListAllDomains (connection->handle, &all, 0));

	if (count < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot list the domains");
	for (int i = 0; i < count; i++) {
		visit_domain (&visit, connection, all[i]);
		(void) virDomainFree (all[i]);
	}
	free (all);
	return vmc_journal_list (visit_journal, &visit, err);
}
