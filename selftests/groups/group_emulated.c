// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulated devices through their groups, with an iommufd: how the core calls a driver,
 * in which order and how often, and whose memory the driver reaches.  The driver is
 * testdrv/, and says what it saw.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/testdrv.h"

#define PAGE 4096u
#define IOVA 0x100000u
#define FLAGS (TESTDRV_WITH_IOCTL | TESTDRV_WITH_FEATURE | TESTDRV_WITH_REQUEST)

FIXTURE(group_emulated) {
	int drv, iommufd, group;
	struct testdrv_calls calls;
};

FIXTURE_SETUP(group_emulated)
{
	self->drv = testdrv_open();
	if (self->drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(self->drv, 0);
	self->iommufd = iommufd_open();
	ASSERT_GE(self->iommufd, 0);
	ASSERT_EQ(0, testdrv_create(self->drv, 0, FLAGS, 0, 0));
	self->group = testdrv_group(0);
	ASSERT_GE(self->group, 0);
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	testdrv_calls(self->drv, &self->calls);
}

FIXTURE_TEARDOWN(group_emulated)
{
	EXPECT_EQ(0, testdrv_close(self->drv));
}

/* semantics: 94, 95, 96, 97, 151, 153.  One opening, one close, under the set's lock. */
TEST_F(group_emulated, callbacks)
{
	uint32_t ioas;
	int fd[5];

	for (int i = 0; i < 5; i++) {
		fd[i] = group_device(self->group, TESTDRV_DEVICE);
		ASSERT_GE(fd[i], 0);
		EXPECT_EQ(i + 1, testdrv_open_count(self->drv, 0));
	}
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("bind open attach", testdrv_text(&self->calls, 0));
	ASSERT_EQ(0, compat_ioas_get(self->iommufd, &ioas));
	EXPECT_EQ(ioas, testdrv_first(&self->calls, 0, TESTDRV_ATTACH)->arg[0]);
	for (int i = 0; i < 5; i++) {
		EXPECT_STREQ("", testdrv_calls_text(self->drv, 0));
		/* The oldest is neither the first nor the last to go. */
		close(fd[(i + 3) % 5]);
	}
	EXPECT_STREQ("close unbind", testdrv_calls_text(self->drv, 0));
	EXPECT_EQ(0, testdrv_open_count(self->drv, 0));
}

/* semantics: 94, 97.  What fails is undone, in reverse, and can be tried again. */
TEST_F(group_emulated, failures)
{
	static const struct {
		int id;
		const char *text;
	} failures[] = {
		{ TESTDRV_BIND, "bind" },
		{ TESTDRV_OPEN, "bind open unbind" },
		{ TESTDRV_ATTACH, "bind open attach close unbind" },
	};
	int fd, other;

	for (int i = 0; i < 3; i++) {
		testdrv_fail(self->drv, 0, failures[i].id, EUCLEAN);
		for (int j = 0; j < 2; j++) {
			EXPECT_EQ(-EUCLEAN, group_device(self->group, TESTDRV_DEVICE));
			EXPECT_STREQ(failures[i].text, testdrv_calls_text(self->drv, 0));
			EXPECT_EQ(0, testdrv_open_count(self->drv, 0));
		}
		testdrv_fail(self->drv, 0, failures[i].id, 0);
		fd = group_device(self->group, TESTDRV_DEVICE);
		ASSERT_GE(fd, 0);
		EXPECT_STREQ("bind open attach", testdrv_calls_text(self->drv, 0));
		/* What would fail is not called a second time. */
		testdrv_fail(self->drv, 0, failures[i].id, EUCLEAN);
		other = group_device(self->group, TESTDRV_DEVICE);
		EXPECT_GE(other, 0);
		close(other);
		testdrv_fail(self->drv, 0, failures[i].id, 0);
		close(fd);
		EXPECT_STREQ("close unbind", testdrv_calls_text(self->drv, 0));
	}
}

/* semantics: 150, 202.  Before there is room for the descriptor nothing is called. */
TEST_F(group_emulated, no_descriptor)
{
	struct rlimit all, none;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &all));
	none = all;
	none.rlim_cur = 0;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, group_device(self->group, TESTDRV_DEVICE));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &all));
	EXPECT_STREQ("", testdrv_calls_text(self->drv, 0));
	EXPECT_EQ(0, testdrv_open_count(self->drv, 0));
	/* No reference is left behind: this does not wait. */
	EXPECT_EQ(0, testdrv_destroy(self->drv, 0));
	EXPECT_STREQ("release*", testdrv_calls_text(self->drv, 0));
}

/* semantics: 150, 184.  Without a match callback the device goes by its parent's name. */
TEST_F(group_emulated, name)
{
	static const char *const names[] = {
		"", "vfio-testdrv", "vfio-testdrv.", "vfio-testdrv.00", TESTDRV_DEVICE " ", (" " TESTDRV_DEVICE),
		"vfio-testdrv.1", "VFIO-TESTDRV.0",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		EXPECT_EQ(-ENODEV, group_device(self->group, names[i]));
	EXPECT_STREQ("", testdrv_calls_text(self->drv, 0));
}

/* semantics: 150, 184.  With one, by what that says. */
TEST_F(group_emulated, match)
{
	char own[64];
	int group, fd;

	ASSERT_EQ(0, testdrv_create(self->drv, 1, TESTDRV_WITH_MATCH, 0, 0));
	snprintf(own, sizeof(own), TESTDRV_NAME, 1);
	group = testdrv_group(1);
	ASSERT_GE(group, 0);
	ASSERT_EQ(0, group_set(group, self->iommufd));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_EQ(-ENODEV, group_device(group, "vfio-testdrv.1"));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("match*", testdrv_text(&self->calls, 1));
	EXPECT_EQ(14, testdrv_first(&self->calls, 1, TESTDRV_MATCH)->arg[0]);
	/* Its errno is the call's. */
	testdrv_fail(self->drv, 1, TESTDRV_MATCH, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, group_device(group, own));
	testdrv_fail(self->drv, 1, TESTDRV_MATCH, 0);
	EXPECT_STREQ("match*", testdrv_calls_text(self->drv, 1));
	for (int i = 0; i < 2; i++) {
		fd = group_device(group, own);
		ASSERT_GE(fd, 0);
		EXPECT_STREQ("match* bind open attach", testdrv_calls_text(self->drv, 1));
		close(fd);
		EXPECT_STREQ("close unbind", testdrv_calls_text(self->drv, 1));
	}
	/* Nothing is set: the name comes first. */
	ASSERT_EQ(0, group_unset(group));
	EXPECT_EQ(-EINVAL, group_device(group, own));
	EXPECT_STREQ("match*", testdrv_calls_text(self->drv, 1));
	EXPECT_EQ(-ENODEV, group_device(group, "x"));
	close(group);
	EXPECT_EQ(0, testdrv_destroy(self->drv, 1));
}

/* semantics: 117, 120, 133.  Who gets which ioctl. */
TEST_F(group_emulated, ioctls)
{
	static const unsigned int driver[] = {
		VFIO_DEVICE_ATTACH_IOMMUFD_PT, VFIO_DEVICE_DETACH_IOMMUFD_PT,
		VFIO_DEVICE_GET_INFO, VFIO_DEVICE_RESET, 0, ~0u,
	};
	struct {
		struct vfio_device_feature head;
		uint64_t value;
	} feature = {
		.head.argsz = sizeof(feature),
		.head.flags = VFIO_DEVICE_FEATURE_GET | TESTDRV_FEATURE,
	};
	int fd = group_device(self->group, TESTDRV_DEVICE);
	uint32_t devid;

	ASSERT_GE(fd, 0);
	testdrv_calls_text(self->drv, 0);
	for (size_t i = 0; i < sizeof(driver) / sizeof(*driver); i++) {
		EXPECT_EQ(-ENOTTY, xioctl(fd, driver[i], NULL));
		testdrv_calls(self->drv, &self->calls);
		EXPECT_STREQ("ioctl*", testdrv_text(&self->calls, 0));
		EXPECT_EQ(driver[i], testdrv_first(&self->calls, 0, TESTDRV_IOCTL)->arg[0]);
	}
	EXPECT_EQ(-EINVAL, cdev_bind(fd, self->iommufd, &devid));
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_GET_REGION_INFO, NULL));
	EXPECT_STREQ("", testdrv_calls_text(self->drv, 0));
	EXPECT_EQ(7, xioctl(fd, VFIO_DEVICE_FEATURE, &feature));
	EXPECT_EQ(TESTDRV_FEATURE, feature.value);
	close(fd);
}

/* semantics: 50, 52, 153.  The driver reaches what the container's ioctls have mapped. */
TEST_F(group_emulated, memory)
{
	uint64_t *page = pages_alloc(PAGE), word = 0;
	struct testdrv_args pin = { .a = IOVA, .b = 1, .ptr = (uintptr_t)&word };
	int fd;

	close_fd(&self->group);
	ASSERT_EQ(0, testdrv_destroy(self->drv, 0));
	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	self->group = testdrv_group(0);
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(fd, 0);
	page[0] = 0x1122334455667788ULL;
	EXPECT_EQ(-ENOENT, testdrv_rw(self->drv, 0, 0, IOVA, &word, 8));
	ASSERT_EQ(0, compat_map(self->iommufd, page, PAGE, IOVA));
	EXPECT_EQ(0, testdrv_rw(self->drv, 0, 0, IOVA, &word, 8));
	EXPECT_EQ(page[0], word);
	word = 42;
	EXPECT_EQ(0, testdrv_rw(self->drv, 0, TESTDRV_RW_WRITE, IOVA + 8, &word, 8));
	EXPECT_EQ(42, page[1]);
	/* What it has pinned, it is asked to give back. */
	EXPECT_EQ(1, testdrv_do(self->drv, TESTDRV_PIN, &pin));
	EXPECT_EQ(page[0], word);
	testdrv_calls_text(self->drv, 0);
	EXPECT_EQ(0, compat_unmap(self->iommufd, IOVA, PAGE));
	EXPECT_STREQ("unmap*", testdrv_calls_text(self->drv, 0));
	EXPECT_EQ(-ENOENT, testdrv_rw(self->drv, 0, 0, IOVA, &word, 8));
	/* Group and iommufd may go before. */
	ASSERT_EQ(0, compat_map(self->iommufd, page, PAGE, IOVA));
	close_fd(&self->group);
	close_fd(&self->iommufd);
	EXPECT_EQ(0, testdrv_rw(self->drv, 0, 0, IOVA, &word, 8));
	EXPECT_EQ(page[0], word);
	close(fd);
}

/* semantics: 149, 151; defect: B2 (D2).  An open device stays with its iommufd. */
TEST_F(group_emulated, another_iommufd)
{
	int fd = group_device(self->group, TESTDRV_DEVICE), other = iommufd_open(), again;
	uint64_t *page = pages_alloc(PAGE), word = 0;

	ASSERT_GE(fd, 0);
	ASSERT_GE(other, 0);
	page[0] = 4711;
	ASSERT_EQ(0, compat_map(self->iommufd, page, PAGE, IOVA));
	ASSERT_EQ(0, group_unset(self->group));
	ASSERT_EQ(0, group_set(self->group, other));
	again = group_device(self->group, TESTDRV_DEVICE);
	EXPECT_EQ(BY_CORE(0, -EINVAL), again < 0 ? again : 0);
	close(again);
	EXPECT_STREQ("bind open attach", testdrv_calls_text(self->drv, 0));
	EXPECT_EQ(1, testdrv_open_count(self->drv, 0));
	EXPECT_EQ(0, testdrv_rw(self->drv, 0, 0, IOVA, &word, 8));
	EXPECT_EQ(4711, word);
	close(fd);
	EXPECT_STREQ("close unbind", testdrv_calls_text(self->drv, 0));
	/* The next opening is the other's. */
	fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(fd, 0);
	EXPECT_STREQ("bind open attach", testdrv_calls_text(self->drv, 0));
	EXPECT_EQ(-ENOENT, testdrv_rw(self->drv, 0, 0, IOVA, &word, 8));
	close(fd);
	close(other);
}

/* semantics: 33, 96, 97, 110.  Two groups and a cdev, one set of devices. */
TEST_F(group_emulated, one_set)
{
	int group[3], fd[3];

	for (int i = 1; i < 4; i++)
		ASSERT_EQ(0, testdrv_create(self->drv, i, 0, 0, 1));
	testdrv_calls_text(self->drv, 0);
	for (int i = 1; i < 3; i++) {
		char name[32];

		group[i] = testdrv_group(i);
		ASSERT_GE(group[i], 0);
		ASSERT_EQ(0, group_set(group[i], self->iommufd));
		snprintf(name, sizeof(name), "vfio-testdrv.%d", i);
		EXPECT_EQ(-ENODEV, group_device(self->group, name));
		fd[i] = group_device(group[i], name);
		ASSERT_GE(fd[i], 0);
		EXPECT_EQ(i, testdrv_open_count(self->drv, 1));
	}
	fd[0] = testdrv_cdev(3);
	EXPECT_EQ(2, testdrv_open_count(self->drv, 3));
	ASSERT_EQ(0, cdev_bind(fd[0], self->iommufd, NULL));
	EXPECT_EQ(3, testdrv_open_count(self->drv, 3));
	EXPECT_EQ(0, testdrv_open_count(self->drv, 0));
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	EXPECT_EQ(0, testdrv_open_count(self->drv, 1));
	close(group[1]);
	close(group[2]);
}

struct destroy {
	int drv, slot;
};

static int do_destroy(void *arg)
{
	const struct destroy *d = arg;

	return testdrv_destroy(d->drv, d->slot);
}

/* semantics: 86, 88, 150, 200.  Asked to let go; no new file, by the name or any other. */
TEST_F(group_emulated, removal)
{
	int fd = group_device(self->group, TESTDRV_DEVICE);
	int other = group_device(self->group, TESTDRV_DEVICE);
	struct destroy d = { self->drv, 0 };
	struct worker worker;

	ASSERT_GE(fd, 0);
	ASSERT_GE(other, 0);
	testdrv_calls_text(self->drv, 0);
	ASSERT_EQ(0, worker_start(&worker, do_destroy, &d));
	EXPECT_EQ(0, testdrv_cmd(self->drv, TESTDRV_WAIT, 0, 0, TESTDRV_REQUEST, 1));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_EQ(0, testdrv_first(&self->calls, 0, TESTDRV_REQUEST)->arg[0]);
	EXPECT_EQ(-ENODEV, group_device(self->group, TESTDRV_DEVICE));
	EXPECT_EQ(GROUP_SET, group_flags(self->group));
	close(other);
	EXPECT_FALSE(worker_ended(&worker));
	EXPECT_EQ(-ENODEV, group_device(self->group, TESTDRV_DEVICE));
	/* It works to the end. */
	EXPECT_EQ(-ENOTTY, xioctl(fd, VFIO_DEVICE_GET_INFO, NULL));
	testdrv_calls_text(self->drv, 0);
	close(fd);
	EXPECT_EQ(0, worker_join(&worker));
	EXPECT_STREQ("close unbind release*", testdrv_calls_text(self->drv, 0));
	EXPECT_EQ(-ENODEV, group_flags(self->group));
}

/* semantics: 91, 193.  The same device registered again has another group. */
TEST_F(group_emulated, registered_again)
{
	int group, fd;

	ASSERT_EQ(0, testdrv_cmd(self->drv, TESTDRV_REREGISTER, 0, 0, 0, 0));
	EXPECT_EQ(-ENODEV, group_flags(self->group));
	EXPECT_EQ(-ENODEV, group_device(self->group, TESTDRV_DEVICE));
	group = testdrv_group(0);
	ASSERT_GE(group, 0);
	ASSERT_EQ(0, group_set(group, self->iommufd));
	fd = group_device(group, TESTDRV_DEVICE);
	EXPECT_GE(fd, 0);
	EXPECT_EQ(-ENODEV, group_device(self->group, TESTDRV_DEVICE));
	close(fd);
	close(group);
}

/* Every order in which five files can go: three of the device, the group's, the iommufd. */
TEST_F(group_emulated, every_order_of_closing)
{
	close_fd(&self->group);
	for (int n = 0; n < 120; n++) {
		int order[5] = { 0, 1, 2, 3, 4 }, fd[5], open = 3, rest = n;

		/* The n-th permutation. */
		for (int i = 0; i < 5; i++) {
			int j = i + rest % (5 - i), kept = order[j];

			rest /= 5 - i;
			order[j] = order[i];
			order[i] = kept;
		}
		fd[3] = testdrv_group(0);
		fd[4] = iommufd_open();
		ASSERT_GE(fd[3], 0);
		ASSERT_EQ(0, group_set(fd[3], fd[4]));
		for (int i = 0; i < 3; i++) {
			fd[i] = group_device(fd[3], TESTDRV_DEVICE);
			ASSERT_GE(fd[i], 0);
		}
		testdrv_calls_text(self->drv, 0);
		for (int i = 0; i < 5; i++) {
			close(fd[order[i]]);
			open -= order[i] < 3;
			EXPECT_EQ(open, testdrv_open_count(self->drv, 0));
			EXPECT_STREQ(order[i] < 3 && !open ? "close unbind" : "",
				     testdrv_calls_text(self->drv, 0));
		}
	}
}

/* ---- a device of an in-tree driver ---- */

#define MTTY "/sys/devices/virtual/mtty/mtty/"
#define UUID "9f1e3a52-4c0b-4d3e-8d2b-7c8f6a5b4c03"
#define UART_SCR 7

/* semantics: 30, 81, 150, 153.  mtty: by its UUID, a register that keeps what it is told. */
TEST(mtty)
{
	int group, fd, iommufd = iommufd_open();
	uint8_t value = 0xa5, back = 0;
	char path[128], id[64];

	if (module_load("mdev") || module_load("mtty"))
		SKIP(return, "no module mtty");
	ASSERT_GE(iommufd, 0);
	ASSERT_EQ(0, sysfs_write(MTTY "mdev_supported_types/mtty-2/create", UUID));
	ASSERT_EQ(0, sysfs_link("/sys/bus/mdev/devices/" UUID "/iommu_group", id, sizeof(id)));
	snprintf(path, sizeof(path), "/dev/vfio/%s", id);
	group = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_GE(group, 0);
	EXPECT_EQ(GROUP_VIABLE, group_flags(group));
	ASSERT_EQ(0, group_set(group, iommufd));
	fd = group_device(group, UUID);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, device_info(fd));
	EXPECT_EQ(1, pwrite64(fd, &value, 1, UART_SCR));
	EXPECT_EQ(1, pread64(fd, &back, 1, UART_SCR));
	EXPECT_EQ(value, back);
	EXPECT_EQ(-ENOTTY, xioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, NULL));
	close(fd);
	close(group);
	close(iommufd);
	EXPECT_EQ(0, sysfs_write("/sys/bus/mdev/devices/" UUID "/remove", "1"));
	EXPECT_EQ(0, module_unload("mtty"));
	EXPECT_EQ(0, module_unload("mdev"));
}

TEST_HARNESS_MAIN
