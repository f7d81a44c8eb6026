/* snapshots.c - see snapshots.h
 *
 * Such a module sees what is written and discarded from inside of the guest, but not what the host gives back: its snapshot would lose
 * what is free by now. It shows in no table. Some are known by their names; of the others it is taken that the device on which they show
 * their snapshots has a driver with a major number of its own, as most have. So whatever is not known to be harmless counts as one.
 */
#include "snapshots.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "sysfs.h"

#define DRIVERS "/proc/devices"
#define BLOCK_DRIVERS "Block devices:"

static const char *find_module (void)
{
	static const char *const names[] = {"veeamsnap", "blksnap",      "bdevfilter",
					    "dattobd",   "elastio_snap", "snapapi26"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (vmc_sysfs_exists ("/sys/module", names[i]))
			return names[i];
	return NULL;
}

/* What they pass to register_blkdev in the kernel's source, and ZFS. They are disks, or show in sysfs what they lie on. */
static bool is_known (const char *name, size_t length)
{
	static const char *const names[] = {"aoe",     "bcache",   "blkext", "btt",  "dasd",    "device-mapper",
					    "drbd",    "fd",       "ide",    "loop", "md",      "mdp",
					    "mmc",     "mtdblock", "nbd",    "nvme", "pktcdvd", "pmem",
					    "ramdisk", "rbd",      "rnbd",   "sd",   "sr",      "ubiblock",
					    "virtblk", "xvd",      "zram",   "zvol"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strlen (names[i]) == length && memcmp (names[i], name, length) == 0)
			return true;
	return false;
}

/* Some have one for each device: "ide0", "rbd1". */
static bool is_strange (const char *name)
{
	size_t stem = strlen (name);

	while (stem > 0 && isdigit ((unsigned char) name[stem - 1]))
		stem--;
	return !is_known (name, stem);
}

bool vmc_snapshots_strange_driver (const char *text, char *name)
{
	const char *line = strstr (text, BLOCK_DRIVERS);
	char driver[VMC_NAME_SIZE]; /* of a longer name the start is enough: none of the known is so long */

	while (line != NULL && (line = strchr (line, '\n')) != NULL) {
		line++;
		if (*line == 0 || *line == '\n')
			continue;
		line += strspn (line, " "); /* "  8 sd" */
		line += strspn (line, "0123456789");
		line += strspn (line, " ");
		(void) snprintf (driver, sizeof driver, "%.*s", (int) strcspn (line, "\n"), line);
		if (is_strange (driver)) {
			vmc_text_copy (name, VMC_NAME_SIZE, driver);
			return true;
		}
	}
	return false;
}

static bool find_driver (char *why)
{
	FILE *file = fopen (DRIVERS, "re");
	char *text = NULL, name[VMC_NAME_SIZE];
	size_t room = 0;
	bool found = true;

	/* No zero byte is in that file: one "line" up to it is the whole of it. */
	if (file == NULL || getdelim (&text, &room, 0, file) < 0)
		vmc_text_copy (why, VMC_TEXT_SIZE, "it is not known which block drivers there are (" DRIVERS ")");
	else if (vmc_snapshots_strange_driver (text, name))
		(void) snprintf (why, VMC_TEXT_SIZE,
				 "the block driver '%s' is not one of the kernel's own, and can keep a snapshot of "
				 "what is free",
				 name);
	else
		found = false;
	if (file != NULL)
		(void) fclose (file);
	free (text);
	return found;
}

bool vmc_snapshots_possible (char *why)
{
	const char *module = find_module ();

	if (module == NULL)
		return find_driver (why);
	(void) snprintf (why, VMC_TEXT_SIZE,
			 "the kernel module '%s' can keep a snapshot of what is free, and no table shows it", module);
	return true;
}
