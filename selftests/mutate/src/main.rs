// SPDX-License-Identifier: GPL-2.0-only
//! Finds mutants of Rust sources: `mutate FILE...` prints each as a line of JSON.
//!
//! A mutant replaces one piece of the source, which has no meaning for the compiler that a type could check in every
//! case: a check is dropped, an errno is another one, an undo is left out, a reference is leaked, a lock is released
//! early, an order of memory accesses is relaxed, a number is one off.  Tests in the sources are left alone.

mod rules;

use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;
use syn::visit::Visit;

/// One change.  Lines count from 1, columns from 0, in characters.
#[derive(Serialize)]
pub struct Mutant {
    pub file: String,
    pub rule: &'static str,
    pub line: usize,
    /// The bytes of the file that are replaced.
    pub start: usize,
    pub end: usize,
    pub before: String,
    pub after: String,
}

fn main() -> Result<()> {
    for file in std::env::args().skip(1) {
        let text = fs::read_to_string(&file).with_context(|| file.clone())?;
        let syntax = syn::parse_file(&text).with_context(|| file.clone())?;
        let mut finder = rules::Finder::new(&file, &text);
        finder.visit_file(&syntax);
        finder
            .mutants
            .sort_by_key(|mutant| (mutant.start, mutant.rule));
        for mutant in finder.mutants {
            println!("{}", serde_json::to_string(&mutant)?);
        }
    }
    Ok(())
}
