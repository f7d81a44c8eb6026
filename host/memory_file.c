/* memory_file.c - see memory_file.h */
#include "memory_file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int vmc_memory_file_make (struct vmc_error *err)
{
	int fd = memfd_create ("disk", MFD_CLOEXEC);

	return fd >= 0 ? fd : vmc_fail (err, VMC_FAILED, errno, "cannot make a file in memory");
}

int vmc_memory_file_copy (int fd, uint64_t at, struct vmc_source *source, uint64_t offset, size_t length,
			  struct vmc_error *err)
{
	char *buffer = malloc (length);
	int result;

	if (buffer == NULL)
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for a part of the disk");
	result = vmc_source_read (source, buffer, offset, length, err);
	if (result == 0 && pwrite (fd, buffer, length, (off_t) at) != (ssize_t) length)
		result = vmc_fail (err, VMC_FAILED, errno, "cannot copy a part of the disk");
	free (buffer);
	return result;
}

int vmc_memory_file_edges (int fd, struct vmc_source *source, uint64_t offset, uint64_t length, size_t edge,
			   struct vmc_error *err)
{
	if (edge > length)
		edge = (size_t) length;
	if (ftruncate (fd, 0) < 0 || ftruncate (fd, (off_t) length) < 0)
		return vmc_fail (err, VMC_FAILED, errno, "cannot give a file in memory its length");
	if (vmc_memory_file_copy (fd, 0, source, offset, edge, err) < 0)
		return -1;
	return vmc_memory_file_copy (fd, length - edge, source, offset + length - edge, edge, err);
}
