/* freeze.h - freezing filesystems for a bounded time, and thawing them whatever happens */
#ifndef VMC_FREEZE_H
#define VMC_FREEZE_H

#include "message.h"
#include "mounts.h"
#include "worker.h"

/* What one filesystem needs to be frozen, mapped and thawed. */
struct vmc_freeze_target {
	int fd; /* an open directory of it */
	dev_t device;
	int depth;              /* of its mount point */
	bool covered;           /* its metadata have checksums */
	bool early;             /* mapped before the freeze */
	char on[VMC_NAME_SIZE]; /* its device, in the list of devices */
	char name[VMC_NAME_SIZE];
	char mount_point[VMC_TEXT_SIZE];
};

/* How far the keeper is; in memory that both see, because the keeper may hang or be killed at any point. */
struct vmc_freeze_progress {
	uint64_t since_ms; /* when the first FIFREEZE was called (vmc_now_ms); 0: not yet */
	size_t attempted;  /* so many targets may be frozen by us, from the first on */
	size_t frozen;     /* so many are, from the first on: the difference is one FIFREEZE at work */
	bool hurries;      /* RCU may be expedited by us, and must be told to be as before */
};

/* The freeze of a session, from the request until a new session: also after it has ended, for "map" and "thaw". */
struct vmc_freeze {
	char token[VMC_NAME_SIZE]; /* empty: there was no freeze */
	char disk[VMC_NAME_SIZE];  /* of which the map is */
	struct vmc_freeze_target *targets;
	size_t count;
	struct vmc_list devices;              /* struct vmc_device: what the targets lie on */
	struct vmc_freeze_progress *progress; /* shared with the keeper */
	uint64_t deadline_ms;                 /* length, as asked for */
	bool active;                          /* the keeper has not reported its end */
	bool frozen;                          /* the keeper has reported that all are frozen */
	bool held;                            /* how it ended */
	uint64_t frozen_ms;                   /* how long, once it has ended */
	bool complete;
	struct vmc_extents map;       /* of the disk: what is free */
	struct vmc_extents map_again; /* the same after the thaw */
	bool joined;                  /* the first has only what the second had, too */
};

/* Check and open the filesystems that PARAMS names: mappable, each on the disk, children before their parents. TOLD: the devices
 * (struct vmc_device) that the host was told of last. Of the filesystems that PARAMS calls early, those with checksums are, if all
 * lies where the host believes. Nothing is frozen yet. On failure FREEZE is empty. */
int vmc_freeze_prepare (const struct vmc_freeze_params *params, const struct vmc_list *told, struct vmc_freeze *freeze,
			struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* A vmc_worker_main, the "keeper"; ARGUMENT is a prepared struct vmc_freeze. Reports VMC_REPORT_RANGES_PART...,
 * VMC_REPORT_FROZEN, and at the end VMC_REPORT_DONE (value: ms frozen; flag: held) or VMC_REPORT_FAILED. It thaws when
 * it is told to (vmc_freeze_ask_thaw), when the parent dies, and at the deadline. */
void vmc_freeze_keeper (int fd, void *argument);

/* Another vmc_worker_main, for a freeze that has held: maps the filesystems of ARGUMENT once more. Reports VMC_REPORT_RANGES_PART... and
 * VMC_REPORT_DONE or VMC_REPORT_FAILED. */
void vmc_freeze_map_again (int fd, void *argument);

/* Leave in the map of FREEZE what map_again has, too. */
int vmc_freeze_join_maps (struct vmc_freeze *freeze, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Parent: tell the keeper to thaw. */
void vmc_freeze_ask_thaw (struct vmc_worker *worker) __attribute__ ((nonnull));

/* Parent: the keeper is late or to be given up: thaw what is frozen. A FIFREEZE that is still at work is left to the
 * keeper, which thaws when it comes back: FITHAW now would wait for it, or come too early. KEEPER_DEAD: nothing is at
 * work any more, and what was only attempted is thawed, too. */
void vmc_freeze_thaw_all (struct vmc_freeze *freeze, bool keeper_dead) __attribute__ ((nonnull));

/* When the parent must step in, in ms of vmc_now_ms; UINT64_MAX while nothing is frozen. */
uint64_t vmc_freeze_patience_ends_ms (const struct vmc_freeze *freeze) __attribute__ ((nonnull));

/* Close the directories, keep the map. */
void vmc_freeze_close (struct vmc_freeze *freeze) __attribute__ ((nonnull));

/* Forget everything. */
void vmc_freeze_clear (struct vmc_freeze *freeze) __attribute__ ((nonnull));

/* Thaw what an agent or a keeper that was killed has left frozen, by the note that it left. 1: to be tried again: such a keeper is alive,
 * and may be about to freeze, or what is named cannot be opened, because it was unmounted while it was frozen, or is mounted over. */
int vmc_freeze_recover (struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Where the note lies; for tests. */
void vmc_freeze_set_note (const char *path) __attribute__ ((nonnull));

#endif
