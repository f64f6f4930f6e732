// SPDX-License-Identifier: GPL-2.0-only
/* A device of vfio_calls.ko: from its allocation to its release, its set, its iommufd. */
#include <linux/iommufd.h>
#include <linux/mutex.h>

#include "vfio_calls_driver.h"

char calls_sets[CALLS_DEVICES];
struct slot *calls_making;

/* Of unregistering, which waits. */
static DEFINE_MUTEX(unregistering);

int calls_alloc(struct slot *slot, struct calls_args *args)
{
	struct device *parent = calls_parent(args->a);
	struct vfio_device *vdev;
	size_t size;

	if (slot->calls)
		return -EBUSY;
	if (!parent)
		return -ENXIO;
	*slot = (struct slot){
		.ops = calls_emulated_ops,
		.parent = parent,
		.flags = args->flags,
		.init_error = args->b,
	};
	if (args->flags & CALLS_PHYSICAL) {
		slot->ops.unbind_iommufd = vfio_iommufd_physical_unbind;
		slot->ops.detach_ioas = vfio_iommufd_physical_detach_ioas;
		slot->ops.pasid_attach_ioas = vfio_iommufd_physical_pasid_attach_ioas;
		slot->ops.pasid_detach_ioas = vfio_iommufd_physical_pasid_detach_ioas;
	}
	if (args->flags & CALLS_NO_BIND)
		slot->ops.bind_iommufd = NULL;
	if (args->flags & CALLS_NO_UNBIND)
		slot->ops.unbind_iommufd = NULL;
	if (args->flags & CALLS_NO_ATTACH)
		slot->ops.attach_ioas = NULL;
	if (args->flags & CALLS_NO_DETACH)
		slot->ops.detach_ioas = NULL;
	calls_making = slot;
	size = args->flags & CALLS_SHORT ? sizeof(*vdev) - 1 : sizeof(struct calls);
	vdev = _vfio_alloc_device(size, parent, &slot->ops);
	if (IS_ERR(vdev))
		return PTR_ERR(vdev);
	slot->calls = container_of(vdev, struct calls, vdev);
	if (args->flags & CALLS_WITH_MIG) {
		vdev->mig_ops = &calls_mig_ops;
		vdev->migration_flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY;
	}
	if (args->flags & CALLS_EMPTY_OPS) {
		vdev->mig_ops = &calls_empty_mig_ops;
		vdev->log_ops = &calls_empty_log_ops;
		vdev->migration_flags = VFIO_MIGRATION_STOP_COPY;
	}
	return 0;
}

int calls_assign_set(struct slot *slot, u64 set)
{
	int ret;

	if (set >= CALLS_DEVICES)
		return -ENXIO;
	ret = vfio_assign_device_set(&slot->calls->vdev, set ? &calls_sets[set] : NULL);
	if (!ret)
		slot->set = set;
	return ret;
}

int calls_register(struct slot *slot, bool other_kind)
{
	bool physical = slot->flags & CALLS_PHYSICAL;
	int ret;

	if (physical != other_kind)
		ret = vfio_register_group_dev(&slot->calls->vdev);
	else
		ret = vfio_register_emulated_iommu_dev(&slot->calls->vdev);
	slot->registered |= !ret;
	return ret;
}

void calls_unregister(struct slot *slot, bool anyway)
{
	mutex_lock(&unregistering);
	if (slot->registered || (anyway && slot->calls))
		vfio_unregister_group_dev(&slot->calls->vdev);
	slot->registered = false;
	mutex_unlock(&unregistering);
}

int calls_reference(struct slot *slot, bool get)
{
	if (get) {
		if (!vfio_device_try_get_registration(&slot->calls->vdev))
			return 0;
		slot->references++;
		return 1;
	}
	if (!slot->references)
		return -ENXIO;
	slot->references--;
	vfio_device_put_registration(&slot->calls->vdev);
	return 0;
}

void calls_put(struct slot *slot)
{
	struct calls *calls = slot->calls;

	/* What a test that failed has left, and somebody may wait for. */
	calls_hold(slot, false);
	while (slot->references)
		calls_reference(slot, false);
	calls_unregister(slot, false);
	slot->calls = NULL;
	if (calls)
		vfio_put_device(&calls->vdev);
}

/* ---- its set, its iommufd ---- */

int calls_find(struct slot *slot, struct device *parent)
{
	struct vfio_device_set *set = slot->calls->vdev.dev_set;
	struct vfio_device *found;

	mutex_lock(&set->lock);
	found = vfio_find_device_in_devset(set, parent);
	mutex_unlock(&set->lock);
	return found ? container_of(found, struct calls, vdev)->slot - calls_slots : -ENOENT;
}

#if IS_ENABLED(CONFIG_IOMMUFD)
int calls_dev_id(struct slot *slot, struct calls_args *args)
{
	struct vfio_device *vdev = &slot->calls->vdev;
	struct iommufd_ctx *ictx = iommufd_ctx_from_fd(args->a), *own;
	int ret;

	if (IS_ERR(ictx))
		return PTR_ERR(ictx);
	mutex_lock(&vdev->dev_set->lock);
	own = vfio_iommufd_device_ictx(vdev);
	args->b = !own ? CALLS_NO_ICTX : own == ictx ? CALLS_THIS_ICTX : CALLS_OTHER_ICTX;
	ret = vfio_iommufd_get_dev_id(vdev, ictx);
	mutex_unlock(&vdev->dev_set->lock);
	iommufd_ctx_put(ictx);
	return ret;
}

static int bind_op(struct vfio_device *vdev, struct calls_args *args, u32 *id)
{
	struct iommufd_ctx *ictx = iommufd_ctx_from_fd(args->c);
	int ret;

	if (IS_ERR(ictx))
		return PTR_ERR(ictx);
	ret = args->a == CALLS_OP_BIND ? vfio_iommufd_physical_bind(vdev, ictx, id) :
					 vfio_iommufd_emulated_bind(vdev, ictx, id);
	iommufd_ctx_put(ictx);
	return ret;
}

int calls_op(struct slot *slot, struct calls_args *args)
{
	struct vfio_device *vdev = &slot->calls->vdev;
	u32 pt = args->b;
	int ret = 0;

	mutex_lock(&vdev->dev_set->lock);
	switch (args->a) {
	case CALLS_OP_ATTACH:
		ret = vfio_iommufd_physical_attach_ioas(vdev, &pt);
		break;
	case CALLS_OP_DETACH:
		vfio_iommufd_physical_detach_ioas(vdev);
		break;
	case CALLS_OP_ATTACH_PASID:
		ret = vfio_iommufd_physical_pasid_attach_ioas(vdev, args->c, &pt);
		break;
	case CALLS_OP_DETACH_PASID:
		vfio_iommufd_physical_pasid_detach_ioas(vdev, args->c);
		break;
	case CALLS_OP_EMULATED_UNBIND:
		vfio_iommufd_emulated_unbind(vdev);
		break;
	case CALLS_OP_EMULATED_DETACH:
		vfio_iommufd_emulated_detach_ioas(vdev);
		break;
	case CALLS_OP_BIND:
	case CALLS_OP_EMULATED_BIND:
		ret = bind_op(vdev, args, &pt);
		break;
	case CALLS_OP_UNBIND:
		vfio_iommufd_physical_unbind(vdev);
		break;
	case CALLS_OP_UNBIND_STRAY_PASID:
		ret = ida_alloc_range(&vdev->pasids, args->c, args->c, GFP_KERNEL);
		if (ret < 0)
			break;
		vfio_iommufd_physical_unbind(vdev);
		ida_free(&vdev->pasids, args->c);
		ret = 0;
		break;
	case CALLS_OP_EMULATED_ATTACH:
		ret = vfio_iommufd_emulated_attach_ioas(vdev, &pt);
		break;
	default:
		ret = -ENXIO;
	}
	mutex_unlock(&vdev->dev_set->lock);
	args->b = pt;
	return ret;
}
#else
int calls_dev_id(struct slot *slot, struct calls_args *args)
{
	return -EOPNOTSUPP;
}

int calls_op(struct slot *slot, struct calls_args *args)
{
	return -EOPNOTSUPP;
}
#endif
