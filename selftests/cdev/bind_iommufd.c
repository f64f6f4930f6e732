// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_DEVICE_BIND_IOMMUFD: each of its errors, and that the earlier one wins
 * where two could be given.
 */
#include <fcntl.h>
#include <sys/eventfd.h>

#include "lib/cdev.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/test.h"

#define OLD_SIZE offsetof(struct vfio_device_bind_iommufd, token_uuid_ptr)
#define NOT_OPEN 1000
#define TOKEN VFIO_DEVICE_BIND_FLAG_TOKEN
#define BAD_FLAG 0x80000000u

FIXTURE(bind_iommufd) {
	struct pci pci;
	struct session s;
	int not_iommufd;
	char uuid[16];
	/* What a call starts from: right in all. */
	struct vfio_device_bind_iommufd good;
};

FIXTURE_SETUP(bind_iommufd)
{
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, session_open_unbound(&self->pci, &self->s));
	self->not_iommufd = eventfd(0, EFD_CLOEXEC);
	ASSERT_GE(self->not_iommufd, 0);
	self->good.argsz = sizeof(self->good);
	self->good.iommufd = self->s.iommufd;
}

FIXTURE_TEARDOWN(bind_iommufd)
{
	session_close(&self->s);
	close(self->not_iommufd);
}

static int bind_raw(int fd, const void *arg)
{
	return xioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, (void *)arg);
}

/* BIND with a structure of which only the first @there bytes can be read. */
static int bind_edge(int fd, const struct vfio_device_bind_iommufd *bind,
		     size_t there)
{
	void *p = edge_alloc(there);

	memcpy(p, bind, there < sizeof(*bind) ? there : sizeof(*bind));
	return bind_raw(fd, p);
}

/* BIND with @size bytes: the structure, zeroes, and @tail as the last byte. */
static int bind_sized(int fd, struct vfio_device_bind_iommufd bind,
		      size_t size, char tail)
{
	char *p = edge_alloc(size < 4096 ? size : 4096);

	if (size > 4096)
		p = pages_alloc(size);
	bind.argsz = size;
	memcpy(p, &bind, size < sizeof(bind) ? size : sizeof(bind));
	if (tail)
		p[size - 1] = tail;
	return bind_raw(fd, p);
}

/* BIND with a structure that cannot be written to. */
static int bind_read_only(int fd, const struct vfio_device_bind_iommufd *bind)
{
	struct vfio_device_bind_iommufd *p = pages_alloc(4096);

	*p = *bind;
	if (mprotect(p, 4096, PROT_READ))
		return -errno;
	return bind_raw(fd, p);
}

/* semantics: 102, 103, 192.  Sizes and memory come first. */
TEST_F(bind_iommufd, sizes_and_memory)
{
	struct vfio_device_bind_iommufd bind = self->good;

	EXPECT_EQ(-EFAULT, bind_raw(self->s.fd, NULL));
	EXPECT_EQ(-EFAULT, bind_raw(self->s.fd, (void *)-4096L));
	EXPECT_EQ(-EFAULT, bind_edge(self->s.fd, &bind, 2));

	/* Too small a size is seen before the rest is missed. */
	for (bind.argsz = 0; bind.argsz < OLD_SIZE; bind.argsz++)
		EXPECT_EQ(-EINVAL, bind_edge(self->s.fd, &bind, 4));
	bind.argsz = OLD_SIZE;
	EXPECT_EQ(-EFAULT, bind_edge(self->s.fd, &bind, OLD_SIZE - 1));
	bind.argsz = sizeof(bind);
	EXPECT_EQ(-EFAULT, bind_edge(self->s.fd, &bind, sizeof(bind) - 1));
	EXPECT_EQ(-EFAULT, bind_edge(self->s.fd, &bind, OLD_SIZE));
	/* Missing memory, before a wrong descriptor or flag. */
	bind.iommufd = -1;
	bind.flags = BAD_FLAG;
	EXPECT_EQ(-EFAULT, bind_edge(self->s.fd, &bind, OLD_SIZE));

	EXPECT_EQ(0, bind_raw(self->s.fd, &self->good));
}

/* semantics: 103, 105.  The structure may grow, with zeroes. */
TEST_F(bind_iommufd, longer_structures)
{
	struct vfio_device_bind_iommufd bad = self->good;

	bad.iommufd = -1;
	EXPECT_EQ(-E2BIG, bind_sized(self->s.fd, self->good, 25, 1));
	EXPECT_EQ(-E2BIG, bind_sized(self->s.fd, self->good, 4096, 1));
	/* ... before the descriptor and the flags are looked at */
	EXPECT_EQ(-E2BIG, bind_sized(self->s.fd, bad, 32, 1));
	bad.flags = BAD_FLAG;
	EXPECT_EQ(-E2BIG, bind_sized(self->s.fd, bad, 32, 1));
	/* A tail that cannot be read is a fault. */
	bad.argsz = 32;
	EXPECT_EQ(-EFAULT, bind_edge(self->s.fd, &bad, sizeof(bad)));
	EXPECT_EQ(-EINVAL, bind_sized(self->s.fd, bad, 32, 0));

	for (size_t size = sizeof(bad); size <= 4096; size += 1357) {
		int fd = cdev_open(&self->pci);

		EXPECT_EQ(0, bind_sized(fd, self->good, size, 0));
		close(fd);
	}
	EXPECT_EQ(0, bind_sized(self->s.fd, self->good, 4096, 0));
}

/* semantics: 103; defect: B12.  ... but not without end. */
TEST_F(bind_iommufd, longest_structure)
{
	struct vfio_device_bind_iommufd bind = self->good;

	bind.iommufd = -1;
	EXPECT_EQ(BY_CORE(-EINVAL, -E2BIG),
		  bind_sized(self->s.fd, bind, 4097, 0));
	EXPECT_EQ(-E2BIG, bind_sized(self->s.fd, bind, 4097, 1));
	/* The size alone says so: the memory is not looked at. */
	bind.argsz = 0xffffffff;
	EXPECT_EQ(BY_CORE(-EFAULT, -E2BIG),
		  bind_edge(self->s.fd, &bind, sizeof(bind)));
	EXPECT_EQ(BY_CORE(0, -E2BIG),
		  bind_sized(self->s.fd, self->good, 8192, 0));
}

/* semantics: 103 */
TEST_F(bind_iommufd, descriptor_and_flags)
{
	struct vfio_device_bind_iommufd bind = self->good;
	int group;

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	group = group_open(&self->pci);
	ASSERT_GE(group, 0);
	/* With the group open all that comes later is -EBUSY. */
	bind.iommufd = -1;
	EXPECT_EQ(-EINVAL, bind_raw(self->s.fd, &bind));
	bind.iommufd = INT32_MIN;
	EXPECT_EQ(-EINVAL, bind_raw(self->s.fd, &bind));
	for (uint32_t flag = 2; flag; flag <<= 1) {
		bind = self->good;
		bind.flags = flag;
		EXPECT_EQ(-EINVAL, bind_raw(self->s.fd, &bind));
	}
	bind = self->good;
	bind.iommufd = NOT_OPEN;
	EXPECT_EQ(-EBUSY, bind_raw(self->s.fd, &bind));
	bind = self->good;
	bind.flags = TOKEN;
	EXPECT_EQ(-EBUSY, bind_raw(self->s.fd, &bind));
	EXPECT_EQ(-EBUSY, bind_raw(self->s.fd, &self->good));
	close(group);
	EXPECT_EQ(0, bind_raw(self->s.fd, &self->good));
}

/* semantics: 103 */
TEST_F(bind_iommufd, already_bound)
{
	struct vfio_device_bind_iommufd bind = self->good;

	ASSERT_EQ(0, bind_raw(self->s.fd, &self->good));
	EXPECT_EQ(-EINVAL, bind_raw(self->s.fd, &self->good));
	/* ... before the token and the iommufd are looked at */
	bind.flags = TOKEN;
	EXPECT_EQ(-EINVAL, bind_raw(self->s.fd, &bind));
	bind = self->good;
	bind.iommufd = NOT_OPEN;
	EXPECT_EQ(-EINVAL, bind_raw(self->s.fd, &bind));
	bind.iommufd = self->not_iommufd;
	EXPECT_EQ(-EINVAL, bind_raw(self->s.fd, &bind));
}

/* semantics: 103, 104.  edu needs no token: one that is given is wrong. */
TEST_F(bind_iommufd, token_not_needed)
{
	struct vfio_device_bind_iommufd bind = self->good;

	bind.flags = TOKEN;
	EXPECT_EQ(-EFAULT, bind_raw(self->s.fd, &bind));
	bind.token_uuid_ptr = (uintptr_t)edge_alloc(15);
	EXPECT_EQ(-EFAULT, bind_raw(self->s.fd, &bind));
	bind.token_uuid_ptr = (uintptr_t)self->uuid;
	EXPECT_EQ(-EINVAL, bind_raw(self->s.fd, &bind));
	/* ... before the iommufd is looked at */
	bind.iommufd = NOT_OPEN;
	EXPECT_EQ(-EINVAL, bind_raw(self->s.fd, &bind));
	bind.token_uuid_ptr = 0;
	EXPECT_EQ(-EFAULT, bind_raw(self->s.fd, &bind));
	/* The old structure ends before the pointer. */
	bind = self->good;
	bind.argsz = OLD_SIZE;
	bind.flags = TOKEN;
	bind.token_uuid_ptr = (uintptr_t)self->uuid;
	EXPECT_EQ(-EFAULT, bind_raw(self->s.fd, &bind));
	/* A pointer without the flag is nothing. */
	bind = self->good;
	bind.token_uuid_ptr = 8;
	EXPECT_EQ(0, bind_raw(self->s.fd, &bind));
}

/*
 * semantics: 104.  A virtual function of a device that user space drives needs the
 * token of its user, and so does the device, as long as there are such functions.
 */
TEST_F(bind_iommufd, token_needed)
{
	static const char * const enable =
		"/sys/module/vfio_pci/parameters/enable_sriov";
	static const char right[17] = "the right token!", wrong[17] = "a wrong token...";
	struct pci igb, vf;
	struct session s;
	int fd;

	if (pci_find(IGB, 0, &igb))
		SKIP(return, "no igb");
	ASSERT_EQ(0, pci_to_vfio(&igb));
	ASSERT_EQ(0, sysfs_write(enable, "1"));
	ASSERT_EQ(0, session_open(&igb, &s));
	ASSERT_EQ(0, cdev_set_token(s.fd, right));
	ASSERT_EQ(0, pci_attr_set(&igb, "sriov_numvfs", "1"));
	ASSERT_EQ(0, pci_find(IGB_VF, 0, &vf));
	ASSERT_EQ(0, pci_to_vfio(&vf));

	fd = cdev_open(&vf);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EACCES, cdev_bind(fd, s.iommufd, NULL));
	EXPECT_EQ(-EACCES, cdev_bind_token(fd, s.iommufd, wrong, NULL));
	EXPECT_EQ(-EFAULT, cdev_bind_token(fd, s.iommufd, NULL, NULL));
	/* ... before the iommufd is looked at */
	EXPECT_EQ(-EACCES, cdev_bind(fd, NOT_OPEN, NULL));
	EXPECT_EQ(-EBADF, cdev_bind_token(fd, NOT_OPEN, right, NULL));
	/* At the end of a page, and no byte more. */
	EXPECT_EQ(0, cdev_bind_token(fd, s.iommufd,
				     memcpy(edge_alloc(16), right, 16), NULL));

	close(s.fd);
	s.fd = cdev_open(&igb);
	EXPECT_EQ(-EACCES, cdev_bind(s.fd, s.iommufd, NULL));
	EXPECT_EQ(-EACCES, cdev_bind_token(s.fd, s.iommufd, wrong, NULL));
	EXPECT_EQ(0, cdev_bind_token(s.fd, s.iommufd, right, NULL));
	close(fd);
	/* Nobody drives it any more: a token is set by it, or not given. */
	close(s.fd);
	s.fd = cdev_open(&igb);
	EXPECT_EQ(0, cdev_bind_token(s.fd, s.iommufd, wrong, NULL));
	close(s.fd);
	s.fd = cdev_open(&igb);
	EXPECT_EQ(0, cdev_bind(s.fd, s.iommufd, NULL));
	session_close(&s);
	ASSERT_EQ(0, pci_attr_set(&igb, "sriov_numvfs", "0"));
	EXPECT_EQ(0, sysfs_write(enable, "0"));
}

/* semantics: 103, 191 */
TEST_F(bind_iommufd, iommufd_and_second_file)
{
	struct vfio_device_bind_iommufd bind = self->good;
	int other = cdev_open(&self->pci);

	ASSERT_GE(other, 0);
	for (int bound = 0; bound < 2; bound++) {
		/* A wrong iommufd is told before the other file is. */
		bind.iommufd = NOT_OPEN;
		EXPECT_EQ(-EBADF, bind_raw(other, &bind));
		bind.iommufd = self->not_iommufd;
		EXPECT_EQ(-EBADFD, bind_raw(other, &bind));
		bind.iommufd = self->s.fd;
		EXPECT_EQ(-EBADFD, bind_raw(other, &bind));
		if (!bound)
			ASSERT_EQ(0, bind_raw(self->s.fd, &self->good));
	}
	EXPECT_EQ(-EINVAL, bind_raw(other, &self->good));
	EXPECT_EQ(-EINVAL, bind_read_only(other, &self->good));
	close_fd(&self->s.fd);
	EXPECT_EQ(0, bind_raw(other, &self->good));
	close(other);
}

/* semantics: 106, 110.  Two contexts cannot own one group. */
TEST_F(bind_iommufd, group_of_another_context)
{
	struct vfio_device_bind_iommufd bind = self->good;
	struct session sa, sb;
	struct pci a, b;

	if (pci_find_pair(EDU, &a, &b))
		SKIP(return, "no two edu devices in one group");
	ASSERT_EQ(0, session_open_node(&a, &sa));
	ASSERT_EQ(0, session_open_unbound(&b, &sb));

	ASSERT_EQ(0, bind_raw(sa.fd, &self->good));
	bind.iommufd = sb.iommufd;
	EXPECT_EQ(-EPERM, bind_raw(sb.fd, &bind));
	EXPECT_EQ(-EPERM, bind_read_only(sb.fd, &bind));
	EXPECT_EQ(0, bind_raw(sb.fd, &self->good));
	/* The first one owns it until its last device goes, and the other may then. */
	close(sa.fd);
	sa.fd = cdev_open(&a);
	EXPECT_EQ(-EPERM, bind_raw(sa.fd, &bind));
	close_fd(&sb.fd);
	EXPECT_EQ(0, bind_raw(sa.fd, &bind));
	session_close(&sa);
	session_close(&sb);
}

/* semantics: 106.  Nor a group of which the host drives a device. */
TEST_F(bind_iommufd, group_with_a_host_driver)
{
	struct pci host, edu;
	char driver[64];
	int fd;

	if (pci_find_mixed(EDU, &edu, &host))
		SKIP(return, "no edu in a group with a driver of the host");
	ASSERT_EQ(0, pci_to_vfio(&edu));
	fd = cdev_open(&edu);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EPERM, bind_raw(fd, &self->good));
	ASSERT_EQ(0, pci_unbind(&host));
	EXPECT_EQ(0, bind_raw(fd, &self->good));
	close(fd);
	/* And in the other direction: the host gets it back. */
	pci_attr_set(&host, "driver_override", "\n");
	EXPECT_EQ(0, sysfs_write("/sys/bus/pci/drivers_probe", host.bdf));
	pci_driver(&host, driver, sizeof(driver));
	EXPECT_NE('\0', driver[0]);
}

/* semantics: 103, 107, 109.  An id that cannot be told undoes all. */
TEST_F(bind_iommufd, unwritable_id)
{
	struct vfio_device_bind_iommufd bind = self->good;
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int other;

	EXPECT_EQ(-EFAULT, bind_read_only(self->s.fd, &self->good));
	EXPECT_EQ(-EINVAL, xioctl(self->s.fd, VFIO_DEVICE_GET_INFO, &info));
	/* The iommufd holds no object: ids count from 1. */
	for (uint32_t id = 1; id < 8; id++)
		EXPECT_EQ(-ENOENT, iommufd_destroy(self->s.iommufd, id));
	/* The group is free */
	EXPECT_TRUE(group_is_free(&self->pci));
	/* and so is the device, for another file and for this one. */
	other = cdev_open(&self->pci);
	EXPECT_EQ(0, bind_raw(other, &bind));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, bind.out_devid));
	close(other);
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->s.iommufd, bind.out_devid));
	EXPECT_EQ(0, bind_raw(self->s.fd, &self->good));
}

/* semantics: 63, 105, 107.  What is written back, and how much. */
TEST_F(bind_iommufd, result)
{
	static const size_t sizes[] = { OLD_SIZE,
		sizeof(struct vfio_device_bind_iommufd), 64 };

	for (size_t i = 0; i < 3; i++) {
		struct {
			struct vfio_device_bind_iommufd bind;
			char more[64];
		} arg = { .bind = self->good }, before;
		int fd = cdev_open(&self->pci);

		arg.bind.argsz = sizes[i];
		arg.bind.token_uuid_ptr = 0x1122334455667788;
		arg.bind.out_devid = 0xaaaaaaaa;
		before = arg;
		ASSERT_EQ(0, bind_raw(fd, &arg));
		EXPECT_GE(arg.bind.out_devid, 1);
		EXPECT_NE(0xaaaaaaaa, arg.bind.out_devid);
		/* It names the device in the iommufd. */
		EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd,
						  arg.bind.out_devid));
		arg.bind.out_devid = before.bind.out_devid;
		EXPECT_EQ(0, memcmp(&arg, &before, sizeof(arg)));
		close(fd);
	}
}

/* semantics: 192.  However many attempts failed, the right one succeeds. */
TEST_F(bind_iommufd, failures_leave_nothing)
{
	struct vfio_device_bind_iommufd bind;
	int group;

	for (int round = 0; round < 3; round++) {
		EXPECT_EQ(-EFAULT, bind_raw(self->s.fd, NULL));
		EXPECT_EQ(-E2BIG, bind_sized(self->s.fd, self->good, 32, 1));
		bind = self->good;
		bind.flags = TOKEN;
		EXPECT_EQ(-EFAULT, bind_raw(self->s.fd, &bind));
		bind.token_uuid_ptr = (uintptr_t)self->uuid;
		EXPECT_EQ(-EINVAL, bind_raw(self->s.fd, &bind));
		bind = self->good;
		bind.iommufd = NOT_OPEN;
		EXPECT_EQ(-EBADF, bind_raw(self->s.fd, &bind));
		bind.iommufd = self->not_iommufd;
		EXPECT_EQ(-EBADFD, bind_raw(self->s.fd, &bind));
		EXPECT_EQ(-EFAULT, bind_read_only(self->s.fd, &self->good));
		if (!has_groups())
			continue;
		group = group_open(&self->pci);
		EXPECT_GE(group, 0);
		EXPECT_EQ(-EBUSY, bind_raw(self->s.fd, &self->good));
		close(group);
	}
	EXPECT_EQ(0, bind_raw(self->s.fd, &self->good));
	EXPECT_TRUE(group_is_busy(&self->pci));
}

/* semantics: 109, 126.  Close is the unbind. */
TEST_F(bind_iommufd, close_unbinds)
{
	for (int round = 0; round < 6; round++) {
		int fd = cdev_open(&self->pci);

		ASSERT_EQ(0, cdev_bind(fd, self->s.iommufd, NULL));
		EXPECT_TRUE(group_is_busy(&self->pci));
		close(fd);
		EXPECT_TRUE(group_is_free(&self->pci));
	}
}

TEST_HARNESS_MAIN
