// SPDX-License-Identifier: GPL-2.0-only

//! Character devices (`include/linux/cdev.h`).
//!
//! Each character device has an *object*: an `Arc` that the driver passes when it adds the device.  Each open of the
//! device node gets the object.  A `struct cdev` outlives `cdev_del()`: an inode through which the cdev was opened
//! points to the cdev until the last file of the cdev is closed.  Until then, an open of this inode still gets the
//! object.  So a [`Cdev`] owns a reference on its object, and the object must not own a resource of a driver.

use super::{
    file::{FileOperations, Node},
    to_result,
};
use crate::bindings;
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{prelude::*, sync::Arc};

/// The number of minors of a range: all minors of a major.
pub(crate) const MINORS: u32 = 1 << MINORBITS;
const MINORBITS: u32 = 20;

/// A device number, or 0 for no device number.
pub(crate) type DevT = bindings::dev_t;

/// The [`Node`] of character devices whose object is a `T`.
pub(crate) struct CharNode<T>(PhantomData<T>);

impl<T: 'static> Node for CharNode<T> {
    type Object<'a> = &'a Arc<T>;

    unsafe fn opened<'a>(inode: *const bindings::inode) -> &'a Arc<T> {
        // SAFETY: By the caller's promise the device was added by a `CharRegion<T>`, so its cdev is part of a
        // `Shared<T>`.  The VFS holds a reference on the cdev, which keeps the `Shared<T>`.
        unsafe {
            let cdev = bindings::vfio_helper_inode_cdev(inode);
            let shared: *mut Shared<T> = kernel::container_of!(cdev, Shared<T>, cdev);
            &(*shared).object
        }
    }
}

/// A range of device numbers: all minors of one major.  The devices of the range have the same file
/// operations, and their objects are `T`s.  The range is released on drop.
///
/// # Invariants
///
/// `fops` is the static table of a [`FileOperations`] whose `Node` is [`CharNode<T>`].
pub(crate) struct CharRegion<T> {
    first: DevT,
    fops: NonNull<bindings::file_operations>,
    _object: PhantomData<fn(T)>,
}

// SAFETY: File operations are constant.
unsafe impl<T> Send for CharRegion<T> {}
// SAFETY: As above.
unsafe impl<T> Sync for CharRegion<T> {}

impl<T: Send + Sync + 'static> CharRegion<T> {
    /// Allocates a major, which appears as `name` in /proc/devices, for files with the operations of `F`.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    /// - `EBUSY`: no major is free.
    pub(crate) fn register<F: FileOperations<Node = CharNode<T>>>(
        name: &'static CStr,
    ) -> Result<Self> {
        let mut first = 0;
        // SAFETY: `first` may be written, and `name` is static.
        to_result(unsafe {
            bindings::alloc_chrdev_region(&mut first, 0, MINORS, name.as_char_ptr())
        })?;
        // INVARIANT: The table is the static of `F`.
        Ok(Self {
            first,
            fops: NonNull::from(F::table()).cast(),
            _object: PhantomData,
        })
    }

    /// Returns the device number of a minor, which is below [`MINORS`].
    pub(crate) fn devt(&self, minor: u32) -> DevT {
        self.first | minor
    }

    /// Adds a device with the given minor and object.  From now on, the device can be opened.  May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    pub(crate) fn add(&self, minor: u32, object: Arc<T>) -> Result<Cdev<T>> {
        // SAFETY: By the type's invariants.
        unsafe { Cdev::add(self.fops, self.devt(minor), object) }
    }
}

impl<T> Drop for CharRegion<T> {
    fn drop(&mut self) {
        // SAFETY: `register()` allocated the range.
        unsafe { bindings::unregister_chrdev_region(self.first, MINORS) }
    }
}

/// A character device whose object is a `T`.
///
/// After the drop, an open fails with `ENXIO`, unless the inode was opened before and a file of the cdev is
/// still open.  Then the open still gets the `T`.
///
/// # Invariants
///
/// Points to a [`Shared`] whose cdev has been added, and has not been deleted.
pub(crate) struct Cdev<T>(NonNull<Shared<T>>);

// SAFETY: The character device core does its own locking; any task may use the object.
unsafe impl<T: Send + Sync> Send for Cdev<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for Cdev<T> {}

/// A cdev and its object.  They are freed when the cdev has no references any more.
///
/// A cdev has no release function for its user, but holds a reference on its parent.  So `parent` is the
/// parent of the cdev, and the release function of `parent` frees this structure.
#[repr(C)]
struct Shared<T> {
    cdev: bindings::cdev,
    parent: bindings::kobject,
    object: Arc<T>,
}

impl<T: Send + Sync + 'static> Cdev<T> {
    /// # Safety
    ///
    /// `fops` is the static table of a [`FileOperations`] whose `Node` is [`CharNode<T>`].
    unsafe fn add(
        fops: NonNull<bindings::file_operations>,
        devt: DevT,
        object: Arc<T>,
    ) -> Result<Self> {
        let shared = KBox::new(
            Shared {
                cdev: bindings::cdev::default(),
                parent: bindings::kobject::default(),
                object,
            },
            GFP_KERNEL,
        )?;
        let raw = KBox::into_raw(shared);
        // SAFETY: This function owns `raw`, which only the release of `parent` frees.  The cdev is new;
        // `fops` are static.  A cdev that was added holds a reference on its parent.  If `cdev_add()` failed,
        // `kobject_put()` drops the last reference, and `raw` is not used any more.
        unsafe {
            let (cdev, parent) = (&raw mut (*raw).cdev, &raw mut (*raw).parent);
            bindings::kobject_init(parent, Shared::<T>::KTYPE);
            bindings::cdev_init(cdev, fops.as_ptr());
            (*cdev).owner = fops.as_ref().owner;
            bindings::cdev_set_parent(cdev, parent);
            let added = to_result(bindings::cdev_add(cdev, devt, 1));
            bindings::kobject_put(parent);
            added?;
            // INVARIANT: The cdev has been added.
            Ok(Self(NonNull::new_unchecked(raw)))
        }
    }
}

impl<T> Drop for Cdev<T> {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants.
        unsafe { bindings::cdev_del(&raw mut (*self.0.as_ptr()).cdev) }
    }
}

impl<T> Shared<T> {
    /// The type of `parent`.
    const KTYPE: &'static bindings::kobj_type = &bindings::kobj_type {
        release: Some(Self::release),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// The kobject core calls this with the `parent` of a [`Shared`], whose last reference is dropped.
    unsafe extern "C" fn release(parent: *mut bindings::kobject) {
        // SAFETY: By the caller's promise; `Cdev::add()` made the value from a box.
        unsafe {
            let shared: *mut Self = kernel::container_of!(parent, Self, parent);
            drop(KBox::from_raw(shared));
        }
    }
}
