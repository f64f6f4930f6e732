/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that call the inline functions, macros and callbacks that Rust cannot call.  The name of
 * a helper, without the prefix, says what the helper does.
 */
#ifndef VFIO_HELPERS_H
#define VFIO_HELPERS_H

#include <linux/fs_context.h>
#include <linux/idr.h>
#include <linux/iommufd.h>
#include <linux/iova_bitmap.h>
#include <linux/poll.h>
#include <linux/ratelimit_types.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/vfio.h>
#include <linux/wait.h>

#include "vfio_container.h"

struct cdev;
struct dentry;
struct device;
struct file;
struct file_operations;
struct inode;
struct iommu_sva;
struct mm_struct;
struct seq_file;

extern bool vfio_noiommu;
extern unsigned int vfio_max_bound_processes;

void vfio_helper_warn(const char *file, int len, unsigned int line);
bool vfio_helper_refcount_inc_not_zero(refcount_t *r);
void vfio_helper_init_completion(struct completion *x);
struct pseudo_fs_context *vfio_helper_init_pseudo(struct fs_context *fc, unsigned long magic);
int vfio_helper_pm_runtime_resume_and_get(struct device *dev);
void vfio_helper_pm_runtime_put(struct device *dev);
__poll_t vfio_helper_vfs_poll(struct file *file, struct poll_table_struct *pt);
void vfio_helper_init_waitqueue_func_entry(struct wait_queue_entry *wait, wait_queue_func_t func);
void vfio_helper_init_poll_funcptr(poll_table *pt, poll_queue_proc qproc);
void *vfio_helper_kvzalloc(size_t size);
void vfio_helper_lockdep_assert_held(struct mutex *lock);
void vfio_helper_runtime_resume_failed(struct device *dev, int err);
struct workqueue_struct *vfio_helper_create_singlethread_workqueue(const char *name);
struct workqueue_struct *vfio_helper_alloc_unbound_workqueue(const char *name);
void vfio_helper_ida_init(struct ida *ida);
struct cdev *vfio_helper_inode_cdev(const struct inode *inode);
void vfio_helper_ratelimit_init(struct ratelimit_state *rs);
/* Depending on its configuration, the kernel has functions or inline stubs for the next helpers. */
struct iova_bitmap *vfio_helper_iova_bitmap_alloc(unsigned long iova, size_t length,
						  unsigned long page_size, u64 __user *data);
void vfio_helper_iova_bitmap_free(struct iova_bitmap *bitmap);
int vfio_helper_iova_bitmap_for_each(struct iova_bitmap *bitmap, void *opaque, iova_bitmap_fn_t fn);
struct iommu_sva *vfio_helper_iommu_sva_bind_device(struct device *dev, struct mm_struct *mm);
void vfio_helper_iommu_sva_unbind_device(struct iommu_sva *handle);
u32 vfio_helper_iommu_sva_get_pasid(struct iommu_sva *handle);
struct dentry *vfio_helper_debugfs_create_dir(const char *name, struct dentry *parent);
struct dentry *vfio_helper_debugfs_create_file(const char *name, umode_t mode,
					       struct dentry *parent, void *data,
					       const struct file_operations *fops);
void vfio_helper_debugfs_create_devm_seqfile(struct device *dev, const char *name,
					     struct dentry *parent,
					     int (*read_fn)(struct seq_file *s, void *data));
void vfio_helper_debugfs_remove(struct dentry *dentry);
/* Callbacks that take an enum; helpers.c has the reason. */
int vfio_helper_attach_group(const struct vfio_iommu_driver_ops *ops, void *iommu_data,
			     struct iommu_group *group, enum vfio_group_type type);
int vfio_helper_attach_nothing(void *iommu_data, struct iommu_group *group,
			       enum vfio_group_type type);
int vfio_helper_migration_get_state(struct vfio_device *device, enum vfio_device_mig_state *state);
struct file *vfio_helper_migration_set_state(struct vfio_device *device,
					     enum vfio_device_mig_state state);
#ifdef VFIO_LINUX_7_2
unsigned long vfio_helper_spin_lock_irqsave(spinlock_t *lock);
void vfio_helper_spin_unlock_irqrestore(spinlock_t *lock, unsigned long flags);
#endif

/*
 * The operations of the access of an emulated device.  C defines them, because Rust cannot set
 * their bit-field in a constant.  Rust defines the function (shared/vfio/iommufd.rs).
 */
#if IS_ENABLED(CONFIG_IOMMUFD)
extern const struct iommufd_access_ops vfio_access_ops;
void vfio_access_unmap(void *data, unsigned long iova, unsigned long length);
#endif

#endif
