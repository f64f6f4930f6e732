// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drivers for containers: how they are offered, which of them is chosen, what the core
 * calls them for, in which order, and what it does when they fail.  They are
 * drivers/vfio_testiommu.c, and note what is called.
 */
#include <fcntl.h>

#include "lib/container.h"
#include "lib/kmsg.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/testdrv.h"
#include "lib/testiommu.h"

/* As in drivers/vfio_testiommu.c. */
#define ANY TESTIOMMU_ANY
#define OWN TESTIOMMU_OWN
#define BROKEN 1099
#define ECHO _IO(VFIO_TYPE, VFIO_BASE + 90)
#define HOLD _IO(VFIO_TYPE, VFIO_BASE + 91)

/* Three groups of emulated devices, whose IOMMU groups have these ids. */
#define GROUPS 3

typedef FIXTURE_DATA(container_driver) container_driver_t;

FIXTURE(container_driver) {
	int drv, container, group[GROUPS], id[GROUPS];
};

/* What was called since the last time. */
static const char *calls(void)
{
	static char text[8192];

	if (sysfs_read(TESTIOMMU_PARAMETERS "log", text, sizeof(text)) < 0 || testiommu_set("log", "0"))
		return "no log";
	return text;
}

static int group_id(int slot)
{
	char path[128], name[16];

	snprintf(path, sizeof(path), "/sys/devices/platform/vfio-testdrv.%d/iommu_group", slot);
	return sysfs_link(path, name, sizeof(name)) ? -1 : atoi(name);
}

/* The same with the ids of the groups, for %0, %1 and %2 in the text. */
static const char *expected(container_driver_t *self, const char *text)
{
	static char out[8192];
	size_t used = 0;

	for (; *text; text++) {
		if (*text == '%') {
			text++;
			used += snprintf(out + used, sizeof(out) - used, "%d",
					 self->id[*text - '0']);
		} else {
			out[used++] = *text;
		}
	}
	out[used] = '\0';
	return out;
}

#define EXPECT_CALLS(text) EXPECT_STREQ(expected(self, text), calls())

FIXTURE_SETUP(container_driver)
{
	self->drv = -1;
	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	if (module_load(TESTIOMMU))
		SKIP(return, NO_TESTIOMMU);
	self->drv = testdrv_open();
	if (self->drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(self->drv, 0);
	for (int i = 0; i < GROUPS; i++) {
		ASSERT_EQ(0, testdrv_create(self->drv, i, TESTDRV_WITH_UNMAP, 0, 0));
		self->group[i] = testdrv_group(i);
		ASSERT_GE(self->group[i], 0);
		self->id[i] = group_id(i);
	}
	self->container = container_open();
	ASSERT_GE(self->container, 0);
	ASSERT_EQ(0, testiommu_set("open_error", "0,0,0,0,0"));
	ASSERT_EQ(0, testiommu_set("attach_error", "0"));
	ASSERT_EQ(0, testiommu_set("attach_good", "0"));
	ASSERT_EQ(0, testiommu_set("hold", "N"));
	ASSERT_EQ(0, testiommu_set("register", "0"));
	calls();
}

FIXTURE_TEARDOWN(container_driver)
{
	testiommu_set("hold", "N");
	EXPECT_EQ(0, testdrv_close(self->drv));
	EXPECT_EQ(0, module_unload(TESTIOMMU));
}

/* semantics: 56, 57.  Once each; one that is not there can be taken back all the same. */
TEST_F(container_driver, register)
{
	EXPECT_EQ(-EINVAL, testiommu_set("register", "0"));
	EXPECT_EQ(0, testiommu_set("register", "1"));
	EXPECT_EQ(-EINVAL, testiommu_set("register", "1"));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(0, testiommu_set("unregister", "0"));
		EXPECT_EQ(0, container_check(self->container, OWN));
		EXPECT_EQ(2, container_check(self->container, ANY));
	}
	EXPECT_EQ(0, testiommu_set("register", "0"));
	EXPECT_EQ(1, container_check(self->container, OWN));
	EXPECT_EQ(1, container_check(self->container, ANY));
	EXPECT_EQ(0, testiommu_set("unregister", "2"));
}

/* semantics: 56, 190.  Who registers devices must be told when they go, and the reverse. */
TEST_F(container_driver, half_a_pair)
{
	int log = kmsg_open();

	ASSERT_GE(log, 0);
	kmsg_expect_warning(true, NULL);
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(-EINVAL, testiommu_set("register", i ? "4" : "3"));
		EXPECT_TRUE(kmsg_warned(log));
		EXPECT_EQ(0, testiommu_set("unregister", i ? "4" : "3"));
	}
	kmsg_expect_warning(false, NULL);
	/* And that is all there is to ask for. */
	EXPECT_EQ(0, testiommu_set("register", "2"));
	EXPECT_EQ(3, container_check(self->container, ANY));
	close(log);
}

/* semantics: 160, 161.  The latest is asked first; the first that says yes has the word. */
TEST_F(container_driver, latest_first)
{
	ASSERT_EQ(0, testiommu_set("register", "1"));
	ASSERT_EQ(0, testiommu_set("register", "2"));
	EXPECT_EQ(3, container_check(self->container, ANY));
	EXPECT_EQ(1, container_check(self->container, OWN));
	EXPECT_EQ(2, container_check(self->container, OWN + 1));
	ASSERT_EQ(0, testiommu_set("unregister", "2"));
	EXPECT_EQ(2, container_check(self->container, ANY));
	ASSERT_EQ(0, testiommu_set("unregister", "0"));
	ASSERT_EQ(0, testiommu_set("register", "0"));
	EXPECT_EQ(1, container_check(self->container, ANY));
	EXPECT_CALLS("");
	ASSERT_EQ(0, group_set(self->group[0], self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, ANY));
	EXPECT_CALLS("0.open(1000) 0.attach(%0,1)");
	/* From now on this one alone. */
	EXPECT_EQ(0, container_check(self->container, OWN + 1));
	EXPECT_EQ(0, container_check(self->container, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-EBADSLT, container_check(self->container, BROKEN));
}

/* semantics: 160.  An errno is an answer, if nobody says yes after it. */
TEST_F(container_driver, check_fails)
{
	/* type1 is asked last: it was there before. */
	EXPECT_EQ(0, container_check(self->container, BROKEN));
	ASSERT_EQ(0, group_set(self->group[0], self->container));
	EXPECT_EQ(-ENODEV, container_set_iommu(self->container, BROKEN));
	EXPECT_CALLS("");
}

/* semantics: 161, 167.  All groups are attached, the latest first, or none is. */
TEST_F(container_driver, attach)
{
	int fd = self->container;

	for (int i = 0; i < GROUPS; i++)
		ASSERT_EQ(0, group_set(self->group[i], fd));
	EXPECT_CALLS("");
	ASSERT_EQ(0, testiommu_set("attach_error", "117"));
	EXPECT_EQ(-EUCLEAN, container_set_iommu(fd, ANY));
	EXPECT_CALLS("0.open(1000) 0.attach(%2,1) 0.release");
	ASSERT_EQ(0, testiommu_set("attach_good", "1"));
	EXPECT_EQ(-EUCLEAN, container_set_iommu(fd, ANY));
	EXPECT_CALLS("0.open(1000) 0.attach(%2,1) 0.attach(%1,1) 0.detach(%2) 0.release");
	ASSERT_EQ(0, testiommu_set("attach_good", "2"));
	EXPECT_EQ(-EUCLEAN, container_set_iommu(fd, ANY));
	EXPECT_CALLS(
		"0.open(1000) 0.attach(%2,1) 0.attach(%1,1) 0.attach(%0,1) 0.detach(%1) 0.detach(%2) 0.release");
	/* Nothing is chosen. */
	EXPECT_EQ(-EINVAL, xioctl(fd, ECHO, (void *)5));
	ASSERT_EQ(0, testiommu_set("attach_good", "3"));
	EXPECT_EQ(0, container_set_iommu(fd, ANY));
	EXPECT_CALLS("0.open(1000) 0.attach(%2,1) 0.attach(%1,1) 0.attach(%0,1)");
	EXPECT_EQ(5, xioctl(fd, ECHO, (void *)5));
	/* They leave in the order of their owners, and the last one ends it. */
	ASSERT_EQ(0, group_unset(self->group[1]));
	EXPECT_CALLS("0.detach(%1)");
	ASSERT_EQ(-EUCLEAN, group_set(self->group[1], fd));
	EXPECT_CALLS("0.attach(%1,1)");
	EXPECT_EQ(GROUP_VIABLE, group_flags(self->group[1]));
	EXPECT_EQ(-EINVAL, group_unset(self->group[1]));
	close_fd(&self->group[2]);
	EXPECT_CALLS("0.detach(%2)");
	ASSERT_EQ(0, testiommu_set("attach_error", "0"));
	ASSERT_EQ(0, group_set(self->group[1], fd));
	EXPECT_CALLS("0.attach(%1,1)");
	ASSERT_EQ(0, group_unset(self->group[0]));
	ASSERT_EQ(0, group_unset(self->group[1]));
	EXPECT_CALLS("0.detach(%0) 0.detach(%1) 0.release");
	EXPECT_EQ(-EINVAL, xioctl(fd, ECHO, (void *)5));
}

/* semantics: 161.  One that fails is passed over; the last error is what is told. */
TEST_F(container_driver, next_driver)
{
	int fd = self->container;

	ASSERT_EQ(0, testiommu_set("register", "1"));
	ASSERT_EQ(0, group_set(self->group[0], fd));
	ASSERT_EQ(0, testiommu_set("open_error", "117,61"));
	EXPECT_EQ(-EUCLEAN, container_set_iommu(fd, ANY));
	EXPECT_CALLS("1.open(1000) 0.open(1000)");
	/* Who was not asked to open has not failed. */
	EXPECT_EQ(-ENODATA, container_set_iommu(fd, OWN + 1));
	EXPECT_CALLS("1.open(1002)");
	EXPECT_EQ(-ENODEV, container_set_iommu(fd, OWN + 2));
	ASSERT_EQ(0, testiommu_set("open_error", "117,0"));
	ASSERT_EQ(0, testiommu_set("attach_error", "95"));
	EXPECT_EQ(-EUCLEAN, container_set_iommu(fd, ANY));
	EXPECT_CALLS("1.open(1000) 1.attach(%0,1) 1.release 0.open(1000)");
	ASSERT_EQ(0, testiommu_set("open_error", "0,61"));
	EXPECT_EQ(-EOPNOTSUPP, container_set_iommu(fd, ANY));
	EXPECT_CALLS("1.open(1000) 0.open(1000) 0.attach(%0,1) 0.release");
	ASSERT_EQ(0, testiommu_set("attach_error", "0"));
	EXPECT_EQ(0, container_set_iommu(fd, ANY));
	EXPECT_CALLS("1.open(1000) 0.open(1000) 0.attach(%0,1)");
	EXPECT_EQ(-EINVAL, container_set_iommu(fd, ANY));
	EXPECT_CALLS("");
}

/* semantics: 57, 161, 164.  One that is taken back stays with those who have it. */
TEST_F(container_driver, taken_back)
{
	ASSERT_EQ(0, group_set(self->group[0], self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, ANY));
	EXPECT_EQ(-EWOULDBLOCK, module_unload(TESTIOMMU));
	ASSERT_EQ(0, testiommu_set("unregister", "0"));
	EXPECT_EQ(1, container_check(self->container, ANY));
	EXPECT_EQ(7, xioctl(self->container, ECHO, (void *)7));
	ASSERT_EQ(0, group_set(self->group[1], self->container));
	ASSERT_EQ(0, group_unset(self->group[1]));
	ASSERT_EQ(0, group_unset(self->group[0]));
	EXPECT_CALLS(
		"0.open(1000) 0.attach(%0,1) 0.attach(%1,1) 0.detach(%1) 0.detach(%0) 0.release");
	ASSERT_EQ(0, group_set(self->group[0], self->container));
	EXPECT_EQ(-ENODEV, container_set_iommu(self->container, ANY));
}

/* semantics: 163.  Number and argument come through as they are, and the result back. */
TEST_F(container_driver, pass_through)
{
	ASSERT_EQ(0, group_set(self->group[0], self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, OWN));
	EXPECT_EQ(0, xioctl(self->container, ECHO, NULL));
	EXPECT_EQ(0x7fffffff, xioctl(self->container, ECHO, (void *)0x7fffffff));
	EXPECT_EQ(-EBADSLT, xioctl(self->container, ECHO, (void *)-EBADSLT));
	EXPECT_EQ(-ENOTTY, container_unknown(self->container));
	EXPECT_EQ(-ENOTTY, xioctl(self->container, VFIO_IOMMU_MAP_DMA, NULL));
	/* What the core knows does not get there. */
	EXPECT_EQ(0, xioctl(self->container, VFIO_GET_API_VERSION, NULL));
	EXPECT_EQ(-EINVAL, container_set_iommu(self->container, OWN));
}

/* semantics: 94, 166.  Devices are made known before they are opened, until they are closed. */
TEST_F(container_driver, devices)
{
	int fd, other;

	ASSERT_EQ(0, group_set(self->group[0], self->container));
	EXPECT_EQ(-EINVAL, group_device(self->group[0], TESTDRV_DEVICE));
	ASSERT_EQ(0, container_set_iommu(self->container, OWN));
	calls();
	/* It is known when the opening fails. */
	testdrv_fail(self->drv, 0, TESTDRV_OPEN, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, group_device(self->group[0], TESTDRV_DEVICE));
	EXPECT_CALLS("0.register(vfio-testdrv.0,1) 0.unregister(vfio-testdrv.0,1)");
	testdrv_fail(self->drv, 0, TESTDRV_OPEN, 0);
	fd = group_device(self->group[0], TESTDRV_DEVICE);
	ASSERT_GE(fd, 0);
	EXPECT_CALLS("0.register(vfio-testdrv.0,1)");
	other = group_device(self->group[0], TESTDRV_DEVICE);
	ASSERT_GE(other, 0);
	close(fd);
	EXPECT_CALLS("");
	close(other);
	EXPECT_CALLS("0.unregister(vfio-testdrv.0,1)");
}

/*
 * semantics: 51, 166.  Until the driver of the container has forgotten the device, it can ask the
 * device's driver to unpin.
 */
TEST_F(container_driver, unpin_while_unregistered)
{
	int fd;

	ASSERT_EQ(0, group_set(self->group[0], self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, OWN));
	fd = group_device(self->group[0], TESTDRV_DEVICE);
	ASSERT_GE(fd, 0);
	calls();
	ASSERT_EQ(0, testiommu_set("unpin_late", "1"));
	close(fd);
	EXPECT_CALLS("0.unregister(vfio-testdrv.0,1) 0.unpin(1000,1)");
	EXPECT_EQ(0, testiommu_set("unpin_late", "0"));
}

static int pin(int drv, uint64_t iova, int n)
{
	return testdrv_cmd(drv, TESTDRV_PIN, 0, TESTDRV_PIN_WRITE, iova, n);
}

static int rw(int drv, uint64_t iova, size_t size)
{
	char data[64] = "";

	return testdrv_rw(drv, 0, TESTDRV_RW_WRITE, iova, data, size);
}

/* semantics: 50, 51, 52.  What a device's driver asks for goes to the container's. */
TEST_F(container_driver, pins)
{
	int fd, log = kmsg_open();

	ASSERT_GE(log, 0);
	ASSERT_EQ(0, group_set(self->group[0], self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, OWN));
	fd = group_device(self->group[0], TESTDRV_DEVICE);
	ASSERT_GE(fd, 0);
	calls();
	EXPECT_EQ(-EBADSLT, pin(self->drv, 0x12345, 3));
	EXPECT_EQ(-EBADSLT, rw(self->drv, 0x6789a, 5));
	testdrv_unpin(self->drv, 0, 0x12345, 512);
	EXPECT_CALLS("0.pin(%0,12345,3,3) 0.rw(6789a,5,1) 0.unpin(12345,512)");
	EXPECT_EQ(-E2BIG, pin(self->drv, 0x12345, 513));
	EXPECT_EQ(-EINVAL, pin(self->drv, 0x12345, 0));
	kmsg_expect_warning(true, NULL);
	testdrv_unpin(self->drv, 0, 0x12345, 513);
	testdrv_unpin(self->drv, 0, 0x12345, 0);
	kmsg_expect_warning(false, NULL);
	EXPECT_CALLS("");
	close(fd);
	close(log);
}

/* semantics: 50, 52, 166.  A driver that has no more than it must have. */
TEST_F(container_driver, least)
{
	int fd;

	ASSERT_EQ(0, testiommu_set("register", "2"));
	ASSERT_EQ(0, group_set(self->group[0], self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, OWN + 2));
	fd = group_device(self->group[0], TESTDRV_DEVICE);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-ENOTTY, pin(self->drv, 0x12345, 3));
	EXPECT_EQ(-E2BIG, pin(self->drv, 0x12345, 513));
	EXPECT_EQ(-EINVAL, pin(self->drv, 0x12345, 0));
	EXPECT_EQ(-ENOTTY, rw(self->drv, 0x6789a, 5));
	EXPECT_EQ(-EINVAL, rw(self->drv, 0x6789a, 0));
	close(fd);
	EXPECT_CALLS("2.open(1003) 2.attach(%0,1)");
}

static int hold(void *arg)
{
	return xioctl(*(int *)arg, HOLD, NULL);
}

/*
 * semantics: 163, 164; defect: B1, B26.  A call that goes on keeps what it works on: the
 * driver's side is released after it on ours, and under it by the core in C.  And it
 * keeps nobody from using the container.
 */
TEST_F(container_driver, call_outlasts_the_group)
{
	struct worker worker;
	int fd = self->container;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, group_set(self->group[0], fd));
		ASSERT_EQ(0, container_set_iommu(fd, OWN));
		calls();
		ASSERT_EQ(0, testiommu_set("hold", "Y"));
		ASSERT_EQ(0, worker_start(&worker, hold, &fd));
		ASSERT_TRUE(testiommu_held());
		EXPECT_EQ(3, xioctl(fd, ECHO, (void *)3));
		EXPECT_EQ(1, container_check(fd, OWN));
		ASSERT_EQ(0, group_set(self->group[1], fd));
		ASSERT_EQ(0, group_unset(self->group[1]));
		if (i) {
			close_fd(&self->group[0]);
			self->group[0] = testdrv_group(0);
			ASSERT_GE(self->group[0], 0);
		} else {
			ASSERT_EQ(0, group_unset(self->group[0]));
		}
		EXPECT_CALLS(BY_CORE("0.attach(%1,1) 0.detach(%1) 0.detach(%0) 0.release",
				     "0.attach(%1,1) 0.detach(%1) 0.detach(%0)"));
		/* The container is unset, and can be set again. */
		EXPECT_EQ(-EINVAL, xioctl(fd, ECHO, (void *)3));
		ASSERT_EQ(0, group_set(self->group[2], fd));
		ASSERT_EQ(0, container_set_iommu(fd, OWN));
		EXPECT_EQ(4, xioctl(fd, ECHO, (void *)4));
		EXPECT_CALLS("0.open(1001) 0.attach(%2,1)");
		ASSERT_EQ(0, testiommu_set("hold", "N"));
		EXPECT_EQ(0, worker_join(&worker));
		EXPECT_CALLS(BY_CORE("dead.held", "0.held 0.release"));
		EXPECT_EQ(4, xioctl(fd, ECHO, (void *)4));
		ASSERT_EQ(0, group_unset(self->group[2]));
		EXPECT_CALLS("0.detach(%2) 0.release");
	}
}

/* semantics: 57, 164; defect: B1.  The module is held as long as a call into it. */
TEST_F(container_driver, call_holds_the_module)
{
	struct worker worker;

	if (!core_is_rust())
		SKIP(return, "the core in C lets the module go under the call");
	ASSERT_EQ(0, group_set(self->group[0], self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, OWN));
	ASSERT_EQ(0, testiommu_set("hold", "Y"));
	ASSERT_EQ(0, worker_start(&worker, hold, &self->container));
	ASSERT_TRUE(testiommu_held());
	ASSERT_EQ(0, group_unset(self->group[0]));
	EXPECT_EQ(-EWOULDBLOCK, module_unload(TESTIOMMU));
	ASSERT_EQ(0, testiommu_set("hold", "N"));
	EXPECT_EQ(0, worker_join(&worker));
	ASSERT_EQ(0, module_unload(TESTIOMMU));
	EXPECT_EQ(0, container_check(self->container, OWN));
	ASSERT_EQ(0, module_load(TESTIOMMU));
}

TEST_HARNESS_MAIN
