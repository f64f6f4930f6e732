// SPDX-License-Identifier: GPL-2.0-only
//! Runs tests one after the other and prints TAP.

use std::fmt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};

/// A test: its name, and what it does.
pub type Test = (&'static str, fn() -> anyhow::Result<()>);

/// The error of a test that has nothing to test here.
#[derive(Debug)]
pub struct Skip(pub String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

/// The crates tell some errors to the log alone, so a test fails if they logged anything that it did
/// not ask for.
struct Complaints(Mutex<Vec<String>>);

static COMPLAINTS: Complaints = Complaints(Mutex::new(Vec::new()));

impl Log for Complaints {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

/// Takes what the crates have logged so far.
pub fn complaints() -> Vec<String> {
    std::mem::take(&mut *COMPLAINTS.0.lock().unwrap())
}

fn verdict(run: fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    // The crates unwrap in Drop.  What the panic has to say goes to stderr.
    let result =
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(anyhow::anyhow!("panicked")));
    let said = complaints();
    match result {
        Ok(()) if !said.is_empty() => Err(anyhow::anyhow!("logged: {}", said.join("; "))),
        result => result,
    }
}

/// Runs all and returns what the program shall end with.
pub fn run(tests: &[Test]) -> ExitCode {
    log::set_logger(&COMPLAINTS).expect("there is one logger");
    log::set_max_level(LevelFilter::Warn);
    println!("TAP version 13\n1..{}", tests.len());
    let mut failed = false;
    for (number, (name, run)) in (1..).zip(tests) {
        match verdict(*run) {
            Ok(()) => println!("ok {number} {name}"),
            Err(error) if error.is::<Skip>() => println!("ok {number} {name} # SKIP {error}"),
            Err(error) => {
                failed = true;
                for line in format!("{error:#}").lines() {
                    println!("# {line}");
                }
                println!("not ok {number} {name}");
            }
        }
    }
    ExitCode::from(u8::from(failed))
}
