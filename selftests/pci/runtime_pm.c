// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runtime power management: a suspended device is resumed by a call that needs it,
 * and by none that does not get past the gate.
 */
#include <sys/eventfd.h>

#include "lib/cdev.h"
#include "lib/group.h"
#include "lib/open_path.h"
#include "lib/power.h"
#include "lib/space.h"
#include "lib/test.h"

/* igb has the PCI power management capability. */
FIXTURE(runtime_pm) {
	struct pci pci;
	struct opened o;
	int wakeup;
};

FIXTURE_SETUP(runtime_pm)
{
	if (pci_find(IGB, 0, &self->pci))
		SKIP(return, "no igb");
	ASSERT_EQ(0, open_path_open_vfio(open_path_usual(), &self->pci, &self->o));
	self->wakeup = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ASSERT_GE(self->wakeup, 0);
}

FIXTURE_TEARDOWN(runtime_pm)
{
	open_path_close(&self->o);
	close(self->wakeup);
}

/* semantics: 119, 203.  Free devices sleep, a bound one is awake. */
TEST_F(runtime_pm, bound_is_active)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int fd;

	EXPECT_TRUE(power_is(&self->pci, "active"));
	open_path_close(&self->o);
	EXPECT_TRUE(power_becomes(&self->pci, "suspended"));
	/* Neither open nor a call before BIND wakes it, nor its group's file. */
	fd = BY_SPACE(cdev_open(&self->pci), group_open(&self->pci));
	ASSERT_GE(fd, 0);
	EXPECT_EQ(BY_SPACE(-EINVAL, -ENOTTY), xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(BY_SPACE(-EBADF, -ENOTTY), cdev_bind(fd, 1000, NULL));
	EXPECT_TRUE(power_is(&self->pci, "suspended"));
	close(fd);
	ASSERT_EQ(0, open_path_open_vfio(open_path_usual(), &self->pci, &self->o));
	EXPECT_TRUE(power_is(&self->pci, "active"));
}

/* semantics: 119, 143, 203.  Asleep by request, awake for the time of a call. */
TEST_F(runtime_pm, call_resumes)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	uint32_t pt = self->o.ioas;
	struct vfio_region_info region;
	int fd = self->o.fd;

	ASSERT_EQ(0, low_power(fd, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, 0));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	/* Each of these finds it asleep, and lets it sleep again. */
	EXPECT_EQ(0, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	EXPECT_EQ(0, cdev_region(fd, 0, &region));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	EXPECT_EQ(BY_SPACE(0, -ENOTTY), cdev_attach(fd, &pt));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	EXPECT_EQ(-ENOTTY, xioctl(fd, _IO(VFIO_TYPE, VFIO_BASE + 99), NULL));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	ASSERT_EQ(0, low_power(fd, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, 0));
	EXPECT_TRUE(power_is(&self->pci, "active"));
}

/*
 * semantics: 102, 111, 119, 203.  The driver tells that it was woken, and stays awake.
 * Each call must wake it, one that fails too.
 */
TEST_F(runtime_pm, call_wakes)
{
	const uint32_t entry = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP;
	const struct {
		unsigned long cmd;
		int want;
	} calls[] = {
		{ VFIO_DEVICE_GET_INFO, -EFAULT },
		{ VFIO_DEVICE_GET_REGION_INFO, -EFAULT },
		{ VFIO_DEVICE_ATTACH_IOMMUFD_PT, BY_SPACE(-EFAULT, -ENOTTY) },
		{ VFIO_DEVICE_DETACH_IOMMUFD_PT, BY_SPACE(-EFAULT, -ENOTTY) },
		{ VFIO_DEVICE_FEATURE, -EFAULT },
		{ _IO(VFIO_TYPE, VFIO_BASE + 99), -ENOTTY },
	};
	int fd = self->o.fd;

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		uint64_t n = 0;

		ASSERT_EQ(0, low_power(fd, entry, self->wakeup));
		ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
		EXPECT_FALSE(wait_readable(self->wakeup, 0));
		/* BIND alone does not need the device. */
		if (has_iommufd())
			EXPECT_EQ(-EINVAL, cdev_bind(fd, self->o.space, NULL));
		EXPECT_TRUE(power_is(&self->pci, "suspended"));

		EXPECT_EQ(calls[i].want, xioctl(fd, calls[i].cmd, NULL));
		EXPECT_TRUE(wait_readable(self->wakeup, EVENT_MS))
			TH_LOG("ioctl %#lx", calls[i].cmd);
		EXPECT_EQ(sizeof(n), read(self->wakeup, &n, sizeof(n)));
		EXPECT_EQ(1, n);
		EXPECT_TRUE(power_is(&self->pci, "active"));
	}
}

/* semantics: 119.  The count of uses is even afterwards: closed, it sleeps. */
TEST_F(runtime_pm, closed_asleep)
{
	ASSERT_EQ(0, low_power(self->o.fd, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
			       0));
	ASSERT_TRUE(power_becomes(&self->pci, "suspended"));
	open_path_close(&self->o);
	EXPECT_TRUE(power_becomes(&self->pci, "suspended"));
	ASSERT_EQ(0, open_path_open_vfio(open_path_usual(), &self->pci, &self->o));
	EXPECT_TRUE(power_is(&self->pci, "active"));
}

TEST_HARNESS_MAIN
