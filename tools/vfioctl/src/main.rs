// SPDX-License-Identifier: GPL-2.0-only

//! The program: arguments in, exit status out.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use vfioctl::cli::Cli;
use vfioctl::output;

fn main() -> ExitCode {
    match vfioctl::run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            output::note(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
