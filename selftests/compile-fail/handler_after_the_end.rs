// SPDX-License-Identifier: GPL-2.0-only

//! A driver's handler is called by a signal, or by who has just begun the subscription.

use crate::kapi::eventfd::{Callbacks, Fresh, Signal};
use crate::virqfd::Virqfd;

fn case(signal: Signal<'_>, fresh: Fresh<Virqfd>, callbacks: Callbacks) {
    signal.handle();
    fresh.handle();
    callbacks.handle(); //~ E0624
}
