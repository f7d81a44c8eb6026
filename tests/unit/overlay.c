/* overlay.c - tests of host/overlay.c: where the disk is, from the XML, the next overlay of a convert, and whether
 * an overlay was ever used */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "new_image.h"
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

/* --- from one overlay to the next --------------------------------------------------------------- */

#define NEW "/base" VMC_NEW_SUFFIX
#define ON(path, below) DISK ("<source file='" path "'/>" OVER (below, "<backingStore/>"))

/* In the middle of a convert: two overlays, one over the base and one over the new image. */
static struct vmc_journal two_overlays (bool over_new)
{
	return (struct vmc_journal) {.target = "vda",
				     .base = "/base",
				     .overlay = "/overlay",
				     .next = "/next",
				     .new_inode = 1,
				     .over_new = over_new};
}

static void look_at_two (const char *xml, bool over_new, struct vmc_overlay_state *state)
{
	const struct vmc_journal journal = two_overlays (over_new);
	struct vmc_error err;

	if (vmc_overlay_look_in (&journal, xml, state, &err) < 0)
		fail_msg ("%s", err.text);
}

/* Only the overlay over the right file is the one that was made. */
static const struct {
	const char *xml;
	bool over_new;
	int live, off;
} two_places[] = {
	{ON ("/overlay", "/base"), false, VMC_ON_OVERLAY, VMC_ON_OVERLAY},
	{ON ("/overlay", NEW), true, VMC_ON_OVERLAY, VMC_ON_OVERLAY},
	{ON ("/overlay", "/base"), true, VMC_ELSEWHERE, VMC_ELSEWHERE},
	{ON ("/overlay", NEW), false, VMC_ELSEWHERE, VMC_ELSEWHERE},
	{ON ("/next", NEW), false, VMC_ON_NEXT, VMC_ON_NEXT},
	{ON ("/next", "/base"), true, VMC_ON_NEXT, VMC_ON_NEXT},
	{ON ("/next", NEW), true, VMC_ELSEWHERE, VMC_ELSEWHERE},
	{ON ("/next", "/base2"), false, VMC_ELSEWHERE, VMC_ELSEWHERE},
	{ON ("/next", "/base2"), true, VMC_ELSEWHERE, VMC_ELSEWHERE},
	{ON ("/next", NEW "2"), false, VMC_ELSEWHERE, VMC_ELSEWHERE},
	{ON ("/next2", NEW), false, VMC_ELSEWHERE, VMC_ELSEWHERE},

	/* Over the base, but not made for that: as somebody's overlay. */
	{ON ("/next", "/base"), false, VMC_UNCOVERED, VMC_ELSEWHERE},

	/* With a template below. */
	{DISK ("<source file='/next'/>" OVER (NEW, OVER ("/template", ""))), false, VMC_ON_NEXT, VMC_ON_NEXT},
	{DISK ("<source file='/next'/>" OVER ("/base", OVER ("/template", ""))), true, VMC_ON_NEXT, VMC_ON_NEXT},

	/* The XML of a domain that is off names no backing file. */
	{DISK ("<source file='/next'/>"), false, VMC_ELSEWHERE, VMC_ON_NEXT},
	{DISK ("<source file='/next'/>"), true, VMC_ELSEWHERE, VMC_ON_NEXT},
	{DISK ("<source file='/overlay'/>"), true, VMC_ELSEWHERE, VMC_ON_OVERLAY},

	/* Somebody's overlay over one of ours: it can be committed from under that only into the base. */
	{DISK ("<source file='/top'/>" OVER ("/overlay", OVER ("/base", ""))), false, VMC_BURIED, VMC_BURIED},
	{DISK ("<source file='/top'/>" OVER ("/overlay", OVER (NEW, ""))), true, VMC_ELSEWHERE, VMC_ELSEWHERE},
	{DISK ("<source file='/top'/>" OVER ("/next", OVER (NEW, ""))), false, VMC_ELSEWHERE, VMC_ELSEWHERE},

	{ON_BASE, false, VMC_ON_BASE, VMC_ON_BASE},
	{ON_BASE, true, VMC_ON_BASE, VMC_ON_BASE},
	{DISK ("<source file='" NEW "'/>"), false, VMC_ELSEWHERE, VMC_ELSEWHERE},
	{DISK ("<source file='" NEW "'/>"), true, VMC_ELSEWHERE, VMC_ELSEWHERE},
	{DISK (""), true, VMC_ELSEWHERE, VMC_ELSEWHERE},
};

static void the_next_overlay_is_told_from_the_one_before (void **state)
{
	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (two_places); i++) {
		struct vmc_overlay_state live = {.where = VMC_GONE, .active = true}, off = {.where = VMC_GONE};

		look_at_two (two_places[i].xml, two_places[i].over_new, &live);
		look_at_two (two_places[i].xml, two_places[i].over_new, &off);
		if ((int) live.where != two_places[i].live || (int) off.where != two_places[i].off)
			fail_msg ("%s, over new %d: live %d, off %d", two_places[i].xml, two_places[i].over_new,
				  live.where, off.where);
		assert_false (live.job || live.copy || live.other_job || live.ready || live.moving);
	}
}

/* Without a next one, no file is it; not even a disk that has none. */
static void without_a_next_overlay_nothing_lies_on_it (void **state)
{
	struct vmc_overlay_state found = {.active = true};

	(void) state;
	look (ON ("/next", NEW), &found);
	assert_int_equal (found.where, VMC_ELSEWHERE);
	look (ON ("", NEW), &found);
	assert_int_equal (found.where, VMC_ELSEWHERE);
}

/* The name of the new image does not fit then: there can be none. */
static void over_a_name_that_does_not_fit_there_is_no_overlay (void **state)
{
	static struct vmc_journal journal = {.target = "vda", .overlay = "/overlay", .over_new = true};
	struct vmc_overlay_state found = {.active = true};
	struct vmc_error err;
	char *xml;

	(void) state;
	memset (journal.base, 'b', sizeof journal.base - 1);
	assert_true (asprintf (&xml, DISK ("<source file='/overlay'/>" OVER ("%s", "")), journal.base) > 0);
	assert_int_equal (vmc_overlay_look_in (&journal, xml, &found, &err), 0);
	assert_int_equal (found.where, VMC_ELSEWHERE);
	journal.over_new = false;
	assert_int_equal (vmc_overlay_look_in (&journal, xml, &found, &err), 0);
	assert_int_equal (found.where, VMC_ON_OVERLAY);
	free (xml);
}

#define JOB_ON(path, below, mirror, ready) \
	DISK ("<source file='" path "'/>" OVER (below, "<backingStore/>") MIRROR (mirror, ready))

static const struct {
	const char *xml;
	bool over_new, job, copy, other_job, ready, moving;
} copies[] = {
	{JOB_ON ("/overlay", "/base", "/next", ""), false, true, true, false, false, false},
	{JOB_ON ("/overlay", "/base", "/next", "ready='yes'"), false, true, true, false, true, false},
	{JOB_ON ("/overlay", "/base", "/next", "ready='pivot'"), false, true, true, false, false, true},
	{JOB_ON ("/overlay", NEW, "/next", "ready='yes'"), true, true, true, false, true, false},

	/* The overlay is over the base again, and committed, while the one before is still to be removed. */
	{JOB_ON ("/overlay", "/base", "/base", "ready='yes'"), false, true, false, false, true, false},

	/* To another file, from another file, over another file. */
	{JOB_ON ("/overlay", "/base", "/next2", "ready='yes'"), false, false, false, true, true, false},
	{JOB_ON ("/overlay", "/base", NEW, ""), false, false, false, true, false, false},
	{JOB_ON ("/overlay", NEW, NEW, ""), true, false, false, true, false, false},
	{JOB_ON ("/overlay", NEW, "/next", ""), false, false, false, true, false, false},
	{JOB_ON ("/overlay", "/base", "/next", ""), true, false, false, true, false, false},
	{JOB_ON ("/next", NEW, "/next", ""), false, false, false, true, false, false},
	{JOB_ON ("/next", NEW, "/overlay", ""), false, false, false, true, false, false},
	{JOB_ON ("/next", "/base", "/base", ""), true, false, false, true, false, false},
	{DISK ("<source file='/base'/>" MIRROR ("/next", "ready='yes'")), false, false, false, true, true, false},
};

static void a_copy_to_the_next_overlay_is_ours (void **state)
{
	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (copies); i++) {
		struct vmc_overlay_state found = {.active = true, .any_job = true, .lost_job = true};

		look_at_two (copies[i].xml, copies[i].over_new, &found);
		if (found.job != copies[i].job || found.copy != copies[i].copy ||
		    found.other_job != copies[i].other_job || found.ready != copies[i].ready ||
		    found.moving != copies[i].moving)
			fail_msg ("%s: job %d, copy %d, other %d, ready %d, moving %d", copies[i].xml, found.job,
				  found.copy, found.other_job, found.ready, found.moving);
		assert_false (found.lost_job); /* it is in the XML */
	}
}

static void without_a_next_overlay_a_copy_is_not_ours (void **state)
{
	struct vmc_overlay_state found = {.active = true, .any_job = true};

	(void) state;
	look (JOB_ON ("/overlay", "/base", "/next", "ready='yes'"), &found);
	assert_true (found.other_job);
	assert_false (found.job || found.copy);
	found = (struct vmc_overlay_state) {.active = true, .any_job = true};
	look (JOB_ON ("/overlay", "/base", "", "ready='yes'"), &found);
	assert_true (found.other_job);
	assert_false (found.job || found.copy);
}

static void the_overlays_take_turns (void **state)
{
	static const struct {
		const char *first, *second;
	} cases[] = {
		{"/i/vm1.qcow2.vmcompact-overlay", "/i/vm1.qcow2.vmcompact-overlay2"},
		{"/i/a b.vmcompact-overlay", "/i/a b.vmcompact-overlay2"},
		{"/i/vm2.vmcompact-overlay", "/i/vm2.vmcompact-overlay2"},
		{"/i/vm.22.vmcompact-overlay", "/i/vm.22.vmcompact-overlay2"},
		{"/i.vmcompact-overlay2/x.vmcompact-overlay", "/i.vmcompact-overlay2/x.vmcompact-overlay2"},
		{"/fast/c7a5fdbd-cdaf-9455-926a-d65c16db1809-vda.vmcompact-overlay",
		 "/fast/c7a5fdbd-cdaf-9455-926a-d65c16db1809-vda.vmcompact-overlay2"},
	};
	char next[VMC_PATH_SIZE];

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		assert_true (vmc_overlay_next_name (cases[i].first, next));
		assert_string_equal (next, cases[i].second);
		assert_true (vmc_overlay_next_name (cases[i].second, next));
		assert_string_equal (next, cases[i].first);
	}
}

static void the_next_name_is_never_cut (void **state)
{
	char overlay[VMC_PATH_SIZE], next[VMC_PATH_SIZE], back[VMC_PATH_SIZE];
	size_t stem = VMC_PATH_SIZE - 1 - strlen (VMC_OVERLAY_SECOND VMC_OVERLAY_SUFFIX);

	(void) state;
	memset (overlay, 'o', sizeof overlay);
	strcpy (overlay + stem, VMC_OVERLAY_SUFFIX);
	assert_true (vmc_overlay_next_name (overlay, next));
	assert_int_equal (strlen (next), VMC_PATH_SIZE - 1);
	assert_true (vmc_overlay_next_name (next, back));
	assert_string_equal (back, overlay);
	memset (overlay, 'o', sizeof overlay);
	strcpy (overlay + stem + 1, VMC_OVERLAY_SUFFIX);
	assert_false (vmc_overlay_next_name (overlay, next));
}

static void the_next_overlay_takes_the_place_of_the_one_before (void **state)
{
	struct vmc_overlay overlay = {.journal = two_overlays (false)};
	struct vmc_journal *journal = &overlay.journal;

	(void) state;
	journal->overlay_inode = 7;
	journal->overlay_bytes = 196616;
	journal->next_inode = 8;
	journal->step = VMC_STEP_MOVE;
	vmc_overlay_adopt_next (&overlay);
	assert_string_equal (journal->overlay, "/next");
	assert_string_equal (journal->next, "/overlay");
	assert_int_equal (journal->overlay_inode, 8);
	assert_int_equal (journal->next_inode, 7);
	assert_true (journal->over_new);
	assert_int_equal (journal->step, VMC_STEP_COMMIT);
	assert_string_equal (journal->base, "/base");
	assert_int_equal (journal->new_inode, 1);
	journal->step = VMC_STEP_MOVE;
	vmc_overlay_adopt_next (&overlay);
	assert_string_equal (journal->overlay, "/overlay");
	assert_string_equal (journal->next, "/next");
	assert_int_equal (journal->overlay_inode, 7);
	assert_int_equal (journal->next_inode, 8);
	assert_false (journal->over_new);
	assert_int_equal (journal->step, VMC_STEP_COMMIT);
}

/* An overlay that the domain was moved to was written to, whatever its length. */
static void an_adopted_overlay_counts_as_used (void **state)
{
	struct vmc_overlay overlay = {.journal = two_overlays (false)};
	struct vmc_journal *journal = &overlay.journal;
	int fd;

	(void) state;
	journal->overlay_bytes = 196616;
	strcpy (journal->next, "/tmp/vmcompact-unit-XXXXXX");
	fd = mkstemp (journal->next);
	assert_true (fd >= 0);
	assert_return_code (ftruncate (fd, 196616), 0);
	vmc_overlay_adopt_next (&overlay);
	assert_false (vmc_overlay_unused (&overlay));
	assert_return_code (unlink (journal->overlay), 0);
	(void) close (fd);
}

static void both_overlays_are_measured (void **state)
{
	struct vmc_overlay overlay = {0};
	char block[4096] = {1};
	struct stat first, second;
	int fds[2];

	(void) state;
	strcpy (overlay.journal.overlay, "/tmp/vmcompact-unit-XXXXXX");
	strcpy (overlay.journal.next, "/tmp/vmcompact-unit-XXXXXX");
	fds[0] = mkstemp (overlay.journal.overlay);
	fds[1] = mkstemp (overlay.journal.next);
	for (int i = 0; i < 2; i++) {
		assert_int_equal (write (fds[i], block, sizeof block), sizeof block);
		assert_return_code (fsync (fds[i]), 0); /* the space is taken only then */
	}
	assert_return_code (fstat (fds[0], &first), 0);
	assert_return_code (fstat (fds[1], &second), 0);
	vmc_overlay_measure (&overlay);
	assert_true (first.st_blocks > 0 && second.st_blocks > 0);
	assert_int_equal (overlay.peak_bytes, (first.st_blocks + second.st_blocks) * 512);
	assert_return_code (unlink (overlay.journal.next), 0);
	vmc_overlay_measure (&overlay); /* the most that it ever was */
	assert_int_equal (overlay.peak_bytes, (first.st_blocks + second.st_blocks) * 512);
	assert_return_code (unlink (overlay.journal.overlay), 0);
	(void) close (fds[0]);
	(void) close (fds[1]);
}

/* --- the XML that is wanted --------------------------------------------------------------------- */

#define BEFORE \
	"<domain><name>vm1</name><devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/>" \
	"<source file='/base'/><backingStore type='file'><source file='/template'/></backingStore>" \
	"<target dev='vda' bus='virtio'/></disk><disk type='file' device='disk'><driver name='qemu' type='qcow2'/>" \
	"<source file='/b'/><target dev='vdb' bus='virtio'/></disk></devices></domain>"

/* An overlay over a base that is a file of our own, the new image with that format or not. */
static int make_base (struct vmc_overlay *overlay, bool in_place, const char *format)
{
	struct stat status;
	int fd;

	*overlay = (struct vmc_overlay) {.journal.target = "vda"};
	strcpy (overlay->journal.base, "/tmp/vmcompact-unit-XXXXXX");
	strcpy (overlay->journal.new_format, format);
	fd = mkstemp (overlay->journal.base);
	assert_true (fd >= 0);
	assert_return_code (fstat (fd, &status), 0);
	overlay->journal.old_inode = status.st_ino + in_place;
	overlay->journal.new_inode = status.st_ino + !in_place;
	return fd;
}

static void remove_base (struct vmc_overlay *overlay, int fd)
{
	assert_return_code (unlink (overlay->journal.base), 0);
	(void) close (fd);
}

static void with_the_new_image_another_format_is_wanted (void **state)
{
	struct vmc_overlay overlay;
	int fd = make_base (&overlay, true, "raw");
	char *wanted = vmc_overlay_wanted_xml (&overlay, BEFORE);

	(void) state;
	assert_non_null (wanted);
	assert_contains (wanted, "<name>vm1</name>");
	assert_contains (wanted, "<disk type=\"file\" device=\"disk\"><driver name=\"qemu\" type=\"raw\"/><source "
				 "file=\"/base\"/><backingStore type=\"file\"><source file=\"/template\"/>"
				 "</backingStore><target dev=\"vda\"");
	assert_contains (wanted, "<driver name=\"qemu\" type=\"qcow2\"/><source file=\"/b\"/>");
	free (wanted);
	remove_base (&overlay, fd);
}

static void without_the_new_image_nothing_else_is_wanted (void **state)
{
	struct vmc_overlay overlay;
	int fd = make_base (&overlay, false, "raw");
	char *wanted = vmc_overlay_wanted_xml (&overlay, BEFORE);

	(void) state;
	assert_string_equal (wanted, BEFORE);
	free (wanted);
	overlay.journal.new_inode = 0; /* a commit */
	wanted = vmc_overlay_wanted_xml (&overlay, BEFORE);
	assert_string_equal (wanted, BEFORE);
	free (wanted);
	remove_base (&overlay, fd);
	overlay.journal.new_inode = overlay.journal.old_inode; /* which file it was, nothing tells any more */
	wanted = vmc_overlay_wanted_xml (&overlay, BEFORE);
	assert_string_equal (wanted, BEFORE);
	free (wanted);
}

static void what_is_not_known_or_not_there_is_not_wanted (void **state)
{
	struct vmc_overlay overlay;
	int fd = make_base (&overlay, true, "raw");

	(void) state;
	assert_null (vmc_overlay_wanted_xml (&overlay, NULL));
	assert_null (vmc_overlay_wanted_xml (&overlay, "<domain><devices/></domain>"));
	remove_base (&overlay, fd);
	assert_null (vmc_overlay_wanted_xml (&overlay, NULL));
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
	cmocka_unit_test (the_next_overlay_is_told_from_the_one_before),
	cmocka_unit_test (without_a_next_overlay_nothing_lies_on_it),
	cmocka_unit_test (over_a_name_that_does_not_fit_there_is_no_overlay),
	cmocka_unit_test (a_copy_to_the_next_overlay_is_ours),
	cmocka_unit_test (without_a_next_overlay_a_copy_is_not_ours),
	cmocka_unit_test (the_overlays_take_turns),
	cmocka_unit_test (the_next_name_is_never_cut),
	cmocka_unit_test (the_next_overlay_takes_the_place_of_the_one_before),
	cmocka_unit_test (an_adopted_overlay_counts_as_used),
	cmocka_unit_test (both_overlays_are_measured),
	cmocka_unit_test (with_the_new_image_another_format_is_wanted),
	cmocka_unit_test (without_the_new_image_nothing_else_is_wanted),
	cmocka_unit_test (what_is_not_known_or_not_there_is_not_wanted),
	cmocka_unit_test (the_length_tells_whether_it_was_used),
	cmocka_unit_test (who_has_it_open_for_writing_uses_it),
	cmocka_unit_test (what_cannot_be_looked_at_counts_as_used),
};

UNIT_MAIN (tests)
