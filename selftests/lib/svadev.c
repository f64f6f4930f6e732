// SPDX-License-Identifier: GPL-2.0-only
#include "svadev.h"

#define DMA_LOW		0x08
#define DMA_HIGH	0x0c
#define DMA_LEN		0x10
#define DMA_RUN		0x14
#define DMA_RESULT	0x18

uint32_t svadev_read(volatile void *bar, uint32_t reg)
{
	return *(volatile uint32_t *)((volatile char *)bar + reg);
}

void svadev_write(volatile void *bar, uint32_t reg, uint32_t value)
{
	*(volatile uint32_t *)((volatile char *)bar + reg) = value;
}

uint32_t svadev_dma(volatile void *bar, enum svadev_dma what, uint64_t iova, uint32_t size)
{
	svadev_write(bar, DMA_LOW, iova);
	svadev_write(bar, DMA_HIGH, iova >> 32);
	svadev_write(bar, DMA_LEN, size);
	svadev_write(bar, DMA_RUN, what);
	/* Writes are posted; what is read comes after them. */
	return svadev_read(bar, DMA_RESULT);
}
