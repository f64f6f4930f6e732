// SPDX-License-Identifier: GPL-2.0-only

//! The comparison of the typed arguments of `uapi` with the structures of `include/uapi/linux/vfio.h` and of
//! `vfio_sva.h`.

use crate::{
    bindings::{self, *},
    shared::vfio::ops::RegionInfo,
    uapi,
};
use core::mem::{offset_of, size_of};

/// Fails to compile unless the structures have the same size and the fields have the same offsets.
macro_rules! same_layout {
    ($rust:path, $c:path: $($field:ident),+) => {
        const _: () = {
            assert!(size_of::<$rust>() == size_of::<$c>());
            $(assert!(offset_of!($rust, $field) == offset_of!($c, $field));)+
        };
    };
}

same_layout!(uapi::bind::Layout, vfio_device_bind_iommufd:
    argsz, flags, iommufd, out_devid, token_uuid_ptr);
same_layout!(uapi::attach::AttachLayout, vfio_device_attach_iommufd_pt:
    argsz, flags, pt_id, pasid);
same_layout!(uapi::attach::DetachLayout, vfio_device_detach_iommufd_pt: argsz, flags, pasid);
same_layout!(RegionInfo, vfio_region_info:
    argsz, flags, index, cap_offset, size, offset);
same_layout!(uapi::group::Layout, vfio_group_status: argsz, flags);
same_layout!(uapi::feature::Layout, vfio_device_feature: argsz, flags);
same_layout!(uapi::feature::Migration, vfio_device_feature_migration: flags);
same_layout!(uapi::feature::MigState, vfio_device_feature_mig_state: device_state, data_fd);
same_layout!(uapi::feature::MigDataSize, vfio_device_feature_mig_data_size: stop_copy_length);
same_layout!(uapi::feature::LoggingControl, vfio_device_feature_dma_logging_control:
    page_size, num_ranges, ranges);
same_layout!(uapi::feature::LoggingRange, vfio_device_feature_dma_logging_range: iova, length);
same_layout!(uapi::feature::LoggingReport, vfio_device_feature_dma_logging_report:
    iova, length, page_size, bitmap);
same_layout!(uapi::reset::Layout, vfio_pci_hot_reset: argsz, flags, count);
same_layout!(uapi::sva::BindLayout, vfio_bind_process: argsz, flags, pasid, __reserved);
same_layout!(uapi::sva::UnbindLayout, vfio_unbind_process: argsz, flags);
same_layout!(uapi::sva::Feature, vfio_device_feature_sva: flags, max_pasids);

const _: () = {
    assert!(uapi::API_VERSION == bindings::VFIO_API_VERSION as isize);
    assert!(uapi::GET_API_VERSION == bindings::GET_API_VERSION);
    assert!(uapi::CHECK_EXTENSION == bindings::CHECK_EXTENSION);
    assert!(uapi::SET_IOMMU == bindings::SET_IOMMU);
    assert!(uapi::GROUP_GET_STATUS == bindings::GROUP_GET_STATUS);
    assert!(uapi::GROUP_SET_CONTAINER == bindings::GROUP_SET_CONTAINER);
    assert!(uapi::GROUP_UNSET_CONTAINER == bindings::GROUP_UNSET_CONTAINER);
    assert!(uapi::GROUP_GET_DEVICE_FD == bindings::GROUP_GET_DEVICE_FD);
    assert!(uapi::group::FLAG_VIABLE == bindings::VFIO_GROUP_FLAGS_VIABLE);
    assert!(uapi::group::FLAG_CONTAINER_SET == bindings::VFIO_GROUP_FLAGS_CONTAINER_SET);
    assert!(uapi::DEVICE_GET_REGION_INFO == bindings::DEVICE_GET_REGION_INFO);
    assert!(uapi::DEVICE_RESET == bindings::DEVICE_RESET);
    assert!(uapi::DEVICE_PCI_HOT_RESET == bindings::DEVICE_PCI_HOT_RESET);
    assert!(uapi::DEVICE_FEATURE == bindings::DEVICE_FEATURE);
    assert!(uapi::DEVICE_BIND_IOMMUFD == bindings::DEVICE_BIND_IOMMUFD);
    assert!(uapi::DEVICE_ATTACH_IOMMUFD_PT == bindings::DEVICE_ATTACH_IOMMUFD_PT);
    assert!(uapi::BIND_PROCESS == bindings::BIND_PROCESS);
    assert!(uapi::UNBIND_PROCESS == bindings::UNBIND_PROCESS);
    assert!(
        uapi::sva::FLAGS_OTHER
            == bindings::VFIO_BIND_PROCESS_PID | bindings::VFIO_BIND_PROCESS_PIDFD
    );
    // CAST: The conversion widens.
    assert!(uapi::sva::EXTENSION == bindings::VFIO_SVA as usize);
    assert!(uapi::feature::SVA == bindings::VFIO_DEVICE_FEATURE_SVA);
    assert!(uapi::DEVICE_DETACH_IOMMUFD_PT == bindings::DEVICE_DETACH_IOMMUFD_PT);
};
