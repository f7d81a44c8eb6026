/* image_check.h - are the tables of a qcow2 image as they should be?
 *
 * A free range is punched where the tables say that it lies. After a crash of a host whose disk had cache='unsafe', say, they may name a
 * place that holds something else by now: another table, which maps half a gigabyte of files.
 */
#ifndef VMC_IMAGE_CHECK_H
#define VMC_IMAGE_CHECK_H

#include <stdint.h>

#include "reader.h"

/* Ask "qemu-img check" about the image PATH, of FORMAT, which nobody may write to meanwhile, until DEADLINE_MS (vmc_now_ms). Space that is
 * lost is no fault, and a format without tables has none. MEANWHILE is asked twice a second. VMC_REFUSED: there are faults. */
int vmc_image_check (const char *format, const char *path, uint64_t deadline_ms, const struct vmc_meanwhile *meanwhile,
		     struct vmc_error *err) __attribute__ ((nonnull, warn_unused_result));

#endif
