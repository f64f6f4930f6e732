// SPDX-License-Identifier: GPL-2.0-only

//! The Rust layout of the structures that the module shares with C code, as assertions for the C compiler.
//!
//! This file is compiled only to assembly, like the kernel's asm-offsets.  Each string becomes a line of
//! `layout_generated.h`, which `layout.c` includes.  So the C compiler checks the layout that rustc has
//! computed, in each build.  `offsetof()` does not accept bit-fields.  They are checked only through the size
//! of the structure and the offsets of the neighbouring fields.

mod bindings;

use bindings::*;
use core::{
    arch::global_asm,
    mem::{offset_of, size_of},
};

/// One structure: its size, and the offsets of fields (`rust as c` where the names differ).
macro_rules! shared {
    ($name:ident { $($(#[$meta:meta])* $field:ident $(as $c:ident)?),* $(,)? }) => {
        global_asm!(
            concat!(".ascii \"->static_assert(sizeof(struct ", stringify!($name), ") == {});\""),
            const size_of::<$name>()
        );
        $($(#[$meta])* shared!(@field $name $field $($c)?);)*
    };
    (@field $name:ident $field:ident) => { shared!(@field $name $field $field); };
    (@field $name:ident $field:ident $c:ident) => {
        global_asm!(
            concat!(
                ".ascii \"->static_assert(offsetof(struct ", stringify!($name), ", ",
                stringify!($c), ") == {});\""
            ),
            const offset_of!($name, $field)
        );
    };
}

shared!(vfio_device_set {
    set_id,
    lock,
    device_list,
    device_count
});
shared!(vfio_device {
    dev,
    ops,
    mig_ops,
    log_ops,
    #[cfg(all(CONFIG_VFIO_GROUP, not(vfio_without_group)))]
    group,
    #[cfg(all(CONFIG_VFIO_GROUP, not(vfio_without_group)))]
    group_next,
    #[cfg(all(CONFIG_VFIO_GROUP, not(vfio_without_group)))]
    iommu_entry,
    dev_set,
    dev_set_list,
    migration_flags,
    precopy_info_v2,
    kvm,
    index,
    device,
    #[cfg(all(CONFIG_VFIO_DEVICE_CDEV, not(vfio_without_cdev)))]
    cdev,
    refcount,
    open_count,
    comp,
    iommufd_access,
    put_kvm,
    inode,
    #[cfg(CONFIG_IOMMUFD)]
    iommufd_device,
    #[cfg(CONFIG_IOMMUFD)]
    pasids,
    debug_root,
});
shared!(vfio_device_ops {
    name, init, release, bind_iommufd, unbind_iommufd, attach_ioas, detach_ioas,
    pasid_attach_ioas, pasid_detach_ioas, open_device, close_device, read, write, ioctl,
    get_region_info_caps, mmap, request, match_ as match, match_token_uuid, dma_unmap,
    device_feature,
});
shared!(vfio_migration_ops {
    migration_set_state,
    migration_get_state,
    migration_get_data_size
});
shared!(vfio_log_ops {
    log_start,
    log_stop,
    log_read_and_clear
});
shared!(vfio_info_cap { buf, size });
shared!(vfio_info_cap_header { id, version, next });
shared!(vfio_irq_set {
    argsz,
    flags,
    index,
    start,
    count
});
shared!(vfio_region_info {
    argsz,
    flags,
    index,
    cap_offset,
    size,
    offset
});
shared!(vfio_device_bind_iommufd {
    argsz,
    flags,
    iommufd,
    out_devid,
    token_uuid_ptr
});
shared!(vfio_device_attach_iommufd_pt {
    argsz,
    flags,
    pt_id,
    pasid
});
shared!(vfio_device_detach_iommufd_pt {
    argsz,
    flags,
    pasid
});
