/* SPDX-License-Identifier: GPL-2.0-only */
/* QEMU's edu: registers, one interrupt, a DMA engine with a 4 KiB buffer. */
#ifndef LIB_EDU_H
#define LIB_EDU_H

#include <stdbool.h>
#include <stdint.h>

enum {
	EDU_ID = 0x00,			/* 0x010000ed */
	EDU_LIVE = 0x04,		/* reads back inverted */
	EDU_FACTORIAL = 0x08,
	EDU_STATUS = 0x20,
	EDU_IRQ_STATUS = 0x24,
	EDU_IRQ_RAISE = 0x60,
	EDU_IRQ_ACK = 0x64,
	EDU_DMA_SRC = 0x80,
	EDU_DMA_DST = 0x88,
	EDU_DMA_COUNT = 0x90,
	EDU_DMA_CMD = 0x98,
};

#define EDU_BUFFER 0x40000

uint32_t edu_read(volatile void *bar, int offset);
void edu_write(volatile void *bar, int offset, uint32_t value);
/* True if the device at @bar answers as edu does. */
bool edu_alive(volatile void *bar);
/* @size bytes from @iova into the device's buffer, or back; waits for it. */
bool edu_dma_in(volatile void *bar, uint64_t iova, uint32_t size);
bool edu_dma_out(volatile void *bar, uint64_t iova, uint32_t size);

#endif
