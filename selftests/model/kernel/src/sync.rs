// SPDX-License-Identifier: GPL-2.0-only

//! Locks and references, on those of loom.

mod arc;
pub mod aref;
pub mod atomic;
mod completion;
pub mod lock;
mod monitor;
mod set_once;

pub use crate::global_lock;
pub use arc::{Arc, ArcBorrow};
pub use completion::Completion;
pub use lock::{expect_alive, GlobalLock, Mutex, SpinLock};
pub use monitor::Monitor;
pub use set_once::SetOnce;
