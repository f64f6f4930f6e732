// SPDX-License-Identifier: GPL-2.0-only

//! The table of device sets: devices that can be reset or opened only in coordination share a set and its
//! lock.
//!
//! C counterpart: `vfio_assign_device_set()` and `vfio_release_device_set()`.
//!
//! Locks: the lock of the table is a leaf.  It is released before the lock of a set is taken, because a set's
//! lock can be held for the duration of a device reset.

use crate::shared::vfio::{
    set::{DevSet, FormerMember},
    Registering,
};
use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::global_lock,
};

global_lock! {
    /// The sets that have members, by their keys.  None until the init function has stored the value, and again
    /// when the unload has dropped it.
    pub(crate) unsafe(uninit) static SETS: Mutex<Option<RBTree<usize, DevSet>>> = None;
}

/// Adds `device` to the set with the key `id`, and makes the set if it does not exist.  `id` is an address
/// that serves only as a key.  Takes the lock of the table, releases it, and takes the lock of the set.  May
/// sleep.
///
/// # Errors
///
/// - `EINVAL`: the key is 0, or the device is already in a set.  Both also warn.
/// - `ENODEV`: the module is not loaded completely.
/// - `ENOMEM`: out of memory.
pub(crate) fn assign(device: &mut Registering<'_>, id: usize) -> Result {
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

/// Ends the membership of a device in its set, if the device was in a set.  Frees the set if it has no other
/// members.  Takes the lock of the table.
pub(super) fn release(left: Option<FormerMember>) {
    let Some(left) = left else { return };
    let mut table = SETS.lock();
    let Some(sets) = table.as_mut() else { return };
    let id = left.id();
    if sets.get_mut(&id).is_some_and(|set| set.remove_member(left)) {
        sets.remove(&id);
    }
}
