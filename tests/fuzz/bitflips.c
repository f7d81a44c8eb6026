/* bitflips.c - bits flip in the metadata of ext4 filesystems: is a block that is used ever called free?
 *
 *   FLIPS  how many times (default 39000)      SEED  which ones (default 1)      ONLY  just this one of them, with its story
 *
 * Each time a filesystem of a kind of ext4_image.c is damaged, looked at, and brought back. Flip N of a seed is the same
 * wherever it runs. There are three ways:
 *
 *   plain     A bit or a few flip, nothing is mended. No block that was used before may be called free.
 *   repaired  Every checksum is made right afterwards. No block may be called free that is outside of the filesystem, that the
 *             changed metadata calls used, or in which the filesystem's own structures lie: where the changed metadata says that
 *             they lie, and also where they lay before, unless what says where they lie was itself hit.
 *   settled   The free counts are made what the changed bitmaps say, and then the checksums. The same must hold.
 *
 * A child does the work; when it dies or hangs, that is a crash, and another one goes on with the next flip. The output is TAP:
 * a test a kind, which fails if a crash or a false free was seen, if the undamaged filesystem is not mapped exactly as it is, if
 * damaged ones were never accepted or never refused, or if a false free would not have been noticed.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ext4_image.h"
#include "ext4_map.h"
#include "fuzz.h"

#define HANG_SECONDS 20 /* for one flip */
#define CRASHES_MAX 50  /* no use in going on */

enum way { PLAIN, REPAIRED, SETTLED, WAYS };
static const char *const way_names[WAYS] = {"plain", "repaired", "settled"};

/* Shared with the child that counts. */
struct counts {
	uint64_t next; /* index of the flip at work */
	uint64_t flips, refused, accepted, crashes, false_frees;
};

static uint64_t seed;
static bool story;

/* --- one flip --------------------------------------------------------------------------------- */

/* The splitmix64 generator. */
static uint64_t draw (uint64_t *state)
{
	uint64_t z = *state += UINT64_C (0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C (0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C (0x94D049BB133111EB);
	return z ^ z >> 31;
}

static void flip_bit (struct ext4_image *image, enum ext4_area area, uint64_t group, uint64_t *state)
{
	static const char *const names[EXT4_AREAS] = {"superblock",   "descriptor",           "block bitmap",
						      "inode bitmap", "journal's superblock", "journal's inode"};
	uint64_t index = draw (state) % ext4_image_area_bytes (image, area);
	uint64_t at = ext4_image_place (image, area, group, index);
	unsigned bit = draw (state) % 8;
	unsigned char byte = image->bytes[at] ^ (unsigned char) (1u << bit);

	ext4_image_write (image, at, &byte, 1);
	if (story)
		(void) printf ("# %s, group %u, byte %u, bit %u\n", names[area], (unsigned) group, (unsigned) index,
			       bit);
}

struct damage {
	enum way way;
	unsigned bits;
	bool moved; /* something was hit that says where structures lie */
};

/* Do what flip INDEX is. Half of those of more than one bit are in one place: two bits of one bitmap keep its count right. */
static struct damage do_damage (struct ext4_image *image, uint64_t index)
{
	uint64_t state = seed * UINT64_C (0xD1342543DE82EF95) + index;
	struct damage damage = {.way = draw (&state) % WAYS};
	bool one = draw (&state) % 2, together = draw (&state) % 2;
	enum ext4_area area = EXT4_AREAS;
	uint64_t group = 0;

	damage.bits = one ? 1 : 1 + draw (&state) % (damage.way == PLAIN ? image->kind->plain_max : 4);
	for (unsigned i = 0; i < damage.bits; i++) {
		if (i == 0 || !together) {
			area = draw (&state) % EXT4_AREAS;
			group = draw (&state) % image->truth.groups;
		}
		flip_bit (image, area, group, &state);
		damage.moved |= area == EXT4_AREA_SUPER || area == EXT4_AREA_DESC || area == EXT4_AREA_JOURNAL_INODE;
	}
	if (damage.way == SETTLED)
		ext4_image_settle (image);
	if (damage.way != PLAIN)
		ext4_image_repair (image);
	if (story)
		(void) printf ("# %s, %s\n", image->kind->name, way_names[damage.way]);
	return damage;
}

/* The first byte of MAP that is a false free, as above; UINT64_MAX: there is none. */
static uint64_t false_free (struct ext4_image *image, const struct damage *damage, const struct vmc_extents *map)
{
	uint64_t shift = image->kind->shift, found = UINT64_MAX;
	struct ext4_truth truth;
	uint8_t *used;

	if (damage->way == PLAIN)
		return ext4_truth_compare (&image->truth, image->used, map, shift);
	if (!damage->moved)
		found = ext4_truth_compare (&image->truth, image->fixed, map, shift);
	if (found != UINT64_MAX)
		return found;
	if (!ext4_truth_open (&truth, image->bytes, image->kind->bytes))
		return 0;
	used = ext4_truth_used (&truth);
	found = ext4_truth_compare (&truth, used, map, shift);
	free (used);
	return found;
}

static void run_flip (struct ext4_image *image, uint64_t index, struct counts *counts)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};
	struct damage damage = do_damage (image, index);
	struct vmc_ext4_geometry geometry;
	struct vmc_error err = {0};
	uint64_t found = UINT64_MAX;

	if (vmc_ext4_map (&image->source, image->kind->shift, image->kind->bytes, &geometry, &map, &err) < 0) {
		FUZZ_MUST (map.count == 0);
		counts->refused++;
	} else {
		counts->accepted++;
		/* One of several bits may have turned the checksums off: such a map is not believed alone. */
		if (damage.way != PLAIN || damage.bits == 1 || geometry.metadata_csum)
			found = false_free (image, &damage, &map);
	}
	if (story)
		(void) printf ("# %s\n", err.text[0] ? err.text : "accepted");
	if (found != UINT64_MAX) {
		counts->false_frees++;
		(void) printf ("# false free at byte %llu: %s, %s, SEED=%llu ONLY=%llu\n", (unsigned long long) found,
			       image->kind->name, way_names[damage.way], (unsigned long long) seed,
			       (unsigned long long) index);
		(void) fflush (stdout);
	}
	ext4_image_restore (image);
}

/* Is the image again what it was? */
static bool restored (const struct ext4_image *image)
{
	uint8_t *used = ext4_truth_used (&image->truth);
	bool same = memcmp (used, image->used, image->truth.blocks) == 0;

	free (used);
	return same;
}

/* --- many ------------------------------------------------------------------------------------- */

/* Flips NEXT, NEXT + STEP, ... below END, in a child. Its status, as of waitpid. */
static int run_child (struct ext4_image *image, struct counts *counts, uint64_t end)
{
	pid_t pid;
	int status = -1;

	(void) fflush (stdout);
	pid = fork ();
	if (pid == 0) {
		for (; counts->next < end; counts->next += ext4_kinds_count) {
			(void) alarm (HANG_SECONDS);
			counts->flips++;
			run_flip (image, counts->next, counts);
		}
		(void) fflush (stdout);
		FUZZ_MUST (restored (image));
		_exit (0);
	}
	FUZZ_MUST (pid > 0 && waitpid (pid, &status, 0) == pid);
	return status;
}

static void run_flips (struct ext4_image *image, struct counts *counts, uint64_t end)
{
	while (counts->next < end && counts->crashes < CRASHES_MAX) {
		int status = run_child (image, counts, end);

		if (status == 0)
			continue;
		(void) printf ("# %s: %s, status %x, SEED=%llu ONLY=%llu\n",
			       WIFSIGNALED (status) && WTERMSIG (status) == SIGALRM ? "hang" : "crash",
			       image->kind->name, (unsigned) status, (unsigned long long) seed,
			       (unsigned long long) counts->next);
		counts->crashes++;
		counts->next += ext4_kinds_count;
	}
}

/* Undamaged, the filesystem is mapped as it is, and each false free would be noticed. */
static bool proven (struct ext4_image *image)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};
	struct vmc_ext4_geometry geometry;
	struct vmc_error err = {0};
	uint64_t shift = image->kind->shift, size = image->truth.block_bytes, free_blocks = 0, unseen = 0;

	if (vmc_ext4_map (&image->source, shift, image->kind->bytes, &geometry, &map, &err) < 0) {
		(void) printf ("# %s is not mapped: %s\n", image->kind->name, err.text);
		return false;
	}
	for (uint64_t block = 0; block < image->truth.blocks; block++) {
		struct vmc_extent one = {shift + block * size, size};
		struct vmc_extents wrong = {&one, 1, 1};

		free_blocks += !image->used[block];
		if (image->used[block])
			unseen += ext4_truth_compare (&image->truth, image->used, &wrong, shift) != one.start;
	}
	return unseen == 0 && vmc_extents_total (&map) == free_blocks * size &&
	       ext4_truth_compare (&image->truth, image->used, &map, shift) == UINT64_MAX;
}

static bool run_kind (unsigned kind, uint64_t flips, struct counts *counts)
{
	struct ext4_image *image = ext4_image_get (kind);

	if (image == NULL) {
		(void) printf ("# %s: mke2fs failed\n", ext4_kinds[kind].name);
		return false;
	}
	if (!proven (image)) {
		(void) printf ("# %s: undamaged, it is not mapped as it is\n", image->kind->name);
		return false;
	}
	counts->next = kind;
	run_flips (image, counts, flips);
	(void) printf ("# %s: flips %llu, refused %llu, accepted %llu, crashes %llu, false frees %llu\n",
		       image->kind->name, (unsigned long long) counts->flips, (unsigned long long) counts->refused,
		       (unsigned long long) counts->accepted, (unsigned long long) counts->crashes,
		       (unsigned long long) counts->false_frees);
	return counts->crashes == 0 && counts->false_frees == 0 && counts->refused > 0 && counts->accepted > 0;
}

static uint64_t number_from (const char *name, uint64_t otherwise)
{
	const char *text = getenv (name);

	return text != NULL && *text != 0 ? strtoull (text, NULL, 10) : otherwise;
}

static int run_only (uint64_t index)
{
	struct ext4_image *image = ext4_image_get ((unsigned) (index % ext4_kinds_count));
	struct counts counts = {0};

	FUZZ_MUST (image != NULL);
	story = true;
	run_flip (image, index, &counts);
	return counts.false_frees > 0;
}

int main (void)
{
	struct counts *counts = mmap (NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t flips = number_from ("FLIPS", 39000), only = number_from ("ONLY", UINT64_MAX);
	struct counts all = {0};
	bool good = true;

	seed = number_from ("SEED", 1);
	if (only != UINT64_MAX)
		return run_only (only);
	FUZZ_MUST (counts != MAP_FAILED);
	(void) printf ("1..%u\n# SEED=%llu FLIPS=%llu\n", ext4_kinds_count, (unsigned long long) seed,
		       (unsigned long long) flips);
	for (unsigned kind = 0; kind < ext4_kinds_count; kind++) {
		bool kind_good;

		*counts = (struct counts) {0};
		kind_good = run_kind (kind, flips, counts);
		(void) printf ("%sok %u - %s\n", kind_good ? "" : "not ", kind + 1, ext4_kinds[kind].name);
		good &= kind_good;
		all.flips += counts->flips;
		all.refused += counts->refused;
		all.accepted += counts->accepted;
		all.crashes += counts->crashes;
		all.false_frees += counts->false_frees;
	}
	(void) printf ("# flips %llu, refused %llu, accepted %llu, crashes %llu, false frees %llu\n",
		       (unsigned long long) all.flips, (unsigned long long) all.refused,
		       (unsigned long long) all.accepted, (unsigned long long) all.crashes,
		       (unsigned long long) all.false_frees);
	return !good;
}
