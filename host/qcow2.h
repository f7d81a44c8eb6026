/* qcow2.h - may this qcow2 file be touched? A check of its header against what is allowed, before any program of QEMU
 * opens it, and what a copy of it must have in common with it. Nothing else of the format is known here. */
#ifndef VMC_QCOW2_H
#define VMC_QCOW2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* So much of the file must be read for the check, in bytes: the header, its extensions and the backing file's name lie
 * in the first cluster, and QEMU writes them at its very beginning. */
#define VMC_QCOW2_HEADER_BYTES 4096

struct vmc_qcow2 {
	uint64_t virtual_bytes;
	uint64_t cluster_bytes;
	char backing[1024];      /* the name in the header, or empty; QEMU's own limit is 1,023 bytes */
	char backing_format[16]; /* as the header says, or empty: QEMU would guess then */
	unsigned version;        /* 2 ("compat=0.10") or 3 */
	unsigned refcount_bits;
	bool lazy_refcounts, extended_l2, zstd;
	bool dirty;         /* somebody has it open for writing, or died over it: with lazy refcounts only */
	bool bitmaps;       /* it holds persistent bitmaps */
	bool more_sections; /* its header has extensions that are not known here */
};

/* Check HEADER, the first LENGTH bytes of a file. VMC_REFUSED, with the reason: not qcow2, an unknown version or feature,
 * a corrupt mark, an external data file, encryption, internal snapshots. Source: docs/interop/qcow2.txt in
 * QEMU. */
int vmc_qcow2_check (const unsigned char *header, size_t length, struct vmc_qcow2 *facts, struct vmc_error *err)
	__attribute__ ((nonnull, warn_unused_result));

/* Only find the backing file's name, whatever else the header says. False: this is no qcow2 header. */
bool vmc_qcow2_backing (const unsigned char *header, size_t length, struct vmc_qcow2 *facts, struct vmc_error *err)
	__attribute__ ((nonnull));

/* Does it hold internal snapshots, whatever else it says? False also when this is no qcow2 header. */
bool vmc_qcow2_has_snapshots (const unsigned char *header, size_t length) __attribute__ ((nonnull));

#endif
