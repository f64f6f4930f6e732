// SPDX-License-Identifier: GPL-2.0-only

//! The proof of one set's lock does not outlive its guard, also not in the place of another set's proof.

use crate::shared::vfio::{Device, Registered};

fn case(one: &Device<Registered>, other: &Device<Registered>) {
    let mut first = one.lock_set();
    let mut second = other.lock_set();
    let mut proof = first.locked();
    core::mem::swap(&mut proof, &mut second.locked());
    drop(second); //~ E0505
    let _ = proof.device();
}
