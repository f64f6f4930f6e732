// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that was opened through its group, with an iommufd set, or in a container where
 * there is none: what its file is, what it can do, where its DMA goes, and how long it stays.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>

#include <linux/pci_regs.h>

#include "lib/edu.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/open_path.h"
#include "lib/space.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/testdev.h"

#define PAGE 4096u
#define IOVA 0x10000000ULL
#define NOBODY 65534

FIXTURE(group_device) {
	struct pci pci;
	struct legacy l;
};

FIXTURE_SETUP(group_device)
{
	self->l = (struct legacy){ -1, -1, -1 };
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, legacy_open(&self->pci, &self->l));
}

/* Whatever a test did, the device is free at its end. */
FIXTURE_TEARDOWN(group_device)
{
	struct opened o;

	legacy_close(&self->l);
	EXPECT_EQ(0, open_path_open_vfio(open_path_usual(), &self->pci, &o));
	open_path_close(&o);
}

/* semantics: 101, 124, 125.  The descriptor. */
TEST_F(group_device, file)
{
	char path[64], text[512], want[PATH_MAX + 32], real[PATH_MAX];
	int fd = self->l.fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	memset(text, 0, sizeof(text));
	ASSERT_GT(readlink(path, text, sizeof(text) - 1), 0);
	EXPECT_STREQ("anon_inode:[vfio-device]", text);
	EXPECT_EQ(O_RDWR, fcntl(fd, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(-1, lseek(fd, 0, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", self->pci.bdf);
	ASSERT_NE(NULL, realpath(path, real));
	snprintf(want, sizeof(want), "vfio-device-syspath: %s\n", real);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	ASSERT_GT(sysfs_read(path, text, sizeof(text)), 0);
	strcat(text, "\n");
	EXPECT_NE(NULL, strstr(text, want)) TH_LOG("%s", text);
}

/* semantics: 103, 117.  What belongs to the device's own node is refused, or unknown. */
TEST_F(group_device, ioctls_of_the_cdev)
{
	struct vfio_device_bind_iommufd bind = { .argsz = 15 };
	uint32_t pt = 1, devid = 0;
	int fd = self->l.fd;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, NULL));
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	EXPECT_EQ(-EINVAL, cdev_bind(fd, self->l.space, &devid));
	EXPECT_EQ(-EINVAL, cdev_bind(fd, 1000, &devid));
	EXPECT_EQ(0, devid);
	EXPECT_EQ(-ENOTTY, cdev_attach(fd, &pt));
	EXPECT_EQ(-ENOTTY, cdev_attach_pasid(fd, 1, &pt));
	EXPECT_EQ(-ENOTTY, cdev_detach(fd));
	EXPECT_EQ(-ENOTTY, cdev_detach_pasid(fd, 1));
	/* The core has not even looked. */
	EXPECT_EQ(-ENOTTY, xioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL));
	EXPECT_EQ(-ENOTTY, xioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, NULL));
	EXPECT_EQ(0, device_info(fd));
}

/* semantics: 120, 122, 127, 130.  And what belongs to every device is there. */
TEST_F(group_device, ioctls)
{
	struct vfio_device_feature probe = {
		.argsz = sizeof(probe),
		.flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET |
			 VFIO_DEVICE_FEATURE_MIGRATION,
	};
	struct vfio_region_info *edge = edge_alloc(31), info;
	struct vfio_irq_info irq;
	int fd = self->l.fd;
	uint32_t id;

	EXPECT_EQ(0, device_info(fd));
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_GET_REGION_INFO, edge));
	memset(&info, 0, sizeof(info));
	info.argsz = 31;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info));
	EXPECT_EQ(-EINVAL, cdev_region(fd, 1000, &info));
	EXPECT_EQ(0, cdev_region(fd, 0, &info));
	EXPECT_EQ(0x100000, info.size);
	EXPECT_EQ(0, cdev_irq_info(fd, VFIO_PCI_MSI_IRQ_INDEX, &irq));
	EXPECT_EQ(1, irq.count);
	EXPECT_EQ(-ENOTTY, xioctl(fd, VFIO_DEVICE_FEATURE, &probe));
	probe.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_FEATURE, &probe));
	probe.argsz = 7;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_FEATURE, &probe));
	EXPECT_EQ(-ENOTTY, xioctl(fd, _IO(VFIO_TYPE, VFIO_BASE + 99), NULL));
	ASSERT_EQ(4, config_read(fd, 0, &id, 4));
	EXPECT_EQ(self->pci.id, id << 16 | id >> 16);
}

/* semantics: 122, 125.  Memory of the device, by two files of it. */
TEST_F(group_device, map)
{
	int other = group_device(self->l.group, self->pci.bdf);
	volatile void *bar, *again;
	uint16_t command = 0;
	int status;
	pid_t pid;

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, cdev_enable_dma(self->l.fd));
	bar = cdev_map_bar(self->l.fd, 0, NULL);
	again = cdev_map_bar(other, 0, NULL);
	ASSERT_NE(NULL, bar);
	ASSERT_NE(NULL, again);
	EXPECT_TRUE(edu_alive(bar));
	edu_write(bar, EDU_LIVE, 0x11112222);
	EXPECT_EQ(~0x11112222u, edu_read(again, EDU_LIVE));

	/* Switched off by one, it is gone for both: they are one address space. */
	ASSERT_EQ(2, config_write(other, PCI_COMMAND, &command, 2));
	pid = fork();
	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		_exit(edu_read(bar, EDU_ID) & 1);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGBUS, WTERMSIG(status));
	ASSERT_EQ(0, cdev_enable_dma(self->l.fd));
	EXPECT_TRUE(edu_alive(bar));
	EXPECT_TRUE(edu_alive(again));
	close(other);
	EXPECT_TRUE(edu_alive(again));
	munmap((void *)bar, 0x100000);
	munmap((void *)again, 0x100000);
}

/* semantics: 97, 151.  One open device, however many files. */
TEST_F(group_device, several_files)
{
	uint8_t line = 0x5a, read = 0;
	int fd[20];

	for (int i = 0; i < 20; i++) {
		fd[i] = group_device(self->l.group, self->pci.bdf);
		ASSERT_GE(fd[i], 0);
		EXPECT_EQ(0, device_info(fd[i]));
	}
	/* A second opening would have reset what the first one wrote. */
	ASSERT_EQ(1, config_write(fd[3], PCI_INTERRUPT_LINE, &line, 1));
	close_fd(&self->l.fd);
	for (int i = 0; i < 19; i++)
		close(fd[i]);
	ASSERT_EQ(1, config_read(fd[19], PCI_INTERRUPT_LINE, &read, 1));
	EXPECT_EQ(line, read);
	self->l.fd = group_device(self->l.group, self->pci.bdf);
	close(fd[19]);
	ASSERT_EQ(1, config_read(self->l.fd, PCI_INTERRUPT_LINE, &read, 1));
	EXPECT_EQ(line, read);
	/* And now it is a first opening. */
	close_fd(&self->l.fd);
	self->l.fd = group_device(self->l.group, self->pci.bdf);
	ASSERT_EQ(1, config_read(self->l.fd, PCI_INTERRUPT_LINE, &read, 1));
	EXPECT_NE(line, read);
}

/* Group, space and two files of the device, closed in the order of @order. */
static void close_in_order(struct __test_metadata *_metadata, const struct pci *pci,
			   const int *order)
{
	struct legacy l;
	int fd[4];

	ASSERT_EQ(0, legacy_open(pci, &l));
	fd[0] = l.group;
	fd[1] = l.space;
	fd[2] = l.fd;
	fd[3] = group_device(l.group, pci->bdf);
	ASSERT_GE(fd[3], 0);
	for (int i = 0; i < 4; i++) {
		close_fd(&fd[order[i]]);
		for (int j = 2; j < 4; j++)
			if (fd[j] >= 0)
				EXPECT_EQ(0, device_info(fd[j]));
		if (fd[0] >= 0)
			EXPECT_EQ(GROUP_SET, group_flags(fd[0]));
	}
}

/* semantics: 97, 126, 153, 155, 201 */
TEST_F(group_device, every_order_of_closing)
{
	int n = 0;

	legacy_close(&self->l);
	for (int i = 0; i < 256; i++) {
		const int order[4] = { i & 3, i >> 2 & 3, i >> 4 & 3, i >> 6 };
		int seen = 0;

		for (int j = 0; j < 4; j++)
			seen |= 1 << order[j];
		if (seen != 15)
			continue;
		close_in_order(_metadata, &self->pci, order);
		n++;
	}
	EXPECT_EQ(24, n);
}

static int info_as_nobody(void *sock)
{
	int fd = fd_receive(*(int *)sock);

	if (fd < 0)
		return fd;
	if (setgid(NOBODY) || setuid(NOBODY))
		return -errno;
	return device_info(fd) ?: cdev_enable_dma(fd);
}

/* semantics: 194.  Whoever has been given the file may use it. */
TEST_F(group_device, passed_file)
{
	struct task task;
	int sock[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	ASSERT_EQ(0, task_start(&task, info_as_nobody, &sock[1]));
	ASSERT_EQ(0, fd_send(sock[0], self->l.fd));
	EXPECT_EQ(0, task_join(&task));
	EXPECT_EQ(0, device_info(self->l.fd));
	close(sock[0]);
	close(sock[1]);
}

struct named {
	int group;
	const char *name;
};

static int device_as_nobody(void *arg)
{
	const struct named *data = arg;
	int fd;

	if (setgid(NOBODY) || setuid(NOBODY))
		return -errno;
	fd = group_device(data->group, data->name);
	return fd < 0 ? fd : device_info(fd);
}

/* semantics: 144, 194.  So may the child that inherits the group's. */
TEST_F(group_device, forked_group)
{
	struct named data = { self->l.group, self->pci.bdf };
	struct task task;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, task_start(&task, device_as_nobody, &data));
		EXPECT_EQ(0, task_join(&task));
		/* With the child went its file of the device, which was the only one or not. */
		close_fd(&self->l.fd);
	}
	EXPECT_EQ(-EBUSY, group_open(&self->pci));
	EXPECT_EQ(GROUP_SET, group_flags(self->l.group));
}

static int hold(void *arg)
{
	char byte;

	return read(*(int *)arg, &byte, 1);
}

/* semantics: 144, 194, 197.  A group is closed when the last copy of its file is. */
TEST_F(group_device, group_in_a_child)
{
	struct task task;
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(0, task_start(&task, hold, &ends[0]));
	legacy_close(&self->l);
	EXPECT_EQ(-EBUSY, group_open(&self->pci));
	kill(task.pid, SIGKILL);
	EXPECT_EQ(-EPIPE, task_join(&task));
	self->l.group = group_open(&self->pci);
	EXPECT_GE(self->l.group, 0);
	/* The device went as well: the group is nobody's. */
	EXPECT_EQ(GROUP_VIABLE, group_flags(self->l.group));
	close(ends[0]);
	close(ends[1]);
}

/* ---- where DMA goes ---- */

FIXTURE(group_dma) {
	struct pci pci;
	struct legacy l;
	volatile void *bar;
	uint32_t *page[2];
};

FIXTURE_SETUP(group_dma)
{
	self->l = (struct legacy){ -1, -1, -1 };
	if (pci_find(TESTDEV, 0, &self->pci))
		SKIP(return, "no iommu-testdev");
	ASSERT_EQ(0, legacy_open(&self->pci, &self->l));
	ASSERT_EQ(0, cdev_enable_dma(self->l.fd));
	self->bar = cdev_map_bar(self->l.fd, 0, NULL);
	ASSERT_NE(NULL, self->bar);
	for (int i = 0; i < 2; i++)
		self->page[i] = pages_alloc(PAGE);
}

FIXTURE_TEARDOWN(group_dma)
{
	legacy_close(&self->l);
}

/* semantics: 153.  The device sees what was mapped by a container's ioctls. */
TEST_F(group_dma, compat)
{
	uint32_t ioas;

	EXPECT_TRUE(testdev_faults(self->bar, IOVA, self->page[0]));
	ASSERT_EQ(0, compat_map(self->l.space, self->page[0], PAGE, IOVA));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[0]));
	/* And what an iommufd has mapped by its own. */
	if (has_iommufd()) {
		ASSERT_EQ(0, compat_ioas_get(self->l.space, &ioas));
		ASSERT_EQ(0, ioas_map(self->l.space, ioas, self->page[1], PAGE, IOVA + PAGE));
	} else {
		ASSERT_EQ(0, compat_map(self->l.space, self->page[1], PAGE, IOVA + PAGE));
	}
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA + PAGE, self->page[1]));
	ASSERT_EQ(0, compat_unmap(self->l.space, IOVA, PAGE));
	EXPECT_TRUE(testdev_faults(self->bar, IOVA, self->page[0]));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA + PAGE, self->page[1]));
}

/* semantics: 149, 153, 155, 201.  The open device keeps what it needs. */
TEST_F(group_dma, only_the_device_is_left)
{
	ASSERT_EQ(0, compat_map(self->l.space, self->page[0], PAGE, IOVA));
	EXPECT_EQ(BY_SPACE(0, -EBUSY), group_unset(self->l.group));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[0]));
	close_fd(&self->l.space);
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[0]));
	close_fd(&self->l.group);
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[0]));
	EXPECT_EQ(0, device_info(self->l.fd));
}

/* semantics: 95, 126.  Who comes next finds nothing of it. */
TEST_F(group_dma, next_owner)
{
	ASSERT_EQ(0, compat_map(self->l.space, self->page[0], PAGE, IOVA));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[0]));
	munmap((void *)self->bar, PAGE);
	legacy_close(&self->l);
	ASSERT_EQ(0, legacy_open(&self->pci, &self->l));
	ASSERT_EQ(0, cdev_enable_dma(self->l.fd));
	self->bar = cdev_map_bar(self->l.fd, 0, NULL);
	ASSERT_NE(NULL, self->bar);
	EXPECT_TRUE(testdev_faults(self->bar, IOVA, self->page[0]));
}

/* semantics: 147, 153.  Two groups, one space: one address space. */
TEST_F(group_dma, two_groups)
{
	struct legacy other = { -1, -1, -1 };
	volatile void *bar;
	struct pci pci;

	if (pci_find(TESTDEV, 1, &pci))
		SKIP(return, "no second iommu-testdev");
	ASSERT_EQ(0, pci_to_vfio(&pci));
	other.group = group_open(&pci);
	ASSERT_GE(other.group, 0);
	ASSERT_EQ(0, space_set(other.group, self->l.space));
	/* Each group has its own devices. */
	EXPECT_EQ(-ENODEV, group_device(other.group, self->pci.bdf));
	EXPECT_EQ(-ENODEV, group_device(self->l.group, pci.bdf));
	other.fd = group_device(other.group, pci.bdf);
	ASSERT_GE(other.fd, 0);
	ASSERT_EQ(0, cdev_enable_dma(other.fd));
	bar = cdev_map_bar(other.fd, 0, NULL);
	ASSERT_NE(NULL, bar);
	ASSERT_EQ(0, compat_map(self->l.space, self->page[0], PAGE, IOVA));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[0]));
	EXPECT_TRUE(testdev_reaches(bar, IOVA, self->page[0]));
	munmap((void *)self->bar, PAGE);
	close_fd(&self->l.fd);
	close_fd(&self->l.group);
	EXPECT_TRUE(testdev_reaches(bar, IOVA, self->page[0]));
	legacy_close(&other);
}

TEST_HARNESS_MAIN
