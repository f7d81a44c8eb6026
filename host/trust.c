/* trust.c - see trust.h
 *
 * A "ground" of a filesystem is the lowest device that it lies in on this disk: a partition, or the disk itself. Whatever else
 * lies between is named by what is written on the ground.
 */
#include "trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what the reader shall read ------------------------------------------------------------------ */

static bool is_ext (const char *type)
{
	return strncmp (type, "ext", 3) == 0;
}

/* All of its pieces are on this disk, as they are. */
static bool all_here (const struct vmc_disk_facts *facts, const bool *below)
{
	const struct vmc_device *all = facts->devices->items;

	for (size_t i = 0; i < facts->devices->count; i++)
		if (below[i] &&
		    (all[i].encrypted || (strcmp (all[i].kind, VMC_KIND_DISK) == 0 && &all[i] != facts->guest_disk)))
			return false;
	return true;
}

/* BELOW: what the filesystem lies on (vmc_stack_mark_below). */
static bool readable (const struct vmc_disk_facts *facts, const struct vmc_filesystem *filesystem, const bool *below)
{
	return (is_ext (filesystem->type) || strcmp (filesystem->type, "xfs") == 0) && all_here (facts, below);
}

static bool mappable (const struct vmc_filesystem *filesystem)
{
	return filesystem->why_not_map[0] == 0 && vmc_facts_device (filesystem) != NULL;
}

bool vmc_trust_reads (const struct vmc_disk_facts *facts, const struct vmc_filesystem *filesystem)
{
	bool below[VMC_DEVICES_MAX];

	if (!mappable (filesystem))
		return false;
	vmc_stack_mark_below (facts->devices, vmc_facts_device (filesystem), below);
	return readable (facts, filesystem, below);
}

int vmc_trust_claims (const struct vmc_disk_facts *facts, struct vmc_claims *claims, struct vmc_error *err)
{
	struct vmc_claim *items = calloc (facts->filesystem_count + 1, sizeof *items);

	if (items == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for what the guest says");
	claims->filesystems.items = items;
	claims->devices = *facts->devices; /* borrowed */
	memcpy (claims->disk, facts->guest_disk->device, sizeof claims->disk);
	for (size_t i = 0; i < facts->filesystem_count; i++) {
		const struct vmc_filesystem *filesystem = facts->filesystems[i];
		struct vmc_claim *claim = &items[claims->filesystems.count];

		if (!vmc_trust_reads (facts, filesystem))
			continue;
		memcpy (claim->filesystem, filesystem->filesystem, sizeof claim->filesystem);
		memcpy (claim->type, filesystem->type, sizeof claim->type);
		memcpy (claim->device, vmc_facts_device (filesystem), sizeof claim->device);
		claims->filesystems.count++;
	}
	return 0;
}

/* --- the ground ------------------------------------------------------------------------------------ */

struct judgement {
	const struct vmc_disk_facts *facts;
	struct vmc_reading *reading;
	const struct vmc_filesystem *filesystem;
	bool early;                  /* the agent's map of it is older than the freeze */
	bool below[VMC_DEVICES_MAX]; /* what it lies on */
	struct vmc_extents proven;   /* of the disk: the data of all its grounds that are what the guest says */
};

static const struct vmc_witness *find_place (const struct vmc_reading *reading, const struct vmc_extent *where)
{
	for (size_t i = 0; i < reading->count; i++)
		if (reading->places[i].offset == where->start && reading->places[i].length == where->length)
			return &reading->places[i];
	return NULL;
}

static bool is_partition_of (const struct vmc_device *device, const char *disk)
{
	return strcmp (device->kind, VMC_KIND_PARTITION) == 0 && device->below.count == 1 &&
	       strcmp (((const struct vmc_name *) device->below.items)[0].name, disk) == 0;
}

/* Is GROUND one of the filesystem's: a partition of this disk, or the disk where nothing of the stack is a partition of it? */
static bool is_ground (const struct judgement *judgement, const struct vmc_device *ground)
{
	const struct vmc_disk_facts *facts = judgement->facts;
	const struct vmc_device *all = facts->devices->items;
	const char *disk = facts->guest_disk->device;

	if (!judgement->below[ground - all])
		return false;
	if (ground != facts->guest_disk)
		return is_partition_of (ground, disk);
	for (size_t i = 0; i < facts->devices->count; i++)
		if (judgement->below[i] && is_partition_of (&all[i], disk))
			return false;
	return true;
}

/* What must be written there, by the guest's word: the filesystem itself, or what it lies in. */
static bool same_content (const struct vmc_filesystem *filesystem, const struct vmc_device *ground,
			  const struct vmc_witness *place)
{
	bool itself = strcmp (vmc_facts_device (filesystem), ground->device) == 0;
	const char *type = itself ? filesystem->type : ground->content,
		   *uuid = itself ? filesystem->uuid : ground->uuid;

	if (uuid[0] == 0 || strcmp (uuid, place->uuid) != 0)
		return false;
	return strcmp (type, place->type) == 0 || (itself && is_ext (type) && is_ext (place->type));
}

/* Prove GROUND, and add its data to what is proven. 1: it is what the guest says; 0: it is not, and WHY says so. */
static int prove_ground (struct judgement *judgement, const struct vmc_device *ground, char *why, size_t size,
			 struct vmc_error *err)
{
	bool itself = strcmp (vmc_facts_device (judgement->filesystem), ground->device) == 0;
	VMC_CLEANUP_EXTENTS struct vmc_extents where = {0};
	const struct vmc_witness *place;
	uint64_t data;

	if (vmc_stack_map (judgement->facts->devices, ground->device, &(struct vmc_extent) {0, ground->bytes},
			   judgement->facts->guest_disk->device, &where, err) < 0)
		return -1;
	place = where.count == 1 ? find_place (judgement->reading, &where.items[0]) : NULL;
	if (place == NULL || !same_content (judgement->filesystem, ground, place)) {
		(void) snprintf (why, size, "the base has no %s with its UUID at the place that the guest names",
				 itself               ? judgement->filesystem->type
				 : ground->content[0] ? ground->content
						      : "such volume");
		return 0;
	}
	data = itself ? 0 : place->data;
	if (data == place->length) {
		(void) snprintf (why, size, "it is not known where the data begin in the %s that it lies in",
				 place->type);
		return 0;
	}
	return vmc_extents_add (&judgement->proven, place->offset + data, place->length - data, err) < 0 ? -1 : 1;
}

static int prove_grounds (struct judgement *judgement, char *why, size_t size, struct vmc_error *err)
{
	const struct vmc_device *all = judgement->facts->devices->items;
	int proven = 1;

	for (size_t i = 0; i < judgement->facts->devices->count && proven == 1; i++)
		if (is_ground (judgement, &all[i]))
			proven = prove_ground (judgement, &all[i], why, size, err);
	vmc_extents_normalise (&judgement->proven);
	return proven;
}

/* --- one filesystem --------------------------------------------------------------------------------- */

static struct vmc_view *find_view (const struct vmc_reading *reading, const char *filesystem)
{
	for (size_t i = 0; i < reading->view_count; i++)
		if (strcmp (reading->views[i].filesystem, filesystem) == 0)
			return &reading->views[i];
	return NULL;
}

/* Add what lies of the filesystem on this disk to PLACES. */
static int add_extent (const struct judgement *judgement, struct vmc_extents *places, struct vmc_error *err)
{
	const char *name = vmc_facts_device (judgement->filesystem);
	const struct vmc_device *device = vmc_stack_find (judgement->facts->devices, name);

	if (device == NULL)
		return vmc_fail (err, VMC_PROTOCOL, ENODEV, "the agent does not list the device '%s'", name);
	return vmc_stack_map (judgement->facts->devices, name, &(struct vmc_extent) {0, device->bytes},
			      judgement->facts->guest_disk->device, places, err);
}

/* Add to BELIEVED where the agent's word counts for this filesystem: where its grounds are proven, and, if the reader can read
 * it, where the reader calls it free. 0 with WHY not empty: nowhere. */
static int judge (struct judgement *judgement, struct vmc_extents *believed, char *why, size_t size,
		  struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents places = {0}, here = {0};
	struct vmc_view *view = find_view (judgement->reading, judgement->filesystem->filesystem);
	int proven, result = 0;

	vmc_stack_mark_below (judgement->facts->devices, vmc_facts_device (judgement->filesystem), judgement->below);
	proven = prove_grounds (judgement, why, size, err);
	if (proven <= 0)
		return proven;
	if (readable (judgement->facts, judgement->filesystem, judgement->below)) {
		if (view == NULL || !view->usable) {
			(void) snprintf (why, size, "%s", view ? view->why_not : "the reader has not looked at it");
			return 0;
		}
		if (judgement->early && !view->checksums) {
			(void) snprintf (why, size,
					 "the agent's map of it is older than the freeze, and it has no checksums");
			return 0;
		}
		result = vmc_extents_intersect (&view->free, &judgement->proven, &here, err);
		vmc_extents_clear (&view->free); /* a map may be large, and there are enough of them */
	} else if (judgement->early) {
		/* nobody asked for that */
		(void) snprintf (why, size,
				 "the agent's map of it is older than the freeze, and the reader cannot read it");
	} else {
		result = add_extent (judgement, &places, err);
		vmc_extents_normalise (&places);
		if (result == 0)
			result = vmc_extents_intersect (&places, &judgement->proven, &here, err);
	}
	return result < 0 ? -1 : vmc_extents_take (believed, &here, err);
}

/* --- all of them -------------------------------------------------------------------------------------- */

static int judge_all (const struct vmc_disk_facts *facts, struct vmc_reading *reading, const struct vmc_list *early,
		      struct vmc_extents *believed, struct vmc_disk_report *report, char *why, size_t why_size,
		      struct vmc_error *err)
{
	for (size_t i = 0; i < facts->filesystem_count; i++) {
		struct judgement judgement = {.facts = facts,
					      .reading = reading,
					      .filesystem = facts->filesystems[i],
					      .early = vmc_names_have (early, facts->filesystems[i]->filesystem)};
		int result = 0;

		why[0] = 0;
		if (mappable (judgement.filesystem))
			result = judge (&judgement, believed, why, why_size, err);
		else
			(void) snprintf (why, why_size, "%s", judgement.filesystem->why_not_map);
		vmc_extents_clear (&judgement.proven);
		if (result < 0)
			return -1;
		if (why[0] != 0)
			vmc_report_left_out (report, judgement.filesystem->mount_point, why);
	}
	return 0;
}

int vmc_trust (const struct vmc_disk_facts *facts, struct vmc_reading *reading, const struct vmc_extents *agent_map,
	       const struct vmc_list *early, struct vmc_extents *free, struct vmc_disk_report *report,
	       struct vmc_error *err)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents believed = {0};
	char why[VMC_TEXT_SIZE] = "";

	if (judge_all (facts, reading, early, &believed, report, why, sizeof why, err) < 0)
		return -1;
	if (believed.count == 0)
		return vmc_fail (err, VMC_REFUSED, 0, "nothing in the base can be trusted: %s",
				 why[0] ? why : "it is full");
	vmc_extents_normalise (&believed);
	return vmc_extents_intersect (&believed, agent_map, free, err);
}
