// SPDX-License-Identifier: GPL-2.0-only
/*
 * The group's node, by itself and as far as the device's own node needs it: one open path at a
 * time, whole group by group.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "lib/cdev.h"
#include "lib/group.h"
#include "lib/test.h"

FIXTURE(group_exclusion) {
	struct pci a, b;	/* in one group */
	struct session sa, sb;	/* with the iommufd of the first */
};

FIXTURE_SETUP(group_exclusion)
{
	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (pci_find_pair(EDU, &self->a, &self->b))
		SKIP(return, "no two edu devices in one group");
	ASSERT_EQ(0, session_open_unbound(&self->a, &self->sa));
	ASSERT_EQ(0, session_open_node(&self->b, &self->sb));
}

FIXTURE_TEARDOWN(group_exclusion)
{
	session_close(&self->sb);
	session_close(&self->sa);
	pci_to_vfio(&self->a);
	pci_to_vfio(&self->b);
}

/* semantics: 110, 144, 195.  The group stays shut until the last is closed. */
TEST_F(group_exclusion, bound_devices_shut_the_group)
{
	int group;

	ASSERT_EQ(0, cdev_bind(self->sa.fd, self->sa.iommufd, NULL));
	EXPECT_EQ(-EBUSY, group_open(&self->a));
	ASSERT_EQ(0, cdev_bind(self->sb.fd, self->sa.iommufd, NULL));
	EXPECT_EQ(-EBUSY, group_open(&self->a));
	close_fd(&self->sa.fd);
	EXPECT_EQ(-EBUSY, group_open(&self->a));
	close_fd(&self->sb.fd);
	group = group_open(&self->a);
	EXPECT_GE(group, 0);
	close(group);
}

/* semantics: 110, 144.  An open group shuts out all its devices. */
TEST_F(group_exclusion, open_group_shuts_the_devices)
{
	int group = group_open(&self->a), copy;

	ASSERT_GE(group, 0);
	EXPECT_EQ(-EBUSY, cdev_bind(self->sa.fd, self->sa.iommufd, NULL));
	EXPECT_EQ(-EBUSY, cdev_bind(self->sb.fd, self->sa.iommufd, NULL));
	/* A copy is the same opening. */
	copy = dup(group);
	close(group);
	EXPECT_EQ(-EBUSY, cdev_bind(self->sa.fd, self->sa.iommufd, NULL));
	close(copy);
	EXPECT_EQ(0, cdev_bind(self->sa.fd, self->sa.iommufd, NULL));
	EXPECT_EQ(0, cdev_bind(self->sb.fd, self->sa.iommufd, NULL));
}

/* semantics: 110.  Opening a device without binding it shuts nothing. */
TEST_F(group_exclusion, unbound_files_shut_nothing)
{
	int group = group_open(&self->a), fd;

	ASSERT_GE(group, 0);
	fd = cdev_open(&self->b);
	EXPECT_GE(fd, 0);
	close(fd);
	close(group);
	/* A BIND that failed neither. */
	EXPECT_EQ(-EBADF, cdev_bind(self->sa.fd, 1000, NULL));
	group = group_open(&self->a);
	EXPECT_GE(group, 0);
	close(group);
}

static void *close_in_thread(void *fd)
{
	close(*(int *)fd);
	return NULL;
}

/*
 * semantics: 90, 109.  Who has waited for the device's user to go finds the
 * group free: the close gives up the group before it lets the unbind return.
 */
TEST_F(group_exclusion, free_when_unbound)
{
	pthread_t closer;
	int i, group;

	for (i = 0; i < 30; i++) {
		ASSERT_EQ(0, cdev_bind(self->sa.fd, self->sa.iommufd, NULL));
		ASSERT_EQ(0, pthread_create(&closer, NULL, close_in_thread, &self->sa.fd));
		ASSERT_EQ(0, pci_unbind(&self->a));
		group = group_open(&self->b);
		ASSERT_GE(group, 0) {
			TH_LOG("round %d", i);
		}
		close(group);
		pthread_join(closer, NULL);
		ASSERT_EQ(0, pci_to_vfio(&self->a));
		self->sa.fd = cdev_open(&self->a);
		ASSERT_GE(self->sa.fd, 0);
	}
}

/* ---- the group's file alone ---- */

FIXTURE(group_node) {
	struct pci a, b;	/* in one group */
};

FIXTURE_SETUP(group_node)
{
	if (pci_find_pair(EDU, &self->a, &self->b))
		SKIP(return, "no two edu devices in one group");
	ASSERT_EQ(0, pci_to_vfio(&self->a));
	ASSERT_EQ(0, pci_to_vfio(&self->b));
}

FIXTURE_TEARDOWN(group_node)
{
	pci_to_vfio(&self->a);
	pci_to_vfio(&self->b);
}

/* semantics: 144.  One opener, whoever asks. */
TEST_F(group_node, one_opener)
{
	for (int i = 0; i < 10; i++) {
		int group = group_open(&self->a);

		ASSERT_GE(group, 0);
		EXPECT_EQ(-EBUSY, group_open(&self->a));
		EXPECT_EQ(-EBUSY, group_open(&self->b));
		close(group);
	}
}

/* semantics: 145 */
TEST_F(group_node, file)
{
	char path[64], buf[64] = { 0 };
	struct stat st;
	int group;

	pci_group_path(&self->a, path, sizeof(path));
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0600, st.st_mode & 07777);
	group = group_open(&self->a);
	ASSERT_GE(group, 0);
	EXPECT_EQ(-ENOTTY, xioctl(group, _IO(VFIO_TYPE, VFIO_BASE + 99), buf));
	EXPECT_EQ(-ENOTTY, xioctl(group, VFIO_DEVICE_GET_INFO, buf));
	EXPECT_EQ(-ENOTTY, xioctl(group, VFIO_DEVICE_BIND_IOMMUFD, buf));
	EXPECT_EQ(-ENOTTY, xioctl(group, VFIO_GET_API_VERSION, NULL));
	EXPECT_EQ(-1, read(group, buf, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(group, buf, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, group, 0));
	EXPECT_EQ(ENODEV, errno);
	close(group);
}

/* semantics: 146 */
TEST_F(group_node, status)
{
	struct vfio_group_status *status = edge_alloc(7), copy;
	int group = group_open(&self->a);

	ASSERT_GE(group, 0);
	EXPECT_EQ(-EFAULT, xioctl(group, VFIO_GROUP_GET_STATUS, NULL));
	memset(status, 0, 7);
	EXPECT_EQ(-EFAULT, xioctl(group, VFIO_GROUP_GET_STATUS, status));
	status = edge_alloc(8);
	for (status->argsz = 0; status->argsz < 8; status->argsz++)
		EXPECT_EQ(-EINVAL,
			  xioctl(group, VFIO_GROUP_GET_STATUS, status));
	status->argsz = 100;
	status->flags = ~0u;
	EXPECT_EQ(0, xioctl(group, VFIO_GROUP_GET_STATUS, status));
	EXPECT_EQ(100, status->argsz);
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, status->flags);

	copy = *status;
	status = pages_alloc(4096);
	*status = copy;
	ASSERT_EQ(0, mprotect(status, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, xioctl(group, VFIO_GROUP_GET_STATUS, status));
	close(group);
}

/* semantics: 146.  A driver of the host makes the group not viable. */
TEST_F(group_node, status_not_viable)
{
	struct pci edu, host;
	int group;

	if (pci_find_mixed(EDU, &edu, &host))
		SKIP(return, "no edu in a group with a driver of the host");
	ASSERT_EQ(0, pci_to_vfio(&edu));
	group = group_open(&edu);
	ASSERT_GE(group, 0);
	EXPECT_EQ(0, group_flags(group));
	ASSERT_EQ(0, pci_unbind(&host));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_flags(group));
	pci_attr_set(&host, "driver_override", "\n");
	EXPECT_EQ(0, sysfs_write("/sys/bus/pci/drivers_probe", host.bdf));
	EXPECT_EQ(0, group_flags(group));
	close(group);
}

/*
 * semantics: 87, 91, 146.  An open group keeps no device: the last one may go, and
 * come back, and the file stays with the group that is no more.
 */
TEST_F(group_node, survives_its_devices)
{
	char path[64];
	int group = group_open(&self->a), again;

	ASSERT_GE(group, 0);
	pci_group_path(&self->a, path, sizeof(path));
	ASSERT_EQ(0, pci_unbind(&self->a));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_flags(group));
	EXPECT_EQ(0, access(path, F_OK));
	ASSERT_EQ(0, pci_unbind(&self->b));
	EXPECT_EQ(-ENODEV, group_flags(group));
	EXPECT_EQ(-1, access(path, F_OK));

	ASSERT_EQ(0, pci_to_vfio(&self->b));
	EXPECT_EQ(0, access(path, F_OK));
	EXPECT_EQ(-ENODEV, group_flags(group));
	again = group_open(&self->b);
	EXPECT_GE(again, 0);
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_flags(again));
	/* The old file's going is not the new one's. */
	close(group);
	EXPECT_EQ(-EBUSY, group_open(&self->b));
	close(again);
}

TEST_HARNESS_MAIN
