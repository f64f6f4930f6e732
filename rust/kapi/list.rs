// SPDX-License-Identifier: GPL-2.0-only

//! Lists whose entries contain their own links, so that joining a list needs no allocation.
//!
//! The pattern is that of `include/linux/list.h`.  The kernel crate's `List` owns its entries.  A list of
//! this file does not: the code that made an entry owns the entry, which leaves the list on drop.

use core::{marker::PhantomData, pin::Pin, ptr::NonNull};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
    types::Opaque,
};

/// A list of values, in the order in which they joined.
///
/// Its lock is a leaf: the functions that [`for_each`](Self::for_each) and [`ListEntry::update`] call must
/// take no other lock.
///
/// # Invariants
///
/// The nodes from `first` to `last` are those of the entries that have joined and have not been dropped.
#[pin_data]
pub(crate) struct List<T: Copy> {
    #[pin]
    ends: Mutex<Ends<T>>,
}

struct Ends<T> {
    first: Link<T>,
    last: Link<T>,
}

type Link<T> = Option<NonNull<Node<T>>>;

struct Node<T> {
    next: Link<T>,
    previous: Link<T>,
    value: T,
}

// SAFETY: The links are used only under the lock of the list.
unsafe impl<T: Send> Send for Ends<T> {}

impl<T: Copy> List<T> {
    /// Returns an empty list.
    pub(crate) fn new() -> impl PinInit<Self> {
        // INVARIANT: No entry has joined.
        pin_init!(Self {
            ends <- new_mutex!(Ends { first: None, last: None }, "List::ends"),
        })
    }

    /// Tells whether the list is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.lock().first.is_none()
    }

    /// Calls `f` with each value, the oldest entry's first, under the lock of the list.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&T)) {
        let ends = self.ends.lock();
        let mut link = ends.first;
        while let Some(node) = link {
            // SAFETY: By the type's invariants, under the lock that entries take to join, to change and to
            // leave.
            let node = unsafe { node.as_ref() };
            f(&node.value);
            link = node.next;
        }
    }
}

/// A type that has a list.
pub(crate) trait HasList<T: Copy> {
    /// Returns the list.
    fn list(&self) -> &List<T>;
}

/// An entry of the list of `O`.  It keeps `O` alive.
///
/// # Invariants
///
/// `list` is valid while `owner` is held: it was borrowed from the `O`, and `owner` prevents exclusive access
/// to the `O`.  The node is on the list, and is read and written only under the lock of the list.
#[pin_data(PinnedDrop)]
pub(crate) struct ListEntry<O, T: Copy> {
    owner: Arc<O>,
    list: NonNull<List<T>>,
    #[pin]
    node: Opaque<Node<T>>,
    _value: PhantomData<T>,
}

// SAFETY: Any task may drop an entry and change its value, under the lock of the list.
unsafe impl<O: Send + Sync, T: Copy + Send> Send for ListEntry<O, T> {}
// SAFETY: As above; otherwise `&self` only gives access to `&O`.
unsafe impl<O: Send + Sync, T: Copy + Send> Sync for ListEntry<O, T> {}

impl<O: HasList<T>, T: Copy> ListEntry<O, T> {
    /// Joins the list of `owner`.
    pub(crate) fn join(owner: Arc<O>, value: T) -> impl PinInit<Self> {
        let list = NonNull::from(owner.list());
        let node = Node {
            next: None,
            previous: None,
            value,
        };
        pin_init!(Self {
            owner,
            list,
            node: Opaque::new(node),
            _value: PhantomData,
        })
        .pin_chain(|entry| {
            // INVARIANT: The entry is pinned from now on; its drop removes the node.
            entry.into_ref().get_ref().link();
            Ok(())
        })
    }
}

impl<O, T: Copy> ListEntry<O, T> {
    /// Returns the owner of the list.
    #[inline]
    pub(crate) fn owner(&self) -> &Arc<O> {
        &self.owner
    }

    /// Changes the value, under the lock of the list.
    pub(crate) fn update(&self, f: impl FnOnce(&mut T)) {
        let _ends = self.list().ends.lock();
        // SAFETY: By the type's invariants, under the lock.
        f(unsafe { &mut (*self.node.get()).value });
    }

    /// Returns a copy of the current value.
    pub(crate) fn get(&self) -> T {
        let _ends = self.list().ends.lock();
        // SAFETY: By the type's invariants, under the lock.
        unsafe { (*self.node.get()).value }
    }

    fn list(&self) -> &List<T> {
        // SAFETY: By the type's invariants.
        unsafe { self.list.as_ref() }
    }

    /// Appends the node to the list.  The node is not on the list before.
    fn link(&self) {
        let node = self.node.get();
        let mut ends = self.list().ends.lock();
        // SAFETY: This entry owns the node, and the last node belongs to an entry; the lock is held.
        unsafe {
            (*node).previous = ends.last;
            match ends.last {
                Some(last) => (*last.as_ptr()).next = NonNull::new(node),
                None => ends.first = NonNull::new(node),
            }
        }
        ends.last = NonNull::new(node);
    }

    /// Removes the node from the list.
    fn unlink(&self) {
        let mut ends = self.list().ends.lock();
        // SAFETY: The node and its neighbours are on the list, and the lock is held.
        unsafe {
            let Node { next, previous, .. } = *self.node.get();
            match previous {
                Some(previous) => (*previous.as_ptr()).next = next,
                None => ends.first = next,
            }
            match next {
                Some(next) => (*next.as_ptr()).previous = previous,
                None => ends.last = previous,
            }
        }
    }
}

#[pinned_drop]
impl<O, T: Copy> PinnedDrop for ListEntry<O, T> {
    fn drop(self: Pin<&mut Self>) {
        self.into_ref().get_ref().unlink();
    }
}
