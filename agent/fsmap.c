/* fsmap.c - see fsmap.h
 *
 * The kernel fills a page of records at a time; the key of the next page is the last record of this one
 * (ioctl_getfsmap(2)). Works on a frozen filesystem, for it only reads. A page is large, because ext4 makes, for each, a list of
 * the tables of all its groups before it looks for the first record (ext4_getfsmap_find_fixed_metadata in fs/ext4/fsmap.c): with small
 * ones, the time grows with the square of the disk's size.
 */
#include "fsmap.h"

#include <errno.h>
#include <linux/fsmap.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define PAGE_RECORDS 65536 /* 4 MiB of address space; memory is taken for those that are filled */

/* Records name devices as the kernel encodes them for user space: (minor & 0xFF) | major << 8 | (minor & ~0xFF) << 12. */
static unsigned encode_device (dev_t device)
{
	return (minor (device) & 0xFFu) | (major (device) << 8) | ((minor (device) & ~0xFFu) << 12);
}

static int take_record (const struct fsmap *record, unsigned device, struct vmc_extents *map, bool *complete,
			struct vmc_error *err)
{
	if (record->fmr_device != device || !(record->fmr_flags & FMR_OF_SPECIAL_OWNER) ||
	    record->fmr_owner != FMR_OWN_FREE)
		return 0;
	if (map->count >= VMC_MAP_MAX_RANGES) {
		*complete = false;
		return 0;
	}
	return vmc_extents_add (map, record->fmr_physical, record->fmr_length, err);
}

static struct fsmap_head *new_head (unsigned records)
{
	struct fsmap_head *head = calloc (1, fsmap_sizeof (records));

	if (head == NULL)
		return NULL;
	head->fmh_keys[1] = (struct fsmap) {UINT32_MAX, UINT32_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, 0, {0}};
	head->fmh_count = records;
	return head;
}

const char *vmc_fsmap_why_not (const struct vmc_mount *mount)
{
	struct fsmap_head *head = new_head (1);
	struct vmc_error ignored;
	int fd = head ? vmc_mount_open (mount, &ignored) : -1;
	const char *why = "";

	if (fd < 0)
		why = "it cannot be opened where it is mounted; something else may be mounted over it";
	else if (ioctl (fd, FS_IOC_GETFSMAP, head) < 0 && (errno == ENOTTY || errno == EOPNOTSUPP))
		why = "the guest's kernel cannot map it (FS_IOC_GETFSMAP)";
	if (fd >= 0)
		(void) close (fd);
	free (head);
	return why;
}

int vmc_fsmap_free (int fd, dev_t device, struct vmc_extents *map, bool *complete, struct vmc_error *err)
{
	struct fsmap_head *head = new_head (PAGE_RECORDS);
	unsigned number = encode_device (device);
	bool last = false;
	int result = 0;

	if (head == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the free map");
	while (!last && result == 0) {
		if (ioctl (fd, FS_IOC_GETFSMAP, head) < 0) {
			result = vmc_fail (err, errno == ENOTTY || errno == EOPNOTSUPP ? VMC_UNSUPPORTED : VMC_FAILED,
					   errno, "the kernel cannot map this filesystem");
			break;
		}
		last = head->fmh_entries == 0;
		for (unsigned i = 0; i < head->fmh_entries && result == 0; i++) {
			result = take_record (&head->fmh_recs[i], number, map, complete, err);
			last = last || (head->fmh_recs[i].fmr_flags & FMR_OF_LAST);
		}
		if (!last)
			fsmap_advance (head);
	}
	free (head);
	return result;
}
