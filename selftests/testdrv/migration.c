// SPDX-License-Identifier: GPL-2.0-only
/* The states of migration. */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>

#include "driver.h"

static const struct file_operations td_mig_fops = {
	.owner = THIS_MODULE,
};

static struct file *td_set_state(struct vfio_device *vdev,
				 enum vfio_device_mig_state state)
{
	struct slot *slot = slot_of(vdev);
	int ret = td_note(slot, TESTDRV_SET_STATE, state, vdev->precopy_info_v2);

	if (ret)
		return ERR_PTR(ret);
	slot->state = state;
	if (!slot->file)
		return NULL;
	return anon_inode_getfile("testdrv_mig", &td_mig_fops, NULL, O_RDONLY);
}

static int td_get_state(struct vfio_device *vdev, enum vfio_device_mig_state *state)
{
	struct slot *slot = slot_of(vdev);
	int ret = td_note(slot, TESTDRV_GET_STATE, 0, 0);

	wait_event(td_wait, READ_ONCE(slot->hold) != TESTDRV_HOLD_STATE);
	*state = slot->state;
	return ret;
}

static int td_data_size(struct vfio_device *vdev, unsigned long *length)
{
	struct slot *slot = slot_of(vdev);

	*length = slot->size;
	return td_note(slot, TESTDRV_DATA_SIZE, 0, 0);
}

const struct vfio_migration_ops td_mig_ops = {
	.migration_set_state = td_set_state,
	.migration_get_state = td_get_state,
	.migration_get_data_size = td_data_size,
};

int td_next_state(struct slot *slot, struct testdrv_args *args)
{
	struct vfio_device *vdev = &slot->dev->vdev;
	enum vfio_device_mig_state next = VFIO_DEVICE_STATE_NR;
	unsigned int flags = vdev->migration_flags;
	int ret;

	vdev->migration_flags = args->flags;
	ret = vfio_mig_get_next_state(vdev, args->a, args->b, &next);
	vdev->migration_flags = flags;
	args->c = next;
	return ret;
}
