// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that gives a device up while somebody has it open: by unbinding, by
 * unloading.  The core waits for files that are bound; ours waits for no other, the
 * core in C for all.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "lib/cdev.h"
#include "lib/edu.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/removal.h"
#include "lib/task.h"
#include "lib/test.h"

FIXTURE(unregister) {
	struct pci pci;
	struct session s;
	int kmsg;
	char node[128];
	struct task task;
};

FIXTURE_SETUP(unregister)
{
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, session_open_unbound(&self->pci, &self->s));
	ASSERT_EQ(0, pci_cdev_path(&self->pci, self->node, sizeof(self->node)));
	self->kmsg = kmsg_open();
	ASSERT_GE(self->kmsg, 0);
}

FIXTURE_TEARDOWN(unregister)
{
	session_close(&self->s);
	close(self->kmsg);
	pci_to_vfio(&self->pci);
}

/* Every call on a file whose device is gone is -ENODEV. */
static bool is_revoked(int fd)
{
	char byte = 0, path[64], text[4096];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return cdev_bind(fd, fd, NULL) == -ENODEV && device_info(fd) == -ENODEV &&
	       xioctl(fd, _IO('x', 1), NULL) == -ENODEV &&
	       pread(fd, &byte, 1, 0) < 0 && errno == ENODEV &&
	       pwrite(fd, &byte, 1, 0) < 0 && errno == ENODEV &&
	       mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED &&
	       errno == ENODEV && sysfs_read(path, text, sizeof(text)) > 0;
}

/*
 * semantics: 40, 87, 90, 98, 126; defects: B23, B27 (D8).  Files that never were bound:
 * the core in C waits for the last of them, ours for none.
 */
TEST_F(unregister, unbound_files)
{
	int other = cdev_open(&self->pci), copy = dup(self->s.fd), fd;
	struct stat st;

	ASSERT_EQ(0, fstat(self->s.fd, &st));
	ASSERT_EQ(0, unbind_start(&self->task, &self->pci));
	if (!core_is_rust()) {
		EXPECT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
		EXPECT_TRUE(task_waits_for_users(&self->task));
		close_fd(&self->s.fd);
		close(other);
		EXPECT_FALSE(task_ended(&self->task, 0));
		close(copy);
		EXPECT_EQ(0, task_join(&self->task));
		EXPECT_EQ(-1, access(self->node, F_OK));
		return;
	}
	EXPECT_EQ(0, task_join(&self->task));
	EXPECT_EQ(-1, access(self->node, F_OK));
	EXPECT_TRUE(is_revoked(self->s.fd));
	EXPECT_TRUE(is_revoked(copy));
	EXPECT_TRUE(is_revoked(other));

	/* The next device of that name and number is another one. */
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	fd = cdev_open(&self->pci);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, cdev_bind(fd, self->s.iommufd, NULL));
	EXPECT_TRUE(is_revoked(self->s.fd));
	close_fd(&self->s.fd);
	close(copy);
	close(other);
	EXPECT_EQ(0, device_info(fd));
	close(fd);
}

/*
 * semantics: 40, 86, 88, 89, 90, 200; the file that is bound is asked by its eventfd to
 * let go, works on, and is waited for.
 */
TEST_F(unregister, bound_file)
{
	int32_t request = eventfd(0, EFD_CLOEXEC);
	uint32_t ioas, pt;

	ASSERT_EQ(0, cdev_bind(self->s.fd, self->s.iommufd, NULL));
	ASSERT_EQ(0, cdev_set_irqs(self->s.fd, VFIO_PCI_REQ_IRQ_INDEX,
				   VFIO_IRQ_SET_DATA_EVENTFD |
				   VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1,
				   &request));
	ASSERT_EQ(0, unbind_start(&self->task, &self->pci));
	EXPECT_TRUE(wait_readable(request, EVENT_MS));
	EXPECT_TRUE(kmsg_wait(self->kmsg, "Relaying device request to user",
			      EVENT_MS, NULL, 0));
	/* It cannot be opened any more ... */
	EXPECT_EQ(-1, open(self->node, O_RDWR));
	EXPECT_EQ(ENOENT, errno);
	/* ... but for who is in all is as before. */
	EXPECT_EQ(0, device_info(self->s.fd));
	ASSERT_EQ(0, ioas_alloc(self->s.iommufd, &ioas));
	pt = ioas;
	EXPECT_EQ(0, cdev_attach(self->s.fd, &pt));
	EXPECT_EQ(0, cdev_detach(self->s.fd));
	EXPECT_FALSE(task_ended(&self->task, 0));
	close_fd(&self->s.fd);
	EXPECT_EQ(0, task_join(&self->task));
	close(request);
}

/* semantics: 88; defect: B23.  Who waits learns for whom, once a signal comes. */
TEST_F(unregister, holders_are_named)
{
	char line[512] = "", waiter[64], holder[64];

	ASSERT_EQ(0, cdev_bind(self->s.fd, self->s.iommufd, NULL));
	ASSERT_EQ(0, unbind_start(&self->task, &self->pci));
	EXPECT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
	ASSERT_TRUE(unbind_says_who(&self->task, self->kmsg, line, sizeof(line)));
	snprintf(waiter, sizeof(waiter), "task \"unregister\" (%d) blocked until device is released",
		 self->task.pid);
	EXPECT_NE(NULL, strstr(line, waiter)) TH_LOG("%s", line);
	snprintf(holder, sizeof(holder), "\"unregister\" (%d)", getpid());
	EXPECT_EQ(core_is_rust(), !!strstr(line, holder)) TH_LOG("%s", line);
	/* The signal does not end the wait, and a second one is not heard. */
	EXPECT_FALSE(task_ended(&self->task, 0));
	ASSERT_EQ(0, kill(self->task.pid, SIGUSR1));
	sysfs_write("/dev/kmsg", "vfio-selftest: next line");
	EXPECT_FALSE(kmsg_wait(self->kmsg, IN_USE, 0, NULL, 0));
	EXPECT_FALSE(task_ended(&self->task, 0));
	EXPECT_EQ(0, device_info(self->s.fd));
	close_fd(&self->s.fd);
	EXPECT_EQ(0, task_join(&self->task));
	sysfs_write("/dev/kmsg", "vfio-selftest: next line");
	EXPECT_FALSE(kmsg_wait(self->kmsg, IN_USE, 0, NULL, 0));
}

/* semantics: 87; defect: B23.  The bound file is waited for, the other is not. */
TEST_F(unregister, bound_and_unbound)
{
	int other = cdev_open(&self->pci);

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, cdev_bind(self->s.fd, self->s.iommufd, NULL));
	ASSERT_EQ(0, unbind_start(&self->task, &self->pci));
	EXPECT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
	EXPECT_EQ(0, device_info(self->s.fd));
	EXPECT_FALSE(task_ended(&self->task, 0));
	EXPECT_EQ(BY_CORE(-EINVAL, -ENODEV), device_info(other));
	EXPECT_EQ(core_is_rust(), is_revoked(other));
	close_fd(&self->s.fd);
	if (core_is_rust()) {
		EXPECT_EQ(0, task_join(&self->task));
		EXPECT_TRUE(is_revoked(other));
		close(other);
	} else {
		EXPECT_FALSE(task_ended(&self->task, 0));
		close(other);
		EXPECT_EQ(0, task_join(&self->task));
	}
}

/*
 * semantics: 98, 200; D10.  A node that was kept by hand leads to a device that is
 * unregistered in C, and makes it stay longer; on ours it leads nowhere.
 */
TEST_F(unregister, kept_node)
{
	const char *kept = "/tmp/kept-vfio-node";
	struct stat st;
	int fd;

	ASSERT_EQ(0, fstat(self->s.fd, &st));
	unlink(kept);
	ASSERT_EQ(0, mknod(kept, S_IFCHR | 0600, st.st_rdev));
	/* The inode now knows the device. */
	fd = open(kept, O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	close(fd);
	ASSERT_EQ(0, cdev_bind(self->s.fd, self->s.iommufd, NULL));
	ASSERT_EQ(0, unbind_start(&self->task, &self->pci));
	EXPECT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
	fd = open(kept, O_RDWR | O_CLOEXEC);
	EXPECT_EQ(BY_CORE(0, -ENODEV), fd < 0 ? -errno : 0);
	close_fd(&self->s.fd);
	if (fd >= 0) {
		EXPECT_FALSE(task_ended(&self->task, 0));
		close(fd);
	}
	EXPECT_EQ(0, task_join(&self->task));
	unlink(kept);
}

/* semantics: 87, 198.  A mapping is a hold as good as a descriptor. */
TEST_F(unregister, mapping)
{
	size_t size;
	void *bar = session_to_mapping(&self->s, &size);

	ASSERT_NE(NULL, bar);
	ASSERT_EQ(0, unbind_start(&self->task, &self->pci));
	EXPECT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
	EXPECT_TRUE(edu_alive(bar));
	EXPECT_FALSE(task_ended(&self->task, 0));
	ASSERT_EQ(0, munmap(bar, size));
	EXPECT_EQ(0, task_join(&self->task));
}

/* semantics: 87, 197.  A killed holder holds no more. */
TEST_F(unregister, killed_holder)
{
	pid_t pid;

	close_fd(&self->s.fd);
	ASSERT_EQ(0, holder_start(&self->pci, &pid));
	ASSERT_EQ(0, unbind_start(&self->task, &self->pci));
	EXPECT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT_EQ(0, task_join(&self->task));
}

struct racer {
	const char *node;
	int iommufd;
};

/* Opens, binds and closes until the race ends. */
static int open_and_bind(void *arg)
{
	struct racer *r = arg;
	int bound = 0;

	for (;;) {
		int fd = open(r->node, O_RDWR | O_CLOEXEC), ret;

		if (fd < 0 && errno != ENOENT && errno != ENODEV &&
		    errno != ENXIO)
			return -errno;
		if (fd < 0) {
			if (removal_race_ended())
				return bound;
			continue;
		}
		ret = cdev_bind(fd, r->iommufd, NULL);
		close(fd);
		if (ret && ret != -ENODEV)
			return ret;
		bound += !ret;
	}
}

/* semantics: 86, 98, 200.  Coming and going under a client's hands. */
TEST_F(unregister, races)
{
	struct racer r = { self->node, self->s.iommufd };

	close_fd(&self->s.fd);
	EXPECT_GT(removal_race(&self->pci, 40, open_and_bind, &r), 0);
}

/*
 * semantics: 9, 12, 13, 93; defects: B23, B27.  Modules stay while they are needed.  A
 * file that is not bound needs the core alone.
 */
TEST_F(unregister, unload)
{
	bool groups = has_groups();

	ASSERT_EQ(0, cdev_bind(self->s.fd, self->s.iommufd, NULL));
	EXPECT_EQ(-EWOULDBLOCK, module_unload("vfio_pci"));
	EXPECT_EQ(-EWOULDBLOCK, module_unload("vfio"));
	close_fd(&self->s.fd);
	EXPECT_EQ(-EWOULDBLOCK, module_unload("vfio"));

	/*
	 * The core in C would wait for this file, and its last close could then
	 * run into a driver that is gone.
	 */
	if (core_is_rust()) {
		self->s.fd = cdev_open(&self->pci);
		ASSERT_GE(self->s.fd, 0);
	}
	ASSERT_EQ(0, module_unload("vfio_pci"));
	ASSERT_EQ(0, module_unload("vfio_pci_core"));
	module_unload("vfio_iommu_type1");
	/* Drivers that other tests leave behind. */
	module_unload("vfio_testdrv");
	module_unload("mtty");
	module_unload("mdev");
	if (core_is_rust()) {
		EXPECT_TRUE(is_revoked(self->s.fd));
		EXPECT_EQ(-EWOULDBLOCK, module_unload("vfio"));
		EXPECT_TRUE(is_revoked(self->s.fd));
		close_fd(&self->s.fd);
	}
	ASSERT_EQ(0, module_unload("vfio"));
	EXPECT_EQ(-1, access("/sys/class/vfio-dev", F_OK));
	EXPECT_EQ(-1, access("/sys/class/vfio", F_OK));

	ASSERT_EQ(0, module_load("vfio"));
	EXPECT_TRUE(kmsg_wait(self->kmsg,
			      "VFIO - User Level meta-driver version: 0.3",
			      EVENT_MS, NULL, 0));
	EXPECT_EQ(0, access("/sys/class/vfio-dev", F_OK));
	EXPECT_EQ(groups, has_groups());
	if (module_file("vfio_iommu_type1") >= 0)
		ASSERT_EQ(0, module_load("vfio_iommu_type1"));
	ASSERT_EQ(0, module_load("vfio_pci_core"));
	ASSERT_EQ(0, module_load("vfio_pci"));
	EXPECT_EQ(0, pci_to_vfio(&self->pci));
	EXPECT_EQ(0, access(self->node, F_OK));
}

TEST_HARNESS_MAIN
