// SPDX-License-Identifier: GPL-2.0-only
//! What a sequence did: a digest of all results, which is equal on both cores, and on demand each call.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};

use crate::program::{Argument, Program, Want};
use crate::sys::{show, Call};

#[derive(Default)]
pub struct Trace {
    hasher: DefaultHasher,
    /// Calls are printed.
    pub verbose: bool,
    /// Of each operation, the tries and the successes.
    pub shares: BTreeMap<&'static str, (u64, u64)>,
    /// How often each rule for a documented difference came in, by the result.
    pub rules: BTreeMap<(&'static str, i64), u64>,
    pub calls: u64,
    pub program: Program,
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, b| text + &format!("{b:02x}"))
}

impl Trace {
    pub fn restart(&mut self) {
        self.hasher = DefaultHasher::new();
    }

    pub fn digest(&self) -> u64 {
        self.hasher.finish()
    }

    /// Records what both cores must do alike.
    pub fn result(&mut self, name: &str, result: i64, out: &[u8]) {
        self.hasher.write(name.as_bytes());
        self.hasher.write_i64(result);
        self.hasher.write(out);
        if self.verbose {
            println!("  {name} = {} {}", show(result), hex(out));
        }
    }

    /// Records a call for people, and what it must return for the C program.
    pub fn call(
        &mut self,
        process: usize,
        call: &Call,
        argument: Option<Argument>,
        result: i64,
        want: Want,
    ) {
        self.calls += 1;
        self.program.call(process, call, argument.as_ref(), want);
        if !self.verbose {
            return;
        }
        let args = call.args.map(|a| format!("{a:#x}")).join(", ");
        let compat = if call.compat != 0 { ", 32 bits" } else { "" };
        print!("  [{process}{compat}] {}({args})", call.nr);
        if let Some(Argument { bytes, kind }) = argument {
            print!(" {kind:?} {{{}}}", hex(bytes));
        }
        println!(" = {}", show(result));
    }

    pub fn count(&mut self, name: &'static str, result: i64) {
        let share = self.shares.entry(name).or_default();
        share.0 += 1;
        share.1 += u64::from(result >= 0);
    }

    pub fn rule(&mut self, name: &'static str, result: i64) {
        *self.rules.entry((name, result)).or_default() += 1;
    }
}
