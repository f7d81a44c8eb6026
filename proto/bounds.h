/* bounds.h - every bound on what the two sides accept from each other, with its unit and its reason
 *
 * A guest may be hostile, so the host checks these before it allocates anything; the agent checks them because
 * bytes on the port may be anything, too.
 */
#ifndef VMC_BOUNDS_H
#define VMC_BOUNDS_H

/* Lines, in bytes without the newline. A request names a few filesystems; an answer holds a page of the free map. */
#define VMC_REQUEST_MAX_BYTES (64 * 1024)
#define VMC_ANSWER_MAX_BYTES (1024 * 1024)

/* Nesting of JSON: message > result > devices > device > targets > target > legs > leg, and room for two more. */
#define VMC_JSON_MAX_DEPTH 10

/* Ranges in one answer to "map": at most 44 bytes each as text, so well below VMC_ANSWER_MAX_BYTES. */
#define VMC_MAP_PAGE_RANGES 4096

/* Ranges in one free map; 16 bytes each. What lies beyond counts as used. */
#define VMC_MAP_MAX_RANGES (1024 * 1024)

/* Mounted filesystems that one guest may name. */
#define VMC_FILESYSTEMS_MAX 256

/* Block devices that one guest may name, disks and all that lies on them; parts of one device; and legs of one part. A logical
 * volume has a part for each piece that it was extended by. All together must fit into one answer. */
#define VMC_DEVICES_MAX 256
#define VMC_TARGETS_MAX 1024
#define VMC_LEGS_MAX 32

/* Legs of all devices together that the agent names: about 150 bytes each as text. */
#define VMC_LEGS_ALL_MAX 4096

/* Names of devices below, of all devices together. */
#define VMC_BELOW_ALL_MAX 4096

/* Parts of devices that one range may be cut into on its way down to a disk. */
#define VMC_STACK_STEPS_MAX (64 * 1024)

/* Capabilities that an agent may name. */
#define VMC_CAPABILITIES_MAX 32

/* Short texts (names, types, UUIDs, tokens), with their final zero, in bytes. */
#define VMC_NAME_SIZE 64

/* Mount points and explanations, with their final zero, in bytes. */
#define VMC_TEXT_SIZE 512

/* The longest time that a filesystem may be asked to stay frozen, in ms: the block layer of a guest reports a task
 * as hung after 120 s. */
#define VMC_FREEZE_MAX_MS 60000

/* What "zero" leaves to the guest's own programs when it is not told how much: the larger of these two. The last 5 % are where
 * XFS stops allocating ahead and ext4 keeps blocks for root; 256 MiB are more than a guest writes between two looks. */
#define VMC_ZERO_RESERVE_PERCENT 5
#define VMC_ZERO_RESERVE_BYTES (256 * 1024 * 1024)

/* The smallest reserve that may be asked for, in bytes: a slice is a quarter of it, and 4 MiB are written in a moment. */
#define VMC_ZERO_RESERVE_MIN_BYTES (16 * 1024 * 1024)

/* The lowest rate that may be asked for, in bytes a second: the smallest slice is 1 MiB. */
#define VMC_ZERO_RATE_MIN_BYTES (1024 * 1024)

/* Requests that the host makes in one run, and messages that it reads before it gives up on an agent that floods. */
#define VMC_MESSAGES_MAX 100000

#endif
