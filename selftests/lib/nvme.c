// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "core.h"
#include "nvme.h"

#define DEPTH 16u

enum {
	CAP_HIGH = 0x04,	/* 3:0: the stride of doorbells */
	CC = 0x14,
	CSTS = 0x1c,
	AQA = 0x24,
	ASQ = 0x28,
	ACQ = 0x30,
	DOORBELLS = 0x1000,
};

#define CC_ENABLE (1u | 6 << 16 | 4 << 20)	/* entries of 64 and of 16 bytes */
#define CSTS_READY 1u
#define CSTS_FATAL 2u

static volatile uint32_t *reg(volatile void *bar, int offset)
{
	return (volatile uint32_t *)((volatile char *)bar + offset);
}

static void write64(volatile void *bar, int offset, uint64_t value)
{
	*reg(bar, offset) = value;
	*reg(bar, offset + 4) = value >> 32;
}

bool nvme_ready(volatile void *bar)
{
	return (*reg(bar, CSTS) & (CSTS_READY | CSTS_FATAL)) == CSTS_READY;
}

int nvme_start(struct nvme *n, volatile void *bar, struct nvme_memory *memory, uint64_t iova)
{
	*n = (struct nvme){ .bar = bar, .memory = memory, .iova = iova };
	memset(memory, 0, sizeof(*memory));
	*reg(bar, CC) = 0;
	*reg(bar, AQA) = (DEPTH - 1) << 16 | (DEPTH - 1);
	write64(bar, ASQ, iova + offsetof(struct nvme_memory, commands));
	write64(bar, ACQ, iova + offsetof(struct nvme_memory, completions));
	*reg(bar, CC) = CC_ENABLE;
	for (int ms = 0; ms < EVENT_MS; ms += 10) {
		if (nvme_ready(bar))
			return 0;
		if (*reg(bar, CSTS) & CSTS_FATAL)
			return -EIO;
		poll(NULL, 0, 10);
	}
	return -ETIMEDOUT;
}

int nvme_command(struct nvme *n, uint8_t opcode, uint32_t dword10, uint32_t dword11)
{
	uint32_t slot = n->count % DEPTH, stride = 4u << (*reg(n->bar, CAP_HIGH) & 15);
	volatile uint32_t *command = (volatile uint32_t *)n->memory->commands + slot * 16;
	volatile uint32_t *completion = (volatile uint32_t *)n->memory->completions + slot * 4;
	/* Its phase turns with each round of the queue. */
	uint32_t phase = n->count / DEPTH % 2 ? 0 : 1 << 16;
	uint64_t data = n->iova + offsetof(struct nvme_memory, data);

	for (int i = 0; i < 16; i++)
		command[i] = 0;
	command[0] = opcode | slot << 16;
	command[6] = data;
	command[7] = data >> 32;
	command[10] = dword10;
	command[11] = dword11;
	n->count++;
	*reg(n->bar, DOORBELLS) = n->count % DEPTH;
	for (int ms = 0; ms < EVENT_MS; ms++) {
		if ((completion[3] & 1 << 16) == phase) {
			*reg(n->bar, DOORBELLS + stride) = n->count % DEPTH;
			return completion[3] >> 17;
		}
		poll(NULL, 0, 1);
	}
	return -ETIMEDOUT;
}
