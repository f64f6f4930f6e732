// SPDX-License-Identifier: GPL-2.0-only

//! Trees of address ranges (`include/linux/interval_tree.h`).

use super::panic::warn_on_once;
use crate::bindings;
use kernel::prelude::*;

type Node = bindings::interval_tree_node;
type Root = bindings::rb_root_cached;

/// A tree whose nodes are its own, of a size that is fixed when it is made.
///
/// # Invariants
///
/// The nodes in the tree are in `nodes`, which does not grow, so that they stay where they are.
pub(crate) struct RangeTree {
    root: Root,
    nodes: KVec<Node>,
}

impl RangeTree {
    /// An empty tree with room for `capacity` ranges.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn with_capacity(capacity: usize) -> Result<Self> {
        Ok(Self {
            root: Root::default(),
            nodes: KVec::with_capacity(capacity, GFP_KERNEL)?,
        })
    }

    /// Adds the range from `start` to `last`.
    ///
    /// # Errors
    ///
    /// `EINVAL` when it overlaps with another, or there is no room.
    pub(crate) fn insert(&mut self, start: usize, last: usize) -> Result {
        // SAFETY: The tree is consistent.
        if !unsafe { bindings::interval_tree_iter_first(&mut self.root, start, last) }.is_null() {
            return Err(EINVAL);
        }
        let node = Node {
            start,
            last,
            ..Node::default()
        };
        let index = self.nodes.len();
        // INVARIANT: Within its capacity the vector does not move.
        self.nodes.push_within_capacity(node).map_err(|_| EINVAL)?;
        // SAFETY: The node is in no tree and lives as long as this one.  No reference to a node is
        // made, for the tree keeps pointers to all of them.
        unsafe {
            let node = self.nodes.as_mut_ptr().add(index);
            bindings::interval_tree_insert(node, &mut self.root);
        }
        Ok(())
    }

    /// How many ranges there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn as_raw(&mut self) -> *mut Root {
        &mut self.root
    }
}

/// Merges neighbours in a driver's tree, those with the smallest gap first, until `wanted` of
/// `count` ranges are left.  Nodes that leave the tree are not freed.  An empty tree is warned of.
///
/// # Safety
///
/// `root` is a tree of `count` valid nodes that nobody else uses now.
pub(crate) unsafe fn combine(root: *mut Root, count: u32, wanted: u32) {
    if wanted == 1 {
        // SAFETY: By the caller's promise.
        unsafe { combine_all(root) };
        return;
    }
    for _ in wanted..count {
        // SAFETY: By the caller's promise.
        let Some((left, right)) = (unsafe { closest(root) }) else {
            warn_on_once!(true);
            return;
        };
        // SAFETY: Both are in the tree.
        unsafe { merge(root, left, right) };
    }
}

/// One range from the first address to the last.
///
/// # Safety
///
/// As for [`combine`].
unsafe fn combine_all(root: *mut Root) {
    // SAFETY: By the caller's promise; `first` stays in the tree while others are merged into it.
    unsafe {
        let first = bindings::interval_tree_iter_first(root, 0, usize::MAX);
        if warn_on_once!(first.is_null()) {
            return;
        }
        loop {
            let next = bindings::interval_tree_iter_next(first, 0, usize::MAX);
            if next.is_null() {
                return;
            }
            merge(root, first, next);
        }
    }
}

/// Makes `left` end where `right` does, and takes `right` out.
///
/// # Safety
///
/// Both are in the tree, which nobody else uses now.
unsafe fn merge(root: *mut Root, left: *mut Node, right: *mut Node) {
    // SAFETY: By the caller's promise.  The tree keeps the largest end below each node, so a node
    // may only change while it is outside.
    unsafe {
        bindings::interval_tree_remove(right, root);
        bindings::interval_tree_remove(left, root);
        (*left).last = (*right).last;
        bindings::interval_tree_insert(left, root);
    }
}

/// The neighbours with the smallest gap between them, the first such.
///
/// # Safety
///
/// As for [`combine`].
unsafe fn closest(root: *mut Root) -> Option<(*mut Node, *mut Node)> {
    let mut best: Option<(usize, *mut Node, *mut Node)> = None;
    // SAFETY: By the caller's promise.
    unsafe {
        let mut left = bindings::interval_tree_iter_first(root, 0, usize::MAX);
        while !left.is_null() {
            let right = bindings::interval_tree_iter_next(left, 0, usize::MAX);
            if right.is_null() {
                break;
            }
            let gap = (*right).start.wrapping_sub((*left).last);
            if best.is_none_or(|(smallest, ..)| gap < smallest) {
                best = Some((gap, left, right));
            }
            left = right;
        }
    }
    best.map(|(_, left, right)| (left, right))
}
