/* attributes.h - who may do what with a file: given on to another one */
#ifndef VMC_ATTRIBUTES_H
#define VMC_ATTRIBUTES_H

#include "error.h"

/* Give the file TO the owner, group, mode and extended attributes (ACL, label, what libvirt remembers) of FROM, and no other
 * ones; all of them are looked at afterwards. */
int vmc_attributes_copy (int from, int to, struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
