// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VFIO driver with the operations that vfio-pci has.  They do nothing, because their instructions are not
 * counted.
 */
#include "quick.h"

static int quick_init(struct vfio_device *vdev)
{
	return 0;
}

static void quick_release(struct vfio_device *vdev)
{
}

static int quick_open(struct vfio_device *vdev)
{
	return 0;
}

static void physical_close(struct vfio_device *vdev)
{
	/* vfio-pci calls this to find out whether it can reset the bus. */
	vfio_device_set_open_count(vdev->dev_set);
}

static void emulated_close(struct vfio_device *vdev)
{
}

static long quick_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
	case VFIO_DEVICE_GET_IRQ_INFO:
		return 0;
	default:
		return -ENOTTY;
	}
}

static int quick_region_info(struct vfio_device *vdev, struct vfio_region_info *info, struct vfio_info_cap *caps)
{
	info->size = PAGE_SIZE;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (info->index == REGION_WITH_CAPABILITY) {
		struct vfio_region_info_cap_type type = {
			.header = { .id = VFIO_REGION_INFO_CAP_TYPE, .version = 1 },
		};

		return vfio_info_add_capability(caps, &type.header, sizeof(type));
	}
	return 0;
}

static int quick_feature(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	return -ENOTTY;
}

static ssize_t quick_read(struct vfio_device *vdev, char __user *buf, size_t count, loff_t *pos)
{
	return count;
}

static ssize_t quick_write(struct vfio_device *vdev, const char __user *buf, size_t count, loff_t *pos)
{
	return count;
}

static int quick_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	return 0;
}

static void quick_request(struct vfio_device *vdev, unsigned int count)
{
}

static int quick_match(struct vfio_device *vdev, char *name)
{
	return !strcmp(dev_name(vdev->dev), name);
}

static int quick_match_token(struct vfio_device *vdev, const uuid_t *uuid)
{
	return 0;
}

static void quick_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
}

static int quick_log_start(struct vfio_device *vdev, struct rb_root_cached *ranges, u32 nnodes, u64 *page_size)
{
	return 0;
}

static int quick_log_stop(struct vfio_device *vdev)
{
	return 0;
}

static int quick_log_report(struct vfio_device *vdev, unsigned long iova, unsigned long length,
			    struct iova_bitmap *dirty)
{
	return 0;
}

static const struct vfio_log_ops log_ops = {
	.log_start = quick_log_start,
	.log_stop = quick_log_stop,
	.log_read_and_clear = quick_log_report,
};

#define OPERATIONS(kind)					\
	.name = "quick",					\
	.init = quick_init,					\
	.release = quick_release,				\
	.open_device = quick_open,				\
	.close_device = kind##_close,				\
	.ioctl = quick_ioctl,					\
	.get_region_info_caps = quick_region_info,		\
	.device_feature = quick_feature,			\
	.read = quick_read,					\
	.write = quick_write,					\
	.mmap = quick_mmap,					\
	.request = quick_request,				\
	.match = quick_match,					\
	.bind_iommufd = vfio_iommufd_##kind##_bind,		\
	.unbind_iommufd = vfio_iommufd_##kind##_unbind,		\
	.attach_ioas = vfio_iommufd_##kind##_attach_ioas,	\
	.detach_ioas = vfio_iommufd_##kind##_detach_ioas

static const struct vfio_device_ops physical_ops = {
	OPERATIONS(physical),
	.match_token_uuid = quick_match_token,
	.pasid_attach_ioas = vfio_iommufd_physical_pasid_attach_ioas,
	.pasid_detach_ioas = vfio_iommufd_physical_pasid_detach_ioas,
};

static const struct vfio_device_ops emulated_ops = {
	OPERATIONS(emulated),
	.dma_unmap = quick_dma_unmap,
};

/* The drivers of the parents.  As vfio-pci does, only the driver of physical devices has runtime power management. */
static const struct dev_pm_ops pm;
static struct device_driver physical_driver = { .name = "quick", .pm = &pm };
static struct device_driver emulated_driver = { .name = "quick-emulated" };

struct device *parent_make(const char *name, bool emulated)
{
	struct device *dev = allocate(sizeof(*dev));

	device_initialize(dev);
	dev_set_name(dev, "%s", name);
	dev->driver = emulated ? &emulated_driver : &physical_driver;
	return dev;
}

struct vfio_device *vdev_alloc(struct device *parent, bool emulated)
{
	struct vfio_device *vdev;

	vdev = _vfio_alloc_device(sizeof(*vdev), parent, emulated ? &emulated_ops : &physical_ops);
	if (IS_ERR(vdev))
		fail("vfio_alloc_device");
	if (!emulated)
		vdev->log_ops = &log_ops;
	return vdev;
}

void vdev_register(struct vfio_device *vdev)
{
	bool emulated = vdev->ops == &emulated_ops;

	EXPECT(emulated ? vfio_register_emulated_iommu_dev(vdev) : vfio_register_group_dev(vdev), 0);
}
