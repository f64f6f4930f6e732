// SPDX-License-Identifier: GPL-2.0-only
// Inline functions and macros of the kernel that Rust cannot call.

#include <linux/completion.h>
#include <linux/device.h>
#include <linux/lockdep.h>
#include <linux/pm_runtime.h>
#include <linux/pseudo_fs.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "vfio_helpers.h"

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

void vfio_helper_ida_init(struct ida *ida)
{
	ida_init(ida);
}

void vfio_helper_ratelimit_init(struct ratelimit_state *rs)
{
	ratelimit_default_init(rs);
}
