// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver of devices that are nothing: emulated ones, or without an IOMMU, which
 * remember what the core called, and call what a test asks for, with good arguments
 * and bad ones.  It is linked against what vfio.ko exports and nothing else of it.
 * For test machines.
 */
#include <linux/iommu.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/uaccess.h>

#include "driver.h"

struct slot td_slots[TESTDRV_SLOTS];
struct slot *td_creating;
static char sets[TESTDRV_SLOTS];

static DEFINE_MUTEX(create_lock);

/* ---- commands ---- */

static int td_register(struct slot *slot, struct vfio_device *vdev)
{
	return slot->physical ? vfio_register_group_dev(vdev) :
				vfio_register_emulated_iommu_dev(vdev);
}

/* An IOMMU group that no IOMMU's driver has made. */
static int td_make_group(struct slot *slot)
{
	struct iommu_group *group = iommu_group_alloc();
	int ret;

	if (IS_ERR(group))
		return PTR_ERR(group);
	ret = iommu_group_add_device(group, &slot->parent->dev);
	iommu_group_put(group);
	if (!ret)
		slot->group = group;
	return ret;
}

static void td_drop_group(struct slot *slot)
{
	if (slot->group)
		iommu_group_remove_device(&slot->parent->dev);
	slot->group = NULL;
}

static int td_create(struct slot *slot, struct testdrv_args *args)
{
	struct testdrv *dev;
	int ret;

	if (slot->dev)
		return -EBUSY;
	if (args->b >= TESTDRV_SLOTS)
		return -EINVAL;
	memset(slot->fail, 0, sizeof(slot->fail));
	slot->state = VFIO_DEVICE_STATE_RUNNING;
	slot->size = 0;
	slot->file = false;
	slot->page_size = 0;
	slot->ops = td_ops;
	if (args->flags & TESTDRV_WITH_UNMAP)
		slot->ops.dma_unmap = td_dma_unmap;
	if (args->flags & TESTDRV_WITH_TOKEN)
		slot->ops.match_token_uuid = td_token;
	if (args->flags & TESTDRV_WITH_FEATURE)
		slot->ops.device_feature = td_device_feature;
	if (args->flags & TESTDRV_WITH_REQUEST)
		slot->ops.request = td_request;
	if (args->flags & TESTDRV_WITH_IOCTL)
		slot->ops.ioctl = td_ioctl;
	if (args->flags & TESTDRV_WITH_MATCH)
		slot->ops.match = td_match;
	slot->physical = args->flags & TESTDRV_PHYSICAL;

	td_creating = slot;
	dev = vfio_alloc_device(testdrv, vdev, &slot->parent->dev, &slot->ops);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	if (args->flags & TESTDRV_WITH_MIG) {
		dev->vdev.mig_ops = &td_mig_ops;
		dev->vdev.migration_flags = args->a;
	}
	if (args->flags & TESTDRV_WITH_LOG)
		dev->vdev.log_ops = &td_log_ops;
	ret = args->b ? vfio_assign_device_set(&dev->vdev, &sets[args->b]) : 0;
	if (!ret && (args->flags & TESTDRV_WITH_GROUP))
		ret = td_make_group(slot);
	if (!ret)
		ret = td_register(slot, &dev->vdev);
	if (ret) {
		td_drop_group(slot);
		vfio_put_device(&dev->vdev);
	} else {
		slot->dev = dev;
	}
	return ret;
}

static void td_destroy(struct slot *slot)
{
	struct testdrv *dev = slot->dev;

	if (!dev)
		return;
	vfio_virqfd_disable(&slot->virqfd);
	vfio_unregister_group_dev(&dev->vdev);
	td_drop_group(slot);
	slot->dev = NULL;
	vfio_put_device(&dev->vdev);
}

static int td_reregister(struct slot *slot)
{
	struct testdrv *dev;
	int ret = -ENODEV;

	mutex_lock(&slot->lock);
	dev = slot->dev;
	if (dev) {
		vfio_unregister_group_dev(&dev->vdev);
		ret = td_register(slot, &dev->vdev);
		if (ret) {
			td_drop_group(slot);
			slot->dev = NULL;
			vfio_put_device(&dev->vdev);
		}
	}
	mutex_unlock(&slot->lock);
	return ret;
}

static int td_open_count(struct slot *slot)
{
	struct vfio_device_set *set = slot->dev->vdev.dev_set;
	int ret;

	mutex_lock(&set->lock);
	ret = vfio_device_set_open_count(set);
	mutex_unlock(&set->lock);
	return ret;
}

static int td_do(unsigned int cmd, struct slot *slot, struct testdrv_args *args)
{
	int ret;

	switch (cmd) {
	case TESTDRV_CREATE:
		mutex_lock(&create_lock);
		mutex_lock(&slot->lock);
		ret = td_create(slot, args);
		mutex_unlock(&slot->lock);
		mutex_unlock(&create_lock);
		return ret;
	case TESTDRV_DESTROY:
		mutex_lock(&slot->lock);
		td_destroy(slot);
		mutex_unlock(&slot->lock);
		return 0;
	case TESTDRV_CALLS:
		return td_calls(args);
	case TESTDRV_COMBINE:
		return td_combine(args);
	case TESTDRV_WAIT:
	case TESTDRV_FAIL:
		if (args->a >= TESTDRV_IDS)
			return -EINVAL;
		if (cmd == TESTDRV_WAIT)
			return wait_event_interruptible(td_wait,
				READ_ONCE(slot->calls[args->a]) >= args->b);
		slot->fail[args->a] = args->b;
		return 0;
	}
	/* The rest is about a device. */
	if (!slot->dev)
		return -ENODEV;
	switch (cmd) {
	case TESTDRV_REREGISTER:
		return td_reregister(slot);
	case TESTDRV_PIN:
		return td_pin_pages(slot, args);
	case TESTDRV_UNPIN:
		return td_unpin_pages(slot, args);
	case TESTDRV_RW:
		return td_dma_rw(slot, args);
	case TESTDRV_NEXT_STATE:
		return td_next_state(slot, args);
	case TESTDRV_OPEN_COUNT:
		return td_open_count(slot);
	case TESTDRV_MIG:
		slot->file = args->flags & TESTDRV_MIG_FILE;
		slot->state = args->a;
		slot->size = args->b;
		return 0;
	case TESTDRV_LOG:
		slot->page_size = args->a;
		return 0;
	case TESTDRV_ENABLE:
		return td_enable(slot, args);
	case TESTDRV_DISABLE:
		vfio_virqfd_disable(&slot->virqfd);
		return 0;
	case TESTDRV_FLUSH:
		vfio_virqfd_flush_thread(&slot->virqfd);
		return 0;
	case TESTDRV_HOLD:
		WRITE_ONCE(slot->hold, args->a);
		wake_up_all(&td_wait);
		return 0;
	case TESTDRV_ENABLED:
		return !!READ_ONCE(slot->virqfd);
	}
	return -ENOTTY;
}

static long td_control(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct testdrv_args __user *user = (void __user *)arg;
	struct testdrv_args args;
	int ret;

	if (copy_from_user(&args, user, sizeof(args)))
		return -EFAULT;
	if (args.slot >= TESTDRV_SLOTS)
		return -EINVAL;
	ret = td_do(cmd, &td_slots[args.slot], &args);
	return copy_to_user(user, &args, sizeof(args)) ? -EFAULT : ret;
}

static const struct file_operations td_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = td_control,
};

static struct miscdevice td_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vfio-testdrv",
	.fops = &td_fops,
};

static struct platform_driver td_driver = {
	.driver.name = "vfio-testdrv",
	.driver_managed_dma = true,
};

static void td_remove_parents(void)
{
	int i;

	for (i = 0; i < TESTDRV_SLOTS; i++) {
		td_destroy(&td_slots[i]);
		platform_device_unregister(td_slots[i].parent);
	}
}

static int __init td_module_init(void)
{
	int i, ret = platform_driver_register(&td_driver);

	if (ret)
		return ret;
	for (i = 0; i < TESTDRV_SLOTS; i++) {
		mutex_init(&td_slots[i].lock);
		mutex_init(&td_slots[i].pins_lock);
		INIT_LIST_HEAD(&td_slots[i].pins);
		td_slots[i].parent = platform_device_register_simple("vfio-testdrv", i, NULL, 0);
		if (IS_ERR(td_slots[i].parent)) {
			ret = PTR_ERR(td_slots[i].parent);
			td_slots[i].parent = NULL;
			goto out;
		}
	}
	ret = misc_register(&td_misc);
	if (!ret)
		return 0;
out:
	td_remove_parents();
	platform_driver_unregister(&td_driver);
	return ret;
}
module_init(td_module_init);

static void __exit td_module_exit(void)
{
	misc_deregister(&td_misc);
	td_remove_parents();
	platform_driver_unregister(&td_driver);
}
module_exit(td_module_exit);

MODULE_IMPORT_NS("IOMMUFD");
MODULE_DESCRIPTION("Devices that are nothing, to test the VFIO core");
MODULE_LICENSE("GPL");
