// SPDX-License-Identifier: GPL-2.0-only

//! Debugfs directories, and the files in them (`include/linux/debugfs.h`).
//!
//! The kernel crate's `debugfs::Dir` does not give access to its dentry.  C code needs the dentry to add
//! files to the directory.

use super::series::this_module;
use crate::bindings;
use core::{marker::PhantomData, ops::Deref};
use kernel::{prelude::*, seq_file::SeqFile, sync::Arc, ModuleMetadata};

const READ_ONLY: bindings::umode_t = 0o444;

/// A directory, which is removed with its content on drop.
///
/// A failure to make a directory is ignored, as the rules of debugfs require: the pointer can be an `ERR_PTR`,
/// which all functions of debugfs accept and ignore.
pub(crate) struct Dir {
    dentry: *mut bindings::dentry,
    /// Dropped after the directory, because the removal of the parent removes the directory, too.
    _parent: Option<Arc<Dir>>,
}

// SAFETY: debugfs does its own locking.
unsafe impl Send for Dir {}
// SAFETY: debugfs does its own locking.
unsafe impl Sync for Dir {}

impl Dir {
    /// Makes the directory `name` at the top of debugfs.
    pub(crate) fn new(name: &CStr) -> Self {
        // SAFETY: NULL means the top of debugfs.
        let dentry = unsafe { create_dir(name, core::ptr::null_mut()) };
        Self {
            dentry,
            _parent: None,
        }
    }

    /// Makes the directory `name` below `parent`.
    pub(crate) fn below(parent: Arc<Dir>, name: &CStr) -> Self {
        Self {
            dentry: parent.as_dir().subdir(name).dentry,
            _parent: Some(parent),
        }
    }

    /// Returns the directory, to add content to it.
    pub(crate) fn as_dir(&self) -> DirRef<'_> {
        DirRef {
            dentry: self.dentry,
            _root: PhantomData,
        }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // SAFETY: `self` owns the directory, and its parent still exists.
        unsafe { bindings::vfio_helper_debugfs_remove(self.dentry) }
    }
}

/// # Safety
///
/// `parent` is NULL, a directory, or the `ERR_PTR` from a failure to make a directory.
unsafe fn create_dir(name: &CStr, parent: *mut bindings::dentry) -> *mut bindings::dentry {
    // SAFETY: By the caller's promise; the name is copied.
    unsafe { bindings::vfio_helper_debugfs_create_dir(name.as_char_ptr(), parent) }
}

/// A directory that exists for `'a`.  Another value removes the directory on drop.
#[derive(Clone, Copy)]
pub(crate) struct DirRef<'a> {
    dentry: *mut bindings::dentry,
    _root: PhantomData<&'a Dir>,
}

impl<'a> DirRef<'a> {
    /// Makes a subdirectory, which is removed with this directory.
    pub(crate) fn subdir(self, name: &CStr) -> DirRef<'a> {
        DirRef {
            // SAFETY: The directory exists for `'a`, or `dentry` is the `ERR_PTR` of a failure to make it.
            dentry: unsafe { create_dir(name, self.dentry) },
            _root: PhantomData,
        }
    }

    pub(crate) fn as_raw(self) -> *mut bindings::dentry {
        self.dentry
    }
}

/// The content of a file that describes a `T`.
pub(crate) trait Show<T> {
    /// The module of the implementation.
    type OwnerModule: ModuleMetadata;

    /// Prints the content.
    fn show(about: &T, m: &SeqFile);
}

/// A directory with files that describe a `T`.  This value keeps the `T` alive.  The drop waits for readers of
/// the files.
pub(crate) struct DirOf<T> {
    /// The first field, so that the files are removed before the `T` is dropped.
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
    /// Makes the directory, as [`Dir::below`].
    pub(crate) fn below(parent: Arc<Dir>, name: &CStr, about: Arc<T>) -> Self {
        Self {
            dir: Dir::below(parent, name),
            about,
        }
    }

    /// Adds a file.  A failure is ignored.
    pub(crate) fn add_file<S: Show<T>>(&self, name: &CStr) {
        // SAFETY: The name is copied.  The removal of the file waits for tasks that open or read it, and
        // comes before the drop of `about`.  The file has no write operation, so the `T` is only read.
        unsafe {
            bindings::vfio_helper_debugfs_create_file(
                name.as_char_ptr(),
                READ_ONLY,
                self.dir.dentry,
                Arc::as_ptr(&self.about).cast_mut().cast(),
                Files::<T, S>::FOPS,
            );
        }
    }
}

/// The operations of files that describe a `T` with the content `S`.
struct Files<T, S>(PhantomData<(T, S)>);

impl<T, S: Show<T>> Files<T, S> {
    const FOPS: &'static bindings::file_operations = &bindings::file_operations {
        owner: this_module::<S::OwnerModule>().as_ptr(),
        open: Some(Self::open),
        read: Some(bindings::seq_read),
        llseek: Some(bindings::seq_lseek),
        release: Some(bindings::single_release),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// debugfs calls this with a file that is not being removed.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The inode belongs to debugfs, and has the data that was passed with the file.
        unsafe { bindings::single_open(file, Some(Self::show), (*inode).i_private) }
    }

    /// # Safety
    ///
    /// `seq_read()` calls this for a file that is not being removed.
    unsafe extern "C" fn show(m: *mut bindings::seq_file, _data: *mut c_void) -> c_int {
        // SAFETY: `private` is the pointer that `open()` passed, the directory's `about`.
        let (about, m) = unsafe { (&*(*m).private.cast::<T>(), SeqFile::from_raw(m)) };
        S::show(about, m);
        0
    }
}
