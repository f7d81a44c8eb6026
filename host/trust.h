/* trust.h - which free ranges are to be believed, decided from what the guest says and what the reader has found; no I/O
 *
 * What the agent says of a filesystem on this disk is believed only where the reader has found, in the partition that the agent
 * names, just what the agent says is there: the filesystem with its UUID, or the LVM volume, LUKS header or RAID member with
 * its UUID that the filesystem lies in; and only behind the header of that.
 *
 * If the reader can also read the filesystem itself (ext4 and XFS whose pieces all lie on this disk, unencrypted), only what both
 * call free is free; if the agent's map is older than the freeze, that needs checksums that the reader has found right. Of the
 * others (LUKS, a part of a filesystem over several disks) what the agent calls free is.
 */
#ifndef VMC_TRUST_H
#define VMC_TRUST_H

#include "claims.h"
#include "facts.h"
#include "reader.h"
#include "report.h"

/* CLAIMS (all zero before) = what the reader shall map: filesystems that it can read, with the devices below them. */
int vmc_trust_claims (const struct vmc_disk_facts *facts, struct vmc_claims *claims, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Will the reader's word be needed for each free range of FILESYSTEM? Then the agent's map may be older than the freeze: of what was
 * allocated since, the reader is the only witness, whom checksums must make one (the agent looks for them first, and vmc_trust again). If
 * not, the agent's word alone counts, and must be of the frozen filesystem. */
bool vmc_trust_reads (const struct vmc_disk_facts *facts, const struct vmc_filesystem *filesystem)
	__attribute__ ((nonnull));

/* FREE (empty before) = the ranges of AGENT_MAP (normalised) that are to be believed; EARLY (struct vmc_name) has the filesystems whose
 * part of it is older than the freeze. REPORT gets a note for each filesystem that is left out, with the reason. The maps of READING
 * are used up: they may be large. VMC_REFUSED: nothing is to be believed. */
int vmc_trust (const struct vmc_disk_facts *facts, struct vmc_reading *reading, const struct vmc_extents *agent_map,
	       const struct vmc_list *early, struct vmc_extents *free, struct vmc_disk_report *report,
	       struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
