// SPDX-License-Identifier: GPL-2.0-only

//! Lists whose members carry their own links, so that joining one needs no memory
//! (`include/linux/list.h`).
//!
//! The kernel crate's `List` owns its members; here a member owns itself, and takes itself off at
//! its end.

use core::{marker::PhantomData, pin::Pin, ptr::NonNull};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
    types::Opaque,
};

/// A list of values, in the order in which they joined.
///
/// Its lock is a leaf: what [`for_each`](Self::for_each) and [`Member::update`] call must take no
/// other.
///
/// # Invariants
///
/// The nodes between `first` and `last` are those of the members that have joined and not ended.
#[pin_data]
pub(crate) struct Roll<T: Copy> {
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

// SAFETY: The links are used under the lock of the list alone.
unsafe impl<T: Send> Send for Ends<T> {}

impl<T: Copy> Roll<T> {
    /// An empty list.
    pub(crate) fn new() -> impl PinInit<Self> {
        // INVARIANT: Nobody has joined.
        pin_init!(Self {
            ends <- new_mutex!(Ends { first: None, last: None }, "Roll::ends"),
        })
    }

    /// Whether nobody is on it.
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.lock().first.is_none()
    }

    /// Calls `f` with each value, the oldest member's first, under the lock of the list.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&T)) {
        let ends = self.ends.lock();
        let mut link = ends.first;
        while let Some(node) = link {
            // SAFETY: By the type's invariants, under the lock that members take to join, to
            // change and to leave.
            let node = unsafe { node.as_ref() };
            f(&node.value);
            link = node.next;
        }
    }
}

/// What has a list.
pub(crate) trait HasRoll<T: Copy> {
    /// The list.
    fn roll(&self) -> &Roll<T>;
}

/// A member of the list of `O`, which it keeps alive.
///
/// # Invariants
///
/// `roll` is alive while `owner` is held: `O` gave it for as long as it is shared.  The node is on
/// it, and is read and written under its lock alone.
#[pin_data(PinnedDrop)]
pub(crate) struct Member<O, T: Copy> {
    owner: Arc<O>,
    roll: NonNull<Roll<T>>,
    #[pin]
    node: Opaque<Node<T>>,
    _value: PhantomData<T>,
}

// SAFETY: A member may end, and its value be changed, by any task: under the lock of the list.
unsafe impl<O: Send + Sync, T: Copy + Send> Send for Member<O, T> {}
// SAFETY: As above; all else that `&self` gives is `&O`.
unsafe impl<O: Send + Sync, T: Copy + Send> Sync for Member<O, T> {}

impl<O: HasRoll<T>, T: Copy> Member<O, T> {
    /// Joins the list of `owner`.
    pub(crate) fn join(owner: Arc<O>, value: T) -> impl PinInit<Self> {
        let roll = NonNull::from(owner.roll());
        let node = Node {
            next: None,
            previous: None,
            value,
        };
        pin_init!(Self {
            owner,
            roll,
            node: Opaque::new(node),
            _value: PhantomData,
        })
        .pin_chain(|member| {
            // INVARIANT: Pinned from now on; the drop takes the node off.
            member.into_ref().get_ref().link();
            Ok(())
        })
    }
}

impl<O, T: Copy> Member<O, T> {
    /// Whose list it is on.
    #[inline]
    pub(crate) fn owner(&self) -> &Arc<O> {
        &self.owner
    }

    /// Changes the value, under the lock of the list.
    pub(crate) fn update(&self, f: impl FnOnce(&mut T)) {
        let _ends = self.roll().ends.lock();
        // SAFETY: By the type's invariants, under the lock.
        f(unsafe { &mut (*self.node.get()).value });
    }

    /// The value at this moment.
    pub(crate) fn get(&self) -> T {
        let _ends = self.roll().ends.lock();
        // SAFETY: By the type's invariants, under the lock.
        unsafe { (*self.node.get()).value }
    }

    fn roll(&self) -> &Roll<T> {
        // SAFETY: By the type's invariants.
        unsafe { self.roll.as_ref() }
    }

    /// Puts the node at the end of the list, on which it is not.
    fn link(&self) {
        let node = self.node.get();
        let mut ends = self.roll().ends.lock();
        // SAFETY: The node is ours and the last is a member's, under the lock.
        unsafe {
            (*node).previous = ends.last;
            match ends.last {
                Some(last) => (*last.as_ptr()).next = NonNull::new(node),
                None => ends.first = NonNull::new(node),
            }
        }
        ends.last = NonNull::new(node);
    }

    /// Takes the node off the list.
    fn unlink(&self) {
        let mut ends = self.roll().ends.lock();
        // SAFETY: The node is on the list, and its neighbours are, under the lock.
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
impl<O, T: Copy> PinnedDrop for Member<O, T> {
    fn drop(self: Pin<&mut Self>) {
        self.into_ref().get_ref().unlink();
    }
}
