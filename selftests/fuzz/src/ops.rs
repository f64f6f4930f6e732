// SPDX-License-Identifier: GPL-2.0-only
//! The operations of a sequence.

mod admin;
mod bytes;
mod container;
mod device;
mod files;
mod group;
mod iommufd;
mod kvm;
pub mod numbers;
mod process;

pub use bytes::word;

use crate::fuzz::Fuzz;
use crate::random::Random;

pub struct Op {
    pub name: &'static str,
    /// How often it is chosen, beside the others.
    pub weight: usize,
    /// Returns the result that counts as success or failure; None if there was nothing to try.
    pub run: fn(&mut Fuzz, &mut Random) -> Option<i64>,
}

macro_rules! ops {
    ($($weight:literal $module:ident::$name:ident,)+) => {
        pub static OPS: &[Op] = &[
            $(Op { name: stringify!($name), weight: $weight, run: $module::$name },)+
        ];
    };
}

ops! {
    30 files::open_cdev,
    22 files::open_group,
    12 files::open_container,
    14 files::open_iommufd,
    14 files::open_other,
    8 files::dup,
    45 files::close,
    4 files::read_fdinfo,
    6 files::odd_call,
    45 device::bind,
    40 device::attach,
    18 device::detach,
    10 device::get_info,
    14 device::get_region_info,
    10 device::get_irq_info,
    12 device::set_irqs,
    6 device::reset,
    6 device::hot_reset_info,
    6 device::hot_reset,
    12 device::feature,
    14 device::pread,
    10 device::pwrite,
    12 device::mmap,
    6 device::munmap,
    3 device::unknown_ioctl,
    26 iommufd::ioas_alloc,
    20 iommufd::ioas_map,
    10 iommufd::ioas_unmap,
    4 iommufd::ioas_copy,
    4 iommufd::ioas_ranges,
    10 iommufd::hwpt_alloc,
    10 iommufd::destroy,
    4 iommufd::hw_info,
    4 iommufd::option,
    8 iommufd::vfio_ioas,
    8 group::get_status,
    40 group::set_container,
    10 group::unset_container,
    32 group::get_device_fd,
    3 container::get_api_version,
    6 container::check_extension,
    22 container::set_iommu,
    14 container::map_dma,
    8 container::unmap_dma,
    5 container::get_info,
    8 kvm::create_vm,
    10 kvm::create_device,
    14 kvm::add_file,
    8 kvm::del_file,
    3 process::fork,
    2 process::exit,
    2 process::exec,
    5 process::send,
    5 process::stash,
    6 process::unstash,
    6 process::close_elsewhere,
    5 admin::remove,
    2 admin::unplug,
    12 admin::restore,
    3 admin::set_parameter,
    3 admin::read_sysfs,
}
