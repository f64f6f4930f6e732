/* SPDX-License-Identifier: GPL-2.0-only */
/* An NVMe controller, as far as its queue of administrative commands goes. */
#ifndef LIB_NVME_H
#define LIB_NVME_H

#include <stdbool.h>
#include <stdint.h>

/* What the controller reads and writes, in the order in memory: a page each. */
struct nvme_memory {
	uint8_t commands[4096];
	uint8_t completions[4096];
	uint8_t data[4096];
};

struct nvme {
	volatile void *bar;
	struct nvme_memory *memory;
	uint64_t iova;
	uint32_t count;		/* of commands so far */
};

#define NVME_IDENTIFY		0x06
#define   NVME_CONTROLLER	0x01
#define   NVME_SECONDARY_LIST	0x15
#define NVME_VIRTUALIZATION	0x1c
#define   NVME_VQ		(0 << 8)
#define   NVME_VI		(1 << 8)
#define   NVME_SECONDARY_ASSIGN	8
#define   NVME_SECONDARY_ONLINE	9

/* Switches the controller on, its queue at @memory, which is mapped at @iova. */
int nvme_start(struct nvme *n, volatile void *bar, struct nvme_memory *memory, uint64_t iova);
/* Is it on? */
bool nvme_ready(volatile void *bar);
/* Gives it a command and waits for its end: the status, 0 if it went well, or -ETIMEDOUT. */
int nvme_command(struct nvme *n, uint8_t opcode, uint32_t dword10, uint32_t dword11);

#endif
