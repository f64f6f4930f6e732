// SPDX-License-Identifier: GPL-2.0-only
/* The callbacks of vfio_calls.ko, and what they see of a device. */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/iommufd.h>
#include <linux/kdev_t.h>
#include <linux/wait.h>

#include "vfio_calls_driver.h"

static struct slot *slot_of(struct vfio_device *vdev)
{
	return container_of(vdev, struct calls, vdev)->slot;
}

static u32 set_devices(struct vfio_device_set *set)
{
	struct vfio_device *vdev;
	u32 n = 0;

	list_for_each_entry(vdev, &set->device_list, dev_set_list)
		n++;
	return n;
}

/* Linux 7.2 does not mark such devices. */
static bool is_noiommu(struct vfio_device *vdev)
{
#if IS_ENABLED(CONFIG_IOMMUFD_NOIOMMU)
	return vdev->noiommu;
#else
	return false;
#endif
}

static u32 fields_of(struct vfio_device *vdev)
{
	u32 fields = 0;

	if (vdev->kvm)
		fields |= CALLS_KVM;
	if (vdev->open_count)
		fields |= CALLS_OPEN_COUNT;
	if (vdev->cdev_opened)
		fields |= CALLS_CDEV;
	if (vdev->iommufd_access)
		fields |= CALLS_ACCESS;
#if IS_ENABLED(CONFIG_IOMMUFD)
	if (vdev->iommufd_attached)
		fields |= CALLS_ATTACHED;
	if (vdev->iommufd_device)
		fields |= CALLS_IDEV;
	if (!ida_is_empty(&vdev->pasids))
		fields |= CALLS_PASIDS;
#endif
	if (vdev->precopy_info_v2)
		fields |= CALLS_PRECOPY;
	if (vdev->inode)
		fields |= CALLS_INODE;
	if (is_noiommu(vdev))
		fields |= CALLS_BARE;
	if (!IS_ERR_OR_NULL(vdev->debug_root))
		fields |= CALLS_DEBUG_ROOT;
	return fields;
}

void calls_look(struct slot *slot, struct vfio_device *vdev, enum calls_when when)
{
	struct calls *calls = container_of(vdev, struct calls, vdev);
	struct calls_seen *seen = &slot->seen[when];
	struct vfio_device_set *set = when == CALLS_IN_RELEASE ? NULL : vdev->dev_set;

	*seen = (struct calls_seen){
		.what = CALLS_CALLED,
		.index = vdev->index,
		.open_count = vdev->open_count,
		.pm_usage = atomic_read(&vdev->dev->power.usage_count),
		.pm_resumes = calls_resumes,
		.fields = fields_of(vdev),
		.references = refcount_read(&vdev->refcount),
		.set = (uintptr_t)vdev->dev_set,
	};
	if (vdev->dev == slot->parent && vdev->ops == &slot->ops)
		seen->what |= CALLS_OWN_DEV;
	if (!memchr_inv(calls->own, 0, sizeof(calls->own)))
		seen->what |= CALLS_ZEROED;
	if (vfio_device_cdev_opened(vdev))
		seen->what |= CALLS_CDEV_OPENED;
	if (is_noiommu(vdev))
		seen->what |= CALLS_NOIOMMU;
	if (vdev->kvm)
		seen->what |= CALLS_HAS_KVM;
	if (vdev->inode) {
		seen->what |= CALLS_HAS_INODE;
		seen->magic = vdev->inode->i_sb->s_magic;
		strscpy(seen->fs, vdev->inode->i_sb->s_type->name);
	}
	if (set) {
		seen->what |= CALLS_HAS_SET;
		if (mutex_is_locked(&set->lock))
			seen->what |= CALLS_LOCKED;
		seen->set_devices = set_devices(set);
	}
	/* Before it is registered it has no name, and no number. */
	if (slot->registered) {
		strscpy(seen->name, dev_name(&vdev->device));
		seen->minor = MINOR(vdev->device.devt);
		if (!IS_ERR_OR_NULL(vdev->debug_root))
			snprintf(seen->debug, sizeof(seen->debug), "%pd", vdev->debug_root);
	}
}

static int calls_init(struct vfio_device *vdev)
{
	struct slot *slot = calls_making;

	calls_look(slot, vdev, CALLS_IN_INIT);
	container_of(vdev, struct calls, vdev)->slot = slot;
	if (slot->flags & CALLS_SET_IN_INIT) {
		int ret = vfio_assign_device_set(vdev, &calls_sets[1]);

		if (ret)
			return ret;
		slot->set = 1;
	}
	return -slot->init_error;
}

static const struct vfio_device_ops probe_ops = { .name = "vfio-calls-probe" };

static void calls_release(struct vfio_device *vdev)
{
	struct slot *slot = container_of(vdev, struct calls, vdev)->slot;
	struct vfio_device *probe;
	int i;

	calls_look(slot, vdev, CALLS_IN_RELEASE);
	for (i = 0; i < CALLS_DEVICES; i++) {
		struct vfio_device_set *set;

		if (&calls_slots[i] == slot || !calls_slots[i].calls || calls_slots[i].set != slot->set ||
		    !slot->set)
			continue;
		set = calls_slots[i].calls->vdev.dev_set;
		mutex_lock(&set->lock);
		if (vfio_find_device_in_devset(set, slot->parent))
			slot->seen[CALLS_IN_RELEASE].what |= CALLS_IN_SET;
		mutex_unlock(&set->lock);
	}
	probe = _vfio_alloc_device(sizeof(*probe), slot->parent, &probe_ops);
	if (IS_ERR(probe))
		return;
	slot->seen[CALLS_IN_RELEASE].free_index = probe->index;
	vfio_put_device(probe);
}

#if IS_ENABLED(CONFIG_IOMMUFD)
static int calls_bind(struct vfio_device *vdev, struct iommufd_ctx *ictx, u32 *id)
{
	struct slot *slot = slot_of(vdev);

	if (slot->fail[CALLS_FAIL_BIND])
		return -slot->fail[CALLS_FAIL_BIND];
	return slot->flags & CALLS_PHYSICAL ? vfio_iommufd_physical_bind(vdev, ictx, id) :
					      vfio_iommufd_emulated_bind(vdev, ictx, id);
}

static int calls_attach(struct vfio_device *vdev, u32 *pt_id)
{
	struct slot *slot = slot_of(vdev);

	if (slot->fail[CALLS_FAIL_ATTACH])
		return -slot->fail[CALLS_FAIL_ATTACH];
	return slot->flags & CALLS_PHYSICAL ? vfio_iommufd_physical_attach_ioas(vdev, pt_id) :
					      vfio_iommufd_emulated_attach_ioas(vdev, pt_id);
}
#else
/* Who binds and attaches is iommufd. */
#define calls_bind	NULL
#define calls_attach	NULL
#endif

static DECLARE_WAIT_QUEUE_HEAD(hold_wait);

void calls_hold(struct slot *slot, bool hold)
{
	WRITE_ONCE(slot->hold, hold);
	wake_up_all(&hold_wait);
}

static int calls_open(struct vfio_device *vdev)
{
	struct slot *slot = slot_of(vdev);

	calls_look(slot, vdev, CALLS_IN_OPEN);
	wait_event(hold_wait, !READ_ONCE(slot->hold));
	return -slot->fail[CALLS_FAIL_OPEN];
}

static void calls_close(struct vfio_device *vdev)
{
	calls_look(slot_of(vdev), vdev, CALLS_IN_CLOSE);
}

/* These need no power: a test sees whether the core gave them some. */
static ssize_t calls_read(struct vfio_device *vdev, char __user *buf, size_t count, loff_t *at)
{
	return 0;
}

static long calls_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	struct slot *slot = slot_of(vdev);

	calls_look(slot, vdev, CALLS_IN_IOCTL);
	return wait_event_killable(hold_wait, !READ_ONCE(slot->hold)) ?: -ENOTTY;
}

const struct vfio_device_ops calls_emulated_ops = {
	.name = "vfio-calls",
	.init = calls_init,
	.release = calls_release,
	.bind_iommufd = calls_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = calls_attach,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
	.open_device = calls_open,
	.close_device = calls_close,
	.read = calls_read,
	.ioctl = calls_ioctl,
};

static struct file *calls_set_state(struct vfio_device *vdev, enum vfio_device_mig_state state)
{
	return ERR_PTR(-EINVAL);
}

static int calls_get_state(struct vfio_device *vdev, enum vfio_device_mig_state *state)
{
	*state = VFIO_DEVICE_STATE_RUNNING;
	return 0;
}

static int calls_data_size(struct vfio_device *vdev, unsigned long *length)
{
	*length = 0;
	return 0;
}

const struct vfio_migration_ops calls_mig_ops = {
	.migration_set_state = calls_set_state,
	.migration_get_state = calls_get_state,
	.migration_get_data_size = calls_data_size,
};

const struct vfio_migration_ops calls_empty_mig_ops;
const struct vfio_log_ops calls_empty_log_ops;
