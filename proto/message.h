/* message.h - the messages that the host and the agent exchange (vmcompact-protocol(7))
 *
 * JSON-RPC 2.0, one message a line. This file is the single place that knows the methods and their fields; both sides
 * use the same structures and tables. Sizes and positions are bytes, times milliseconds.
 */
#ifndef VMC_MESSAGE_H
#define VMC_MESSAGE_H

#include <json-c/json.h>

#include "error.h"
#include "extent.h"
#include "fields.h"
#include "stack.h"

#define VMC_PROTOCOL_VERSION 4
#define VMC_CHANNEL_NAME "org.vmcompact.agent.0"

enum vmc_method {
	VMC_HELLO,
	VMC_FILESYSTEMS,
	VMC_TRIM,
	VMC_ZERO,
	VMC_FREEZE,
	VMC_MAP,
	VMC_THAW,
	VMC_CANCEL,
	VMC_PING,
	VMC_STATUS,
	VMC_METHODS
};

/* A session is a random name that the agent gives in its answer to hello. Requests carry it, so that bytes which
 * waited in the port since another day cannot start anything. */
struct vmc_session_params {
	char session[VMC_NAME_SIZE];
};

struct vmc_no_params {
	char nothing;
};

struct vmc_hello_params {
	char nonce[VMC_NAME_SIZE];
	uint64_t protocol_min, protocol_max;
};

struct vmc_hello_result {
	char nonce[VMC_NAME_SIZE]; /* that of the request */
	char session[VMC_NAME_SIZE];
	char agent_version[VMC_NAME_SIZE];
	char boot_id[VMC_NAME_SIZE];
	uint64_t protocol;
	struct vmc_list capabilities; /* struct vmc_name: the names of methods */
};

/* A mounted filesystem. An empty reason ("why_not_*") means that the operation can be asked for. */
struct vmc_filesystem {
	char filesystem[VMC_NAME_SIZE]; /* its name in requests */
	char type[VMC_NAME_SIZE];
	char uuid[VMC_NAME_SIZE];
	char mount_point[VMC_TEXT_SIZE];
	struct vmc_list
		devices; /* struct vmc_name: what it lies on; several with btrfs, none where that is not known */
	char why_not_trim[VMC_TEXT_SIZE];
	char why_not_map[VMC_TEXT_SIZE];
	char why_not_zero[VMC_TEXT_SIZE];
	uint64_t size_bytes, free_bytes;
};

struct vmc_filesystems_result {
	struct vmc_list filesystems; /* struct vmc_filesystem */
	struct vmc_list devices;     /* struct vmc_device: see stack.h */
};

struct vmc_trim_params {
	char session[VMC_NAME_SIZE];
	char filesystem[VMC_NAME_SIZE];
	uint64_t minimum_bytes;
	bool force; /* also what the kernel believes to be trimmed */
};

struct vmc_trim_result {
	uint64_t trimmed_bytes; /* as the kernel counts; says nothing about the host */
};

struct vmc_zero_params {
	char session[VMC_NAME_SIZE];
	char filesystem[VMC_NAME_SIZE];
	uint64_t reserve_bytes;    /* that always stay available to others; 0: see bounds.h */
	uint64_t rate_bytes_per_s; /* 0: as fast as it goes */
};

struct vmc_zero_result {
	uint64_t zeroed_bytes; /* were deallocated or overwritten */
	uint64_t zero_bytes;   /* were found to be zero; not everything is looked at before */
};

struct vmc_freeze_params {
	char session[VMC_NAME_SIZE];
	char disk[VMC_NAME_SIZE];    /* of which the free map shall be: the name of a struct vmc_device */
	struct vmc_list filesystems; /* struct vmc_name; each lies on it, at least in part */
	struct vmc_list early; /* struct vmc_name: those of them whose map is only to narrow down another witness's */
	uint64_t deadline_ms;
};

struct vmc_freeze_result {
	char token[VMC_NAME_SIZE];
	struct vmc_list frozen; /* struct vmc_name */
	struct vmc_list early;  /* struct vmc_name: those whose ranges were collected before the freeze */
	uint64_t ranges;
	bool complete; /* false: more free ranges than the agent keeps; the rest counts as used */
};

struct vmc_map_params {
	char session[VMC_NAME_SIZE];
	char token[VMC_NAME_SIZE];
	uint64_t position; /* index of a range */
};

struct vmc_map_result {
	struct vmc_extents ranges; /* free ranges of the disk, sorted */
	uint64_t next;             /* position to go on from; the number of ranges at the end */
};

struct vmc_token_params {
	char session[VMC_NAME_SIZE];
	char token[VMC_NAME_SIZE];
};

struct vmc_thaw_result {
	bool held; /* the freeze had no gap */
	uint64_t frozen_ms;
};

struct vmc_cancel_result {
	bool cancelled; /* there was something to cancel */
};

struct vmc_ping_result {
	uint64_t uptime_ms;
};

struct vmc_status_result {
	char job[VMC_NAME_SIZE]; /* the method at work, or empty */
	bool frozen;
	uint64_t deadline_ms; /* left of the freeze */
};

/* Sent by the agent while it works on request "id". */
struct vmc_progress {
	uint64_t id;
	uint64_t done_bytes, total_bytes;
};

/* The tables of a method, and its name. */
struct vmc_method_info {
	const char *name;
	const struct vmc_field *params;
	const struct vmc_field *result;
};

/* Never NULL for a METHOD below VMC_METHODS. */
const struct vmc_method_info *vmc_method (enum vmc_method method) __attribute__ ((returns_nonnull));

/* One decoded line. The JSON in it belongs to the message: vmc_message_clear. */
struct vmc_message {
	enum vmc_message_kind { VMC_REQUEST, VMC_RESULT, VMC_ERROR, VMC_PROGRESS } kind;
	uint64_t id;
	bool id_known;            /* false: a line from which no id could be read */
	enum vmc_method method;   /* VMC_REQUEST */
	struct json_object *body; /* params or result, borrowed from root */
	struct json_object *root;
	struct vmc_error error; /* VMC_ERROR */
	struct vmc_progress progress;
};

#define VMC_CLEANUP_MESSAGE __attribute__ ((cleanup (vmc_message_clear)))

void vmc_message_clear (struct vmc_message *message) __attribute__ ((nonnull));

/* Read a LINE of LENGTH bytes. On failure MESSAGE has the id, where there was one, for the answer. */
int vmc_message_decode (const char *line, size_t length, struct vmc_message *message, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* New lines, with their newline, to be freed by the caller; NULL when memory runs out. */
char *vmc_request_line (uint64_t id, enum vmc_method method, const void *params) __attribute__ ((nonnull));
char *vmc_result_line (uint64_t id, enum vmc_method method, const void *result) __attribute__ ((nonnull));
char *vmc_progress_line (const struct vmc_progress *progress) __attribute__ ((nonnull));

/* ID_KNOWN false: the request could not be read; its id is sent as null. */
char *vmc_error_line (bool id_known, uint64_t id, const struct vmc_error *error) __attribute__ ((nonnull));

#endif
