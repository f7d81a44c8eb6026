/* journal.h - what is written down about a run that is away from home, for the run that comes after a crash
 *
 * One file for a domain, in VMC_STATE_DIRECTORY, written before each step that changes something; on the way home, if it can be.
 * It is there from before the overlay is made until after the overlay is gone; at most one disk of a domain is away at a time. It
 * is a hint: where the domain is, libvirt says. Only a few things cannot be seen there, and are taken from here: which files are the
 * overlays that we made, which of them or of the base counts, whether it was us who paused or froze the guest, and which files the
 * base and the rewritten image are.
 */
#ifndef VMC_JOURNAL_H
#define VMC_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "domain_xml.h"
#include "error.h"

#define VMC_UUID_SIZE 37 /* as text, with the final zero */

enum vmc_journal_step {
	VMC_STEP_PREPARE,  /* the overlay is made; the domain does not know of it */
	VMC_STEP_REDIRECT, /* libvirt is asked to use it */
	VMC_STEP_PUNCH,    /* the base gives its free blocks back */
	VMC_STEP_REWRITE,  /* the base is written anew, and the new image gets a name */
	VMC_STEP_COMMIT,   /* the overlay is copied into the base, or into the next overlay */
	VMC_STEP_MOVE,     /* the domain is moved there; until it has moved, the overlay counts; both say the same */
	VMC_STEP_ON_BASE,  /* it has moved, and may have written to the base: the overlay must not be used any more */
	VMC_STEPS
};

struct vmc_journal {
	char uuid[VMC_UUID_SIZE];
	char name[VMC_NAME_SIZE * 4]; /* of the domain, escaped: for messages */
	char target[VMC_NAME_SIZE];
	char base[VMC_PATH_SIZE];
	uint64_t base_inode; /* the file that the overlay was made over; 0: not known, or no file */
	char overlay[VMC_PATH_SIZE];
	uint64_t overlay_inode; /* the file that we made; inode 0: not made yet */
	uint64_t overlay_bytes; /* its length as long as nobody has written to it */
	char *inactive_xml;     /* of the domain, as it was before the run; owned; NULL: not known */
	enum vmc_journal_step step;
	bool paused; /* the guest was running, and we pause it */

	/* It is frozen by qemu-guest-agent for us, or may be: the mark of that (freeze.h). Empty: it is not. */
	char frozen[VMC_NAME_SIZE];

	/* The domain is moved from the overlay to the next one instead of the base. */
	char next[VMC_PATH_SIZE]; /* empty: none */
	uint64_t next_inode;
	bool former; /* it has been moved, and this is the one before: it does not count any more */

	/* The base written anew (new_image.h). */
	uint64_t new_inode, old_inode;  /* 0: it is not */
	char new_format[VMC_NAME_SIZE]; /* what the XML is to say then */
	bool over_new;                  /* the overlay lies over the new image under its own name */
	bool keep_old;
};

/* Write it, and have it on the disk. */
int vmc_journal_write (const struct vmc_journal *journal, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The same, where a failure does not matter: without it the way is found, too. */
void vmc_journal_note (const struct vmc_journal *journal) __attribute__ ((nonnull));

/* Read the journal of the domain UUID. 1: there is one; 0: there is none. Cleared by the caller with vmc_journal_clear. */
int vmc_journal_read (const char *uuid, struct vmc_journal *journal, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* The run is home: no more journal. */
int vmc_journal_remove (const char *uuid, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

/* Free what it owns. */
void vmc_journal_clear (struct vmc_journal *journal) __attribute__ ((nonnull));

/* Call EACH with the UUID of every journal, in any order, until it returns non-zero. */
int vmc_journal_list (int (*each) (void *opaque, const char *uuid, struct vmc_error *err), void *opaque,
		      struct vmc_error *err) __attribute__ ((nonnull (1, 3), warn_unused_result));

#endif
