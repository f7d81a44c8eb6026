/* attributes.c - see attributes.h
 *
 * The owner first: a change of it takes bits of the mode and capabilities away. The mode before the attributes: an ACL sets
 * the group's bits by itself, and both say the same in a file that has one.
 */
#include "attributes.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LIST_SIZE 65536 /* XATTR_LIST_MAX and XATTR_SIZE_MAX of Linux */
#define VALUE_SIZE 65536
#define MODE_BITS 07777

/* Of both files the names, each with its zero, and room for a value of each. */
struct attributes {
	char names[2][LIST_SIZE];
	size_t used[2];
	char values[2][VALUE_SIZE];
};

static int list (int fd, char *names, size_t *used, struct vmc_error *err)
{
	ssize_t length = flistxattr (fd, names, LIST_SIZE);

	if (length < 0 && errno != ENOTSUP) /* ENOTSUP: a filesystem without any */
		return vmc_fail (err, VMC_FAILED, errno, "cannot list the extended attributes of the image");
	*used = length > 0 ? (size_t) length : 0;
	return 0;
}

static bool has (const char *names, size_t used, const char *name)
{
	for (size_t at = 0; at < used; at += strlen (names + at) + 1)
		if (strcmp (names + at, name) == 0)
			return true;
	return false;
}

/* A directory's default ACL, or a policy, may have given the new file some of its own. */
static int remove_others (struct attributes *all, int to, struct vmc_error *err)
{
	for (size_t at = 0; at < all->used[1]; at += strlen (all->names[1] + at) + 1) {
		const char *name = all->names[1] + at;

		if (!has (all->names[0], all->used[0], name) && fremovexattr (to, name) < 0 && errno != ENODATA)
			return vmc_fail (err, VMC_FAILED, errno, "cannot remove the attribute '%s' from the new image",
					 name);
	}
	return 0;
}

static int copy_one (struct attributes *all, int from, int to, const char *name, struct vmc_error *err)
{
	ssize_t length = fgetxattr (from, name, all->values[0], VALUE_SIZE), got;

	if (length < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot read the attribute '%s' of the image", name);
	got = fgetxattr (to, name, all->values[1], VALUE_SIZE);
	if (got == length && memcmp (all->values[0], all->values[1], (size_t) length) == 0)
		return 0;
	if (fsetxattr (to, name, all->values[0], (size_t) length, 0) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot give the attribute '%s' to the new image", name);
	got = fgetxattr (to, name, all->values[1], VALUE_SIZE);
	if (got != length || memcmp (all->values[0], all->values[1], (size_t) length) != 0)
		return vmc_fail (err, VMC_FAILED, 0, "the new image does not keep the attribute '%s'", name);
	return 0;
}

static int copy_extended (struct attributes *all, int from, int to, struct vmc_error *err)
{
	if (list (from, all->names[0], &all->used[0], err) < 0 || list (to, all->names[1], &all->used[1], err) < 0 ||
	    remove_others (all, to, err) < 0)
		return -1;
	for (size_t at = 0; at < all->used[0]; at += strlen (all->names[0] + at) + 1)
		if (copy_one (all, from, to, all->names[0] + at, err) < 0)
			return -1;
	return 0;
}

static int copy_owner_and_mode (const struct stat *wanted, int to, struct vmc_error *err)
{
	if (fchown (to, wanted->st_uid, wanted->st_gid) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot give the new image the owner of the old one");
	if (fchmod (to, wanted->st_mode & MODE_BITS) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot give the new image the mode of the old one");
	return 0;
}

static int check (const struct stat *wanted, int to, struct vmc_error *err)
{
	struct stat got;

	if (fstat (to, &got) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot look at the new image");
	if (got.st_uid != wanted->st_uid || got.st_gid != wanted->st_gid ||
	    (got.st_mode & MODE_BITS) != (wanted->st_mode & MODE_BITS))
		return vmc_fail (err, VMC_FAILED, 0,
				 "the new image does not keep the owner and the mode of the old one");
	return 0;
}

int vmc_attributes_copy (int from, int to, struct vmc_error *err)
{
	struct attributes *all = malloc (sizeof *all);
	struct stat wanted;
	int result;

	if (all == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the attributes of the image");
	if (fstat (from, &wanted) < 0)
		result = vmc_fail (err, VMC_FAILED, errno, "cannot look at the image");
	else
		result = copy_owner_and_mode (&wanted, to, err);
	if (result == 0)
		result = copy_extended (all, from, to, err);
	if (result == 0)
		result = check (&wanted, to, err);
	free (all);
	return result;
}
