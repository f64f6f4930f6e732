// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared virtual addressing without VFIO: binds the memory of who asks to any PCI
 * device, by the IOMMU core's own functions, so that a test knows what an IOMMU and a
 * device do before it asks VFIO for the same.
 *
 * QEMU's VT-d walks first-stage page tables, and does not say that its walks are
 * coherent with the caches (ECAP.SMPWC), though memory that is emulated has no other
 * way to be.  Linux then takes it for one that cannot share page tables.  The parameter
 * "capable" makes Linux believe it.  For real hardware that would be a lie: the module
 * loads on QEMU alone.
 */
#include <linux/acpi.h>
#include <linux/cleanup.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iommu.h"
#include "sva_lab.h"

struct bond {
	struct list_head list;
	struct pci_dev *pdev;
	struct iommu_sva *handle;	/* NULL: DMA ownership */
};

struct lab {
	struct mutex lock;		/* of bonds, the last first */
	struct list_head bonds;
};

static bool is_capable;

/* ---- the capability ---- */

/* What VT-d's driver has of a device, or NULL. */
static struct device_domain_info *vtd_of(struct device *dev)
{
	/* Its devices, and no other IOMMU's, are called dmar<n>. */
	if (!dev->iommu || !dev->iommu->iommu_dev || !dev->iommu->iommu_dev->dev ||
	    !strstarts(dev_name(dev->iommu->iommu_dev->dev), "dmar"))
		return NULL;
	return dev_iommu_priv_get(dev);
}

/* Nothing else than SMPWC is in the way of Linux. */
static bool can_be_made_capable(const struct device_domain_info *info)
{
	const struct intel_iommu *iommu = info->iommu;

	/* There are tables of PASIDs in scalable mode alone. */
	if (!info->pasid_table || !ecap_pasid(iommu->ecap) || ecap_smpwc(iommu->ecap))
		return false;
	/* Where processes have pages of 1 GiB, or a fifth level, it must know them. */
	if (ecap_flts(iommu->ecap) && cpu_feature_enabled(X86_FEATURE_GBPAGES) &&
	    !cap_fl1gp_support(iommu->cap))
		return false;
	return !cpu_feature_enabled(X86_FEATURE_LA57) || cap_fl5lp_support(iommu->cap);
}

static int make_capable(bool yes)
{
	struct pci_dev *pdev = NULL;
	int units = 0;

	for_each_pci_dev(pdev) {
		struct device_domain_info *info = vtd_of(&pdev->dev);

		if (!info || !can_be_made_capable(info))
			continue;
		if (yes)
			info->iommu->flags |= VTD_FLAG_SVM_CAPABLE;
		else
			info->iommu->flags &= ~VTD_FLAG_SVM_CAPABLE;
		units++;
	}
	return units ? 0 : -ENODEV;
}

static int set_capable(const char *value, const struct kernel_param *param)
{
	bool wish;
	int ret = kstrtobool(value, &wish);

	if (!ret)
		ret = make_capable(wish);
	if (!ret)
		is_capable = wish;
	return ret;
}

static const struct kernel_param_ops capable_ops = {
	.set = set_capable,
	.get = param_get_bool,
};
module_param_cb(capable, &capable_ops, &is_capable, 0644);

/* QEMU's tables have these names; those of a board have its vendor's. */
static bool is_qemus_vtd(void)
{
	struct acpi_table_header *dmar;
	bool is;

	if (!intel_iommu_enabled || ACPI_FAILURE(acpi_get_table(ACPI_SIG_DMAR, 0, &dmar)))
		return false;
	is = !memcmp(dmar->oem_id, "BOCHS ", ACPI_OEM_ID_SIZE) &&
	     !memcmp(dmar->oem_table_id, "BXPC    ", ACPI_OEM_TABLE_ID_SIZE);
	acpi_put_table(dmar);
	return is;
}

/* ---- bonds ---- */

static int make_bond(struct lab *lab, struct sva_lab_args *args, bool sva)
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
		int ret = iommu_device_claim_dma_owner(&pdev->dev, lab);

		if (ret)
			return ret;
	}
	bond->pdev = no_free_ptr(pdev);
	guard(mutex)(&lab->lock);
	list_add(&no_free_ptr(bond)->list, &lab->bonds);
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

static int end_bond_of(struct lab *lab, const struct sva_lab_args *args, bool sva)
{
	struct bond *bond;

	guard(mutex)(&lab->lock);
	list_for_each_entry(bond, &lab->bonds, list) {
		if (!!bond->handle == sva &&
		    pci_domain_nr(bond->pdev->bus) == args->device >> 16 &&
		    pci_dev_id(bond->pdev) == (args->device & 0xffff)) {
			end_bond(bond);
			return 0;
		}
	}
	return -ENOENT;
}

/* ---- page tables ---- */

#define TABLE_LEVELS	(pgtable_l5_enabled() ? 5 : 4)
#define LARGE_LEVEL	2	/* pages of 1 GiB */
#define TABLE_BITS	9
#define TABLE_USER	(_PAGE_PRESENT | _PAGE_USER)

/*
 * As an IOMMU walks: by physical addresses, whoever's table it is.  The caller sees to
 * it that the table stays.
 */
static int walk(struct sva_lab_args *args)
{
	u64 table = args->root & PTE_PFN_MASK;

	for (int level = TABLE_LEVELS - 1; level >= 0; level--) {
		int shift = PAGE_SHIFT + level * TABLE_BITS;
		u64 offset_mask = BIT_ULL(shift) - 1, entry;
		const u64 *entries;

		if (!pfn_valid(PHYS_PFN(table)))
			return -EINVAL;
		entries = phys_to_virt(table);
		entry = READ_ONCE(entries[args->address >> shift & (BIT(TABLE_BITS) - 1)]);
		if ((entry & TABLE_USER) != TABLE_USER)
			return -EFAULT;
		if (!level || (level <= LARGE_LEVEL && entry & _PAGE_PSE)) {
			args->address = (entry & PTE_PFN_MASK & ~offset_mask) |
					(args->address & offset_mask);
			return 0;
		}
		table = entry & PTE_PFN_MASK;
	}
	return -EFAULT;
}

/* ---- /dev/sva-lab ---- */

static long lab_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct lab *lab = file->private_data;
	struct sva_lab_args args;
	int ret;

	if (copy_from_user(&args, (void __user *)arg, sizeof(args)))
		return -EFAULT;
	switch (cmd) {
	case SVA_LAB_BIND:
		ret = make_bond(lab, &args, true);
		break;
	case SVA_LAB_UNBIND:
		ret = end_bond_of(lab, &args, true);
		break;
	case SVA_LAB_CLAIM:
		ret = make_bond(lab, &args, false);
		break;
	case SVA_LAB_RELEASE:
		ret = end_bond_of(lab, &args, false);
		break;
	case SVA_LAB_ROOT:
		args.root = __pa(current->mm->pgd);
		ret = 0;
		break;
	case SVA_LAB_WALK:
		ret = walk(&args);
		break;
	default:
		ret = -ENOTTY;
	}
	if (!ret && copy_to_user((void __user *)arg, &args, sizeof(args)))
		ret = -EFAULT;
	return ret;
}

static int lab_open(struct inode *inode, struct file *file)
{
	struct lab *lab = kzalloc_obj(*lab);

	if (!lab)
		return -ENOMEM;
	mutex_init(&lab->lock);
	INIT_LIST_HEAD(&lab->bonds);
	file->private_data = lab;
	return 0;
}

static int lab_release(struct inode *inode, struct file *file)
{
	struct lab *lab = file->private_data;
	struct bond *bond, *next;

	list_for_each_entry_safe(bond, next, &lab->bonds, list)
		end_bond(bond);
	mutex_destroy(&lab->lock);
	kfree(lab);
	return 0;
}

static const struct file_operations lab_fops = {
	.owner = THIS_MODULE,
	.open = lab_open,
	.release = lab_release,
	.unlocked_ioctl = lab_ioctl,
};

static struct miscdevice lab_node = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "sva-lab",
	.fops = &lab_fops,
	.mode = 0600,
};

static int __init lab_init(void)
{
	return is_qemus_vtd() ? misc_register(&lab_node) : -ENODEV;
}

static void __exit lab_exit(void)
{
	misc_deregister(&lab_node);
	make_capable(false);
}

module_init(lab_init);
module_exit(lab_exit);

MODULE_DESCRIPTION("Shared virtual addressing by hand, on QEMU's VT-d");
MODULE_LICENSE("GPL");
