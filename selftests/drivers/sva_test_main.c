// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared virtual addressing without VFIO: binds the memory of who asks to any PCI
 * device, by the IOMMU core's own functions, so that a test knows what an IOMMU and a
 * device do before it asks VFIO for the same.  It loads on every machine.
 */
#include <linux/cleanup.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "sva_test.h"
#include "sva_test_vtd.h"

struct bond {
	struct list_head list;
	struct pci_dev *pdev;
	struct iommu_sva *handle;	/* NULL: DMA ownership */
};

struct sva_test_ctx {
	struct mutex lock;		/* of bonds, the last first */
	struct list_head bonds;
	struct completion let_go;
};

/* ---- bonds ---- */

static int make_bond(struct sva_test_ctx *ctx, struct sva_test_args *args, bool sva)
{
	struct bond *bond __free(kfree) = kzalloc_obj(*bond);
	struct pci_dev *pdev __free(pci_dev_put) =
		pci_get_domain_bus_and_slot(args->device >> 16, args->device >> 8 & 0xff,
					    args->device & 0xff);

	if (!bond)
		return -ENOMEM;
	if (!pdev)
		return -ENXIO;
	if (sva) {
		bond->handle = iommu_sva_bind_device(&pdev->dev, current->mm);
		if (IS_ERR(bond->handle))
			return PTR_ERR(bond->handle);
		args->pasid = iommu_sva_get_pasid(bond->handle);
	} else {
		int ret = iommu_device_claim_dma_owner(&pdev->dev, ctx);

		if (ret)
			return ret;
	}
	bond->pdev = no_free_ptr(pdev);
	guard(mutex)(&ctx->lock);
	list_add(&no_free_ptr(bond)->list, &ctx->bonds);
	return 0;
}

static void end_bond(struct bond *bond)
{
	list_del(&bond->list);
	if (bond->handle)
		iommu_sva_unbind_device(bond->handle);
	else
		iommu_device_release_dma_owner(&bond->pdev->dev);
	pci_dev_put(bond->pdev);
	kfree(bond);
}

static int end_bond_of(struct sva_test_ctx *ctx, const struct sva_test_args *args, bool sva)
{
	struct bond *bond;

	guard(mutex)(&ctx->lock);
	list_for_each_entry(bond, &ctx->bonds, list) {
		if (!!bond->handle == sva &&
		    pci_domain_nr(bond->pdev->bus) == args->device >> 16 &&
		    pci_dev_id(bond->pdev) == (args->device & 0xffff)) {
			end_bond(bond);
			return 0;
		}
	}
	return -ENOENT;
}

/* ---- the lock of a group ---- */

static int wait_in_group(struct device *dev, void *ctx)
{
	return wait_for_completion_killable(&((struct sva_test_ctx *)ctx)->let_go);
}

static int hold_group(struct sva_test_ctx *ctx, const struct sva_test_args *args)
{
	struct pci_dev *pdev __free(pci_dev_put) =
		pci_get_domain_bus_and_slot(args->device >> 16, args->device >> 8 & 0xff,
					    args->device & 0xff);
	struct iommu_group *group;
	int ret;

	group = pdev ? iommu_group_get(&pdev->dev) : NULL;
	if (!group)
		return -ENXIO;
	/* It calls with the lock held, for each device. */
	ret = iommu_group_for_each_dev(group, ctx, wait_in_group);
	iommu_group_put(group);
	return ret;
}

/* ---- a page that does not come ---- */

/* Whoever faults on it waits, as for a file system that does not answer, and cannot be killed. */
static vm_fault_t slow_fault(struct vm_fault *vmf)
{
	struct sva_test_ctx *ctx = vmf->vma->vm_file->private_data;

	wait_for_completion(&ctx->let_go);
	vmf->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	return vmf->page ? 0 : VM_FAULT_OOM;
}

static const struct vm_operations_struct slow_ops = {
	.fault = slow_fault,
};

static int sva_test_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &slow_ops;
	return 0;
}

/* ---- /dev/sva-test ---- */

static int transfer(struct sva_test_dma __user *arg)
{
	struct sva_test_dma args;
	int ret;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	ret = sva_test_dma(&args);
	if (!ret && copy_to_user(arg, &args, sizeof(args)))
		ret = -EFAULT;
	return ret;
}

static long sva_test_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct sva_test_ctx *ctx = file->private_data;
	struct sva_test_args args;
	int ret;

	if (cmd == SVA_TEST_DMA)
		return transfer((void __user *)arg);
	if (copy_from_user(&args, (void __user *)arg, sizeof(args)))
		return -EFAULT;
	switch (cmd) {
	case SVA_TEST_BIND:
		ret = make_bond(ctx, &args, true);
		break;
	case SVA_TEST_UNBIND:
		ret = end_bond_of(ctx, &args, true);
		break;
	case SVA_TEST_CLAIM:
		ret = make_bond(ctx, &args, false);
		break;
	case SVA_TEST_RELEASE:
		ret = end_bond_of(ctx, &args, false);
		break;
	case SVA_TEST_ROOT:
		ret = sva_test_root(&args.root);
		break;
	case SVA_TEST_WALK:
		ret = sva_test_walk(args.root, &args.address);
		break;
	case SVA_TEST_HOLD:
		ret = hold_group(ctx, &args);
		break;
	case SVA_TEST_LET_GO:
		complete(&ctx->let_go);
		ret = 0;
		break;
	default:
		ret = -ENOTTY;
	}
	if (!ret && copy_to_user((void __user *)arg, &args, sizeof(args)))
		ret = -EFAULT;
	return ret;
}

static int sva_test_open(struct inode *inode, struct file *file)
{
	struct sva_test_ctx *ctx = kzalloc_obj(*ctx);

	if (!ctx)
		return -ENOMEM;
	mutex_init(&ctx->lock);
	INIT_LIST_HEAD(&ctx->bonds);
	init_completion(&ctx->let_go);
	file->private_data = ctx;
	return 0;
}

static int sva_test_release(struct inode *inode, struct file *file)
{
	struct sva_test_ctx *ctx = file->private_data;
	struct bond *bond, *next;

	list_for_each_entry_safe(bond, next, &ctx->bonds, list)
		end_bond(bond);
	mutex_destroy(&ctx->lock);
	kfree(ctx);
	return 0;
}

static const struct file_operations sva_test_fops = {
	.owner = THIS_MODULE,
	.open = sva_test_open,
	.release = sva_test_release,
	.unlocked_ioctl = sva_test_ioctl,
	.mmap = sva_test_mmap,
};

static struct miscdevice sva_test_node = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "sva-test",
	.fops = &sva_test_fops,
	.mode = 0600,
};

static int __init sva_test_init(void)
{
	return misc_register(&sva_test_node);
}

static void __exit sva_test_exit(void)
{
	misc_deregister(&sva_test_node);
	sva_test_make_capable(false);
}

module_init(sva_test_init);
module_exit(sva_test_exit);

MODULE_DESCRIPTION("Shared virtual addressing by hand");
MODULE_LICENSE("GPL");
