// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "cdev.h"
#include "core.h"
#include "virtio.h"

#define ENTRIES 8u

/* The parts of a ring in its page. */
static struct vring ring_of(struct virtio_memory *memory)
{
	struct vring ring;

	vring_init(&ring, ENTRIES, memory->ring, 64);
	return ring;
}

/* What a capability shows.  Two of one BAR map that twice. */
static volatile void *map_capability(struct virtio *v, int nth, int fd, const struct virtio_pci_cap *cap)
{
	v->map[nth] = cdev_map_bar(fd, cap->bar, &v->size[nth]);
	return v->map[nth] ? (char *)v->map[nth] + cap->offset : NULL;
}

void virtio_unmap(struct virtio *v)
{
	for (int i = 0; i < 2; i++)
		if (v->map[i])
			munmap(v->map[i], v->size[i]);
	memset(v, 0, sizeof(*v));
}

int virtio_registers(int fd, struct virtio *v)
{
	struct virtio_pci_notify_cap cap;
	uint8_t at = 0;

	memset(v, 0, sizeof(*v));
	if (config_read(fd, PCI_CAPABILITY_LIST, &at, 1) != 1)
		return -EIO;
	for (; at; at = cap.cap.cap_next) {
		if (config_read(fd, at, &cap, sizeof(cap)) != sizeof(cap))
			return -EIO;
		if (cap.cap.cap_vndr != PCI_CAP_ID_VNDR)
			continue;
		if (cap.cap.cfg_type == VIRTIO_PCI_CAP_COMMON_CFG) {
			v->common = map_capability(v, 0, fd, &cap.cap);
		} else if (cap.cap.cfg_type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
			v->notify = map_capability(v, 1, fd, &cap.cap);
			v->multiplier = cap.notify_off_multiplier;
		}
	}
	return v->common && v->notify ? 0 : -ENODEV;
}

int virtio_begin(struct virtio *v)
{
	/* Addresses are those of the IOMMU. */
	const uint32_t high = 1u << (VIRTIO_F_VERSION_1 - 32) |
			      1u << (VIRTIO_F_ACCESS_PLATFORM - 32);
	uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	v->common->device_status = 0;
	for (int ms = 0; v->common->device_status; ms++) {
		if (ms == EVENT_MS)
			return -ETIMEDOUT;
		poll(NULL, 0, 1);
	}
	v->common->device_status = status;
	v->common->device_feature_select = 1;
	if ((v->common->device_feature & high) != high)
		return -ENODEV;
	v->common->guest_feature_select = 0;
	v->common->guest_feature = 0;
	v->common->guest_feature_select = 1;
	v->common->guest_feature = high;
	status |= VIRTIO_CONFIG_S_FEATURES_OK;
	v->common->device_status = status;
	return v->common->device_status == status ? 0 : -EIO;
}

static void set_address(volatile __le32 *low, volatile __le32 *high, uint64_t address)
{
	*low = address;
	*high = address >> 32;
}

int virtio_queue(struct virtio *v, uint16_t queue, struct virtio_memory *memory, uint64_t iova,
		 uint32_t size, bool receives, uint16_t vector)
{
	volatile struct virtio_pci_common_cfg *c = v->common;
	struct vring ring = ring_of(memory);
	uint64_t base = (uintptr_t)memory;

	memset(memory->ring, 0, sizeof(memory->ring));
	ring.desc[0].addr = iova + sizeof(memory->ring);
	ring.desc[0].len = size;
	ring.desc[0].flags = receives ? VRING_DESC_F_WRITE : 0;

	c->queue_select = queue;
	c->queue_size = ENTRIES;
	c->queue_msix_vector = vector;
	if (c->queue_msix_vector != vector)
		return -EINVAL;
	set_address(&c->queue_desc_lo, &c->queue_desc_hi, iova + ((uintptr_t)ring.desc - base));
	set_address(&c->queue_avail_lo, &c->queue_avail_hi, iova + ((uintptr_t)ring.avail - base));
	set_address(&c->queue_used_lo, &c->queue_used_hi, iova + ((uintptr_t)ring.used - base));
	c->queue_enable = 1;
	return 0;
}

void virtio_run(struct virtio *v)
{
	v->common->device_status = v->common->device_status | VIRTIO_CONFIG_S_DRIVER_OK;
}

void virtio_offer(struct virtio *v, uint16_t queue, struct virtio_memory *memory)
{
	struct vring ring = ring_of(memory);

	/* It is always descriptor 0. */
	__atomic_store_n(&ring.avail->idx, ring.avail->idx + 1, __ATOMIC_SEQ_CST);
	v->common->queue_select = queue;
	*(volatile uint16_t *)(v->notify + v->common->queue_notify_off * v->multiplier) = queue;
}

int virtio_used(struct virtio_memory *memory)
{
	struct vring ring = ring_of(memory);

	for (int ms = 0; ms < EVENT_MS; ms++) {
		if (__atomic_load_n(&ring.used->idx, __ATOMIC_ACQUIRE) == ring.avail->idx)
			return ring.used->ring[(ring.avail->idx - 1) % ENTRIES].len;
		poll(NULL, 0, 1);
	}
	return -ETIMEDOUT;
}
