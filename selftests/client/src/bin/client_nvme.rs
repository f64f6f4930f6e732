// SPDX-License-Identifier: GPL-2.0-only
//! A client of the rust-vmm crates that drives a disk, an NVMe controller: queues in memory, messages as
//! interrupts, and an answer that says who the device is.

use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{ensure, Result};
use vfio_client::device::{arrives, config_u16, enable, events, quiet, Bar, BAR0};
use vfio_client::ensure_eq;
use vfio_client::space::{open, Ram, Space, PAGE};
use vfio_client::tap::{self, Test};
use vfio_ioctls::{VfioContainer, VfioDevice, VfioIommufd};
use vmm_sys_util::eventfd::EventFd;

/// How long the controller may take to get ready: a hang, not a measure.
const READY: Duration = Duration::from_secs(120);

/// Registers.
const CC: usize = 0x14;
const CSTS: usize = 0x1c;
const AQA: usize = 0x24;
const ASQ: usize = 0x28;
const ACQ: usize = 0x30;
const SUBMISSION_DOORBELL: usize = 0x1000;
const COMPLETION_DOORBELL: usize = 0x1004;

/// Enabled; entries of 64 bytes go in, of 16 bytes come out.
const CC_ENABLE: u32 = (4 << 20) | (6 << 16) | 1;
const IDENTIFY: u32 = 0x06;

/// Where the queues and the data are.
const SUBMISSIONS: u64 = 0x10_0000;
const COMPLETIONS: u64 = 0x20_0000;
const DATA: u64 = 0x30_0000;

/// Entries of a queue.
const ENTRIES: u32 = 8;

/// A controller with its queues of administration.
struct Controller<'a> {
    bar: Bar,
    ram: &'a Ram,
    event: EventFd,
    commands: u32,
}

impl<'a> Controller<'a> {
    fn new(device: &VfioDevice, ram: &'a Ram) -> Result<Self> {
        enable(device);
        let [event] = events()?;
        device.enable_msix(vec![&event])?;
        let controller = Self {
            bar: Bar::new(device, BAR0)?,
            ram,
            event,
            commands: 0,
        };
        let bar = &controller.bar;
        bar.write(CC, 0);
        controller.wait_ready(0)?;
        bar.write(AQA, ((ENTRIES - 1) << 16) | (ENTRIES - 1));
        for (register, address) in [(ASQ, SUBMISSIONS), (ACQ, COMPLETIONS)] {
            bar.write(register, address as u32);
            bar.write(register + 4, (address >> 32) as u32);
        }
        bar.write(CC, CC_ENABLE);
        controller.wait_ready(1)?;
        Ok(controller)
    }

    fn wait_ready(&self, ready: u32) -> Result<()> {
        let start = Instant::now();
        while self.bar.read(CSTS) & 1 != ready {
            ensure!(start.elapsed() < READY, "the controller does not get ready");
            sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Asks the controller who it is, for an answer at an address; returns the status.
    fn identify(&mut self, data: u64) -> Result<u16> {
        let (id, slot) = (self.commands & 0xffff, self.commands % ENTRIES);
        let mut entry = [0_u32; 16];
        entry[0] = IDENTIFY | (id << 16);
        entry[6] = data as u32;
        entry[7] = (data >> 32) as u32;
        entry[10] = 1; // the controller
        let bytes: Vec<u8> = entry.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.ram.write(SUBMISSIONS + u64::from(slot) * 64, &bytes)?;
        ensure!(quiet(&self.event), "an event of nothing");
        self.commands += 1;
        self.bar.write(SUBMISSION_DOORBELL, self.commands % ENTRIES);
        arrives(&self.event)?;

        // The phase says that the entry is of this round.
        let phase = 1 - (id / ENTRIES) % 2;
        let answer = u32::from_le(self.ram.word(COMPLETIONS + u64::from(slot) * 16 + 12)?);
        ensure_eq!([answer & 0xffff, (answer >> 16) & 1], [id, phase]);
        self.bar.write(COMPLETION_DOORBELL, self.commands % ENTRIES);
        Ok((answer >> 17) as u16)
    }
}

/// semantics: 49, 65, 120, 122.  It says the same as its configuration space, round after round of the
/// queues; and not where it may not.
fn identify<S: Space>() -> Result<()> {
    let (space, device) = open::<S>("NVME0")?;
    let queues = Ram::new(&[(SUBMISSIONS, 1), (COMPLETIONS, 1)])?;
    let data = Ram::new(&[(DATA, 1)])?;
    queues.map(&space)?;
    let mut controller = Controller::new(&device, &queues)?;
    for _ in 0..2 * ENTRIES {
        data.write(DATA, &[0xee; PAGE])?;
        data.map(&space)?;
        ensure_eq!(controller.identify(DATA)?, 0);
        let answer = data.read(DATA, PAGE)?;
        ensure_eq!(answer[0..2], config_u16(&device, 0).to_le_bytes());
        let text =
            |at: std::ops::Range<usize>| String::from_utf8_lossy(&answer[at]).trim_end().to_owned();
        ensure_eq!(text(4..24), "rust-vfio");
        ensure_eq!(text(24..64), "QEMU NVMe Ctrl");

        // The controller does not notice, or does not say so.
        data.unmap(&space)?;
        data.write(DATA, &[0xee; PAGE])?;
        controller.identify(DATA)?;
        ensure!(
            data.read(DATA, PAGE)? == [0xee; PAGE],
            "it has written to memory that is unmapped"
        );
    }

    // A reset of the function stops it.
    drop(controller);
    device.reset();
    enable(&device);
    ensure_eq!(Bar::new(&device, BAR0)?.read(CSTS) & 1, 0);
    data.map(&space)?;
    ensure_eq!(Controller::new(&device, &queues)?.identify(DATA)?, 0);
    Ok(())
}

const TESTS: &[Test] = &[
    ("identify", identify::<VfioIommufd>),
    ("identify_by_group", identify::<VfioContainer>),
];

fn main() -> ExitCode {
    tap::run(TESTS)
}
