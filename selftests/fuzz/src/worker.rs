// SPDX-License-Identifier: GPL-2.0-only
//! Processes that make calls for the fuzzer.  A worker has the files of the fuzzer at the time of its fork, and
//! those that it was sent.

use std::os::fd::RawFd;

use anyhow::{ensure, Result};

use crate::memory;
use crate::sys::{call, close, move_fd, Call};

/// The worker's end of its socket, in the worker.
pub const CONTROL: RawFd = 192;
/// The fuzzer's ends of the workers' sockets.
const CONTROLS: RawFd = 193;
/// The first descriptor that files of a sequence have.
pub const FILES: RawFd = 200;
/// How many files a sequence can have.
pub const SLOTS: usize = 32;

/// A request: a call, or one of these numbers instead of the number of a call.
const EXEC: libc::c_long = -1;
/// Moves the descriptor that comes with the request to a slot.
const RECEIVE: libc::c_long = -2;

pub struct Worker {
    pid: i32,
    control: RawFd,
}

impl Worker {
    /// Forks.  `index` tells workers apart.
    pub fn fork(index: usize) -> Result<Self> {
        let mut ends = [0; 2];
        // SAFETY: The array has place for two descriptors.
        let ret =
            unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0, ends.as_mut_ptr()) };
        ensure!(ret == 0, "socketpair");
        // SAFETY: The child only makes system calls.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            move_fd(ends[1], CONTROL);
            for fd in CONTROLS..FILES {
                close(fd);
            }
            close(ends[0]);
            serve();
        }
        close(ends[1]);
        let control = CONTROLS + index as RawFd;
        move_fd(ends[0], control);
        ensure!(pid > 0, "fork");
        Ok(Self { pid, control })
    }

    /// Makes a request, with which a descriptor can go.  Returns the answer.
    fn request(&self, request: &Call, fd: Option<RawFd>) -> i64 {
        let size = size_of::<Call>() as u64;
        let sent = call(
            libc::SYS_write,
            &[self.control as u64, request as *const Call as u64, size],
        );
        assert_eq!(sent, size as i64, "a worker is gone");
        if let Some(fd) = fd {
            send_fd(self.control, fd);
        }
        let mut result = 0_i64;
        let got = call(
            libc::SYS_read,
            &[self.control as u64, &raw mut result as u64, 8],
        );
        assert_eq!(got, 8, "a worker is gone");
        result
    }

    pub fn call(&self, call: &Call) -> i64 {
        self.request(call, None)
    }

    /// Lets the worker execute this program anew.  It keeps its files.
    pub fn exec(&self) -> i64 {
        self.request(&Call::new(EXEC, &[]), None)
    }

    /// Sends a file, which gets the number `to` in the worker.
    pub fn send(&self, fd: RawFd, to: RawFd) -> i64 {
        self.request(&Call::new(RECEIVE, &[to as u64]), Some(fd))
    }
}

impl Drop for Worker {
    /// Ends the worker: its files are closed when this returns.
    fn drop(&mut self) {
        close(self.control);
        call(libc::SYS_wait4, &[self.pid as u64, 0, 0, 0]);
    }
}

/// Serves requests until the fuzzer closes its end.
pub fn serve() -> ! {
    loop {
        let mut request = Call::new(0, &[]);
        let size = size_of::<Call>();
        let got = call(
            libc::SYS_read,
            &[CONTROL as u64, &raw mut request as u64, size as u64],
        );
        if got != size as i64 {
            call(libc::SYS_exit_group, &[0]);
        }
        let result = match request.nr.into() {
            EXEC => exec(),
            RECEIVE => {
                move_fd(receive_fd(CONTROL), request.args[0] as RawFd);
                0
            }
            _ => request.make(),
        };
        answer(result);
    }
}

/// Answers a request of the fuzzer.
fn answer(result: i64) {
    call(
        libc::SYS_write,
        &[CONTROL as u64, &raw const result as u64, 8],
    );
}

fn exec() -> i64 {
    let path = c"/proc/self/exe";
    let args = [c"fuzz".as_ptr() as u64, c"--worker".as_ptr() as u64, 0];
    call(
        libc::SYS_execve,
        &[
            path.as_ptr() as u64,
            args.as_ptr() as u64,
            &raw const args[2] as u64,
        ],
    )
}

/// The start of a worker after [`Worker::exec`].
pub fn after_exec() -> Result<()> {
    memory::attach()?;
    answer(0);
    serve()
}

/// A message with one byte and one descriptor.
#[repr(C)]
struct Message {
    header: libc::msghdr,
    iov: libc::iovec,
    control: [u64; 3],
    byte: u8,
}

impl Message {
    fn with<R>(fd: RawFd, f: impl FnOnce(*mut Message) -> R) -> R {
        // SAFETY: All fields may be 0.
        let mut m: Self = unsafe { std::mem::zeroed() };
        m.iov = libc::iovec {
            iov_base: (&raw mut m.byte).cast(),
            iov_len: 1,
        };
        // The header of one control message: its length, SOL_SOCKET and SCM_RIGHTS; then the descriptor.
        m.control = [20, 1 | (1 << 32), fd as u32 as u64];
        m.header.msg_iov = &raw mut m.iov;
        m.header.msg_iovlen = 1;
        m.header.msg_control = (&raw mut m.control).cast();
        m.header.msg_controllen = 24;
        f(&raw mut m)
    }
}

pub fn send_fd(socket: RawFd, fd: RawFd) {
    Message::with(fd, |m| {
        assert_eq!(
            call(libc::SYS_sendmsg, &[socket as u64, m as u64, 0]),
            1,
            "sendmsg"
        );
    });
}

pub fn receive_fd(socket: RawFd) -> RawFd {
    Message::with(-1, |m| {
        assert_eq!(
            call(libc::SYS_recvmsg, &[socket as u64, m as u64, 0]),
            1,
            "recvmsg"
        );
        // SAFETY: The message is there, and the kernel has written into it.
        unsafe { (*m).control[2] as u32 as RawFd }
    })
}
