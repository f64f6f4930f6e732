// SPDX-License-Identifier: GPL-2.0-only

//! The content of `/proc/PID/fdinfo/FD` for a device file.
//!
//! C counterpart: `vfio_device_show_fdinfo()`, which prints the first line.  The other lines show the state of the
//! file, which a process that has received the file from another process cannot know otherwise.
//!
//! Locks: leaf locks only (those of the link to the device, the PASIDs, the list of files and the list of
//! processes), so a reader does not wait for a task that uses the device.

use super::DeviceFile;
use crate::{
    kapi::device::SysfsPath,
    shared::vfio::{Device, Registered},
    sva::BoundProcesses,
    uapi::attach::PASIDS,
};
use kernel::{seq_file::SeqFile, seq_print};

impl DeviceFile {
    /// Prints the lines of the file.  Prints nothing if the device is gone, or if no memory can be allocated.
    pub(crate) fn show_fdinfo(&self, m: &SeqFile) {
        let Some(path) = self.with_parent(|dev| SysfsPath::of(dev)).flatten() else {
            return;
        };
        let opened = self.opened.as_ref();
        seq_print!(m, "vfio-device-syspath: /sys{}\n", path.as_c_str());
        seq_print!(m, "vfio-type: {}\n", self.group_type().name());
        seq_print!(m, "vfio-access: {}\n", self.opened_by().name());
        seq_print!(
            m,
            "vfio-bound: {}\n",
            if opened.is_some() { "yes" } else { "no" }
        );
        match self.entry.get().kvm_devices() {
            0 => {}
            devices => seq_print!(m, "vfio-kvm-devices: {}\n", devices),
        }
        if opened.is_some() && self.state().holds_vm() {
            seq_print!(m, "vfio-kvm-machine: held\n");
        }
        // The id is 0 if the device is in no iommufd: it is open through a container, or it has no IOMMU and
        // is open through its group.
        if let Some(opened) = opened.filter(|opened| opened.devid() != 0) {
            seq_print!(m, "vfio-iommufd-devid: {}\n", opened.devid());
            show_pasids(opened.device(), m);
            if let Some(processes) = self.state().processes() {
                show_processes(processes, m);
            }
        }
    }
}

/// Prints the PASIDs of the bound processes, as in `4,9`.  Prints no line if there are none.
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

/// Prints the attached PASIDs as ranges, as in `1-3,7`.  Prints no line if there are none.
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
