// SPDX-License-Identifier: GPL-2.0-only

//! File operations (`struct file_operations`, `include/linux/fs.h`) as safe functions of a type.
//!
//! The private data of a file is a value that the file owns.  An implementation of [`FileOperations`] decides
//! the operations and the type of the private data.  So a file that has the operations of a type `T` has
//! private data of the type [`T::Owner`](FileOperations::Owner).

use super::{series::this_module, to_int, to_isize};
use crate::bindings;
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{
    error::from_err_ptr,
    fs::{
        file::{flags::O_RDWR, Offset},
        File, LocalFile,
    },
    mm::virt::VmaNew,
    prelude::*,
    seq_file::SeqFile,
    sync::aref::ARef,
    types::ForeignOwnable,
    uaccess::UserPtr,
    ModuleMetadata,
};

/// A type of device node: character devices ([`CharNode`](super::cdev::CharNode)) or misc devices.
pub(crate) trait Node {
    /// The object of a device: the value that an open of the node of the device gets.
    type Object<'a>;

    /// Returns the object of the device that is being opened.
    ///
    /// # Safety
    ///
    /// The `open` of a file calls this with its inode, which belongs to a device of this kind.  `'a` ends
    /// before `open` returns.
    unsafe fn opened<'a>(inode: *const bindings::inode) -> Self::Object<'a>;
}

/// The private data of files, borrowed.
type Data<'a, T> = <<T as FileOperations>::Owner as ForeignOwnable>::Borrowed<'a>;

/// The operations of files whose private data is an [`Owner`](Self::Owner).  The VFS lets any number of
/// threads call the operations of one file at the same time.
#[vtable]
pub(crate) trait FileOperations: Send + Sync + Sized + 'static {
    /// The private data of a file.
    type Owner: ForeignOwnable + Send + Sync + 'static;
    /// The kind of device.  An open of its node makes a file with these operations.
    type Node: Node;

    /// Returns the table of operations.  Its address identifies the files, so the table must be a static:
    /// [`data_of`] finds no file if each call returns another address.
    fn table() -> &'static FileTable<Self>;

    /// Handles open(2) of a node.  Returns the private data of the new file.
    fn open(object: <Self::Node as Node>::Object<'_>) -> Result<Self::Owner>;

    /// Returns the mapping of the file.  Returns None if the file uses the mapping of its inode.
    fn mapping<'a>(data: Data<'a, Self>) -> Option<Mapping<'a>>
    where
        Self: 'a,
    {
        let _ = data;
        None
    }

    /// Handles the last close: drops the private data.  C counterpart: `file_operations::release`.
    fn release(data: Self::Owner) {
        drop(data);
    }

    /// Handles ioctl(2), also of 32-bit programs, whose pointers are converted.  Returns a value, or a
    /// negative errno.
    fn ioctl(data: Data<'_, Self>, file: &File, cmd: u32, arg: usize) -> isize;

    /// Handles read(2) and pread(2).
    fn read(data: Data<'_, Self>, buf: UserPtr, count: usize, pos: &mut Offset) -> Result<isize> {
        let _ = (data, buf, count, pos);
        kernel::build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Handles write(2) and pwrite(2).
    fn write(data: Data<'_, Self>, buf: UserPtr, count: usize, pos: &mut Offset) -> Result<isize> {
        let _ = (data, buf, count, pos);
        kernel::build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Handles mmap(2).
    fn mmap(data: Data<'_, Self>, vma: &VmaNew) -> Result {
        let _ = (data, vma);
        kernel::build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Prints lines of `/proc/PID/fdinfo/FD`.
    fn show_fdinfo(data: Data<'_, Self>, m: &SeqFile) {
        let _ = (data, m);
        kernel::build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }
}

/// A mapping (`struct address_space`) that stays for `'a`.
pub(crate) struct Mapping<'a>(NonNull<bindings::address_space>, PhantomData<&'a ()>);

impl Mapping<'_> {
    /// # Safety
    ///
    /// `mapping` is valid for `'a`.
    pub(crate) unsafe fn from_raw(mapping: NonNull<bindings::address_space>) -> Self {
        Self(mapping, PhantomData)
    }
}

/// A table of file operations.
///
/// # Invariants
///
/// The functions are the operations of `T`.  Only the functions of this module (`kapi::file`) make files with
/// this table, and each of these files has private data from [`install`](Self::install).
#[repr(transparent)]
pub(crate) struct FileTable<T>(bindings::file_operations, PhantomData<fn(T)>);

// SAFETY: The VFS only reads file operations.
unsafe impl<T> Sync for FileTable<T> {}

impl<T: FileOperations> FileTable<T> {
    /// Returns a table whose files keep this kernel module loaded.  `M` is the metadata of the kernel module.
    pub(crate) const fn new<M: ModuleMetadata>() -> Self {
        Self(
            bindings::file_operations {
                owner: this_module::<M>().as_ptr(),
                open: Some(Self::open),
                release: Some(Self::release),
                unlocked_ioctl: Some(Self::ioctl),
                compat_ioctl: bindings::compat_ptr_ioctl,
                read: if T::HAS_READ { Some(Self::read) } else { None },
                write: if T::HAS_WRITE {
                    Some(Self::write)
                } else {
                    None
                },
                mmap: if T::HAS_MMAP { Some(Self::mmap) } else { None },
                show_fdinfo: if cfg!(CONFIG_PROC_FS) && T::HAS_SHOW_FDINFO {
                    Some(Self::show_fdinfo)
                } else {
                    None
                },
                ..pin_init::zeroed()
            },
            PhantomData,
        )
    }

    pub(crate) fn as_raw(&self) -> *const bindings::file_operations {
        &raw const self.0
    }

    /// Returns the private data of a file.
    ///
    /// # Safety
    ///
    /// `file` has the operations of `T`, and stays open for `'a`.
    #[inline]
    unsafe fn data<'a>(file: *mut bindings::file) -> Data<'a, T> {
        // SAFETY: `install()` stored the pointer; only `release()` takes it back, and it runs after `'a`.
        unsafe { T::Owner::borrow((*file).private_data) }
    }

    /// Stores the private data of a file.
    ///
    /// # Safety
    ///
    /// No other code uses the file yet, and its operations are those of `T`.  `data` came from
    /// `T::Owner::into_foreign()`, and the file becomes its owner.
    unsafe fn install(file: *mut bindings::file, data: *mut c_void) {
        // SAFETY: By the caller's promise; the private data, which the file keeps until its release, keeps
        // the mapping.
        unsafe {
            if let Some(mapping) = T::mapping(T::Owner::borrow(data)) {
                (*file).f_mapping = mapping.0.as_ptr();
            }
            (*file).private_data = data;
        }
    }

    /// # Safety
    ///
    /// The VFS calls this.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `CharRegion::register()` and `MiscDevice::register()` use this table only for nodes of the
        // kind `T::Node`.  The object is borrowed only for the call of `T::open()`.
        match T::open(unsafe { T::Node::opened(inode) }) {
            Ok(owner) => {
                // SAFETY: `file` is being opened.
                unsafe { Self::install(file, owner.into_foreign()) };
                0
            }
            Err(e) => e.to_errno(),
        }
    }

    /// # Safety
    ///
    /// The VFS calls this once, for a file that has no users any more.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `install()` stored the pointer.
        T::release(unsafe { T::Owner::from_foreign((*file).private_data) });
        0
    }

    /// # Safety
    ///
    /// The VFS calls this.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: The file has these operations; an ioctl does not run within `fdget_pos()`.
        let (data, file) = unsafe { (Self::data(file), File::from_raw_file(file)) };
        // CAST: Both types have the width of a pointer.
        T::ioctl(data, file, cmd, arg) as c_long
    }

    /// # Safety
    ///
    /// The VFS calls this.
    unsafe extern "C" fn read(
        file: *mut bindings::file,
        buf: *mut c_char,
        count: usize,
        pos: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: The file has these operations; the caller owns `pos`.
        let (data, pos) = unsafe { (Self::data(file), &mut *pos) };
        to_isize(T::read(data, UserPtr::from_ptr(buf.cast()), count, pos))
    }

    /// # Safety
    ///
    /// The VFS calls this.
    unsafe extern "C" fn write(
        file: *mut bindings::file,
        buf: *const c_char,
        count: usize,
        pos: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: The file has these operations; the caller owns `pos`.
        let (data, pos) = unsafe { (Self::data(file), &mut *pos) };
        let buf = UserPtr::from_ptr(buf.cast_mut().cast());
        to_isize(T::write(data, buf, count, pos))
    }

    /// # Safety
    ///
    /// The VFS calls this.
    unsafe extern "C" fn mmap(
        file: *mut bindings::file,
        vma: *mut bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: The file has these operations; an mmap() is setting up `vma`.
        let (data, vma) = unsafe { (Self::data(file), VmaNew::from_raw(vma)) };
        to_int(T::mmap(data, vma))
    }

    /// # Safety
    ///
    /// procfs calls this.
    unsafe extern "C" fn show_fdinfo(m: *mut bindings::seq_file, file: *mut bindings::file) {
        // SAFETY: The file has these operations; the caller owns `m`.
        let (data, m) = unsafe { (Self::data(file), SeqFile::from_raw(m)) };
        T::show_fdinfo(data, m);
    }
}

/// Returns the private data of a file, if the file has the operations of `T`.
#[inline]
pub(crate) fn data_of<T: FileOperations>(file: &LocalFile) -> Option<Data<'_, T>> {
    let file = file.as_ptr();
    // SAFETY: The caller holds the file.  If its operations are the table of `T`, the private data belongs to
    // `T` by the invariants of `FileTable`.
    unsafe { core::ptr::eq((*file).f_op, T::table().as_raw()).then(|| FileTable::<T>::data(file)) }
}

/// Makes a file without a node, for reads and writes at any position.  The file owns `owner` as its private
/// data.  After a failure the private data is dropped.  May sleep.
///
/// # Errors
///
/// - `ENFILE`: the limit of open files in the system is reached.
/// - `ENOMEM`: out of memory.
pub(crate) fn new_file<T: FileOperations>(name: &CStr, owner: T::Owner) -> Result<ARef<File>> {
    let data = owner.into_foreign();
    // SAFETY: The table is static, and treats `data` as the private data of a `T`.
    let file = from_err_ptr(unsafe {
        bindings::anon_inode_getfile_fmode(
            name.as_char_ptr(),
            T::table().as_raw(),
            data,
            O_RDWR as c_int,
            bindings::FMODE_PREAD | bindings::FMODE_PWRITE,
        )
    });
    let file = file.inspect_err(|_| {
        // SAFETY: No file was made, so no file owns `data`.
        drop(unsafe { T::Owner::from_foreign(data) })
    })?;
    // SAFETY: No other code uses the file yet.
    unsafe { FileTable::<T>::install(file, data) };
    let file = NonNull::new(file).ok_or(ENOMEM)?;
    // SAFETY: This function owns the reference, and no other code uses the file: there is no `fdget_pos()`.
    Ok(unsafe { ARef::from_raw(file.cast()) })
}
