// SPDX-License-Identifier: GPL-2.0-only
/* Groups of the IOMMU, and iommufd. */
#include <linux/file.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/iova_bitmap.h>

#include "quick.h"

/* Groups of one device */

struct iommu_group {
	refcount_t refs;
	int id;
	bool claimed;
	struct device *dev;
};

struct iommu_group *iommu_group_alloc(void)
{
	static int last;
	struct iommu_group *group = allocate(sizeof(*group));

	refcount_set(&group->refs, 1);
	group->id = last++;
	return group;
}

int iommu_group_set_name(struct iommu_group *group, const char *name)
{
	return 0;
}

int iommu_group_add_device(struct iommu_group *group, struct device *dev)
{
	group->dev = dev;
	refcount_inc(&group->refs);
	dev->iommu_group = group;
	return 0;
}

void iommu_group_remove_device(struct device *dev)
{
	refcount_dec(&dev->iommu_group->refs);
	dev->iommu_group->dev = NULL;
	dev->iommu_group = NULL;
}

struct iommu_group *iommu_group_ref_get(struct iommu_group *group)
{
	refcount_inc(&group->refs);
	return group;
}

struct iommu_group *iommu_group_get(struct device *dev)
{
	return dev->iommu_group ? iommu_group_ref_get(dev->iommu_group) : NULL;
}

void iommu_group_put(struct iommu_group *group)
{
	if (group && refcount_dec_and_test(&group->refs))
		group->id = -1;
}

int iommu_group_id(struct iommu_group *group)
{
	return group->id;
}

int iommu_group_claim_dma_owner(struct iommu_group *group, void *owner)
{
	if (group->claimed)
		return -EPERM;
	group->claimed = true;
	return 0;
}

void iommu_group_release_dma_owner(struct iommu_group *group)
{
	group->claimed = false;
}

bool iommu_group_dma_owner_claimed(struct iommu_group *group)
{
	return group->claimed;
}

bool device_iommu_capable(struct device *dev, enum iommu_cap cap)
{
	return true;
}

void iommu_group_join(struct device *dev, struct device *other)
{
	dev->iommu = other->iommu;
	iommu_group_add_device(other->iommu_group, dev);
}

int iommu_group_make(struct device *dev)
{
	static struct iommu_device iommu;
	struct iommu_group *group = iommu_group_alloc();

	dev->iommu = allocate(sizeof(*dev->iommu));
	dev->iommu->iommu_dev = &iommu;
	iommu_group_add_device(group, dev);
	iommu_group_put(group);
	return group->id;
}

/* iommufd */

struct iommufd_ctx {
	refcount_t refs;
};

struct iommufd_device {
	struct iommufd_ctx *ictx;
};

struct iommufd_access {
	struct iommufd_ctx *ictx;
};

static const struct file_operations iommufd_fops;

int iommufd_open(void)
{
	struct iommufd_ctx *ictx = allocate(sizeof(*ictx));

	refcount_set(&ictx->refs, 1);
	return fd_add(file_make(&iommufd_fops, ictx));
}

struct iommufd_ctx *iommufd_ctx_from_file(struct file *file)
{
	struct iommufd_ctx *ictx = file->private_data;

	if (file->f_op != &iommufd_fops)
		return ERR_PTR(-EBADFD);
	refcount_inc(&ictx->refs);
	return ictx;
}

struct iommufd_ctx *iommufd_ctx_from_fd(int fd)
{
	struct file *file = fget(fd);
	struct iommufd_ctx *ictx;

	if (!file)
		return ERR_PTR(-EBADF);
	ictx = iommufd_ctx_from_file(file);
	fput(file);
	return ictx;
}

void iommufd_ctx_get(struct iommufd_ctx *ictx)
{
	refcount_inc(&ictx->refs);
}

void iommufd_ctx_put(struct iommufd_ctx *ictx)
{
	refcount_dec(&ictx->refs);
}

struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ictx, struct device *dev, u32 *id)
{
	struct iommufd_device *idev = allocate(sizeof(*idev));

	iommufd_ctx_get(ictx);
	idev->ictx = ictx;
	*id = DEVICE_ID;
	return idev;
}

void iommufd_device_unbind(struct iommufd_device *idev)
{
	iommufd_ctx_put(idev->ictx);
}

int iommufd_device_attach(struct iommufd_device *idev, ioasid_t pasid, u32 *pt_id)
{
	return 0;
}

int iommufd_device_replace(struct iommufd_device *idev, ioasid_t pasid, u32 *pt_id)
{
	return 0;
}

void iommufd_device_detach(struct iommufd_device *idev, ioasid_t pasid)
{
}

struct iommufd_access *iommufd_access_create(struct iommufd_ctx *ictx, const struct iommufd_access_ops *ops,
					     void *data, u32 *id)
{
	struct iommufd_access *access = allocate(sizeof(*access));

	iommufd_ctx_get(ictx);
	access->ictx = ictx;
	*id = DEVICE_ID;
	return access;
}

void iommufd_access_destroy(struct iommufd_access *access)
{
	iommufd_ctx_put(access->ictx);
}

int iommufd_access_attach(struct iommufd_access *access, u32 ioas_id)
{
	return 0;
}

void iommufd_access_detach(struct iommufd_access *access)
{
}

int iommufd_access_rw(struct iommufd_access *access, unsigned long iova, void *data, size_t len, unsigned int flags)
{
	return 0;
}

int iommufd_access_pin_pages(struct iommufd_access *access, unsigned long iova, unsigned long length,
			     struct page **out_pages, unsigned int flags)
{
	return 0;
}

void iommufd_access_unpin_pages(struct iommufd_access *access, unsigned long iova, unsigned long length)
{
}

struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev)
{
	return idev->ictx;
}

u32 iommufd_device_to_id(struct iommufd_device *idev)
{
	return DEVICE_ID;
}

bool iommufd_ctx_has_group(struct iommufd_ctx *ictx, struct iommu_group *group)
{
	return false;
}

int iommufd_vfio_compat_ioas_get_id(struct iommufd_ctx *ictx, u32 *out_ioas_id)
{
	*out_ioas_id = 1;
	return 0;
}

int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx)
{
	return 0;
}

/* Bitmaps of the user that drivers mark dirty pages in */

struct iova_bitmap {
	unsigned long iova;
	size_t length;
};

struct iova_bitmap *iova_bitmap_alloc(unsigned long iova, size_t length, unsigned long page_size, u64 __user *data)
{
	struct iova_bitmap *bitmap = allocate(sizeof(*bitmap));

	bitmap->iova = iova;
	bitmap->length = length;
	return bitmap;
}

void iova_bitmap_free(struct iova_bitmap *bitmap)
{
}

int iova_bitmap_for_each(struct iova_bitmap *bitmap, void *opaque, iova_bitmap_fn_t fn)
{
	return fn(bitmap, bitmap->iova, bitmap->length, opaque);
}
