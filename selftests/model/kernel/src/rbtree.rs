// SPDX-License-Identifier: GPL-2.0-only

//! Trees.

use crate::{
    alloc::{AllocError, Flags},
    error::Result,
};
use std::collections::BTreeMap;

/// A tree.
pub struct RBTree<K, V>(BTreeMap<K, V>);

/// Memory for an entry.
pub struct RBTreeNodeReservation<K, V>(core::marker::PhantomData<(K, V)>);

/// An entry.
pub struct RBTreeNode<K, V>(K, V);

impl<K: Ord, V> RBTree<K, V> {
    /// Returns an empty tree.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Tells whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    /// Returns the value of a key.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    /// Returns the values in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.values()
    }

    /// Returns the values in the order of their keys.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.values_mut()
    }

    /// Returns the first entry whose key is not below `key`.
    pub fn cursor_lower_bound(&self, key: &K) -> Option<Cursor<'_, K, V>> {
        let (key, value) = self.0.range(key..).next()?;
        Some(Cursor { key, value })
    }

    /// Adds an entry.
    pub fn insert(&mut self, node: RBTreeNode<K, V>) -> Option<V> {
        self.0.insert(node.0, node.1)
    }

    /// Adds an entry.
    pub fn try_create_and_insert(&mut self, key: K, value: V, _: Flags) -> Result<Option<V>> {
        Ok(self.0.insert(key, value))
    }

    /// Removes an entry.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key)
    }

    /// Removes an entry, and keeps its memory.
    pub fn remove_node(&mut self, key: &K) -> Option<RBTreeNode<K, V>> {
        let (key, value) = self.0.remove_entry(key)?;
        Some(RBTreeNode(key, value))
    }
}

/// A place in a tree.
pub struct Cursor<'a, K, V> {
    key: &'a K,
    value: &'a V,
}

impl<K, V> Cursor<'_, K, V> {
    /// Returns the entry.
    pub fn current(&self) -> (&K, &V) {
        (self.key, self.value)
    }
}

impl<K, V> RBTreeNodeReservation<K, V> {
    /// Allocates the memory.
    pub fn new(_: Flags) -> Result<Self, AllocError> {
        Ok(Self(core::marker::PhantomData))
    }

    /// Fills the memory.
    pub fn into_node(self, key: K, value: V) -> RBTreeNode<K, V> {
        RBTreeNode(key, value)
    }
}
