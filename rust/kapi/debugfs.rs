// SPDX-License-Identifier: GPL-2.0-only

//! Folders in debugfs, and files in them (`include/linux/debugfs.h`).
//!
//! The kernel crate's `debugfs::Dir` does not give out its dentry, for C code to find in a structure.

use super::{cdev::FileOperations, series::this_module};
use crate::bindings;
use core::{marker::PhantomData, ops::Deref};
use kernel::{prelude::*, seq_file::SeqFile, sync::Arc, ModuleMetadata};

const READ_ONLY: bindings::umode_t = 0o444;

/// A folder, removed with all that is in it when dropped.
///
/// Failure to make one is, by debugfs's own rules, not looked at: the pointer may be an `ERR_PTR`,
/// which every function of debugfs takes and ignores.
pub(crate) struct Dir {
    dentry: *mut bindings::dentry,
    /// Goes later: what is in it would go with it.
    _parent: Option<Arc<Dir>>,
}

// SAFETY: debugfs does its own locking.
unsafe impl Send for Dir {}
// SAFETY: debugfs does its own locking.
unsafe impl Sync for Dir {}

impl Dir {
    /// Makes `name` at debugfs's top.
    pub(crate) fn new(name: &CStr) -> Self {
        // SAFETY: NULL stands for the top.
        let dentry = unsafe { create_dir(name, core::ptr::null_mut()) };
        Self {
            dentry,
            _parent: None,
        }
    }

    /// Makes `name` below `parent`.
    pub(crate) fn below(parent: Arc<Dir>, name: &CStr) -> Self {
        Self {
            dentry: parent.folder().subdir(name).dentry,
            _parent: Some(parent),
        }
    }

    /// The folder, to put something into it.
    pub(crate) fn folder(&self) -> Folder<'_> {
        Folder {
            dentry: self.dentry,
            _root: PhantomData,
        }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // SAFETY: `self` owns the folder, and its parent is still there.
        unsafe { bindings::vfio_helper_debugfs_remove(self.dentry) }
    }
}

/// # Safety
///
/// `parent` is NULL or a folder, or the `ERR_PTR` that was to be one.
unsafe fn create_dir(name: &CStr, parent: *mut bindings::dentry) -> *mut bindings::dentry {
    // SAFETY: By the caller's promise; the name is copied.
    unsafe { bindings::vfio_helper_debugfs_create_dir(name.as_char_ptr(), parent) }
}

/// A folder that somebody else's drop removes, which the lifetime is the limit of.
#[derive(Clone, Copy)]
pub(crate) struct Folder<'a> {
    dentry: *mut bindings::dentry,
    _root: PhantomData<&'a Dir>,
}

impl<'a> Folder<'a> {
    /// Makes a folder that goes with this one.
    pub(crate) fn subdir(self, name: &CStr) -> Folder<'a> {
        Folder {
            // SAFETY: The folder is there for `'a`.
            dentry: unsafe { create_dir(name, self.dentry) },
            _root: PhantomData,
        }
    }

    pub(crate) fn as_raw(self) -> *mut bindings::dentry {
        self.dentry
    }
}

/// The content of a file that speaks of `T`.
pub(crate) trait Show<T> {
    /// The module whose code this is.
    type OwnerModule: ModuleMetadata;

    /// Prints it.
    fn show(about: &T, m: &SeqFile);
}

/// A folder with files that speak of `T`, which it keeps.  Its end waits for who reads them.
pub(crate) struct DirOf<T> {
    /// First: the files go before what they speak of.
    dir: Dir,
    about: Arc<T>,
}

impl<T> Deref for DirOf<T> {
    type Target = Dir;

    fn deref(&self) -> &Dir {
        &self.dir
    }
}

impl<T: Send + Sync> DirOf<T> {
    /// As [`Dir::below`].
    pub(crate) fn below(parent: Arc<Dir>, name: &CStr, about: Arc<T>) -> Self {
        Self {
            dir: Dir::below(parent, name),
            about,
        }
    }

    /// Adds a file.  Failure is not looked at.
    pub(crate) fn add_file<S: Show<T>>(&self, name: &CStr) {
        // SAFETY: The name is copied.  The file is removed, which waits for who opens or reads it,
        // before `about` is dropped; it is opened for reading alone.
        unsafe {
            bindings::vfio_helper_debugfs_create_file(
                name.as_char_ptr(),
                READ_ONLY,
                self.dir.dentry,
                Arc::as_ptr(&self.about).cast_mut().cast(),
                Files::<T, S>::FOPS.as_raw(),
            );
        }
    }
}

/// The operations of files that show `T` by `S`.
struct Files<T, S>(PhantomData<(T, S)>);

impl<T, S: Show<T>> Files<T, S> {
    const FOPS: &'static FileOperations = {
        // SAFETY: The functions follow the VFS's contracts.
        &unsafe {
            FileOperations::new(bindings::file_operations {
                owner: this_module::<S::OwnerModule>().as_ptr(),
                open: Some(Self::open),
                read: Some(bindings::seq_read),
                llseek: Some(bindings::seq_lseek),
                release: Some(bindings::single_release),
                ..pin_init::zeroed()
            })
        }
    };

    /// # Safety
    ///
    /// Called by debugfs with a file that is not being removed.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The inode is debugfs's, with the data that came with the file.
        unsafe { bindings::single_open(file, Some(Self::show), (*inode).i_private) }
    }

    /// # Safety
    ///
    /// Called by `seq_read()` for a file that is not being removed.
    unsafe extern "C" fn show(m: *mut bindings::seq_file, _data: *mut c_void) -> c_int {
        // SAFETY: `private` is what `open()` said, the folder's `about`.
        let (about, m) = unsafe { (&*(*m).private.cast::<T>(), SeqFile::from_raw(m)) };
        S::show(about, m);
        0
    }
}
