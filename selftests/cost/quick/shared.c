// SPDX-License-Identifier: GPL-2.0-only
/*
 * The locks that users of different devices share.  For each operation the program prints a line
 *
 *	KIND_OPERATION NUMBER
 */
#include "quick.h"

/* Two users do the same, each with a device of their own.  Prints the number of locks that they share. */
#define SHARE(name, first, second) do {		\
		lock_user = 1;			\
		first;				\
		lock_user = 2;			\
		second;				\
		lock_user = 0;			\
		print(kind);			\
		print("_");			\
		print(name);			\
		print(" ");			\
		print_number(shared_locks());	\
		print("\n");			\
	} while (0)

#define SHARE_CALL(name, a, b, cmd, arg, result) \
	SHARE(name, EXPECT(file_ioctl(a, cmd, arg), result), EXPECT(file_ioctl(b, cmd, arg), result))

static void share_nodes(const char *kind, struct vfio_device *one, struct vfio_device *two, int other_iommufd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct file *a, *b;

	SHARE("open", a = device_open(one), b = device_open(two));
	SHARE("bind", EXPECT(bind_to(a, BIND_SIZE, iommufd), 0), EXPECT(bind_to(b, BIND_SIZE, other_iommufd), 0));
	SHARE_CALL("get_info", a, b, VFIO_DEVICE_GET_INFO, &info, 0);
	SHARE_CALL("get_irq_info", a, b, VFIO_DEVICE_GET_IRQ_INFO, &irq, 0);
	SHARE_CALL("get_region_info", a, b, VFIO_DEVICE_GET_REGION_INFO, &region, 0);
	SHARE("feature", EXPECT(feature_probe(a), -ENOTTY), EXPECT(feature_probe(b), -ENOTTY));
	SHARE_CALL("reset", a, b, VFIO_DEVICE_RESET, NULL, -ENOTTY);
	SHARE("pread", EXPECT(file_read(a), 4), EXPECT(file_read(b), 4));
	SHARE("pwrite", EXPECT(file_write(a), 4), EXPECT(file_write(b), 4));
	SHARE("mmap", EXPECT(file_mmap(a), 0), EXPECT(file_mmap(b), 0));
	SHARE("attach", EXPECT(attach(a, 1), 0), EXPECT(attach(b, 1), 0));
	SHARE("detach", EXPECT(detach(a), 0), EXPECT(detach(b), 0));
	SHARE("fdinfo", file_fdinfo(a), file_fdinfo(b));
	SHARE("close", file_close(a), file_close(b));
	/* A control: two files of one device must share locks. */
	SHARE("same_device", file_close(device_open_bound(one)), file_close(device_open_bound(one)));
}

/* The groups of the devices have the first two free minors. */
static void share_groups(const char *kind, struct vfio_device *one, struct vfio_device *two, int other_iommufd)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	const char *first = dev_name(one->dev), *second = dev_name(two->dev);
	struct file *a, *b, *containers[2];
	int container[2], fd[2];

	SHARE("group_open", a = group_open(FREE_GROUP), b = group_open(FREE_GROUP + 1));
	SHARE_CALL("group_get_status", a, b, VFIO_GROUP_GET_STATUS, &status, 0);
	SHARE("container_open", containers[0] = misc_open("vfio"), containers[1] = misc_open("vfio"));
	container[0] = fd_add(containers[0]);
	container[1] = fd_add(containers[1]);
	SHARE("set_container", EXPECT(file_ioctl(a, VFIO_GROUP_SET_CONTAINER, &container[0]), 0),
	      EXPECT(file_ioctl(b, VFIO_GROUP_SET_CONTAINER, &container[1]), 0));
	SHARE_CALL("check_extension", containers[0], containers[1], VFIO_CHECK_EXTENSION, number(VFIO_TYPE1v2_IOMMU), 1);
	SHARE_CALL("set_iommu", containers[0], containers[1], VFIO_SET_IOMMU, number(VFIO_TYPE1v2_IOMMU), 0);
	SHARE("get_device_fd", fd[0] = file_ioctl(a, VFIO_GROUP_GET_DEVICE_FD, first),
	      fd[1] = file_ioctl(b, VFIO_GROUP_GET_DEVICE_FD, second));
	SHARE("device_close", fd_close(fd[0]), fd_close(fd[1]));
	SHARE_CALL("unset_container", a, b, VFIO_GROUP_UNSET_CONTAINER, NULL, 0);
	SHARE("container_close", fd_close(container[0]), fd_close(container[1]));
	SHARE("set_iommufd", EXPECT(file_ioctl(a, VFIO_GROUP_SET_CONTAINER, &iommufd), 0),
	      EXPECT(file_ioctl(b, VFIO_GROUP_SET_CONTAINER, &other_iommufd), 0));
	SHARE("iommufd_device_fd", fd[0] = file_ioctl(a, VFIO_GROUP_GET_DEVICE_FD, first),
	      fd[1] = file_ioctl(b, VFIO_GROUP_GET_DEVICE_FD, second));
	SHARE("iommufd_device_close", fd_close(fd[0]), fd_close(fd[1]));
	SHARE_CALL("unset_iommufd", a, b, VFIO_GROUP_UNSET_CONTAINER, NULL, 0);
	SHARE("group_close", file_close(a), file_close(b));
}

/* Two devices of a kind, with groups, sets, containers and iommufds of their own */
static void share_devices(bool emulated)
{
	const char *kind = emulated ? "emulated" : "physical";
	struct vfio_device *vdevs[2];
	int other_iommufd = iommufd_open();

	for (unsigned int i = 0; i < ARRAY_SIZE(vdevs); i++) {
		struct device *parent = parent_make(i ? "two" : "one", emulated);

		if (!emulated)
			iommu_group_make(parent);
		vdevs[i] = vdev_alloc(parent, emulated);
		vdev_register(vdevs[i]);
	}
	backend_register();
	share_nodes(kind, vdevs[0], vdevs[1], other_iommufd);
	share_groups(kind, vdevs[0], vdevs[1], other_iommufd);
	backend_unregister();
	for (unsigned int i = 0; i < ARRAY_SIZE(vdevs); i++) {
		vfio_unregister_group_dev(vdevs[i]);
		vfio_put_device(vdevs[i]);
	}
	fd_close(other_iommufd);
}

void share_locks(void)
{
	share_devices(false);
	share_devices(true);
}
