// SPDX-License-Identifier: GPL-2.0-only
/*
 * The group's node with an iommufd in the place of a container: what its ioctls say,
 * in which order, and what a call that failed leaves behind.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/test.h"

#define PAGE 4096u
#define IOVA 0x10000000ULL

FIXTURE(group_iommufd) {
	struct pci a, b;	/* in one group */
	int group, iommufd, other;
};

FIXTURE_SETUP(group_iommufd)
{
	self->group = -1;
	self->iommufd = -1;
	self->other = -1;
	if (pci_find_pair(EDU, &self->a, &self->b))
		SKIP(return, "no two edu devices in one group");
	ASSERT_EQ(0, pci_to_vfio(&self->a));
	ASSERT_EQ(0, pci_to_vfio(&self->b));
	self->group = group_open(&self->a);
	ASSERT_GE(self->group, 0);
	self->iommufd = iommufd_open();
	self->other = iommufd_open();
	ASSERT_GE(self->iommufd, 0);
	ASSERT_GE(self->other, 0);
}

FIXTURE_TEARDOWN(group_iommufd)
{
	close_fd(&self->group);
	close_fd(&self->iommufd);
	close_fd(&self->other);
	pci_to_vfio(&self->a);
	pci_to_vfio(&self->b);
}

/* semantics: 146, 147, 149.  Set, unset, and what the status says of it. */
TEST_F(group_iommufd, status)
{
	struct vfio_group_status status = { .argsz = 100, .flags = ~0u };

	EXPECT_EQ(GROUP_VIABLE, group_flags(self->group));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, group_set(self->group, i & 1 ? self->other : self->iommufd));
		EXPECT_EQ(GROUP_SET, group_flags(self->group));
		EXPECT_EQ(0, xioctl(self->group, VFIO_GROUP_GET_STATUS, &status));
		EXPECT_EQ(100, status.argsz);
		ASSERT_EQ(0, group_unset(self->group));
		EXPECT_EQ(GROUP_VIABLE, group_flags(self->group));
	}
}

/* semantics: 146, 155.  The file takes with it what was set. */
TEST_F(group_iommufd, closed)
{
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	close(self->group);
	self->group = group_open(&self->b);
	ASSERT_GE(self->group, 0);
	EXPECT_EQ(GROUP_VIABLE, group_flags(self->group));
	EXPECT_EQ(-EINVAL, group_unset(self->group));
	EXPECT_EQ(-EINVAL, group_device(self->group, self->a.bdf));
}

/* semantics: 147.  Each reason, and which of two wins. */
TEST_F(group_iommufd, set_container_errors)
{
	int event = eventfd(0, EFD_CLOEXEC), cdev = cdev_open(&self->a);
	int path = open("/dev/iommu", O_PATH | O_CLOEXEC);
	int32_t *edge = edge_alloc(3);
	const int wrong[] = { event, cdev, self->group };

	ASSERT_GE(event, 0);
	ASSERT_GE(cdev, 0);
	ASSERT_GE(path, 0);
	memset(edge, 0, 3);
	for (int set = 0; set < 2; set++) {
		EXPECT_EQ(-EFAULT, xioctl(self->group, VFIO_GROUP_SET_CONTAINER, NULL));
		EXPECT_EQ(-EFAULT, xioctl(self->group, VFIO_GROUP_SET_CONTAINER, edge));
		EXPECT_EQ(-EBADF, group_set(self->group, -1));
		EXPECT_EQ(-EBADF, group_set(self->group, 1000));
		EXPECT_EQ(-EBADF, group_set(self->group, INT32_MIN));
		EXPECT_EQ(-EBADF, group_set(self->group, path));
		for (int i = 0; i < 3; i++)
			EXPECT_EQ(set ? -EINVAL : -EBADFD, group_set(self->group, wrong[i]));
		if (set) {
			EXPECT_EQ(-EINVAL, group_set(self->group, self->iommufd));
			EXPECT_EQ(-EINVAL, group_set(self->group, self->other));
			EXPECT_EQ(GROUP_SET, group_flags(self->group));
			break;
		}
		EXPECT_EQ(GROUP_VIABLE, group_flags(self->group));
		EXPECT_EQ(-EINVAL, group_unset(self->group));
		/* Four bytes are all that is read. */
		edge = edge_alloc(4);
		*edge = self->iommufd;
		ASSERT_EQ(0, xioctl(self->group, VFIO_GROUP_SET_CONTAINER, edge));
		edge = edge_alloc(3);
	}
	close(event);
	close(cdev);
	close(path);
}

/* semantics: 149.  The argument is none. */
TEST_F(group_iommufd, unset)
{
	EXPECT_EQ(-EINVAL, group_unset(self->group));
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	EXPECT_EQ(0, xioctl(self->group, VFIO_GROUP_UNSET_CONTAINER, (void *)1));
	EXPECT_EQ(-EINVAL, group_unset(self->group));
}

/* semantics: 147.  The address space that the ioctls of containers work on. */
TEST_F(group_iommufd, compat_ioas)
{
	uint32_t id, again, own;

	EXPECT_EQ(-ENODEV, compat_ioas_get(self->iommufd, &id));
	EXPECT_EQ(-ENODEV, compat_map(self->iommufd, pages_alloc(PAGE), PAGE, IOVA));
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	ASSERT_EQ(0, compat_ioas_get(self->iommufd, &id));
	EXPECT_EQ(0, compat_map(self->iommufd, pages_alloc(PAGE), PAGE, IOVA));
	/* It stays, and serves the next. */
	ASSERT_EQ(0, group_unset(self->group));
	EXPECT_EQ(0, compat_ioas_get(self->iommufd, &again));
	EXPECT_EQ(id, again);
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	EXPECT_EQ(0, compat_ioas_get(self->iommufd, &again));
	EXPECT_EQ(id, again);
	EXPECT_EQ(0, compat_unmap(self->iommufd, IOVA, PAGE));

	/* One that is there already is taken. */
	ASSERT_EQ(0, group_unset(self->group));
	ASSERT_EQ(0, ioas_alloc(self->other, &own));
	ASSERT_EQ(0, compat_ioas_set(self->other, own));
	ASSERT_EQ(0, group_set(self->group, self->other));
	EXPECT_EQ(0, compat_ioas_get(self->other, &again));
	EXPECT_EQ(own, again);
}

/* semantics: 147.  An old program asks the iommufd what it would ask a container. */
TEST_F(group_iommufd, container_ioctls)
{
	int fd = self->iommufd;

	EXPECT_EQ(0, xioctl(fd, VFIO_GET_API_VERSION, NULL));
	EXPECT_EQ(-ENODEV, xioctl(fd, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, group_set(self->group, fd));
	EXPECT_EQ(1, xioctl(fd, VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, xioctl(fd, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_SET_IOMMU, (void *)VFIO_NOIOMMU_IOMMU));
}

/* semantics: 150.  The name comes first, whatever is set. */
TEST_F(group_iommufd, device_name)
{
	char *edge = edge_alloc(4096), name[64];
	int fd;

	for (int set = 0; set < 2; set++) {
		if (set)
			ASSERT_EQ(0, group_set(self->group, self->iommufd));
		EXPECT_EQ(-EFAULT, group_device(self->group, NULL));
		memset(edge, 'x', 4096);
		EXPECT_EQ(-EFAULT, group_device(self->group, edge + 4000));
		EXPECT_EQ(-EINVAL, group_device(self->group, edge));
		edge[4095] = '\0';
		EXPECT_EQ(-ENODEV, group_device(self->group, edge));
		EXPECT_EQ(-ENODEV, group_device(self->group, ""));
		EXPECT_EQ(-ENODEV, group_device(self->group, "0000:00:00.0"));
		/* It has to be the whole name, and a member's. */
		snprintf(name, sizeof(name), "%.11s", self->a.bdf);
		EXPECT_EQ(-ENODEV, group_device(self->group, name));
		snprintf(name, sizeof(name), "%s0", self->a.bdf);
		EXPECT_EQ(-ENODEV, group_device(self->group, name));
		snprintf(name, sizeof(name), " %s", self->a.bdf);
		EXPECT_EQ(-ENODEV, group_device(self->group, name));
	}
	snprintf(edge, 4096, "%s", self->a.bdf);
	memset(edge + strlen(edge), ' ', 4095 - strlen(edge));
	fd = group_device(self->group, edge);
	EXPECT_GE(fd, 0);
	close(fd);
}

/* semantics: 150.  vfio-pci reads more than the name, and its errno is the call's. */
TEST_F(group_iommufd, device_options)
{
	static const struct {
		const char *text;
		int ret;
	} options[] = {
		{ "", 0 }, { " ", 0 }, { "     ", 0 },
		{ " x", -EINVAL }, { " vf_token=", -EINVAL }, { " vf_token=1234", -EINVAL },
		{ " vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1fx", -EINVAL },
		/* well-formed, but edu has no virtual functions */
		{ " vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3", -EINVAL },
	};
	char name[128];

	for (int set = 0; set < 2; set++) {
		if (set)
			ASSERT_EQ(0, group_set(self->group, self->iommufd));
		for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
			const struct pci *pci = i & 1 ? &self->a : &self->b;
			int want = options[i].ret ? options[i].ret : set ? 0 : -EINVAL, fd;

			snprintf(name, sizeof(name), "%s%s", pci->bdf, options[i].text);
			fd = group_device(self->group, name);
			EXPECT_EQ(want, fd < 0 ? fd : 0) TH_LOG("'%s'", name);
			close(fd);
		}
	}
}

/* semantics: 103, 150, 157.  An iommufd in whose address space nothing is. */
TEST_F(group_iommufd, no_address_space)
{
	uint32_t id;
	int fd;

	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	ASSERT_EQ(0, compat_ioas_get(self->iommufd, &id));
	ASSERT_EQ(0, compat_ioas_clear(self->iommufd));
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(-ENODEV, group_device(self->group, self->a.bdf));
	ASSERT_EQ(0, compat_ioas_set(self->iommufd, id));
	fd = group_device(self->group, self->a.bdf);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, device_info(fd));
	close(fd);
}

/* semantics: 150.  No device without an address space to be in. */
TEST_F(group_iommufd, nothing_set)
{
	int fd;

	EXPECT_EQ(-EINVAL, group_device(self->group, self->a.bdf));
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	fd = group_device(self->group, self->a.bdf);
	ASSERT_GE(fd, 0);
	close(fd);
	ASSERT_EQ(0, group_unset(self->group));
	EXPECT_EQ(-EINVAL, group_device(self->group, self->a.bdf));
}

/* semantics: 150, 202.  No room for a descriptor: nothing has been opened for it. */
TEST_F(group_iommufd, no_descriptor)
{
	struct rlimit all, none;
	int fd;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &all));
	none = all;
	none.rlim_cur = 0;
	for (int set = 0; set < 2; set++) {
		if (set)
			ASSERT_EQ(0, group_set(self->group, self->iommufd));
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
		/* The name is looked at before, what is set after that. */
		EXPECT_EQ(-ENODEV, group_device(self->group, "none"));
		EXPECT_EQ(-EMFILE, group_device(self->group, self->a.bdf));
		EXPECT_EQ(-EMFILE, group_device(self->group, self->a.bdf));
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &all));
		EXPECT_EQ(set ? GROUP_SET : GROUP_VIABLE, group_flags(self->group));
	}
	/* Nobody owns the group. */
	ASSERT_EQ(0, group_unset(self->group));
	EXPECT_EQ(GROUP_VIABLE, group_flags(self->group));
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	fd = group_device(self->group, self->a.bdf);
	ASSERT_GE(fd, 0);
	close(fd);
	/* And no registration is held: this would wait. */
	EXPECT_EQ(0, pci_unbind(&self->a));
}

/*
 * semantics: 91, 146, 147, 149, 150.  The group is no more: what of that wins, before
 * and after something was set.
 */
TEST_F(group_iommufd, gone)
{
	int late = group_open(&self->a), event = eventfd(0, EFD_CLOEXEC);

	EXPECT_EQ(-EBUSY, late);
	ASSERT_GE(event, 0);
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	ASSERT_EQ(0, pci_unbind(&self->a));
	EXPECT_EQ(-ENODEV, group_device(self->group, self->a.bdf));
	EXPECT_EQ(GROUP_SET, group_flags(self->group));
	ASSERT_EQ(0, pci_unbind(&self->b));
	EXPECT_EQ(-ENODEV, group_flags(self->group));
	EXPECT_EQ(-ENODEV, group_device(self->group, self->b.bdf));
	/* The iommufd is still there, and wins over the group that is not. */
	EXPECT_EQ(-EINVAL, group_set(self->group, self->iommufd));
	EXPECT_EQ(0, group_unset(self->group));
	EXPECT_EQ(-EINVAL, group_unset(self->group));
	EXPECT_EQ(-EFAULT, xioctl(self->group, VFIO_GROUP_SET_CONTAINER, NULL));
	EXPECT_EQ(-EBADF, group_set(self->group, -1));
	EXPECT_EQ(-ENODEV, group_set(self->group, event));
	EXPECT_EQ(-ENODEV, group_set(self->group, self->iommufd));

	/* The devices come back, in another group to which this file is no key. */
	ASSERT_EQ(0, pci_to_vfio(&self->a));
	EXPECT_EQ(-ENODEV, group_flags(self->group));
	EXPECT_EQ(-ENODEV, group_set(self->group, self->iommufd));
	EXPECT_EQ(-ENODEV, group_device(self->group, self->a.bdf));
	close(event);
}

/* semantics: 146, 157.  Who is not to have the group learns it with the device. */
TEST_F(group_iommufd, host_driver)
{
	struct pci edu, host;
	int group, fd;

	if (pci_find_mixed(EDU, &edu, &host))
		SKIP(return, "no edu in a group with a driver of the host");
	ASSERT_EQ(0, pci_to_vfio(&edu));
	group = group_open(&edu);
	ASSERT_GE(group, 0);
	EXPECT_EQ(0, group_flags(group));
	ASSERT_EQ(0, group_set(group, self->iommufd));
	EXPECT_EQ(GROUP_SET, group_flags(group));
	EXPECT_EQ(-EPERM, group_device(group, edu.bdf));
	/* Without the other one it works. */
	ASSERT_EQ(0, pci_unbind(&host));
	fd = group_device(group, edu.bdf);
	EXPECT_GE(fd, 0);
	close(fd);
	close(group);
	pci_attr_set(&host, "driver_override", "\n");
	EXPECT_EQ(0, sysfs_write("/sys/bus/pci/drivers_probe", host.bdf));
}

TEST_HARNESS_MAIN
