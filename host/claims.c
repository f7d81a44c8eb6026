/* claims.c - see claims.h
 *
 * As text, by the tables that the agent's messages go by: one program at both ends, and one way to read a list of devices.
 */
#include "claims.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CLAIMS_MAX_BYTES (4 * VMC_ANSWER_MAX_BYTES) /* they come out of one answer of the agent */

static const struct vmc_field claim_fields[] = {VMC_TEXT (struct vmc_claim, filesystem),
						VMC_TEXT (struct vmc_claim, type), VMC_TEXT (struct vmc_claim, device),
						VMC_FIELDS_END};
static const struct vmc_field fields[] = {VMC_TEXT (struct vmc_claims, disk),
					  VMC_LIST (struct vmc_claims, filesystems, VMC_FILESYSTEMS_MAX, claim_fields,
						    struct vmc_claim),
					  VMC_LIST (struct vmc_claims, devices, VMC_DEVICES_MAX, vmc_device_fields,
						    struct vmc_device),
					  VMC_FIELDS_END};

void vmc_claims_clear (struct vmc_claims *claims)
{
	vmc_fields_clear (fields, claims);
}

static int put_text (int fd, const char *text, struct vmc_error *err)
{
	size_t length = strlen (text);

	while (length > 0) {
		ssize_t written = write (fd, text, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return vmc_fail (err, VMC_FAILED, errno, "cannot write what the guest says for the reader");
		text += written;
		length -= (size_t) written;
	}
	return 0;
}

int vmc_claims_write (const struct vmc_claims *claims, struct vmc_error *err)
{
	struct json_object *object = vmc_fields_encode (fields, claims);
	const char *text = object ? json_object_to_json_string_ext (object, JSON_C_TO_STRING_PLAIN) : NULL;
	int fd = text ? memfd_create ("claims", MFD_CLOEXEC) : -1, result = 0;

	if (fd < 0)
		result = vmc_fail (err, VMC_FAILED, errno, "no memory for what the guest says");
	else if (put_text (fd, text, err) < 0 || lseek (fd, 0, SEEK_SET) < 0)
		result = -1;
	json_object_put (object);
	if (result == 0)
		return fd;
	if (fd >= 0)
		(void) close (fd);
	return -1;
}

static int decode (const char *text, size_t length, struct vmc_claims *claims, struct vmc_error *err)
{
	struct json_tokener *tokener = json_tokener_new_ex (VMC_JSON_MAX_DEPTH);
	struct json_object *object = tokener ? json_tokener_parse_ex (tokener, text, (int) length) : NULL;
	int result = vmc_fields_decode (fields, object, claims, err);

	json_object_put (object);
	if (tokener != NULL)
		json_tokener_free (tokener);
	return result < 0 ? -1 : vmc_stack_check (&claims->devices, err);
}

/* Read to the end, into TEXT of SIZE bytes. */
static ssize_t get_text (int fd, char *text, size_t size)
{
	size_t used = 0;

	while (used < size) {
		ssize_t got = read (fd, text + used, size - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -1 : (ssize_t) used;
		used += (size_t) got;
	}
	return -1;
}

int vmc_claims_read (int fd, struct vmc_claims *claims, struct vmc_error *err)
{
	char *text = malloc (CLAIMS_MAX_BYTES);
	ssize_t length = text ? get_text (fd, text, CLAIMS_MAX_BYTES) : -1;
	int result;

	if (length < 0)
		result = vmc_fail (err, VMC_FAILED, errno, "cannot read what the guest says");
	else
		result = decode (text, (size_t) length, claims, err);
	free (text);
	return result;
}
