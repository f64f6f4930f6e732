// SPDX-License-Identifier: GPL-2.0-only

//! The table of device sets: devices that are reset or opened together share a set and its lock.
//!
//! C counterpart: `vfio_assign_device_set()` and `vfio_release_device_set()`.
//!
//! Locks: the table's is a leaf; it is dropped before a set's lock is taken, which may be held for
//! the length of a device reset.

use crate::shared::vfio::{
    set::{DevSet, Left},
    Owner,
};
use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::global_lock,
};

global_lock! {
    /// The sets that have members, by their keys; None before load and after unload.
    pub(crate) unsafe(uninit) static SETS: Mutex<Option<RBTree<usize, DevSet>>> = None;
}

/// Puts `device` into the set with the given key, an address that is only compared.
///
/// # Errors
///
/// `EINVAL` for the key 0 and for a device that is in a set; `ENOMEM`.
pub(crate) fn assign(device: &mut Owner<'_>, id: usize) -> Result {
    if crate::kapi::panic::warn_on!(id == 0) || crate::kapi::panic::warn_on!(device.has_set()) {
        return Err(EINVAL);
    }
    let device = device.unassigned().ok_or(EINVAL)?;
    let reservation = RBTreeNodeReservation::new(GFP_KERNEL)?;
    let joined = {
        let mut table = SETS.lock();
        let sets = table.as_mut().ok_or(ENODEV)?;
        match sets.get_mut(&id) {
            Some(set) => set.join(device),
            None => {
                let mut set = DevSet::new(id)?;
                let joined = set.join(device);
                sets.insert(reservation.into_node(id, set));
                joined
            }
        }
    };
    joined.enter();
    Ok(())
}

/// The end of a membership, if there was one.
pub(super) fn release(left: Option<Left>) {
    let Some(left) = left else { return };
    let mut table = SETS.lock();
    let Some(sets) = table.as_mut() else { return };
    let id = left.id();
    if sets.get_mut(&id).is_some_and(|set| set.part(left)) {
        sets.remove(&id);
    }
}
