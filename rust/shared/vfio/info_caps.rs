// SPDX-License-Identifier: GPL-2.0-only

//! Buffers of capabilities (`struct vfio_info_cap`).  Drivers fill them with `vfio_info_cap_add()` and
//! `vfio_info_add_capability()`.

use crate::{bindings, kapi::buffer::DriverBuffer};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{prelude::*, types::Opaque};

/// A buffer of the core that a driver fills.  It is freed on drop.
///
/// # Invariants
///
/// The invariants of [`Chain`].
#[repr(transparent)]
pub(crate) struct InfoCaps(Opaque<bindings::vfio_info_cap>);

impl InfoCaps {
    /// Returns an empty buffer.
    pub(crate) fn new() -> Self {
        Self(Opaque::new(bindings::vfio_info_cap::default()))
    }

    /// Tells whether the buffer is empty.  A driver fills the buffer only during `Device::region_info()`.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // SAFETY: By the type's invariants.
        unsafe { (*self.as_raw()).size == 0 }
    }

    /// Returns the structure for the driver that fills it.
    pub(super) fn as_raw(&self) -> *mut bindings::vfio_info_cap {
        self.0.get()
    }

    /// Returns the chain.  A driver fills the buffer only during `Device::region_info()`.
    pub(crate) fn as_chain(&mut self) -> Chain<'_> {
        // SAFETY: By the type's invariants; `self` is borrowed exclusively.
        unsafe { Chain::from_raw(self.as_raw()) }
    }
}

impl Drop for InfoCaps {
    #[inline]
    fn drop(&mut self) {
        let mut chain = self.as_chain();
        if !chain.buf().is_null() {
            chain.free();
        }
    }
}

/// The chain of capabilities in a buffer of the core or of a driver.  The methods make no reference to the
/// structure, because the driver has pointers to it.
///
/// # Invariants
///
/// The structure is valid, and this value has exclusive access to it for `'a`.  Its `buf` is NULL or was
/// allocated by the kernel's `krealloc()` with `size` bytes.
pub(crate) struct Chain<'a>(
    NonNull<bindings::vfio_info_cap>,
    PhantomData<&'a mut InfoCaps>,
);

impl<'a> Chain<'a> {
    /// # Safety
    ///
    /// `ptr` satisfies the type's invariants.
    pub(crate) unsafe fn from_raw(ptr: *mut bindings::vfio_info_cap) -> Self {
        // SAFETY: By the caller's promise `ptr` is not NULL.
        Self(unsafe { NonNull::new_unchecked(ptr) }, PhantomData)
    }

    /// Returns the size in bytes.
    pub(crate) fn len(&self) -> usize {
        // SAFETY: By the type's invariants.
        unsafe { (*self.0.as_ptr()).size }
    }

    fn buf(&self) -> *mut c_void {
        // SAFETY: By the type's invariants.
        unsafe { (*self.0.as_ptr()).buf.cast() }
    }

    fn set(&mut self, buf: *mut c_void, size: usize) {
        // SAFETY: By the type's invariants.
        unsafe {
            (*self.0.as_ptr()).buf = buf.cast();
            (*self.0.as_ptr()).size = size;
        }
    }

    /// Returns the bytes of the chain, or None if the chain has no buffer.
    pub(crate) fn as_buffer(&self) -> Option<DriverBuffer<'_>> {
        // SAFETY: By the type's invariants.
        unsafe { DriverBuffer::from_raw(self.buf(), self.len()) }
    }

    /// Returns the chain as 32-bit words.  None if the chain is shorter than one word.
    pub(crate) fn words(&mut self) -> Option<ChainWords<'_>> {
        // INVARIANT: By the invariants of `self`.
        Some(ChainWords {
            buf: NonNull::new(self.buf())?.cast(),
            last: self.len().checked_sub(size_of::<u32>())?,
            _chain: PhantomData,
        })
    }

    /// Returns a pointer to the bytes from offset `at` on, for a driver that writes them.  None if `at` is
    /// beyond the end.
    pub(crate) fn bytes_from(self, at: usize) -> Option<*mut u8> {
        if self.buf().is_null() || at > self.len() {
            return None;
        }
        // SAFETY: By the type's invariants; the offset is in the buffer.
        Some(unsafe { self.buf().cast::<u8>().add(at) })
    }

    /// Appends `size` zero bytes.  May sleep.  On failure the buffer is freed, and the chain is empty.
    ///
    /// C counterpart: the `krealloc()` in `vfio_info_cap_add()`.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory, or the size overflows.
    pub(crate) fn grow(&mut self, size: usize) -> Result {
        let old = self.len();
        let grown = old.checked_add(size).and_then(|new| {
            // SAFETY: `buf` is NULL or was allocated by the same function.
            let buf = unsafe {
                bindings::krealloc_node_align_noprof(
                    self.buf(),
                    new,
                    1,
                    bindings::GFP_KERNEL,
                    bindings::NUMA_NO_NODE,
                )
            };
            (!buf.is_null()).then_some((buf, new))
        });
        let Some((buf, new)) = grown else {
            self.free();
            return Err(ENOMEM);
        };
        // SAFETY: The buffer has `new` bytes, and the last `size` of them are not initialised yet.
        unsafe { buf.cast::<u8>().add(old).write_bytes(0, size) };
        self.set(buf, new);
        Ok(())
    }

    fn free(&mut self) {
        // SAFETY: By the type's invariants.
        unsafe { bindings::kfree(self.buf()) };
        self.set(core::ptr::null_mut(), 0);
    }
}

/// The 32-bit words of a chain, which are addressed by their offset in bytes.  The methods make no reference to
/// the bytes: a link that a driver has broken can lead to any of them.
///
/// # Invariants
///
/// `last + 4` bytes at `buf` may be read and written for `'a`, and no other code accesses them meanwhile.  They
/// are initialised: [`Chain::grow`] has zeroed them, and C code has written them since.
pub(crate) struct ChainWords<'a> {
    buf: NonNull<u8>,
    last: usize,
    _chain: PhantomData<&'a mut InfoCaps>,
}

impl ChainWords<'_> {
    /// Returns a pointer to the number at offset `at`.  It need not be aligned.
    #[inline]
    fn word(&self, at: usize) -> Option<*mut u32> {
        if at > self.last {
            return None;
        }
        // SAFETY: By the type's invariants the number is in the buffer.
        Some(unsafe { self.buf.as_ptr().add(at).cast() })
    }

    /// Returns the number at offset `at`.  None if it is not in the chain.
    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<u32> {
        // SAFETY: By the type's invariants.
        Some(unsafe { self.word(at)?.read_unaligned() })
    }

    /// Writes the number at offset `at`.  None if it is not in the chain.
    #[inline]
    pub(crate) fn set(&mut self, at: usize, number: u32) -> Option<()> {
        // SAFETY: By the type's invariants.
        unsafe { self.word(at)?.write_unaligned(number) };
        Some(())
    }
}
