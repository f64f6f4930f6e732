// SPDX-License-Identifier: GPL-2.0-only
// Functions that call the inline functions, macros and callbacks that Rust cannot call.

#include <linux/bug.h>
#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/iova_bitmap.h>
#include <linux/lockdep.h>
#include <linux/pm_runtime.h>
#include <linux/pseudo_fs.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/workqueue.h>

#include "vfio_helpers.h"

noinline void vfio_helper_warn(const char *file, int len, unsigned int line)
{
	WARN(1, "vfio: at %.*s:%u\n", len, file, line);
}

/* LLVM inlines across the languages only what is marked: see the kernel's rust/helpers/helpers.c. */
#ifdef VFIO_INLINE_HELPERS
#pragma clang attribute push([[gnu::always_inline]], apply_to = function)
#endif

bool vfio_helper_refcount_inc_not_zero(refcount_t *r)
{
	return refcount_inc_not_zero(r);
}

void vfio_helper_init_completion(struct completion *x)
{
	init_completion(x);
}

struct pseudo_fs_context *vfio_helper_init_pseudo(struct fs_context *fc, unsigned long magic)
{
	return init_pseudo(fc, magic);
}

int vfio_helper_pm_runtime_resume_and_get(struct device *dev)
{
	return pm_runtime_resume_and_get(dev);
}

void vfio_helper_pm_runtime_put(struct device *dev)
{
	pm_runtime_put(dev);
}

__poll_t vfio_helper_vfs_poll(struct file *file, struct poll_table_struct *pt)
{
	return vfs_poll(file, pt);
}

void vfio_helper_init_waitqueue_func_entry(struct wait_queue_entry *wait, wait_queue_func_t func)
{
	init_waitqueue_func_entry(wait, func);
}

void vfio_helper_init_poll_funcptr(poll_table *pt, poll_queue_proc qproc)
{
	init_poll_funcptr(pt, qproc);
}

struct cdev *vfio_helper_inode_cdev(const struct inode *inode)
{
	return inode->i_cdev;
}

void *vfio_helper_kvzalloc(size_t size)
{
	return kvzalloc(size, GFP_KERNEL);
}

void vfio_helper_lockdep_assert_held(struct mutex *lock)
{
	lockdep_assert_held(lock);
}

void vfio_helper_runtime_resume_failed(struct device *dev, int err)
{
	dev_info_ratelimited(dev, "vfio: runtime resume failed %d\n", err);
}

struct workqueue_struct *vfio_helper_create_singlethread_workqueue(const char *name)
{
	return create_singlethread_workqueue(name);
}

struct workqueue_struct *vfio_helper_alloc_unbound_workqueue(const char *name)
{
	return alloc_workqueue("%s", WQ_UNBOUND, 0, name);
}

void vfio_helper_ida_init(struct ida *ida)
{
	ida_init(ida);
}

void vfio_helper_ratelimit_init(struct ratelimit_state *rs)
{
	ratelimit_default_init(rs);
}

struct iova_bitmap *vfio_helper_iova_bitmap_alloc(unsigned long iova, size_t length,
						  unsigned long page_size, u64 __user *data)
{
	return iova_bitmap_alloc(iova, length, page_size, data);
}

void vfio_helper_iova_bitmap_free(struct iova_bitmap *bitmap)
{
	iova_bitmap_free(bitmap);
}

int vfio_helper_iova_bitmap_for_each(struct iova_bitmap *bitmap, void *opaque, iova_bitmap_fn_t fn)
{
	return iova_bitmap_for_each(bitmap, opaque, fn);
}

struct iommu_sva *vfio_helper_iommu_sva_bind_device(struct device *dev, struct mm_struct *mm)
{
	return iommu_sva_bind_device(dev, mm);
}

void vfio_helper_iommu_sva_unbind_device(struct iommu_sva *handle)
{
	iommu_sva_unbind_device(handle);
}

u32 vfio_helper_iommu_sva_get_pasid(struct iommu_sva *handle)
{
	return iommu_sva_get_pasid(handle);
}

struct dentry *vfio_helper_debugfs_create_dir(const char *name, struct dentry *parent)
{
	return debugfs_create_dir(name, parent);
}

struct dentry *vfio_helper_debugfs_create_file(const char *name, umode_t mode,
					       struct dentry *parent, void *data,
					       const struct file_operations *fops)
{
	return debugfs_create_file(name, mode, parent, data, fops);
}

void vfio_helper_debugfs_create_devm_seqfile(struct device *dev, const char *name,
					     struct dentry *parent,
					     int (*read_fn)(struct seq_file *s, void *data))
{
	debugfs_create_devm_seqfile(dev, name, parent, read_fn);
}

void vfio_helper_debugfs_remove(struct dentry *dentry)
{
	debugfs_remove(dentry);
}

/*
 * Callbacks that take an enum.  CONFIG_CFI compares the type of the function pointer with the type of
 * the function.  bindgen makes an integer of a C enum, so the types would differ if Rust made the
 * call, or if Rust defined the callback.
 */
int vfio_helper_attach_group(const struct vfio_iommu_driver_ops *ops, void *iommu_data,
			     struct iommu_group *group, enum vfio_group_type type)
{
	return ops->attach_group(iommu_data, group, type);
}

int vfio_helper_attach_nothing(void *iommu_data, struct iommu_group *group,
			       enum vfio_group_type type)
{
	return 0;
}

int vfio_helper_migration_get_state(struct vfio_device *device, enum vfio_device_mig_state *state)
{
	return device->mig_ops->migration_get_state(device, state);
}

struct file *vfio_helper_migration_set_state(struct vfio_device *device,
					     enum vfio_device_mig_state state)
{
	return device->mig_ops->migration_set_state(device, state);
}

#ifdef VFIO_LINUX_7_2
unsigned long vfio_helper_spin_lock_irqsave(spinlock_t *lock)
{
	unsigned long flags;

	spin_lock_irqsave(lock, flags);
	return flags;
}

void vfio_helper_spin_unlock_irqrestore(spinlock_t *lock, unsigned long flags)
{
	spin_unlock_irqrestore(lock, flags);
}
#endif

#ifdef VFIO_INLINE_HELPERS
#pragma clang attribute pop
#endif

#if IS_ENABLED(CONFIG_IOMMUFD)
const struct iommufd_access_ops vfio_access_ops = {
	.needs_pin_pages = 1,
	.unmap = vfio_access_unmap,
};
#endif
