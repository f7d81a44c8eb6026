/* limits.c - what no program could do without, by itself: the same punches, a copy of the same bytes, libvirt's round trips
 *
 *   limits ranges BEFORE AFTER                 print where BEFORE has data and AFTER, of the same length, has a hole: "START LENGTH"
 *   limits punch FILE <RANGES                  punch them, fsync; prints seconds=S holes=N
 *   limits copy FROM TO [copy_file_range]      the data of FROM into TO, a new file, fsync; prints seconds=S MiB=N
 *   limits comb FILE TEETH                     make a file of TEETH blocks of 4 KiB, with a hole of the same size behind each
 *   limits moves DOMAIN TARGET OVERLAY...      move the running domain to the first overlay by a snapshot, from each to the next by a
 *                                              copy, and from the last back by a commit; prints seconds=S, and snapshot_ms=N and
 *                                              pivot_ms=N of the two calls of these for which writes are held; the overlays are
 *                                              there, each over the image, and the guest goes on all the time
 *
 * What fails ends with 1 and says what.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libvirt/libvirt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MIB (1u << 20)
#define LOOK_US 1000
#define TOOTH_BYTES 4096

static void must (int ok, const char *what)
{
	if (ok)
		return;
	(void) fprintf (stderr, "limits: %s: %s\n", what, strerror (errno));
	exit (1);
}

static double now (void)
{
	struct timespec time;

	(void) clock_gettime (CLOCK_MONOTONIC, &time);
	return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

static int open_file (const char *path, int flags)
{
	int fd = open (path, flags | O_CLOEXEC, 0600);

	must (fd >= 0, path);
	return fd;
}

/* --- ranges ----------------------------------------------------------------------------------- */

/* The next data of FD from *START on: [*START, *END). 0: there is none. */
static int next_data (int fd, off_t *start, off_t *end)
{
	*start = lseek (fd, *start, SEEK_DATA);
	if (*start < 0)
		return 0;
	*end = lseek (fd, *start, SEEK_HOLE);
	return *end > *start;
}

static void print_ranges (const char *before_path, const char *after_path)
{
	int before = open_file (before_path, O_RDONLY), after = open_file (after_path, O_RDONLY);

	for (off_t start = 0, end = 0; next_data (before, &start, &end); start = end)
		for (off_t at = start; at < end;) {
			off_t hole = lseek (after, at, SEEK_HOLE), data;

			if (hole < 0 || hole >= end)
				break;
			data = lseek (after, hole, SEEK_DATA);
			at = data < 0 || data > end ? end : data;
			(void) printf ("%jd %jd\n", (intmax_t) hole, (intmax_t) (at - hole));
		}
}

static void punch (const char *path)
{
	int fd = open_file (path, O_RDWR);
	intmax_t start, length;
	unsigned holes = 0;
	double began = now ();

	while (scanf ("%jd %jd", &start, &length) == 2) {
		must (fallocate (fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, length) == 0, "punch");
		holes++;
	}
	must (fsync (fd) == 0, "fsync");
	(void) printf ("seconds=%.3f holes=%u\n", now () - began, holes);
}

/* --- a copy ----------------------------------------------------------------------------------- */

static size_t copy_some (int from, int to, off_t at, size_t length, int by_kernel)
{
	static char buffer[MIB];
	ssize_t got;

	if (by_kernel) {
		off_t in = at, out = at;

		got = copy_file_range (from, &in, to, &out, length, 0);
		must (got > 0, "copy_file_range");
		return (size_t) got;
	}
	got = pread (from, buffer, length < sizeof buffer ? length : sizeof buffer, at);
	must (got > 0 && pwrite (to, buffer, (size_t) got, at) == got, "copy");
	return (size_t) got;
}

static void copy (const char *from_path, const char *to_path, int by_kernel)
{
	int from = open_file (from_path, O_RDONLY), to = open_file (to_path, O_RDWR | O_CREAT | O_EXCL);
	off_t bytes = 0;
	struct stat status;
	double began = now ();

	must (fstat (from, &status) == 0 && ftruncate (to, status.st_size) == 0, "ftruncate");
	for (off_t start = 0, end = 0; next_data (from, &start, &end); start = end)
		for (off_t at = start; at < end;) {
			size_t done = copy_some (from, to, at, (size_t) (end - at), by_kernel);

			at += (off_t) done;
			bytes += (off_t) done;
		}
	must (fsync (to) == 0, "fsync");
	(void) printf ("seconds=%.3f MiB=%.1f\n", now () - began, (double) bytes / MIB);
}

/* --- what the growth is measured with ----------------------------------------------------------- */

static void comb (const char *path, off_t teeth)
{
	int fd = open_file (path, O_RDWR | O_CREAT | O_EXCL);

	must (fallocate (fd, 0, 0, teeth * 2 * TOOTH_BYTES) == 0, "fallocate");
	for (off_t i = 0; i < teeth; i++)
		must (fallocate (fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (2 * i + 1) * TOOTH_BYTES,
				 TOOTH_BYTES) == 0,
		      "punch");
	must (fsync (fd) == 0, "fsync");
}

/* --- round trips ------------------------------------------------------------------------------ */

static void await_ready (virDomainPtr domain, const char *target)
{
	virDomainBlockJobInfo info = {0};

	do {
		must (virDomainGetBlockJobInfo (domain, target, &info, 0) == 1, "the block job");
		(void) usleep (LOOK_US);
	} while (info.end == 0 || info.cur < info.end);
}

/* Ready a moment after all is copied. Returns how long the call took that succeeded, in seconds. */
static double pivot (virDomainPtr domain, const char *target)
{
	double began;

	await_ready (domain, target);
	for (began = now (); virDomainBlockJobAbort (domain, target, VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT) < 0;
	     began = now ())
		(void) usleep (LOOK_US);
	return now () - began;
}

static double take_snapshot (virDomainPtr domain, const char *target, const char *overlay)
{
	virDomainSnapshotPtr snapshot;
	char xml[4096];
	double began = now ();

	(void) snprintf (xml, sizeof xml,
			 "<domainsnapshot><disks><disk name='%s' snapshot='external'><source file='%s'/></disk></disks>"
			 "</domainsnapshot>",
			 target, overlay);
	snapshot = virDomainSnapshotCreateXML (domain, xml,
					       VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY |
						       VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA |
						       VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC |
						       VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT);
	must (snapshot != NULL, "snapshot");
	(void) virDomainSnapshotFree (snapshot);
	return now () - began;
}

static void copy_to (virDomainPtr domain, const char *target, const char *overlay)
{
	char xml[4096];

	(void) snprintf (xml, sizeof xml, "<disk type='file'><driver type='qcow2'/><source file='%s'/></disk>",
			 overlay);
	must (virDomainBlockCopy (domain, target, xml, NULL, 0,
				  VIR_DOMAIN_BLOCK_COPY_SHALLOW | VIR_DOMAIN_BLOCK_COPY_REUSE_EXT |
					  VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB) == 0,
	      "block copy");
	(void) pivot (domain, target);
}

static void move (const char *name, const char *target, char **overlays)
{
	double began = now (), snapshot_s, pivot_s;
	virConnectPtr connection = virConnectOpen (NULL);
	virDomainPtr domain = connection ? virDomainLookupByName (connection, name) : NULL;

	must (domain != NULL, "the domain");
	snapshot_s = take_snapshot (domain, target, *overlays++);
	while (*overlays != NULL)
		copy_to (domain, target, *overlays++);
	must (virDomainBlockCommit (domain, target, NULL, NULL, 0,
				    VIR_DOMAIN_BLOCK_COMMIT_ACTIVE | VIR_DOMAIN_BLOCK_COMMIT_SHALLOW) == 0,
	      "block commit");
	pivot_s = pivot (domain, target);
	(void) virDomainFree (domain);
	(void) virConnectClose (connection);
	(void) printf ("seconds=%.3f snapshot_ms=%.0f pivot_ms=%.0f\n", now () - began, snapshot_s * 1000,
		       pivot_s * 1000);
}

int main (int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";

	if (strcmp (what, "ranges") == 0 && argc == 4)
		print_ranges (argv[2], argv[3]);
	else if (strcmp (what, "punch") == 0 && argc == 3)
		punch (argv[2]);
	else if (strcmp (what, "copy") == 0 && argc >= 4)
		copy (argv[2], argv[3], argc > 4);
	else if (strcmp (what, "comb") == 0 && argc == 4)
		comb (argv[2], atol (argv[3]));
	else if (strcmp (what, "moves") == 0 && argc > 4)
		move (argv[2], argv[3], argv + 4);
	else
		must (0, "see the top of limits.c");
	return 0;
}
