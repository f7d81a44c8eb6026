/* driver.c - runs the corpus of a fuzz target without libFuzzer: any compiler can build it; the output is TAP
 *
 * The files are those of tests/fuzz/corpus/NAME, where NAME is the name of the program, or the files and directories on the
 * command line. An empty corpus is a failure, not a success. The name of a file is printed before it is run, so that the
 * last one named is the one that killed the program; without the plan at the end, TAP counts that as a failure.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

static unsigned run, failed;

/* The whole file, in *SIZE bytes; NULL: it cannot be read. To be freed by the caller. */
static uint8_t *read_file (const char *path, size_t *size)
{
	FILE *file = fopen (path, "rb");
	struct stat about;
	uint8_t *data;

	if (file == NULL)
		return NULL;
	data = fstat (fileno (file), &about) == 0 ? malloc ((size_t) about.st_size + 1) : NULL;
	*size = data ? fread (data, 1, (size_t) about.st_size, file) : 0;
	if (data != NULL && *size != (size_t) about.st_size) {
		free (data);
		data = NULL;
	}
	(void) fclose (file);
	return data;
}

static void run_file (const char *path)
{
	size_t size = 0;
	uint8_t *data = read_file (path, &size);
	const char *name = strrchr (path, '/') ? strrchr (path, '/') + 1 : path;

	run++;
	(void) printf ("# %s\n", path);
	(void) fflush (stdout);
	if (data == NULL || LLVMFuzzerTestOneInput (data, size) != 0) {
		failed++;
		(void) printf ("not ");
	}
	(void) printf ("ok %u - %s\n", run, name);
	free (data);
}

static int visible (const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void run_path (const char *path)
{
	struct dirent **names;
	int count = scandir (path, &names, visible, alphasort);

	if (count < 0) {
		run_file (path);
		return;
	}
	for (int i = 0; i < count; i++) {
		char file[4096];

		if (snprintf (file, sizeof file, "%s/%s", path, names[i]->d_name) < (int) sizeof file)
			run_file (file);
		free (names[i]);
	}
	free (names);
}

int main (int argc, char **argv)
{
	const char *source = getenv ("top_srcdir"), *name = strrchr (argv[0], '/');
	char corpus[4096];

	(void) snprintf (corpus, sizeof corpus, "%s/tests/fuzz/corpus/%s", source ? source : ".",
			 name ? name + 1 : argv[0]);
	if (argc < 2)
		run_path (corpus);
	for (int i = 1; i < argc; i++)
		run_path (argv[i]);
	if (run == 0) {
		(void) printf ("1..1\nnot ok 1 - '%s' is empty\n", corpus);
		return 1;
	}
	(void) printf ("1..%u\n", run);
	return failed > 0;
}
