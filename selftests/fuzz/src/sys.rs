// SPDX-License-Identifier: GPL-2.0-only
//! System calls by their numbers, of 64-bit and of 32-bit programs.

use std::arch::asm;

/// A call as a process makes it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Call {
    pub nr: i32,
    /// By the entry for 32-bit programs.
    pub compat: i32,
    pub args: [u64; 6],
}

impl Call {
    pub fn new(nr: libc::c_long, args: &[u64]) -> Self {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        Self {
            nr: nr as i32,
            compat: 0,
            args: all,
        }
    }

    pub fn ioctl(fd: i32, cmd: u32, arg: u64) -> Self {
        Self::new(libc::SYS_ioctl, &[fd as u32 as u64, cmd as u64, arg])
    }

    /// Makes the call in this process.  Returns its result or the negative errno.
    pub fn make(&self) -> i64 {
        if self.compat != 0 {
            return self.make_32();
        }
        let a = self.args;
        let result: i64;
        // SAFETY: The arguments name only memory that the fuzzer has for this, or none.
        unsafe {
            asm!("syscall", inlateout("rax") self.nr as i64 => result, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
                 in("r10") a[3], in("r8") a[4], in("r9") a[5], lateout("rcx") _, lateout("r11") _);
        }
        result
    }

    fn make_32(&self) -> i64 {
        /// `ioctl` of 32-bit programs.
        const IOCTL: i32 = 54;
        let a = self.args;
        let result: i32;
        assert_eq!(self.nr as i64, libc::SYS_ioctl);
        // SAFETY: As above.  The register that the compiler keeps for itself is saved.
        unsafe {
            asm!("push rbx", "mov ebx, {fd:e}", "int 0x80", "pop rbx", fd = in(reg) a[0] as u32,
                 inlateout("eax") IOCTL => result, in("ecx") a[1] as u32, in("edx") a[2] as u32,
                 lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _);
        }
        result as i64
    }
}

/// Makes a call that the fuzzer itself needs.
pub fn call(nr: libc::c_long, args: &[u64]) -> i64 {
    Call::new(nr, args).make()
}

pub fn close(fd: i32) -> i64 {
    call(libc::SYS_close, &[fd as u64])
}

/// Moves a descriptor to another number.
pub fn move_fd(from: i32, to: i32) {
    assert_eq!(call(libc::SYS_dup2, &[from as u64, to as u64]), to as i64);
    close(from);
}

/// The name of an errno, or the number.
pub fn show(result: i64) -> String {
    const NAMES: [(i32, &str); 24] = [
        (libc::EPERM, "EPERM"),
        (libc::ENOENT, "ENOENT"),
        (libc::EINTR, "EINTR"),
        (libc::EIO, "EIO"),
        (libc::ENXIO, "ENXIO"),
        (libc::EBADF, "EBADF"),
        (libc::EAGAIN, "EAGAIN"),
        (libc::ENOMEM, "ENOMEM"),
        (libc::EACCES, "EACCES"),
        (libc::EFAULT, "EFAULT"),
        (libc::EBUSY, "EBUSY"),
        (libc::EEXIST, "EEXIST"),
        (libc::ENODEV, "ENODEV"),
        (libc::EINVAL, "EINVAL"),
        (libc::ENFILE, "ENFILE"),
        (libc::EMFILE, "EMFILE"),
        (libc::ENOTTY, "ENOTTY"),
        (libc::ENOSPC, "ENOSPC"),
        (libc::ESPIPE, "ESPIPE"),
        (libc::E2BIG, "E2BIG"),
        (libc::EBADFD, "EBADFD"),
        (libc::EOPNOTSUPP, "EOPNOTSUPP"),
        (libc::EOVERFLOW, "EOVERFLOW"),
        (libc::EADDRINUSE, "EADDRINUSE"),
    ];
    let errno = i32::try_from(-result).unwrap_or(0);
    match NAMES
        .iter()
        .find(|(number, _)| *number == errno && result < 0)
    {
        Some((_, name)) => format!("-{name}"),
        None => result.to_string(),
    }
}
