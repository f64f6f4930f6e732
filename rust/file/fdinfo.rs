// SPDX-License-Identifier: GPL-2.0-only

//! What `/proc/PID/fdinfo/FD` says of a device's file.
//!
//! C counterpart: `vfio_device_show_fdinfo()`, which prints the first line; the others tell a
//! process that was handed the file what it holds.
//!
//! Locks: leaves alone (the link to the device, the PASIDs', the lists of files and of processes):
//! a reader does not wait for a task that uses the device.

use super::DeviceFile;
use crate::{
    kapi::device::SysfsPath,
    shared::vfio::{Device, Registered},
    sva::BoundProcesses,
    uapi::attach::PASIDS,
};
use kernel::{seq_file::SeqFile, seq_print};

impl DeviceFile {
    /// The file's lines.  None when the device is gone, or there is no memory for them.
    pub(crate) fn show_fdinfo(&self, m: &SeqFile) {
        let Some(path) = self.with_parent(SysfsPath::of).flatten() else {
            return;
        };
        let opened = self.gate.opened();
        seq_print!(m, "vfio-device-syspath: /sys{}\n", path.as_c_str());
        seq_print!(m, "vfio-type: {}\n", self.kind.name());
        seq_print!(m, "vfio-access: {}\n", self.path.name());
        seq_print!(
            m,
            "vfio-bound: {}\n",
            if opened.is_some() { "yes" } else { "no" }
        );
        match self.held.get().kvm_devices() {
            0 => {}
            devices => seq_print!(m, "vfio-kvm-devices: {}\n", devices),
        }
        if opened.is_some() && self.state().has_machine() {
            seq_print!(m, "vfio-kvm-machine: held\n");
        }
        // In none, without an IOMMU, by way of the group.
        if let Some(opened) = opened.filter(|opened| opened.devid() != 0) {
            seq_print!(m, "vfio-iommufd-devid: {}\n", opened.devid());
            show_pasids(opened.device(), m);
            show_processes(self.state().processes(), m);
        }
    }
}

/// The PASIDs of the processes that are bound: `4,9`.  No line when there is none.
fn show_processes(processes: &BoundProcesses, m: &SeqFile) {
    let mut before = "vfio-process-pasids: ";
    processes.for_each_pasid(|pasid| {
        seq_print!(m, "{}{}", before, pasid);
        before = ",";
    });
    if before == "," {
        seq_print!(m, "\n");
    }
}

/// The PASIDs that are attached, as ranges: `1-3,7`.  No line when there is none.
fn show_pasids(device: &Device<Registered>, m: &SeqFile) {
    let next = |from| device.next_pasid(from, *PASIDS.end());
    let mut before = "vfio-pasids: ";
    let mut member = next(*PASIDS.start());
    while let Some(first) = member {
        let mut last = first;
        loop {
            member = next(last.saturating_add(1));
            match member {
                Some(pasid) if pasid - last == 1 => last = pasid,
                _ => break,
            }
        }
        seq_print!(m, "{}{}", before, first);
        if last != first {
            seq_print!(m, "-{}", last);
        }
        before = ",";
    }
    if before == "," {
        seq_print!(m, "\n");
    }
}
