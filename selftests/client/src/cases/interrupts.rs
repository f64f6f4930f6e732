// SPDX-License-Identifier: GPL-2.0-only
//! Interrupts as events.

use anyhow::{ensure, Context, Result};
use vfio_ioctls::VfioRegionInfoCap;

use super::{INTX, MSI, MSIX};
use crate::device::{arrives, enable, events, quiet, Bar, Edu, BAR0};
use crate::ensure_eq;
use crate::space::{open, Space};

/// semantics: 49, 120.  An interrupt as a message.
pub fn msi<S: Space>() -> Result<()> {
    let (_space, device) = open::<S>("EDU0")?;
    let edu = Edu::new(&device)?;
    let [event] = events()?;
    device.enable_msi(vec![&event])?;
    for value in 1..=3 {
        edu.raise(value);
        arrives(&event)?;
        ensure_eq!(edu.acknowledge(), value);
        ensure!(quiet(&event), "an event too many");
    }
    device.trigger_irq(MSI, 0)?;
    arrives(&event)?;
    device.disable_msi()?;
    ensure!(
        device.trigger_irq(MSI, 0).is_err(),
        "an interrupt that is off can be triggered"
    );
    ensure!(quiet(&event), "an event while it is off");
    device.enable_msi(vec![&event])?;
    edu.raise(4);
    arrives(&event)?;
    ensure_eq!(edu.acknowledge(), 4);
    Ok(())
}

/// semantics: 49, 120, 173.  An interrupt by a line: masked until someone has seen to it.
pub fn intx<S: Space>() -> Result<()> {
    let (_space, device) = open::<S>("EDU0")?;
    let edu = Edu::new(&device)?;
    let [event, resample] = events()?;
    device.enable_irq(INTX, vec![&event])?;
    edu.raise(1);
    arrives(&event)?;
    // Still raised: it comes again as soon as it may.
    ensure!(quiet(&event), "an event of a masked interrupt");
    device.unmask_irq(INTX)?;
    arrives(&event)?;
    ensure_eq!(edu.acknowledge(), 1);
    device.unmask_irq(INTX)?;
    ensure!(quiet(&event), "an event of nothing");

    // The same by an eventfd, as virtual interrupt controllers do it.
    device.set_irq_resample_fd(INTX, vec![&resample])?;
    edu.raise(2);
    arrives(&event)?;
    resample.write(1)?;
    arrives(&event)?;
    ensure_eq!(edu.acknowledge(), 2);
    device.disable_irq(INTX)?;
    Ok(())
}

/// semantics: 49, 120.  Ten messages of an igb, and what is said of the BAR that they are set in.
pub fn msix<S: Space>() -> Result<()> {
    const GPIE: usize = 0x1514;
    const EICS: usize = 0x1520;
    const EIMS: usize = 0x1524;
    let (_space, device) = open::<S>("IGB0")?;
    enable(&device);
    ensure_eq!(device.get_region_caps(3), [VfioRegionInfoCap::MsixMappable]);
    ensure_eq!(device.max_interrupts(), 10);
    let bar = Bar::new(&device, BAR0)?;
    let events = events::<10>()?;
    device.enable_msix(events.iter().collect())?;
    bar.write(GPIE, 0x10);
    for vector in 0..9 {
        bar.write(EIMS, 0x1ff);
        bar.write(EICS, 1 << vector);
        arrives(&events[vector]).with_context(|| format!("vector {vector}"))?;
        ensure!(
            events.iter().all(quiet),
            "vector {vector} came as another, too"
        );
    }
    for (vector, event) in (0..).zip(&events) {
        device.trigger_irq(MSIX, vector)?;
        arrives(event)?;
    }
    device.disable_msix()?;

    // A reset of the function forgets what was set.
    bar.write(EIMS, 0x1ff);
    ensure_eq!(bar.read(EIMS), 0x1ff);
    drop(bar);
    device.reset();
    enable(&device);
    ensure_eq!(Bar::new(&device, BAR0)?.read(EIMS), 0);
    Ok(())
}
