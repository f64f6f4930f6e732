/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device that device/ serves to QEMU by the vfio-user protocol.  Its number says
 * what it has.  There are no requests with PASIDs in that protocol: its DMA is without.
 */
#ifndef LIB_SVADEV_H
#define LIB_SVADEV_H

#include <stdint.h>

#define SVADEV_ATS		1
#define SVADEV_PRI		2
#define SVADEV_PASID		4
/* Page requests whose answers carry no PASID, which Linux leaves off. */
#define SVADEV_PRI_OFF		8
#define SVADEV_WITH(features)	(0x12345340u | (features))
#define SVADEV			SVADEV_WITH(SVADEV_ATS | SVADEV_PRI | SVADEV_PASID)

/* How many PASIDs it knows, and how many interrupts. */
#define SVADEV_PASID_BITS	16
#define SVADEV_VECTORS		4

/* Registers in BAR 0, and the buffer. */
#define SVADEV_REG_ID		0x00
#define SVADEV_REG_SCRATCH	0x04
#define SVADEV_REG_INTERRUPT	0x1c
#define SVADEV_BUFFER		0x1000
#define SVADEV_BUFFER_SIZE	0x1000
#define SVADEV_BAR_SIZE		0x4000

#define SVADEV_ID		0x53564100u

uint32_t svadev_read(volatile void *bar, uint32_t reg);
void svadev_write(volatile void *bar, uint32_t reg, uint32_t value);

enum svadev_dma { SVADEV_TO_MEMORY = 1, SVADEV_FROM_MEMORY };

#define SVADEV_DONE	1	/* all of it */
#define SVADEV_FAULT	2	/* refused, and nothing was moved */
#define SVADEV_INVALID	3	/* it cannot do that */

/* Moves the first @size bytes of the buffer to @iova, or back. */
uint32_t svadev_dma(volatile void *bar, enum svadev_dma what, uint64_t iova, uint32_t size);

#endif
