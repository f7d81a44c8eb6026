/* saved_xml.h - the XML of a domain that libvirt has on the disk: what the next start of the daemon, or of the host, finds
 *
 * libvirt tells what it has in its memory. Where saving failed (a full disk), it says nothing; and it syncs the file but not the
 * directory in which it was renamed, so that for some seconds a loss of power brings back the old one.
 */
#ifndef VMC_SAVED_XML_H
#define VMC_SAVED_XML_H

#include "domain.h"

/* Have the XML of DOMAIN on the disk, for good, with the file PATH in it (WANTED) or without it. libvirt is made to save it once
 * more if need be. VMC_FAILED if it cannot. 1: it is not known
 * where libvirt keeps it. */
int vmc_saved_xml_settle (const struct vmc_domain *domain, const char *path, bool wanted, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
