// SPDX-License-Identifier: GPL-2.0-only
/* The callbacks of a device. */
#include <linux/iommufd.h>
#include <linux/uaccess.h>
#include <linux/uuid.h>

#include "driver.h"

static int td_init(struct vfio_device *vdev)
{
	container_of(vdev, struct testdrv, vdev)->slot = td_creating;
	return td_note(td_creating, TESTDRV_INIT, 0, 0);
}

static void td_release(struct vfio_device *vdev)
{
	td_note(slot_of(vdev), TESTDRV_RELEASE, 0, 0);
}

#if IS_ENABLED(CONFIG_IOMMUFD)
static int td_bind(struct vfio_device *vdev, struct iommufd_ctx *ictx, u32 *id)
{
	struct slot *slot = slot_of(vdev);
	int ret = -slot->fail[TESTDRV_BIND];

	if (!ret)
		ret = slot->physical ? vfio_iommufd_physical_bind(vdev, ictx, id) :
				       vfio_iommufd_emulated_bind(vdev, ictx, id);
	td_note(slot, TESTDRV_BIND, 0, ret ? 0 : *id);
	return ret;
}

static void td_unbind(struct vfio_device *vdev)
{
	td_note(slot_of(vdev), TESTDRV_UNBIND, 0, 0);
	if (slot_of(vdev)->physical)
		vfio_iommufd_physical_unbind(vdev);
	else
		vfio_iommufd_emulated_unbind(vdev);
}

static int td_attach(struct vfio_device *vdev, u32 *pt_id)
{
	struct slot *slot = slot_of(vdev);
	int ret = -slot->fail[TESTDRV_ATTACH];
	u32 before = *pt_id;

	if (!ret)
		ret = slot->physical ? vfio_iommufd_physical_attach_ioas(vdev, pt_id) :
				       vfio_iommufd_emulated_attach_ioas(vdev, pt_id);
	td_note(slot, TESTDRV_ATTACH, before, *pt_id);
	return ret;
}

static void td_detach(struct vfio_device *vdev)
{
	td_note(slot_of(vdev), TESTDRV_DETACH, 0, 0);
	if (slot_of(vdev)->physical)
		vfio_iommufd_physical_detach_ioas(vdev);
	else
		vfio_iommufd_emulated_detach_ioas(vdev);
}
#else
/* Who binds and attaches is iommufd. */
#define td_bind		NULL
#define td_unbind	NULL
#define td_attach	NULL
#define td_detach	NULL
#endif

static int td_open(struct vfio_device *vdev)
{
	struct slot *slot = slot_of(vdev);
	int ret = td_note(slot, TESTDRV_OPEN, (uintptr_t)vdev->kvm, 0);

	wait_event(td_wait, READ_ONCE(slot->hold) != TESTDRV_HOLD_OPEN);
	return ret;
}

static void td_close(struct vfio_device *vdev)
{
	struct slot *slot = slot_of(vdev);

	td_note(slot, TESTDRV_CLOSE, (uintptr_t)vdev->kvm, 0);
	wait_event(td_wait, READ_ONCE(slot->hold) != TESTDRV_HOLD_CLOSE);
}

void td_request(struct vfio_device *vdev, unsigned int count)
{
	td_note(slot_of(vdev), TESTDRV_REQUEST, count, 0);
}

int td_token(struct vfio_device *vdev, const uuid_t *uuid)
{
	return td_note(slot_of(vdev), TESTDRV_TOKEN, !!uuid, uuid ? uuid->b[0] : 0);
}

int td_match(struct vfio_device *vdev, char *name)
{
	struct slot *slot = slot_of(vdev);
	int ret = td_note(slot, TESTDRV_MATCH, strlen(name), 0);
	char own[64];

	snprintf(own, sizeof(own), TESTDRV_NAME, (int)(slot - td_slots));
	return ret ? ret : !strcmp(name, own);
}

int td_device_feature(struct vfio_device *vdev, u32 flags,
			     void __user *arg, size_t argsz)
{
	int ret = td_note(slot_of(vdev), TESTDRV_DEVICE_FEATURE, flags, argsz);
	u64 value;

	if (ret)
		return ret;
	if ((flags & VFIO_DEVICE_FEATURE_MASK) != TESTDRV_FEATURE)
		return -ENOTTY;
	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET, sizeof(value));
	if (ret != 1)
		return ret;
	value = TESTDRV_FEATURE;
	return copy_to_user(arg, &value, sizeof(value)) ? -EFAULT : 7;
}

long td_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	int ret = td_note(slot_of(vdev), TESTDRV_IOCTL, cmd, 0);

	return ret ? ret : -ENOTTY;
}

const struct vfio_device_ops td_ops = {
	.name = "vfio-testdrv",
	.init = td_init,
	.release = td_release,
	.bind_iommufd = td_bind,
	.unbind_iommufd = td_unbind,
	.attach_ioas = td_attach,
	.detach_ioas = td_detach,
	.open_device = td_open,
	.close_device = td_close,
};
