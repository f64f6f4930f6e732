// SPDX-License-Identifier: GPL-2.0-only

//! Tests of the module's pure logic.  The sources are the module's own, by path.

#![cfg(test)]
#![allow(dead_code)]
// The module's sources are judged by the kernel's settings (make clippy).
#![allow(clippy::precedence)]

#[path = "../../../rust/info_cap.rs"]
mod info_cap;
#[path = "../../../rust/irqs.rs"]
mod irqs;
#[path = "../../../rust/migration.rs"]
mod migration;
#[path = "../../../rust/ranges.rs"]
mod ranges;
#[path = "../../../rust/tally.rs"]
mod tally;

mod irqs_grid;
mod properties;
