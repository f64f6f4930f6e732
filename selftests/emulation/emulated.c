// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulated devices: how the core calls a driver, in which order and under which lock.
 * The driver is testdrv/, and says what it saw.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "lib/cdev.h"
#include "lib/emulated_fixture.h"
#include "lib/iommufd.h"
#include "lib/sysfs.h"
#include "lib/task.h"
#include "lib/test.h"

#define PAGE 4096u
#define IOVA EMULATED_IOVA
#define EVERYTHING ~0ULL

/* semantics: 30, 37, 39, 69, 70, 81, 93-97, 126, 183.  What a device's life looks like to its driver. */
TEST_F(emulated, life)
{
	const char *group = "/sys/devices/platform/vfio-testdrv.0/iommu_group/name";
	uint32_t devid = 0, pt = self->e.ioas;
	int fd, users = module_users("vfio_testdrv");
	char text[64];

	ASSERT_EQ(0, testdrv_create(self->e.drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	EXPECT_EQ(has_groups(), !access(group, F_OK));
	if (has_groups()) {
		ASSERT_GT(sysfs_read(group, text, sizeof(text)), 0);
		EXPECT_STREQ("vfio-noiommu", text);
	}
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("init*", testdrv_text(&self->e.calls, 0));

	fd = testdrv_cdev(0);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, testdrv_open_count(self->e.drv, 0));
	EXPECT_EQ(users, module_users("vfio_testdrv"));
	EXPECT_EQ(0, testdrv_calls(self->e.drv, &self->e.calls));

	ASSERT_EQ(0, cdev_bind(fd, self->e.iommufd, &devid));
	EXPECT_EQ(1, testdrv_open_count(self->e.drv, 0));
	EXPECT_EQ(users + 1, module_users("vfio_testdrv"));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("bind open", testdrv_text(&self->e.calls, 0));
	EXPECT_EQ(devid, testdrv_first(&self->e.calls, 0, TESTDRV_BIND)->arg[1]);
	EXPECT_NE(0, devid);

	ASSERT_EQ(0, cdev_attach(fd, &pt));
	EXPECT_EQ(1, testdrv_open_count(self->e.drv, 0));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("attach", testdrv_text(&self->e.calls, 0));

	close(fd);
	EXPECT_EQ(0, testdrv_open_count(self->e.drv, 0));
	EXPECT_EQ(users, module_users("vfio_testdrv"));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("close unbind unmap", testdrv_text(&self->e.calls, 0));

	ASSERT_EQ(0, testdrv_destroy(self->e.drv, 0));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("release*", testdrv_text(&self->e.calls, 0));
	EXPECT_NE(0, access(group, F_OK));
}

/* semantics: 193.  The same object can come again. */
TEST_F(emulated, again)
{
	ASSERT_EQ(0, testdrv_create(self->e.drv, 0, 0, 0, 0));
	testdrv_calls(self->e.drv, &self->e.calls);
	for (int i = 0; i < 3; i++) {
		int fd = testdrv_open_attached(0, self->e.iommufd, self->e.ioas);

		ASSERT_GE(fd, 0);
		close(fd);
		ASSERT_EQ(0, testdrv_cmd(self->e.drv, TESTDRV_REREGISTER, 0, 0, 0, 0));
	}
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_EQ(0, testdrv_count(&self->e.calls, 0, TESTDRV_RELEASE));
	EXPECT_EQ(3, testdrv_count(&self->e.calls, 0, TESTDRV_OPEN));
	EXPECT_EQ(3, testdrv_count(&self->e.calls, 0, TESTDRV_CLOSE));
}

/* semantics: 69, 94, 103.  Whatever a callback refuses, user space is told and can try again. */
TEST_F(emulated, refusals)
{
	uint32_t devid, pt = self->e.ioas;
	int fd;

	ASSERT_EQ(0, testdrv_create(self->e.drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	fd = testdrv_cdev(0);
	ASSERT_GE(fd, 0);
	testdrv_calls(self->e.drv, &self->e.calls);

	testdrv_fail(self->e.drv, 0, TESTDRV_BIND, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, cdev_bind(fd, self->e.iommufd, &devid));
	EXPECT_EQ(0, testdrv_open_count(self->e.drv, 0));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("bind", testdrv_text(&self->e.calls, 0));
	testdrv_fail(self->e.drv, 0, TESTDRV_BIND, 0);

	testdrv_fail(self->e.drv, 0, TESTDRV_OPEN, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, cdev_bind(fd, self->e.iommufd, &devid));
	EXPECT_EQ(0, testdrv_open_count(self->e.drv, 0));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("bind open unbind", testdrv_text(&self->e.calls, 0));
	EXPECT_EQ(-EINVAL, cdev_attach(fd, &pt));
	testdrv_fail(self->e.drv, 0, TESTDRV_OPEN, 0);

	ASSERT_EQ(0, cdev_bind(fd, self->e.iommufd, &devid));
	testdrv_fail(self->e.drv, 0, TESTDRV_ATTACH, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, cdev_attach(fd, &pt));
	testdrv_fail(self->e.drv, 0, TESTDRV_ATTACH, 0);
	EXPECT_EQ(0, cdev_attach(fd, &pt));
	close(fd);
}

/* semantics: 71, 72, 114, 183.  Attach, replace, detach; the id that comes back. */
TEST_F(emulated, attach)
{
	uint32_t other, pt, bad = 0xffff;
	int fd;

	ASSERT_EQ(0, testdrv_create(self->e.drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	fd = testdrv_open_bound(0, self->e.iommufd);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, ioas_alloc(self->e.iommufd, &other));
	testdrv_calls(self->e.drv, &self->e.calls);

	EXPECT_EQ(-ENOENT, cdev_attach(fd, &bad));
	pt = self->e.ioas;
	EXPECT_EQ(0, cdev_attach(fd, &pt));
	EXPECT_EQ(self->e.ioas, pt);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->e.iommufd, self->e.ioas));
	EXPECT_EQ(1, testdrv_pin(self->e.drv, 0, 0, IOVA, 1, NULL));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("attach attach", testdrv_text(&self->e.calls, 0));

	/* What fails changes nothing. */
	EXPECT_EQ(-ENOENT, cdev_attach(fd, &bad));
	EXPECT_EQ(1, testdrv_pin(self->e.drv, 0, 0, IOVA + PAGE, 1, NULL));
	testdrv_calls(self->e.drv, &self->e.calls);

	/* All that was pinned must go, and before the callback's return. */
	pt = other;
	EXPECT_EQ(0, cdev_attach(fd, &pt));
	EXPECT_EQ(other, pt);
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("unmap attach", testdrv_text(&self->e.calls, 0));
	EXPECT_EQ(0, testdrv_first(&self->e.calls, 0, TESTDRV_DMA_UNMAP)->arg[0]);
	EXPECT_EQ(EVERYTHING, testdrv_first(&self->e.calls, 0, TESTDRV_DMA_UNMAP)->arg[1]);
	EXPECT_EQ(-ENOENT, testdrv_pin(self->e.drv, 0, 0, IOVA, 1, NULL));
	EXPECT_EQ(0, ioas_map(self->e.iommufd, other, self->e.words, PAGE, IOVA));
	EXPECT_EQ(1, testdrv_pin(self->e.drv, 0, 0, IOVA, 1, NULL));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->e.iommufd, other));
	testdrv_calls(self->e.drv, &self->e.calls);

	EXPECT_EQ(0, cdev_detach(fd));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("detach unmap", testdrv_text(&self->e.calls, 0));
	EXPECT_EQ(-ENOENT, testdrv_pin(self->e.drv, 0, 0, IOVA, 1, NULL));
	EXPECT_EQ(0, iommufd_destroy(self->e.iommufd, other));
	/* Nothing attached is no error. */
	EXPECT_EQ(0, cdev_detach(fd));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("detach", testdrv_text(&self->e.calls, 0));
	/* And once more. */
	pt = self->e.ioas;
	EXPECT_EQ(0, cdev_attach(fd, &pt));
	EXPECT_EQ(1, testdrv_pin(self->e.drv, 0, 0, IOVA, 1, NULL));
	/* PASIDs are for devices that do DMA by themselves. */
	EXPECT_EQ(-EOPNOTSUPP, cdev_attach_pasid(fd, 1, &pt));
	EXPECT_EQ(-EOPNOTSUPP, cdev_detach_pasid(fd, 1));
	close(fd);
}

/* semantics: 32, 33, 96.  Devices of one set: counted together, locked together. */
TEST_F(emulated, device_set)
{
	int fd[3];

	ASSERT_EQ(0, testdrv_create(self->e.drv, 0, 0, 0, 1));
	ASSERT_EQ(0, testdrv_create(self->e.drv, 1, 0, 0, 1));
	ASSERT_EQ(0, testdrv_create(self->e.drv, 2, 0, 0, 2));
	EXPECT_EQ(0, testdrv_open_count(self->e.drv, 0));
	for (int i = 0; i < 3; i++) {
		fd[i] = testdrv_open_attached(i, self->e.iommufd, self->e.ioas);
		ASSERT_GE(fd[i], 0);
		EXPECT_EQ(i ? 2 : 1, testdrv_open_count(self->e.drv, 0));
		EXPECT_EQ(i ? 2 : 1, testdrv_open_count(self->e.drv, 1));
		EXPECT_EQ(i == 2, testdrv_open_count(self->e.drv, 2));
	}
	/* One of them comes and goes, the others stay open. */
	close(fd[0]);
	EXPECT_EQ(1, testdrv_open_count(self->e.drv, 1));
	EXPECT_EQ(0, testdrv_destroy(self->e.drv, 0));
	EXPECT_EQ(1, testdrv_open_count(self->e.drv, 1));
	EXPECT_EQ(0, testdrv_create(self->e.drv, 0, 0, 0, 1));
	EXPECT_EQ(1, testdrv_open_count(self->e.drv, 0));
	close(fd[1]);
	close(fd[2]);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, testdrv_open_count(self->e.drv, i));
}

struct destroy {
	int drv, slot;
};

static int destroy(void *arg)
{
	struct destroy *d = arg;

	return testdrv_destroy(d->drv, d->slot);
}

/* semantics: 88, 186.  The driver goes while its device is in use: it is asked for it. */
TEST_F(emulated, request)
{
	struct destroy arg = { self->e.drv, 0 };
	struct worker worker;
	uint64_t word = 0;
	int fd;

	ASSERT_EQ(0, testdrv_create(self->e.drv, 0, TESTDRV_WITH_REQUEST, 0, 0));
	fd = testdrv_open_attached(0, self->e.iommufd, self->e.ioas);
	ASSERT_GE(fd, 0);
	testdrv_calls(self->e.drv, &self->e.calls);
	ASSERT_EQ(0, worker_start(&worker, destroy, &arg));
	ASSERT_EQ(0, testdrv_cmd(self->e.drv, TESTDRV_WAIT, 0, 0, TESTDRV_REQUEST, 1));
	EXPECT_FALSE(worker_ended(&worker));
	EXPECT_GT(0, testdrv_cdev(0));
	/* Who has it keeps it. */
	EXPECT_EQ(0, testdrv_rw(self->e.drv, 0, 0, IOVA, &word, 8));
	EXPECT_EQ(1000, word);
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_EQ(0, testdrv_first(&self->e.calls, 0, TESTDRV_REQUEST)->arg[0]);
	EXPECT_EQ(0, testdrv_first(&self->e.calls, 0, TESTDRV_REQUEST)->locked);
	/* And again, and told so. */
	ASSERT_EQ(0, testdrv_cmd(self->e.drv, TESTDRV_WAIT, 0, 0, TESTDRV_REQUEST, 1));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("request*", testdrv_text(&self->e.calls, 0));
	EXPECT_EQ(1, testdrv_first(&self->e.calls, 0, TESTDRV_REQUEST)->arg[0]);
	close(fd);
	EXPECT_EQ(0, worker_join(&worker));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("close unbind release*", testdrv_text(&self->e.calls, 0));
}

/* semantics: 104.  The token, which opens the device if the driver says so. */
TEST_F(emulated, token)
{
	uint8_t uuid[16] = { 0x42 };
	uint32_t devid;
	int fd;

	ASSERT_EQ(0, testdrv_create(self->e.drv, 0, 0, 0, 0));
	fd = testdrv_cdev(0);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EINVAL, cdev_bind_token(fd, self->e.iommufd, uuid, &devid));
	EXPECT_EQ(0, cdev_bind(fd, self->e.iommufd, &devid));
	close(fd);

	ASSERT_EQ(0, testdrv_create(self->e.drv, 1, TESTDRV_WITH_TOKEN, 0, 0));
	fd = testdrv_cdev(1);
	ASSERT_GE(fd, 0);
	testdrv_calls(self->e.drv, &self->e.calls);
	testdrv_fail(self->e.drv, 1, TESTDRV_TOKEN, EACCES);
	EXPECT_EQ(-EACCES, cdev_bind(fd, self->e.iommufd, &devid));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("token", testdrv_text(&self->e.calls, 1));
	EXPECT_EQ(0, testdrv_first(&self->e.calls, 1, TESTDRV_TOKEN)->arg[0]);
	/* Before the iommufd is looked at. */
	EXPECT_EQ(-EACCES, cdev_bind_token(fd, self->e.drv, uuid, &devid));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("token", testdrv_text(&self->e.calls, 1));
	EXPECT_EQ(1, testdrv_first(&self->e.calls, 1, TESTDRV_TOKEN)->arg[0]);
	EXPECT_EQ(0x42, testdrv_first(&self->e.calls, 1, TESTDRV_TOKEN)->arg[1]);
	EXPECT_EQ(-EFAULT, cdev_bind_token(fd, self->e.iommufd, edge_alloc(15), &devid));
	EXPECT_EQ(0, testdrv_calls(self->e.drv, &self->e.calls));
	testdrv_fail(self->e.drv, 1, TESTDRV_TOKEN, 0);
	EXPECT_EQ(0, cdev_bind_token(fd, self->e.iommufd, uuid, &devid));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("token bind open", testdrv_text(&self->e.calls, 1));
	close(fd);
}

static int feature(int fd, uint32_t flags, uint32_t size, uint64_t *value)
{
	struct {
		struct vfio_device_feature head;
		uint64_t value;
	} arg = { .head = { .argsz = sizeof(arg.head) + size, .flags = flags } };
	int ret = xioctl(fd, VFIO_DEVICE_FEATURE, &arg);

	if (value)
		*value = arg.value;
	return ret;
}

/* semantics: 129, 131, 133.  Which features the core leaves to the driver. */
TEST_F(emulated, feature)
{
	const uint32_t get = VFIO_DEVICE_FEATURE_GET, probe = VFIO_DEVICE_FEATURE_PROBE;
	const uint32_t set = VFIO_DEVICE_FEATURE_SET;
	uint64_t value = 0;
	int fd;

	ASSERT_EQ(0, testdrv_create(self->e.drv, 0, 0, 0, 0));
	fd = testdrv_open_bound(0, self->e.iommufd);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-ENOTTY, feature(fd, get | TESTDRV_FEATURE, 8, NULL));
	close(fd);

	ASSERT_EQ(0, testdrv_create(self->e.drv, 1, TESTDRV_WITH_FEATURE, 0, 0));
	fd = testdrv_open_bound(1, self->e.iommufd);
	ASSERT_GE(fd, 0);
	testdrv_calls(self->e.drv, &self->e.calls);
	/* The core's own, and what it refuses, never reach it. */
	for (uint32_t id = 1; id <= 12; id++) {
		bool own = id <= 2 || (id >= 6 && id <= 9) || id == 12;

		EXPECT_EQ(id == 12 ? -EINVAL : -ENOTTY, feature(fd, probe | id, 8, NULL));
		EXPECT_EQ(!own, testdrv_calls(self->e.drv, &self->e.calls));
	}
	EXPECT_EQ(-EINVAL, feature(fd, get | set | TESTDRV_FEATURE, 8, NULL));
	EXPECT_EQ(-EINVAL, feature(fd, probe << 1 | TESTDRV_FEATURE, 8, NULL));
	EXPECT_EQ(0, testdrv_calls(self->e.drv, &self->e.calls));
	/* The rest does, as it is; what the driver returns comes back, numbers too. */
	EXPECT_EQ(7, feature(fd, get | TESTDRV_FEATURE, 8, &value));
	EXPECT_EQ(TESTDRV_FEATURE, value);
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("feature*", testdrv_text(&self->e.calls, 1));
	EXPECT_EQ(get | TESTDRV_FEATURE, self->e.calls.call[0].arg[0]);
	EXPECT_EQ(8, self->e.calls.call[0].arg[1]);
	EXPECT_EQ(0, feature(fd, probe | get | TESTDRV_FEATURE, 0, NULL));
	EXPECT_EQ(-EINVAL, feature(fd, get | TESTDRV_FEATURE, 7, NULL));
	EXPECT_EQ(-EINVAL, feature(fd, set | TESTDRV_FEATURE, 8, NULL));
	EXPECT_EQ(-EINVAL, feature(fd, TESTDRV_FEATURE, 8, NULL));
	testdrv_fail(self->e.drv, 1, TESTDRV_DEVICE_FEATURE, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, feature(fd, get | TESTDRV_FEATURE, 8, NULL));
	close(fd);
}

/* semantics: 120, 122.  Callbacks that the driver does not have. */
TEST_F(emulated, no_callback)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region;
	char byte;
	int fd;

	ASSERT_EQ(0, testdrv_create(self->e.drv, 0, 0, 0, 0));
	fd = testdrv_open_bound(0, self->e.iommufd);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(-EINVAL, cdev_region(fd, 0, &region));
	EXPECT_EQ(-1, read(fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(EINVAL, errno);
	close(fd);

	ASSERT_EQ(0, testdrv_create(self->e.drv, 1, TESTDRV_WITH_IOCTL, 0, 0));
	fd = testdrv_cdev(1);
	ASSERT_GE(fd, 0);
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(0, testdrv_calls(self->e.drv, &self->e.calls));
	ASSERT_EQ(0, cdev_bind(fd, self->e.iommufd, NULL));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_EQ(-ENOTTY, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("ioctl*", testdrv_text(&self->e.calls, 1));
	EXPECT_EQ(VFIO_DEVICE_GET_INFO, self->e.calls.call[0].arg[0]);
	close(fd);
}

/* What a driver returns goes to user space as it is, if no errno is that large, too. */
TEST_F(emulated, results_of_the_driver)
{
	static const int results[] = { -EUCLEAN, -4095, -4096, -70000 };
	int fd;

	ASSERT_EQ(0, testdrv_create(self->e.drv, 0, TESTDRV_WITH_IOCTL, 0, 0));
	fd = testdrv_cdev(0);
	ASSERT_EQ(0, cdev_bind(fd, self->e.iommufd, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
		int want = results[i] >= -4095 ? -1 : results[i];
		int ret;

		testdrv_fail(self->e.drv, 0, TESTDRV_IOCTL, -results[i]);
		ret = ioctl(fd, _IO('x', 1));
		EXPECT_EQ(want, ret);
		if (want == -1)
			EXPECT_EQ(-results[i], errno);
	}
	close(fd);
}

TEST_HARNESS_MAIN
