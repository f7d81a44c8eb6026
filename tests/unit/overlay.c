/* overlay.c - tests of host/overlay.c: where the disk is, from the XML, and whether the overlay was ever used */
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "overlay.h"

#define DISK(inside) \
	"<domain><devices><disk type='file' device='disk'><target dev='vdb' bus='virtio'/><source " \
	"file='/other'/></disk>" \
	"<disk type='file' device='disk'><target dev='vda' bus='virtio'/>" inside "</disk></devices></domain>"
#define OVER(path, below) \
	"<backingStore type='file'><format type='qcow2'/><source file='" path "'/>" below "</backingStore>"
#define MIRROR(path, ready) "<mirror type='file' job='active-commit' " ready "><source file='" path "'/></mirror>"

#define ON_BASE DISK ("<source file='/base'/><backingStore/>")
#define ON_OVERLAY DISK ("<source file='/overlay'/>" OVER ("/base", "<backingStore/>"))

static void look (const char *xml, struct vmc_overlay_state *state)
{
	static const struct vmc_journal journal = {.target = "vda", .base = "/base", .overlay = "/overlay"};
	struct vmc_error err;

	if (vmc_overlay_look_in (&journal, xml, state, &err) < 0)
		fail_msg ("%s", err.text);
}

static const struct {
	const char *xml;
	int live, off; /* where the disk is if this is the live XML, and the XML of a domain that is off */
} places[] = {
	{ON_BASE, VMC_ON_BASE, VMC_ON_BASE},
	{DISK ("<source file='/base'/>" OVER ("/template", "")), VMC_ON_BASE, VMC_ON_BASE},
	{ON_OVERLAY, VMC_ON_OVERLAY, VMC_ON_OVERLAY},
	{DISK ("<source file='/overlay'/>" OVER ("/base", OVER ("/template", ""))), VMC_ON_OVERLAY, VMC_ON_OVERLAY},

	/* The XML of a domain that is off names no backing file: the live one does, always. */
	{DISK ("<source file='/overlay'/>"), VMC_ELSEWHERE, VMC_ON_OVERLAY},
	{DISK ("<source file='/overlay'/><backingStore/>"), VMC_ELSEWHERE, VMC_ON_OVERLAY},

	/* The overlay, but not over the base. */
	{DISK ("<source file='/overlay'/>" OVER ("/base2", "")), VMC_ELSEWHERE, VMC_ELSEWHERE},
	{DISK ("<source file='/overlay'/>" OVER ("/between", OVER ("/base", ""))), VMC_ELSEWHERE, VMC_ELSEWHERE},
	{DISK ("<source file='/overlay'/>" OVER ("/overlay", OVER ("/base", ""))), VMC_ELSEWHERE, VMC_ELSEWHERE},

	/* Somebody's overlay is over ours. */
	{DISK ("<source file='/top'/>" OVER ("/overlay", OVER ("/base", ""))), VMC_BURIED, VMC_BURIED},
	{DISK ("<source file='/top'/>" OVER ("/two", OVER ("/overlay", OVER ("/base", OVER ("/template", ""))))),
	 VMC_BURIED, VMC_BURIED},
	{DISK ("<source file='/top'/>" OVER ("/overlay", "")), VMC_ELSEWHERE, VMC_ELSEWHERE},
	{DISK ("<source file='/top'/>" OVER ("/overlay", OVER ("/between", OVER ("/base", "")))), VMC_ELSEWHERE,
	 VMC_ELSEWHERE},

	/* Somebody's overlay is over the base, and ours is gone; of a domain that is off, the XML is no proof. */
	{DISK ("<source file='/top'/>" OVER ("/base", "<backingStore/>")), VMC_UNCOVERED, VMC_ELSEWHERE},
	{DISK ("<source file='/top'/>" OVER ("/two", OVER ("/base", ""))), VMC_UNCOVERED, VMC_ELSEWHERE},
	{DISK ("<source file='/top'/>" OVER ("/base", OVER ("/overlay", ""))), VMC_UNCOVERED, VMC_ELSEWHERE},

	/* Neither is to be seen. */
	{DISK ("<source file='/top'/>"), VMC_ELSEWHERE, VMC_ELSEWHERE},
	{DISK ("<source file='/top'/>" OVER ("/two", "")), VMC_ELSEWHERE, VMC_ELSEWHERE},
	{DISK ("<source file='/base2'/>"), VMC_ELSEWHERE, VMC_ELSEWHERE},
	{DISK ("<source file='/bas'/>"), VMC_ELSEWHERE, VMC_ELSEWHERE},
	{DISK (""), VMC_ELSEWHERE, VMC_ELSEWHERE},
	{"<domain><devices/></domain>", VMC_ELSEWHERE, VMC_ELSEWHERE},
	{"<domain><devices><disk><source file='/base'/><target dev='vdaa'/></disk></devices></domain>", VMC_ELSEWHERE,
	 VMC_ELSEWHERE},
};

static void the_place_of_the_disk_is_found (void **state)
{
	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (places); i++) {
		struct vmc_overlay_state live = {.where = VMC_GONE, .active = true}, off = {.where = VMC_GONE};

		look (places[i].xml, &live);
		look (places[i].xml, &off);
		if ((int) live.where != places[i].live || (int) off.where != places[i].off)
			fail_msg ("%s: live %d, off %d", places[i].xml, live.where, off.where);
		assert_false (live.job || live.other_job || live.ready || live.moving);
	}
}

static const struct {
	const char *xml;
	bool any_job; /* as libvirt says beside the XML */
	bool job, other_job, ready, moving;
} jobs[] = {
	{DISK ("<source file='/overlay'/>" OVER ("/base", "") MIRROR ("/base", "")), true, true, false, false, false},
	{DISK ("<source file='/overlay'/>" OVER ("/base", "") MIRROR ("/base", "ready='yes'")), true, true, false, true,
	 false},
	{DISK ("<source file='/overlay'/>" OVER ("/base", "") MIRROR ("/base", "ready='pivot'")), true, true, false,
	 false, true},
	{DISK ("<source file='/overlay'/>" OVER ("/base", "") MIRROR ("/base", "ready='abort'")), true, true, false,
	 false, false},

	/* In the XML alone: it began, or ended, between the two questions. */
	{DISK ("<source file='/overlay'/>" OVER ("/base", "") MIRROR ("/base", "")), false, true, false, false, false},

	/* Not to our base, not from our overlay, or not in the XML at all. */
	{DISK ("<source file='/overlay'/>" OVER ("/base", "") MIRROR ("/copy", "")), true, false, true, false, false},
	{DISK ("<source file='/overlay'/>" OVER ("/base", OVER ("/low", "")) MIRROR ("/low", "")), true, false, true,
	 false, false},
	{DISK ("<source file='/base'/>" MIRROR ("/copy", "")), false, false, true, false, false},
	{DISK ("<source file='/base'/>" MIRROR ("/base", "")), false, false, true, false, false},
	{DISK ("<source file='/top'/>" OVER ("/overlay", OVER ("/base", "")) MIRROR ("/base", "")), true, false, true,
	 false, false},
	{ON_OVERLAY, true, false, true, false, false},
	{ON_BASE, true, false, true, false, false},
	{ON_OVERLAY, false, false, false, false, false},
};

static void our_job_is_told_from_others (void **state)
{
	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (jobs); i++) {
		struct vmc_overlay_state found = {.active = true,
						  .any_job = jobs[i].any_job,
						  .done_bytes = 7,
						  .all_bytes = 9};

		look (jobs[i].xml, &found);
		if (found.job != jobs[i].job || found.other_job != jobs[i].other_job || found.ready != jobs[i].ready ||
		    found.moving != jobs[i].moving)
			fail_msg ("%s: job %d, other %d, ready %d, moving %d", jobs[i].xml, found.job, found.other_job,
				  found.ready, found.moving);
		assert_int_equal (found.done_bytes, 7);
		assert_int_equal (found.all_bytes, 9);
	}
}

static void what_cannot_be_read_is_no_place (void **state)
{
	const struct vmc_journal journal = {.target = "vda", .base = "/base", .overlay = "/overlay"};
	struct vmc_overlay_state found = {.active = true};
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_overlay_look_in (&journal, "<domain>", &found, &err), -1);
	assert_error (err, VMC_FAILED, "cannot be read");
}

/* --- was it used? ----------------------------------------------------------------------------- */

#define EMPTY_BYTES 196616

/* A new file of that length, in OVERLAY. */
static int make_file (struct vmc_overlay *overlay)
{
	int fd;

	strcpy (overlay->journal.overlay, "/tmp/vmcompact-unit-XXXXXX");
	fd = mkstemp (overlay->journal.overlay);
	assert_true (fd >= 0);
	overlay->journal.overlay_bytes = EMPTY_BYTES;
	assert_return_code (ftruncate (fd, EMPTY_BYTES), 0);
	return fd;
}

static void the_length_tells_whether_it_was_used (void **state)
{
	struct vmc_overlay overlay = {0};
	int fd = make_file (&overlay);

	(void) state;
	assert_true (vmc_overlay_unused (&overlay));
	assert_return_code (ftruncate (fd, EMPTY_BYTES + 1), 0);
	assert_false (vmc_overlay_unused (&overlay));
	assert_return_code (ftruncate (fd, EMPTY_BYTES - 1), 0);
	assert_false (vmc_overlay_unused (&overlay));
	assert_return_code (unlink (overlay.journal.overlay), 0);
	assert_true (vmc_overlay_unused (&overlay));
	(void) close (fd);
}

/* The byte that QEMU locks as long as it may write. */
static void who_has_it_open_for_writing_uses_it (void **state)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 101, .l_len = 1};
	struct vmc_overlay overlay = {0};
	int fd = make_file (&overlay);

	(void) state;
	assert_return_code (fcntl (fd, F_OFD_SETLK, &lock), 0);
	assert_false (vmc_overlay_unused (&overlay));
	(void) close (fd);
	assert_true (vmc_overlay_unused (&overlay));
	assert_return_code (unlink (overlay.journal.overlay), 0);
}

static void what_cannot_be_looked_at_counts_as_used (void **state)
{
	struct vmc_overlay overlay = {.journal.overlay = "/dev/null/overlay"};

	(void) state;
	assert_false (vmc_overlay_unused (&overlay));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (the_place_of_the_disk_is_found),
	cmocka_unit_test (our_job_is_told_from_others),
	cmocka_unit_test (what_cannot_be_read_is_no_place),
	cmocka_unit_test (the_length_tells_whether_it_was_used),
	cmocka_unit_test (who_has_it_open_for_writing_uses_it),
	cmocka_unit_test (what_cannot_be_looked_at_counts_as_used),
};

UNIT_MAIN (tests)
