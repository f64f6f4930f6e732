// SPDX-License-Identifier: GPL-2.0-only

//! Replacements on Linux 7.2, with the same names, for items that the kernel crate has only since Linux 7.3.
//!
//! No other Rust file depends on the version of the kernel.  Kbuild sets `vfio_linux_7_2` for this file; the
//! C helpers have `VFIO_LINUX_7_2` for the same purpose.

#[cfg(not(vfio_linux_7_2))]
pub(crate) use kernel::{
    error::code::{EBADFD, EOPNOTSUPP},
    module::this_module,
    new_spinlock_irq,
    sync::{barrier::smp_mb, global_lock, SpinLockIrq},
};

#[cfg(vfio_linux_7_2)]
pub(crate) use linux_7_2::{
    global_lock, new_spinlock_irq, smp_mb, this_module, Irq, SpinLockIrq, EBADFD, EOPNOTSUPP,
};

#[cfg(vfio_linux_7_2)]
mod linux_7_2 {
    use crate::bindings;
    use core::num::NonZeroI32;
    use kernel::{
        prelude::*,
        sync::{
            atomic::ordering::Full,
            barrier,
            lock::{spinlock::SpinLockBackend, Backend, Lock},
        },
        types::Opaque,
        ModuleMetadata,
    };

    pub(crate) const EBADFD: Error = error(bindings::EBADFD);
    pub(crate) const EOPNOTSUPP: Error = error(bindings::EOPNOTSUPP);

    const fn error(errno: u32) -> Error {
        // CAST: An errno is a small number.
        match NonZeroI32::new(-(errno as i32)) {
            // SAFETY: `Error` has one field, of this type, and the same size: otherwise `transmute()` does
            // not compile.  The number is an errno.
            Some(value) if errno <= bindings::MAX_ERRNO => unsafe {
                core::mem::transmute::<NonZeroI32, Error>(value)
            },
            _ => EINVAL,
        }
    }

    /// Returns this module, as C's `THIS_MODULE`.  All callers pass the same type `M`.
    #[allow(clippy::extra_unused_type_parameters)]
    pub(crate) const fn this_module<M: ModuleMetadata>() -> &'static ThisModule {
        extern "C" {
            static __this_module: Opaque<c_void>;
        }
        // SAFETY: This is the target of `THIS_MODULE`, of which each module has its own.
        static THIS_MODULE: ThisModule =
            unsafe { ThisModule::from_ptr(__this_module.get().cast()) };
        &THIS_MODULE
    }

    /// A full memory barrier between CPUs.
    #[inline(always)]
    pub(crate) fn smp_mb(_: Full) {
        barrier::smp_mb();
    }

    /// A spinlock that is held with interrupts off.  Several of these locks must be released in the reverse
    /// order of their acquisition.
    pub(crate) type SpinLockIrq<T> = Lock<T, Irq>;

    /// The lock backend of [`SpinLockIrq`].
    pub(crate) enum Irq {}

    // SAFETY: This is the kernel's spinlock; it is always taken and released by the same two functions.
    unsafe impl Backend for Irq {
        type State = bindings::spinlock_t;
        /// The saved interrupt flags.
        type GuardState = c_ulong;

        unsafe fn init(
            lock: *mut Self::State,
            name: *const c_char,
            key: *mut bindings::lock_class_key,
        ) {
            // SAFETY: By the caller's promise.
            unsafe { SpinLockBackend::init(lock, name, key) }
        }

        #[inline]
        unsafe fn lock(lock: *mut Self::State) -> c_ulong {
            // SAFETY: By the caller's promise.
            unsafe { bindings::vfio_helper_spin_lock_irqsave(lock) }
        }

        unsafe fn try_lock(_lock: *mut Self::State) -> Option<c_ulong> {
            // No code of this module calls this.
            None
        }

        #[inline]
        unsafe fn unlock(lock: *mut Self::State, flags: &c_ulong) {
            // SAFETY: By the caller's promise; the flags are those of `lock()`.
            unsafe { bindings::vfio_helper_spin_unlock_irqrestore(lock, *flags) }
        }

        unsafe fn assert_is_held(lock: *mut Self::State) {
            // SAFETY: By the caller's promise.
            unsafe { SpinLockBackend::assert_is_held(lock) }
        }
    }

    macro_rules! new_spinlock_irq {
        ($value:expr, $name:literal) => {
            $crate::kapi::series::SpinLockIrq::new(
                $value,
                ::kernel::c_str!($name),
                ::kernel::static_lock_class!(),
            )
        };
    }
    pub(crate) use new_spinlock_irq;

    /// The kernel crate's `global_lock!`, for [`SpinLockIrq`] only, which the crate's macro does not support.
    macro_rules! global_lock {
        (
            $(#[$attribute:meta])*
            $visible:vis unsafe(uninit) static $name:ident: SpinLockIrq<()> = ();
        ) => {
            /// The type of the lock.
            #[allow(clippy::upper_case_acronyms, non_camel_case_types)]
            $visible enum $name {}

            impl ::kernel::sync::GlobalLockBackend for $name {
                const NAME: &'static ::kernel::str::CStr = ::kernel::c_str!(stringify!($name));
                type Item = ();
                type Backend = $crate::kapi::series::Irq;

                fn get_lock_class() -> Pin<&'static ::kernel::sync::LockClassKey> {
                    ::kernel::static_lock_class!()
                }
            }

            $(#[$attribute])*
            $visible static $name: ::kernel::sync::GlobalLock<$name> = {
                // SAFETY: The macro makes one lock of the type `$name`.  `LoadPhase::init()` initialises the
                // lock before use.
                unsafe { ::kernel::sync::GlobalLock::new(()) }
            };
        };
    }
    pub(crate) use global_lock;
}
