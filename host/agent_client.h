/* agent_client.h - the host's end of the channel: one agent, one request at a time, each with a deadline
 *
 * Everything that comes from the guest is checked by proto/ before it is seen here, and bounded in length, number and
 * time. Answers to other requests, notifications and lines that are no messages are passed over.
 */
#ifndef VMC_AGENT_CLIENT_H
#define VMC_AGENT_CLIENT_H

#include <libvirt/libvirt.h>

#include "message.h"

/* How bytes go to and from the agent: a libvirt stream, or a socket in tests. */
struct vmc_transport {
	/* Send all LENGTH bytes before DEADLINE_MS. */
	int (*send) (struct vmc_transport *transport, const char *bytes, size_t length, uint64_t deadline_ms,
		     struct vmc_error *err);
	/* Receive 1 to SIZE bytes before DEADLINE_MS; the number. VMC_TIMEOUT, VMC_NO_AGENT when it hung up. */
	ssize_t (*receive) (struct vmc_transport *transport, char *buffer, size_t size, uint64_t deadline_ms,
			    struct vmc_error *err);
	void (*close) (struct vmc_transport *transport);
};

/* A transport over the channel of DOMAIN (stream.c); NULL: see ERR. Released by its close. */
struct vmc_transport *vmc_stream_open (virDomainPtr domain, struct vmc_error *err) __attribute__ ((nonnull));

/* A transport over a connected socket, which it takes over. */
struct vmc_transport *vmc_socket_transport (int fd, struct vmc_error *err) __attribute__ ((nonnull));

struct vmc_agent;

/* Called on notifications of progress. */
typedef void vmc_agent_progress (void *opaque, uint64_t done_bytes, uint64_t total_bytes);

/* Greet the agent over TRANSPORT, which is taken over even on failure. VMC_NO_AGENT: nothing answered within
 * TIMEOUT_MS. Released by vmc_agent_close. */
struct vmc_agent *vmc_agent_open (struct vmc_transport *transport, unsigned timeout_ms, struct vmc_error *err)
	__attribute__ ((nonnull));

/* Hang up: the agent ends what it does for us, and thaws. */
void vmc_agent_close (struct vmc_agent *agent);

const char *vmc_agent_version (const struct vmc_agent *agent) __attribute__ ((nonnull));

void vmc_agent_on_progress (struct vmc_agent *agent, vmc_agent_progress *progress, void *opaque)
	__attribute__ ((nonnull (1)));

/* RESULT (all zero before) is to be cleared by vmc_fields_clear with the table of the method. The list of devices of the
 * answer can be followed (vmc_stack_check). An error of the agent's
 * becomes ours, its text escaped. VMC_TIMEOUT: what the agent did is unknown. */
int vmc_agent_filesystems (struct vmc_agent *agent, struct vmc_filesystems_result *result, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));
int vmc_agent_trim (struct vmc_agent *agent, const char *filesystem, bool force, unsigned timeout_ms,
		    uint64_t *trimmed_bytes, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Fill the free space of FILESYSTEM with zeros, but for RESERVE_BYTES (0: the agent's default), at most RATE_BYTES_PER_S (0: no
 * limit). On failure RESULT is all zero, whatever was zeroed before. */
int vmc_agent_zero (struct vmc_agent *agent, const char *filesystem, uint64_t reserve_bytes, uint64_t rate_bytes_per_s,
		    unsigned timeout_ms, struct vmc_zero_result *result, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Freeze what PARAMS says; its session is filled in. TOKEN has VMC_NAME_SIZE bytes. EARLY (struct vmc_name, as long as that of PARAMS):
 * those of PARAMS' early ones that the agent did map before the freeze. TIMEOUT_MS: for the agent to map and sync the filesystems
 * before, and to answer. */
int vmc_agent_freeze (struct vmc_agent *agent, struct vmc_freeze_params *params, unsigned timeout_ms, char *token,
		      struct vmc_list *early, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* 0 also when the freeze did not hold: see RESULT. */
int vmc_agent_thaw (struct vmc_agent *agent, const char *token, struct vmc_thaw_result *result, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The free map of the freeze TOKEN, which has held, normalised, all of it inside [0, DISK_BYTES): what was free then, and still is.
 * TIMEOUT_MS: for the agent to map the filesystems once more. */
int vmc_agent_map (struct vmc_agent *agent, const char *token, uint64_t disk_bytes, unsigned timeout_ms,
		   struct vmc_extents *map, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
