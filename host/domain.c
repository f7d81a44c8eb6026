/* domain.c - see domain.h */
#include "domain.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "qemu_version.h"
#include "text.h"

void vmc_domain_clear (struct vmc_domain *domain)
{
	if (domain->handle != NULL)
		(void) virDomainFree (domain->handle);
	domain->handle = NULL;
}

static virDomainPtr look_up (virConnectPtr connection, const char *name)
{
	virDomainPtr handle = NULL;
	char *end;
	long id = strtol (name, &end, 10);

	if (*name != 0 && *end == 0 && id >= 0 && id <= INT32_MAX)
		handle = VMC_LIBVIRT (virDomainLookupByID (connection, (int) id));
	if (handle == NULL && strlen (name) == VIR_UUID_STRING_BUFLEN - 1)
		handle = VMC_LIBVIRT (virDomainLookupByUUIDString (connection, name));
	if (handle == NULL)
		handle = VMC_LIBVIRT (virDomainLookupByName (connection, name));
	return handle;
}

int vmc_domain_find (struct vmc_connection *connection, const char *name, struct vmc_domain *domain,
		     struct vmc_error *err)
{
	*domain = (struct vmc_domain) {.connection = connection};
	vmc_text_escape (domain->name, sizeof domain->name, name);
	domain->handle = look_up (connection->handle, name);
	if (domain->handle == NULL && virGetLastErrorCode () == VIR_ERR_NO_DOMAIN)
		return vmc_fail (err, VMC_USAGE, 0, "there is no such domain; see virsh list --all");
	if (domain->handle == NULL)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot find the domain");
	vmc_text_escape (domain->name, sizeof domain->name, virDomainGetName (domain->handle));
	if (virDomainGetUUIDString (domain->handle, domain->uuid) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "the domain has no UUID");
	return 0;
}

int vmc_domain_revive (struct vmc_domain *domain, struct vmc_error *err)
{
	int renewed = vmc_connection_revive (domain->connection, err);

	if (renewed < 0)
		return -1;
	if (renewed == 0 && domain->handle != NULL)
		return 0;
	vmc_domain_clear (domain);
	domain->handle = look_up (domain->connection->handle, domain->uuid);
	if (domain->handle == NULL && virGetLastErrorCode () != VIR_ERR_NO_DOMAIN)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot find the domain");
	return 0;
}

int vmc_domain_state (const struct vmc_domain *domain, int *state, int *reason, struct vmc_error *err)
{
	if (VMC_LIBVIRT (virDomainGetState (domain->handle, state, reason, 0)) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the state of the domain");
	return 0;
}

int vmc_domain_switched_off (const struct vmc_domain *domain, struct vmc_error *err)
{
	int state, reason, saved = VMC_LIBVIRT (virDomainHasManagedSaveImage (domain->handle, 0));

	if (saved < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask why the domain is off");
	if (vmc_domain_state (domain, &state, &reason, err) < 0)
		return -1;
	return state == VIR_DOMAIN_SHUTOFF && saved == 0 && reason != VIR_DOMAIN_SHUTOFF_SAVED &&
	       reason != VIR_DOMAIN_SHUTOFF_MIGRATED && reason != VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT;
}

int vmc_domain_resume (const struct vmc_domain *domain, int reason, struct vmc_error *err)
{
	int state, why;

	if (vmc_domain_state (domain, &state, &why, err) < 0)
		return -1;
	if (state != VIR_DOMAIN_PAUSED || why != reason)
		return 0;
	if (VMC_LIBVIRT (virDomainResume (domain->handle)) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot resume the guest");
	return 0;
}

char *vmc_domain_xml (virDomainPtr handle, bool inactive, struct vmc_error *err)
{
	char *xml = VMC_LIBVIRT (
		virDomainGetXMLDesc (handle, VIR_DOMAIN_XML_SECURE | (inactive ? VIR_DOMAIN_XML_INACTIVE : 0)));

	if (xml == NULL)
		(void) vmc_fail_libvirt (err, VMC_FAILED, "cannot get the XML of the domain");
	return xml;
}

int vmc_domain_define (const struct vmc_domain *domain, const char *xml, struct vmc_error *err)
{
	virDomainPtr defined = VMC_LIBVIRT (virDomainDefineXML (domain->connection->handle, xml));

	if (defined == NULL)
		return vmc_fail_libvirt (err, VMC_FAILED, "libvirt cannot save the XML of the domain");
	(void) virDomainFree (defined);
	return 0;
}

int vmc_domain_disks (const struct vmc_domain *domain, struct vmc_disks *disks, struct vmc_error *err)
{
	int active = VMC_LIBVIRT (virDomainIsActive (domain->handle)), result;
	char *xml;

	vmc_disks_clear (disks);
	if (active < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the state of the domain");
	xml = vmc_domain_xml (domain->handle, active == 0, err);
	if (xml == NULL)
		return -1;
	result = vmc_domain_xml_parse (xml, disks, err);
	free (xml);
	return result;
}

int vmc_domain_facts (const struct vmc_domain *domain, struct vmc_domain_facts *facts, struct vmc_error *err)
{
	int active = VMC_LIBVIRT (virDomainIsActive (domain->handle)), persistent, checkpoints;
	virDomainJobInfo job = {0};

	if (active < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the state of the domain");
	facts->active = active == 1;
	facts->local = vmc_connection_local (domain->connection);
	if (facts->active && VMC_LIBVIRT (virDomainGetJobInfo (domain->handle, &job)) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the jobs of the domain");
	facts->job = job.type == VIR_DOMAIN_JOB_BOUNDED || job.type == VIR_DOMAIN_JOB_UNBOUNDED;
	checkpoints = VMC_LIBVIRT (virDomainListAllCheckpoints (domain->handle, NULL, 0));
	if (checkpoints < 0 && virGetLastErrorCode () != VIR_ERR_NO_SUPPORT)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the checkpoints of the domain");
	facts->checkpoints = checkpoints > 0;
	persistent = VMC_LIBVIRT (virDomainIsPersistent (domain->handle));
	if (persistent < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask whether the domain is persistent");
	facts->persistent = persistent == 1;
	if (!facts->active) {
		int off = vmc_domain_switched_off (domain, err);

		if (off < 0)
			return -1;
		facts->switched_off = off == 1;
	}
	facts->qemu_version = facts->active ? vmc_qemu_version (domain->handle) : 0;
	if (VMC_LIBVIRT (virConnectGetLibVersion (virDomainGetConnect (domain->handle), &facts->libvirt_version)) < 0)
		facts->libvirt_version = 0;
	return 0;
}

/* The XML of a domain that is off does not name backing files: the images are asked, too. ITSELF: the disk that is compacted,
 * whose own image it is, or, during a commit, the first backing file. */
static bool disk_uses (const struct vmc_disk *disk, const struct vmc_image *image, bool itself)
{
	if (!itself && disk->path[0] != 0 && vmc_image_chain_has (disk->path, image))
		return true;
	for (size_t i = itself ? 1 : 0; i < disk->backing_count; i++)
		if (vmc_image_chain_has (disk->backing[i], image))
			return true;
	return disk->mirror_path[0] != 0 && vmc_image_chain_has (disk->mirror_path, image);
}

/* Does a domain use IMAGE? TARGET, unless empty, is the one disk that may have it as its own. */
static int domain_uses (virDomainPtr handle, bool inactive, const char *target, const struct vmc_image *image,
			struct vmc_error *err)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	char *xml = vmc_domain_xml (handle, inactive, err);
	int result, uses = 0;

	if (xml == NULL) /* it was undefined since the list was made */
		return virGetLastErrorCode () == VIR_ERR_NO_DOMAIN ? 0 : -1;
	result = vmc_domain_xml_parse (xml, &disks, err);
	free (xml);
	for (size_t i = 0; result == 0 && i < disks.count; i++)
		uses = uses || disk_uses (&disks.items[i], image, strcmp (disks.items[i].target, target) == 0);
	return result < 0 ? -1 : uses;
}

int vmc_domain_other_user (const struct vmc_domain *domain, const char *target, const struct vmc_image *image,
			   char *user, size_t size, struct vmc_error *err)
{
	virDomainPtr *all = NULL;
	int count = VMC_LIBVIRT (virConnectListAllDomains (domain->connection->handle, &all, 0)), uses = 0;

	user[0] = 0;
	if (count < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot list the domains");
	for (int i = 0; i < count; i++) {
		char uuid[VIR_UUID_STRING_BUFLEN] = "";
		bool own = virDomainGetUUIDString (all[i], uuid) == 0 && strcmp (uuid, domain->uuid) == 0;

		for (int inactive = 0; inactive < 2 && uses == 0; inactive++)
			uses = domain_uses (all[i], inactive, own ? target : "", image, err);
		if (uses > 0 && user[0] == 0)
			vmc_text_escape (user, size, virDomainGetName (all[i]));
		(void) virDomainFree (all[i]);
	}
	free (all);
	return uses < 0 ? -1 : 0;
}
