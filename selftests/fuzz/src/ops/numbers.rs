// SPDX-License-Identifier: GPL-2.0-only
//! The numbers of ioctls (`include/uapi/linux/vfio.h`, `iommufd.h`, `kvm.h`).

const fn vfio(n: u32) -> u32 {
    0x3b64 + n
}

pub const VFIO_GET_API_VERSION: u32 = vfio(0);
pub const VFIO_CHECK_EXTENSION: u32 = vfio(1);
pub const VFIO_SET_IOMMU: u32 = vfio(2);
pub const VFIO_GROUP_GET_STATUS: u32 = vfio(3);
pub const VFIO_GROUP_SET_CONTAINER: u32 = vfio(4);
pub const VFIO_GROUP_UNSET_CONTAINER: u32 = vfio(5);
pub const VFIO_GROUP_GET_DEVICE_FD: u32 = vfio(6);
pub const VFIO_DEVICE_GET_INFO: u32 = vfio(7);
pub const VFIO_DEVICE_GET_REGION_INFO: u32 = vfio(8);
pub const VFIO_DEVICE_GET_IRQ_INFO: u32 = vfio(9);
pub const VFIO_DEVICE_SET_IRQS: u32 = vfio(10);
pub const VFIO_DEVICE_RESET: u32 = vfio(11);
pub const VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: u32 = vfio(12);
pub const VFIO_DEVICE_PCI_HOT_RESET: u32 = vfio(13);
pub const VFIO_DEVICE_FEATURE: u32 = vfio(17);
pub const VFIO_DEVICE_BIND_IOMMUFD: u32 = vfio(18);
pub const VFIO_DEVICE_ATTACH_IOMMUFD_PT: u32 = vfio(19);
pub const VFIO_DEVICE_DETACH_IOMMUFD_PT: u32 = vfio(20);
pub const VFIO_IOMMU_GET_INFO: u32 = vfio(12);
pub const VFIO_IOMMU_MAP_DMA: u32 = vfio(13);
pub const VFIO_IOMMU_UNMAP_DMA: u32 = vfio(14);

const fn iommufd(n: u32) -> u32 {
    0x3b00 + n
}

pub const IOMMU_DESTROY: u32 = iommufd(0x80);
pub const IOMMU_IOAS_ALLOC: u32 = iommufd(0x81);
pub const IOMMU_IOAS_COPY: u32 = iommufd(0x83);
pub const IOMMU_IOAS_IOVA_RANGES: u32 = iommufd(0x84);
pub const IOMMU_IOAS_MAP: u32 = iommufd(0x85);
pub const IOMMU_IOAS_UNMAP: u32 = iommufd(0x86);
pub const IOMMU_OPTION: u32 = iommufd(0x87);
pub const IOMMU_VFIO_IOAS: u32 = iommufd(0x88);
pub const IOMMU_HWPT_ALLOC: u32 = iommufd(0x89);
pub const IOMMU_GET_HW_INFO: u32 = iommufd(0x8a);

pub const KVM_CREATE_VM: u32 = 0xae01;
pub const KVM_CREATE_DEVICE: u32 = 0xc00c_aee0;
pub const KVM_SET_DEVICE_ATTR: u32 = 0x4018_aee1;
pub const KVM_HAS_DEVICE_ATTR: u32 = 0x4018_aee3;

pub const VFIO_TYPE1_IOMMU: u64 = 1;
pub const VFIO_TYPE1V2_IOMMU: u64 = 3;
pub const VFIO_NOIOMMU_IOMMU: u64 = 8;
