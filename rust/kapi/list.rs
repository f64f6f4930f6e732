// SPDX-License-Identifier: GPL-2.0-only

//! Intrusive lists: each entry contains its links, so an entry joins a list without an allocation.
//!
//! The pattern is that of `include/linux/list.h`.  The kernel crate's `List` owns its entries.  A list of
//! this file does not: the code that made an entry owns the entry, which leaves the list on drop.

use crate::bindings;
use core::{marker::PhantomData, pin::Pin, ptr::NonNull};
use kernel::{
    container_of, new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
    types::Opaque,
};

/// A list of values, in the order in which they joined.  Each entry has a label of the type `L`, which does not
/// change, and a value of the type `T`.
///
/// Its lock is a leaf: the functions that [`for_each`](Self::for_each) and [`ListEntry::update`] call must
/// take no other lock.
///
/// # Invariants
///
/// `head` is the head of a circular list.  Its other members are the nodes of the entries that have joined and
/// have not been dropped.
#[pin_data]
pub(crate) struct List<L: Copy, T: Copy> {
    #[pin]
    lock: Mutex<()>,
    #[pin]
    head: Opaque<bindings::list_head>,
    _node: PhantomData<Node<L, T>>,
}

#[repr(C)]
struct Node<L, T> {
    links: bindings::list_head,
    label: L,
    value: T,
}

// SAFETY: The links and the values are used only under the lock of the list.
unsafe impl<L: Copy + Send, T: Copy + Send> Send for List<L, T> {}
// SAFETY: As above.  A copy of a label can move to another thread, so `L` is also `Send`.
unsafe impl<L: Copy + Send + Sync, T: Copy + Send> Sync for List<L, T> {}

impl<L: Copy, T: Copy> List<L, T> {
    /// Returns an empty list.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            lock <- new_mutex!((), "List::lock"),
            // INVARIANT: No entry has joined.
            head <- Opaque::ffi_init(|head: *mut bindings::list_head| {
                // SAFETY: `head` may be written.
                unsafe { head.write(bindings::list_head { next: head, prev: head }) }
            }),
            _node: PhantomData,
        })
    }

    /// Tells whether the list is empty.
    pub(crate) fn is_empty(&self) -> bool {
        let _guard = self.lock.lock();
        // SAFETY: The head is initialised, and the lock is held.
        unsafe { core::ptr::eq((*self.head.get()).next, self.head.get()) }
    }

    /// Calls `f` with the label and the value of each entry, the oldest entry first, under the lock of the
    /// list.
    pub(crate) fn for_each(&self, mut f: impl FnMut(L, &T)) {
        let _guard = self.lock.lock();
        // SAFETY: By the type's invariants, under the lock that entries take to join, to change and to leave.
        unsafe {
            let mut links = (*self.head.get()).next;
            while !core::ptr::eq(links, self.head.get()) {
                let node = container_of!(links, Node<L, T>, links);
                f((*node).label, &(*node).value);
                links = (*links).next;
            }
        }
    }
}

/// A type that has a list.
pub(crate) trait HasList<L: Copy, T: Copy> {
    /// Returns the list.
    fn list(&self) -> &List<L, T>;
}

/// An entry of the list of `O`.  It keeps `O` alive.
///
/// # Invariants
///
/// `list` is valid while `owner` is held: it was borrowed from the `O`, and `owner` prevents exclusive access
/// to the `O`.  The node is on that list.  Its label is constant.  Its other fields are read and written only
/// under the lock of the list.
#[pin_data(PinnedDrop)]
pub(crate) struct ListEntry<O, L: Copy, T: Copy> {
    owner: Arc<O>,
    list: NonNull<List<L, T>>,
    #[pin]
    node: Opaque<Node<L, T>>,
}

// SAFETY: Any task may drop an entry and change its value, under the lock of the list.
unsafe impl<O: Send + Sync, L: Copy + Send, T: Copy + Send> Send for ListEntry<O, L, T> {}
// SAFETY: As above; otherwise `&self` only gives access to `&O` and to copies of the label.
unsafe impl<O: Send + Sync, L: Copy + Sync, T: Copy + Send> Sync for ListEntry<O, L, T> {}

impl<O: HasList<L, T>, L: Copy, T: Copy> ListEntry<O, L, T> {
    /// Joins the list of `owner`.
    #[inline]
    pub(crate) fn join(owner: Arc<O>, label: L, value: T) -> impl PinInit<Self> {
        let list = NonNull::from(owner.list());
        let node = Node {
            links: bindings::list_head {
                next: core::ptr::null_mut(),
                prev: core::ptr::null_mut(),
            },
            label,
            value,
        };
        pin_init!(Self {
            owner,
            list,
            node: Opaque::new(node),
        })
        .pin_chain(|entry| {
            // INVARIANT: The entry is pinned from now on; its drop removes the node.
            let list = entry.list();
            let _guard = list.lock.lock();
            // SAFETY: This entry owns the node; the head is initialised, and the lock is held.
            unsafe { bindings::list_add_tail(entry.links(), list.head.get()) };
            Ok(())
        })
    }
}

impl<O, L: Copy, T: Copy> ListEntry<O, L, T> {
    /// Returns the owner of the list.
    #[inline]
    pub(crate) fn owner(&self) -> &Arc<O> {
        &self.owner
    }

    /// Returns the label.
    #[inline]
    pub(crate) fn label(&self) -> L {
        // SAFETY: By the type's invariants.
        unsafe { (*self.node.get()).label }
    }

    /// Changes the value, under the lock of the list.
    pub(crate) fn update(&self, f: impl FnOnce(&mut T)) {
        let _guard = self.list().lock.lock();
        // SAFETY: By the type's invariants, under the lock.
        f(unsafe { &mut (*self.node.get()).value });
    }

    /// Returns a copy of the current value.
    pub(crate) fn get(&self) -> T {
        let _guard = self.list().lock.lock();
        // SAFETY: By the type's invariants, under the lock.
        unsafe { (*self.node.get()).value }
    }

    fn list(&self) -> &List<L, T> {
        // SAFETY: By the type's invariants.
        unsafe { self.list.as_ref() }
    }

    fn links(&self) -> *mut bindings::list_head {
        // SAFETY: The pointer stays within the node.
        unsafe { &raw mut (*self.node.get()).links }
    }
}

#[pinned_drop]
impl<O, L: Copy, T: Copy> PinnedDrop for ListEntry<O, L, T> {
    #[inline]
    fn drop(self: Pin<&mut Self>) {
        let entry = self.into_ref().get_ref();
        let _guard = entry.list().lock.lock();
        // SAFETY: The node and its neighbours are on the list, and the lock is held.
        unsafe {
            let bindings::list_head { next, prev } = *entry.links();
            (*prev).next = next;
            (*next).prev = prev;
        }
    }
}
