// SPDX-License-Identifier: GPL-2.0-only

//! Bugs on purpose, one for each debugging tool of the debug kernel and for CFI, so that a test run shows that
//! the tools see Rust code and that the log scanner sees the tools. Never load it elsewhere.
//!
//! `insmod planted.ko bug=N`: 1 a function that sleeps called under a spin lock, 2 an allocation
//! that nobody frees, 3 a read after free, 4 two mutexes taken in both orders, 5 a function called
//! by a pointer to another type, 6 the same from C.

use kernel::bindings;
use kernel::ffi::c_int;
use kernel::new_mutex;
use kernel::new_spinlock;
use kernel::prelude::*;
use kernel::sync::{Mutex, SpinLock};

module! {
    type: Planted,
    name: "planted",
    authors: ["The rust-vfio developers"],
    description: "Bugs on purpose, to test the debugging tools",
    license: "GPL",
    params: {
        bug: i32 {
            default: 0,
            description: "Which bug (1 to 6)",
        },
    },
}

struct Planted;

#[pin_data]
struct Locks {
    #[pin]
    first: Mutex<u32>,
    #[pin]
    second: Mutex<u32>,
    #[pin]
    spinning: SpinLock<u32>,
}

impl Locks {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            first <- new_mutex!(1, "planted_first"),
            second <- new_mutex!(2, "planted_second"),
            spinning <- new_spinlock!(3, "planted_spinning"),
        })
    }
}

/// An allocation that may sleep, under a spin lock.
#[inline(never)]
fn planted_sleep_in_atomic(locks: &Locks) -> Result {
    let guard = locks.spinning.lock();
    let value = KBox::new(*guard, GFP_KERNEL)?;
    pr_info!("allocated {} under a spin lock\n", *value);
    Ok(())
}

/// Allocations whose addresses are forgotten. Many, for the allocator's own caches remember the last
/// ones, and kmemleak takes that for a reference.
#[inline(never)]
fn planted_leak() -> Result {
    for i in 0..1000u64 {
        core::mem::forget(KBox::new([i; 16], GFP_KERNEL)?);
    }
    Ok(())
}

/// A read through a pointer to what was freed.
#[inline(never)]
fn planted_use_after_free() -> Result {
    let value = KBox::new([42u64; 8], GFP_KERNEL)?;
    let pointer = KBox::into_raw(value);
    // SAFETY: `pointer` came from `KBox::into_raw()`, and nobody else has it.
    drop(unsafe { KBox::from_raw(pointer) });
    // SAFETY: None. This is the bug; KASAN keeps freed memory in quarantine.
    let stale = unsafe { pointer.cast::<u64>().read_volatile() };
    pr_info!("read {} after its end\n", stale);
    Ok(())
}

/// Two mutexes in one order, then in the other.
#[inline(never)]
fn planted_inversion(locks: &Locks) {
    {
        let first = locks.first.lock();
        let second = locks.second.lock();
        pr_info!("locked {} {}\n", *first, *second);
    }
    let second = locks.second.lock();
    let first = locks.first.lock();
    pr_info!("locked {} {}\n", *second, *first);
}

/// A function that nobody may call through a pointer to a function of another type.
extern "C" fn planted_callee(number: u64) -> c_int {
    pr_info!("called with {:#x}\n", number);
    0
}

/// A pointer to another type, called.
#[inline(never)]
fn planted_call() -> Result {
    let right: extern "C" fn(u64) -> c_int = planted_callee;
    // SAFETY: None. This is the bug, harmless but for CFI: the argument fits.
    let wrong: extern "C" fn(u32) -> c_int = unsafe { core::mem::transmute(right) };
    if core::hint::black_box(wrong)(1) != 0 {
        return Err(EIO);
    }
    Ok(())
}

/// The same for C to call.
#[inline(never)]
fn planted_callback() -> Result {
    let right: extern "C" fn(u64) -> c_int = planted_callee;
    // SAFETY: None. This is the bug; it does no harm either, for one register holds the argument.
    let wrong: bindings::device_iter_t = Some(unsafe { core::mem::transmute(right) });
    // SAFETY: The bus is there for good, and the callback takes whatever data.
    kernel::error::to_result(unsafe {
        bindings::bus_for_each_dev(
            &raw const bindings::platform_bus_type,
            core::ptr::null_mut(),
            core::ptr::null_mut(),
            wrong,
        )
    })
}

impl kernel::Module for Planted {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let locks = KBox::pin_init(Locks::new(), GFP_KERNEL)?;
        match module_parameters::bug.value() {
            1 => planted_sleep_in_atomic(&locks)?,
            2 => planted_leak()?,
            3 => planted_use_after_free()?,
            4 => planted_inversion(&locks),
            5 => planted_call()?,
            6 => planted_callback()?,
            _ => return Err(EINVAL),
        }
        Ok(Planted)
    }
}
