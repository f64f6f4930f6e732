// SPDX-License-Identifier: GPL-2.0-only

//! The interface to drivers.

pub(crate) mod vfio;

pub(crate) mod iommu_sva {
    use crate::kapi::{iommu::IommuGroup, iommu_sva::Bond};
    use kernel::{mm::MmWithUser, prelude::*};

    pub(crate) fn bind(group: &IommuGroup, mm: &MmWithUser) -> Result<Bond> {
        Ok(Bond::new(group, mm))
    }

    pub(crate) fn wait_for_page_requests(bond: &Bond) {
        bond.wait_for_page_requests();
    }
}

pub(crate) mod params {
    pub(crate) fn enable_unsafe_noiommu_mode() -> bool {
        false
    }

    pub(crate) fn max_bound_processes() -> u32 {
        4
    }
}

pub(crate) mod trace {
    use kernel::prelude::*;

    pub(crate) fn traced<T>(_: bool, result: Result<T>, _: impl FnOnce(&Result<T>)) -> Result<T> {
        result
    }

    pub(crate) mod bind {
        use kernel::prelude::*;

        pub(crate) fn enabled() -> bool {
            false
        }

        pub(crate) fn record(_: c_int, _: &CStr, _: c_int, _: u32, _: c_int) {}
    }
}
