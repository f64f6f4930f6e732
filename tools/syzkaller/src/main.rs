// SPDX-License-Identifier: GPL-2.0-only

//! syzkaller FILE...: reads descriptions, and prints a C file that compiles if they agree with the kernel's
//! headers:
//!
//! - Each name of a number is in the headers.
//! - Each structure has the size of the structure of this name, and its fields have the offsets of the fields
//!   with these names.
//! - The argument of `VFIO_DEVICE_FEATURE` has the number of the feature after which it is named, and the size
//!   of the feature's structure.
//!
//! Fails if a description refers to a type that neither these files nor [`FOREIGN`] define.

use anyhow::{bail, Context, Result};
use std::{collections::BTreeSet, fmt::Write, path::Path};
use syzlang_parser::parser::{ArgOpt, ArgType, Argument, Identifier, Statement, Struct, Value};

/// The types of syzkaller's own files, each of 4 bytes in memory.
const FOREIGN: &[&str] = &[
    "fd_vfio",
    "fd_iommufd",
    "fd_event",
    "ioas_handle",
    "hwpt_handle",
];
/// Names of syzkaller's own flags.
const FOREIGN_FLAGS: &[&str] = &["mmap_prot", "mmap_flags"];

/// The descriptions of all files.
struct Descriptions(Vec<Statement>);

impl Descriptions {
    fn names(&self, of: impl Fn(&Statement) -> Option<&Identifier>) -> BTreeSet<String> {
        self.0
            .iter()
            .filter_map(of)
            .map(Identifier::unique_name)
            .collect()
    }

    fn structures(&self) -> impl Iterator<Item = &Struct> {
        self.0.iter().filter_map(|statement| match statement {
            Statement::Struct(structure) => Some(structure),
            _ => None,
        })
    }
}

/// Adds the names of numbers in a field or argument to `numbers`, and the names of flags to `flags`.
fn collect(argument: &Argument, numbers: &mut BTreeSet<String>, flags: &mut BTreeSet<String>) {
    for opt in &argument.opts {
        match opt {
            ArgOpt::FullArg(inner) => collect(inner, numbers, flags),
            ArgOpt::Value(Value::Ident(name)) if argument.argtype == ArgType::Const => {
                numbers.insert(name.unique_name());
            }
            ArgOpt::Ident(name) if argument.argtype == ArgType::Const => {
                numbers.insert(name.unique_name());
            }
            ArgOpt::Ident(name) if argument.argtype == ArgType::Flags => {
                flags.insert(name.unique_name());
            }
            _ => {}
        }
    }
}

/// Returns the C type of a field.  Returns None for an array of no fixed length, which ends the structure.
fn c_type(field: &Argument, known: &BTreeSet<String>) -> Result<Option<&'static str>> {
    Ok(Some(match &field.argtype {
        ArgType::Int8 => "__u8",
        ArgType::Int16 => "__u16",
        ArgType::Int32 => "__u32",
        ArgType::Int64 | ArgType::Ptr64 => "__aligned_u64",
        ArgType::Array => return Ok(None),
        ArgType::Const | ArgType::Flags | ArgType::Len => {
            let size = field.opts.iter().find_map(|opt| match opt {
                ArgOpt::FullArg(inner) => Some(&inner.argtype),
                _ => None,
            });
            match size {
                Some(ArgType::Int32) => "__u32",
                Some(ArgType::Int64) => "__aligned_u64",
                other => bail!("{}: no size: {other:?} in {field:?}", field.name.name),
            }
        }
        ArgType::Ident(name) if known.contains(&name.unique_name()) => "__u32",
        other => bail!("{}: unknown type {other:?}", field.name.name),
    }))
}

/// Prints the assertions for one structure.
fn print_structure(out: &mut String, structure: &Struct, known: &BTreeSet<String>) -> Result<()> {
    let name = structure.identifier();
    let ours = name.safe_name();
    let mut fields = String::new();
    let mut named = Vec::new();
    for field in structure.args() {
        let field_name = &field.name.name;
        let Some(c_type) = c_type(field, known).with_context(|| ours.clone())? else {
            break;
        };
        writeln!(fields, "\t{c_type} {field_name};")?;
        named.push(field_name);
    }
    writeln!(out, "struct syz_{ours} {{\n{fields}}};")?;
    let feature = (name.name == "vfio_device_feature")
        .then(|| name.subname.first())
        .flatten();
    if let Some(feature) = feature {
        // The header of each feature, and the structure of this feature where one has its name.
        for (offset, field) in named.iter().take(2).enumerate() {
            let offset = offset * 4;
            writeln!(
                out,
                "_Static_assert(offsetof(struct syz_{ours}, {field}) == {offset}, \"{field}\");"
            )?;
        }
        let payload = match feature.as_str() {
            "dma_logging_start" => "dma_logging_control",
            "mig_device_state" => "mig_state",
            other => other,
        };
        writeln!(
            out,
            "_Static_assert(sizeof(struct syz_{ours}) == 8 + sizeof(struct vfio_device_feature_{payload}), \"{ours}\");"
        )?;
        let number = feature.to_uppercase();
        let flags = structure
            .args()
            .find(|field| field.name.name == "flags")
            .and_then(|field| {
                field.opts.iter().find_map(|opt| match opt {
                    ArgOpt::Value(Value::Int(flags)) => Some(*flags),
                    _ => None,
                })
            })
            .with_context(|| format!("{ours} has no constant flags"))?;
        writeln!(
            out,
            "_Static_assert(({flags} & VFIO_DEVICE_FEATURE_MASK) == VFIO_DEVICE_FEATURE_{number}, \"{ours}\");"
        )?;
        return Ok(());
    }
    let theirs = &name.name;
    for field in &named {
        writeln!(
            out,
            "_Static_assert(offsetof(struct syz_{ours}, {field}) == offsetof(struct {theirs}, {field}), \"{ours}.{field}\");"
        )?;
    }
    writeln!(
        out,
        "_Static_assert(sizeof(struct syz_{ours}) == sizeof(struct {theirs}), \"{ours}\");"
    )?;
    Ok(())
}

fn main() -> Result<()> {
    let mut descriptions = Descriptions(Vec::new());
    for file in std::env::args().skip(1) {
        let statements =
            Statement::from_file(Path::new(&file)).map_err(|e| anyhow::anyhow!("{file}: {e:?}"))?;
        descriptions.0.extend(statements);
    }
    let mut known = descriptions.names(|statement| match statement {
        Statement::Resource(_) => statement.identifier(),
        _ => None,
    });
    known.extend(FOREIGN.iter().map(|name| (*name).to_owned()));
    let (mut numbers, mut flags) = (BTreeSet::new(), BTreeSet::new());
    let mut calls = 0;
    for statement in &descriptions.0 {
        match statement {
            Statement::Struct(structure) => structure
                .args()
                .for_each(|f| collect(f, &mut numbers, &mut flags)),
            Statement::Function(call) => {
                calls += 1;
                call.args()
                    .for_each(|a| collect(a, &mut numbers, &mut flags));
            }
            Statement::Flag(flag) => numbers.extend(flag.args().filter_map(|value| match value {
                Value::Ident(name) => Some(name.unique_name()),
                _ => None,
            })),
            _ => {}
        }
    }
    let defined = descriptions.names(|statement| match statement {
        Statement::Flag(_) => statement.identifier(),
        _ => None,
    });
    for name in &flags {
        if !defined.contains(name) && !FOREIGN_FLAGS.contains(&name.as_str()) {
            bail!("the flags {name} are not defined");
        }
    }

    let mut out = String::from(
        "#include <stddef.h>\n#include <fcntl.h>\n#include <linux/vfio.h>\n#include <linux/vfio_sva.h>\n",
    );
    for name in &numbers {
        writeln!(out, "_Static_assert(({name}) == ({name}), \"{name}\");")?;
    }
    let mut structures = 0;
    for structure in descriptions.structures() {
        print_structure(&mut out, structure, &known)?;
        structures += 1;
    }
    writeln!(
        out,
        "/* {calls} calls, {structures} structures, {} numbers */",
        numbers.len()
    )?;
    print!("{out}");
    Ok(())
}
