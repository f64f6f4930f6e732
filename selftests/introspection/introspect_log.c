// SPDX-License-Identifier: GPL-2.0-only
/*
 * What our core says in the log and the core in C does not: why a call was refused, and
 * for whom a removal waits.
 */

#include "lib/cdev.h"
#include "lib/container.h"
#include "lib/group.h"
#include "lib/introspect.h"
#include "lib/kmsg.h"
#include "lib/kvm.h"
#include "lib/removal.h"
#include "lib/space.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/testdrv.h"


FIXTURE(introspect_log) {
	struct pci pci;
	int space, kmsg;
	int fd;			/* the device's own, -1 if it can have none */
	struct refused bind;
};

FIXTURE_SETUP(introspect_log)
{
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	self->fd = has_iommufd() ? cdev_open(&self->pci) : -1;
	ASSERT_EQ(has_iommufd(), self->fd >= 0);
	self->space = space_open();
	ASSERT_GE(self->space, 0);
	self->kmsg = kmsg_open();
	ASSERT_GE(self->kmsg, 0);
	self->bind = (struct refused){
		.call = refused_bind,
		.whose = self->pci.bdf,
		.what = "bind",
		.fd = self->fd,
		.iommufd = self->space,
	};
}

FIXTURE_TEARDOWN(introspect_log)
{
	close(self->fd);
	close(self->space);
	close(self->kmsg);
	pci_to_vfio(&self->pci);
}

static bool refused_with(struct refused *r, int kmsg, int error, const char *reason)
{
	r->error = error;
	r->reason = reason;
	return has_reason(r, kmsg);
}

/* semantics: 100-111.  A refused bind has its reason in the log, with who asked. */
TEST_F(introspect_log, bind)
{
	static const char uuid[16] = { 1 };
	struct refused *r = &self->bind;
	char not_iommufd[64];
	int group;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	r->iommufd = 1000;
	EXPECT_TRUE(refused_with(r, self->kmsg, -EBADF, "fd 1000 is no iommufd"));
	r->iommufd = self->fd;
	snprintf(not_iommufd, sizeof(not_iommufd), "fd %d is no iommufd", self->fd);
	EXPECT_TRUE(refused_with(r, self->kmsg, -EBADFD, not_iommufd));

	/* edu is no virtual function: vfio-pci has no use for a token. */
	r->iommufd = self->space;
	r->arg = uuid;
	EXPECT_TRUE(refused_with(r, self->kmsg, -EINVAL,
				 "the driver refuses the token, or that there is none"));
	r->arg = NULL;

	group = group_open(&self->pci);
	ASSERT_GE(group, 0);
	EXPECT_TRUE(refused_with(r, self->kmsg, -EBUSY, "the group's file is open"));
	close(group);

	ASSERT_EQ(0, cdev_bind(self->fd, self->space, NULL));
	EXPECT_TRUE(refused_with(r, self->kmsg, -EINVAL, "this file is bound already"));
	r->fd = cdev_open(&self->pci);
	EXPECT_TRUE(refused_with(r, self->kmsg, -EINVAL, "another file is bound"));
	close(r->fd);
}

/* A device whose sibling has a driver of the host: iommufd refuses. */
TEST_F(introspect_log, bind_of_iommufd)
{
	struct pci pci, host;
	char driver[64];

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (pci_find_mixed(EDU, &pci, &host))
		SKIP(return, "no group with a driver of the host");
	pci_driver(&host, driver, sizeof(driver));
	if (!driver[0])
		SKIP(return, "no driver of the host");
	ASSERT_EQ(0, pci_to_vfio(&pci));
	self->bind.whose = pci.bdf;
	self->bind.fd = cdev_open(&pci);
	ASSERT_GE(self->bind.fd, 0);
	EXPECT_TRUE(refused_with(&self->bind, self->kmsg, -EPERM,
				 "the driver or iommufd refuses"));
	close(self->bind.fd);
}

static int refused_group(struct refused *r)
{
	int group = group_open(r->arg);

	if (group >= 0)
		close(group);
	return group;
}

static int refused_device(struct refused *r)
{
	int fd = group_device(r->fd, r->arg);

	if (fd >= 0)
		close(fd);
	return fd;
}

/* semantics: 144.  So has a refused open of a group, and of a device through it. */
TEST_F(introspect_log, open)
{
	char name[32];
	struct refused r = { refused_group, .whose = name, .what = "open", .arg = &self->pci };
	int group, other, space, container;

	snprintf(name, sizeof(name), "vfio: group %d", self->pci.group);
	if (has_iommufd()) {
		ASSERT_EQ(0, cdev_bind(self->fd, self->space, NULL));
		EXPECT_TRUE(refused_with(&r, self->kmsg, -EBUSY, "a device of the group is bound"));
		close_fd(&self->fd);
	}

	group = group_open(&self->pci);
	ASSERT_GE(group, 0);
	EXPECT_TRUE(refused_with(&r, self->kmsg, -EBUSY, "the group's file is open"));

	r = (struct refused){ refused_device, .whose = self->pci.bdf, .what = "open",
			      .fd = group, .arg = self->pci.bdf };
	EXPECT_TRUE(refused_with(&r, self->kmsg, -EINVAL,
				 "the group has neither container nor iommufd"));

	/* A container that has just been made. */
	if (has_containers()) {
		container = container_open();
		ASSERT_EQ(0, group_set(group, container));
		EXPECT_TRUE(refused_with(&r, self->kmsg, -EINVAL,
					 "the container has no IOMMU driver"));
		ASSERT_EQ(0, group_unset(group));
		close(container);
	}

	/* B2: on the core in C such an open succeeds, and its close undoes the other's. */
	ASSERT_EQ(0, space_set(group, self->space));
	other = group_device(group, self->pci.bdf);
	ASSERT_GE(other, 0);
	/* A container cannot be changed while a device is open. */
	if (has_iommufd() && core_is_rust()) {
		space = space_open();
		ASSERT_EQ(0, group_unset(group));
		ASSERT_EQ(0, group_set(group, space));
		EXPECT_TRUE(refused_with(&r, self->kmsg, -EINVAL,
					 "it is open with another container or iommufd"));
		close(space);
	}
	close(other);
	close(group);
}

/* semantics: 94.  Or of one that its driver refuses. */
TEST_F(introspect_log, open_of_the_driver)
{
	struct refused r = { refused_device, .whose = TESTDRV_DEVICE, .what = "open",
			     .arg = TESTDRV_DEVICE };
	int drv = testdrv_open();

	if (drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(drv, 0);
	ASSERT_EQ(0, testdrv_create(drv, 0, 0, 0, 0));
	r.fd = testdrv_group(0);
	ASSERT_EQ(0, space_set(r.fd, self->space));
	ASSERT_EQ(0, testdrv_fail(drv, 0, TESTDRV_OPEN, EUCLEAN));
	EXPECT_TRUE(refused_with(&r, self->kmsg, -EUCLEAN, "the driver cannot open the device"));
	EXPECT_EQ(0, testdrv_close(drv));
}

/* Who asks without end does not fill the log. */
TEST_F(introspect_log, limit)
{
	int calls = 500, lines, group = BY_SPACE(-1, group_open(&self->pci));

	kmsg_count(self->kmsg, "");
	for (int i = 0; i < calls; i++)
		ASSERT_EQ(BY_SPACE(-EBADF, -EINVAL),
			  BY_SPACE(cdev_bind(self->fd, 1000, NULL),
				   group_device(group, self->pci.bdf)));
	close(group);
	lines = kmsg_count(self->kmsg, "refused: ");
	EXPECT_GE(lines, 0);
	EXPECT_LT(lines, BY_CORE(1, calls / 2));
}

/* A bad argument is nothing to speak of. */
TEST_F(introspect_log, bad_arguments)
{
	struct vfio_device_bind_iommufd bind = { .argsz = 4 };

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	kmsg_count(self->kmsg, "");
	EXPECT_EQ(-EFAULT, xioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, NULL));
	EXPECT_EQ(-EINVAL, xioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	EXPECT_EQ(-EINVAL, cdev_bind(self->fd, -1, NULL));
	EXPECT_EQ(0, kmsg_count(self->kmsg, "refused: "));
}

/* The message of a removal that waits and gets a signal. */
static bool waits_for(struct task *task, struct pci *pci, int kmsg, char *line, size_t size)
{
	return !unbind_start(task, pci) && kmsg_wait(kmsg, BLOCKED, EVENT_MS, NULL, 0) &&
	       unbind_says_who(task, kmsg, line, size);
}

/* defect: B23 (D9).  All who are waited for are named, up to a number. */
TEST_F(introspect_log, waits_for)
{
	struct by_group by = { group_start(&self->pci, self->space), self->pci.bdf };
	char line[1024], want[1024], names[11][16];
	struct other others[11];
	struct task task;
	int fd, used;

	ASSERT_GE(by.group, 0);
	fd = open_by_group(&by);
	ASSERT_GE(fd, 0);
	/* Two files of one process are one holder. */
	ASSERT_GE(open_by_group(&by), 0);
	for (int i = 0; i < 2; i++) {
		snprintf(names[i], sizeof(names[i]), "holder %d", i);
		ASSERT_EQ(0, other_start(&others[i], names[i], open_by_group, &by));
	}
	ASSERT_TRUE(waits_for(&task, &self->pci, self->kmsg, line, sizeof(line)));
	used = snprintf(want, sizeof(want), "task \"%s\" (%d) blocked until device is released",
			own_name(), task.pid);
	EXPECT_NE(NULL, strstr(line, want)) TH_LOG("%s", line);
	snprintf(want + used, sizeof(want) - used,
		 " by \"%s\" (%d), \"holder 0\" (%d), \"holder 1\" (%d)", own_name(), getpid(),
		 others[0].pid, others[1].pid);
	EXPECT_EQ(core_is_rust(), !!strstr(line, want)) TH_LOG("%s", line);
	EXPECT_EQ(NULL, strstr(line, " more")) TH_LOG("%s", line);
	for (int i = 0; i < 2; i++)
		other_stop(&others[i]);
	/* An unbound file is not waited for on ours, and on the C core it is. */
	close_fd(&self->fd);
	close_range(fd, fd + 1, 0);
	close(by.group);
	EXPECT_EQ(0, task_join(&task));
}

/* defect: B23 (D9).  The line stays short, however many there are. */
TEST_F(introspect_log, waits_for_many)
{
	struct by_group by = { group_start(&self->pci, self->space), self->pci.bdf };
	struct other others[11];
	char line[1024], last[64];
	struct task task;

	ASSERT_GE(by.group, 0);
	for (int i = 0; i < ARRAY_SIZE(others); i++)
		ASSERT_EQ(0, other_start(&others[i], "holder", open_by_group, &by));
	ASSERT_TRUE(waits_for(&task, &self->pci, self->kmsg, line, sizeof(line)));
	snprintf(last, sizeof(last), ", \"holder\" (%d) and 3 more files", others[7].pid);
	EXPECT_EQ(core_is_rust(), !!strstr(line, last)) TH_LOG("%s", line);
	for (int i = 0; i < ARRAY_SIZE(others); i++)
		other_stop(&others[i]);
	close_fd(&self->fd);
	close(by.group);
	EXPECT_EQ(0, task_join(&task));
}

/* defect: B23 (D9).  A file that was closed, and that KVM holds. */
TEST_F(introspect_log, waits_for_kvm)
{
	int kvm = kvm_open();
	struct by_group by = { -1, self->pci.bdf };
	char line[1024], want[128];
	struct machine machine;
	struct task task;

	if (kvm < 0)
		SKIP(return, "no KVM here");
	ASSERT_EQ(0, machine_open(kvm, &machine));
	if (has_iommufd()) {
		ASSERT_EQ(0, machine_add(&machine, self->fd));
		ASSERT_EQ(0, cdev_bind(self->fd, self->space, NULL));
	} else {
		by.group = group_start(&self->pci, self->space);
		self->fd = open_by_group(&by);
		ASSERT_GE(self->fd, 0);
		ASSERT_EQ(0, machine_add(&machine, self->fd));
		close(by.group);
	}
	close_fd(&self->fd);
	ASSERT_TRUE(waits_for(&task, &self->pci, self->kmsg, line, sizeof(line)));
	snprintf(want, sizeof(want), " until device is released by \"%s\" (%d) and KVM", own_name(),
		 getpid());
	EXPECT_EQ(core_is_rust(), !!strstr(line, want)) TH_LOG("%s", line);
	if (has_debugfs()) {
		EXPECT_STREQ(BY_CORE("none", holder_line_kvm(getpid(),
							     BY_SPACE("cdev", "group"), true, 1,
							     has_iommufd(), own_name())),
			     holders(&self->pci));
	}
	EXPECT_FALSE(task_ended(&task, 0));
	machine_close(&machine);
	EXPECT_EQ(0, task_join(&task));
	close(kvm);
	EXPECT_EQ(0, kvm_unload());
}

TEST_HARNESS_MAIN
