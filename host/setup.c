/* setup.c - see setup.h
 *
 * The channel is attached to the running domain and to its persistent XML, where it is missing; discard='unmap' is set in the persistent
 * XML only, because QEMU opens a disk with it. The domain's lock is held, so that no run finds its XML changed in the middle. Each
 * change is one call of libvirt's: killed at any point, the XML is the one before or after, and the next call does what is left.
 */
#include "setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "domain.h"
#include "lock.h"
#include "message.h"
#include "recover.h"
#include "report.h"

#define CHANNEL_XML "<channel type='unix'><target type='virtio' name='" VMC_CHANNEL_NAME "'/></channel>"

static void say (const struct vmc_options *options, const struct vmc_domain *domain, const char *what)
{
	if (!options->quiet)
		(void) printf ("%s: %s%s\n", domain->name, options->dry_run ? "would be done: " : "", what);
}

/* To the domain that runs, or to its persistent XML, where libvirt adds the controller that it needs. Such a controller cannot be
 * hot-plugged. WHERE is for people. */
static int add_channel (const struct vmc_domain *domain, const struct vmc_options *options, bool live,
			const char *where, struct vmc_error *err)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	char *xml = vmc_domain_xml (domain->handle, !live, err);
	int result = xml ? vmc_domain_xml_parse (xml, &disks, err) : -1;

	free (xml);
	if (result < 0 || disks.channel)
		return result;
	if (live && !disks.channel_controller) {
		say (options, domain,
		     "the channel from its next start on only: it runs without a virtio-serial controller");
		return 0;
	}
	if (!options->dry_run &&
	    VMC_LIBVIRT (virDomainAttachDeviceFlags (domain->handle, CHANNEL_XML,
						     live ? VIR_DOMAIN_AFFECT_LIVE : VIR_DOMAIN_AFFECT_CONFIG)) < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot add the channel");
	say (options, domain, where);
	return 0;
}

static bool wants_discard (const struct vmc_options *options, const struct vmc_disk *disk)
{
	bool chosen = options->disk_count == 0;

	for (size_t i = 0; i < options->disk_count; i++)
		chosen = chosen || strcmp (options->disks[i], disk->target) == 0;
	return chosen && strcmp (disk->device, "disk") == 0 && !disk->read_only && strcmp (disk->discard, "unmap") != 0;
}

/* All disks in one new XML. */
static int set_discard (const struct vmc_domain *domain, const struct vmc_options *options, struct vmc_error *err)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	char *xml = vmc_domain_xml (domain->handle, true, err), *next, text[128];
	int result = xml ? vmc_domain_xml_parse (xml, &disks, err) : -1;
	size_t changed = 0;

	for (size_t i = 0; result == 0 && i < disks.count; i++) {
		if (!wants_discard (options, &disks.items[i]))
			continue;
		next = vmc_domain_xml_with_discard (xml, disks.items[i].target);
		if (next == NULL)
			result = vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the XML of the domain");
		free (xml);
		xml = next;
		changed++;
	}
	if (result == 0 && changed > 0 && !options->dry_run)
		result = vmc_domain_define (domain, xml, err);
	free (xml);
	if (result < 0 || changed == 0)
		return result;
	(void) snprintf (text, sizeof text,
			 "discard='unmap' on %zu disk%s, from its next start on (shut it down and start it)", changed,
			 changed == 1 ? "" : "s");
	say (options, domain, text);
	return 0;
}

static int set_up_locked (struct vmc_domain *domain, const struct vmc_options *options, struct vmc_error *err)
{
	int active = VMC_LIBVIRT (virDomainIsActive (domain->handle)),
	    persistent = VMC_LIBVIRT (virDomainIsPersistent (domain->handle)), pending;

	if (active < 0 || persistent < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot ask for the state of the domain");
	pending = vmc_recover_pending (domain, err);
	if (pending != 0)
		return pending < 0 ? -1
				   : vmc_fail (err, VMC_INTERRUPTED, 0,
					       "an earlier run was interrupted; run vmcompact --recover first");
	if (persistent &&
	    add_channel (domain, options, false, "the channel for the agent, in its persistent XML", err) < 0)
		return -1;
	if (active && add_channel (domain, options, true, "the channel for the agent, while it runs", err) < 0)
		return -1;
	if (!options->discard)
		return 0;
	if (!persistent)
		return vmc_fail (err, VMC_REFUSED, 0,
				 "the domain is transient: it has no next start to set discard for");
	return set_discard (domain, options, err);
}

static int set_up (struct vmc_connection *connection, const struct vmc_options *options, const char *name,
		   struct vmc_domain *domain, struct vmc_error *err)
{
	int lock, result;

	if (vmc_domain_find (connection, name, domain, err) < 0)
		return -1;
	lock = vmc_lock_domain (domain->uuid, options->lock_wait_ms, err);
	if (lock < 0)
		return -1;
	result = set_up_locked (domain, options, err);
	(void) close (lock);
	return result;
}

int vmc_setup (struct vmc_connection *connection, const struct vmc_options *options)
{
	int worst = 0;

	for (size_t i = 0; i < options->domain_count; i++) {
		struct vmc_domain domain = {0};
		struct vmc_error error;

		if (set_up (connection, options, options->domains[i], &domain, &error) < 0) {
			(void) fprintf (stderr, "vmcompact: %s: %s\n", domain.name, error.text);
			worst = vmc_worse_status (worst, vmc_code_exit_status (error.code));
		}
		vmc_domain_clear (&domain);
	}
	return fflush (stdout) == 0 ? worst : vmc_worse_status (worst, vmc_code_exit_status (VMC_FAILED));
}
