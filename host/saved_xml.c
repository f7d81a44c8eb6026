/* saved_xml.c - see saved_xml.h */
#include "saved_xml.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "directories.h"
#include "file.h"

#define DIRECTORY "/etc/libvirt/qemu"
#define FILE_MAX_BYTES (16 << 20)

/* The text of the file, to be freed; NULL: it cannot be had. */
static char *read_text (const char *path)
{
	int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t length;
	char *text;

	if (fd < 0)
		return NULL;
	text = vmc_file_read (fd, FILE_MAX_BYTES, &length);
	(void) close (fd);
	return text;
}

/* Does a disk of the saved XML lie on PATH? -1: there is no such file here. */
static int names (const struct vmc_domain *domain, const char *path, struct vmc_error *err)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0};
	char file[PATH_MAX], *text;
	int result;

	if (snprintf (file, sizeof file, DIRECTORY "/%s.xml", virDomainGetName (domain->handle)) >= (int) sizeof file)
		return -1;
	text = read_text (file);
	if (text == NULL)
		return -1;
	result = vmc_domain_xml_parse (text, &disks, err);
	if (result == 0 && strstr (text, domain->uuid) == NULL)
		result = 1;
	free (text);
	if (result != 0)
		return result < 0 ? 2 : -1; /* half a file: neither with it nor without; or that of another domain */
	for (size_t i = 0; i < disks.count; i++)
		if (strcmp (disks.items[i].path, path) == 0)
			return 1;
	return 0;
}

static int save_again (const struct vmc_domain *domain, struct vmc_error *err)
{
	char *xml = vmc_domain_xml (domain->handle, true, err);
	int result;

	if (xml == NULL)
		return -1;
	result = vmc_domain_define (domain, xml, err);
	free (xml);
	return result;
}

int vmc_saved_xml_settle (const struct vmc_domain *domain, const char *path, bool wanted, struct vmc_error *err)
{
	int now = names (domain, path, err);

	if (now < 0)
		return 1;
	if (now != wanted && save_again (domain, err) < 0)
		return -1;
	if (now != wanted && names (domain, path, err) != wanted)
		return vmc_fail (err, VMC_FAILED, 0, "libvirt has not saved the XML of the domain in " DIRECTORY);
	return vmc_directory_sync (DIRECTORY, err);
}
