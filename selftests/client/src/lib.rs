// SPDX-License-Identifier: GPL-2.0-only
//! What the client's programs share: results as TAP, devices by sysfs, the devices of the test VM, and
//! tests.

pub mod cases;
pub mod device;
pub mod space;
pub mod sva;
pub mod sysfs;
pub mod tap;

/// The errno at the root of an error of the rust-vmm crates.
pub fn errno(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    if let Some(error) = error.downcast_ref::<vmm_sys_util::errno::Error>() {
        return Some(error.errno());
    }
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        return error.raw_os_error();
    }
    error.source().and_then(errno)
}

/// Fails the test unless a call failed, with exactly this errno.
#[macro_export]
macro_rules! ensure_errno {
    ($result:expr, $errno:ident) => {
        match $result {
            Ok(_) => anyhow::bail!("{} succeeded", stringify!($result)),
            Err(error) => anyhow::ensure!(
                $crate::errno(&error) == Some(libc::$errno),
                "{}: {error}, instead of {}",
                stringify!($result),
                stringify!($errno)
            ),
        }
    };
}

/// Fails the test, with both values, unless they are equal.
#[macro_export]
macro_rules! ensure_eq {
    ($left:expr, $right:expr) => {
        match (&$left, &$right) {
            (left, right) => anyhow::ensure!(
                left == right,
                "{} is {left:#x?}, {} is {right:#x?}",
                stringify!($left),
                stringify!($right)
            ),
        }
    };
}
