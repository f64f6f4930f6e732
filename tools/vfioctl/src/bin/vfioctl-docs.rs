// SPDX-License-Identifier: GPL-2.0-only

//! vfioctl-docs FOLDER: writes the man pages and the completions of vfioctl, as they lie below /usr/share.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs::{create_dir_all, write};
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::{generate_to, Shell};
use clap_mangen::roff::{bold, roman, Roff};
use vfioctl::cli::{examples, Cli};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(
        std::env::args_os()
            .nth(1)
            .ok_or("usage: vfioctl-docs FOLDER")?,
    );
    let man = folder.join("man/man8");
    create_dir_all(&man)?;
    let mut command = Cli::command();
    command.build();
    page(&command, "vfioctl", &man)?;
    for sub in command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
    {
        page(sub, &format!("vfioctl-{}", sub.get_name()), &man)?;
    }
    for (shell, place, name) in [
        (Shell::Bash, "bash-completion/completions", "vfioctl"),
        (Shell::Zsh, "zsh/vendor-completions", "_vfioctl"),
        (Shell::Fish, "fish/vendor_completions.d", "vfioctl.fish"),
    ] {
        let place = folder.join(place);
        create_dir_all(&place)?;
        let made = generate_to(shell, &mut Cli::command(), "vfioctl", &place)?;
        std::fs::rename(made, place.join(name))?;
    }
    Ok(())
}

fn page(
    command: &clap::Command,
    name: &str,
    folder: &std::path::Path,
) -> Result<(), Box<dyn Error>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone().disable_help_subcommand(true))
        .title(name.to_uppercase())
        .section("8")
        .render(&mut text)?;
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    for (line, what) in examples(command.get_name()) {
        roff.control("TP", []);
        roff.text([bold(*line)]);
        roff.text([roman(*what)]);
    }
    roff.to_writer(&mut text)?;
    write(folder.join(format!("{name}.8")), text)?;
    Ok(())
}
