/* device_mapper.c - see device_mapper.h
 *
 * DM_TABLE_STATUS with DM_STATUS_TABLE_FLAG gives the table that is in use: a list of targets, each with its type and its
 * parameters as text (Documentation/admin-guide/device-mapper in the kernel):
 *
 *   linear   DEVICE START
 *   striped  COUNT CHUNK (DEVICE START)...     chunk k lies on device k % COUNT
 *   crypt    CIPHER KEY IV_OFFSET DEVICE START [options]
 *
 * all in sectors of 512 bytes, devices as MAJOR:MINOR. The parameters of crypt hold the key, where it is not in the kernel's
 * keyring: the kernel is asked to wipe its copy (DM_SECURE_DATA_FLAG), ours is wiped here, and nothing of it goes anywhere.
 *
 * With an option "sector_size" the numbers stay in units of 512 bytes. With "integrity" there is a dm-integrity device below,
 * which is not understood.
 */
#include "device_mapper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sysfs.h"

#define CONTROL "/dev/mapper/control"
#define BUFFER_MIN_BYTES 16384
#define BUFFER_MAX_BYTES (1024 * 1024)

/* --- one target ------------------------------------------------------------------------------- */

/* "MAJOR:MINOR START" at *PARAMS, which moves on. */
static bool take_place (const char **params, char *device, uint64_t *offset)
{
	unsigned major, minor;
	unsigned long long sector;
	int used = 0;

	if (sscanf (*params, " %u:%u %llu%n", &major, &minor, &sector, &used) != 3 ||
	    sector > INT64_MAX / VMC_SECTOR_BYTES)
		return false;
	*params += used;
	*offset = sector * VMC_SECTOR_BYTES;
	(void) snprintf (device, VMC_NAME_SIZE, "%u:%u", major, minor);
	return true;
}

static int add_place (struct vmc_device *device, const char **params, struct vmc_error *err)
{
	char below[VMC_NAME_SIZE];
	uint64_t offset;

	if (take_place (params, below, &offset))
		return vmc_stack_add_leg (device, below, offset, err);
	vmc_stack_give_up (device, "the table of its device cannot be read");
	return 0;
}

static int take_striped (struct vmc_device *device, uint64_t start, uint64_t length, const char *params,
			 struct vmc_error *err)
{
	unsigned long long chunk;
	unsigned count;
	int used = 0;

	if (sscanf (params, "%u %llu%n", &count, &chunk, &used) != 2 || count == 0 || chunk == 0 ||
	    chunk > INT64_MAX / VMC_SECTOR_BYTES) {
		vmc_stack_give_up (device, "the table of its device cannot be read");
		return 0;
	}
	params += used;
	if (vmc_stack_add_target (device, start, length, chunk * VMC_SECTOR_BYTES, err) < 0)
		return -1;
	for (unsigned i = 0; i < count && device->why_not_map[0] == 0; i++)
		if (add_place (device, &params, err) < 0)
			return -1;
	return 0;
}

/* Behind CIPHER, KEY and IV_OFFSET. */
static const char *skip_words (const char *params, int count)
{
	for (; count > 0; count--) {
		params += strspn (params, " ");
		params += strcspn (params, " ");
	}
	return params;
}

static void give_up_type (struct vmc_device *device, const char *type)
{
	char why[VMC_TEXT_SIZE];

	(void) snprintf (why, sizeof why,
			 "it lies on a device-mapper target '%.20s', which keeps blocks in places of its own", type);
	vmc_stack_give_up (device, why);
}

int vmc_device_mapper_take (struct vmc_device *device, uint64_t start_sector, uint64_t sectors, const char *type,
			    const char *params, struct vmc_error *err)
{
	bool linear = strcmp (type, "linear") == 0, crypt = strcmp (type, "crypt") == 0;
	uint64_t start = start_sector * VMC_SECTOR_BYTES, length = sectors * VMC_SECTOR_BYTES;

	if (start_sector > INT64_MAX / VMC_SECTOR_BYTES || sectors > INT64_MAX / VMC_SECTOR_BYTES) {
		vmc_stack_give_up (device, "the table of its device cannot be read");
		return 0;
	}
	if (strcmp (type, "striped") == 0)
		return take_striped (device, start, length, params, err);
	if (!linear && !crypt) {
		give_up_type (device, type);
		return 0;
	}
	device->encrypted |= crypt;
	params = crypt ? skip_words (params, 3) : params;
	if (vmc_stack_add_target (device, start, length, 0, err) < 0)
		return -1;
	return add_place (device, &params, err);
}

/* --- the table -------------------------------------------------------------------------------- */

/* Does it write in place, whatever it does besides? A snapshot's origin does not, for the snapshot keeps what was there before,
 * and a thin pool gives out space when something is written. So may what is not known. */
static bool writes_in_place (const char *type)
{
	static const char *const types[] = {"linear",    "striped", "crypt",      "mirror",   "raid",
					    "multipath", "cache",   "writecache", "integrity"};

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (strcmp (type, types[i]) == 0)
			return true;
	return false;
}

/* Each struct dm_target_spec says where the next one begins, counted from the first; its parameters follow it. */
static int take_table (struct vmc_device *device, const struct dm_ioctl *head, struct vmc_error *err)
{
	const char *first = (const char *) head + head->data_start;
	size_t size = head->data_size - head->data_start, at = 0;
	bool in_place = true;

	for (unsigned i = 0; i < head->target_count; i++) {
		struct dm_target_spec spec;
		const char *params = first + at + sizeof spec;

		if (at > size || size - at <= sizeof spec || memchr (params, 0, size - at - sizeof spec) == NULL) {
			vmc_stack_give_up (device, "the table of its device cannot be read");
			return 0;
		}
		memcpy (&spec, first + at, sizeof spec);
		spec.target_type[sizeof spec.target_type - 1] = 0;
		if (vmc_device_mapper_take (device, spec.sector_start, spec.length, spec.target_type, params, err) < 0)
			return -1;
		in_place = in_place && writes_in_place (spec.target_type);
		at = spec.next;
	}
	device->takes_space = !in_place;
	return 0;
}

/* One question with room for SIZE bytes. 1: read; 0: it does not fit; -1: see ERR. */
static int ask (int control, dev_t number, size_t size, struct vmc_device *device, struct vmc_error *err)
{
	struct dm_ioctl *head = calloc (1, size);
	int result = 1;

	if (head == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the table of a device");
	head->version[0] = DM_VERSION_MAJOR;
	head->data_size = (uint32_t) size;
	head->data_start = sizeof *head;
	head->dev = number; /* as the kernel's huge_encode_dev and glibc's makedev both pack it, below 4096 majors */
	head->flags = DM_STATUS_TABLE_FLAG | DM_SECURE_DATA_FLAG;
	if (ioctl (control, DM_TABLE_STATUS, head) < 0)
		vmc_stack_give_up (device, "the kernel does not show the table of its device");
	else if (head->flags & DM_BUFFER_FULL_FLAG)
		result = 0;
	else if (head->data_start < sizeof *head || head->data_start > head->data_size || head->data_size > size)
		vmc_stack_give_up (device, "the table of its device cannot be read");
	else
		result = take_table (device, head, err) < 0 ? -1 : 1;
	explicit_bzero (head, size);
	free (head);
	return result;
}

int vmc_device_mapper_read (dev_t number, struct vmc_device *device, struct vmc_error *err)
{
	int control = open (CONTROL, O_RDWR | O_CLOEXEC), result = 0;

	device->takes_space = true; /* until the table is known */
	if (control < 0) {
		vmc_stack_give_up (device, "the device mapper cannot be asked for the table of its device");
		return 0;
	}
	for (size_t size = BUFFER_MIN_BYTES; result == 0 && size <= BUFFER_MAX_BYTES; size *= 4)
		result = ask (control, number, size, device, err);
	(void) close (control);
	if (result == 0)
		vmc_stack_give_up (device, "the table of its device is too long");
	return result < 0 ? -1 : 0;
}
