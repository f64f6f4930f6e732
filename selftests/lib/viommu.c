// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdev.h"
#include "core.h"
#include "iommufd.h"
#include "kmsg.h"
#include "viommu.h"

#define UNSAFE "/sys/module/iommufd/parameters/allow_unsafe_interrupts"
#define VIRTIO 0x1af4
#define VIRTIO_IOMMU 0x1057

/* Registers of VT-d, AMD-Vi and SMMUv3, as IOMMU_GET_HW_INFO gives them. */
#define VTD_ECAP_NEST		(1ULL << 26)
#define VTD_ECAP_SMTS		(1ULL << 43)	/* scalable mode */
#define AMD_EFR_GT		(1ULL << 4)
#define AMD_EFR_GIOSUP		(1ULL << 48)
#define AMD_EFR2_GCR3TRPMODE	(1ULL << 3)
#define SMMU_IDR0_S2P		(1U << 0)
#define SMMU_IDR0_S1P		(1U << 1)

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

enum viommu viommu_of(const struct pci *pci)
{
	char path[256], name[64], vendor[16], device[16];
	struct pci iommu = {};

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu", pci->bdf);
	if (sysfs_link(path, name, sizeof(name)))
		return VIOMMU_NONE;
	if (begins(name, "dmar"))
		return VIOMMU_VTD;
	if (begins(name, "ivhd"))
		return VIOMMU_AMD;
	if (begins(name, "smmu3"))
		return VIOMMU_SMMUV3;
	/* It is a device on PCI, and has that one's name. */
	snprintf(iommu.bdf, sizeof(iommu.bdf), "%.31s", name);
	if (pci_attr(&iommu, "vendor", vendor, sizeof(vendor)) > 0 &&
	    pci_attr(&iommu, "device", device, sizeof(device)) > 0 &&
	    strtoul(vendor, NULL, 16) == VIRTIO &&
	    strtoul(device, NULL, 16) == VIRTIO_IOMMU)
		return VIOMMU_VIRTIO;
	return VIOMMU_NONE;
}

bool interrupts_isolated(void)
{
	char path[128], irq[32], chip[128];

	for (int i = 0; !sysfs_entry("/sys/kernel/irq", i, irq, sizeof(irq)); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/irq/%s/chip_name", irq);
		if (sysfs_read(path, chip, sizeof(chip)) > 0 &&
		    (begins(chip, "IR-") || begins(chip, "ITS-")))
			return true;
	}
	return false;
}

int unsafe_interrupts_allowed(void)
{
	char value[8];
	int ret = sysfs_read(UNSAFE, value, sizeof(value));

	return ret < 0 ? ret : value[0] == 'Y';
}

int allow_unsafe_interrupts(bool yes)
{
	return sysfs_write(UNSAFE, yes ? "Y" : "N");
}

int pasid_tables(const struct session *s)
{
	uint32_t hwpt;
	int ret = hwpt_alloc(s->iommufd, s->devid, s->ioas,
			     IOMMU_HWPT_ALLOC_PASID, &hwpt);

	return ret ? ret : iommufd_destroy(s->iommufd, hwpt);
}

int has_nesting(const struct session *s)
{
	union {
		struct iommu_hw_info_vtd vtd;
		struct iommu_hw_info_arm_smmuv3 smmuv3;
		struct iommu_hw_info_amd amd;
	} regs = {};
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = s->devid,
		.data_len = sizeof(regs),
		.data_uptr = (uintptr_t)&regs,
	};
	int ret = xioctl(s->iommufd, IOMMU_GET_HW_INFO, &info);

	if (ret)
		return ret;
	switch (info.out_data_type) {
	case IOMMU_HW_INFO_TYPE_INTEL_VTD:
		return (regs.vtd.ecap_reg & VTD_ECAP_SMTS) &&
		       (regs.vtd.ecap_reg & VTD_ECAP_NEST);
	case IOMMU_HW_INFO_TYPE_ARM_SMMUV3:
		return (regs.smmuv3.idr[0] & SMMU_IDR0_S1P) &&
		       (regs.smmuv3.idr[0] & SMMU_IDR0_S2P);
	case IOMMU_HW_INFO_TYPE_AMD:
		return (regs.amd.efr & AMD_EFR_GT) &&
		       (regs.amd.efr & AMD_EFR_GIOSUP) &&
		       (regs.amd.efr2 & AMD_EFR2_GCR3TRPMODE);
	default:
		return 0;
	}
}

bool fault_is_told(int kmsg, const struct pci *pci, uint64_t iova, int ms)
{
	char where[64], line[512];
	const char *what;

	switch (viommu_of(pci)) {
	case VIOMMU_VTD:
		snprintf(where, sizeof(where), "fault addr %#llx", (long long)iova);
		what = "DMA Write";
		break;
	case VIOMMU_AMD:
		/* QEMU leaves the address out of the event. */
		snprintf(where, sizeof(where), "%s: AMD-Vi: Event logged", pci->bdf);
		what = "IO_PAGE_FAULT";
		break;
	case VIOMMU_VIRTIO:
		snprintf(where, sizeof(where), "at %#llx", (long long)iova);
		what = "fault from EP";
		break;
	case VIOMMU_SMMUV3:
		snprintf(where, sizeof(where), "iova: %#llx", (long long)iova);
		what = "F_TRANSLATION";
		break;
	default:
		return false;
	}
	return kmsg_wait(kmsg, where, ms, line, sizeof(line)) &&
	       strstr(line, what);
}
