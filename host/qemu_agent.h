/* qemu_agent.h - what is asked of qemu-guest-agent, through libvirt
 *
 * libvirt waits for the answer of that agent for ever, and then nobody else's question reaches it either. So a child asks; we wait for
 * it as long as we like, and kill it when we do not want to wait any longer. (Freeze and thaw are a matter of freeze.h.)
 *
 * All that the agent says is the guest's word: bounded by libvirt, and no proof of anything.
 */
#ifndef VMC_QEMU_AGENT_H
#define VMC_QEMU_AGENT_H

#include "domain.h"

#define VMC_LOOPS_UNKNOWN UINT32_MAX

/* What the filesystems that it names tell about one disk. */
struct vmc_qemu_filesystems {
	uint32_t mounted;     /* on the disk, at least in part */
	uint32_t mounted_ext; /* ext, directly on the disk or on a partition of it, each counted once */
	uint32_t bare_loops;  /* loop devices of the guest from which no filesystem is mounted; VMC_LOOPS_UNKNOWN */
	/* Of those that lie on no other disk; what is reserved for root counts as neither. */
	uint64_t free_bytes, used_bytes;
};

/* Ask for the filesystems on the disk TARGET of DOMAIN. VMC_NO_AGENT: no answer within 10 s; VMC_BUSY: somebody has frozen the
 * guest. */
int vmc_qemu_agent_filesystems (const struct vmc_domain *domain, const char *target,
				struct vmc_qemu_filesystems *filesystems, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Trim all filesystems of the guest, on all its disks: free ranges of at least MINIMUM_BYTES. How much that was is not told. CHECK is
 * called twice a second; -1 from it ends our waiting, not the trim. */
int vmc_qemu_agent_trim (const struct vmc_domain *domain, uint64_t minimum_bytes,
			 int (*check) (const void *opaque, struct vmc_error *err), const void *opaque,
			 struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* --- for the children ------------------------------------------------------------------------- */

/* As vmc_qemu_agent_filesystems, but waits for the answer itself, for ever. */
int vmc_qemu_agent_ask (const struct vmc_domain *domain, const char *target, struct vmc_qemu_filesystems *filesystems,
			struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* What PARAMS, from virDomainGetGuestInfo, say about the disk TARGET, and about loop devices, unless the disks are not in it. */
void vmc_qemu_agent_count (virTypedParameterPtr params, int count, const char *target,
			   struct vmc_qemu_filesystems *filesystems) __attribute__ ((nonnull (3, 4)));

/* Was libvirt's last error the agent's own answer to COMMAND? */
bool vmc_qemu_agent_refused (const char *command) __attribute__ ((nonnull));

/* Fill ERR with "CONTEXT: what libvirt said" and the code that fits, and return -1. */
int vmc_qemu_agent_fail (struct vmc_error *err, const char *context) __attribute__ ((nonnull));

/* The child: JOB URI UUID ARGUMENT. Returns its exit status. */
int vmc_qemu_agent_main (char **arguments) __attribute__ ((nonnull));

#define VMC_QEMU_AGENT_OPTION "--qemu-agent-child"
#define VMC_QEMU_AGENT_ARGUMENTS 4 /* behind that */

#endif
