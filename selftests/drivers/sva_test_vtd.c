// SPDX-License-Identifier: GPL-2.0-only
/*
 * What sva_test.ko knows of VT-d: the page tables that it shares with processes, which are
 * the processor's; and how to make Linux believe that QEMU's can.
 *
 * QEMU's VT-d walks first-stage page tables, and does not say that its walks are
 * coherent with the caches (ECAP.SMPWC), though memory that is emulated has no other
 * way to be.  Linux then takes it for one that cannot share page tables.  The parameter
 * "capable" makes Linux believe it.  Of real hardware that would be a lie: it is refused,
 * and Linux believes of the hardware what that says of itself.
 */
#include <linux/acpi.h>
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>

#include "iommu.h"
#include "sva_test_vtd.h"

static bool is_capable;

struct device_domain_info *sva_test_vtd_of(struct device *dev)
{
	/* Its devices, and no other IOMMU's, are called dmar<n>. */
	if (!dev->iommu || !dev->iommu->iommu_dev || !dev->iommu->iommu_dev->dev ||
	    !strstarts(dev_name(dev->iommu->iommu_dev->dev), "dmar"))
		return NULL;
	return dev_iommu_priv_get(dev);
}

/* Nothing else than SMPWC stops Linux. */
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

/* QEMU's tables have these names; those of a board have its vendor's. */
bool sva_test_is_qemus_vtd(void)
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

int sva_test_make_capable(bool yes)
{
	struct pci_dev *pdev = NULL;
	int units = 0;

	if (!sva_test_is_qemus_vtd())
		return -ENODEV;
	for_each_pci_dev(pdev) {
		struct device_domain_info *info = sva_test_vtd_of(&pdev->dev);

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
		ret = sva_test_make_capable(wish);
	if (!ret)
		is_capable = wish;
	return ret;
}

static const struct kernel_param_ops capable_ops = {
	.set = set_capable,
	.get = param_get_bool,
};
module_param_cb(capable, &capable_ops, &is_capable, 0644);

#define TABLE_LEVELS	(pgtable_l5_enabled() ? 5 : 4)
#define LARGE_LEVEL	2	/* pages of 1 GiB */
#define TABLE_BITS	9
#define TABLE_USER	(_PAGE_PRESENT | _PAGE_USER)

int sva_test_root(u64 *root)
{
	*root = __pa(current->mm->pgd);
	return 0;
}

/*
 * As an IOMMU walks, by physical addresses.  No part of the caller's table is freed while
 * interrupts are off (get_user_pages_fast() relies on it, too); of another table that is the
 * test's to see to, in a virtual machine that nobody will miss, and on hardware it is refused.
 */
int sva_test_walk(u64 root, u64 *address)
{
	u64 table = root;

	if (root != __pa(current->mm->pgd) && !sva_test_is_qemus_vtd())
		return -EINVAL;
	guard(irqsave)();
	for (int level = TABLE_LEVELS - 1; level >= 0; level--) {
		int shift = PAGE_SHIFT + level * TABLE_BITS;
		u64 offset_mask = BIT_ULL(shift) - 1, entry;
		const u64 *entries = phys_to_virt(table);

		entry = READ_ONCE(entries[*address >> shift & (BIT(TABLE_BITS) - 1)]);
		if ((entry & TABLE_USER) != TABLE_USER)
			return -EFAULT;
		if (!level || (level <= LARGE_LEVEL && entry & _PAGE_PSE)) {
			*address = (entry & PTE_PFN_MASK & ~offset_mask) | (*address & offset_mask);
			return 0;
		}
		table = entry & PTE_PFN_MASK;
	}
	return -EFAULT;
}
