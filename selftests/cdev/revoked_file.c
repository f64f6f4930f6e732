// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file that was not bound when its device was unregistered: it has lost the device for
 * good, also when the same object is registered again, under the same name and number.  The
 * driver is drivers/vfio_calls_main.c.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/vfio_sva.h>

#include "lib/calls.h"
#include "lib/cdev.h"
#include "lib/introspect.h"
#include "lib/iommufd.h"
#include "lib/kvm.h"
#include "lib/sysfs.h"
#include "lib/task.h"
#include "lib/test.h"

FIXTURE(revoked_file) {
	int calls, iommufd, kvm, fd;
	struct machine vm;
};

FIXTURE_SETUP(revoked_file)
{
	self->vm = (struct machine){ -1, -1 };
	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	self->calls = calls_open();
	if (self->calls == -ENOENT)
		SKIP(return, NO_CALLS);
	ASSERT_GE(self->calls, 0);
	self->iommufd = iommufd_open();
	ASSERT_GE(self->iommufd, 0);
	self->kvm = kvm_open();
	if (self->kvm >= 0)
		ASSERT_EQ(0, machine_open(self->kvm, &self->vm));
	ASSERT_EQ(0, calls_cmd(self->calls, CALLS_ALLOC, 0, CALLS_WITH_MIG, 0, 0));
	ASSERT_EQ(0, calls_one(self->calls, CALLS_REGISTER, 0, 0));
	self->fd = calls_cdev(0);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(revoked_file)
{
	EXPECT_EQ(0, calls_close(self->calls));
	if (self->kvm >= 0)
		EXPECT_EQ(0, kvm_unload());
}

#define IOCTL(number) { #number, number }

/* Those of the core, of vfio-pci, of this driver alone, and of nobody. */
static const struct {
	const char *name;
	unsigned long number;
} ioctls[] = {
	IOCTL(VFIO_DEVICE_BIND_IOMMUFD),
	IOCTL(VFIO_DEVICE_ATTACH_IOMMUFD_PT),
	IOCTL(VFIO_DEVICE_DETACH_IOMMUFD_PT),
	IOCTL(VFIO_DEVICE_FEATURE),
	IOCTL(VFIO_DEVICE_GET_REGION_INFO),
	IOCTL(VFIO_DEVICE_RESET),
	IOCTL(VFIO_DEVICE_PCI_HOT_RESET),
	IOCTL(VFIO_BIND_PROCESS),
	IOCTL(VFIO_UNBIND_PROCESS),
	IOCTL(VFIO_DEVICE_GET_INFO),
	IOCTL(VFIO_DEVICE_GET_IRQ_INFO),
	IOCTL(VFIO_DEVICE_SET_IRQS),
	IOCTL(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO),
	IOCTL(_IO('x', 1)),
};

/* What a call said, if that was not @error: a word of @text each. */
static void note(char *text, size_t size, const char *what, int error, int ret)
{
	size_t used = strlen(text);

	if (ret != -error)
		snprintf(text + used, size - used, "%s: %d; ", what, ret);
}

/* What the file does that is not @error, for each call that there is; "" for nothing. */
static const char *other_than(int error, int fd)
{
	static char text[4096];
	char byte = 0;
	void *at;

	text[0] = '\0';
	note(text, sizeof(text), "read", error, read(fd, &byte, 1) < 0 ? -errno : 0);
	note(text, sizeof(text), "pread", error, pread(fd, &byte, 1, 0) < 0 ? -errno : 0);
	note(text, sizeof(text), "write", error, write(fd, &byte, 1) < 0 ? -errno : 0);
	note(text, sizeof(text), "pwrite", error, pwrite(fd, &byte, 1, 0) < 0 ? -errno : 0);
	at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	note(text, sizeof(text), "mmap", error, at == MAP_FAILED ? -errno : 0);
	for (size_t i = 0; i < ARRAY_SIZE(ioctls); i++) {
		/* A good size, no flags; for BIND a descriptor that is none. */
		struct {
			uint32_t argsz, flags, more[6];
		} arg = { .argsz = sizeof(arg), .more = { -1 } };

		note(text, sizeof(text), ioctls[i].name, error,
		     xioctl(fd, ioctls[i].number, &arg));
		/* An argument that cannot be read is not what is wrong. */
		if (error == ENODEV)
			note(text, sizeof(text), ioctls[i].name, error,
			     xioctl(fd, ioctls[i].number, NULL));
	}
	return text;
}

/* Whether debugfs lists a file that is not bound among the device's. */
static bool listed(void)
{
	char text[4096];

	if (sysfs_read(VFIO_DEBUGFS "/vfio-calls.0/holders", text, sizeof(text)) < 0)
		return false;
	return strstr(text, "bound=no");
}

/* What can be told of a file of a device that is registered, and unbound. */
#define ALIVE CALLS_IS_VALID
/* One that is none of VFIO's does no DMA which is not coherent. */
#define DEAD CALLS_IS_COHERENT

/*
 * semantics: 98, 124, 193; defect: B23 (D8).  Every call on the file, while the object that it was
 * opened on is registered no more, registered again, open by another file, gone.
 */
TEST_F(revoked_file, registered_again)
{
	int calls = self->calls, fd = self->fd, other = -1;

	if (!core_is_rust()) {
		close_fd(&self->fd);
		SKIP(return, "the core in C waits until the file is closed");
	}
	/* Such a file as it was before: all that is asked below says something else of it. */
	EXPECT_STREQ("", other_than(EINVAL, fd));
	EXPECT_EQ(ALIVE, calls_one(calls, CALLS_FILE, 0, fd));
	EXPECT_STRNE("", core_lines(fd));
	EXPECT_TRUE(listed() || access(VFIO_DEBUGFS, F_OK));
	if (self->kvm >= 0) {
		EXPECT_EQ(0, machine_add(&self->vm, fd));
		EXPECT_EQ(0, machine_del(&self->vm, fd));
	}
	for (int round = 0; round < 12; round++) {
		int step = round % 4;

		if (step == 0)
			ASSERT_EQ(0, calls_one(calls, CALLS_UNREGISTER, 0, 0));
		if (step == 1)
			ASSERT_EQ(0, calls_one(calls, CALLS_REGISTER, 0, 0));
		if (step == 2) {
			other = calls_cdev(0);
			ASSERT_GE(other, 0);
			EXPECT_STREQ("", other_than(EINVAL, other));
			EXPECT_EQ(ALIVE, calls_one(calls, CALLS_FILE, 0, other));
			EXPECT_TRUE(listed() || access(VFIO_DEBUGFS, F_OK));
			/* The one that is listed is this one: it is bound now. */
			ASSERT_EQ(0, cdev_bind(other, self->iommufd, NULL));
		}
		if (step == 3)
			close(other);
		EXPECT_STREQ("", other_than(ENODEV, fd)) TH_LOG("round %d", round);
		EXPECT_EQ(-ENODEV, cdev_bind(fd, self->iommufd, NULL)) TH_LOG("round %d", round);
		EXPECT_STREQ("", core_lines(fd)) TH_LOG("round %d", round);
		EXPECT_EQ(DEAD, calls_one(calls, CALLS_FILE, 0, fd)) TH_LOG("round %d", round);
		EXPECT_FALSE(listed()) TH_LOG("round %d", round);
		if (self->kvm >= 0)
			EXPECT_EQ(-EINVAL, machine_add(&self->vm, fd)) TH_LOG("round %d", round);
	}
	ASSERT_EQ(0, calls_one(calls, CALLS_PUT, 0, 0));
	EXPECT_STREQ("", other_than(ENODEV, fd));
	EXPECT_EQ(DEAD, calls_one(calls, CALLS_FILE, 0, fd));
	EXPECT_STREQ("", core_lines(fd));
}

/* defect: B23.  Files of three registrations of one object: each is of its own. */
TEST_F(revoked_file, of_each_registration)
{
	int calls = self->calls, fd[3] = { self->fd, -1, -1 };

	if (!core_is_rust()) {
		close_fd(&self->fd);
		SKIP(return, "the core in C waits until the file is closed");
	}
	for (int i = 1; i < 3; i++) {
		ASSERT_EQ(0, calls_one(calls, CALLS_UNREGISTER, 0, 0));
		ASSERT_EQ(0, calls_one(calls, CALLS_REGISTER, 0, 0));
		fd[i] = calls_cdev(0);
		ASSERT_GE(fd[i], 0);
	}
	for (int i = 0; i < 3; i++) {
		EXPECT_STREQ("", other_than(i == 2 ? EINVAL : ENODEV, fd[i]));
		EXPECT_EQ(i == 2 ? ALIVE : DEAD, calls_one(calls, CALLS_FILE, 0, fd[i]));
		EXPECT_EQ(i == 2, !!strcmp("", core_lines(fd[i])));
	}
	/* What the lost ones close, the last one keeps. */
	close(fd[0]);
	ASSERT_EQ(0, cdev_bind(fd[2], self->iommufd, NULL));
	close(fd[1]);
	EXPECT_EQ(-ENOTTY, xioctl(fd[2], VFIO_DEVICE_GET_INFO, NULL));
	close(fd[2]);
}

TEST_HARNESS_MAIN
