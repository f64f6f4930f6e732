// SPDX-License-Identifier: GPL-2.0-only
/*
 * What our core shows of a device's files and the core in C does not: more lines of
 * fdinfo, and in debugfs who has them.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "lib/cdev.h"
#include "lib/introspect.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/removal.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/testdrv.h"

#define UNBOUND "vfio-type: physical\nvfio-access: cdev\nvfio-bound: no"

/* A bound file, and what fdinfo is to say of it. */
struct bound {
	uint32_t devid;
	char lines[512];
};

FIXTURE(introspect) {
	struct pci pci;
	struct bound bound;
	int fd, iommufd, kmsg;
	char node[128], sysfs[256];
};

FIXTURE_SETUP(introspect)
{
	char path[128], real[4096];

	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	ASSERT_EQ(0, pci_cdev_path(&self->pci, self->node, sizeof(self->node)));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", self->pci.bdf);
	ASSERT_NE(NULL, realpath(path, real));
	snprintf(self->sysfs, sizeof(self->sysfs), "%.255s", real);
	self->fd = cdev_open(&self->pci);
	ASSERT_GE(self->fd, 0);
	self->iommufd = iommufd_open();
	ASSERT_GE(self->iommufd, 0);
	self->kmsg = kmsg_open();
	ASSERT_GE(self->kmsg, 0);
}

FIXTURE_TEARDOWN(introspect)
{
	close(self->fd);
	close(self->iommufd);
	close(self->kmsg);
	pci_to_vfio(&self->pci);
}

static int bind_file(int fd, int iommufd, struct bound *bound)
{
	int ret = cdev_bind(fd, iommufd, &bound->devid);

	snprintf(bound->lines, sizeof(bound->lines),
		 "vfio-type: physical\nvfio-access: cdev\nvfio-bound: yes\n"
		 "vfio-iommufd-devid: %u", bound->devid);
	return ret;
}

/* semantics: 81.  A file says what it is, before it is bound and after. */
TEST_F(introspect, fdinfo)
{
	int other = open_path(self->node);

	ASSERT_GE(other, 0);
	EXPECT_STREQ(core_lines_of(self->sysfs, UNBOUND), core_lines(self->fd));
	/* A refused bind changes nothing. */
	ASSERT_EQ(-EBADF, cdev_bind(self->fd, 1000, NULL));
	EXPECT_STREQ(core_lines_of(self->sysfs, UNBOUND), core_lines(self->fd));
	ASSERT_EQ(0, bind_file(self->fd, self->iommufd, &self->bound));
	EXPECT_STREQ(core_lines_of(self->sysfs, self->bound.lines), core_lines(self->fd));
	/* It is the file that is bound, not the device. */
	EXPECT_STREQ(core_lines_of(self->sysfs, UNBOUND), core_lines(other));
	close(other);
}

/* Two page tables that take PASIDs, the first of them attached to the device. */
static int attach_for_pasids(int fd, int iommufd, uint32_t devid, uint32_t *hwpt)
{
	uint32_t ioas, pt;
	int ret = ioas_alloc(iommufd, &ioas);

	for (int i = 0; i < 2 && !ret; i++)
		ret = hwpt_alloc(iommufd, devid, ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt[i]);
	pt = hwpt[0];
	return ret ? ret : cdev_attach(fd, &pt);
}

/* The line of PASIDs is their list, as ranges; there is none without. */
TEST_F(introspect, fdinfo_pasids)
{
	static const uint32_t pasids[] = { 7, 1, 3, 2, 1023, 1024, 5000, 0xfffff };
	uint32_t hwpt[2], pt;
	char lines[1024];
	int ret;

	ASSERT_EQ(0, bind_file(self->fd, self->iommufd, &self->bound));
	ret = attach_for_pasids(self->fd, self->iommufd, self->bound.devid, hwpt);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "the IOMMU has no page tables for PASIDs");
	ASSERT_EQ(0, ret);
	EXPECT_STREQ(core_lines_of(self->sysfs, self->bound.lines), core_lines(self->fd));
	for (int i = 0; i < ARRAY_SIZE(pasids); i++) {
		pt = hwpt[i & 1];
		ASSERT_EQ(0, cdev_attach_pasid(self->fd, pasids[i], &pt));
		if (i)
			continue;
		snprintf(lines, sizeof(lines), "%s\nvfio-pasids: 7", self->bound.lines);
		EXPECT_STREQ(core_lines_of(self->sysfs, lines), core_lines(self->fd));
	}
	snprintf(lines, sizeof(lines), "%s\nvfio-pasids: 1-3,7,1023-1024,5000,1048575",
		 self->bound.lines);
	EXPECT_STREQ(core_lines_of(self->sysfs, lines), core_lines(self->fd));
	ASSERT_EQ(0, cdev_detach_pasid(self->fd, 2));
	ASSERT_EQ(0, cdev_detach_pasid(self->fd, 0xfffff));
	snprintf(lines, sizeof(lines), "%s\nvfio-pasids: 1,3,7,1023-1024,5000", self->bound.lines);
	EXPECT_STREQ(core_lines_of(self->sysfs, lines), core_lines(self->fd));
	for (int i = 0; i < ARRAY_SIZE(pasids); i++)
		ASSERT_EQ(0, cdev_detach_pasid(self->fd, pasids[i]));
	EXPECT_STREQ(core_lines_of(self->sysfs, self->bound.lines), core_lines(self->fd));
}

/* A file that has lost its device has nothing to say; one that keeps it has. */
TEST_F(introspect, fdinfo_of_a_device_that_goes)
{
	int other = open_path(self->node);
	struct task task;

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, bind_file(self->fd, self->iommufd, &self->bound));
	ASSERT_EQ(0, unbind_start(&task, &self->pci));
	ASSERT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
	EXPECT_STREQ(core_lines_of(self->sysfs, self->bound.lines), core_lines(self->fd));
	EXPECT_STREQ(BY_CORE(core_lines_of(self->sysfs, ""), ""), core_lines(other));
	close(self->fd);
	close(other);
	self->fd = -1;
	EXPECT_EQ(0, task_join(&task));
}

/* By way of the group: bound from the start, the second file as the first. */
TEST_F(introspect, fdinfo_by_group)
{
	struct by_group by = { group_start(&self->pci, self->iommufd), self->pci.bdf };
	const char *lines = "vfio-type: physical\nvfio-access: group\nvfio-bound: yes\n"
			    "vfio-iommufd-devid: ";
	int fd, again;

	ASSERT_GE(by.group, 0);
	/* A group's file is no device's. */
	EXPECT_STREQ("", core_lines(by.group));
	fd = open_by_group(&by);
	ASSERT_GE(fd, 0);
	again = open_by_group(&by);
	ASSERT_GE(again, 0);
	if (core_is_rust()) {
		char first[256];
		const char *found = strstr(core_lines(fd), lines);

		/* Which id it has nobody was told; it has one, and files share it. */
		ASSERT_NE(NULL, found);
		EXPECT_GT(strtoul(found + strlen(lines), NULL, 10), 0);
		snprintf(first, sizeof(first), "%s", found);
		EXPECT_STREQ(core_lines_of(self->sysfs, first), core_lines(again));
	} else {
		EXPECT_STREQ(core_lines_of(self->sysfs, ""), core_lines(fd));
	}
	/* The device's own file is another, and not bound. */
	EXPECT_STREQ(core_lines_of(self->sysfs, UNBOUND), core_lines(self->fd));
	close(again);
	close(fd);
	close(by.group);
}

/* A device that its driver emulates. */
TEST_F(introspect, fdinfo_emulated)
{
	const char *parent = "/sys/devices/platform/vfio-testdrv.0";
	int drv = testdrv_open(), fd;
	uint32_t devid, ioas;
	char lines[256];

	if (drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(drv, 0);
	ASSERT_EQ(0, testdrv_create(drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	fd = testdrv_cdev(0);
	ASSERT_GE(fd, 0);
	EXPECT_STREQ(core_lines_of(parent, "vfio-type: emulated\nvfio-access: cdev\n"
					   "vfio-bound: no"), core_lines(fd));
	ASSERT_EQ(0, cdev_bind(fd, self->iommufd, &devid));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &ioas));
	ASSERT_EQ(0, cdev_attach(fd, &ioas));
	snprintf(lines, sizeof(lines),
		 "vfio-type: emulated\nvfio-access: cdev\nvfio-bound: yes\n"
		 "vfio-iommufd-devid: %u", devid);
	EXPECT_STREQ(core_lines_of(parent, lines), core_lines(fd));
	close(fd);
	EXPECT_EQ(0, testdrv_destroy(drv, 0));
	EXPECT_EQ(0, testdrv_close(drv));
}

/* Every open file of the device with its process, in the order of their opening. */
TEST_F(introspect, holders)
{
	const char *ours, *one, *two;
	struct other first, second;
	char want[512];
	int copy;

	if (!has_debugfs())
		SKIP(return, "a kernel without VFIO_DEBUGFS");
	if (!core_is_rust()) {
		EXPECT_STREQ("none", holders(&self->pci));
		return;
	}
	EXPECT_STREQ(holder_line(getpid(), "cdev", false, own_name()), holders(&self->pci));

	/* A name may be anything; what could break the line does not get there. */
	ASSERT_EQ(0, other_start(&first, "second one", open_path, self->node));
	ASSERT_EQ(0, other_start(&second, "a\nb=c \"\xff\"", open_path, self->node));
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	ours = holder_line(getpid(), "cdev", true, own_name());
	one = holder_line(first.pid, "cdev", false, "second one");
	two = holder_line(second.pid, "cdev", false, "a?b=c \"?\"");
	snprintf(want, sizeof(want), "%s\n%s\n%s", ours, one, two);
	EXPECT_STREQ(want, holders(&self->pci));
	other_stop(&first);
	snprintf(want, sizeof(want), "%s\n%s", ours, two);
	EXPECT_STREQ(want, holders(&self->pci));
	/* It is files that are listed, not descriptors. */
	copy = dup(self->fd);
	EXPECT_STREQ(want, holders(&self->pci));
	close(self->fd);
	EXPECT_STREQ(want, holders(&self->pci));
	close(copy);
	self->fd = -1;
	EXPECT_STREQ(two, holders(&self->pci));
	other_stop(&second);
	EXPECT_STREQ("", holders(&self->pci));
}

/* A file that was handed over belongs to the process that binds it. */
TEST_F(introspect, holder_is_who_binds)
{
	int ends[2], ret = -1;
	const char *line;
	pid_t pid;

	if (!has_debugfs())
		SKIP(return, "a kernel without VFIO_DEBUGFS");
	ASSERT_EQ(0, pipe(ends));
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, "binder");
		ret = cdev_bind(self->fd, self->iommufd, NULL);
		(void)!write(ends[1], &ret, sizeof(ret));
		pause();
	}
	ASSERT_EQ(sizeof(ret), read(ends[0], &ret, sizeof(ret)));
	ASSERT_EQ(0, ret);
	line = BY_CORE("none", holder_line(pid, "cdev", true, "binder"));
	EXPECT_STREQ(line, holders(&self->pci));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* The name stays, though the file is ours alone now. */
	EXPECT_STREQ(line, holders(&self->pci));
	close(ends[0]);
	close(ends[1]);
}

/* Files by way of the group are listed beside the device's own. */
TEST_F(introspect, holders_by_group)
{
	struct by_group by = { group_start(&self->pci, self->iommufd), self->pci.bdf };
	struct other other;
	char want[512];
	int fd;

	if (!has_debugfs())
		SKIP(return, "a kernel without VFIO_DEBUGFS");
	ASSERT_GE(by.group, 0);
	fd = open_by_group(&by);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, other_start(&other, "by group", open_by_group, &by));
	snprintf(want, sizeof(want), "%s\n%s\n%s",
		 holder_line(getpid(), "cdev", false, own_name()),
		 holder_line(getpid(), "group", true, own_name()),
		 holder_line(other.pid, "group", true, "by group"));
	EXPECT_STREQ(BY_CORE("none", want), holders(&self->pci));
	close(fd);
	other_stop(&other);
	EXPECT_STREQ(BY_CORE("none", holder_line(getpid(), "cdev", false, own_name())),
		     holders(&self->pci));
	close(by.group);
}

/* Who is waited for can be seen while a removal waits, and no one else. */
TEST_F(introspect, holders_of_a_device_that_goes)
{
	struct other other;
	struct task task;

	if (!has_debugfs())
		SKIP(return, "a kernel without VFIO_DEBUGFS");
	ASSERT_EQ(0, other_start(&other, "unbound", open_path, self->node));
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	ASSERT_EQ(0, unbind_start(&task, &self->pci));
	ASSERT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
	EXPECT_STREQ(BY_CORE("none", holder_line(getpid(), "cdev", true, own_name())),
		     holders(&self->pci));
	close(self->fd);
	self->fd = -1;
	other_stop(&other);
	EXPECT_EQ(0, task_join(&task));
	EXPECT_STREQ("none", holders(&self->pci));
}

TEST_HARNESS_MAIN
