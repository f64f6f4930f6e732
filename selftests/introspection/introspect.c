// SPDX-License-Identifier: GPL-2.0-only
/*
 * What our core shows of a device's files and the core in C does not: more lines of
 * fdinfo, and in debugfs who has them.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "lib/cdev.h"
#include "lib/group.h"
#include "lib/introspect.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/removal.h"
#include "lib/space.h"
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
	struct session s;
	struct bound bound;
	int kmsg;
	char node[128], sysfs[256];
};

/* The folder of the device, without links. */
static bool real_folder(const struct pci *pci, char *folder, size_t size)
{
	char path[128], real[4096];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", pci->bdf);
	return realpath(path, real) && snprintf(folder, size, "%s", real) < (int)size;
}

FIXTURE_SETUP(introspect)
{
	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, session_open_unbound(&self->pci, &self->s));
	ASSERT_EQ(0, pci_cdev_path(&self->pci, self->node, sizeof(self->node)));
	ASSERT_TRUE(real_folder(&self->pci, self->sysfs, sizeof(self->sysfs)));
	self->kmsg = kmsg_open();
	ASSERT_GE(self->kmsg, 0);
}

FIXTURE_TEARDOWN(introspect)
{
	session_close(&self->s);
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
	EXPECT_STREQ(core_lines_of(self->sysfs, UNBOUND), core_lines(self->s.fd));
	/* A refused bind changes nothing. */
	ASSERT_EQ(-EBADF, cdev_bind(self->s.fd, 1000, NULL));
	EXPECT_STREQ(core_lines_of(self->sysfs, UNBOUND), core_lines(self->s.fd));
	ASSERT_EQ(0, bind_file(self->s.fd, self->s.iommufd, &self->bound));
	EXPECT_STREQ(core_lines_of(self->sysfs, self->bound.lines), core_lines(self->s.fd));
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

	ASSERT_EQ(0, bind_file(self->s.fd, self->s.iommufd, &self->bound));
	ret = attach_for_pasids(self->s.fd, self->s.iommufd, self->bound.devid, hwpt);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "the IOMMU has no page tables for PASIDs");
	ASSERT_EQ(0, ret);
	EXPECT_STREQ(core_lines_of(self->sysfs, self->bound.lines), core_lines(self->s.fd));
	for (int i = 0; i < ARRAY_SIZE(pasids); i++) {
		pt = hwpt[i & 1];
		ASSERT_EQ(0, cdev_attach_pasid(self->s.fd, pasids[i], &pt));
		if (i)
			continue;
		snprintf(lines, sizeof(lines), "%s\nvfio-pasids: 7", self->bound.lines);
		EXPECT_STREQ(core_lines_of(self->sysfs, lines), core_lines(self->s.fd));
	}
	snprintf(lines, sizeof(lines), "%s\nvfio-pasids: 1-3,7,1023-1024,5000,1048575",
		 self->bound.lines);
	EXPECT_STREQ(core_lines_of(self->sysfs, lines), core_lines(self->s.fd));
	ASSERT_EQ(0, cdev_detach_pasid(self->s.fd, 2));
	ASSERT_EQ(0, cdev_detach_pasid(self->s.fd, 0xfffff));
	snprintf(lines, sizeof(lines), "%s\nvfio-pasids: 1,3,7,1023-1024,5000", self->bound.lines);
	EXPECT_STREQ(core_lines_of(self->sysfs, lines), core_lines(self->s.fd));
	for (int i = 0; i < ARRAY_SIZE(pasids); i++)
		ASSERT_EQ(0, cdev_detach_pasid(self->s.fd, pasids[i]));
	EXPECT_STREQ(core_lines_of(self->sysfs, self->bound.lines), core_lines(self->s.fd));
}

/* A file that has lost its device has nothing to say; one that keeps it has. */
TEST_F(introspect, fdinfo_of_a_device_that_goes)
{
	int other = open_path(self->node);
	struct task task;

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, bind_file(self->s.fd, self->s.iommufd, &self->bound));
	ASSERT_EQ(0, unbind_start(&task, &self->pci));
	ASSERT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
	EXPECT_STREQ(core_lines_of(self->sysfs, self->bound.lines), core_lines(self->s.fd));
	EXPECT_STREQ(BY_CORE(core_lines_of(self->sysfs, ""), ""), core_lines(other));
	close_fd(&self->s.fd);
	close(other);
	EXPECT_EQ(0, task_join(&task));
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
	ASSERT_EQ(0, cdev_bind(self->s.fd, self->s.iommufd, NULL));
	ours = holder_line(getpid(), "cdev", true, own_name());
	one = holder_line(first.pid, "cdev", false, "second one");
	two = holder_line(second.pid, "cdev", false, "a?b=c \"?\"");
	snprintf(want, sizeof(want), "%s\n%s\n%s", ours, one, two);
	EXPECT_STREQ(want, holders(&self->pci));
	other_stop(&first);
	snprintf(want, sizeof(want), "%s\n%s", ours, two);
	EXPECT_STREQ(want, holders(&self->pci));
	/* It is files that are listed, not descriptors. */
	copy = dup(self->s.fd);
	EXPECT_STREQ(want, holders(&self->pci));
	close_fd(&self->s.fd);
	EXPECT_STREQ(want, holders(&self->pci));
	close(copy);
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
		ret = cdev_bind(self->s.fd, self->s.iommufd, NULL);
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

/* Who is waited for can be seen while a removal waits, and no one else. */
TEST_F(introspect, holders_of_a_device_that_goes)
{
	struct other other;
	struct task task;

	if (!has_debugfs())
		SKIP(return, "a kernel without VFIO_DEBUGFS");
	ASSERT_EQ(0, other_start(&other, "unbound", open_path, self->node));
	ASSERT_EQ(0, cdev_bind(self->s.fd, self->s.iommufd, NULL));
	ASSERT_EQ(0, unbind_start(&task, &self->pci));
	ASSERT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
	EXPECT_STREQ(BY_CORE("none", holder_line(getpid(), "cdev", true, own_name())),
		     holders(&self->pci));
	close_fd(&self->s.fd);
	other_stop(&other);
	EXPECT_EQ(0, task_join(&task));
	EXPECT_STREQ("none", holders(&self->pci));
}

/* ---- through the group ---- */

/* The group open and given a space; the device's own file open, if it can have one. */
FIXTURE(introspect_group) {
	struct pci pci;
	struct by_group by;
	int cdev, space, kmsg;
	char sysfs[256];
};

FIXTURE_SETUP(introspect_group)
{
	if (!has_groups())
		SKIP(return, NO_GROUPS);
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	ASSERT_TRUE(real_folder(&self->pci, self->sysfs, sizeof(self->sysfs)));
	self->space = space_open();
	ASSERT_GE(self->space, 0);
	self->by = (struct by_group){ group_start(&self->pci, self->space), self->pci.bdf };
	ASSERT_GE(self->by.group, 0);
	self->cdev = has_iommufd() ? cdev_open(&self->pci) : -1;
	ASSERT_EQ(has_iommufd(), self->cdev >= 0);
	self->kmsg = kmsg_open();
	ASSERT_GE(self->kmsg, 0);
}

FIXTURE_TEARDOWN(introspect_group)
{
	close(self->cdev);
	close(self->by.group);
	close(self->space);
	close(self->kmsg);
	pci_to_vfio(&self->pci);
}

#define BY_GROUP "vfio-type: physical\nvfio-access: group\nvfio-bound: yes"

/* The lines of a file through the group, on ours; those that it has, if they are none of it. */
static const char *lines_by_group(int fd)
{
	static char lines[512];
	const char *devid = BY_GROUP "\nvfio-iommufd-devid: ", *found;

	if (!has_iommufd())
		return BY_GROUP;
	/* Which id it has nobody was told, but that it has one. */
	found = strstr(core_lines(fd), devid);
	snprintf(lines, sizeof(lines), "%s%lu", devid,
		 found ? strtoul(found + strlen(devid), NULL, 10) : 0);
	return lines;
}

/* Bound from the start, the second file as the first. */
TEST_F(introspect_group, fdinfo)
{
	char lines[512];
	int fd, again;

	/* A group's file is no device's. */
	EXPECT_STREQ("", core_lines(self->by.group));
	fd = open_by_group(&self->by);
	ASSERT_GE(fd, 0);
	again = open_by_group(&self->by);
	ASSERT_GE(again, 0);
	snprintf(lines, sizeof(lines), "%s", lines_by_group(fd));
	if (core_is_rust())
		EXPECT_EQ(NULL, strstr(lines, "devid: 0"));
	EXPECT_STREQ(core_lines_of(self->sysfs, lines), core_lines(fd));
	/* Files share the id. */
	EXPECT_STREQ(core_lines_of(self->sysfs, lines), core_lines(again));
	/* The device's own file is another, and not bound. */
	if (self->cdev >= 0)
		EXPECT_STREQ(core_lines_of(self->sysfs, UNBOUND), core_lines(self->cdev));
	close(again);
	close(fd);
}

/* A removal that waits for a file changes nothing in what it says. */
TEST_F(introspect_group, fdinfo_of_a_device_that_goes)
{
	int fd = open_by_group(&self->by);
	struct task task;
	char lines[512];

	ASSERT_GE(fd, 0);
	close_fd(&self->cdev);
	snprintf(lines, sizeof(lines), "%s", lines_by_group(fd));
	ASSERT_EQ(0, unbind_start(&task, &self->pci));
	ASSERT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
	EXPECT_STREQ(core_lines_of(self->sysfs, lines), core_lines(fd));
	EXPECT_STREQ("", core_lines(self->by.group));
	close(fd);
	EXPECT_EQ(0, task_join(&task));
}

/* Files through the group are listed, beside the device's own. */
TEST_F(introspect_group, holders)
{
	struct other other;
	char want[512], own[256] = "";
	int fd;

	if (!has_debugfs())
		SKIP(return, "a kernel without VFIO_DEBUGFS");
	if (self->cdev >= 0)
		snprintf(own, sizeof(own), "%s", holder_line(getpid(), "cdev", false, own_name()));
	EXPECT_STREQ(BY_CORE("none", own), holders(&self->pci));
	fd = open_by_group(&self->by);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, other_start(&other, "by group", open_by_group, &self->by));
	snprintf(want, sizeof(want), "%s%s%s\n%s", own, *own ? "\n" : "",
		 holder_line(getpid(), "group", true, own_name()),
		 holder_line(other.pid, "group", true, "by group"));
	EXPECT_STREQ(BY_CORE("none", want), holders(&self->pci));
	close(fd);
	other_stop(&other);
	EXPECT_STREQ(BY_CORE("none", own), holders(&self->pci));
}

/* Who is waited for can be seen while a removal waits. */
TEST_F(introspect_group, holders_of_a_device_that_goes)
{
	int fd = open_by_group(&self->by);
	struct task task;

	if (!has_debugfs())
		SKIP(return, "a kernel without VFIO_DEBUGFS");
	ASSERT_GE(fd, 0);
	close_fd(&self->cdev);
	ASSERT_EQ(0, unbind_start(&task, &self->pci));
	ASSERT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
	EXPECT_STREQ(BY_CORE("none", holder_line(getpid(), "group", true, own_name())),
		     holders(&self->pci));
	close(fd);
	EXPECT_EQ(0, task_join(&task));
	EXPECT_STREQ("none", holders(&self->pci));
}

/* A device that its driver emulates. */
TEST(fdinfo_emulated_by_group)
{
	char lines[256] = "vfio-type: emulated\nvfio-access: group\nvfio-bound: yes";
	int drv, space, group, fd;

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	drv = testdrv_open();
	if (drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(drv, 0);
	space = space_open();
	ASSERT_GE(space, 0);
	ASSERT_EQ(0, testdrv_create(drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	group = testdrv_group(0);
	ASSERT_GE(group, 0);
	ASSERT_EQ(0, space_set(group, space));
	fd = group_device(group, TESTDRV_DEVICE);
	ASSERT_GE(fd, 0);
	if (has_iommufd() && core_is_rust()) {
		const char *devid = strstr(core_lines(fd), "\nvfio-iommufd-devid: ");

		ASSERT_NE(NULL, devid);
		strncat(lines, devid, 64);
	}
	EXPECT_STREQ(core_lines_of("/sys/devices/platform/" TESTDRV_DEVICE, lines), core_lines(fd));
	EXPECT_EQ(0, testdrv_close(drv));
}

TEST_HARNESS_MAIN
