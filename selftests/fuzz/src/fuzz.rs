// SPDX-License-Identifier: GPL-2.0-only
//! One sequence of operations, and the calls that operations make.

use std::os::fd::RawFd;

use anyhow::Result;

use crate::files::{Files, Index, Kind, PROCESSES};
use crate::memory::{self, Kind as Memory};
use crate::ops::numbers::*;
use crate::ops::OPS;
use crate::program::{Argument, Want};
use crate::random::Random;
use crate::rules::{self, Case, RULES};
use crate::sys::{call, close, move_fd, Call};
use crate::trace::Trace;
use crate::worker::{Worker, SLOTS};
use crate::world::World;

pub struct Fuzz {
    pub world: World,
    pub files: Files,
    pub workers: [Option<Worker>; PROCESSES],
    /// Both ends of the socket in which files wait.
    pub socket: [RawFd; 2],
    /// The regions that are mapped, with their files.
    pub windows: [Option<Index>; 4],
    pub trace: Trace,
}

impl Fuzz {
    pub fn new(world: World) -> Self {
        Self {
            world,
            files: Files::default(),
            workers: Default::default(),
            socket: [-1; 2],
            windows: [None; 4],
            trace: Trace::default(),
        }
    }

    /// Runs the sequence of a seed, without the operations in `left_out`.  Returns the digest, and what was left
    /// behind.
    pub fn sequence(
        &mut self,
        seed: u64,
        length: u64,
        left_out: &[u64],
    ) -> Result<(u64, Option<String>)> {
        self.trace.restart();
        self.add_writes();
        self.open_socket();
        let total: usize = OPS.iter().map(|op| op.weight).sum();
        for number in 0..length {
            if left_out.contains(&number) {
                continue;
            }
            let mut random = Random::new(seed, number);
            let mut at = random.below(total);
            let op = OPS.iter().find(|op| {
                let here = at < op.weight;
                at = at.wrapping_sub(op.weight);
                here
            });
            let op = op.expect("the weights add up");
            if self.trace.verbose {
                println!("{number} {}", op.name);
            }
            self.trace.program.operation(number, op.name);
            if let Some(result) = (op.run)(self, &mut random) {
                self.trace.count(op.name, result);
            }
            self.add_writes();
        }
        self.end();
        let (left, state) = self.world.reset();
        self.world.statements.clear();
        let nodes: String = state.lines().filter(|line| line.starts_with('/')).collect();
        self.trace.result("state", 0, nodes.as_bytes());
        Ok((self.trace.digest(), left))
    }

    /// Adds what was written to sysfs to the C program.
    fn add_writes(&mut self) {
        for statement in self.world.statements.drain(..) {
            self.trace.program.add(|| statement);
        }
    }

    fn open_socket(&mut self) {
        // SAFETY: The array has place for two descriptors.
        let ret = unsafe {
            libc::socketpair(libc::AF_UNIX, libc::SOCK_DGRAM, 0, self.socket.as_mut_ptr())
        };
        assert_eq!(ret, 0, "socketpair");
    }

    /// Closes everything.
    fn end(&mut self) {
        for window in 0..self.windows.len() {
            self.unmap(window);
        }
        self.workers = Default::default();
        for slot in 0..SLOTS {
            if self.files.slots[0][slot].is_some() {
                close(Files::fd(slot));
            }
        }
        self.socket.map(close);
        self.files = Files::default();
        // An RCU grace period (MEMBARRIER_CMD_GLOBAL), behind which the objects of closed files are freed.
        call(libc::SYS_membarrier, &[1, 0, 0]);
    }

    pub fn unmap(&mut self, window: usize) {
        if let Some(file) = self.windows[window].take() {
            self.trace.program.add(|| format!("UNMAP({window});"));
            self.files.files[file].users -= 1;
            call(libc::SYS_munmap, &[Self::window(window), memory::PAGE]);
        }
    }

    pub fn window(window: usize) -> u64 {
        memory::WINDOWS + window as u64 * 16 * memory::PAGE
    }

    /// A process that has the file of a slot: usually the fuzzer.
    fn process_of(&self, random: &mut Random, slot: usize) -> usize {
        let others: Vec<_> = (1..PROCESSES)
            .filter(|&p| self.files.slots[p][slot] == self.files.slots[0][slot])
            .collect();
        match others.is_empty() || self.files.slots[0][slot].is_none() || random.percent(75) {
            true => 0,
            false => random.of(&others),
        }
    }

    fn make(&mut self, process: usize, call: &Call) -> i64 {
        match &self.workers[process] {
            Some(worker) => worker.call(call),
            None => call.make(),
        }
    }

    /// Makes a call, and records it and its result.
    pub fn call(&mut self, name: &'static str, process: usize, call: &Call) -> i64 {
        let result = self.make(process, call);
        self.trace
            .call(process, call, None, result, Want::This(result));
        self.trace.result(name, result, &[]);
        result
    }

    /// Makes a call of the fuzzer itself with an argument in memory, and records it and its result.
    pub fn call_with(&mut self, name: &'static str, call: &Call, argument: Argument) -> i64 {
        let result = call.make();
        self.trace
            .call(0, call, Some(argument), result, Want::This(result));
        self.trace.result(name, result, &[]);
        result
    }

    /// An ioctl whose argument is a number.
    pub fn ioctl_value(
        &mut self,
        random: &mut Random,
        name: &'static str,
        slot: usize,
        cmd: u32,
        arg: u64,
    ) -> i64 {
        let process = if returns_fd(cmd) {
            0
        } else {
            self.process_of(random, slot)
        };
        let mut call = Call::ioctl(Files::fd(slot), cmd, arg);
        call.compat = random.percent(5).into();
        let result = self.make(process, &call);
        self.trace
            .call(process, &call, None, result, want(cmd, result));
        self.trace.result(name, self.hide_fd(cmd, result), &[]);
        result
    }

    /// An ioctl whose argument is in memory.  Returns its result and the bytes after it.
    pub fn ioctl(
        &mut self,
        random: &mut Random,
        name: &'static str,
        slot: usize,
        cmd: u32,
        bytes: &[u8],
    ) -> (i64, Vec<u8>) {
        let mut process = self.process_of(random, slot);
        let kind = memory_kind(random, bytes.len());
        if kind == Memory::Late || returns_fd(cmd) {
            process = 0;
        }
        let address = memory::place(bytes, kind);
        let mut call = Call::ioctl(Files::fd(slot), cmd, address);
        call.compat = random.percent(3).into();
        let result = self.make(process, &call);
        let out = memory::read_back(address, bytes.len());
        let case = Case {
            op: name,
            bytes,
            kind,
            result,
        };
        let rule = RULES.iter().find(|rule| (rule.applies)(&case));
        let want = match rule {
            Some(_) => Want::Any,
            None => want(cmd, result),
        };
        self.trace
            .call(process, &call, Some(Argument { bytes, kind }), result, want);
        match rule {
            Some(rule) => {
                self.trace.rule(rule.name, result);
                self.trace.result(rule.name, 0, &[]);
                if name == "attach" {
                    self.detach_all(slot, crate::ops::word(bytes, 12));
                }
            }
            None => {
                self.trace.program.out(&out);
                self.trace.result(name, self.hide_fd(cmd, result), &out);
            }
        }
        if rules::is_unwritten_attach(&case) {
            self.trace.rule("D6", result);
            self.detach_all(slot, crate::ops::word(bytes, 12));
        }
        (result, out)
    }

    /// Detaches whatever a call to which a rule applies may have attached: to the device itself, or to the
    /// number that the C core takes for a PASID.
    fn detach_all(&mut self, slot: usize, pasid: u32) {
        let itself = [8, 0].map(u32::to_le_bytes).concat();
        let pasid = [12, 1, pasid].map(u32::to_le_bytes).concat();
        for arg in [itself, pasid] {
            let address = memory::place(&arg, Memory::Whole);
            let call = Call::ioctl(Files::fd(slot), VFIO_DEVICE_DETACH_IOMMUFD_PT, address);
            call.make();
            let argument = Argument {
                bytes: &arg,
                kind: Memory::Whole,
            };
            let program = &mut self.trace.program;
            program.call(0, &call, Some(&argument), Want::Any);
        }
    }

    /// A descriptor that a call returns has the lowest number that is free, which is nobody's business.
    fn hide_fd(&self, cmd: u32, result: i64) -> i64 {
        if returns_fd(cmd) {
            result.min(0)
        } else {
            result
        }
    }

    /// Gives a descriptor of the fuzzer a slot.
    pub fn keep(&mut self, fd: i64, kind: Kind) -> Option<Index> {
        let fd = RawFd::try_from(fd).ok().filter(|&fd| fd >= 0)?;
        let Some(slot) = self.files.free_slot() else {
            close(fd);
            self.trace.program.add(|| "DROP();".to_owned());
            return None;
        };
        move_fd(fd, Files::fd(slot));
        self.trace
            .program
            .add(|| format!("KEEP({});", Files::fd(slot)));
        let file = self.files.add(kind);
        self.files.put(0, slot, file);
        Some(file)
    }

    /// Opens a path, and keeps the file.
    pub fn open(&mut self, name: &'static str, path: &str, flags: i32, kind: Kind) -> i64 {
        let path = std::ffi::CString::new(path).expect("a path without a 0");
        let call = Call::new(
            libc::SYS_openat,
            &[libc::AT_FDCWD as u64, path.as_ptr() as u64, flags as u64, 0],
        );
        let result = call.make();
        let want = Want::fd(result);
        self.trace
            .program
            .add(|| format!("OPEN({want}, {path:?}, {flags:#x});"));
        if self.trace.verbose {
            println!(
                "  open({path:?}, {flags:#x}) = {}",
                crate::sys::show(result)
            );
        }
        self.trace.result(name, result.min(0), &[]);
        self.keep(result, kind);
        result
    }
}

/// Tells whether an ioctl can return a descriptor.  The fuzzer makes such calls itself.
fn returns_fd(cmd: u32) -> bool {
    [
        KVM_CREATE_VM,
        KVM_CREATE_DEVICE,
        VFIO_GROUP_GET_DEVICE_FD,
        VFIO_DEVICE_FEATURE,
    ]
    .contains(&cmd)
}

fn want(cmd: u32, result: i64) -> Want {
    match returns_fd(cmd) {
        true => Want::fd(result),
        false => Want::This(result),
    }
}

/// How an argument of a size lies in memory: usually whole.
pub fn memory_kind(random: &mut Random, size: usize) -> Memory {
    match random.below(100) {
        0..=1 => Memory::ReadOnly,
        2..=4 => Memory::Cut((random.below(size.max(1)) as u64 + 1).next_multiple_of(4)),
        5 => Memory::Missing,
        6..=8 => Memory::Late,
        _ => Memory::Whole,
    }
}
