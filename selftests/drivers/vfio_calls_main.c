// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that calls what vfio.ko exports, each function by itself, with arguments
 * and at times that a test chooses, and that says what it saw in its callbacks.  Its
 * devices have platform devices for parents, or the PCI device that it is bound to.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/pm_runtime.h>
#include <linux/uaccess.h>

#include "vfio_calls_driver.h"

struct slot calls_slots[CALLS_DEVICES];
static struct platform_device *platform[CALLS_PLATFORM];
static struct pci_dev *pci;
/* Of all commands but those that wait for others. */
static DEFINE_MUTEX(lock);

/* ---- the parents ---- */

int calls_resumes;
static int resume_error;

struct device *calls_parent(u64 nth)
{
	struct device *dev;

	if (nth == CALLS_PCI)
		return pci ? &pci->dev : NULL;
	if (nth == CALLS_SOFT_IOMMU) {
		dev = bus_find_device_by_name(&platform_bus_type, NULL, "vfio-calls.5");
		/* It is there until the test removes it. */
		put_device(dev);
		return dev;
	}
	return nth < CALLS_PLATFORM ? &platform[nth]->dev : NULL;
}

static int parent_suspend(struct device *dev)
{
	return 0;
}

static int parent_resume(struct device *dev)
{
	if (resume_error)
		return -resume_error;
	calls_resumes++;
	return 0;
}

static const struct dev_pm_ops parent_pm = {
	RUNTIME_PM_OPS(parent_suspend, parent_resume, NULL)
};

static struct platform_driver parent_driver = {
	.driver = {
		.name = "vfio-calls",
		.pm = &parent_pm,
	},
	.driver_managed_dma = true,
};

static void put_all_of(struct device *parent)
{
	for (int i = 0; i < CALLS_DEVICES; i++)
		if (!parent || calls_slots[i].parent == parent)
			calls_put(&calls_slots[i]);
}

static int do_pm(struct calls_args *args)
{
	for (int i = 0; i < CALLS_PLATFORM; i++) {
		/* What has failed once fails until it is told otherwise. */
		pm_runtime_disable(&platform[i]->dev);
		pm_runtime_set_suspended(&platform[i]->dev);
		pm_runtime_enable(&platform[i]->dev);
	}
	parent_driver.driver.pm = args->flags ? &parent_pm : NULL;
	resume_error = args->a;
	return 0;
}

static int calls_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	if (pci)
		return -EBUSY;
	pci = dev;
	return 0;
}

static void calls_remove(struct pci_dev *dev)
{
	put_all_of(&dev->dev);
	pci = NULL;
}

static const struct pci_device_id pci_table[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_ANY_ID, PCI_ANY_ID) },
	{}
};

static struct pci_driver calls_pci_driver = {
	.name = "vfio-calls",
	.id_table = pci_table,
	.probe = calls_probe,
	.remove = calls_remove,
	.driver_managed_dma = true,
};

/* ---- commands ---- */

static int do_device(unsigned int cmd, struct slot *slot, struct calls_args *args)
{
	if (!slot->calls)
		return -ENODEV;
	switch (cmd) {
	case CALLS_ASSIGN_SET:
		return calls_assign_set(slot, args->a);
	case CALLS_REGISTER:
		return calls_register(slot, args->flags & CALLS_OTHER_KIND);
	case CALLS_PUT:
		calls_put(slot);
		return 0;
	case CALLS_GET_REGISTRATION:
	case CALLS_PUT_REGISTRATION:
		return calls_reference(slot, cmd == CALLS_GET_REGISTRATION);
	case CALLS_FIND:
		return calls_find(slot, calls_parent(args->a));
	case CALLS_DEV_ID:
		return calls_dev_id(slot, args);
	case CALLS_OP:
		return calls_op(slot, args);
	case CALLS_FAIL:
		if (args->a >= CALLS_FAILS)
			return -ENXIO;
		slot->fail[args->a] = args->b;
		return 0;
	case CALLS_HOLD:
		calls_hold(slot, args->a);
		return 0;
	}
	return -ENOTTY;
}

static int do_command(unsigned int cmd, struct slot *slot, struct calls_args *args)
{
	switch (cmd) {
	case CALLS_ALLOC:
		return calls_alloc(slot, args);
	case CALLS_SEEN:
		if (args->a >= CALLS_WHENS)
			return -ENXIO;
		if (args->a == CALLS_NOW && slot->calls)
			calls_look(slot, &slot->calls->vdev, CALLS_NOW);
		return copy_to_user(u64_to_user_ptr(args->ptr), &slot->seen[args->a],
				    sizeof(*slot->seen)) ? -EFAULT : 0;
	case CALLS_FILE:
		return calls_file(slot, args->a);
	case CALLS_CAPS:
		return calls_caps(args);
	case CALLS_IRQS:
		return calls_irqs(args);
	case CALLS_PM:
		return do_pm(args);
	case CALLS_REGION:
		return calls_region(args->a, args->b);
	case CALLS_GROUP:
		return args->a < CALLS_PLATFORM ? calls_group(calls_parent(args->a), args->flags) : -ENXIO;
	}
	return do_device(cmd, slot, args);
}

static long calls_control(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct calls_args __user *user = (void __user *)arg;
	struct calls_args args;
	int ret = 0;

	if (copy_from_user(&args, user, sizeof(args)))
		return -EFAULT;
	if (args.device >= CALLS_DEVICES)
		return -ENXIO;
	if (cmd == CALLS_UNREGISTER) {
		/* Waits for files that are closed, and references that are put. */
		calls_unregister(&calls_slots[args.device], args.flags & CALLS_ANYWAY);
		return 0;
	}
	mutex_lock(&lock);
	ret = do_command(cmd, &calls_slots[args.device], &args);
	mutex_unlock(&lock);
	return copy_to_user(user, &args, sizeof(args)) ? -EFAULT : ret;
}

static const struct file_operations calls_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = calls_control,
};

static struct miscdevice calls_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vfio-calls",
	.fops = &calls_fops,
};

static void remove_parents(void)
{
	for (int i = 0; i < CALLS_PLATFORM; i++) {
		if (IS_ERR_OR_NULL(platform[i]))
			continue;
		pm_runtime_disable(&platform[i]->dev);
		platform_device_unregister(platform[i]);
	}
	platform_driver_unregister(&parent_driver);
}

static int __init calls_module_init(void)
{
	int ret = platform_driver_register(&parent_driver);

	if (ret)
		return ret;
	for (int i = 0; i < CALLS_PLATFORM; i++) {
		platform[i] = platform_device_register_simple("vfio-calls", i, NULL, 0);
		ret = PTR_ERR_OR_ZERO(platform[i]);
		if (ret)
			goto err;
		pm_runtime_enable(&platform[i]->dev);
	}
	ret = pci_register_driver(&calls_pci_driver);
	if (ret)
		goto err;
	ret = misc_register(&calls_misc);
	if (!ret)
		return 0;
	pci_unregister_driver(&calls_pci_driver);
err:
	remove_parents();
	return ret;
}
module_init(calls_module_init);

/* Keeps the module going away, with its devices. */
static bool hold_exit;
module_param(hold_exit, bool, 0644);

static void __exit calls_module_exit(void)
{
	misc_deregister(&calls_misc);
	while (READ_ONCE(hold_exit))
		msleep(20);
	put_all_of(NULL);
	pci_unregister_driver(&calls_pci_driver);
	remove_parents();
}
module_exit(calls_module_exit);

MODULE_IMPORT_NS("IOMMUFD");
MODULE_DESCRIPTION("Calls of the VFIO core, one by one, for tests of it");
MODULE_LICENSE("GPL");
