// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device's memory as a dma-buf (VFIO_DEVICE_FEATURE_DMA_BUF): another device writes to it,
 * as long as the one that it belongs to has an open file and its memory on.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <linux/dma-buf.h>
#include <linux/pci_regs.h>

#include "lib/cdev.h"
#include "lib/fault.h"
#include "lib/hot_reset.h"
#include "lib/introspect.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/open_path.h"
#include "lib/power.h"
#include "lib/removal.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/testdev.h"

#define PAGE 4096ULL
#define IOVA 0x10000000ULL
/* ivshmem: a megabyte of memory is BAR 2, registers are BAR 0. */
#define BAR 2
#define BAR_SIZE (1ULL << 20)

/* From a device that writes to the memory of another. */
struct path {
	struct session writer;
	volatile void *bar;		/* the writer's */
	volatile uint32_t *memory;
	uint64_t phys;
};

FIXTURE(dma_buf) {
	struct pci pci, writer_pci;
	struct opened u;		/* of the memory */
	struct path p;
};

FIXTURE_VARIANT(dma_buf) {
	enum open_path open_path;
};

FIXTURE_VARIANT_ADD(dma_buf, cdev) { .open_path = OPEN_CDEV };
FIXTURE_VARIANT_ADD(dma_buf, group) { .open_path = OPEN_GROUP };
FIXTURE_VARIANT_ADD(dma_buf, container) { .open_path = OPEN_CONTAINER };

static int export_ranges(int fd, uint32_t index, uint32_t open_flags, uint32_t n,
			 const struct vfio_region_dma_range *ranges)
{
	const size_t size = sizeof(struct vfio_device_feature) +
			    sizeof(struct vfio_device_feature_dma_buf) + n * sizeof(*ranges);
	struct vfio_device_feature *arg = calloc(1, size);
	struct vfio_device_feature_dma_buf *buf = (void *)arg->data;
	int ret;

	arg->argsz = size;
	arg->flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	buf->region_index = index;
	buf->open_flags = open_flags;
	buf->nr_ranges = n;
	if (n)
		memcpy(buf->dma_ranges, ranges, n * sizeof(*ranges));
	ret = xioctl(fd, VFIO_DEVICE_FEATURE, arg);
	free(arg);
	return ret;
}

/* One range of the memory. */
static int export(int fd, uint64_t offset, uint64_t length)
{
	const struct vfio_region_dma_range range = { offset, length };

	return export_ranges(fd, BAR, O_RDWR | O_CLOEXEC, 1, &range);
}

static int memory_on(int fd, bool on)
{
	uint16_t command = 0;
	int ret = config_read(fd, PCI_COMMAND, &command, 2);

	if (ret < 0)
		return ret;
	command = on ? command | PCI_COMMAND_MEMORY : command & ~PCI_COMMAND_MEMORY;
	ret = config_write(fd, PCI_COMMAND, &command, 2);
	return ret < 0 ? ret : 0;
}

FIXTURE_SETUP(dma_buf)
{
	int buf;

	if (pci_find(IVSHMEM, 0, &self->pci) || pci_find(TESTDEV, 0, &self->writer_pci))
		SKIP(return, "no ivshmem, or no iommu-testdev");
	ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->pci, &self->u));
	ASSERT_EQ(0, memory_on(self->u.fd, true));
	self->p.memory = cdev_map_bar(self->u.fd, BAR, NULL);
	ASSERT_NE(NULL, self->p.memory);
	self->p.phys = pci_bar(&self->pci, BAR);
	ASSERT_NE(0, self->p.phys);
	ASSERT_EQ(0, session_open(&self->writer_pci, &self->p.writer));
	ASSERT_EQ(0, cdev_enable_dma(self->p.writer.fd));
	self->p.bar = cdev_map_bar(self->p.writer.fd, 0, NULL);
	ASSERT_NE(NULL, self->p.bar);
	buf = export(self->u.fd, 0, PAGE);
	if (buf == -ENOTTY)
		SKIP(return, "a kernel without VFIO_PCI_DMABUF");
	close(buf);
}

FIXTURE_TEARDOWN(dma_buf)
{
	if (self->p.memory)
		munmap((void *)self->p.memory, BAR_SIZE);
	open_path_close(&self->u);
	session_close(&self->p.writer);
}

static int map(const struct session *writer, int buf, uint64_t start, uint64_t length,
	       uint64_t iova)
{
	return ioas_map_file(writer->iommufd, writer->ioas, buf, start, length, iova);
}

static int unmap(const struct session *writer, uint64_t length, uint64_t iova)
{
	return ioas_unmap(writer->iommufd, writer->ioas, iova, length);
}

/* A write of the one device at @iova comes to that place in the memory of the other. */
static bool arrives(const struct path *p, uint64_t iova, uint64_t offset)
{
	volatile uint32_t *at = p->memory + offset / sizeof(*at);

	*at = 0;
	return testdev_dma_to(p->bar, iova, p->phys + offset, 16) == TESTDEV_OK &&
	       *at == TESTDEV_PATTERN;
}

static bool faults(const struct path *p, uint64_t iova)
{
	return testdev_dma_to(p->bar, iova, p->phys, 16) == TESTDEV_FAULT;
}

/* semantics: 130, 133, 143.  First what is asked, then the memory, then the ranges. */
TEST_F(dma_buf, arguments)
{
	const size_t head = sizeof(struct vfio_device_feature);
	const size_t size = head + sizeof(struct vfio_device_feature_dma_buf);
	struct vfio_device_feature *arg = edge_alloc(size);
	struct vfio_device_feature_dma_buf *buf = (void *)arg->data;
	struct vfio_region_dma_range two[] = { { 0, PAGE }, { PAGE, PAGE } };
	int fd = self->u.fd;

	*buf = (struct vfio_device_feature_dma_buf){ .region_index = BAR, .nr_ranges = 1 };
	arg->argsz = head;
	arg->flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_DMA_BUF;
	EXPECT_EQ(0, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
	arg->flags |= VFIO_DEVICE_FEATURE_GET;
	EXPECT_EQ(0, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
	arg->flags |= VFIO_DEVICE_FEATURE_SET;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
	arg->flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_BUF;
	arg->argsz = size;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
	arg->flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	for (arg->argsz = head; arg->argsz < size; arg->argsz++)
		EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
	/* The ranges are not there. */
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
	buf->nr_ranges = ~0u;
	EXPECT_EQ(-ENOMEM, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
	buf->flags = 1;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_FEATURE, arg));
	buf->flags = 0;
	buf->nr_ranges = 0;
	buf->region_index = VFIO_PCI_CONFIG_REGION_INDEX;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_FEATURE, arg));

	/* No BAR, an absent one. */
	EXPECT_EQ(-ENODEV, export_ranges(fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, 1, two));
	EXPECT_EQ(-ENODEV, export_ranges(fd, VFIO_PCI_ROM_REGION_INDEX, 0, 1, two));
	EXPECT_EQ(-ENODEV, export_ranges(fd, 4, 0, 1, two));
	EXPECT_EQ(-ENODEV, export_ranges(fd, ~0u, 0, 1, two));
	/* One that is less than a page. */
	EXPECT_EQ(-EINVAL, export_ranges(fd, 0, 0, 1, two));

	EXPECT_EQ(-EINVAL, export(fd, 0, 0));
	EXPECT_EQ(-EINVAL, export(fd, 0, PAGE - 1));
	EXPECT_EQ(-EINVAL, export(fd, 1, PAGE));
	EXPECT_EQ(-EINVAL, export(fd, 0, BAR_SIZE + PAGE));
	EXPECT_EQ(-EINVAL, export(fd, BAR_SIZE, PAGE));
	EXPECT_EQ(-EOVERFLOW, export(fd, -PAGE, PAGE));
	EXPECT_EQ(-EINVAL, export(fd, 0, 1ULL << 63));
	two[1].length = PAGE + 1;
	EXPECT_EQ(-EINVAL, export_ranges(fd, BAR, 0, 2, two));
	two[1].length = BAR_SIZE;
	EXPECT_EQ(-EINVAL, export_ranges(fd, BAR, 0, 2, two));
	two[1] = (struct vfio_region_dma_range){ 0, -PAGE };
	EXPECT_EQ(-EINVAL, export_ranges(fd, BAR, 0, 2, two));
}

/* semantics: 133, 143.  The descriptor: how big, how open, and what it is not. */
TEST_F(dma_buf, descriptor)
{
	const struct vfio_region_dma_range ranges[] = {
		{ 0, PAGE }, { 0, PAGE }, { 4 * PAGE, 2 * PAGE },
	};
	struct dma_buf_sync sync = { DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };
	char path[64], text[4096];
	int fd = self->u.fd, buf;

	/* As often as one likes, the same place twice too. */
	buf = export_ranges(fd, BAR, O_RDWR | O_CLOEXEC, 3, ranges);
	ASSERT_GE(buf, 0);
	EXPECT_EQ(4 * PAGE, lseek(buf, 0, SEEK_END));
	EXPECT_EQ(FD_CLOEXEC, fcntl(buf, F_GETFD));
	EXPECT_EQ(O_RDWR, fcntl(buf, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, buf, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, read(buf, text, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, xioctl(buf, DMA_BUF_IOCTL_SYNC, &sync));
	EXPECT_EQ(-ENOTTY, xioctl(buf, VFIO_DEVICE_GET_INFO, text));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", buf);
	ASSERT_GT(sysfs_read(path, text, sizeof(text)), 0);
	EXPECT_NE(NULL, strstr(text, "exp_name:\tvfio_pci_core"));
	close(buf);

	buf = export_ranges(fd, BAR, O_RDONLY, 1, ranges);
	ASSERT_GE(buf, 0);
	EXPECT_EQ(0, fcntl(buf, F_GETFD));
	EXPECT_EQ(O_RDONLY, fcntl(buf, F_GETFL) & O_ACCMODE);
	close(buf);
}

/* semantics: 133, 143.  Peer to peer: to the place that was exported, and to no other. */
TEST_F(dma_buf, peer_to_peer)
{
	const struct vfio_region_dma_range two[] = { { 0, PAGE }, { PAGE, PAGE } };
	int fd = self->u.fd, buf, both;

	EXPECT_TRUE(faults(&self->p, IOVA));
	buf = export(fd, 4 * PAGE, 4 * PAGE);
	ASSERT_GE(buf, 0);
	EXPECT_TRUE(faults(&self->p, IOVA));
	ASSERT_EQ(0, map(&self->p.writer, buf, 0, 4 * PAGE, IOVA));
	EXPECT_TRUE(arrives(&self->p, IOVA, 4 * PAGE));
	EXPECT_TRUE(arrives(&self->p, IOVA + 4 * PAGE - 16, 8 * PAGE - 16));
	EXPECT_TRUE(faults(&self->p, IOVA + 4 * PAGE));
	EXPECT_TRUE(faults(&self->p, IOVA - PAGE));
	/* A part of it, elsewhere. */
	ASSERT_EQ(0, map(&self->p.writer, buf, 2 * PAGE, PAGE, 1ULL << 36));
	EXPECT_TRUE(arrives(&self->p, 1ULL << 36, 6 * PAGE));
	EXPECT_TRUE(faults(&self->p, (1ULL << 36) + PAGE));
	EXPECT_EQ(-EINVAL, map(&self->p.writer, buf, 0, 5 * PAGE, 1ULL << 32));
	EXPECT_EQ(-EINVAL, map(&self->p.writer, buf, 4 * PAGE, PAGE, 1ULL << 32));
	/* iommufd wants one piece. */
	both = export_ranges(fd, BAR, O_RDWR | O_CLOEXEC, 2, two);
	ASSERT_GE(both, 0);
	EXPECT_EQ(-EOPNOTSUPP, map(&self->p.writer, both, 0, 2 * PAGE, 1ULL << 32));
	close(both);
	/* Mapped, it needs no descriptor. */
	close(buf);
	EXPECT_TRUE(arrives(&self->p, IOVA, 4 * PAGE));
	ASSERT_EQ(0, unmap(&self->p.writer, 4 * PAGE, IOVA));
	EXPECT_TRUE(faults(&self->p, IOVA));
	EXPECT_TRUE(arrives(&self->p, 1ULL << 36, 6 * PAGE));
}

/* What ends an export for a time, and brings it back. */
static int to_reset(struct opened *u)
{
	return xioctl(u->fd, VFIO_DEVICE_RESET, NULL);
}

static int to_hot_reset(struct opened *u)
{
	return u->open_path == OPEN_CDEV ? hot_reset_owned(u->fd) : hot_reset(u->fd, 1, &u->group);
}

static int to_off(struct opened *u)
{
	return memory_on(u->fd, false);
}

static int to_on(struct opened *u)
{
	return memory_on(u->fd, true);
}

static int to_low_power(struct opened *u)
{
	return low_power(u->fd, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, 0);
}

static int to_full_power(struct opened *u)
{
	return low_power(u->fd, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, 0);
}

static const struct {
	const char *name;
	int (*begin)(struct opened *u);
	int (*end)(struct opened *u);
} revocations[] = {
	{ "reset", to_reset, NULL },
	{ "hot reset", to_hot_reset, NULL },
	{ "memory off", to_off, to_on },
	{ "low power", to_low_power, to_full_power },
};

/*
 * semantics: 33, 54, 61, 143.  A reset, memory off, low power: no write arrives, then or
 * later, until it is mapped again.
 */
TEST_F(dma_buf, revoked)
{
	for (size_t i = 0; i < sizeof(revocations) / sizeof(*revocations); i++) {
		int a = export(self->u.fd, 0, PAGE), b = export(self->u.fd, 0, BAR_SIZE);

		TH_LOG("%s", revocations[i].name);
		ASSERT_EQ(0, map(&self->p.writer, a, 0, PAGE, IOVA));
		ASSERT_EQ(0, map(&self->p.writer, b, 0, BAR_SIZE, 2 * IOVA));
		EXPECT_TRUE(arrives(&self->p, IOVA, 0));
		EXPECT_TRUE(arrives(&self->p, 2 * IOVA + PAGE, PAGE));
		ASSERT_EQ(0, revocations[i].begin(&self->u));
		EXPECT_TRUE(faults(&self->p, IOVA));
		EXPECT_TRUE(faults(&self->p, 2 * IOVA + PAGE));
		if (revocations[i].end) {
			EXPECT_EQ(-ENODEV, map(&self->p.writer, a, 0, PAGE, 1ULL << 36));
			ASSERT_EQ(0, revocations[i].end(&self->u));
			EXPECT_TRUE(faults(&self->p, IOVA));
			EXPECT_TRUE(faults(&self->p, 2 * IOVA + PAGE));
		}
		EXPECT_EQ(0, unmap(&self->p.writer, PAGE, IOVA));
		ASSERT_EQ(0, map(&self->p.writer, a, 0, PAGE, IOVA));
		EXPECT_TRUE(arrives(&self->p, IOVA, 0));
		EXPECT_TRUE(faults(&self->p, 2 * IOVA));
		EXPECT_EQ(0, unmap(&self->p.writer, PAGE, IOVA));
		EXPECT_EQ(0, unmap(&self->p.writer, BAR_SIZE, 2 * IOVA));
		close(a);
		close(b);
	}
}

/* semantics: 143.  Exported while the memory is off: of no use until it is on. */
TEST_F(dma_buf, born_revoked)
{
	int buf;

	ASSERT_EQ(0, memory_on(self->u.fd, false));
	buf = export(self->u.fd, 0, PAGE);
	ASSERT_GE(buf, 0);
	EXPECT_EQ(-ENODEV, map(&self->p.writer, buf, 0, PAGE, IOVA));
	ASSERT_EQ(0, memory_on(self->u.fd, true));
	ASSERT_EQ(0, map(&self->p.writer, buf, 0, PAGE, IOVA));
	EXPECT_TRUE(arrives(&self->p, IOVA, 0));
	close(buf);
}

/*
 * semantics: 35, 36, 86, 87, 95.  Closed: what is mapped goes, the dma-buf stays and is
 * good for nothing, for the next user too; it keeps no device from being given up.
 */
TEST_F(dma_buf, closed)
{
	int buf = export(self->u.fd, 0, PAGE), unused = export(self->u.fd, 0, PAGE);

	ASSERT_EQ(0, map(&self->p.writer, buf, 0, PAGE, IOVA));
	EXPECT_TRUE(arrives(&self->p, IOVA, 0));
	munmap((void *)self->p.memory, BAR_SIZE);
	self->p.memory = NULL;
	open_path_close(&self->u);
	EXPECT_TRUE(faults(&self->p, IOVA));
	EXPECT_EQ(-ENODEV, map(&self->p.writer, buf, 0, PAGE, 2 * IOVA));
	EXPECT_EQ(PAGE, lseek(buf, 0, SEEK_END));

	ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->pci, &self->u));
	ASSERT_EQ(0, memory_on(self->u.fd, true));
	EXPECT_TRUE(faults(&self->p, IOVA));
	EXPECT_EQ(-ENODEV, map(&self->p.writer, buf, 0, PAGE, 2 * IOVA));
	close(unused);
	unused = export(self->u.fd, 0, PAGE);
	ASSERT_EQ(0, map(&self->p.writer, unused, 0, PAGE, 2 * IOVA));
	EXPECT_TRUE(faults(&self->p, IOVA));
	open_path_close(&self->u);

	EXPECT_EQ(0, pci_unbind(&self->pci));
	EXPECT_TRUE(faults(&self->p, 2 * IOVA));
	EXPECT_EQ(-ENODEV, map(&self->p.writer, buf, 0, PAGE, 3 * IOVA));
	EXPECT_EQ(0, unmap(&self->p.writer, PAGE, IOVA));
	close(buf);
	close(unused);
	EXPECT_EQ(0, pci_to_vfio(&self->pci));
}

/* semantics: 35, 36, 95.  Many, of which half are gone when the device is closed. */
TEST_F(dma_buf, many)
{
	int bufs[64];

	for (int i = 0; i < 64; i++) {
		bufs[i] = export(self->u.fd, i * PAGE, PAGE);
		ASSERT_GE(bufs[i], 0);
		ASSERT_EQ(0, map(&self->p.writer, bufs[i], 0, PAGE, IOVA + i * PAGE));
	}
	for (int i = 0; i < 64; i += 2) {
		close(bufs[i]);
		if (i % 4)
			ASSERT_EQ(0, unmap(&self->p.writer, PAGE, IOVA + i * PAGE));
	}
	for (int i = 0; i < 64; i++) {
		EXPECT_TRUE(i % 4 == 2 ? faults(&self->p, IOVA + i * PAGE) :
					 arrives(&self->p, IOVA + i * PAGE, i * PAGE));
	}
	munmap((void *)self->p.memory, BAR_SIZE);
	self->p.memory = NULL;
	open_path_close(&self->u);
	for (int i = 0; i < 64; i++)
		EXPECT_TRUE(faults(&self->p, IOVA + i * PAGE));
	for (int i = 1; i < 64; i += 2)
		close(bufs[i]);
}

/*
 * semantics: 35, 36, 87, 88, 90.  While the driver waits for its user, that one goes on
 * exporting.
 */
TEST_F(dma_buf, driver_waits)
{
	int kmsg = kmsg_open(), early = export(self->u.fd, 0, PAGE), late;
	struct task task;

	ASSERT_EQ(0, map(&self->p.writer, early, 0, PAGE, IOVA));
	/* The task would inherit what is mapped, and wait for itself. */
	munmap((void *)self->p.memory, BAR_SIZE);
	self->p.memory = NULL;
	ASSERT_EQ(0, unbind_start(&task, &self->pci));
	ASSERT_TRUE(kmsg_wait(kmsg, BLOCKED, EVENT_MS, NULL, 0));
	late = export(self->u.fd, 0, PAGE);
	ASSERT_GE(late, 0);
	ASSERT_EQ(0, map(&self->p.writer, late, 0, PAGE, 2 * IOVA));
	for (int i = 1; i <= 2; i++)
		EXPECT_EQ(TESTDEV_OK, testdev_dma_to(self->p.bar, i * IOVA,
						     self->p.phys, 16));
	EXPECT_FALSE(task_ended(&task, 0));
	open_path_close(&self->u);
	EXPECT_EQ(0, task_join(&task));
	EXPECT_TRUE(faults(&self->p, IOVA));
	EXPECT_TRUE(faults(&self->p, 2 * IOVA));
	EXPECT_EQ(-ENODEV, map(&self->p.writer, late, 0, PAGE, 3 * IOVA));
	close(early);
	close(late);
	close(kmsg);
	EXPECT_EQ(0, pci_to_vfio(&self->pci));
}

/*
 * semantics: 35, 36, 87, 88; D9, D12.  No file is open any more, but a handle on the dma-buf keeps
 * it, and that the device: who waits learns of whom.
 */
TEST_F(dma_buf, kept_by_a_handle)
{
	int kmsg = kmsg_open(), buf = export(self->u.fd, 0, PAGE), handle;
	char path[64], line[1024], want[128];
	struct task task;

	ASSERT_GE(buf, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", buf);
	handle = open(path, O_PATH | O_CLOEXEC);
	ASSERT_GE(handle, 0);
	close(buf);
	munmap((void *)self->p.memory, BAR_SIZE);
	self->p.memory = NULL;
	open_path_close(&self->u);
	ASSERT_EQ(0, unbind_start(&task, &self->pci));
	ASSERT_TRUE(kmsg_wait(kmsg, BLOCKED, EVENT_MS, NULL, 0));
	if (has_debugfs()) {
		EXPECT_STREQ(BY_CORE("none", reference_line(getpid(), "dma-buf", "1", 1,
							    own_name())), holders(&self->pci));
	}
	ASSERT_TRUE(unbind_says_who(&task, kmsg, line, sizeof(line)));
	snprintf(want, sizeof(want), " until device is released by a dma-buf of \"%s\" (%d)",
		 own_name(), getpid());
	EXPECT_EQ(core_is_rust(), !!strstr(line, want)) TH_LOG("%s", line);
	EXPECT_FALSE(task_ended(&task, 0));
	close(handle);
	EXPECT_EQ(0, task_join(&task));
	close(kmsg);
	EXPECT_EQ(0, pci_to_vfio(&self->pci));
}

/* D12.  Those that are open are listed, a process's together; the last close ends them all. */
TEST_F(dma_buf, holders)
{
	const bool cdev = variant->open_path == OPEN_CDEV;
	int bufs[3];
	char want[256];

	if (!has_debugfs())
		SKIP(return, "a kernel without VFIO_DEBUGFS");
	for (int i = 0; i < 3; i++) {
		bufs[i] = export(self->u.fd, i * PAGE, PAGE);
		ASSERT_GE(bufs[i], 0);
	}
	/* One that fails leaves nothing. */
	EXPECT_EQ(-EINVAL, export(self->u.fd, BAR_SIZE, PAGE));
	close(bufs[2]);
	snprintf(want, sizeof(want), "%s\n%s",
		 holder_line(getpid(), cdev ? "cdev" : "group", true, own_name()),
		 reference_line(getpid(), "dma-buf", "2", 2, own_name()));
	EXPECT_STREQ(BY_CORE("none", want), holders(&self->pci));
	munmap((void *)self->p.memory, BAR_SIZE);
	self->p.memory = NULL;
	open_path_close(&self->u);
	EXPECT_STREQ(BY_CORE("none", ""), holders(&self->pci));
	close(bufs[0]);
	close(bufs[1]);
}

static int op_export(void *fd)
{
	return export(*(int *)fd, 0, PAGE);
}

/* D12.  What was not exported for want of memory keeps no reference to the device. */
TEST_F(dma_buf, no_memory)
{
	struct sweep sweep = { .fault = fault_open() };

	if (sweep.fault < 0)
		SKIP(return, NO_FAULTS);
	do {
		int buf = sweep_call(&sweep, op_export, &self->u.fd);

		EXPECT_TRUE(sweep_fine(&sweep, buf));
		close(buf);
	} while (sweep.hit);
	EXPECT_GT(sweep.failures, 2);
	close(sweep.fault);
	munmap((void *)self->p.memory, BAR_SIZE);
	self->p.memory = NULL;
	open_path_close(&self->u);
	/* This does not return before the last reference is dropped. */
	EXPECT_EQ(0, pci_unbind(&self->pci));
	EXPECT_EQ(0, pci_to_vfio(&self->pci));
}

/* semantics: 35, 197.  The memory's user is killed: another process has the dma-buf still. */
TEST_F(dma_buf, killed)
{
	int ends[2], buf;
	pid_t pid;

	munmap((void *)self->p.memory, BAR_SIZE);
	self->p.memory = NULL;
	open_path_close(&self->u);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	pid = fork();
	if (!pid) {
		struct opened u;

		close(ends[0]);
		if (open_path_open_vfio(variant->open_path, &self->pci, &u) ||
		    memory_on(u.fd, true) || fd_send(ends[1], export(u.fd, 0, PAGE)))
			_exit(1);
		pause();
	}
	close(ends[1]);
	buf = fd_receive(ends[0]);
	ASSERT_GE(buf, 0);
	ASSERT_EQ(0, map(&self->p.writer, buf, 0, PAGE, IOVA));
	EXPECT_EQ(TESTDEV_OK, testdev_dma_to(self->p.bar, IOVA, self->p.phys, 16));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_TRUE(faults(&self->p, IOVA));
	EXPECT_EQ(-ENODEV, map(&self->p.writer, buf, 0, PAGE, 2 * IOVA));
	close(buf);
	close(ends[0]);
	ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->pci, &self->u));
}

TEST_HARNESS_MAIN
