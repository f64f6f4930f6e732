// SPDX-License-Identifier: GPL-2.0-only
/* The operations on the files of groups and on containers. */
#include "vfio.h"

#include "quick.h"

/* An IOMMU driver for containers.  It does nothing, because its instructions are not counted. */

static void *backend_open(unsigned long arg)
{
	return &iommufd;
}

static void backend_release(void *data)
{
}

static long backend_ioctl(void *data, unsigned int cmd, unsigned long arg)
{
	return cmd == VFIO_CHECK_EXTENSION && arg == VFIO_TYPE1v2_IOMMU;
}

static int backend_attach(void *data, struct iommu_group *group, enum vfio_group_type type)
{
	return 0;
}

static void backend_detach(void *data, struct iommu_group *group)
{
}

static int backend_pin(void *data, struct iommu_group *group, dma_addr_t iova, int npage, int prot, struct page **pages)
{
	return npage;
}

static void backend_unpin(void *data, dma_addr_t iova, int npage)
{
}

static void backend_device(void *data, struct vfio_device *vdev)
{
}

static int backend_dma_rw(void *data, dma_addr_t iova, void *buffer, size_t count, bool write)
{
	return 0;
}

static const struct vfio_iommu_driver_ops backend_ops = {
	.name = "quick",
	.owner = THIS_MODULE,
	.open = backend_open,
	.release = backend_release,
	.ioctl = backend_ioctl,
	.attach_group = backend_attach,
	.detach_group = backend_detach,
	.pin_pages = backend_pin,
	.unpin_pages = backend_unpin,
	.register_device = backend_device,
	.unregister_device = backend_device,
	.dma_rw = backend_dma_rw,
};

void backend_register(void)
{
	EXPECT(vfio_register_iommu_driver(&backend_ops), 0);
}

void backend_unregister(void)
{
	vfio_unregister_iommu_driver(&backend_ops);
}

struct file *group_open(unsigned int minor)
{
	return node_open(find_region("vfio") | minor);
}

static void count_device_fd(struct file *group, const char *name)
{
	int first, fd;

	OPERATION("get_device_fd", ({ MEASURE(fd = file_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name));
				      fd_close(fd); }));
	OPERATION("get_device_fd_close", MEASURE(fd_close(file_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name))));
	first = file_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name);
	OPERATION("second_device_fd", ({ MEASURE(fd = file_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name));
					 fd_close(fd); }));
	OPERATION("second_device_close", ({ fd = file_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name);
					    MEASURE(fd_close(fd)); }));
	fd_close(first);
	OPERATION("get_device_fd_unknown", MEASURE(EXPECT(file_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "no-such-device"),
							  -ENODEV)));
}

void count_group(struct vfio_device *vdev, unsigned int minor)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	const char *name = dev_name(vdev->dev);
	struct file *group, *container;
	int container_fd, fd;

	OPERATION("group_open_close", MEASURE(file_close(group_open(minor))));
	OPERATION("container_open_close", MEASURE(file_close(misc_open("vfio"))));
	container = misc_open("vfio");
	container_fd = fd_add(container);
	OPERATION("check_extension_none", MEASURE(EXPECT(file_ioctl(container, VFIO_CHECK_EXTENSION,
								    number(VFIO_TYPE1v2_IOMMU)), 0)));
	backend_register();
	OPERATION("check_extension", MEASURE(EXPECT(file_ioctl(container, VFIO_CHECK_EXTENSION,
							       number(VFIO_TYPE1v2_IOMMU)), 1)));
	group = group_open(minor);
	OPERATION("group_get_status", MEASURE(EXPECT(file_ioctl(group, VFIO_GROUP_GET_STATUS, &status), 0)));
	OPERATION("set_container", ({ MEASURE(EXPECT(file_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container_fd), 0));
				      EXPECT(file_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0); }));
	OPERATION("unset_container", ({ EXPECT(file_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container_fd), 0);
					MEASURE(EXPECT(file_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0)); }));
	OPERATION("set_iommu", ({ EXPECT(file_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container_fd), 0);
				  MEASURE(EXPECT(file_ioctl(container, VFIO_SET_IOMMU,
							    number(VFIO_TYPE1v2_IOMMU)), 0));
				  EXPECT(file_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0); }));
	EXPECT(file_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container_fd), 0);
	EXPECT(file_ioctl(container, VFIO_SET_IOMMU, number(VFIO_TYPE1v2_IOMMU)), 0);
	OPERATION("check_extension_set", MEASURE(EXPECT(file_ioctl(container, VFIO_CHECK_EXTENSION,
								   number(VFIO_TYPE1v2_IOMMU)), 1)));
	count_device_fd(group, name);
	EXPECT(file_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	OPERATION("set_container_iommufd", ({ MEASURE(EXPECT(file_ioctl(group, VFIO_GROUP_SET_CONTAINER, &iommufd), 0));
					      EXPECT(file_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0); }));
	EXPECT(file_ioctl(group, VFIO_GROUP_SET_CONTAINER, &iommufd), 0);
	OPERATION("get_device_fd_iommufd", ({ MEASURE(fd = file_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name));
					      fd_close(fd); }));
	EXPECT(file_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	file_close(group);
	fd_close(container_fd);
	backend_unregister();
}

/* The memory of a device that is used through a container */
void count_emulated_group(struct vfio_device *vdev, unsigned int minor)
{
	struct file *group = group_open(minor), *container = misc_open("vfio");
	int container_fd = fd_add(container), fd;

	backend_register();
	EXPECT(file_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container_fd), 0);
	EXPECT(file_ioctl(container, VFIO_SET_IOMMU, number(VFIO_TYPE1v2_IOMMU)), 0);
	fd = file_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, dev_name(vdev->dev));
	count_memory(vdev, "container");
	fd_close(fd);
	EXPECT(file_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	file_close(group);
	fd_close(container_fd);
	backend_unregister();
}
