// SPDX-License-Identifier: GPL-2.0-only
//! Devices that another process has opened.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{ensure, Context, Result};
use iommufd_ioctls::IommuFd;
use vfio_client::cases::IOVA;
use vfio_client::device::DmaProbe;
use vfio_client::ensure_errno;
use vfio_client::space::{space, space_of, Ram};
use vfio_client::sysfs::vfio_pci;
use vfio_ioctls::VfioDevice;
use vmm_sys_util::sock_ctrl_msg::ScmSocket;

/// The other side of these tests: opens a device and sends it through what it has for its stdin.
pub fn send(path: &Path, bound: bool) -> Result<()> {
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    if !bound {
        let device = VfioDevice::open_cdev(path)?;
        socket.send_with_fd(&[0][..], device.as_raw_fd())?;
        return Ok(());
    }
    let space = space()?;
    let device = VfioDevice::new(path, space.clone(), false)?;
    socket.send_with_fd(&[0][..], space.iommufd().as_raw_fd())?;
    socket.send_with_fd(&[0][..], device.as_raw_fd())?;
    Ok(())
}

/// Files that another process opened, which is gone when they are here.
fn receive<const N: usize>(path: &Path, how: &str) -> Result<[File; N]> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut child = Command::new(std::env::current_exe()?);
    child
        .arg(how)
        .arg(path)
        .stdin(Stdio::from(OwnedFd::from(theirs)));
    let status = child.status()?;
    ensure!(status.success(), "the sender failed: {status}");
    // It holds the other end.
    drop(child);
    let files: Vec<_> = (0..N)
        .map(|_| ours.recv_with_fd(&mut [0]).map(|(_, file)| file))
        .collect::<Result<_, _>>()?;
    let files: Option<Vec<_>> = files.into_iter().collect();
    files
        .and_then(|files| files.try_into().ok())
        .context("no file came")
}

/// semantics: 194.  A device through a file that another process opened.
pub fn passed_file() -> Result<()> {
    let path = vfio_pci("TESTDEV0")?;
    let [file] = receive(&path, "send")?;
    let space = space()?;
    let device = VfioDevice::new_from_fd(file, space.clone(), true)?;
    ensure!(device.iommufd_dev_id().is_some(), "the device has no id");
    let probe = DmaProbe::new(&device)?;
    let ram = Ram::new(&[(IOVA, 1)])?;
    ram.map(&space)?;
    ensure!(probe.reaches(&ram, IOVA)?, "memory is not reached");
    ensure_errno!(VfioDevice::new(&path, space.clone(), false), EINVAL);
    Ok(())
}

/// semantics: 107, 194.  The same where that process bound it, too.
pub fn passed_bound() -> Result<()> {
    let path = vfio_pci("TESTDEV0")?;
    let [iommufd, file] = receive(&path, "send-bound")?;
    let space = space_of(Arc::new(IommuFd::new_from_fd(iommufd)), None)?;
    // The binding came with the file.
    ensure_errno!(
        VfioDevice::new_from_fd(file.try_clone()?, space.clone(), false),
        EINVAL
    );
    let device = VfioDevice::new_from_bound_fd(file, space.clone(), true)?;
    let probe = DmaProbe::new(&device)?;
    let ram = Ram::new(&[(IOVA, 1)])?;
    ram.map(&space)?;
    ensure!(probe.reaches(&ram, IOVA)?, "memory is not reached");
    Ok(())
}
