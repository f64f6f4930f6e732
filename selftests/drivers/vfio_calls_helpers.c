// SPDX-License-Identifier: GPL-2.0-only
/* What vfio_calls.ko calls that needs no device. */
#include <linux/cdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vfio_calls_driver.h"

int calls_file(struct slot *slot, int fd)
{
	struct file *file = fget(fd);
	struct iommu_group *group;
	int ret = 0;

	if (!file)
		return -EBADF;
	group = IS_ENABLED(CONFIG_VFIO_GROUP) ? vfio_file_iommu_group(file) : NULL;
	if (group)
		iommu_group_put(group);
	/* Of a file that is none of VFIO's it takes no notice. */
	if (!vfio_file_is_valid(file))
		vfio_file_set_kvm(file, NULL);
	ret = (vfio_file_is_valid(file) ? CALLS_IS_VALID : 0) |
	      (vfio_file_enforced_coherent(file) ? CALLS_IS_COHERENT : 0) |
	      (vfio_file_is_group(file) ? CALLS_IS_GROUP : 0) |
	      (slot->calls && vfio_file_has_dev(file, &slot->calls->vdev) ? CALLS_HAS_DEV : 0) |
	      (group ? CALLS_HAS_IOMMU_GROUP : 0);
	fput(file);
	return ret;
}

static int add_cap(struct vfio_info_cap *caps, const struct calls_cap *cap, bool body)
{
	struct vfio_info_cap_header *header;
	int ret;

	if (cap->size > PAGE_SIZE || (body && cap->size < sizeof(*header)))
		return -ENXIO;
	if (!body) {
		header = vfio_info_cap_add(caps, cap->size, cap->id, cap->version);
		return PTR_ERR_OR_ZERO(header);
	}
	/* What fails is the core's. */
	header = kmalloc(cap->size, GFP_KERNEL | __GFP_NOFAIL);
	memset(header, 0xab, cap->size);
	header->id = cap->id;
	header->version = cap->version;
	ret = vfio_info_add_capability(caps, header, cap->size);
	kfree(header);
	return ret;
}

int calls_caps(struct calls_args *args)
{
	struct calls_cap __user *from = u64_to_user_ptr(args->ptr);
	struct vfio_info_cap caps = {};
	struct calls_cap cap;
	int i, ret = 0;

	for (i = 0; i < args->b && !ret; i++) {
		if (copy_from_user(&cap, from + i, sizeof(cap)))
			ret = -EFAULT;
		else
			ret = add_cap(&caps, &cap, args->flags & CALLS_CAPS_BODY);
	}
	if (!ret && args->flags & CALLS_CAPS_SHIFT)
		vfio_info_cap_shift(&caps, args->c);
	args->c = !caps.buf && !caps.size;
	if (!ret && copy_to_user(u64_to_user_ptr(args->a), caps.buf, caps.size))
		ret = -EFAULT;
	kfree(caps.buf);
	return ret ? ret : caps.size;
}

int calls_irqs(struct calls_args *args)
{
	struct vfio_irq_set hdr;
	size_t size = args->c;
	int ret;

	if (copy_from_user(&hdr, u64_to_user_ptr(args->ptr), sizeof(hdr)))
		return -EFAULT;
	ret = vfio_set_irqs_validate_and_prepare(&hdr, args->a, args->b,
						 args->c == ~0ULL ? NULL : &size);
	args->c = size;
	return ret;
}

int calls_region(u64 major, u64 minor)
{
	int ret = register_chrdev_region(MKDEV(major, minor), 1, "vfio-calls");

	if (!ret)
		unregister_chrdev_region(MKDEV(major, minor), 1);
	return ret;
}

int calls_group(struct device *parent, bool add)
{
	struct iommu_group *group;
	int ret;

	if (!add) {
		iommu_group_remove_device(parent);
		return 0;
	}
	group = iommu_group_alloc();
	if (IS_ERR(group))
		return PTR_ERR(group);
	ret = iommu_group_add_device(group, parent);
	/* The device's from now on. */
	iommu_group_put(group);
	return ret;
}
