/* owner.c - see owner.h
 *
 * The attributes are those of src/security/security_util.c in libvirt: "trusted.libvirt.security.dac" is "+USER:+GROUP" in
 * numbers, "trusted.libvirt.security.selinux" a label.
 */
#include "owner.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define REMEMBERED_OWNER "trusted.libvirt.security.dac"
#define REMEMBERED_LABEL "trusted.libvirt.security.selinux"
#define LABEL "security.selinux"

/* The attribute as text; false: there is none, or it is too long. */
static bool get (const char *path, const char *name, char *text, size_t size)
{
	ssize_t length = getxattr (path, name, text, size - 1);

	text[length > 0 ? length : 0] = 0;
	return length > 0;
}

int vmc_owner_of (const char *path, struct vmc_owner *owner, struct vmc_error *err)
{
	struct stat status;

	if (stat (path, &status) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot look at '%s'", path);
	*owner = (struct vmc_owner) {.user = status.st_uid, .group = status.st_gid};
	return 0;
}

/* "+" and digits, up to END; false: that is not there. */
static bool parse_id (const char *text, char end, const char **behind, unsigned *id)
{
	unsigned long long number;
	char *stop;

	if (text[0] != '+' || text[1] < '0' || text[1] > '9')
		return false;
	number = strtoull (text + 1, &stop, 10);
	if (*stop != end || number >= UINT_MAX) /* the largest means "nobody" to the system */
		return false;
	*id = (unsigned) number;
	*behind = stop + 1;
	return true;
}

/* "+USER:+GROUP"; anything else changes nothing. */
static void parse_owner (const char *text, struct vmc_owner *owner)
{
	unsigned user, group;

	if (!parse_id (text, ':', &text, &user) || !parse_id (text, 0, &text, &group))
		return;
	owner->user = user;
	owner->group = group;
}

int vmc_owner_remembered (const char *path, struct vmc_owner *owner, struct vmc_error *err)
{
	char text[64];

	if (vmc_owner_of (path, owner, err) < 0)
		return -1;
	if (get (path, REMEMBERED_OWNER, text, sizeof text))
		parse_owner (text, owner);
	(void) get (path, REMEMBERED_LABEL, owner->label, sizeof owner->label);
	return 0;
}

int vmc_owner_give (const struct vmc_owner *owner, int fd)
{
	if (fchown (fd, owner->user, owner->group) < 0)
		return -1;
	if (owner->label[0] != 0 && fsetxattr (fd, LABEL, owner->label, strlen (owner->label) + 1, 0) < 0)
		return errno == ENOTSUP || errno == EPERM || errno == EINVAL ? 0 : -1;
	return 0;
}
