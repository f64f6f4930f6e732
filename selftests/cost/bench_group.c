// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the operations on a group's file and on a container cost, for "make bench".
 *
 * Arguments: the folder in sysfs of a PCI device that sits on vfio-pci, alone in its group; its address.
 */
#include "bench.h"
#include "count.h"

static char node[64], group[64];
static const char *address;

static int open_container(void)
{
	return open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
}

static int set_container(int fd, int container)
{
	return ioctl(fd, VFIO_GROUP_SET_CONTAINER, &container);
}

static int get_device(int fd)
{
	return ioctl(fd, VFIO_GROUP_GET_DEVICE_FD, address);
}

static int get_unknown(int fd)
{
	return ioctl(fd, VFIO_GROUP_GET_DEVICE_FD, "no-such-device");
}

/* The group is in a container. */
static void devices(int fd)
{
	int device, second;

	close(get_device(fd));
	OPERATION("get_device_fd", 20, ({ MEASURE(20, device = get_device(fd)); MUST(device >= 0); close(device); }));
	OPERATION("device_close", 21, ({ device = get_device(fd); MUST(device >= 0); MEASURE(21, close(device)); }));
	device = get_device(fd);
	OPERATION("second_device_fd", 22, ({ MEASURE(22, second = get_device(fd)); MUST(second >= 0); close(second); }));
	OPERATION("second_device_close", 23, ({ second = get_device(fd); MUST(second >= 0);
						MEASURE(23, close(second)); }));
	close(device);
	OPERATION("unknown_device", 24, MEASURE(24, REFUSED(get_unknown(fd), ENODEV)));
}

static void devices_by_iommufd(int fd)
{
	int device;

	close(get_device(fd));
	OPERATION("iommufd_device_fd", 25, ({ MEASURE(25, device = get_device(fd)); MUST(device >= 0);
					      close(device); }));
	OPERATION("iommufd_device_close", 26, ({ device = get_device(fd); MUST(device >= 0);
						 MEASURE(26, close(device)); }));
}

int main(int argc, char **argv)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int fd, container, iommufd, kvm;

	if (argc != 3) {
		fprintf(stderr, "usage: bench_group FOLDER ADDRESS\n");
		return 1;
	}
	find_nodes(argv[1], node, group);
	address = argv[2];

	OPERATION("group_open_close", 1, MEASURE(1, MUST(!close(open(group, O_RDWR | O_CLOEXEC)))));
	OPERATION("container_open_close", 2, MEASURE(2, MUST(!close(open_container()))));
	fd = must_open(group);
	OPERATION("group_get_status", 3, MEASURE(3, MUST(!ioctl(fd, VFIO_GROUP_GET_STATUS, &status))));
	container = open_container();
	OPERATION("check_extension", 4, MEASURE(4, MUST(ioctl(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU))));
	OPERATION("set_container", 5, ({ MEASURE(5, MUST(!set_container(fd, container)));
					 MUST(!ioctl(fd, VFIO_GROUP_UNSET_CONTAINER)); }));
	OPERATION("unset_container", 6, ({ MUST(!set_container(fd, container));
					   MEASURE(6, MUST(!ioctl(fd, VFIO_GROUP_UNSET_CONTAINER))); }));
	OPERATION("set_iommu", 7, ({ MUST(!set_container(fd, container));
				     MEASURE(7, MUST(!ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)));
				     MUST(!ioctl(fd, VFIO_GROUP_UNSET_CONTAINER)); }));
	MUST(!set_container(fd, container));
	MUST(!ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	OPERATION("check_extension_set", 8,
		  MEASURE(8, MUST(ioctl(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU))));
	devices(fd);
	kvm = new_kvm_vfio();
	OPERATION("kvm_add_group", 9, ({ MEASURE(9, MUST(!kvm_file(kvm, KVM_DEV_VFIO_FILE_ADD, fd)));
					 MUST(!kvm_file(kvm, KVM_DEV_VFIO_FILE_DEL, fd)); }));
	OPERATION("kvm_del_group", 10, ({ MUST(!kvm_file(kvm, KVM_DEV_VFIO_FILE_ADD, fd));
					  MEASURE(10, MUST(!kvm_file(kvm, KVM_DEV_VFIO_FILE_DEL, fd))); }));
	MUST(!ioctl(fd, VFIO_GROUP_UNSET_CONTAINER));
	close(container);

	iommufd = must_open("/dev/iommu");
	OPERATION("set_iommufd", 11, ({ MEASURE(11, MUST(!set_container(fd, iommufd)));
					MUST(!ioctl(fd, VFIO_GROUP_UNSET_CONTAINER)); }));
	MUST(!set_container(fd, iommufd));
	devices_by_iommufd(fd);
	return end();
}
