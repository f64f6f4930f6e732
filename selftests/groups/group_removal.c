// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that gives up a device which is open through its group: the core waits for
 * the device's files, and for no group's.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "lib/edu.h"
#include "lib/group.h"
#include "lib/kmsg.h"
#include "lib/removal.h"
#include "lib/space.h"
#include "lib/task.h"
#include "lib/test.h"

/* What vfio-pci says when it asks for the device. */
#define RELAYED "Relaying device request to user"

FIXTURE(group_removal) {
	struct pci pci;
	struct legacy l;
	int kmsg;
	struct task task;
};

FIXTURE_SETUP(group_removal)
{
	self->l = (struct legacy){ -1, -1, -1 };
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, legacy_open(&self->pci, &self->l));
	self->kmsg = kmsg_open();
	ASSERT_GE(self->kmsg, 0);
}

FIXTURE_TEARDOWN(group_removal)
{
	legacy_close(&self->l);
	close(self->kmsg);
	pci_to_vfio(&self->pci);
}

struct racer {
	int group, space;
	const struct pci *pci;
};

/* Without a copy of our files, and waiting when it returns. */
static bool unbind_waits(struct task *task, struct pci *pci, int kmsg, const char *message)
{
	return !unbind_start(task, pci) &&
	       kmsg_wait(kmsg, message, EVENT_MS, NULL, 0) &&
	       task_waits_for_users(task);
}

/* semantics: 86, 87, 88, 90, 150, 200.  Asked to let go, and waited for. */
TEST_F(group_removal, open_device)
{
	int32_t request = eventfd(0, EFD_CLOEXEC);
	int other = group_device(self->l.group, self->pci.bdf);

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, cdev_set_irqs(self->l.fd, VFIO_PCI_REQ_IRQ_INDEX,
				   VFIO_IRQ_SET_DATA_EVENTFD |
				   VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1, &request));
	ASSERT_TRUE(unbind_waits(&self->task, &self->pci, self->kmsg, RELAYED));
	EXPECT_TRUE(wait_readable(request, EVENT_MS));
	/* It cannot be opened any more, not by the name that it had ... */
	EXPECT_EQ(-ENODEV, group_device(self->l.group, self->pci.bdf));
	/* ... but for who is in all is as before, and so is the group. */
	EXPECT_EQ(0, device_info(self->l.fd));
	EXPECT_EQ(0, cdev_enable_dma(other));
	EXPECT_EQ(GROUP_SET, group_flags(self->l.group));
	/* An open device keeps its group in a container. */
	EXPECT_EQ(BY_SPACE(0, -EBUSY), group_unset(self->l.group));
	EXPECT_EQ(BY_SPACE(0, GROUP_SET), group_flags(self->l.group));
	EXPECT_EQ(BY_SPACE(0, -EINVAL), group_set(self->l.group, self->l.space));
	EXPECT_EQ(-ENODEV, group_device(self->l.group, self->pci.bdf));
	/* Both files count. */
	close_fd(&self->l.fd);
	EXPECT_TRUE(task_waits_for_users(&self->task));
	EXPECT_FALSE(task_ended(&self->task, 0));
	EXPECT_EQ(0, device_info(other));
	close(other);
	EXPECT_EQ(0, task_join(&self->task));
	EXPECT_EQ(-ENODEV, group_flags(self->l.group));
	close(request);
}

/* semantics: 87, 91.  A group's file alone holds up nobody, whatever it has set. */
TEST_F(group_removal, open_group)
{
	char path[64];

	close_fd(&self->l.fd);
	pci_group_path(&self->pci, path, sizeof(path));
	ASSERT_EQ(0, unbind_start(&self->task, &self->pci));
	EXPECT_EQ(0, task_join(&self->task));
	EXPECT_EQ(-1, access(path, F_OK));
	EXPECT_EQ(-ENODEV, group_flags(self->l.group));
	EXPECT_EQ(-ENODEV, group_device(self->l.group, self->pci.bdf));
	/* It has left its container; an iommufd it still has. */
	EXPECT_EQ(BY_SPACE(0, -EINVAL), group_unset(self->l.group));
	EXPECT_EQ(-ENODEV, group_set(self->l.group, self->l.space));

	/* The old file and the new group have nothing to do with each other. */
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	self->l.fd = group_open(&self->pci);
	ASSERT_GE(self->l.fd, 0);
	EXPECT_EQ(0, space_set(self->l.fd, self->l.space));
	EXPECT_EQ(-ENODEV, group_flags(self->l.group));
	close_fd(&self->l.group);
	EXPECT_EQ(GROUP_SET, group_flags(self->l.fd));
	EXPECT_EQ(-EBUSY, group_open(&self->pci));
}

/*
 * semantics: 86, 144, 152.  A group whose last device is going can be opened until it has gone,
 * but for a container's: there the device has the group's file open.
 */
TEST_F(group_removal, group_opened_late)
{
	char path[64];

	close_fd(&self->l.group);
	pci_group_path(&self->pci, path, sizeof(path));
	ASSERT_TRUE(unbind_waits(&self->task, &self->pci, self->kmsg, BLOCKED));
	self->l.group = group_open(&self->pci);
	if (has_iommufd()) {
		ASSERT_GE(self->l.group, 0);
		EXPECT_EQ(0, group_set(self->l.group, self->l.space));
		EXPECT_EQ(-ENODEV, group_device(self->l.group, self->pci.bdf));
	} else {
		EXPECT_EQ(-EBUSY, self->l.group);
	}
	EXPECT_FALSE(task_ended(&self->task, 0));
	close_fd(&self->l.fd);
	EXPECT_EQ(0, task_join(&self->task));
	EXPECT_EQ(-1, access(path, F_OK));
	if (has_iommufd())
		EXPECT_EQ(-ENODEV, group_flags(self->l.group));
}

/*
 * semantics: 87; defect: B23 (D8).  The unbound file of the device's own node is cut off
 * on ours, the one from the group is not: it always is as good as bound.
 */
TEST_F(group_removal, unbound_file)
{
	int cdev;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	cdev = cdev_open(&self->pci);
	ASSERT_GE(cdev, 0);
	EXPECT_EQ(-EINVAL, device_info(cdev));
	ASSERT_TRUE(unbind_waits(&self->task, &self->pci, self->kmsg, BLOCKED));
	EXPECT_EQ(BY_CORE(-EINVAL, -ENODEV), device_info(cdev));
	EXPECT_EQ(0, device_info(self->l.fd));
	close_fd(&self->l.fd);
	if (!core_is_rust())
		close_fd(&cdev);
	EXPECT_EQ(0, task_join(&self->task));
	close_fd(&cdev);
}

/* semantics: 88; defect: B23 (D9).  Who waits learns for whom. */
TEST_F(group_removal, holder_is_named)
{
	char line[512] = "", waiter[80], holder[64];

	ASSERT_TRUE(unbind_waits(&self->task, &self->pci, self->kmsg, BLOCKED));
	ASSERT_TRUE(unbind_says_who(&self->task, self->kmsg, line, sizeof(line)));
	snprintf(waiter, sizeof(waiter),
		 "task \"group_removal\" (%d) blocked until device is released",
		 self->task.pid);
	EXPECT_NE(NULL, strstr(line, waiter)) TH_LOG("%s", line);
	snprintf(holder, sizeof(holder), "\"group_removal\" (%d)", getpid());
	EXPECT_EQ(core_is_rust(), !!strstr(line, holder)) TH_LOG("%s", line);
	EXPECT_FALSE(task_ended(&self->task, 0));
	close_fd(&self->l.fd);
	EXPECT_EQ(0, task_join(&self->task));
}

static int open_another(void *arg)
{
	const struct racer *r = arg;
	int fd = group_device(r->group, r->pci->bdf);

	if (fd < 0)
		return fd;
	sysfs_write("/dev/kmsg", "vfio-selftest: the device is open\n");
	pause();
	return 0;
}

/* defect: B23 (D9).  Of several holders the message names one that still is one. */
TEST_F(group_removal, first_holder_has_gone)
{
	struct racer r = { self->l.group, -1, &self->pci };
	char line[512] = "", holder[64];
	struct task first;

	close_fd(&self->l.fd);
	ASSERT_EQ(0, task_start(&first, open_another, &r));
	ASSERT_TRUE(kmsg_wait(self->kmsg, "vfio-selftest: the device is open", EVENT_MS,
			      NULL, 0));
	self->l.fd = group_device(self->l.group, self->pci.bdf);
	ASSERT_GE(self->l.fd, 0);
	kill(first.pid, SIGKILL);
	EXPECT_EQ(-EPIPE, task_join(&first));
	ASSERT_TRUE(unbind_waits(&self->task, &self->pci, self->kmsg, BLOCKED));
	ASSERT_TRUE(unbind_says_who(&self->task, self->kmsg, line, sizeof(line)));
	snprintf(holder, sizeof(holder), "\"group_removal\" (%d)", getpid());
	EXPECT_EQ(core_is_rust(), !!strstr(line, holder)) TH_LOG("%s", line);
	close_fd(&self->l.fd);
	EXPECT_EQ(0, task_join(&self->task));
}

/* semantics: 87, 198.  A mapping is a hold as good as a descriptor. */
TEST_F(group_removal, mapping)
{
	volatile void *bar;
	size_t size;

	ASSERT_EQ(0, cdev_enable_dma(self->l.fd));
	bar = cdev_map_bar(self->l.fd, 0, &size);
	ASSERT_NE(NULL, bar);
	ASSERT_EQ(0, madvise((void *)bar, size, MADV_DONTFORK));
	legacy_close(&self->l);
	ASSERT_TRUE(unbind_waits(&self->task, &self->pci, self->kmsg, BLOCKED));
	EXPECT_TRUE(edu_alive(bar));
	EXPECT_FALSE(task_ended(&self->task, 0));
	ASSERT_EQ(0, munmap((void *)bar, size));
	EXPECT_EQ(0, task_join(&self->task));
}

static int open_and_pause(void *arg)
{
	struct legacy l;
	int ret = legacy_open(arg, &l);

	if (ret)
		return ret;
	sysfs_write("/dev/kmsg", "vfio-selftest: the device is open\n");
	pause();
	return 0;
}

/* semantics: 87, 197.  A killed holder holds no more. */
TEST_F(group_removal, killed_holder)
{
	struct task holder;

	legacy_close(&self->l);
	ASSERT_EQ(0, task_start_alone(&holder, open_and_pause, &self->pci));
	ASSERT_TRUE(kmsg_wait(self->kmsg, "vfio-selftest: the device is open", EVENT_MS,
			      NULL, 0));
	EXPECT_EQ(-EBUSY, group_open(&self->pci));
	ASSERT_TRUE(unbind_waits(&self->task, &self->pci, self->kmsg, BLOCKED));
	kill(holder.pid, SIGKILL);
	EXPECT_EQ(-EPIPE, task_join(&holder));
	EXPECT_EQ(0, task_join(&self->task));
}

/* semantics: 93.  The driver's module stays while its device is open. */
TEST_F(group_removal, module)
{
	char path[] = "/sys/module/vfio_pci/refcnt", text[16];
	int users;

	ASSERT_GT(sysfs_read(path, text, sizeof(text)), 0);
	users = atoi(text);
	EXPECT_EQ(-EWOULDBLOCK, module_unload("vfio_pci"));
	/* One reference for the open device, not one for each file. */
	for (int i = 0; i < 3; i++) {
		int fd = group_device(self->l.group, self->pci.bdf);

		ASSERT_GE(fd, 0);
		ASSERT_GT(sysfs_read(path, text, sizeof(text)), 0);
		EXPECT_EQ(users, atoi(text));
		close(fd);
	}
	close_fd(&self->l.fd);
	ASSERT_GT(sysfs_read(path, text, sizeof(text)), 0);
	EXPECT_EQ(users - 1, atoi(text));
	EXPECT_EQ(-EWOULDBLOCK, module_unload("vfio"));
}

#define ROUNDS 12

/* Opens the group and the device, over and over, until the race ends. */
static int open_and_close(void *arg)
{
	const struct racer *r = arg;
	int opened = 0;

	for (;;) {
		int group = group_open(r->pci), fd, ret;

		if (group < 0) {
			if (group != -ENOENT && group != -ENODEV && group != -ENXIO)
				return group;
			if (removal_race_ended())
				return opened;
			continue;
		}
		ret = space_set(group, r->space);
		/* The group may leave its container before that has a driver. */
		if (ret == -EINVAL && !has_iommufd())
			ret = -ENODEV;
		fd = ret ? -ENODEV : group_device(group, r->pci->bdf);
		if (ret && ret != -ENODEV)
			return ret;
		if (fd < 0 && fd != -ENODEV)
			return fd;
		if (fd >= 0) {
			opened++;
			ret = device_info(fd);
			close(fd);
		}
		close(group);
		if (ret && ret != -ENODEV)
			return ret;
	}
}

/* semantics: 86, 91, 150, 200.  Coming and going under a client's hands. */
TEST_F(group_removal, races)
{
	struct racer r = { .space = self->l.space, .pci = &self->pci };

	close_fd(&self->l.fd);
	close_fd(&self->l.group);
	EXPECT_GE(removal_race(&self->pci, ROUNDS, open_and_close, &r), 0);
}

/* Opens the device from a group that is shared, and closes it. */
static int open_device(void *arg)
{
	const struct racer *r = arg;

	for (int i = 0; i < 40; i++) {
		int fd = group_device(r->group, r->pci->bdf), ret;

		if (fd < 0)
			return fd;
		ret = device_info(fd);
		close(fd);
		if (ret)
			return ret;
	}
	return 0;
}

/* semantics: 97, 151.  First openings and last closings, from four threads at once. */
TEST_F(group_removal, threads)
{
	struct racer r = { self->l.group, -1, &self->pci };
	struct worker worker[4];

	close_fd(&self->l.fd);
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, worker_start(&worker[i], open_device, &r));
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(0, worker_join(&worker[i]));
	/* Nothing is left of it. */
	close_fd(&self->l.group);
	EXPECT_EQ(0, pci_unbind(&self->pci));
}

TEST_HARNESS_MAIN
