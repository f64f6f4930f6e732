// SPDX-License-Identifier: GPL-2.0-only

//! The machine that drivers find in a device is held by what holds the pointer.

use crate::{kapi::kvm::KvmRef, shared::vfio::opening::Opening};

fn case(opening: &mut Opening<'_, '_>, machine: KvmRef) {
    opening.set_kvm(machine);
    drop(machine); //~ E0382
}
