// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices without an IOMMU: not for user space, unless the administrator says so;
 * then with other names, for the privileged alone, and with a taint.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/cdev.h"
#include "lib/edu.h"
#include "lib/fault.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/noiommu.h"
#include "lib/test.h"
#include "lib/testdev.h"

#define DRIVER "/sys/bus/pci/drivers/vfio-pci"
#define TAINT_USER (1 << 6)

static bool user_taint(void)
{
	char text[32];

	if (sysfs_read("/proc/sys/kernel/tainted", text, sizeof(text)) <= 0)
		abort();
	return strtoul(text, NULL, 10) & TAINT_USER;
}

static bool lockdep_is_on(void)
{
	static char text[65536];

	if (sysfs_read("/proc/lockdep_stats", text, sizeof(text)) <= 0)
		abort();
	return strstr(text, "debug_locks:                             1");
}

static int try_bind(const struct pci *pci)
{
	return sysfs_write(DRIVER "/bind", pci->bdf);
}

FIXTURE(noiommu) {
	struct pci pci;
	int log;
};

FIXTURE_SETUP(noiommu)
{
	if (pci_find_bare(EDU, 0, &self->pci))
		SKIP(return, "no edu device without an IOMMU");
	if (access(NOIOMMU_PARAMETER, F_OK))
		SKIP(return, "a kernel without VFIO_NOIOMMU");
	ASSERT_EQ(0, pci_attr_set(&self->pci, "driver_override", "vfio-pci"));
	self->log = kmsg_open();
	ASSERT_GE(self->log, 0);
}

FIXTURE_TEARDOWN(noiommu)
{
	pci_unbind(&self->pci);
	set_noiommu("N");
	close(self->log);
}

/* One probe of which the @n-th allocation fails; false if there is no such. */
static bool failing_probe(const struct pci *pci, int fault, unsigned int n,
			  int *ret)
{
	int bind = open(DRIVER "/bind", O_WRONLY | O_CLOEXEC);
	bool hit;

	fault_arm(fault, n);
	*ret = write(bind, pci->bdf, strlen(pci->bdf)) < 0 ? -errno : 0;
	hit = fault_disarm(fault);
	close(bind);
	return hit;
}

/*
 * semantics: 78, 83, 188; defect: B15.  First of all, as a taint stays.  Who was
 * refused has not tainted the kernel, and who was not has.  Both cores are too early
 * if memory runs out in device_add(): nothing can refuse the device any more then.
 */
TEST_F(noiommu, taint)
{
	const char *message = has_groups() ? NOIOMMU_GROUP_MESSAGE : NOIOMMU_CDEV_MESSAGE;
	int fault = fault_open(), ret, failures = 0, tainting = 0;
	bool hit = true;

	if (user_taint())
		SKIP(return, "tainted already");
	ASSERT_TRUE(set_noiommu("N"));
	EXPECT_EQ(-EINVAL, try_bind(&self->pci));
	EXPECT_FALSE(user_taint());
	EXPECT_FALSE(logged(self->log, "taint"));

	ASSERT_TRUE(set_noiommu("Y"));
	if (fault < 0) {
		TH_LOG("no fault injection in this kernel");
		hit = false;
	}
	/* B5: the core in C warns on its own error path. */
	kmsg_expect_warning(true, "c");
	for (unsigned int n = 1; hit; n++) {
		bool before = user_taint(), line;

		ASSERT_LT(n, 1000);
		hit = failing_probe(&self->pci, fault, n, &ret);
		line = logged(self->log, message);
		if (ret) {
			EXPECT_TRUE(hit);
			EXPECT_EQ(-ENOMEM, ret);
			EXPECT_EQ(-1, noiommu_group_of(&self->pci));
			failures++;
			tainting += line;
		} else {
			EXPECT_TRUE(line);
			EXPECT_EQ(has_groups(), noiommu_group_of(&self->pci) != -1);
			ASSERT_EQ(0, sysfs_write(DRIVER "/unbind",
						 self->pci.bdf));
		}
		/* The taint and the word of it come together. */
		EXPECT_EQ(before || line, user_taint());
	}
	kmsg_expect_warning(false, "c");
	if (fault >= 0) {
		EXPECT_GT(failures - tainting, 20);
		close(fault);
	}

	EXPECT_EQ(0, try_bind(&self->pci));
	EXPECT_TRUE(user_taint());
	/* It says nothing against lockdep. */
	if (!access("/proc/lockdep_stats", F_OK))
		EXPECT_TRUE(lockdep_is_on());
}

/* semantics: 7, 8.  Off when the module comes, and for the administrator to turn. */
TEST_F(noiommu, parameter)
{
	static const char *const modules[] = {
		"vfio_pci", "vfio_pci_core", "vfio_iommu_type1", "vfio"
	};
	bool had[4];
	struct stat st;
	char text[16];

	ASSERT_EQ(0, stat(NOIOMMU_PARAMETER, &st));
	EXPECT_EQ(S_IFREG | 0644, st.st_mode);
	for (int on = 0; on < 2; on++) {
		ASSERT_TRUE(set_noiommu(on ? "1" : "0"));
		ASSERT_GT(sysfs_read(NOIOMMU_PARAMETER, text, sizeof(text)), 0);
		EXPECT_STREQ(on ? "Y" : "N", text);
		ASSERT_TRUE(set_noiommu(on ? "y" : "n"));
		ASSERT_GT(sysfs_read(NOIOMMU_PARAMETER, text, sizeof(text)), 0);
		EXPECT_STREQ(on ? "Y" : "N", text);
		EXPECT_EQ(-EINVAL, sysfs_write(NOIOMMU_PARAMETER, "maybe"));
	}
	for (int i = 0; i < 4; i++) {
		had[i] = module_loaded(modules[i]);
		if (had[i])
			ASSERT_EQ(0, module_unload(modules[i]));
	}
	EXPECT_EQ(-1, access(NOIOMMU_PARAMETER, F_OK));
	for (int i = 3; i >= 0; i--) {
		if (had[i])
			ASSERT_EQ(0, module_load(modules[i]));
	}
	ASSERT_GT(sysfs_read(NOIOMMU_PARAMETER, text, sizeof(text)), 0);
	EXPECT_STREQ("N", text);
}

/* semantics: 7, 78.  Refused while it is off, and nothing is left of the attempt. */
TEST_F(noiommu, off)
{
	char name[64];

	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(-EINVAL, try_bind(&self->pci));
		pci_driver(&self->pci, name, sizeof(name));
		EXPECT_STREQ("", name);
		EXPECT_NE(0, pci_vfio_name(&self->pci, name, sizeof(name)));
		EXPECT_EQ(-1, noiommu_group_of(&self->pci));
		EXPECT_NE(0, sysfs_entry("/sys/class/vfio-dev", 0, name,
					 sizeof(name)));
		EXPECT_NE(0, sysfs_entry("/sys/class/vfio", 0, name,
					 sizeof(name)));
	}
	EXPECT_FALSE(logged(self->log, "taint"));

	/* It is looked at whenever a device comes, and only then. */
	ASSERT_TRUE(set_noiommu("Y"));
	EXPECT_EQ(0, try_bind(&self->pci));
	ASSERT_TRUE(set_noiommu("N"));
	name[0] = '\0';
	EXPECT_EQ(0, pci_vfio_name(&self->pci, name, sizeof(name)));
	EXPECT_EQ(noiommu_has_nodes(), !strncmp(name, "noiommu-", 8));
	ASSERT_EQ(0, sysfs_write(DRIVER "/unbind", self->pci.bdf));
	EXPECT_EQ(-EINVAL, try_bind(&self->pci));
}

/* A device that user space may have. */
FIXTURE(noiommu_on) {
	struct pci pci;
	char node[128], group[128];
	int log, iommufd, fd;
	uint32_t devid;
};

FIXTURE_SETUP(noiommu_on)
{
	if (pci_find_bare(EDU, 0, &self->pci))
		SKIP(return, "no edu device without an IOMMU");
	if (!set_noiommu("Y"))
		SKIP(return, "a kernel without VFIO_NOIOMMU");
	self->log = kmsg_open();
	ASSERT_GE(self->log, 0);
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	ASSERT_EQ(0, pci_cdev_path(&self->pci, self->node, sizeof(self->node)));
	noiommu_group_path(&self->pci, self->group, sizeof(self->group));
	self->iommufd = iommufd_open();
	ASSERT_GE(self->iommufd, 0);
	self->fd = -1;
}

FIXTURE_TEARDOWN(noiommu_on)
{
	close(self->fd);
	close(self->iommufd);
	close(self->log);
	pci_unbind(&self->pci);
	set_noiommu("N");
}

/* semantics: 24, 26, 27, 30, 83.  What it is called, and what is said. */
TEST_F(noiommu_on, names)
{
	char path[256], text[512], want[128], *name;
	int group = noiommu_group_of(&self->pci);
	unsigned int minor_number;
	struct stat st;

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	if (!noiommu_has_nodes())
		SKIP(return, NO_NOIOMMU_NODES);
	ASSERT_GE(group, 0);
	snprintf(want, sizeof(want), "%s: Adding to iommu group %d",
		 self->pci.bdf, group);
	EXPECT_TRUE(logged(self->log, want));
	snprintf(want, sizeof(want), "vfio-pci %s: " NOIOMMU_GROUP_MESSAGE,
		 self->pci.bdf);
	EXPECT_TRUE(logged(self->log, want));
	snprintf(want, sizeof(want), "vfio-pci %s: " NOIOMMU_CDEV_MESSAGE,
		 self->pci.bdf);
	EXPECT_TRUE(logged(self->log, want));
	EXPECT_FALSE(logged(self->log, "taint"));

	name = strrchr(self->node, '/') + 1;
	ASSERT_EQ(0, strncmp(name, "noiommu-vfio", 12));
	minor_number = strtoul(name + 12, NULL, 10);
	ASSERT_EQ(0, stat(self->node, &st));
	EXPECT_EQ(S_IFCHR | 0600, st.st_mode);
	EXPECT_EQ(minor_number, minor(st.st_rdev));
	ASSERT_EQ(0, stat(self->group, &st));
	EXPECT_EQ(S_IFCHR | 0600, st.st_mode);

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/name", group);
	ASSERT_GT(sysfs_read(path, text, sizeof(text)), 0);
	EXPECT_STREQ("vfio-noiommu", text);
	snprintf(path, sizeof(path), "/sys/class/vfio/noiommu-%d/uevent", group);
	ASSERT_GT(sysfs_read(path, text, sizeof(text)), 0);
	snprintf(want, sizeof(want), "DEVNAME=vfio/noiommu-%d", group);
	EXPECT_NE(NULL, strstr(text, want));
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s/uevent", name);
	ASSERT_GT(sysfs_read(path, text, sizeof(text)), 0);
	snprintf(want, sizeof(want), "DEVNAME=vfio/devices/noiommu-vfio%u",
		 minor_number);
	EXPECT_NE(NULL, strstr(text, want));

	/* All of it goes. */
	ASSERT_EQ(0, pci_unbind(&self->pci));
	EXPECT_EQ(-1, access(self->node, F_OK));
	EXPECT_EQ(-1, access(self->group, F_OK));
	EXPECT_EQ(-1, noiommu_group_of(&self->pci));
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d", group);
	EXPECT_EQ(-1, access(path, F_OK));
	snprintf(path, sizeof(path), "/sys/class/vfio/noiommu-%d", group);
	EXPECT_EQ(-1, access(path, F_OK));
}

/* semantics: 24, 26, 83, 84.  On a kernel that gives it no file of its own it has its group's alone. */
TEST_F(noiommu_on, no_node)
{
	char name[64], path[128], text[512], group[64];

	if (noiommu_has_nodes())
		SKIP(return, "a kernel whose devices without an IOMMU have files of their own");
	EXPECT_TRUE(logged(self->log, NOIOMMU_GROUP_MESSAGE));
	EXPECT_FALSE(logged(self->log, "taint"));
	ASSERT_EQ(0, pci_vfio_name(&self->pci, name, sizeof(name)));
	EXPECT_EQ(0, strncmp(name, "vfio", 4));
	EXPECT_EQ(-ENOENT, open_node(self->node));
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s/dev", name);
	EXPECT_EQ(-1, access(path, F_OK));
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s/uevent", name);
	ASSERT_GE(sysfs_read(path, text, sizeof(text)), 0);
	EXPECT_EQ(NULL, strstr(text, "MAJOR="));

	snprintf(group, sizeof(group), "noiommu-%d", noiommu_group_of(&self->pci));
	EXPECT_STREQ(group, strrchr(self->group, '/') + 1);
	EXPECT_EQ(0, access(self->group, F_OK));
	ASSERT_EQ(0, pci_unbind(&self->pci));
	EXPECT_EQ(-1, access(self->group, F_OK));
	EXPECT_EQ(-1, noiommu_group_of(&self->pci));
}

/* semantics: 24, 30.  Each device is a group of its own. */
TEST_F(noiommu_on, two_devices)
{
	const bool nodes = noiommu_has_nodes();
	char path[128];
	struct pci other;

	if (pci_find_bare(EDU, 1, &other))
		SKIP(return, "no second edu device");
	ASSERT_EQ(0, pci_to_vfio(&other));
	EXPECT_EQ(has_groups(), noiommu_group_of(&self->pci) != noiommu_group_of(&other));
	ASSERT_EQ(0, pci_cdev_path(&other, path, sizeof(path)));
	EXPECT_STRNE(self->node, path);
	EXPECT_EQ(nodes, logged(self->log, NOIOMMU_CDEV_MESSAGE));
	EXPECT_EQ(nodes, logged(self->log, NOIOMMU_CDEV_MESSAGE));
	EXPECT_EQ(0, pci_unbind(&other));
	EXPECT_EQ(nodes, !access(self->node, F_OK));
	EXPECT_EQ(has_groups(), !access(self->group, F_OK));
}

/* In a child without the capability. */
static int open_it(void *path)
{
	int fd = open_node(path);

	return fd < 0 ? fd : 0;
}

static int opens_unprivileged(const char *path)
{
	return without_rawio(open_it, (void *)path);
}

/* semantics: 98, 144, 187.  Not for everybody who may open the file. */
TEST_F(noiommu_on, capability)
{
	const char *const stale = "/tmp/stale-noiommu";
	struct stat st;
	int fd;

	if (has_groups()) {
		EXPECT_EQ(-EPERM, opens_unprivileged(self->group));
		/* The capability comes before the exclusion. */
		fd = open_node(self->group);
		EXPECT_GE(fd, 0);
		EXPECT_EQ(-EBUSY, open_node(self->group));
		EXPECT_EQ(-EPERM, opens_unprivileged(self->group));
		close(fd);
	}
	if (!noiommu_has_nodes())
		return;
	EXPECT_EQ(-EPERM, opens_unprivileged(self->node));
	fd = open_node(self->node);
	EXPECT_GE(fd, 0);
	close(fd);
	/* The device comes before the capability. */
	ASSERT_EQ(0, stat(self->node, &st));
	unlink(stale);
	ASSERT_EQ(0, mknod(stale, S_IFCHR | 0600, st.st_rdev));
	EXPECT_EQ(-EPERM, opens_unprivileged(stale));
	ASSERT_EQ(0, pci_unbind(&self->pci));
	EXPECT_EQ(-ENXIO, opens_unprivileged(stale));
	unlink(stale);
}

static int bind_it(void *arg)
{
	const int *fds = arg;

	return cdev_bind(fds[0], fds[1], NULL);
}

/* semantics: 187, 194; defect: B16.  An open file is as good in other hands. */
TEST_F(noiommu_on, passed_file)
{
	int fds[2];

	if (!noiommu_has_nodes())
		SKIP(return, NO_NOIOMMU_NODES);
	self->fd = open_node(self->node);
	ASSERT_GE(self->fd, 0);
	fds[0] = self->fd;
	fds[1] = self->iommufd;
	EXPECT_EQ(0, without_rawio(bind_it, fds));
	EXPECT_EQ(-EINVAL, cdev_bind(self->fd, self->iommufd, NULL));
}

/* semantics: 103, 106, 107, 110, 144, 154.  BIND as on any device. */
TEST_F(noiommu_on, bind)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = -1,
	};
	int fd, other, group;

	if (!noiommu_has_nodes())
		SKIP(return, NO_NOIOMMU_NODES);
	fd = open_node(self->node);
	other = open_node(self->node);
	ASSERT_GE(fd, 0);
	ASSERT_GE(other, 0);
	self->fd = fd;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_GET_INFO, NULL));
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, NULL));
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	EXPECT_EQ(-EBADF, cdev_bind(fd, 1000, NULL));
	EXPECT_EQ(-EBADFD, cdev_bind(fd, self->log, NULL));
	EXPECT_EQ(-EINVAL, cdev_bind_token(fd, self->iommufd, "0123456789abcdef",
					   NULL));
	if (has_groups()) {
		group = open_node(self->group);
		EXPECT_GE(group, 0);
		EXPECT_EQ(-EBUSY, cdev_bind(fd, self->iommufd, NULL));
		close(group);
	}

	/* Whatever the parameter says by now. */
	ASSERT_TRUE(set_noiommu("N"));
	ASSERT_EQ(0, cdev_bind(fd, self->iommufd, &self->devid));
	EXPECT_GE(self->devid, 1);
	EXPECT_EQ(has_groups() ? -EBUSY : -ENOENT, open_node(self->group));
	EXPECT_EQ(-EINVAL, cdev_bind(fd, self->iommufd, NULL));
	EXPECT_EQ(-EINVAL, cdev_bind(other, self->iommufd, NULL));
	EXPECT_FALSE(logged(self->log, "opened by user"));
	close(other);
	close(fd);
	self->fd = -1;
	if (has_groups()) {
		group = open_node(self->group);
		EXPECT_GE(group, 0);
		close(group);
	}
}

/* semantics: 65, 66, 112, 114, 115.  A page table that no device looks at. */
TEST_F(noiommu_on, attach)
{
	uint32_t ioas[2], pt;

	if (!noiommu_has_nodes())
		SKIP(return, NO_NOIOMMU_NODES);
	self->fd = open_node(self->node);
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, &self->devid));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &ioas[0]));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &ioas[1]));
	pt = 10000;
	EXPECT_EQ(-ENOENT, cdev_attach(self->fd, &pt));
	pt = self->devid;
	EXPECT_EQ(-EINVAL, cdev_attach(self->fd, &pt));
	pt = ioas[0];
	EXPECT_EQ(0, cdev_attach(self->fd, &pt));
	EXPECT_NE(ioas[0], pt);
	pt = ioas[1];
	EXPECT_EQ(0, cdev_attach(self->fd, &pt));
	EXPECT_EQ(0, cdev_detach(self->fd));
	EXPECT_EQ(0, cdev_detach(self->fd));
	pt = ioas[0];
	EXPECT_EQ(0, cdev_attach(self->fd, &pt));
}

/* semantics: 120, 122.  It works, by physical addresses. */
TEST_F(noiommu_on, device)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	uint32_t *page = pages_alloc(4096), ioas, pt;
	const uint64_t iova = 0x10000;
	uint64_t phys;
	struct pci testdev;
	size_t size;
	void *bar;

	if (!noiommu_has_nodes())
		SKIP(return, NO_NOIOMMU_NODES);
	self->fd = open_node(self->node);
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, &self->devid));
	EXPECT_EQ(0, xioctl(self->fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_PCI);
	ASSERT_EQ(0, cdev_enable_dma(self->fd));
	bar = cdev_map_bar(self->fd, 0, &size);
	ASSERT_NE(NULL, bar);
	EXPECT_TRUE(edu_alive(bar));
	munmap(bar, size);
	close(self->fd);

	if (pci_find_bare(TESTDEV, 0, &testdev))
		SKIP(return, "no iommu-testdev");
	ASSERT_TRUE(set_noiommu("Y"));
	ASSERT_EQ(0, pci_to_vfio(&testdev));
	self->fd = cdev_open(&testdev);
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	ASSERT_EQ(0, cdev_enable_dma(self->fd));
	bar = cdev_map_bar(self->fd, 0, &size);
	ASSERT_NE(NULL, bar);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &ioas));
	pt = ioas;
	ASSERT_EQ(0, cdev_attach(self->fd, &pt));
	ASSERT_EQ(0, ioas_map(self->iommufd, ioas, page, 4096, iova));
	/* iommufd keeps the page where it is, and says where that is. */
	ASSERT_EQ(0, noiommu_phys(self->iommufd, ioas, iova, &phys));
	EXPECT_EQ(phys_of(page), phys);
	EXPECT_EQ(TESTDEV_OK, testdev_dma(bar, phys, page, 16));
	EXPECT_EQ(TESTDEV_PATTERN, page[0]);
	munmap(bar, size);
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, pci_unbind(&testdev));
}

/* semantics: 146.  The group, as far as it goes without a container. */
TEST_F(noiommu_on, group_status)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int group;

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	group = open_node(self->group);
	ASSERT_GE(group, 0);
	EXPECT_EQ(0, xioctl(group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, status.flags);
	ASSERT_EQ(0, pci_unbind(&self->pci));
	EXPECT_EQ(-ENODEV, xioctl(group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_EQ(-1, access(self->group, F_OK));
	close(group);
}

#define ROUNDS 300

/* Turns the parameter on and off until told to stop. */
static void *toggle(void *arg)
{
	int fd = open(NOIOMMU_PARAMETER, O_WRONLY | O_CLOEXEC);

	for (int i = 0; !*(atomic_bool *)arg; i++)
		if (pwrite(fd, i & 1 ? "Y" : "N", 1, 0) != 1)
			abort();
	close(fd);
	return NULL;
}

/*
 * semantics: 7, 24, 26; defects: B13, B15.  One registration goes by one value of the
 * parameter: on ours names of device and group agree.  The core in C looks twice.
 */
TEST_F(noiommu, parameter_flips)
{
	const bool nodes = noiommu_has_nodes();
	int on = 0, off = 0, mixed = 0;
	atomic_bool stop = false;
	pthread_t thread;

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	ASSERT_EQ(0, pthread_create(&thread, NULL, toggle, &stop));
	/* Until both have come about, however seldom the other thread runs. */
	for (int i = 0; i < ROUNDS || ((!on || !off) && i < 100 * ROUNDS); i++) {
		int ret = try_bind(&self->pci);
		char name[64], path[128];
		bool device, group;

		/* Whatever was read when: who is refused has tainted nothing. */
		EXPECT_EQ(!ret, logged(self->log, NOIOMMU_GROUP_MESSAGE));
		if (ret) {
			EXPECT_EQ(-EINVAL, ret);
			EXPECT_EQ(-1, noiommu_group_of(&self->pci));
			off++;
			continue;
		}
		on++;
		EXPECT_EQ(0, pci_vfio_name(&self->pci, name, sizeof(name)));
		device = !strncmp(name, "noiommu-vfio", 12);
		if (!nodes)
			EXPECT_FALSE(device);
		noiommu_group_path(&self->pci, path, sizeof(path));
		group = !access(path, F_OK);
		/* Without an IOMMU there is no other group. */
		EXPECT_TRUE(group);
		mixed += nodes && device != group;
		EXPECT_EQ(0, sysfs_write(DRIVER "/unbind", self->pci.bdf));
	}
	stop = true;
	pthread_join(thread, NULL);
	TH_LOG("%d registered, %d refused, %d with names that disagree", on, off,
	       mixed);
	EXPECT_GT(on, 0);
	EXPECT_GT(off, 0);
	if (core_is_rust())
		EXPECT_EQ(0, mixed);
}

/* semantics: 7, 78.  A device that no IOMMU confines is none, and nobody can say otherwise. */
TEST(absent)
{
	struct pci pci;
	char name[64];

	if (!access(NOIOMMU_PARAMETER, F_OK))
		SKIP(return, "a kernel with VFIO_NOIOMMU");
	if (pci_find_bare(EDU, 0, &pci))
		SKIP(return, "no edu device without an IOMMU");
	EXPECT_EQ(-ENXIO, pci_to_vfio(&pci));
	EXPECT_NE(0, pci_vfio_name(&pci, name, sizeof(name)));
	EXPECT_EQ(-1, noiommu_group_of(&pci));
	EXPECT_EQ(0, pci_unbind(&pci));
}

TEST_HARNESS_MAIN
