// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtual functions: the token that their users need if user space has the physical
 * function as well, what they can do, and how they go, by each open path.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <linux/pci_regs.h>

#include "lib/cdev.h"
#include "lib/edu.h"
#include "lib/event.h"
#include "lib/kmsg.h"
#include "lib/nvme.h"
#include "lib/open_path.h"
#include "lib/task.h"
#include "lib/test.h"

#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define REQUEST VFIO_PCI_REQ_IRQ_INDEX
#define EVENTFD (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)
#define BY_HAND (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER)

#define ENABLE "/sys/module/vfio_pci/parameters/enable_sriov"
#define IOVA 0x10000000ULL

static const char one[17] = "the first token!", two[17] = "another token...";

FIXTURE(sriov) {
	struct pci physical, virtual;
	struct opened pf, vf;
};

FIXTURE_VARIANT(sriov) {
	uint32_t id;
	enum open_path open_path;
	/* The host's driver, after those that it needs on one kernel or another. */
	const char *modules[5];
};

#define IGB_MODULES { "i2c_core", "i2c_algo_bit", "dca", "igb" }
#define NVME_MODULES { "nvme_keyring", "nvme_auth", "nvme_core", "nvme" }
FIXTURE_VARIANT_ADD(sriov, igb_cdev) { IGB, OPEN_CDEV, IGB_MODULES };
FIXTURE_VARIANT_ADD(sriov, igb_group) { IGB, OPEN_GROUP, IGB_MODULES };
FIXTURE_VARIANT_ADD(sriov, igb_container) { IGB, OPEN_CONTAINER, IGB_MODULES };
FIXTURE_VARIANT_ADD(sriov, nvme_cdev) { NVME, OPEN_CDEV, NVME_MODULES };
FIXTURE_VARIANT_ADD(sriov, nvme_group) { NVME, OPEN_GROUP, NVME_MODULES };
FIXTURE_VARIANT_ADD(sriov, nvme_container) { NVME, OPEN_CONTAINER, NVME_MODULES };

/* Virtual functions of the physical one, which vfio-pci catches if it has that one. */
static int make_virtual(const struct pci *physical, const char *count, struct pci *virtual)
{
	int ret = pci_attr_set(physical, "sriov_numvfs", count);

	ret = ret ?: pci_virtual(physical, 0, virtual) ?: pci_to_vfio(virtual);
	/*
	 * The host's driver of nvme looks at a new function from a work queue, and may be at
	 * it just now: told to keep off after it has taken it for its own, it goes on.
	 */
	for (int ms = 0; ret == -ENXIO && ms < EVENT_MS; ms += 10) {
		poll(NULL, 0, 10);
		ret = pci_to_vfio(virtual);
	}
	return ret;
}

FIXTURE_SETUP(sriov)
{
	self->pf = self->vf = OPENED_NONE;
	if (open_path_lacks(variant->open_path))
		SKIP(return, "%s", open_path_lacks(variant->open_path));
	if (pci_find(variant->id, 0, &self->physical) ||
	    access("/sys/module/vfio_iommu_type1", F_OK))
		SKIP(return, "no device with virtual functions, or no type1");
	ASSERT_EQ(0, pci_to_vfio(&self->physical));
	ASSERT_EQ(0, sysfs_write(ENABLE, "1"));
}

FIXTURE_TEARDOWN(sriov)
{
	open_path_close(&self->vf);
	open_path_close(&self->pf);
	EXPECT_EQ(0, pci_attr_set(&self->physical, "sriov_numvfs", "0"));
	EXPECT_EQ(0, sysfs_write(ENABLE, "0"));
}

/* Opens a function; what comes of it.  It stays open in @o if that is not NULL. */
static int try(enum open_path open_path, const struct pci *pci, const char *token, struct opened *o)
{
	struct opened here;
	int ret = open_path_open(open_path, pci, token, NULL, &here);

	if (o)
		*o = here;
	else
		open_path_close(&here);
	return ret;
}

/*
 * semantics: 103, 104, 150.  Who opens the physical function first says the token.
 * Whoever comes later, to it or to virtual ones, must know it.
 */
TEST_F(sriov, token)
{
	const struct pci *physical = &self->physical, *virtual = &self->virtual;
	enum open_path open_path = variant->open_path;
	struct pci sibling;

	ASSERT_EQ(0, try(open_path, physical, one, &self->pf));
	ASSERT_EQ(0, make_virtual(physical, "2", &self->virtual));
	ASSERT_EQ(0, pci_virtual(physical, 1, &sibling));
	ASSERT_EQ(0, pci_to_vfio(&sibling));
	for (int i = 0; i < 2; i++) {
		const struct pci *pci = i ? &sibling : virtual;

		EXPECT_EQ(-EACCES, try(open_path, pci, NULL, NULL));
		EXPECT_EQ(-EACCES, try(open_path, pci, two, NULL));
		EXPECT_EQ(0, try(open_path, pci, one, NULL));
	}

	/* With a user of a virtual function the physical one is not for others. */
	ASSERT_EQ(0, try(open_path, virtual, one, &self->vf));
	open_path_close(&self->pf);
	EXPECT_EQ(-EACCES, try(open_path, physical, NULL, NULL));
	EXPECT_EQ(-EACCES, try(open_path, physical, two, NULL));
	EXPECT_EQ(0, try(open_path, physical, one, NULL));
	/* It is nobody's now: the virtual ones need the token still. */
	EXPECT_EQ(0, device_info(self->vf.fd));
	EXPECT_EQ(-EACCES, try(open_path, &sibling, NULL, NULL));
	EXPECT_EQ(-EACCES, try(open_path, &sibling, two, NULL));
	EXPECT_EQ(0, try(open_path, &sibling, one, NULL));

	/* Without any, the next user may change it, or leave it as it is. */
	open_path_close(&self->vf);
	EXPECT_EQ(0, try(open_path, physical, NULL, NULL));
	EXPECT_EQ(0, try(open_path, virtual, one, NULL));
	EXPECT_EQ(0, try(open_path, physical, two, NULL));
	EXPECT_EQ(-EACCES, try(open_path, virtual, one, NULL));
	EXPECT_EQ(0, try(open_path, virtual, two, NULL));
}

/* semantics: 104, 130, 143, 150.  The physical function's user may change it at any time. */
TEST_F(sriov, token_by_feature)
{
	const struct pci *virtual = &self->virtual;
	enum open_path open_path = variant->open_path;

	ASSERT_EQ(0, try(open_path, &self->physical, NULL, &self->pf));
	ASSERT_EQ(0, make_virtual(&self->physical, "1", &self->virtual));
	/* As long as nobody has said one, nobody knows it. */
	EXPECT_EQ(-EACCES, try(open_path, virtual, NULL, NULL));
	EXPECT_EQ(-EACCES, try(open_path, virtual, one, NULL));
	ASSERT_EQ(0, cdev_set_token(self->pf.fd, one));
	ASSERT_EQ(0, try(open_path, virtual, one, &self->vf));
	/* It is asked for when a device is opened, and not again. */
	ASSERT_EQ(0, cdev_set_token(self->pf.fd, two));
	EXPECT_EQ(0, device_info(self->vf.fd));
	EXPECT_EQ(-ENOTTY, cdev_set_token(self->vf.fd, one));
	open_path_close(&self->vf);
	EXPECT_EQ(-EACCES, try(open_path, virtual, one, NULL));
	EXPECT_EQ(-EACCES, try(open_path, virtual, NULL, NULL));
	EXPECT_EQ(0, try(open_path, virtual, two, NULL));
}

/* semantics: 104, 150.  With the physical function on the host's driver there is none. */
TEST_F(sriov, token_for_nothing)
{
	const char *host = NULL;
	int ret = -ENOENT;

	/* What a kernel has built in, or not at all, has no file. */
	for (int i = 0; variant->modules[i]; i++) {
		host = variant->modules[i];
		ret = module_load(host);
	}
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, pci_to_driver(&self->physical, host));
	/* The virtual function is for nobody but vfio-pci. */
	ASSERT_EQ(0, pci_attr_set(&self->physical, "sriov_drivers_autoprobe", "0"));
	EXPECT_EQ(0, make_virtual(&self->physical, "1", &self->virtual));
	EXPECT_EQ(-EINVAL, try(variant->open_path, &self->virtual, one, NULL));
	EXPECT_EQ(0, try(variant->open_path, &self->virtual, NULL, NULL));
	EXPECT_EQ(0, pci_attr_set(&self->physical, "sriov_numvfs", "0"));
	EXPECT_EQ(0, pci_attr_set(&self->physical, "sriov_drivers_autoprobe", "1"));
	EXPECT_EQ(0, pci_to_vfio(&self->physical));
}

/* Both functions open, in one address space, their interrupts as events. */
static int open_both(enum open_path open_path, const struct pci *physical, struct pci *virtual,
		     struct opened *pf, struct opened *vf)
{
	int ret = try(open_path, physical, one, pf);

	ret = ret ?: make_virtual(physical, "2", virtual);
	ret = ret ?: open_path_open(open_path, virtual, one, pf, vf);
	return ret ?: cdev_enable_dma(pf->fd) ?: cdev_enable_dma(vf->fd);
}

/* An eventfd for an interrupt of a device. */
static int event_of(int fd, uint32_t index, uint32_t start)
{
	int32_t event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return event < 0 || cdev_set_irqs(fd, index, EVENTFD, start, 1, &event) ? -1 : event;
}

/* A virtual function is a device as any other. */
static void look_at(struct __test_metadata *_metadata, const struct pci *virtual, int fd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region;
	struct vfio_irq_info irq;
	uint32_t id = 0;
	int event;

	ASSERT_EQ(0, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET,
		  info.flags & (VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET));
	/* Its own registers of these say nothing: vfio-pci knows them. */
	ASSERT_EQ(4, config_read(fd, PCI_VENDOR_ID, &id, 4));
	EXPECT_EQ(virtual->id, id << 16 | id >> 16);
	ASSERT_EQ(0, cdev_region(fd, VFIO_PCI_BAR0_REGION_INDEX, &region));
	EXPECT_GT(region.size, 0);
	/* It has no line. */
	ASSERT_EQ(0, cdev_irq_info(fd, VFIO_PCI_INTX_IRQ_INDEX, &irq));
	EXPECT_EQ(0, irq.count);
	ASSERT_EQ(0, cdev_irq_info(fd, MSIX, &irq));
	EXPECT_GT(irq.count, 0);

	event = event_of(fd, MSIX, 0);
	ASSERT_GE(event, 0);
	ASSERT_EQ(0, cdev_set_irqs(fd, MSIX, BY_HAND, 0, 1, NULL));
	EXPECT_EQ(1, event_wait(event));
	close(event);
	ASSERT_EQ(0, xioctl(fd, VFIO_DEVICE_RESET, NULL));
	ASSERT_EQ(0, cdev_enable_dma(fd));
}

enum {
	IGB_GPIE = 0x1514,
	IGB_EICS = 0x1520,
	IGB_EIMS = 0x1524,
};

/* The interrupts of igb's virtual function, by its registers. */
static void use_igb(struct __test_metadata *_metadata, struct opened *pf, struct opened *vf)
{
	volatile void *physical = open_path_bar(pf), *virtual = open_path_bar(vf);
	int event[3];

	ASSERT_NE(NULL, physical);
	ASSERT_NE(NULL, virtual);
	edu_write(physical, IGB_GPIE, 0x10);
	for (int i = 0; i < 3; i++) {
		event[i] = event_of(vf->fd, MSIX, i);
		ASSERT_GE(event[i], 0);
	}
	for (int i = 0; i < 3; i++) {
		edu_write(virtual, IGB_EIMS, 7);
		edu_write(virtual, IGB_EICS, 1 << i);
		EXPECT_EQ(1, event_wait(event[i]));
		for (int j = 0; j < 3; j++)
			EXPECT_FALSE(wait_readable(event[j], 0));
	}
}

static void check_identity(struct __test_metadata *_metadata, struct nvme *n, int controller)
{
	memset(n->memory->data, 0, sizeof(n->memory->data));
	ASSERT_EQ(0, nvme_command(n, NVME_IDENTIFY, NVME_CONTROLLER, 0));
	EXPECT_EQ(0x1b36, *(uint16_t *)n->memory->data);
	EXPECT_EQ(controller, *(uint16_t *)(n->memory->data + 78));
}

/* nvme's: commands, their data, their interrupts. */
static void use_nvme(struct __test_metadata *_metadata, struct opened *pf, struct opened *vf)
{
	const uint64_t data = IOVA + sizeof(struct nvme_memory) + offsetof(struct nvme_memory, data);
	struct nvme_memory *memory = pages_alloc(2 * sizeof(*memory));
	volatile void *physical = open_path_bar(pf), *virtual = open_path_bar(vf);
	struct nvme first, second;
	uint32_t controller;
	uint8_t *list;
	int event;

	ASSERT_NE(NULL, physical);
	ASSERT_NE(NULL, virtual);
	for (size_t i = 0; i < 2 * sizeof(*memory); i += 4096)
		ASSERT_EQ(0, open_path_map(pf, (char *)memory + i, 4096, IOVA + i));

	/* The physical function lends the virtual one queues and interrupts, and turns it on. */
	ASSERT_EQ(0, nvme_start(&first, physical, memory, IOVA));
	check_identity(_metadata, &first, 0);
	ASSERT_EQ(0, nvme_command(&first, NVME_IDENTIFY, NVME_SECONDARY_LIST, 0));
	list = first.memory->data;
	ASSERT_EQ(2, list[0]);
	ASSERT_EQ(1, *(uint16_t *)(list + 32 + 8));
	controller = *(uint16_t *)(list + 32);
	ASSERT_EQ(0, nvme_command(&first, NVME_VIRTUALIZATION,
				  controller << 16 | NVME_VQ | NVME_SECONDARY_ASSIGN, 2));
	ASSERT_EQ(0, nvme_command(&first, NVME_VIRTUALIZATION,
				  controller << 16 | NVME_VI | NVME_SECONDARY_ASSIGN, 1));
	ASSERT_EQ(0, nvme_command(&first, NVME_VIRTUALIZATION,
				  controller << 16 | NVME_SECONDARY_ONLINE, 0));

	for (int i = 0; i < 2; i++) {
		event = event_of(vf->fd, MSIX, 0);
		ASSERT_GE(event, 0);
		ASSERT_EQ(0, nvme_start(&second, virtual, memory + 1, IOVA + sizeof(*memory)));
		for (int j = 0; j < 20; j++) {
			check_identity(_metadata, &second, controller);
			EXPECT_EQ(1, event_wait(event));
		}
		check_identity(_metadata, &first, 0);
		EXPECT_FALSE(wait_readable(event, 0));
		/* Not mapped, no data.  The device does not notice. */
		ASSERT_EQ(0, open_path_unmap(vf, data, 4096));
		memset(second.memory->data, 0x33, 4096);
		EXPECT_LE(0, nvme_command(&second, NVME_IDENTIFY, NVME_CONTROLLER, 0));
		EXPECT_EQ(0x33, second.memory->data[0]);
		ASSERT_EQ(0, open_path_map(vf, second.memory->data, 4096, data));
		EXPECT_EQ(1, event_wait(event));
		/* A reset ends it all, and it can begin again. */
		EXPECT_TRUE(nvme_ready(virtual));
		close(event);
		ASSERT_EQ(0, xioctl(vf->fd, VFIO_DEVICE_RESET, NULL));
		EXPECT_FALSE(nvme_ready(virtual));
		EXPECT_TRUE(nvme_ready(physical));
		ASSERT_EQ(0, cdev_enable_dma(vf->fd));
	}
}

/* semantics: 49, 65, 101, 114, 120, 122.  Its interrupts and its DMA are its own. */
TEST_F(sriov, use)
{
	ASSERT_EQ(0, open_both(variant->open_path, &self->physical, &self->virtual, &self->pf,
			       &self->vf));
	look_at(_metadata, &self->virtual, self->vf.fd);
	if (variant->id == IGB)
		use_igb(_metadata, &self->pf, &self->vf);
	else
		use_nvme(_metadata, &self->pf, &self->vf);
}

static int no_virtual(void *physical)
{
	return pci_attr_set(physical, "sriov_numvfs", "0");
}

static int unbind(void *physical)
{
	return pci_unbind(physical);
}

/*
 * semantics: 86-88, 90.  Functions are there until their users have let them go: virtual
 * ones, while the physical one can be used; and it, with which they all go.
 */
TEST_F(sriov, removal)
{
	struct worker worker;
	int request, last;

	ASSERT_EQ(0, open_both(variant->open_path, &self->physical, &self->virtual, &self->pf,
			       &self->vf));
	request = event_of(self->vf.fd, REQUEST, 0);
	ASSERT_GE(request, 0);
	ASSERT_EQ(0, worker_start(&worker, no_virtual, &self->physical));
	EXPECT_LE(1, event_wait(request));
	EXPECT_FALSE(worker_ended(&worker));
	EXPECT_EQ(0, device_info(self->vf.fd));
	EXPECT_EQ(0, device_info(self->pf.fd));
	EXPECT_EQ(0, cdev_set_token(self->pf.fd, two));
	open_path_close(&self->vf);
	EXPECT_EQ(0, worker_join(&worker));
	EXPECT_EQ(-ENOENT, pci_virtual(&self->physical, 0, &self->virtual));
	EXPECT_EQ(0, device_info(self->pf.fd));
	close(request);

	/* They can come again. */
	ASSERT_EQ(0, make_virtual(&self->physical, "2", &self->virtual));
	ASSERT_EQ(0, try(variant->open_path, &self->virtual, two, &self->vf));
	request = event_of(self->vf.fd, REQUEST, 0);
	last = event_of(self->pf.fd, REQUEST, 0);
	ASSERT_GE(request, 0);
	ASSERT_GE(last, 0);
	/* vfio-pci takes them away without a lock that lockdep misses, on any core. */
	kmsg_expect_warning(true, NULL);
	ASSERT_EQ(0, worker_start(&worker, unbind, &self->physical));
	EXPECT_LE(1, event_wait(request));
	EXPECT_FALSE(worker_ended(&worker));
	open_path_close(&self->vf);
	EXPECT_LE(1, event_wait(last));
	EXPECT_FALSE(worker_ended(&worker));
	open_path_close(&self->pf);
	EXPECT_EQ(0, worker_join(&worker));
	kmsg_expect_warning(false, NULL);
	EXPECT_EQ(-ENOENT, pci_virtual(&self->physical, 0, &self->virtual));
	close(request);
	close(last);
	EXPECT_EQ(0, pci_to_vfio(&self->physical));
}

TEST_HARNESS_MAIN
