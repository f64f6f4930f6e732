// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device file gives nothing away before it is bound: the gate that BIND opens,
 * for one file and for nothing else.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>

#include "lib/cdev.h"
#include "lib/test.h"
#include "lib/trace.h"

FIXTURE(access_gate) {
	struct pci pci;
	struct session s;
};

FIXTURE_SETUP(access_gate)
{
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, session_open_unbound(&self->pci, &self->s));
}

FIXTURE_TEARDOWN(access_gate)
{
	session_close(&self->s);
}

static int try_read(int fd, off_t offset)
{
	char byte;

	return pread(fd, &byte, 1, offset) < 0 ? -errno : 0;
}

static int try_mmap(int fd)
{
	void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, 4096);
	return 0;
}

/* semantics: 100, 122 */
TEST_F(access_gate, no_read_write_mmap)
{
	char byte = 0;

	EXPECT_EQ(-EINVAL, try_read(self->s.fd, 0));
	EXPECT_EQ(-1, read(self->s.fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->s.fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pwrite(self->s.fd, &byte, 1, 0));
	EXPECT_EQ(EINVAL, errno);
	/* The gate is asked before the memory is. */
	EXPECT_EQ(-1, read(self->s.fd, edge_alloc(0), 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-EINVAL, try_mmap(self->s.fd));
}

/* semantics: 100, 119.  Unknown ones too, and before a pointer is touched. */
TEST_F(access_gate, no_ioctl)
{
	static const unsigned long cmds[] = {
		VFIO_DEVICE_ATTACH_IOMMUFD_PT, VFIO_DEVICE_DETACH_IOMMUFD_PT,
		VFIO_DEVICE_FEATURE, VFIO_DEVICE_GET_INFO,
		VFIO_DEVICE_GET_REGION_INFO, VFIO_DEVICE_GET_IRQ_INFO,
		VFIO_DEVICE_SET_IRQS, VFIO_DEVICE_RESET,
		VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, VFIO_DEVICE_PCI_HOT_RESET,
		VFIO_DEVICE_QUERY_GFX_PLANE, VFIO_DEVICE_IOEVENTFD,
		VFIO_GROUP_GET_STATUS, VFIO_GET_API_VERSION,
		_IO(VFIO_TYPE, VFIO_BASE + 99), _IO('x', 1), 0, 0xffffffff,
	};
	char zeroes[4096] = { 0 };

	for (size_t i = 0; i < sizeof(cmds) / sizeof(*cmds); i++) {
		EXPECT_EQ(-EINVAL, xioctl(self->s.fd, cmds[i], zeroes))
			TH_LOG("ioctl %#lx", cmds[i]);
		EXPECT_EQ(-EINVAL, xioctl(self->s.fd, cmds[i], NULL))
			TH_LOG("ioctl %#lx, no pointer", cmds[i]);
	}
}

/* semantics: 101 */
TEST_F(access_gate, no_seek_and_always_ready)
{
	struct pollfd p = { .fd = self->s.fd, .events = POLLIN | POLLOUT };

	for (int bound = 0; bound < 2; bound++) {
		EXPECT_EQ(-1, lseek(self->s.fd, 0, SEEK_SET));
		EXPECT_EQ(ESPIPE, errno);
		EXPECT_EQ(-1, lseek(self->s.fd, 0, SEEK_END));
		EXPECT_EQ(ESPIPE, errno);
		EXPECT_EQ(1, poll(&p, 1, 0));
		EXPECT_EQ(POLLIN | POLLOUT, p.revents);
		if (!bound)
			ASSERT_EQ(0, cdev_bind(self->s.fd, self->s.iommufd, NULL));
	}
}

/* semantics: 98.  As many as one likes, in any mode. */
TEST_F(access_gate, opens)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR | O_NONBLOCK };
	char path[128];
	int fds[64], fd;

	ASSERT_EQ(0, pci_cdev_path(&self->pci, path, sizeof(path)));
	for (size_t i = 0; i < 64; i++) {
		fds[i] = cdev_open(&self->pci);
		EXPECT_GE(fds[i], 0);
	}
	for (size_t i = 0; i < 64; i++)
		close(fds[i]);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		fd = open(path, modes[i] | O_CLOEXEC);
		ASSERT_GE(fd, 0);
		EXPECT_EQ(0, cdev_bind(fd, self->s.iommufd, NULL));
		close(fd);
	}
}

#define EVENT TRACING "/events/kmem/kmalloc/"

/* semantics: 128.  What a file takes is its opener's memory: each allocation says so. */
TEST_F(access_gate, accounted)
{
	static char text[65536];
	char filter[64], path[128];
	int fd, accounted = 0;

	if (access(EVENT "enable", F_OK))
		SKIP(return, "a kernel that does not trace allocations");
	snprintf(filter, sizeof(filter), "common_pid == %d", gettid());
	ASSERT_EQ(0, sysfs_write(EVENT "filter", filter));
	ASSERT_EQ(0, trace_clear(TRACING "/trace"));
	ASSERT_EQ(0, pci_cdev_path(&self->pci, path, sizeof(path)));
	ASSERT_EQ(0, sysfs_write(EVENT "enable", "1"));
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_EQ(0, sysfs_write(EVENT "enable", "0"));
	ASSERT_EQ(0, sysfs_write(EVENT "filter", "0"));
	ASSERT_GE(fd, 0);
	close(fd);
	ASSERT_GT(sysfs_read(TRACING "/trace", text, sizeof(text)), 0);
	/* Debugging tools have allocations of their own, which may not sleep. */
	for (char *at = text; (at = strstr(at, "gfp_flags=GFP_KERNEL")); at++) {
		const char *want = "gfp_flags=GFP_KERNEL_ACCOUNT";

		EXPECT_EQ(0, strncmp(at, want, strlen(want))) {
			TH_LOG("%s", text);
		}
		accounted++;
	}
	EXPECT_GT(accounted, 0);
}

/* semantics: 100, 107, 121, 191.  One file's BIND is no other file's. */
TEST_F(access_gate, opens_for_one_file)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region;
	int other = cdev_open(&self->pci);

	ASSERT_GE(other, 0);
	EXPECT_EQ(-EBADF, cdev_bind(self->s.fd, 1000, NULL));
	EXPECT_EQ(-EINVAL, try_read(self->s.fd, 0));

	ASSERT_EQ(0, cdev_bind(self->s.fd, self->s.iommufd, NULL));
	EXPECT_EQ(0, xioctl(self->s.fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS, info.num_regions);
	ASSERT_EQ(0, cdev_region(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX,
				 &region));
	EXPECT_EQ(0, try_read(self->s.fd, region.offset));
	EXPECT_EQ(0, try_mmap(self->s.fd));

	EXPECT_EQ(-EINVAL, xioctl(other, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(-EINVAL, try_read(other, region.offset));
	EXPECT_EQ(-EINVAL, try_mmap(other));
	close(other);
	/* The going of the other changes nothing for this one. */
	EXPECT_EQ(0, xioctl(self->s.fd, VFIO_DEVICE_GET_INFO, &info));
}

static void *bind_thread(void *arg)
{
	int *fds = arg;

	return (void *)(intptr_t)cdev_bind(fds[0], fds[1], NULL);
}

/*
 * semantics: 121.  Who looks while another thread binds sees a closed gate or an
 * open one, and once it is open it stays open.
 */
TEST_F(access_gate, opens_at_once)
{
	for (int round = 0; round < 6; round++) {
		int fd = cdev_open(&self->pci), fds[] = { fd, self->s.iommufd };
		bool open = false;
		pthread_t thread;
		void *bound;

		ASSERT_GE(fd, 0);
		ASSERT_EQ(0, pthread_create(&thread, NULL, bind_thread, fds));
		for (long i = 0; !open; i++) {
			struct vfio_device_info info = { .argsz = sizeof(info) };
			int ret = xioctl(fd, VFIO_DEVICE_GET_INFO, &info);

			open = !ret;
			if (!open) {
				ASSERT_EQ(-EINVAL, ret);
			} else {
				EXPECT_EQ(VFIO_PCI_NUM_REGIONS,
					  info.num_regions);
			}
			ASSERT_LT(i, 100000000);
		}
		for (int i = 0; i < 100; i++)
			EXPECT_EQ(0, try_mmap(fd));
		pthread_join(thread, &bound);
		EXPECT_EQ(NULL, bound);
		close(fd);
	}
}

TEST_HARNESS_MAIN
