// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio-vfio-pci, the VFIO driver for virtual functions of virtio: network cards whose
 * physical function the host drives.  They cannot migrate, for QEMU's has none of the
 * commands that this takes; all else they can, by each open path.
 */
#include <fcntl.h>
#include <sys/eventfd.h>

#include <linux/pci_regs.h>

#include "lib/cdev.h"
#include "lib/open_path.h"
#include "lib/test.h"
#include "lib/virtio.h"

#define DRIVER "virtio_vfio_pci"
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define EVENTFD (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)
#define BY_HAND (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER)

#define IOVA 0x10000000ULL
#define FRAME 1000u
#define RECEIVE 0
#define SEND 1

/* A card with one buffer to send from and one to receive into. */
struct card {
	struct virtio virtio;
	struct virtio_memory *memory;	/* of each queue */
	int event[2];
};

FIXTURE(virtio_vfio) {
	struct pci physical, virtual[2];
	struct opened vf[2];
	struct card cards[2];
};

FIXTURE_VARIANT(virtio_vfio) {
	enum open_path open_path;
};

FIXTURE_VARIANT_ADD(virtio_vfio, cdev) { OPEN_CDEV };
FIXTURE_VARIANT_ADD(virtio_vfio, group) { OPEN_GROUP };
FIXTURE_VARIANT_ADD(virtio_vfio, container) { OPEN_CONTAINER };

FIXTURE_SETUP(virtio_vfio)
{
	static const char * const modules[] = {
		"failover", "net_failover", "virtio_net", DRIVER
	};

	for (int i = 0; i < 2; i++) {
		self->vf[i] = OPENED_NONE;
		memset(&self->cards[i], 0, sizeof(self->cards[i]));
	}
	if (pci_find(VIRTIO_NET, 0, &self->physical) ||
	    access("/sys/module/vfio_iommu_type1", F_OK))
		SKIP(return, "no network card of virtio, or no type1");
	for (size_t i = 0; i < sizeof(modules) / sizeof(*modules); i++)
		if (module_load(modules[i]))
			SKIP(return, "no module %s", modules[i]);
	ASSERT_EQ(0, pci_to_driver(&self->physical, "virtio-pci"));
	/* The host's driver leaves them alone. */
	ASSERT_EQ(0, pci_attr_set(&self->physical, "sriov_drivers_autoprobe", "0"));
	ASSERT_EQ(0, pci_attr_set(&self->physical, "sriov_numvfs", "2"));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, pci_virtual(&self->physical, i, &self->virtual[i]));
		ASSERT_EQ(0, pci_to_driver(&self->virtual[i], DRIVER));
	}
}

FIXTURE_TEARDOWN(virtio_vfio)
{
	for (int i = 0; i < 2; i++) {
		virtio_unmap(&self->cards[i].virtio);
		open_path_close(&self->vf[i]);
	}
	EXPECT_EQ(0, pci_attr_set(&self->physical, "sriov_numvfs", "0"));
}

static int feature(int fd, uint32_t flags)
{
	struct vfio_device_feature arg = { .argsz = sizeof(arg), .flags = flags };

	return xioctl(fd, VFIO_DEVICE_FEATURE, &arg);
}

static void look_at(struct __test_metadata *_metadata, const struct pci *pci, int fd)
{
	static const uint32_t absent[] = {
		VFIO_DEVICE_FEATURE_MIGRATION, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
	};
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region;
	uint16_t vendor = 0;
	int32_t event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int bars = 0;

	ASSERT_EQ(0, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET,
		  info.flags & (VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET));
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS, info.num_regions);
	EXPECT_EQ(VFIO_PCI_NUM_IRQS, info.num_irqs);
	for (int i = VFIO_PCI_BAR0_REGION_INDEX; i <= VFIO_PCI_BAR5_REGION_INDEX; i++) {
		ASSERT_EQ(0, cdev_region(fd, i, &region));
		bars += !!region.size;
	}
	EXPECT_LE(2, bars);
	EXPECT_EQ(-EINVAL, cdev_region(fd, VFIO_PCI_NUM_REGIONS, &region));
	ASSERT_EQ(2, config_read(fd, PCI_VENDOR_ID, &vendor, 2));
	EXPECT_EQ(VIRTIO_NET >> 16, vendor);

	for (size_t i = 0; i < sizeof(absent) / sizeof(*absent); i++) {
		EXPECT_EQ(-ENOTTY, feature(fd, VFIO_DEVICE_FEATURE_PROBE | absent[i]));
		EXPECT_EQ(-ENOTTY, feature(fd, VFIO_DEVICE_FEATURE_GET | absent[i]));
	}

	ASSERT_EQ(0, cdev_set_irqs(fd, MSIX, EVENTFD, 0, 1, &event));
	ASSERT_EQ(0, cdev_set_irqs(fd, MSIX, BY_HAND, 0, 1, NULL));
	EXPECT_TRUE(wait_readable(event, EVENT_MS));
	EXPECT_EQ(0, xioctl(fd, VFIO_DEVICE_RESET, NULL));
	close(event);
}

/* semantics: 101, 120, 122, 127, 130.  What there is of a device, and no migration. */
TEST_F(virtio_vfio, a_device)
{
	ASSERT_EQ(0, open_path_open(variant->open_path, &self->virtual[0], NULL, NULL,
				    &self->vf[0]));
	look_at(_metadata, &self->virtual[0], self->vf[0].fd);
}

/* semantics: 101, 120, 122, 127, 130.  The physical function, which the driver takes too. */
TEST_F(virtio_vfio, physical)
{
	ASSERT_EQ(0, pci_attr_set(&self->physical, "sriov_numvfs", "0"));
	ASSERT_EQ(0, pci_to_driver(&self->physical, DRIVER));
	ASSERT_EQ(0, open_path_open(variant->open_path, &self->physical, NULL, NULL, &self->vf[0]));
	look_at(_metadata, &self->physical, self->vf[0].fd);
	open_path_close(&self->vf[0]);
	EXPECT_EQ(0, pci_to_driver(&self->physical, "virtio-pci"));
}

/* semantics: 104, 150.  No token is asked for: the host has the physical function. */
TEST_F(virtio_vfio, token)
{
	static const char token[17] = "for nothing.....";

	EXPECT_EQ(-EINVAL, open_path_open(variant->open_path, &self->virtual[0], token, NULL,
					  &self->vf[0]));
	EXPECT_EQ(0, open_path_open(variant->open_path, &self->virtual[0], NULL, NULL,
				    &self->vf[0]));
}

static void start(struct __test_metadata *_metadata, const struct opened *o, struct card *card,
		  uint64_t iova)
{
	struct virtio *v = &card->virtio;

	ASSERT_EQ(0, cdev_enable_dma(o->fd));
	ASSERT_EQ(0, virtio_registers(o->fd, v));
	ASSERT_EQ(0, cdev_set_irqs(o->fd, MSIX, EVENTFD, 0, 2, card->event));
	ASSERT_EQ(0, virtio_begin(v));
	for (int i = 0; i < 2; i++) {
		struct virtio_memory *memory = &card->memory[i];

		ASSERT_EQ(0, virtio_queue(v, i, memory, iova + i * sizeof(*memory),
					  VIRTIO_NET_HEAD + (i == SEND ? FRAME : 2000),
					  i == RECEIVE, i));
	}
	virtio_run(v);
}

/* Waits for the event and takes it. */
static bool take(int event)
{
	uint64_t n = 0;

	return wait_readable(event, EVENT_MS) && read(event, &n, 8) == 8;
}

/* semantics: 49, 65, 114, 120, 122, 147.  Frames from one card to the other, through memory. */
TEST_F(virtio_vfio, frames)
{
	const size_t size = 2 * sizeof(struct virtio_memory);
	struct card *cards = self->cards;

	for (int i = 0; i < 2; i++) {
		struct card *card = &cards[i];

		ASSERT_EQ(0, open_path_open(variant->open_path, &self->virtual[i], NULL,
					    i ? &self->vf[0] : NULL, &self->vf[i]));
		card->memory = pages_alloc(size);
		ASSERT_EQ(0, open_path_map(&self->vf[0], card->memory, size, IOVA + i * size));
		for (int j = 0; j < 2; j++) {
			card->event[j] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
			ASSERT_GE(card->event[j], 0);
		}
		start(_metadata, &self->vf[i], card, IOVA + i * size);
	}
	for (int n = 0; n < 50; n++) {
		struct card *from = &cards[n & 1], *to = &cards[!(n & 1)];
		uint8_t *sent = from->memory[SEND].data, *got = to->memory[RECEIVE].data;

		memset(got, 0, sizeof(to->memory[RECEIVE].data));
		virtio_offer(&to->virtio, RECEIVE, &to->memory[RECEIVE]);
		memset(sent, 0, VIRTIO_NET_HEAD);
		/* To everybody. */
		memset(sent + VIRTIO_NET_HEAD, 0xff, 6);
		for (uint32_t i = 6; i < FRAME; i++)
			sent[VIRTIO_NET_HEAD + i] = i * 7 + n;
		virtio_offer(&from->virtio, SEND, &from->memory[SEND]);
		EXPECT_EQ(0, virtio_used(&from->memory[SEND]));
		EXPECT_TRUE(take(from->event[SEND]));
		ASSERT_EQ(VIRTIO_NET_HEAD + FRAME, virtio_used(&to->memory[RECEIVE]));
		EXPECT_TRUE(take(to->event[RECEIVE]));
		EXPECT_EQ(0, memcmp(got + VIRTIO_NET_HEAD, sent + VIRTIO_NET_HEAD, FRAME));
	}
	/* A reset of the function forgets what its driver has set up. */
	EXPECT_NE(0, cards[0].virtio.common->device_status);
	ASSERT_EQ(0, xioctl(self->vf[0].fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, cards[0].virtio.common->device_status);
	EXPECT_NE(0, cards[1].virtio.common->device_status);
	for (int i = 0; i < 4; i++)
		close(cards[i / 2].event[i % 2]);
}

TEST_HARNESS_MAIN
