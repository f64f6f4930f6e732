/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA with a PASID, by the engine of drivers/sva_test_dma.c: what a device would do that can,
 * and the IOMMU with it.
 */
#ifndef LIB_SVA_DMA_H
#define LIB_SVA_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../drivers/sva_test.h"
#include "sysfs.h"

/* A device, the PASID that it marks its requests with, and how its last transfer ended. */
struct dma {
	int control;
	const struct pci *pci;
	uint32_t pasid;
	uint64_t moved, address;
};

/* All addresses are the PASID's.  SVA_TEST_DMA_DONE, another result, or -errno. */
int dma_copy(struct dma *dma, void *to, const void *from, size_t size);
/* The same, to and from the caller's memory, which stands for the device's own. */
int dma_read(struct dma *dma, void *to, const void *from, size_t size);
int dma_write(struct dma *dma, void *to, const void *from, size_t size);
/* The byte that the device finds there; the negative result if it finds nothing. */
int dma_byte(struct dma *dma, const void *p);

/* Did the transfer that gave @result stop at @at, with nothing moved?  If not, it says so. */
bool dma_faults(const struct dma *dma, int result, int want, const void *at);
/* "done", "no entry for the PASID" and so on. */
const char *dma_result(int result);

#define NO_DMA "hardware: its devices do DMA by themselves"
/* Can the SVA test module do DMA for this device? */
bool has_dma(int control, const struct pci *pci);

#endif
