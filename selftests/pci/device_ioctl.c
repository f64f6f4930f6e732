// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a device file that lets its holder in does besides attaching: features, the driver's
 * own calls, unknown ones, read, write, mmap, /proc/PID/fdinfo.
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>

#include <linux/pci_regs.h>

#include "lib/cdev.h"
#include "lib/edu.h"
#include "lib/feature.h"
#include "lib/iommufd.h"
#include "lib/open_path.h"
#include "lib/test.h"

FIXTURE(device_ioctl) {
	struct pci pci;
	struct opened o;
};

FIXTURE_SETUP(device_ioctl)
{
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, open_path_open_vfio(open_path_usual(), &self->pci, &self->o));
}

FIXTURE_TEARDOWN(device_ioctl)
{
	open_path_close(&self->o);
}

static int feature_sized(int fd, uint32_t flags, uint32_t argsz)
{
	char buf[HEAD + 256] = { 0 };
	struct vfio_device_feature *arg = (void *)buf;

	arg->argsz = argsz;
	arg->flags = flags;
	return xioctl(fd, VFIO_DEVICE_FEATURE, arg);
}

static int feature(int fd, uint32_t flags)
{
	return feature_sized(fd, flags, HEAD + 256);
}

/* semantics: 129 */
TEST_F(device_ioctl, feature_errors)
{
	struct vfio_device_feature *arg = edge_alloc(HEAD - 1);
	int fd = self->o.fd;

	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_FEATURE, NULL));
	arg->argsz = 0;
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
	arg = edge_alloc(HEAD);
	/* The size, before flags; all of it before the id. */
	for (arg->argsz = 0; arg->argsz < HEAD; arg->argsz++) {
		arg->flags = PROBE | 500;
		EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
	}
	for (uint32_t flag = PROBE << 1; flag; flag <<= 1) {
		arg->flags = flag | PROBE | 500;
		EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
	}
	EXPECT_EQ(-EINVAL, feature(fd, GET | SET | 500));
	EXPECT_EQ(-ENOTTY, feature(fd, GET | SET | PROBE | 500));
	EXPECT_EQ(-ENOTTY, feature(fd, GET | 500));
	EXPECT_EQ(-ENOTTY, feature(fd, SET | 500));
	EXPECT_EQ(-ENOTTY, feature(fd, PROBE | 500));
	EXPECT_EQ(-ENOTTY, feature(fd, 500));
	EXPECT_EQ(-ENOTTY, feature(fd, PROBE | VFIO_DEVICE_FEATURE_MASK));
}

/* semantics: 131, 132.  What a device without migration says of it. */
TEST_F(device_ioctl, feature_absent)
{
	static const uint32_t ids[] = {
		VFIO_DEVICE_FEATURE_MIGRATION,
		VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
	};
	int fd = self->o.fd;

	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		EXPECT_EQ(-ENOTTY, feature(fd, PROBE | ids[i]));
		EXPECT_EQ(-ENOTTY, feature(fd, GET | ids[i]));
		EXPECT_EQ(-ENOTTY, feature(fd, SET | ids[i]));
		EXPECT_EQ(-ENOTTY, feature_sized(fd, GET | ids[i], HEAD));
	}
	EXPECT_EQ(-EINVAL,
		  feature(fd, PROBE | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2));
}

/* semantics: 130, 133, 143.  A feature of the driver: low power. */
TEST_F(device_ioctl, feature_of_the_driver)
{
	const uint32_t entry = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY;
	const uint32_t wakeup = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP;
	const uint32_t exit = VFIO_DEVICE_FEATURE_LOW_POWER_EXIT;
	int fd = self->o.fd;

	EXPECT_EQ(0, feature_sized(fd, PROBE | SET | entry, HEAD));
	EXPECT_EQ(0, feature_sized(fd, PROBE | entry, HEAD));
	EXPECT_EQ(-EINVAL, feature(fd, PROBE | GET | entry));
	EXPECT_EQ(-EINVAL, feature(fd, PROBE | GET | SET | entry));
	EXPECT_EQ(-EINVAL, feature(fd, entry));
	EXPECT_EQ(-EINVAL, feature(fd, GET | entry));
	/* The payload that it needs, and not for a probe. */
	EXPECT_EQ(0, feature_sized(fd, PROBE | SET | wakeup, HEAD));
	EXPECT_EQ(-EINVAL, feature_sized(fd, SET | wakeup, HEAD));
	EXPECT_EQ(-EINVAL, feature_sized(fd, SET | wakeup, HEAD + 7));
	EXPECT_EQ(0, feature_sized(fd, SET | exit, HEAD));
	/* edu is no SR-IOV device */
	EXPECT_EQ(-ENOTTY, feature(fd, PROBE | SET |
				   VFIO_DEVICE_FEATURE_PCI_VF_TOKEN));
}

/* semantics: 130, 143.  One with a payload: the token of an SR-IOV device. */
TEST_F(device_ioctl, feature_payload)
{
	const uint32_t token = VFIO_DEVICE_FEATURE_PCI_VF_TOKEN;
	struct vfio_device_feature *arg;
	struct opened o;
	struct pci igb;

	if (pci_find(IGB, 0, &igb))
		SKIP(return, "no igb");
	ASSERT_EQ(0, open_path_open_vfio(open_path_usual(), &igb, &o));
	EXPECT_EQ(0, feature_sized(o.fd, PROBE | SET | token, HEAD));
	EXPECT_EQ(-EINVAL, feature(o.fd, PROBE | GET | token));
	EXPECT_EQ(-EINVAL, feature(o.fd, GET | token));
	EXPECT_EQ(-EINVAL, feature_sized(o.fd, SET | token, HEAD + 15));
	EXPECT_EQ(0, feature_sized(o.fd, SET | token, HEAD + 16));
	arg = edge_alloc(HEAD + 15);
	arg->argsz = HEAD + 16;
	arg->flags = SET | token;
	EXPECT_EQ(-EFAULT, xioctl(o.fd, VFIO_DEVICE_FEATURE, arg));
	open_path_close(&o);
}

static int dma_buf(int fd, uint32_t flags, uint32_t region, uint64_t length)
{
	struct {
		struct vfio_device_feature head;
		uint32_t region, open_flags, flags, nr_ranges;
		struct vfio_region_dma_range range;
	} arg = {
		.head = { .argsz = sizeof(arg), .flags = flags | VFIO_DEVICE_FEATURE_DMA_BUF },
		.region = region,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr_ranges = 1,
		.range = { .length = length },
	};

	return xioctl(fd, VFIO_DEVICE_FEATURE, &arg);
}

/*
 * semantics: 133, 143.  One with a descriptor for a result, which comes back as it is.
 * The close of the device takes from a dma-buf what it held of it.
 */
TEST_F(device_ioctl, feature_dma_buf)
{
	int fd = self->o.fd, buf;

	if (feature(fd, PROBE | GET | VFIO_DEVICE_FEATURE_DMA_BUF))
		SKIP(return, "a kernel without VFIO_PCI_DMABUF");
	EXPECT_EQ(-EINVAL, dma_buf(fd, SET, 0, 4096));
	EXPECT_EQ(-EINVAL, dma_buf(fd, GET, 0, 4095));
	EXPECT_EQ(-ENODEV, dma_buf(fd, GET, VFIO_PCI_CONFIG_REGION_INDEX, 4096));
	ASSERT_EQ(0, cdev_enable_dma(fd));
	buf = dma_buf(fd, GET, 0, 4096);
	ASSERT_GE(buf, 0);
	EXPECT_NE(fd, buf);
	open_path_close(&self->o);
	EXPECT_EQ(0, pci_unbind(&self->pci));
	close(buf);
	EXPECT_EQ(0, pci_to_vfio(&self->pci));
	ASSERT_EQ(0, open_path_open_vfio(open_path_usual(), &self->pci, &self->o));
}

/* semantics: 120.  Unknown ones are the driver's to refuse. */
TEST_F(device_ioctl, unknown)
{
	static const unsigned long cmds[] = {
		_IO(VFIO_TYPE, VFIO_BASE + 99), _IO('x', 1), 0, 0xffffffff,
		_IO(VFIO_TYPE, VFIO_BASE + 21), VFIO_GET_API_VERSION,
		VFIO_CHECK_EXTENSION, VFIO_SET_IOMMU, VFIO_GROUP_GET_STATUS,
		VFIO_GROUP_SET_CONTAINER, VFIO_GROUP_UNSET_CONTAINER,
		VFIO_GROUP_GET_DEVICE_FD, IOMMU_IOAS_ALLOC,
		_IOWR(VFIO_TYPE, VFIO_BASE + 18, int),
		_IOWR(VFIO_TYPE, VFIO_BASE + 19, int),
		_IOWR(VFIO_TYPE, VFIO_BASE + 8, struct vfio_region_info),
	};
	char zeroes[256] = { 0 };

	for (size_t i = 0; i < sizeof(cmds) / sizeof(*cmds); i++) {
		EXPECT_EQ(-ENOTTY, xioctl(self->o.fd, cmds[i], zeroes))
			TH_LOG("ioctl %#lx", cmds[i]);
	}
}

/* semantics: 120.  Calls that go through to the driver, good and bad. */
TEST_F(device_ioctl, driver_calls)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_irq_info irq;
	int fd = self->o.fd;

	ASSERT_EQ(0, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_NE(0, info.flags & VFIO_DEVICE_FLAGS_PCI);
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS, info.num_regions);
	EXPECT_EQ(VFIO_PCI_NUM_IRQS, info.num_irqs);
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_GET_INFO, NULL));
	info.argsz = 4;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	ASSERT_EQ(0, cdev_irq_info(fd, VFIO_PCI_INTX_IRQ_INDEX, &irq));
	EXPECT_EQ(1, irq.count);
	EXPECT_EQ(-EINVAL, cdev_irq_info(fd, VFIO_PCI_NUM_IRQS, &irq));
	/* edu on the root bus has no reset */
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_RESET, NULL));
}

/* semantics: 101, 122.  The config space and registers, by read and by mmap. */
TEST_F(device_ioctl, read_write_mmap)
{
	struct vfio_region_info region;
	uint16_t ids[2] = { 0 };
	volatile void *bar;
	uint32_t value;
	size_t size;
	int fd = self->o.fd;

	ASSERT_EQ(4, config_read(fd, PCI_VENDOR_ID, ids, 4));
	EXPECT_EQ(EDU >> 16, ids[0]);
	EXPECT_EQ(EDU & 0xffff, ids[1]);
	EXPECT_EQ(-1, pread(fd, ids, 4, (off_t)60 << 40));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pread(fd, edge_alloc(0), 4,
			    (off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40));
	EXPECT_EQ(EFAULT, errno);

	ASSERT_EQ(0, cdev_enable_dma(fd));
	bar = cdev_map_bar(fd, 0, &size);
	ASSERT_NE(NULL, bar);
	EXPECT_EQ(1 << 20, size);
	EXPECT_TRUE(edu_alive(bar));
	/* A write by one access is read by the other. */
	ASSERT_EQ(0, cdev_region(fd, 0, &region));
	value = 0x12340000;
	ASSERT_EQ(4, pwrite(fd, &value, 4, region.offset + EDU_LIVE));
	EXPECT_EQ(~value, edu_read(bar, EDU_LIVE));
	ASSERT_EQ(4, pread(fd, &value, 4, region.offset + EDU_ID));
	EXPECT_EQ(0x010000ed, value);

	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd,
				   region.offset));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd,
				   (off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 << 20, PROT_READ, MAP_SHARED, fd,
				   region.offset));
	EXPECT_EQ(EINVAL, errno);
}

/* semantics: 124.  Before and after BIND, where there is such a thing. */
TEST_F(device_ioctl, fdinfo)
{
	char path[64], text[4096], want[PATH_MAX + 64], device[128];
	char real[PATH_MAX];
	int fd;

	if (!has_procfs())
		SKIP(return, NO_PROCFS);
	fd = has_iommufd() ? cdev_open(&self->pci) : -1;
	ASSERT_EQ(has_iommufd(), fd >= 0);
	snprintf(device, sizeof(device), "/sys/bus/pci/devices/%s",
		 self->pci.bdf);
	ASSERT_NE(NULL, realpath(device, real));
	snprintf(want, sizeof(want), "\nvfio-device-syspath: %s", real);
	for (int i = !has_iommufd(); i < 2; i++) {
		char *line;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d",
			 i ? self->o.fd : fd);
		ASSERT_GT(sysfs_read(path, text, sizeof(text)), 0);
		line = strstr(text, want);
		ASSERT_NE(NULL, line) TH_LOG("%s", text);
		line += strlen(want);
		EXPECT_TRUE(*line == '\n' || *line == '\0');
	}
	close(fd);
}

/* Which node an fd is of, /proc knows. */
TEST_F(device_ioctl, same_node)
{
	char path[128], link[64], target[PATH_MAX];
	ssize_t n;

	if (!has_procfs())
		SKIP(return, NO_PROCFS);
	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	ASSERT_EQ(0, pci_cdev_path(&self->pci, path, sizeof(path)));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", self->o.fd);
	n = readlink(link, target, sizeof(target) - 1);
	ASSERT_GT(n, 0);
	target[n] = '\0';
	EXPECT_STREQ(path, target);
}

TEST_HARNESS_MAIN
