// SPDX-License-Identifier: GPL-2.0-only

//! A driver's handler is called by a signal, or by who has just begun the subscription.

use crate::kapi::eventfd::{Fresh, Signal};
use crate::shared::virqfd::Callbacks;
use crate::virqfd::Virqfd;

fn case(signal: Signal<'_, Callbacks>, fresh: Fresh<Virqfd>, callbacks: Callbacks) {
    Callbacks::handle(signal.data());
    Callbacks::handle(fresh.data());
    Callbacks::handle(&callbacks); //~ E0308
}
