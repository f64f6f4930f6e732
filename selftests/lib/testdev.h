/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's iommu-testdev: a DMA probe.  One read of a register makes it
 * write a pattern through the IOMMU, and it says what came of it.
 */
#ifndef LIB_TESTDEV_H
#define LIB_TESTDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TESTDEV_OK		0u
#define TESTDEV_FAULT		0xdead0002u	/* the IOMMU refused the write */
#define TESTDEV_MISMATCH	0xdead0004u	/* it went to another page */
#define TESTDEV_PATTERN		0x12345678u

/*
 * Writes @size bytes at @iova; the device then looks for them at @page's
 * physical address, past the IOMMU.
 */
uint32_t testdev_dma(volatile void *bar, uint64_t iova, const void *page,
		     uint32_t size);
/* The same where a physical address is known, as that of a device's memory is. */
uint32_t testdev_dma_to(volatile void *bar, uint64_t iova, uint64_t phys,
			uint32_t size);
/* What comes of a write of the device: does it reach the page, or does the IOMMU refuse it? */
bool testdev_reaches(volatile void *bar, uint64_t iova, uint32_t *page);
bool testdev_faults(volatile void *bar, uint64_t iova, uint32_t *page);

#endif
