/* unnoticed.h - a redirection that QEMU has done and libvirt has not noted
 *
 * libvirt saves a domain's XML after QEMU has answered. If libvirtd dies between the two, it finds QEMU running when it is
 * started again, and believes the XML: the base. What the guest writes goes to the overlay, and would be lost with the next
 * start of the domain. libvirt cannot be told; so QEMU is brought to where libvirt believes it to be.
 */
#ifndef VMC_UNNOTICED_H
#define VMC_UNNOTICED_H

#include "overlay.h"
#include "pause.h"

/* Commit the overlay and move the domain to the base, by QEMU's own commands. 0: look again where it is. */
int vmc_unnoticed_end (struct vmc_overlay *overlay, struct vmc_pause *pause, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Has QEMU, at the end of that, left the overlay? 1: it has, and has closed it. */
int vmc_unnoticed_moved (struct vmc_overlay *overlay, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

#endif
