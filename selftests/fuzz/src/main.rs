// SPDX-License-Identifier: GPL-2.0-only
//! A fuzzer of VFIO that runs in the test VM, once on each core.
//!
//! A seed is a sequence of operations.  What they do depends on the seed and on which files are open, and on
//! nothing else, so both cores must give the same results.  For each sequence the fuzzer prints the seed and a
//! digest of all results; the host compares (scripts/suites/commands/fuzz.py).

mod files;
mod fuzz;
mod memory;
mod ops;
mod program;
mod random;
mod rules;
mod sys;
mod trace;
mod worker;
mod world;

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;

#[derive(Parser)]
struct Args {
    /// Serve as a process of another fuzzer.
    #[arg(long)]
    worker: bool,
    /// The seed of the first sequence.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many sequences to run.
    #[arg(long, default_value_t = u64::MAX)]
    sequences: u64,
    /// First run the sequences of the seeds from 1 to this one.
    #[arg(long, default_value_t = 0)]
    corpus: u64,
    /// Stop so many seconds after the corpus.
    #[arg(long, default_value_t = u64::MAX)]
    seconds: u64,
    /// Operations of each sequence.
    #[arg(long, default_value_t = 300)]
    length: u64,
    /// Print each call.
    #[arg(long)]
    verbose: bool,
    /// Print each sequence as a C program.
    #[arg(long)]
    as_c: bool,
    /// Operations to leave out.  If it is given several times, the sequence of the seed runs once for each.
    #[arg(long, value_delimiter = ',')]
    left_out: Vec<String>,
    /// The machine has no IOMMU.
    #[arg(long)]
    noiommu: bool,
    /// The PCI functions that are fuzzed.
    devices: Vec<String>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if args.worker {
        return worker::after_exec();
    }
    memory::create()?;
    memory::attach()?;
    memory::attach_late()?;
    let mut fuzz = fuzz::Fuzz::new(world::World::new(&args.devices, !args.noiommu)?);
    fuzz.trace.verbose = args.verbose;
    fuzz.trace.program.is_on = args.as_c;
    if !args.left_out.is_empty() {
        for candidate in &args.left_out {
            let left_out: Vec<u64> = candidate
                .split('+')
                .filter_map(|n| n.parse().ok())
                .collect();
            let (digest, left) = fuzz.sequence(args.seed, args.length, &left_out)?;
            println!(
                "candidate {candidate} {digest:016x} {}",
                left.unwrap_or_default()
            );
        }
        fuzz.trace.program.print();
        return Ok(());
    }
    let limit = Duration::from_secs(args.seconds.min(1 << 40));
    let mut start = None;
    let seeds = (1..=args.corpus).chain(args.seed..=u64::MAX);
    for (done, seed) in (0..).zip(seeds) {
        if done >= args.corpus {
            let start = *start.get_or_insert_with(Instant::now);
            if done >= args.sequences || start.elapsed() >= limit {
                break;
            }
        }
        let (digest, left) = fuzz.sequence(seed, args.length, &[])?;
        println!(
            "sequence {seed} {digest:016x} {} {}",
            fuzz.trace.calls,
            left.unwrap_or_default()
        );
    }
    fuzz.trace.program.print();
    for (name, (tries, successes)) in &fuzz.trace.shares {
        println!("share {name} {tries} {successes}");
    }
    for ((name, result), times) in &fuzz.trace.rules {
        println!("rule {name} {} {times}", sys::show(*result));
    }
    Ok(())
}
