// SPDX-License-Identifier: GPL-2.0-only
#include <poll.h>

#include "core.h"
#include "edu.h"

#define DMA_RUN		1
#define DMA_TO_RAM	2

uint32_t edu_read(volatile void *bar, int offset)
{
	return *(volatile uint32_t *)((volatile char *)bar + offset);
}

void edu_write(volatile void *bar, int offset, uint32_t value)
{
	*(volatile uint32_t *)((volatile char *)bar + offset) = value;
}

bool edu_alive(volatile void *bar)
{
	if ((edu_read(bar, EDU_ID) & 0xff) != 0xed)
		return false;
	edu_write(bar, EDU_LIVE, 0x5a5a1234);
	return edu_read(bar, EDU_LIVE) == (uint32_t)~0x5a5a1234;
}

/* The DMA registers take 64 bits, in two halves if need be. */
static bool dma(volatile void *bar, uint64_t src, uint64_t dst, uint32_t size,
		uint32_t cmd)
{
	edu_write(bar, EDU_DMA_SRC, src);
	edu_write(bar, EDU_DMA_DST, dst);
	edu_write(bar, EDU_DMA_COUNT, size);
	edu_write(bar, EDU_DMA_CMD, cmd | DMA_RUN);
	for (int ms = 0; ms < EVENT_MS; ms += 10) {
		if (!(edu_read(bar, EDU_DMA_CMD) & DMA_RUN))
			return true;
		poll(0, 0, 10);
	}
	return false;
}

bool edu_dma_in(volatile void *bar, uint64_t iova, uint32_t size)
{
	return dma(bar, iova, EDU_BUFFER, size, 0);
}

bool edu_dma_out(volatile void *bar, uint64_t iova, uint32_t size)
{
	return dma(bar, EDU_BUFFER, iova, size, DMA_TO_RAM);
}
