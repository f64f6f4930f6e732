// SPDX-License-Identifier: GPL-2.0-only

//! What is printed: tables and lines for a reader, JSON for a program.

use std::io::{ErrorKind, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use tabled::builder::Builder;
use tabled::settings::{object::Columns, Padding, Style as TableStyle};

use crate::bind::{Action, Report};
use crate::core::Core;
use crate::device::Device;
use crate::doctor::{Finding, Verdict};
use crate::error::{Error, Result};
use crate::group::Group;
use crate::holders::Holder;
use crate::why::Reason;

const BOLD: Style = Style::new().bold();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default().bold();

fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints all of it; who does not read on (a pipe to head) is no error.
pub fn print(text: &str) -> Result<()> {
    // Colours are dropped where no terminal shows them.
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

/// A line for the person, beside the output.
pub fn note(text: &str) {
    // Nobody is left to tell if that fails.
    let _ = writeln!(anstream::stderr(), "vfioctl: {}", clean(text));
}

pub fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::Output(error.into()))?;
    print(&format!("{text}\n"))
}

/// A device with all that list knows of it.
#[derive(Serialize)]
pub struct Listed {
    #[serde(flatten)]
    pub device: Device,
    pub group: Option<ListedGroup>,
    pub holders: Vec<Holder>,
    /// Do the holders say whether they have it bound?
    pub holders_complete: bool,
}

#[derive(Serialize)]
pub struct ListedGroup {
    #[serde(flatten)]
    pub group: Group,
    pub others: Vec<Member>,
    /// Those who have the group's own file open.
    pub holders: Vec<Holder>,
}

#[derive(Serialize)]
pub struct Member {
    pub address: String,
    pub driver: Option<String>,
    pub bridge: bool,
}

#[derive(Serialize)]
pub struct List {
    pub core: Core,
    pub devices: Vec<Listed>,
    /// What could not be seen for want of rights.
    pub unseen: Vec<String>,
}

const NONE: &str = "-";

fn join(words: impl IntoIterator<Item = String>, between: &str) -> String {
    let text = words.into_iter().collect::<Vec<_>>().join(between);
    if text.is_empty() {
        NONE.into()
    } else {
        text
    }
}

fn open_by(listed: &Listed) -> impl Iterator<Item = &Holder> {
    listed
        .holders
        .iter()
        .chain(listed.group.iter().flat_map(|group| &group.holders))
}

fn driver_of(driver: Option<&str>, vfio: bool) -> String {
    match driver {
        Some(name) if vfio => styled(GREEN, name),
        Some(name) => name.to_owned(),
        None => NONE.into(),
    }
}

/// One row a device.
pub fn table(list: &List) -> String {
    if list.devices.is_empty() {
        return String::new();
    }
    let mut builder = Builder::default();
    builder.push_record(
        ["ADDRESS", "DRIVER", "GROUP", "NODE", "OPEN BY", "NAME"].map(|title| styled(BOLD, title)),
    );
    for listed in &list.devices {
        let device = &listed.device;
        let mut holders: Vec<String> = open_by(listed)
            .map(|h| clean(&format!("{} ({})", h.name, h.pid)))
            .collect();
        holders.dedup();
        builder.push_record([
            device.address.to_string(),
            driver_of(device.driver.as_deref(), device.vfio),
            join(device.group.map(|id| id.to_string()), ""),
            join(
                device.vfio_name.clone().filter(|_| device.node.is_some()),
                "",
            ),
            join(holders, ", "),
            join(device.name.clone(), ""),
        ]);
    }
    let mut table = builder.build();
    table
        .with(TableStyle::blank())
        .with(Padding::new(0, 1, 0, 0))
        .modify(Columns::first(), Padding::new(0, 1, 0, 0));
    let text = table.to_string();
    let rows = lines(text.lines().map(|line| line.trim_end().to_owned()));
    format!("{rows}core: {}\n", list.core)
}

/// Each with its end of line.
fn lines(rows: impl IntoIterator<Item = String>) -> String {
    let mut text = String::new();
    for row in rows {
        text.push_str(&row);
        text.push('\n');
    }
    text
}

/// Names of processes, mount points and the like may hold anything; a terminal shall not obey them.
fn clean(text: &str) -> String {
    let printable = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(printable).collect()
}

/// One paragraph a device, as lspci -v has it.
pub fn details(list: &List) -> String {
    let mut text: String = list.devices.iter().map(paragraph).collect();
    if !text.is_empty() {
        text.push_str(&format!("core: {}\n", list.core));
    }
    text
}

fn paragraph(listed: &Listed) -> String {
    let device = &listed.device;
    let name = device.name.as_deref().unwrap_or_default();
    let mut text = format!("{} {name}\n", styled(BOLD, &device.address.to_string()));
    let mut line = |name: &str, value: &str| text.push_str(&format!("        {name}: {value}\n"));
    line("driver", &driver_of(device.driver.as_deref(), device.vfio));
    line("node", device.node.as_deref().unwrap_or(NONE));
    line("IOMMU", device.iommu.as_deref().unwrap_or(NONE));
    let group = listed.group.as_ref();
    let about = |found: &ListedGroup| {
        let name = found.group.name.as_ref().map(|name| format!(" ({name})"));
        let node = found.group.node.as_ref().map(|node| format!(", {node}"));
        format!(
            "{}{}{}",
            found.group.id,
            name.unwrap_or_default(),
            node.unwrap_or_default()
        )
    };
    line("group", &group.map_or(NONE.into(), about));
    for other in group.iter().flat_map(|found| &found.others) {
        let bridge = if other.bridge { ", a bridge" } else { "" };
        let driver = other.driver.as_deref().unwrap_or(NONE);
        line(
            "in the group",
            &format!("{}, driver {driver}{bridge}", other.address),
        );
    }
    line("reset", &join(device.reset_methods.iter().cloned(), " "));
    for holder in open_by(listed) {
        line("open by", &clean(&holder.describe()));
    }
    text
}

pub fn findings(findings: &[Finding]) -> String {
    lines(findings.iter().map(|finding| {
        let (style, word) = match finding.verdict {
            Verdict::Ok => (GREEN, "ok  "),
            Verdict::Warn => (YELLOW, "warn"),
            Verdict::Fail => (RED, "fail"),
        };
        let remedy = finding.remedy.as_ref().map(|text| format!("; {text}"));
        let text = format!("{}{}", finding.what, remedy.unwrap_or_default());
        format!("{} {}: {}", styled(style, word), finding.name, clean(&text))
    }))
}

pub fn reasons(reasons: &[Reason]) -> String {
    lines(reasons.iter().map(|reason| {
        let text = format!("{}; {}", reason.what, reason.remedy);
        format!("{}: {}", styled(YELLOW, reason.kind), clean(&text))
    }))
}

/// As commands of a shell, which they would be.
pub fn actions(report: &Report) -> String {
    lines(report.actions.iter().map(|action| match action {
        Action::Write { path, value } if value.is_empty() => format!("echo '' >{path}"),
        Action::Write { path, value } => format!("echo {value} >{path}"),
        Action::Load { modprobe } => format!("modprobe {modprobe}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{9b}é"), "a?[31mb?c?é");
        let reason = Reason {
            kind: "holder",
            what: "\u{1b}]0;x\u{7}".into(),
            remedy: String::new(),
            holder: None,
            refusal: None,
        };
        assert!(reasons(&[reason]).ends_with(": ?]0;x?; \n"));
    }
}
