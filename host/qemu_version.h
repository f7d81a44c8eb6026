/* qemu_version.h - the version of the QEMU that runs a guest
 *
 * Not of the one that is installed: a guest runs on under the old one for months after an update. */
#ifndef VMC_QEMU_VERSION_H
#define VMC_QEMU_VERSION_H

#include <libvirt/libvirt.h>
#include <stdbool.h>

/* major * 1,000,000 + minor * 1,000 + release of the process of DOMAIN, which is running; 0: it cannot be told, as when its
 * program file was replaced since it started. Where libvirt's pid file is not seen (a session's), the version that libvirt
 * gives for the installed program. */
unsigned long vmc_qemu_version (virDomainPtr domain) __attribute__ ((nonnull));

/* Begin to find it out: vmc_qemu_version has less to wait for then. */
void vmc_qemu_version_begin (virDomainPtr domain) __attribute__ ((nonnull));

/* The number in what "qemu-system-x86_64 --version" prints; 0: there is none. */
unsigned long vmc_qemu_version_parse (const char *text) __attribute__ ((nonnull));

/* Does this QEMU lose guest writes while a commit starts? (Fixed by commit 0f51f9c342 of QEMU; from 8.2.0 on.) What is not known
 * (0) may. */
bool vmc_qemu_loses_writes (unsigned long version);

/* The oldest versions on which guests were compacted and nothing was lost ("make check-matrix"); older ones are refused. */
#define VMC_QEMU_OLDEST 7002000u
#define VMC_LIBVIRT_OLDEST 9000000u

/* VERSION as people write it, "7.2.22", into a buffer of 40, which is returned. */
char *vmc_version_text (unsigned long version, char *text) __attribute__ ((nonnull, returns_nonnull));

#endif
