/* writer.c - writes, syncs and replaces files for as long as it runs, and tells whether they read back (in the test guest)
 *
 *   writer NAME DIRECTORY
 *   writer --check FILE...
 *
 * A file gets its name, SLOT.NUMBER.CHECKSUM, only when its bytes are on the disk, and the older file of its slot goes only
 * then: at each moment every file that has a name must read back as its checksum says. One that goes meanwhile does not count.
 * What is said on the console, "synced NAME NUMBER", must be there whatever becomes of the guest: the sync of a later file has
 * written the name of an earlier one, too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOTS 16
#define PIECE_BYTES 16384
#define MOST_PIECES 11
#define PAUSE_US 200000 /* an emulated guest that is never idle slows down all that is tested */

static void must (bool done, const char *what)
{
	if (done)
		return;
	fprintf (stderr, "writer: %s: %s\n", what, strerror (errno));
	exit (1);
}

/* FNV-1a, of words. */
static uint64_t checksum (const uint64_t *words, size_t count)
{
	uint64_t sum = UINT64_C (0xcbf29ce484222325);

	for (size_t i = 0; i < count; i++)
		sum = (sum ^ words[i]) * UINT64_C (0x100000001b3);
	return sum;
}

/* NUMBER: two boots of a guest that was kept (bed.sh) have the same random bytes, but never the same number. */
static void fill (uint64_t *words, size_t count, unsigned long number)
{
	uint64_t state;

	must (getrandom (&state, sizeof (state), 0) == sizeof (state), "getrandom");
	state ^= number * UINT64_C (0x9e3779b97f4a7c15);
	for (size_t i = 0; i < count; i++) {
		state = state * UINT64_C (6364136223846793005) + UINT64_C (1442695040888963407);
		words[i] = state ^ (state >> 33);
	}
}

/* --- checking ------------------------------------------------------------------------------------ */

static bool is_sound (const char *path)
{
	static uint64_t words[MOST_PIECES * PIECE_BYTES / 8 + 1];
	const char *named = strrchr (path, '.');
	ssize_t length;
	int fd = open (path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return true;
	must (fd >= 0, path);
	length = read (fd, words, sizeof (words));
	close (fd);
	return length > 0 && length % PIECE_BYTES == 0 && named != NULL &&
	       checksum (words, (size_t) length / 8) == strtoull (named + 1, NULL, 16);
}

static int check (char **paths)
{
	bool sound = true;

	for (; *paths != NULL; paths++) {
		if (is_sound (*paths))
			continue;
		printf ("damaged: %s\n", *paths);
		sound = false;
	}
	return sound ? 0 : 1;
}

/* --- writing ------------------------------------------------------------------------------------- */

/* The number after the greatest that is there; the name of the file in each slot. */
static unsigned long look (char names[SLOTS][NAME_MAX + 1])
{
	unsigned long next = 0, slot, number;
	DIR *directory = opendir (".");

	must (directory != NULL, "opendir");
	for (struct dirent *entry; (entry = readdir (directory)) != NULL;) {
		if (sscanf (entry->d_name, "%lu.%lu.", &slot, &number) != 2 || slot >= SLOTS)
			continue;
		next = number >= next ? number + 1 : next;
		strcpy (names[slot], entry->d_name);
	}
	closedir (directory);
	return next;
}

static uint64_t write_new (unsigned long number)
{
	static uint64_t words[MOST_PIECES * PIECE_BYTES / 8];
	size_t length = (number % MOST_PIECES + 1) * PIECE_BYTES;
	int fd = open ("new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	must (fd >= 0, "new");
	fill (words, length / 8, number);
	must (write (fd, words, length) == (ssize_t) length, "write");
	must (fsync (fd) == 0, "fsync");
	must (close (fd) == 0, "close");
	return checksum (words, length / 8);
}

int main (int argc, char **argv)
{
	static char names[SLOTS][NAME_MAX + 1];
	char name[NAME_MAX + 1];
	FILE *console;
	unsigned long first;

	if (argc >= 2 && strcmp (argv[1], "--check") == 0)
		return check (argv + 2);
	if (argc != 3) {
		fprintf (stderr, "usage: writer NAME DIRECTORY | writer --check FILE...\n");
		return 2;
	}
	must (chdir (argv[2]) == 0 && (mkdir (argv[1], 0755) == 0 || errno == EEXIST) && chdir (argv[1]) == 0, argv[2]);
	console = fopen ("/dev/console", "w");
	must (console != NULL, "/dev/console");
	first = look (names);
	for (unsigned long number = first;; number++) {
		char *old = names[number % SLOTS];
		uint64_t sum = write_new (number);

		if (number > first)
			must (fprintf (console, "synced %s %lu\n", argv[1], number - 1) > 0 && fflush (console) == 0,
			      "console");
		snprintf (name, sizeof (name), "%lu.%lu.%016" PRIx64, number % SLOTS, number, sum);
		must (rename ("new", name) == 0, "rename");
		must (old[0] == '\0' || unlink (old) == 0, "unlink");
		strcpy (old, name);
		usleep (PAUSE_US);
	}
}
