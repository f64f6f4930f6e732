// SPDX-License-Identifier: GPL-2.0-only
//! A sequence as a C program, which makes the same calls and compares their results (`replay.h`).

use std::fmt;

use crate::memory::Kind;
use crate::sys::{self, Call};

/// What a call must return in the program.
#[derive(Clone, Copy)]
pub enum Want {
    This(i64),
    /// Any descriptor.
    Fd,
    /// The cores differ here: anything.
    Any,
}

impl Want {
    /// What a call that returns a descriptor must return again.
    pub fn fd(result: i64) -> Self {
        match result {
            0.. => Self::Fd,
            errno => Self::This(errno),
        }
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::This(result) => match sys::show(result) {
                errno if errno.starts_with("-E") => f.write_str(&errno),
                _ => f.write_str(&number(result as u64)),
            },
            Self::Fd => f.write_str("FD"),
            Self::Any => f.write_str("ANY"),
        }
    }
}

/// An argument in memory: its bytes before the call, and how they lie.
pub struct Argument<'a> {
    pub bytes: &'a [u8],
    pub kind: Kind,
}

/// The statements of the program.
#[derive(Default)]
pub struct Program {
    /// They are wanted.
    pub is_on: bool,
    pub statements: Vec<String>,
}

impl Program {
    pub fn add(&mut self, statement: impl FnOnce() -> String) {
        if self.is_on {
            self.statements.push(statement());
        }
    }

    /// An operation begins.
    pub fn operation(&mut self, number: u64, name: &str) {
        // Of one that has done nothing only the comment is there.
        if self.statements.last().is_some_and(|s| s.starts_with("/*")) {
            self.statements.pop();
        }
        self.add(|| format!("/* {number} {name} */"));
    }

    pub fn call(&mut self, process: usize, call: &Call, argument: Option<&Argument>, want: Want) {
        self.add(|| {
            let mut args: Vec<_> = call.args.iter().map(|&a| number(a)).collect();
            if let Some(Argument { bytes, kind }) = argument {
                let index = match call.nr.into() {
                    libc::SYS_ioctl => 2,
                    _ => 1,
                };
                args[index] = place(bytes, *kind);
            }
            while args.len() > 1 && args.last().is_some_and(|a| a == "0") {
                args.pop();
            }
            let nr = match call.nr.into() {
                libc::SYS_ioctl => "SYS_ioctl",
                libc::SYS_openat => "SYS_openat",
                libc::SYS_close => "SYS_close",
                libc::SYS_dup2 => "SYS_dup2",
                libc::SYS_pread64 => "SYS_pread64",
                libc::SYS_pwrite64 => "SYS_pwrite64",
                libc::SYS_mmap => "SYS_mmap",
                libc::SYS_eventfd2 => "SYS_eventfd2",
                libc::SYS_lseek => "SYS_lseek",
                libc::SYS_read => "SYS_read",
                libc::SYS_fcntl => "SYS_fcntl",
                libc::SYS_fsync => "SYS_fsync",
                libc::SYS_ftruncate => "SYS_ftruncate",
                nr => unreachable!("the fuzzer makes no call {nr}"),
            };
            let compat = call.compat;
            format!(
                "CALL({want}, {process}, {compat}, {nr}, {});",
                args.join(", ")
            )
        });
    }

    /// Prints the statements for the host.
    pub fn print(&self) {
        for statement in &self.statements {
            println!("statement {statement}");
        }
    }

    /// The bytes of the last argument after its call.
    pub fn out(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.add(|| format!("OUT({});", literal(bytes)));
        }
    }
}

/// A number, as people read it.
fn number(n: u64) -> String {
    match n {
        0..1000 => n.to_string(),
        _ => format!("{n:#x}"),
    }
}

fn place(bytes: &[u8], kind: Kind) -> String {
    let (kind, missing) = match kind {
        Kind::Whole => ("WHOLE", 0),
        Kind::Cut(missing) => ("WHOLE", missing),
        Kind::ReadOnly => ("READ_ONLY", 0),
        Kind::Missing => ("MISSING", 0),
        Kind::Late => ("LATE", 0),
    };
    format!("PLACE({kind}, {missing}, {})", literal(bytes))
}

/// Bytes as a string of C.
fn literal(bytes: &[u8]) -> String {
    let text = bytes
        .iter()
        .fold(String::new(), |text, b| text + &format!("\\x{b:02x}"));
    format!("\"{text}\"")
}
