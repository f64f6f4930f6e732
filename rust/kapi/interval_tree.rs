// SPDX-License-Identifier: GPL-2.0-only

//! Trees of address ranges (`include/linux/interval_tree.h`).

use crate::bindings;
use kernel::prelude::*;

type Node = bindings::interval_tree_node;
type Root = bindings::rb_root_cached;

/// A tree that owns its nodes and has a fixed capacity.
///
/// # Invariants
///
/// The nodes of the tree are in `nodes`, which does not grow, so the nodes do not move.
pub(crate) struct RangeTree {
    root: Root,
    nodes: KVec<Node>,
}

impl RangeTree {
    /// Returns an empty tree for up to `capacity` ranges.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    pub(crate) fn with_capacity(capacity: usize) -> Result<Self> {
        Ok(Self {
            root: Root::default(),
            nodes: KVec::with_capacity(capacity, GFP_KERNEL)?,
        })
    }

    /// Adds the range `start..=last`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the range overlaps with another range, or the tree is full.
    pub(crate) fn insert(&mut self, start: usize, last: usize) -> Result {
        // SAFETY: `self` owns the tree, and its nodes exist and do not move.
        if !unsafe { bindings::interval_tree_iter_first(&mut self.root, start, last) }.is_null() {
            return Err(EINVAL);
        }
        let index = self.nodes.len();
        if index >= self.nodes.capacity() {
            return Err(EINVAL);
        }
        // INVARIANT: The vector does not move while it stays within its capacity.
        // SAFETY: The vector has space for the node.  `interval_tree_insert()` initialises its
        // other fields, so the node may be counted.  The node is in no tree and lives as long as this tree.
        // No reference to a node is made, because the tree keeps pointers to all nodes.
        unsafe {
            let node = self.nodes.as_mut_ptr().add(index);
            (*node).start = start;
            (*node).last = last;
            bindings::interval_tree_insert(node, &mut self.root);
            self.nodes.inc_len(1);
        }
        Ok(())
    }

    /// Returns the number of ranges.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn as_raw(&mut self) -> *mut Root {
        &mut self.root
    }
}
