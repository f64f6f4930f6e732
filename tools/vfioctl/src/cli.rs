// SPDX-License-Identifier: GPL-2.0-only

//! The command line.  The man page and the completions are made of this, too.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::address::{Address, NotAnAddress};

/// Only what is well formed: clap would also take the names that sysfs has.
fn address(word: &str) -> Result<Address, NotAnAddress> {
    word.parse()
}

/// Show, bind and diagnose devices that VFIO gives to user space
///
/// ADDRESS is that of a PCI device, short (00:03.0) or with its domain (0000:00:03.0), or the UUID of a mediated
/// device.
///
/// list, why and doctor change nothing, open no device and wake none.  What they may not see they say.
#[derive(Parser, Debug)]
#[command(name = "vfioctl", version, arg_required_else_help = true, after_help = AFTER)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// A made-up machine, for tests
    #[arg(long, global = true, hide = true, value_name = "FOLDER")]
    pub sysroot: Option<PathBuf>,
}

const AFTER: &str = "Exit status: 0 if all is well, 1 if something failed (why: if something is in the way; doctor: \
if a line says fail), 2 if the command line is wrong.";

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Show devices: driver, group, node, who has them open
    ///
    /// Without an address: the devices that VFIO drivers have, and those in their groups, one a line.  With
    /// addresses: all that is known of these.
    List {
        /// Devices; none: those of VFIO drivers
        #[arg(value_name = "ADDRESS", value_parser = address)]
        addresses: Vec<Address>,
        /// Every device that has an IOMMU group
        #[arg(long, short)]
        all: bool,
        /// All that is known of each device
        #[arg(long, short)]
        verbose: bool,
    },
    /// Give devices, with all endpoints of their groups, to a VFIO driver
    ///
    /// What the devices were is noted in /run/vfioctl, for restore.  If one device of a group cannot be bound, all
    /// are given back.  A device that the machine stands on is refused: a disk with a mounted file system or swap,
    /// or with LVM, RAID or encryption on it; the network interface of a default route; the console's GPU.
    Bind {
        #[command(flatten)]
        target: Target,
        /// The driver, or its module, which is loaded if it is missing; vfio-pci without this option
        #[arg(long, short, value_name = "DRIVER")]
        driver: Option<String>,
    },
    /// Take devices, with their groups, from VFIO drivers; leave them without a driver
    Unbind {
        #[command(flatten)]
        target: Target,
    },
    /// Give devices, with their groups, back to the drivers that they had before bind
    Restore {
        /// Devices, each of which stands for its group
        #[arg(value_name = "ADDRESS", value_parser = address, required_unless_present = "all")]
        addresses: Vec<Address>,
        /// All devices that vfioctl has bound
        #[arg(long, short, conflicts_with = "addresses")]
        all: bool,
        #[command(flatten)]
        how: Change,
    },
    /// Say what is in the way of using a device, one reason a line
    Why {
        /// The device
        #[arg(value_name = "ADDRESS", value_parser = address)]
        address: Address,
    },
    /// Look for what VFIO needs of the machine
    Doctor,
}

#[derive(Args, Debug)]
pub struct Target {
    /// Devices, each of which stands for its group
    #[arg(value_name = "ADDRESS", value_parser = address, required = true)]
    pub addresses: Vec<Address>,
    #[command(flatten)]
    pub how: Change,
}

#[derive(Args, Debug)]
pub struct Change {
    /// Print what would be written where, and do nothing
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Take what is in use, too
    #[arg(long)]
    pub force: bool,
}

/// An example of a man page: what is typed, and what for.
pub type Example = (&'static str, &'static str);

/// The examples of the man page of a command, or of the program itself ("vfioctl").  Done in this order, page by
/// page, they work on a machine where a driver has 02:00.0.
pub fn examples(command: &str) -> &'static [Example] {
    match command {
        "vfioctl" => &[
            ("vfioctl doctor", "Is the machine ready for VFIO?"),
            (
                "vfioctl why 02:00.0",
                "What keeps a virtual machine from having this device?",
            ),
            (
                "vfioctl bind 02:00.0",
                "Give it, and all devices of its group, to vfio-pci.",
            ),
            (
                "vfioctl list",
                "See which devices VFIO has, and who has them open.",
            ),
            (
                "vfioctl restore 02:00.0",
                "Give the group back to the drivers that it had.",
            ),
        ],
        "list" => &[
            (
                "vfioctl list --all",
                "Every device that has an IOMMU group, one a line.",
            ),
            ("vfioctl list 02:00.0", "All that is known of one device."),
            ("vfioctl list --all --json", "The same for a script."),
        ],
        "bind" => &[
            (
                "vfioctl bind --dry-run 02:00.0",
                "Print what would be written where.",
            ),
            (
                "vfioctl bind 02:00.0",
                "Give the device and its group to vfio-pci.",
            ),
            (
                "vfioctl bind --driver vfio-pci 0000:00:04.0 00:05.0",
                "Two groups at once, by a named driver.",
            ),
        ],
        "unbind" => &[(
            "vfioctl unbind 02:00.0",
            "Take the group from VFIO; no driver has it then.",
        )],
        "restore" => &[
            (
                "vfioctl restore 02:00.0",
                "Give the group back to the drivers that it had.",
            ),
            (
                "vfioctl restore --all",
                "Give back all that was bound since the machine was started.",
            ),
        ],
        "why" => &[
            (
                "vfioctl why 02:00.0",
                "One reason a line; none if nothing is in the way.",
            ),
            ("vfioctl why --json 02:00.0", "The same for a script."),
        ],
        "doctor" => &[("vfioctl doctor", "One line for each thing that VFIO needs.")],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_command_has_examples() {
        let command = Cli::command();
        let names = command.get_subcommands().map(clap::Command::get_name);
        for name in names.chain(["vfioctl"]).filter(|name| *name != "help") {
            assert!(!examples(name).is_empty(), "{name}");
            for (line, _) in examples(name) {
                assert!(
                    Cli::try_parse_from(line.split_whitespace()).is_ok(),
                    "{line}"
                );
                assert!(name == "vfioctl" || line.contains(name), "{line}");
            }
        }
    }

    #[test]
    fn well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn usage() {
        for line in [
            "",
            "list xyz",
            "bind",
            "bind 00:20.0",
            "why",
            "why 1 2",
            "restore",
            "restore --all 00:03.0",
            "frob",
            "list --no",
        ] {
            let words = std::iter::once("vfioctl").chain(line.split_whitespace());
            let code = Cli::try_parse_from(words)
                .map(|_| 0)
                .unwrap_or_else(|error| error.exit_code());
            assert_eq!(code, 2, "{line}");
        }
        for line in [
            "list",
            "list --all --json 00:03.0",
            "bind -n 00:03.0 0000:00:04.0",
            "restore --all",
            "--json doctor",
        ] {
            assert!(
                Cli::try_parse_from(std::iter::once("vfioctl").chain(line.split_whitespace()))
                    .is_ok(),
                "{line}"
            );
        }
    }
}
