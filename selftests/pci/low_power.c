// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that its user lets sleep (VFIO_DEVICE_FEATURE_LOW_POWER_*): who and what wakes
 * it, for how long, and what can be done with it meanwhile.
 */
#include <sys/eventfd.h>

#include <linux/pci_regs.h>

#include "lib/event.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/open_path.h"
#include "lib/power.h"
#include "lib/test.h"

#define ENTRY VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
#define WAKEUP VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP
#define EXIT VFIO_DEVICE_FEATURE_LOW_POWER_EXIT

/* igb has the PCI power management capability. */
FIXTURE(low_power) {
	struct pci pci, other;
	struct opened u;
	int event;
};

FIXTURE_VARIANT(low_power) {
	enum open_path open_path;
};

FIXTURE_VARIANT_ADD(low_power, cdev) { .open_path = OPEN_CDEV };
FIXTURE_VARIANT_ADD(low_power, group) { .open_path = OPEN_GROUP };
FIXTURE_VARIANT_ADD(low_power, container) { .open_path = OPEN_CONTAINER };

FIXTURE_SETUP(low_power)
{
	if (open_path_lacks(variant->open_path))
		SKIP(return, "%s", open_path_lacks(variant->open_path));
	if (pci_find(IGB, 0, &self->pci) || pci_find_at(EDU, false, &self->other))
		SKIP(return, "no igb, or no edu device on the root bus");
	ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->pci, &self->u));
	self->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ASSERT_GE(self->event, 0);
}

FIXTURE_TEARDOWN(low_power)
{
	open_path_close(&self->u);
	close(self->event);
	pci_attr_set(&self->pci, "power/control", "auto");
}

/*
 * Is it awake, and not about to fall asleep?  The kernel lets devices sleep one after the
 * other: when one that was let just now does, this would have.
 */
static bool stays_awake(const struct pci *pci, const struct pci *other)
{
	struct opened o;
	bool awake;

	awake = !open_path_open_vfio(open_path_usual(), other, &o) && !low_power(o.fd, ENTRY, 0) &&
		power_becomes(other, "suspended") && power_is(pci, "active");
	open_path_close(&o);
	return awake;
}

/* semantics: 119, 143, 203.  Once in it, one is in it; out of it twice is no error. */
TEST_F(low_power, twice)
{
	int fd = self->u.fd;

	EXPECT_EQ(0, low_power(fd, EXIT, 0));
	ASSERT_EQ(0, low_power(fd, ENTRY, 0));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	EXPECT_EQ(-EINVAL, low_power(fd, ENTRY, 0));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	/* This one's event is not kept. */
	EXPECT_EQ(-EINVAL, low_power(fd, WAKEUP, self->event));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	EXPECT_EQ(0, low_power(fd, EXIT, 0));
	EXPECT_EQ(0, event_take(self->event));
	EXPECT_TRUE(power_is(&self->pci, "active"));
	EXPECT_EQ(0, low_power(fd, EXIT, 0));
	EXPECT_TRUE(stays_awake(&self->pci, &self->other));
}

/*
 * semantics: 119, 143, 203.  With an event each call wakes it for good, and may let it sleep
 * again.
 */
TEST_F(low_power, twice_with_wakeup)
{
	int fd = self->u.fd;

	ASSERT_EQ(0, low_power(fd, WAKEUP, self->event));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	EXPECT_EQ(0, event_take(self->event));
	EXPECT_EQ(0, low_power(fd, WAKEUP, self->event));
	EXPECT_EQ(1, event_take(self->event));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	EXPECT_EQ(0, low_power(fd, ENTRY, 0));
	EXPECT_EQ(1, event_take(self->event));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	EXPECT_EQ(0, low_power(fd, EXIT, 0));
	EXPECT_EQ(0, event_take(self->event));
	ASSERT_EQ(0, low_power(fd, WAKEUP, self->event));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	EXPECT_EQ(0, low_power(fd, EXIT, 0));
	EXPECT_EQ(1, event_take(self->event));
	EXPECT_TRUE(stays_awake(&self->pci, &self->other));
}

/* semantics: 130, 143.  What is refused leaves it awake. */
TEST_F(low_power, arguments)
{
	const size_t head = sizeof(struct vfio_device_feature);
	struct vfio_device_feature *arg = edge_alloc(head);
	static const uint32_t ids[] = { ENTRY, WAKEUP, EXIT };
	int fd = self->u.fd;

	for (int i = 0; i < 3; i++) {
		arg->argsz = head;
		arg->flags = VFIO_DEVICE_FEATURE_PROBE | ids[i];
		EXPECT_EQ(0, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
		arg->flags |= VFIO_DEVICE_FEATURE_SET;
		EXPECT_EQ(0, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
		arg->flags |= VFIO_DEVICE_FEATURE_GET;
		EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
		arg->flags = ids[i];
		EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
		arg->flags |= VFIO_DEVICE_FEATURE_GET;
		EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
	}
	/* The payload: too short, not there, no descriptor, none of an eventfd. */
	arg->flags = VFIO_DEVICE_FEATURE_SET | WAKEUP;
	for (arg->argsz = head; arg->argsz < head + 8; arg->argsz++)
		EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
	EXPECT_EQ(-EINVAL, low_power(fd, WAKEUP, -1));
	EXPECT_EQ(-EBADF, low_power(fd, WAKEUP, 1000));
	EXPECT_EQ(-EINVAL, low_power(fd, WAKEUP, fd));
	EXPECT_TRUE(stays_awake(&self->pci, &self->other));

	/* Those without a payload do not look for one. */
	arg->argsz = head;
	arg->flags = VFIO_DEVICE_FEATURE_SET | ENTRY;
	EXPECT_EQ(0, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
	EXPECT_TRUE(power_becomes(&self->pci, "suspended"));
	arg->flags = VFIO_DEVICE_FEATURE_SET | EXIT;
	EXPECT_EQ(0, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
	EXPECT_TRUE(power_is(&self->pci, "active"));
}

/*
 * semantics: 17, 99, 122, 143.  read() and write() wake it for their time; what is mapped is
 * gone until the end, by whatever file it was mapped, for a touch could not wake it.
 */
TEST_F(low_power, access)
{
	struct vfio_region_info region;
	int fd = self->u.fd, group, second = -1;
	volatile void *bar, *other = NULL;
	uint16_t ids[2];
	uint32_t value;
	size_t size;

	ASSERT_EQ(0, cdev_enable_dma(fd));
	ASSERT_EQ(0, cdev_region(fd, 0, &region));
	bar = cdev_map_bar(fd, 0, &size);
	ASSERT_NE(NULL, bar);
	if (variant->open_path != OPEN_CDEV) {
		group = self->u.group;
		second = group_device(group, self->pci.bdf);
		ASSERT_GE(second, 0);
		other = cdev_map_bar(second, 0, NULL);
		ASSERT_NE(NULL, other);
		EXPECT_TRUE(bar_answers(other));
	}
	EXPECT_TRUE(bar_answers(bar));
	(void)*(volatile uint32_t *)bar;

	ASSERT_EQ(0, low_power(fd, ENTRY, 0));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	EXPECT_FALSE(bar_answers(bar));
	if (other)
		EXPECT_FALSE(bar_answers(other));
	EXPECT_TRUE(power_is(&self->pci, "suspended"));
	for (int i = 0; i < 2; i++) {
		int by = second >= 0 && i ? second : fd;

		EXPECT_EQ(4, pread(by, ids, 4, (off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40));
		EXPECT_EQ(IGB >> 16, ids[0]);
		EXPECT_EQ(IGB & 0xffff, ids[1]);
		ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
		EXPECT_EQ(4, pread(by, &value, 4, region.offset));
		ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
		EXPECT_EQ(4, pwrite(by, &value, 4, region.offset));
		ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
		EXPECT_FALSE(bar_answers(bar));
	}
	ASSERT_EQ(0, low_power(fd, EXIT, 0));
	EXPECT_TRUE(bar_answers(bar));
	if (other) {
		EXPECT_TRUE(bar_answers(other));
		munmap((void *)other, size);
		close(second);
	}
	munmap((void *)bar, size);
}

/* semantics: 122, 143.  ... and with an event for good. */
TEST_F(low_power, access_wakes)
{
	volatile void *bar;
	uint32_t value;
	size_t size;

	ASSERT_EQ(0, cdev_enable_dma(self->u.fd));
	bar = cdev_map_bar(self->u.fd, 0, &size);
	ASSERT_NE(NULL, bar);
	ASSERT_EQ(0, low_power(self->u.fd, WAKEUP, self->event));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	EXPECT_FALSE(bar_answers(bar));
	EXPECT_EQ(0, event_take(self->event));
	EXPECT_EQ(4, pread(self->u.fd, &value, 4,
			   (off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40));
	EXPECT_EQ(1, event_take(self->event));
	EXPECT_TRUE(bar_answers(bar));
	EXPECT_TRUE(stays_awake(&self->pci, &self->other));
	munmap((void *)bar, size);
}

/*
 * semantics: 143.  The host: to look does not wake it; keeping it awake does, and the user
 * hears of it.
 */
TEST_F(low_power, host)
{
	char header[PCI_STD_HEADER_SIZEOF + 1];
	int fd = self->u.fd;

	ASSERT_EQ(0, low_power(fd, WAKEUP, self->event));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	EXPECT_EQ(PCI_STD_HEADER_SIZEOF,
		  pci_attr(&self->pci, "config", header, sizeof(header)));
	EXPECT_TRUE(power_is(&self->pci, "suspended"));
	EXPECT_EQ(0, event_take(self->event));
	ASSERT_EQ(0, pci_attr_set(&self->pci, "power/control", "on"));
	EXPECT_TRUE(power_is(&self->pci, "active"));
	EXPECT_EQ(1, event_take(self->event));
	ASSERT_EQ(0, pci_attr_set(&self->pci, "power/control", "auto"));
	EXPECT_TRUE(stays_awake(&self->pci, &self->other));

	/* Without an event the user knows nothing, and sleeps on when it may. */
	ASSERT_EQ(0, low_power(fd, ENTRY, 0));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	ASSERT_EQ(0, pci_attr_set(&self->pci, "power/control", "on"));
	EXPECT_TRUE(power_is(&self->pci, "active"));
	ASSERT_EQ(0, pci_attr_set(&self->pci, "power/control", "auto"));
	EXPECT_TRUE(power_becomes(&self->pci, "suspended"));
	EXPECT_EQ(0, event_take(self->event));
	EXPECT_EQ(0, low_power(fd, EXIT, 0));
}

/* semantics: 95, 109, 143.  Closed asleep: nobody is told, and the next user finds it awake. */
TEST_F(low_power, closed)
{
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, i ? low_power(self->u.fd, WAKEUP, self->event) :
				 low_power(self->u.fd, ENTRY, 0));
		ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
		open_path_close(&self->u);
		EXPECT_EQ(0, event_take(self->event));
		EXPECT_TRUE(power_becomes(&self->pci, "suspended"));
		ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->pci, &self->u));
		EXPECT_TRUE(stays_awake(&self->pci, &self->other));
	}
}

/* semantics: 119, 143.  A reset wakes it for its time. */
TEST_F(low_power, reset)
{
	ASSERT_EQ(0, low_power(self->u.fd, ENTRY, 0));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	EXPECT_EQ(0, xioctl(self->u.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_TRUE(power_becomes(&self->pci, "suspended"));
	EXPECT_EQ(-EINVAL, low_power(self->u.fd, ENTRY, 0));
	EXPECT_EQ(0, low_power(self->u.fd, EXIT, 0));
	EXPECT_EQ(0, device_info(self->u.fd));
}

/* semantics: 119, 203.  vfio-pci told to let no free device sleep: a user's still may. */
TEST_F(low_power, disable_idle_d3)
{
	int fd;

	open_path_close(&self->u);
	EXPECT_TRUE(power_becomes(&self->pci, "suspended"));
	ASSERT_EQ(0, module_unload("vfio_pci"));
	ASSERT_EQ(0, module_load_with("vfio_pci", "disable_idle_d3=1"));
	ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->pci, &self->u));
	open_path_close(&self->u);
	EXPECT_TRUE(stays_awake(&self->pci, &self->other));
	ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->pci, &self->u));
	fd = self->u.fd;
	EXPECT_EQ(0, device_info(fd));
	EXPECT_TRUE(stays_awake(&self->pci, &self->other));
	EXPECT_EQ(0, low_power(fd, WAKEUP, self->event));
	EXPECT_TRUE(power_becomes(&self->pci, "suspended"));
	EXPECT_EQ(0, device_info(fd));
	EXPECT_EQ(1, event_take(self->event));
	EXPECT_TRUE(stays_awake(&self->pci, &self->other));
	EXPECT_EQ(0, low_power(fd, ENTRY, 0));
	EXPECT_TRUE(power_becomes(&self->pci, "suspended"));
	open_path_close(&self->u);
	EXPECT_TRUE(stays_awake(&self->pci, &self->other));
	ASSERT_EQ(0, module_unload("vfio_pci"));
	ASSERT_EQ(0, module_load("vfio_pci"));
	ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->pci, &self->u));
}

TEST_HARNESS_MAIN
