// SPDX-License-Identifier: GPL-2.0-only
//! Other processes, and files that wait in a socket.

use crate::files::{Files, PROCESSES};
use crate::fuzz::Fuzz;
use crate::ops::files::close_slot;
use crate::random::Random;
use crate::worker::{receive_fd, send_fd, Worker, SLOTS};

pub fn fork(fuzz: &mut Fuzz, _: &mut Random) -> Option<i64> {
    let process = (1..PROCESSES).find(|&process| fuzz.workers[process].is_none())?;
    // The worker would inherit the mappings, and keep their files.
    for window in 0..fuzz.windows.len() {
        fuzz.unmap(window);
    }
    fuzz.workers[process] = Worker::fork(process).ok();
    fuzz.trace.program.add(|| format!("FORK({process});"));
    for slot in 0..SLOTS {
        if let Some(file) = fuzz.files.slots[0][slot] {
            fuzz.files.put(process, slot, file);
        }
    }
    fuzz.trace.result("fork", 0, &[]);
    Some(0)
}

fn living(fuzz: &Fuzz, random: &mut Random) -> Option<usize> {
    let living: Vec<_> = (1..PROCESSES)
        .filter(|&process| fuzz.workers[process].is_some())
        .collect();
    (!living.is_empty()).then(|| random.of(&living))
}

pub fn exit(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let process = living(fuzz, random)?;
    fuzz.workers[process] = None;
    fuzz.trace.program.add(|| format!("EXIT({process});"));
    for slot in 0..SLOTS {
        fuzz.files.take(process, slot);
    }
    fuzz.trace.result("exit", 0, &[]);
    Some(0)
}

pub fn exec(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let process = living(fuzz, random)?;
    let result = fuzz.workers[process].as_ref()?.exec();
    fuzz.trace.program.add(|| format!("EXEC({process});"));
    fuzz.trace.result("exec", result, &[]);
    Some(result)
}

pub fn send(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let process = living(fuzz, random)?;
    let slot = fuzz.files.pick(random, |_| true)?;
    let file = fuzz.files.slots[0][slot]?;
    if fuzz.files.slots[process][slot].is_some() {
        return None;
    }
    let fd = Files::fd(slot);
    let result = fuzz.workers[process].as_ref()?.send(fd, fd);
    fuzz.trace.program.add(|| format!("SEND({process}, {fd});"));
    fuzz.files.put(process, slot, file);
    fuzz.trace.result("send", result, &[]);
    Some(result)
}

pub fn close_elsewhere(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let process = living(fuzz, random)?;
    let held: Vec<_> = (0..SLOTS)
        .filter(|&slot| fuzz.files.slots[process][slot].is_some())
        .collect();
    if held.is_empty() {
        return None;
    }
    let slot = random.of(&held);
    close_slot(fuzz, process, slot)
}

/// Sends a file to a socket from which nobody has received it, and closes the descriptor.
pub fn stash(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = fuzz.files.pick(random, |_| true)?;
    if fuzz.files.sent.len() > 7 {
        return None;
    }
    let file = fuzz.files.slots[0][slot]?;
    let fd = Files::fd(slot);
    send_fd(fuzz.socket[0], fd);
    fuzz.trace.program.add(|| format!("STASH({fd});"));
    fuzz.files.files[file].users += 1;
    fuzz.files.sent.push(file);
    close_slot(fuzz, 0, slot)
}

pub fn unstash(fuzz: &mut Fuzz, _: &mut Random) -> Option<i64> {
    let slot = fuzz.files.free_slot()?;
    if fuzz.files.sent.is_empty() {
        return None;
    }
    let file = fuzz.files.sent.remove(0);
    let fd = Files::fd(slot);
    crate::sys::move_fd(receive_fd(fuzz.socket[1]), fd);
    fuzz.trace.program.add(|| format!("UNSTASH({fd});"));
    fuzz.files.put(0, slot, file);
    fuzz.files.files[file].users -= 1;
    fuzz.trace.result("unstash", 0, &[]);
    Some(0)
}
