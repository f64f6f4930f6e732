// SPDX-License-Identifier: GPL-2.0-only
#include "core.h"
#include "testdev.h"

enum {
	TRIGGER = 0x00,
	IOVA_LO = 0x04,
	IOVA_HI = 0x08,
	LENGTH = 0x0c,
	RESULT = 0x10,
	DOORBELL = 0x14,
	PHYS_LO = 0x1c,
	PHYS_HI = 0x20,
};

static volatile uint32_t *reg(volatile void *bar, int offset)
{
	return (volatile uint32_t *)((volatile char *)bar + offset);
}

uint32_t testdev_dma_to(volatile void *bar, uint64_t iova, uint64_t phys,
			uint32_t size)
{
	*reg(bar, IOVA_LO) = iova;
	*reg(bar, IOVA_HI) = iova >> 32;
	*reg(bar, LENGTH) = size;
	*reg(bar, PHYS_LO) = phys;
	*reg(bar, PHYS_HI) = phys >> 32;
	*reg(bar, DOORBELL) = 1;
	(void)*reg(bar, TRIGGER);
	return *reg(bar, RESULT);
}

uint32_t testdev_dma(volatile void *bar, uint64_t iova, const void *page,
		     uint32_t size)
{
	return testdev_dma_to(bar, iova, phys_of(page), size);
}

bool testdev_reaches(volatile void *bar, uint64_t iova, uint32_t *page)
{
	page[0] = 0;
	return testdev_dma(bar, iova, page, 16) == TESTDEV_OK && page[0] == TESTDEV_PATTERN;
}

bool testdev_faults(volatile void *bar, uint64_t iova, uint32_t *page)
{
	page[0] = 0;
	return testdev_dma(bar, iova, page, 16) == TESTDEV_FAULT && !page[0];
}
