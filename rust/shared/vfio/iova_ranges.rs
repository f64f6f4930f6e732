// SPDX-License-Identifier: GPL-2.0-only

//! Interval trees of IOVA ranges.  The driver owns a tree and its nodes.

use crate::{bindings, kapi::panic::warn_on_once};

type Node = bindings::interval_tree_node;
type Root = bindings::rb_root_cached;

/// Merges neighbours in a driver's tree until `wanted` of `count` ranges are left.  The neighbours with the
/// smallest gap are merged first.  Nodes that leave the tree are not freed.  Warns once if `wanted` is 1 and
/// the tree is empty, or if a merge is required and the tree has fewer than two ranges.
///
/// C counterpart: `vfio_combine_iova_ranges()`.
///
/// # Safety
///
/// `root` is a tree of `count` valid nodes that no other code uses during the call.
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
        // SAFETY: Both nodes are in the tree.
        unsafe { merge(root, left, right) };
    }
}

/// Merges all ranges into one range, from the first address to the last.
///
/// # Safety
///
/// As for [`combine`].
unsafe fn combine_all(root: *mut Root) {
    // SAFETY: By the caller's promise; `first` stays in the tree while other nodes are merged into it.
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

/// Extends `left` to the end of `right`, and removes `right` from the tree.
///
/// # Safety
///
/// Both are in the tree, which no other code uses during the call.
unsafe fn merge(root: *mut Root, left: *mut Node, right: *mut Node) {
    // SAFETY: By the caller's promise.  The tree keeps the largest end below each node, so a node may be
    // changed only while it is outside the tree.
    unsafe {
        bindings::interval_tree_remove(right, root);
        bindings::interval_tree_remove(left, root);
        (*left).last = (*right).last;
        bindings::interval_tree_insert(left, root);
    }
}

/// Returns the neighbours with the smallest gap between them; the first pair if there are several.
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
