// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that no IOMMU stands behind, on a machine that has none: refused, unless
 * the administrator wants it, and then named, tainted and guarded.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/capability.h>

#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/task.h"
#include "lib/test.h"

#define PARAMETER "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
#define GROUP_TAINT "Adding kernel taint for vfio-noiommu group on device"
#define CDEV_TAINT "Adding kernel taint for vfio-noiommu cdev"
#define TAINT_USER (1 << 6)

FIXTURE(noiommu) {
	struct pci pci;
	int kmsg;
};

FIXTURE_SETUP(noiommu)
{
	if (pci_find_any(EDU, 0, &self->pci))
		SKIP(return, "no edu device");
	ASSERT_EQ(0, pci_unbind(&self->pci));
	ASSERT_EQ(0, pci_find_any(EDU, 0, &self->pci));
	if (self->pci.group >= 0)
		SKIP(return, "this machine has an IOMMU");
	self->kmsg = kmsg_open();
	ASSERT_GE(self->kmsg, 0);
}

FIXTURE_TEARDOWN(noiommu)
{
	pci_unbind(&self->pci);
	sysfs_write(PARAMETER, "N");
	close(self->kmsg);
}

static int user_taint(void)
{
	char text[32];

	sysfs_read("/proc/sys/kernel/tainted", text, sizeof(text));
	return atoi(text) & TAINT_USER;
}

/* Number of lines with @what among those that are there. */
static int lines(int kmsg, const char *what)
{
	int n = 0;

	while (kmsg_wait(kmsg, what, 0, NULL, 0))
		n++;
	return n;
}

/* The number of the device's faked group, -1 if it has none. */
static int fake_group(const struct pci *pci)
{
	struct pci now;

	return pci_find_any(pci->id, 0, &now) ? -1 : now.group;
}

/* semantics: 7, 78; defect: B15.  Off, as it comes: no device, no trace. */
TEST_F(noiommu, refused)
{
	char text[16], name[64];
	int before = user_taint();

	ASSERT_GT(sysfs_read(PARAMETER, text, sizeof(text)), 0);
	EXPECT_STREQ("N", text);
	for (int i = 0; i < 3; i++) {
		EXPECT_NE(0, pci_to_vfio(&self->pci));
		EXPECT_NE(0, pci_vfio_name(&self->pci, name, sizeof(name)));
		EXPECT_EQ(-1, fake_group(&self->pci));
	}
	EXPECT_EQ(before, user_taint());
	EXPECT_EQ(0, lines(self->kmsg, "taint for vfio-noiommu"));
}

/* semantics: 7, 24, 26, 30, 83, 188.  On: under a name that says what it is. */
TEST_F(noiommu, named_and_tainted)
{
	char name[64], path[128], text[64];
	struct stat st;
	int group;

	ASSERT_EQ(0, sysfs_write(PARAMETER, "Y"));
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	EXPECT_NE(0, user_taint());
	EXPECT_TRUE(kmsg_wait(self->kmsg, GROUP_TAINT, EVENT_MS, NULL, 0));
	EXPECT_TRUE(kmsg_wait(self->kmsg, CDEV_TAINT, EVENT_MS, NULL, 0));

	ASSERT_EQ(0, pci_vfio_name(&self->pci, name, sizeof(name)));
	EXPECT_EQ(0, strncmp(name, "noiommu-vfio", 12));
	ASSERT_EQ(0, pci_cdev_path(&self->pci, path, sizeof(path)));
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(S_IFCHR | 0600, st.st_mode);

	group = fake_group(&self->pci);
	ASSERT_GE(group, 0);
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/name", group);
	ASSERT_GT(sysfs_read(path, text, sizeof(text)), 0);
	EXPECT_STREQ("vfio-noiommu", text);
	snprintf(path, sizeof(path), "/dev/vfio/noiommu-%d", group);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(S_IFCHR | 0600, st.st_mode);

	/* Switched off again it stays for whom it is there already. */
	ASSERT_EQ(0, sysfs_write(PARAMETER, "N"));
	EXPECT_EQ(0, stat(path, &st));
	ASSERT_EQ(0, pci_unbind(&self->pci));
	EXPECT_EQ(-1, stat(path, &st));
	EXPECT_EQ(-1, fake_group(&self->pci));
	EXPECT_NE(0, pci_to_vfio(&self->pci));
}

/* Drops CAP_SYS_RAWIO, then tries. */
static int open_without_rawio(void *path)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	int fd;

	if (syscall(SYS_capget, &head, data))
		return -errno;
	data[0].effective &= ~(1u << CAP_SYS_RAWIO);
	data[0].permitted &= ~(1u << CAP_SYS_RAWIO);
	if (syscall(SYS_capset, &head, data))
		return -errno;
	fd = open(path, O_RDWR);
	return fd < 0 ? -errno : 0;
}

/* semantics: 98, 144, 187.  It takes more than the right to open files. */
TEST_F(noiommu, needs_rawio)
{
	char node[128], group[128];
	struct task task;
	int fd;

	ASSERT_EQ(0, sysfs_write(PARAMETER, "Y"));
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	ASSERT_EQ(0, pci_cdev_path(&self->pci, node, sizeof(node)));
	snprintf(group, sizeof(group), "/dev/vfio/noiommu-%d",
		 fake_group(&self->pci));
	ASSERT_EQ(0, task_start(&task, open_without_rawio, node));
	EXPECT_EQ(-EPERM, task_join(&task));
	ASSERT_EQ(0, task_start(&task, open_without_rawio, group));
	EXPECT_EQ(-EPERM, task_join(&task));
	/* Refused, they hold nothing. */
	fd = open(group, O_RDWR);
	EXPECT_GE(fd, 0);
	close(fd);
	fd = open(node, O_RDWR);
	EXPECT_GE(fd, 0);
	close(fd);
}

/* semantics: 106, 107, 110.  Bound it works as any other, but for the isolation. */
TEST_F(noiommu, bind)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int fd, iommufd, group;
	char path[128];
	uint32_t devid;

	ASSERT_EQ(0, sysfs_write(PARAMETER, "Y"));
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	snprintf(path, sizeof(path), "/dev/vfio/noiommu-%d",
		 fake_group(&self->pci));
	fd = cdev_open(&self->pci);
	ASSERT_GE(fd, 0);
	iommufd = iommufd_open();
	ASSERT_GE(iommufd, 0);
	group = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_GE(group, 0);
	EXPECT_EQ(-EBUSY, cdev_bind(fd, iommufd, &devid));
	close(group);
	ASSERT_EQ(0, cdev_bind(fd, iommufd, &devid));
	EXPECT_GE(devid, 1);
	EXPECT_EQ(-1, open(path, O_RDWR));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(0, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	close(fd);
	close(iommufd);
}

/* Turns the parameter on and off until it is killed. */
static int toggle(void *arg)
{
	for (;;) {
		sysfs_write(PARAMETER, "Y");
		sysfs_write(PARAMETER, "N");
	}
	return 0;
}

/*
 * defects: B13, B15.  The parameter changes all the time.  A registration goes by one
 * value of it: all or nothing, and taints if and only if it succeeds.
 */
TEST_F(noiommu, parameter_changes)
{
	struct task task;
	int done = 0, misnamed = 0, taints;

	ASSERT_EQ(0, task_start(&task, toggle, NULL));
	for (int i = 0; i < 300; i++) {
		char name[64], path[128];

		if (pci_to_vfio(&self->pci))
			continue;
		done++;
		ASSERT_EQ(0, pci_vfio_name(&self->pci, name, sizeof(name)));
		snprintf(path, sizeof(path), "/dev/vfio/noiommu-%d",
			 fake_group(&self->pci));
		EXPECT_EQ(0, access(path, F_OK));
		misnamed += !!strncmp(name, "noiommu-vfio", 12);
		ASSERT_EQ(0, pci_unbind(&self->pci));
	}
	kill(task.pid, SIGKILL);
	task_join(&task);
	taints = lines(self->kmsg, GROUP_TAINT);
	TH_LOG("%d of 300 registrations succeeded, %d tainted, %d were not called noiommu",
	       done, taints, misnamed);
	EXPECT_GT(done, 0);
	EXPECT_LT(done, 300);
	EXPECT_GE(taints, done);
	/* The core in C may read two values in one registration. */
	if (core_is_rust()) {
		EXPECT_EQ(done, taints);
		EXPECT_EQ(0, misnamed);
	}
}

TEST_HARNESS_MAIN
