/* new_image.c - see new_image.h
 *
 * The old image gets its second name first, then the new one is renamed over the first name. Both are hard links, so at every
 * moment each name is that of a complete image. Killed anywhere, all of it can be done again: what is done is found by inode.
 */
#include "new_image.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "directories.h"
#include "fault.h"
#include "image.h"

bool vmc_new_image_name (const char *base, const char *suffix, char *path)
{
	return snprintf (path, VMC_PATH_SIZE, "%s%s", base, suffix) < VMC_PATH_SIZE;
}

/* 0: there is no such file, or no such name. */
static uint64_t inode_of (const char *base, const char *suffix)
{
	char path[VMC_PATH_SIZE];
	struct stat status;

	if (!vmc_new_image_name (base, suffix, path) || lstat (path, &status) < 0)
		return 0;
	return status.st_ino;
}

int vmc_new_image_in_the_way (const char *base, char *path)
{
	static const char *const suffixes[] = {VMC_NEW_SUFFIX, VMC_OLD_SUFFIX, VMC_SWAP_SUFFIX};
	struct stat status;

	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
		if (!vmc_new_image_name (base, suffixes[i], path))
			return -1;
		if (lstat (path, &status) == 0)
			return 1;
	}
	path[0] = 0;
	return 0;
}

bool vmc_new_image_in_place (const struct vmc_journal *journal)
{
	return journal->new_inode != 0 && inode_of (journal->base, "") == journal->new_inode;
}

/* The path may be that of a symbolic link. */
int vmc_new_image_check_base (const struct vmc_journal *journal, struct vmc_error *err)
{
	struct stat status;
	bool there;

	if (journal->base_inode == 0 || vmc_new_image_in_place (journal))
		return 0;
	there = stat (journal->base, &status) == 0;
	if (!there && errno != ENOENT)
		return vmc_fail (err, VMC_FAILED, errno, "cannot look at '%s'", journal->base);
	if (there && status.st_ino == journal->base_inode)
		return 0;
	return vmc_fail (err, VMC_INTERRUPTED, 0,
			 "'%s' is not the file that the overlay '%s' was made over; put that back, then run vmcompact "
			 "--recover",
			 journal->base, journal->overlay);
}

static int check_name (const char *base, const char *suffix, uint64_t inode, struct vmc_error *err)
{
	char path[VMC_PATH_SIZE];

	if (!vmc_new_image_name (base, suffix, path))
		return vmc_fail (err, VMC_INTERRUPTED, ENAMETOOLONG, "the path of the image is too long");
	if (inode_of (base, suffix) == inode)
		return 0;
	return vmc_fail (err, VMC_INTERRUPTED, 0, "'%s' is another file than the run has left there", path);
}

/* Give the file BASE with the suffix FROM, which has INODE, the suffix TO as well. */
static int add_name (const char *base, const char *from, const char *to, uint64_t inode, struct vmc_error *err)
{
	char from_path[VMC_PATH_SIZE], to_path[VMC_PATH_SIZE];

	if (!vmc_new_image_name (base, from, from_path) || !vmc_new_image_name (base, to, to_path))
		return vmc_fail (err, VMC_INTERRUPTED, ENAMETOOLONG, "the path of the image is too long");
	if (link (from_path, to_path) < 0 && (errno != EEXIST || inode_of (base, to) != inode))
		return vmc_fail (err, VMC_INTERRUPTED, errno, "cannot name '%s' '%s'", from_path, to_path);
	return 0;
}

static int sync_names (const char *base, struct vmc_error *err)
{
	char directory[VMC_PATH_SIZE];

	vmc_image_directory (base, directory);
	return vmc_directory_sync (directory, err);
}

int vmc_new_image_prepare (const struct vmc_journal *journal, struct vmc_error *err)
{
	if (check_name (journal->base, "", journal->old_inode, err) == 0 &&
	    add_name (journal->base, "", VMC_OLD_SUFFIX, journal->old_inode, err) == 0)
		return 0;
	err->code = VMC_FAILED; /* nothing rests upon it yet */
	return -1;
}

int vmc_new_image_swap (const struct vmc_journal *journal, struct vmc_error *err)
{
	const char *base = journal->base;
	char swap[VMC_PATH_SIZE];

	if (vmc_new_image_in_place (journal))
		return sync_names (base, err);
	vmc_fault_point ("swap");
	if (check_name (base, VMC_NEW_SUFFIX, journal->new_inode, err) < 0 ||
	    check_name (base, "", journal->old_inode, err) < 0)
		return -1;
	if (add_name (base, "", VMC_OLD_SUFFIX, journal->old_inode, err) < 0 ||
	    add_name (base, VMC_NEW_SUFFIX, VMC_SWAP_SUFFIX, journal->new_inode, err) < 0)
		return -1;
	if (sync_names (base, err) < 0)
		return -1;
	vmc_fault_point ("swapping");
	if (!vmc_new_image_name (base, VMC_SWAP_SUFFIX, swap) || rename (swap, base) < 0)
		return vmc_fail (err, VMC_INTERRUPTED, errno, "cannot rename '%s'", swap);
	vmc_fault_point ("swapped");
	return sync_names (base, err);
}

static int remove_name (const char *base, const char *suffix, uint64_t inode, struct vmc_error *err)
{
	char path[VMC_PATH_SIZE];

	if (inode_of (base, suffix) != inode) /* it is gone; what has its name now is somebody's */
		return 0;
	if (!vmc_new_image_name (base, suffix, path) || unlink (path) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot remove '%s'", path);
	return 0;
}

int vmc_new_image_tidy (const struct vmc_journal *journal, struct vmc_error *err)
{
	const char *base = journal->base;

	if (journal->new_inode == 0)
		return 0;
	if (inode_of (base, "") != journal->new_inode && inode_of (base, "") != journal->old_inode)
		return vmc_fail (err, VMC_INTERRUPTED, 0,
				 "'%s' is neither the image from before the run nor the new one", base);
	vmc_fault_point ("tidy");
	if (remove_name (base, VMC_NEW_SUFFIX, journal->new_inode, err) < 0 ||
	    remove_name (base, VMC_SWAP_SUFFIX, journal->new_inode, err) < 0)
		return -1;
	if (!(journal->keep_old && vmc_new_image_in_place (journal)) &&
	    remove_name (base, VMC_OLD_SUFFIX, journal->old_inode, err) < 0)
		return -1;
	return sync_names (base, err);
}
