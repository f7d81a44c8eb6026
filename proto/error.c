/* error.c - see error.h */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int exit_status;
} codes[VMC_CODES] = {
	[VMC_FAILED] = {"failed", 1},           [VMC_USAGE] = {"usage", 2},
	[VMC_REFUSED] = {"refused", 3},         [VMC_DROPPED] = {"dropped", 4},
	[VMC_INTERRUPTED] = {"interrupted", 5}, [VMC_BUSY] = {"busy", 6},
	[VMC_NO_AGENT] = {"no-agent", 3},       [VMC_TIMEOUT] = {"timeout", 1},
	[VMC_PROTOCOL] = {"protocol", 1},       [VMC_UNSUPPORTED] = {"unsupported", 3},
	[VMC_CANCELLED] = {"cancelled", 1},     [VMC_NOT_HELD] = {"not-held", 1},
};

#define ERRNO(name) \
	{ \
		name, #name \
	}
static const struct {
	int number;
	const char *name;
} errnos[] = {
	ERRNO (EPERM),      ERRNO (ENOENT),      ERRNO (EINTR),      ERRNO (EIO),       ERRNO (ENXIO),
	ERRNO (E2BIG),      ERRNO (EBADF),       ERRNO (EAGAIN),     ERRNO (ENOMEM),    ERRNO (EACCES),
	ERRNO (EFAULT),     ERRNO (EBUSY),       ERRNO (EEXIST),     ERRNO (EXDEV),     ERRNO (ENODEV),
	ERRNO (ENOTDIR),    ERRNO (EISDIR),      ERRNO (EINVAL),     ERRNO (ENFILE),    ERRNO (EMFILE),
	ERRNO (ENOTTY),     ERRNO (ETXTBSY),     ERRNO (EFBIG),      ERRNO (ENOSPC),    ERRNO (ESPIPE),
	ERRNO (EROFS),      ERRNO (EPIPE),       ERRNO (ERANGE),     ERRNO (EDEADLK),   ERRNO (ENAMETOOLONG),
	ERRNO (ENOSYS),     ERRNO (ELOOP),       ERRNO (EPROTO),     ERRNO (EBADMSG),   ERRNO (EOVERFLOW),
	ERRNO (EOPNOTSUPP), ERRNO (EADDRINUSE),  ERRNO (ECONNRESET), ERRNO (ETIMEDOUT), ERRNO (ECONNREFUSED),
	ERRNO (EALREADY),   ERRNO (EINPROGRESS), ERRNO (ESTALE),     ERRNO (EUCLEAN),   ERRNO (EDQUOT),
	ERRNO (EREMOTEIO),  ERRNO (ECANCELED),
};
#define N_ERRNOS (sizeof errnos / sizeof errnos[0])

int vmc_fail (struct vmc_error *err, enum vmc_code code, int errnum, const char *format, ...)
{
	va_list args;

	err->code = code;
	err->errnum = errnum;
	va_start (args, format);
	(void) vsnprintf (err->text, sizeof err->text, format, args);
	va_end (args);
	return -1;
}

int vmc_fail_in (struct vmc_error *err, const char *format, ...)
{
	char old[sizeof err->text];
	size_t used;
	va_list args;

	memcpy (old, err->text, sizeof old);
	va_start (args, format);
	(void) vsnprintf (err->text, sizeof err->text, format, args);
	va_end (args);
	used = strlen (err->text);
	(void) snprintf (err->text + used, sizeof err->text - used, ": %s", old);
	return -1;
}

const char *vmc_code_name (enum vmc_code code)
{
	return code < VMC_CODES ? codes[code].name : codes[VMC_FAILED].name;
}

enum vmc_code vmc_code_from_name (const char *name)
{
	for (int i = 0; i < VMC_CODES; i++)
		if (strcmp (codes[i].name, name) == 0)
			return i;
	return VMC_FAILED;
}

int vmc_code_exit_status (enum vmc_code code)
{
	return code < VMC_CODES ? codes[code].exit_status : codes[VMC_FAILED].exit_status;
}

const char *vmc_errno_name (int errnum)
{
	if (errnum == 0)
		return "";
	for (size_t i = 0; i < N_ERRNOS; i++)
		if (errnos[i].number == errnum)
			return errnos[i].name;
	return "E?";
}

int vmc_errno_from_name (const char *name)
{
	for (size_t i = 0; i < N_ERRNOS; i++)
		if (strcmp (errnos[i].name, name) == 0)
			return errnos[i].number;
	return 0;
}
