// SPDX-License-Identifier: GPL-2.0-only

//! The configuration for which the files of the module are compiled.

fn main() {
    // An option that is off.
    println!("cargo:rustc-check-cfg=cfg(CONFIG_IOMMUFD_NOIOMMU)");
    for option in [
        "CONFIG_VFIO_GROUP",
        "CONFIG_VFIO_DEVICE_CDEV",
        "CONFIG_IOMMUFD",
    ] {
        println!("cargo:rustc-check-cfg=cfg({option})");
        println!("cargo:rustc-cfg={option}");
    }
}
