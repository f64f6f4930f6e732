// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver of one emulated device whose operations do nothing, for "make bench": what an operation costs is the cost
 * of the core and of what lies below the core.  User space makes the driver call the functions of the core.
 */
#include <linux/iommu.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/vfio.h>

#include "null.h"

struct null_device {
	struct vfio_device vdev;
};

static struct platform_device *parent;
static struct null_device *device;
static struct virqfd *virqfd;
static struct page *pages[NULL_PAGES];
static void *buffer;
/* Of the commands */
static DEFINE_MUTEX(lock);

static int null_open(struct vfio_device *vdev)
{
	return 0;
}

static void null_close(struct vfio_device *vdev)
{
}

static ssize_t null_read(struct vfio_device *vdev, char __user *buf, size_t count, loff_t *pos)
{
	return count;
}

static ssize_t null_write(struct vfio_device *vdev, const char __user *buf, size_t count, loff_t *pos)
{
	return count;
}

static int null_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	return 0;
}

static long null_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
	case VFIO_DEVICE_GET_IRQ_INFO:
	case VFIO_DEVICE_RESET:
		return 0;
	default:
		return -ENOTTY;
	}
}

static int null_region_info(struct vfio_device *vdev, struct vfio_region_info *info, struct vfio_info_cap *caps)
{
	struct vfio_region_info_cap_type type = { .header = { .id = VFIO_REGION_INFO_CAP_TYPE, .version = 1 } };

	info->size = PAGE_SIZE;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (info->index != NULL_CAPABLE_REGION)
		return 0;
	return vfio_info_add_capability(caps, &type.header, sizeof(type));
}

static int null_feature(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	return -ENOTTY;
}

static void null_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
}

/* Emulated devices have no PASIDs.  The core does not know. */
static int null_pasid_attach(struct vfio_device *vdev, u32 pasid, u32 *pt_id)
{
	return 0;
}

static void null_pasid_detach(struct vfio_device *vdev, u32 pasid)
{
}

static const struct vfio_device_ops null_ops = {
	.name = "vfio-null",
	.open_device = null_open,
	.close_device = null_close,
	.read = null_read,
	.write = null_write,
	.mmap = null_mmap,
	.ioctl = null_ioctl,
	.get_region_info_caps = null_region_info,
	.device_feature = null_feature,
	.dma_unmap = null_dma_unmap,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
	.pasid_attach_ioas = null_pasid_attach,
	.pasid_detach_ioas = null_pasid_detach,
};

static int null_log_start(struct vfio_device *vdev, struct rb_root_cached *ranges, u32 nnodes, u64 *page_size)
{
	return 0;
}

static int null_log_stop(struct vfio_device *vdev)
{
	return 0;
}

static int null_log_report(struct vfio_device *vdev, unsigned long iova, unsigned long length,
			   struct iova_bitmap *dirty)
{
	return 0;
}

static const struct vfio_log_ops null_log_ops = {
	.log_start = null_log_start,
	.log_stop = null_log_stop,
	.log_read_and_clear = null_log_report,
};

static int alloc(void)
{
	struct null_device *allocated = vfio_alloc_device(null_device, vdev, &parent->dev, &null_ops);

	if (IS_ERR(allocated))
		return PTR_ERR(allocated);
	allocated->vdev.log_ops = &null_log_ops;
	device = allocated;
	return 0;
}

static void put(void)
{
	vfio_put_device(&device->vdev);
	device = NULL;
}

static int handler(void *opaque, void *data)
{
	return 0;
}

static int capabilities(unsigned int number)
{
	struct vfio_region_info_cap_type type = { .header = { .id = VFIO_REGION_INFO_CAP_TYPE, .version = 1 } };
	struct vfio_info_cap caps = {};
	int ret = 0;

	while (!ret && number--)
		ret = vfio_info_add_capability(&caps, &type.header, sizeof(type));
	kfree(caps.buf);
	return ret;
}

static int of_device(unsigned int cmd, unsigned long arg)
{
	struct vfio_device *vdev = &device->vdev;

	switch (cmd) {
	case NULL_REGISTER:
		return vfio_register_emulated_iommu_dev(vdev);
	case NULL_UNREGISTER:
		vfio_unregister_group_dev(vdev);
		return 0;
	case NULL_PUT:
		put();
		return 0;
	case NULL_PIN:
		return vfio_pin_pages(vdev, 0, arg, IOMMU_READ | IOMMU_WRITE, pages);
	case NULL_UNPIN:
		vfio_unpin_pages(vdev, 0, arg);
		return 0;
	case NULL_READ:
	case NULL_WRITE:
		return vfio_dma_rw(vdev, 0, buffer, arg, cmd == NULL_WRITE);
	case NULL_ENABLE:
		return vfio_virqfd_enable(NULL, handler, NULL, NULL, &virqfd, arg);
	case NULL_DISABLE:
		vfio_virqfd_disable(&virqfd);
		return 0;
	case NULL_CAPABILITIES:
		return capabilities(arg);
	default:
		return -ENOTTY;
	}
}

static long control(struct file *file, unsigned int cmd, unsigned long arg)
{
	int ret;

	if ((cmd == NULL_PIN || cmd == NULL_UNPIN) && arg > NULL_PAGES)
		return -EINVAL;
	if ((cmd == NULL_READ || cmd == NULL_WRITE) && arg > NULL_PAGES * PAGE_SIZE)
		return -EINVAL;
	mutex_lock(&lock);
	if (cmd == NULL_ALLOC)
		ret = device ? -EBUSY : alloc();
	else
		ret = device ? of_device(cmd, arg) : -ENODEV;
	mutex_unlock(&lock);
	return ret;
}

static const struct file_operations fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = control,
};

static struct miscdevice misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vfio-null",
	.fops = &fops,
};

/* The core takes a reference on the module of the driver to which the parent is bound. */
static struct platform_driver driver = {
	.driver.name = "vfio-null",
	.driver_managed_dma = true,
};

static int __init null_init(void)
{
	int ret;

	buffer = kvzalloc(NULL_PAGES * PAGE_SIZE, GFP_KERNEL);
	if (!buffer)
		return -ENOMEM;
	ret = platform_driver_register(&driver);
	if (ret)
		goto err_driver;
	parent = platform_device_register_simple("vfio-null", 0, NULL, 0);
	if (IS_ERR(parent)) {
		ret = PTR_ERR(parent);
		goto err_parent;
	}
	ret = misc_register(&misc);
	if (ret)
		goto err_misc;
	return 0;

err_misc:
	platform_device_unregister(parent);
err_parent:
	platform_driver_unregister(&driver);
err_driver:
	kvfree(buffer);
	return ret;
}
module_init(null_init);

/* User space has taken the device away. */
static void __exit null_exit(void)
{
	misc_deregister(&misc);
	platform_device_unregister(parent);
	platform_driver_unregister(&driver);
	kvfree(buffer);
}
module_exit(null_exit);

MODULE_DESCRIPTION("An emulated device that does nothing, to measure the VFIO core");
MODULE_LICENSE("GPL");
