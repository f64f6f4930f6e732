// SPDX-License-Identifier: GPL-2.0-only

//! vfioctl: devices that VFIO has or could have, who uses them, what is in the way.

#![forbid(unsafe_code)]

pub mod access;
pub mod address;
pub mod bind;
pub mod cli;
pub mod core;
pub mod device;
pub mod doctor;
pub mod error;
pub mod group;
pub mod holders;
pub mod in_use;
pub mod klog;
pub mod modules;
pub mod output;
pub mod routes;
pub mod state;
pub mod sysfs;
#[cfg(test)]
mod tree;
pub mod why;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::address::Address;
use crate::bind::{How, Report};
use crate::cli::{Cli, Command};
use crate::core::Core;
use crate::device::Device;
use crate::doctor::Verdict;
use crate::error::{Error, Result};
use crate::group::Group;
use crate::holders::Files;
use crate::output::{List, Listed, ListedGroup, Member};
use crate::sysfs::Sysfs;

/// Does what the command line says.  Is all well?
pub fn run(cli: &Cli) -> Result<bool> {
    let sys = Sysfs::new(cli.sysroot.as_deref());
    match &cli.command {
        Command::List {
            addresses,
            all,
            verbose,
        } => list(&sys, cli, addresses, *all, *verbose),
        Command::Bind { target, driver } => {
            let how = how(&target.how);
            changed(
                cli,
                &bind::bind(&sys, &target.addresses, driver.as_deref(), how)?,
            )
        }
        Command::Unbind { target } => changed(
            cli,
            &bind::unbind(&sys, &target.addresses, how(&target.how))?,
        ),
        Command::Restore {
            addresses,
            how: change,
            ..
        } => changed(cli, &bind::restore(&sys, addresses, how(change))?),
        Command::Why { address } => why(&sys, cli, address),
        Command::Doctor => doctor(&sys, cli),
    }
}

fn how(change: &cli::Change) -> How {
    How {
        dry_run: change.dry_run,
        force: change.force,
    }
}

fn changed(cli: &Cli, report: &Report) -> Result<bool> {
    for note in &report.notes {
        output::note(note);
    }
    if cli.json {
        output::json(report)?;
    } else if report.dry_run {
        output::print(&output::actions(report))?;
    }
    Ok(true)
}

/// Says what could not be seen, where the output itself does not.
fn say_unseen(sys: &Sysfs, cli: &Cli) {
    let unseen = sys.unseen();
    if !cli.json && !unseen.is_empty() {
        output::note(&format!(
            "not seen, for want of rights (run it as root): {}",
            unseen.join(", ")
        ));
    }
}

fn listed(sys: &Sysfs, files: &Files, core: Core, device: Device) -> Listed {
    let holders = files.of_device(sys, core, &device);
    Listed {
        holders_complete: !files.partial && holders.iter().all(|holder| holder.bound.is_some()),
        group: Group::of(sys, &device).map(|group| ListedGroup {
            holders: files.of_group(&group),
            others: group
                .members
                .iter()
                .filter(|member| member.address != device.address)
                .map(|member| Member {
                    address: member.address.to_string(),
                    driver: member.driver.clone(),
                    bridge: member.is_bridge(),
                })
                .collect(),
            group,
        }),
        holders,
        device,
    }
}

fn list(sys: &Sysfs, cli: &Cli, addresses: &[Address], all: bool, verbose: bool) -> Result<bool> {
    let mut missing = Vec::new();
    let devices: Vec<Device> = if addresses.is_empty() {
        let every = Device::all(sys);
        let groups: BTreeSet<u32> = every
            .iter()
            .filter(|d| d.vfio)
            .filter_map(|d| d.group)
            .collect();
        every
            .into_iter()
            .filter(|d| all || d.group.is_some_and(|id| groups.contains(&id)))
            .collect()
    } else {
        addresses
            .iter()
            .filter_map(|address| {
                let found = Device::find(sys, address);
                if found.is_none() {
                    missing.push(Error::NoDevice(address.clone()));
                }
                found
            })
            .collect()
    };
    let core = Core::loaded(sys);
    let files = Files::read(sys);
    let devices = devices
        .into_iter()
        .map(|device| listed(sys, &files, core, device))
        .collect();
    let list = List {
        core,
        devices,
        unseen: sys.unseen(),
    };
    if cli.json {
        output::json(&list)?;
    } else if verbose || !addresses.is_empty() {
        output::print(&output::details(&list))?;
    } else {
        output::print(&output::table(&list))?;
    }
    say_unseen(sys, cli);
    for error in &missing {
        output::note(&error.to_string());
    }
    Ok(missing.is_empty())
}

#[derive(Serialize)]
struct Why<'a> {
    address: &'a Address,
    reasons: Vec<why::Reason>,
    unseen: Vec<String>,
}

fn why(sys: &Sysfs, cli: &Cli, address: &Address) -> Result<bool> {
    let reasons = why::reasons(sys, address)?;
    let is_free = reasons.is_empty();
    if cli.json {
        output::json(&Why {
            address,
            reasons,
            unseen: sys.unseen(),
        })?;
    } else {
        output::print(&output::reasons(&reasons))?;
    }
    say_unseen(sys, cli);
    Ok(is_free)
}

#[derive(Serialize)]
struct Doctor {
    findings: Vec<doctor::Finding>,
    unseen: Vec<String>,
}

fn doctor(sys: &Sysfs, cli: &Cli) -> Result<bool> {
    let findings = doctor::findings(sys);
    let is_well = findings
        .iter()
        .all(|finding| finding.verdict != Verdict::Fail);
    if cli.json {
        output::json(&Doctor {
            findings,
            unseen: sys.unseen(),
        })?;
    } else {
        output::print(&output::findings(&findings))?;
    }
    say_unseen(sys, cli);
    Ok(is_well)
}
