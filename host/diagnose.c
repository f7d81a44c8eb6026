/* diagnose.c - see diagnose.h */
#include "diagnose.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "qemu_version.h"
#include "text.h"

#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
#define DISCARD_MACHINE 4 /* QEMU 4.0: machine types before it have virtio disks that take no discards */

const char *vmc_finding_level_name (enum vmc_finding_level level)
{
	static const char *const names[] = {"ok", "note", "stop"};

	return names[level];
}

void vmc_findings_add (struct vmc_findings *findings, enum vmc_finding_level level, const char *where, const char *text,
		       const char *command)
{
	struct vmc_finding *finding;

	if (findings->count == VMC_FINDINGS_MAX)
		return;
	finding = &findings->items[findings->count++];
	finding->level = level;
	vmc_text_escape (finding->where, sizeof finding->where, where);
	vmc_text_escape (finding->text, sizeof finding->text, text);
	vmc_text_escape (finding->command, sizeof finding->command, command ? command : "");
}

void vmc_findings_addf (struct vmc_findings *findings, enum vmc_finding_level level, const char *where,
			const char *text, const char *format, ...)
{
	char command[VMC_TEXT_SIZE];
	va_list values;

	va_start (values, format);
	(void) vsnprintf (command, sizeof command, format, values);
	va_end (values);
	vmc_findings_add (findings, level, where, text, command);
}

/* --- the domain ------------------------------------------------------------------------------- */

static void diagnose_agent (const struct vmc_domain_facts *domain, const struct vmc_disks *disks, const char *guest,
			    struct vmc_findings *findings)
{
	enum vmc_finding_level level = domain->qemu_agent ? VMC_FINDING_NOTE : VMC_FINDING_STOP;

	if (domain->qemu_agent && !domain->agent)
		vmc_findings_add (findings, VMC_FINDING_NOTE, "agent",
				  "only qemu-guest-agent answers: ext4 on a plain disk or partition, nothing else",
				  NULL);
	if (domain->agent)
		vmc_findings_add (findings, VMC_FINDING_OK, "agent", "vmcompact-agent answers", NULL);
	else if (!disks->channel)
		vmc_findings_addf (findings, level, "agent", "the domain has no channel for vmcompact-agent",
				   "vmcompact --setup %s", guest);
	else if (!disks->channel_connected)
		vmc_findings_add (findings, level, "agent",
				  "nobody in the guest has the channel open; install and start the agent there",
				  "apt-get install vmcompact-agent && systemctl start vmcompact-agent");
	else
		vmc_findings_add (findings, level, "agent", domain->why_no_agent, "systemctl restart vmcompact-agent");
}

static void diagnose_version (const char *what, unsigned long version, unsigned long oldest,
			      struct vmc_findings *findings)
{
	char text[VMC_TEXT_SIZE], have[40], need[40];

	if (version == 0 || version >= oldest)
		return;
	(void) snprintf (text, sizeof text, "%s %s is older than %s: only trim can be used", what,
			 vmc_version_text (version, have), vmc_version_text (oldest, need));
	vmc_findings_add (findings, VMC_FINDING_STOP, what, text, NULL);
}

static void diagnose_state (const struct vmc_domain_facts *domain, const char *guest, struct vmc_findings *findings)
{
	if (!domain->active)
		vmc_findings_add (findings, VMC_FINDING_NOTE, "domain",
				  "it is off: its images are compacted where they lie, without an agent", NULL);
	if (!domain->active && !domain->switched_off)
		vmc_findings_addf (findings, VMC_FINDING_STOP, "domain",
				   "it is off, but was not simply switched off (saved, moved, or brought back to a "
				   "snapshot)",
				   "virsh start %s && virsh shutdown %s", guest, guest);
	if (domain->job)
		vmc_findings_addf (findings, VMC_FINDING_STOP, "domain", "a migration, backup or save is under way",
				   "virsh domjobinfo %s", guest);
	if (domain->checkpoints)
		vmc_findings_addf (findings, VMC_FINDING_STOP, "domain",
				   "it has checkpoints, whose bitmaps a commit or convert would change; delete them",
				   "virsh checkpoint-list %s --name | xargs -rn1 virsh checkpoint-delete %s", guest,
				   guest);
	if (domain->active && !domain->persistent)
		vmc_findings_addf (findings, VMC_FINDING_STOP, "domain",
				   "it is transient: if it ended in the middle, nothing would know its disk any more",
				   "virsh dumpxml %s >domain.xml && virsh define domain.xml", guest);
}

void vmc_diagnose_domain (const struct vmc_domain_facts *domain, const struct vmc_disks *disks, const char *guest,
			  struct vmc_findings *findings)
{
	if (!domain->local) {
		vmc_findings_add (findings, VMC_FINDING_STOP, "domain",
				  "it is on another host; run vmcompact there, where its images are", NULL);
		return;
	}
	diagnose_state (domain, guest, findings);
	diagnose_version ("QEMU", domain->qemu_version, VMC_QEMU_OLDEST, findings);
	diagnose_version ("libvirt", domain->libvirt_version, VMC_LIBVIRT_OLDEST, findings);
	if (domain->active && domain->qemu_version != 0 && vmc_qemu_loses_writes (domain->qemu_version))
		vmc_findings_add (findings, VMC_FINDING_NOTE, "QEMU",
				  "its version can lose writes when a commit starts, so the guest is paused for that "
				  "moment; "
				  "10.0.10, 10.2.2 and newer ones need no pause",
				  NULL);
	if (domain->active)
		diagnose_agent (domain, disks, guest, findings);
}

/* --- the disk in the XML ---------------------------------------------------------------------- */

/* "pc-i440fx-3.1", "pc-q35-2.12": the version of QEMU that it is made after; 0: it has none. */
static int machine_major (const char *machine)
{
	const char *version = strrchr (machine, '-');

	return version != NULL && isdigit ((unsigned char) version[1]) && strchr (version, '.') != NULL
		       ? atoi (version + 1)
		       : 0;
}

static void diagnose_xml (const struct vmc_disk_facts *facts, const char *guest, struct vmc_findings *findings)
{
	const struct vmc_disk *disk = facts->disk;
	int machine = facts->disks ? machine_major (facts->disks->machine) : 0;

	if (strcmp (disk->discard, "unmap") == 0)
		vmc_findings_add (findings, VMC_FINDING_OK, disk->target,
				  "discard='unmap': what the guest trims comes back", NULL);
	else
		vmc_findings_addf (findings, VMC_FINDING_NOTE, disk->target,
				   "it has no discard='unmap', so QEMU drops what the guest trims; commit and convert "
				   "need "
				   "it not, trim from the next start on",
				   "vmcompact --setup --discard --disk=%s %s", disk->target, guest);
	if (!vmc_plan_pauses (disk))
		vmc_findings_addf (findings, VMC_FINDING_STOP, disk->target,
				   "its error_policy lets the guest's writes fail when there is no room for the "
				   "overlay, so only trim can be used; set enospace, for the next start",
				   "virsh edit %s", guest);
	if (strcmp (disk->bus, "virtio") == 0 && machine > 0 && machine < DISCARD_MACHINE)
		vmc_findings_addf (findings, VMC_FINDING_NOTE, disk->target,
				   "the machine type is older than QEMU 4.0, whose virtio disks take no discards; "
				   "choose a "
				   "newer one",
				   "virsh edit %s", guest);
	if (strcmp (disk->bus, "virtio") != 0 && strcmp (disk->bus, "scsi") != 0)
		vmc_findings_addf (findings, VMC_FINDING_STOP, disk->target,
				   "its bus is none of virtio and scsi; change that in <target>, when the guest has "
				   "the driver",
				   "virsh edit %s", guest);
}

/* --- the image -------------------------------------------------------------------------------- */

static void diagnose_image (const struct vmc_disk_facts *facts, const char *guest, struct vmc_findings *findings)
{
	const char *target = facts->disk->target;
	char text[VMC_TEXT_SIZE], path[VMC_TEXT_SIZE / 2], other[VMC_TEXT_SIZE / 2];

	(void) vmc_text_quote (path, sizeof path, facts->disk->path);

	if (facts->why_no_image[0] != 0)
		vmc_findings_addf (findings, VMC_FINDING_STOP, target, facts->why_no_image, "qemu-img info -U %s",
				   path);
	if (facts->used_by[0] != 0) {
		(void) snprintf (text, sizeof text, "the domain '%s' uses the same file", facts->used_by);
		vmc_findings_addf (findings, VMC_FINDING_STOP, target, text, "virsh domblklist %s",
				   vmc_text_quote (other, sizeof other, facts->used_by));
	}
	if (facts->other_writer)
		vmc_findings_addf (findings, VMC_FINDING_STOP, target,
				   "somebody else than the guest's QEMU has its image open for writing", "fuser -v %s",
				   path);
	if (facts->block_job || facts->disk->mirror)
		vmc_findings_addf (findings, VMC_FINDING_STOP, target, "a block job is at work on it",
				   "virsh blockjob %s %s", guest, target);
	if (facts->in_the_way[0] != 0)
		vmc_findings_addf (findings, VMC_FINDING_STOP, target,
				   "a file with a name that the run needs is there already, and no journal names it; "
				   "remove it "
				   "if nobody needs it",
				   "qemu-img info -U %s", vmc_text_quote (other, sizeof other, facts->in_the_way));
	if (facts->why_no_punch[0] != 0)
		vmc_findings_addf (findings, VMC_FINDING_STOP, "host filesystem", facts->why_no_punch,
				   "vmcompact --method=convert %s", guest);
	if (facts->image_known && facts->image.room_bytes < vmc_plan_room (facts->write_bytes_per_s))
		vmc_findings_addf (findings, VMC_FINDING_STOP, "host filesystem",
				   "there is not enough room for the overlay; name a directory on another filesystem",
				   "vmcompact --overlay-dir=/var/tmp %s", guest);
}

/* --- the guest -------------------------------------------------------------------------------- */

/* A layer of LUKS between a filesystem's device NAME and the disk, or NULL. */
static const struct vmc_device *find_luks (const struct vmc_list *devices, const char *name)
{
	const struct vmc_device *all = devices->items;
	bool below[VMC_DEVICES_MAX] = {false};

	vmc_stack_mark_below (devices, name, below);
	for (size_t i = 0; i < devices->count; i++)
		if (all[i].encrypted && (below[i] || strcmp (all[i].device, name) == 0))
			return &all[i];
	return NULL;
}

/* Is NAME, which the guest has chosen, nothing more than one in /sys/block? It becomes part of a command. */
static bool is_plain (const char *name)
{
	return isalpha ((unsigned char) name[0]) && name[strspn (name, PLAIN)] == 0;
}

/* Which layer is it that does not pass discards on? */
static void diagnose_trim (const struct vmc_disk_facts *facts, const struct vmc_filesystem *filesystem,
			   const char *where, struct vmc_findings *findings)
{
	const char *name = vmc_facts_device (filesystem);
	bool drops = strstr (filesystem->why_not_trim, "discards") != NULL; /* as the agent says it */
	const struct vmc_device *luks = name && drops ? find_luks (facts->devices, name) : NULL;
	char text[VMC_TEXT_SIZE], command[VMC_TEXT_SIZE] = "";

	if (luks == NULL) {
		(void) snprintf (text, sizeof text, "it cannot be trimmed: %s", filesystem->why_not_trim);
		vmc_findings_add (findings, VMC_FINDING_NOTE, where, text, NULL);
		return;
	}
	if (is_plain (luks->name))
		(void) snprintf (command, sizeof command,
				 "cryptsetup refresh --allow-discards --persistent \"$(cat /sys/block/%s/dm/name)\"",
				 luks->name);
	vmc_findings_add (findings, VMC_FINDING_NOTE, where,
			  "it cannot be trimmed: it lies on LUKS, which drops discards unless it is told to pass them "
			  "on; in the guest",
			  command);
}

static void diagnose_filesystem (const struct vmc_disk_facts *facts, const struct vmc_filesystem *filesystem,
				 struct vmc_findings *findings)
{
	char where[VMC_TEXT_SIZE], text[VMC_TEXT_SIZE];

	(void) snprintf (where, sizeof where, "%s %.300s", facts->disk->target, filesystem->mount_point);
	if (filesystem->why_not_map[0] != 0) {
		(void) snprintf (text, sizeof text, "%.60s: commit and convert leave it out: %s", filesystem->type,
				 filesystem->why_not_map);
		vmc_findings_add (findings, VMC_FINDING_NOTE, where, text, NULL);
	} else {
		(void) snprintf (text, sizeof text, "%.60s: it can be mapped", filesystem->type);
		vmc_findings_add (findings, VMC_FINDING_OK, where, text, NULL);
	}
	if (filesystem->why_not_trim[0] != 0)
		diagnose_trim (facts, filesystem, where, findings);
}

static void diagnose_guest (const struct vmc_disk_facts *facts, const char *guest, struct vmc_findings *findings)
{
	if (!facts->domain->agent)
		return;
	if (facts->filesystem_count == 0)
		vmc_findings_addf (findings, VMC_FINDING_STOP, facts->disk->target, facts->why_no_guest_disk,
				   "virsh edit %s", guest);
	for (size_t i = 0; i < facts->filesystem_count && findings->count < VMC_FINDINGS_MAX; i++)
		diagnose_filesystem (facts, facts->filesystems[i], findings);
}

void vmc_diagnose_disk (const struct vmc_disk_facts *facts, const char *guest, struct vmc_findings *findings)
{
	diagnose_xml (facts, guest, findings);
	diagnose_image (facts, guest, findings);
	diagnose_guest (facts, guest, findings);
}
