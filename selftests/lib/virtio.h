/* SPDX-License-Identifier: GPL-2.0-only */
/* A network card of virtio 1.0 on PCI: one queue that sends, one that receives. */
#ifndef LIB_VIRTIO_H
#define LIB_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_pci.h>

#define VIRTIO_NET	0x1af41041u

/* Before each frame: a header that asks for nothing. */
#define VIRTIO_NET_HEAD	12u

/* What one queue reads and writes, a page each. */
struct virtio_memory {
	uint8_t ring[4096];
	uint8_t data[4096];
};

struct virtio {
	volatile struct virtio_pci_common_cfg *common;
	volatile char *notify;
	uint32_t multiplier;
	void *map[2];		/* what shows them */
	size_t size[2];
};

/* Finds and maps the registers of an open device. */
int virtio_registers(int fd, struct virtio *v);
/* Unmaps them, which keep the device open. */
void virtio_unmap(struct virtio *v);
/* Resets it, takes the features that it must have. */
int virtio_begin(struct virtio *v);
/* One buffer in queue @queue, whose events go to the MSI-X vector @vector. */
int virtio_queue(struct virtio *v, uint16_t queue, struct virtio_memory *memory, uint64_t iova,
		 uint32_t size, bool receives, uint16_t vector);
void virtio_run(struct virtio *v);
/* Offers the buffer; and waits until it has been used: its length, or -ETIMEDOUT. */
void virtio_offer(struct virtio *v, uint16_t queue, struct virtio_memory *memory);
int virtio_used(struct virtio_memory *memory);

#endif
