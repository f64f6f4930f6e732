// SPDX-License-Identifier: GPL-2.0-only
//! The rules, by what they look at in the syntax.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Attribute, BinOp, Block, Expr, ExprIf, ExprLit, ExprMethodCall, ExprPath, ItemFn, ItemMod, Lit,
    Local, Pat, Stmt,
};

use crate::Mutant;

/// An errno and the one that takes its place.
const ERRNOS: &[(&str, &str)] = &[
    ("EPERM", "EACCES"),
    ("ENOENT", "ENODEV"),
    ("ENODEV", "ENXIO"),
    ("EINVAL", "EBUSY"),
    ("EBUSY", "EINVAL"),
    ("EFAULT", "EINVAL"),
    ("ENOTTY", "EINVAL"),
    ("EBADF", "EBADFD"),
    ("EBADFD", "EBADF"),
    ("EEXIST", "EBUSY"),
    ("ENOSPC", "ENOMEM"),
    ("EOPNOTSUPP", "ENOTTY"),
    ("E2BIG", "EINVAL"),
    ("EOVERFLOW", "EINVAL"),
];

const ORDERINGS: &[(&str, &str)] = &[
    ("Acquire", "Relaxed"),
    ("Release", "Relaxed"),
    ("Full", "Relaxed"),
];

pub struct Finder<'a> {
    file: &'a str,
    text: &'a str,
    /// The offset of each line.
    lines: Vec<usize>,
    pub mutants: Vec<Mutant>,
}

/// Tells whether an item is compiled for tests alone.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|ident| ident == "test")
    })
}

impl<'a> Finder<'a> {
    pub fn new(file: &'a str, text: &'a str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            file,
            text,
            lines: std::iter::once(0).chain(ends).collect(),
            mutants: Vec::new(),
        }
    }

    fn offset(&self, at: proc_macro2::LineColumn) -> usize {
        let start = self.lines[at.line - 1];
        let line = &self.text[start..];
        start
            + line
                .char_indices()
                .nth(at.column)
                .map_or(line.len(), |(at, _)| at)
    }

    fn add(&mut self, rule: &'static str, span: Span, after: impl Into<String>) {
        let (start, end) = (self.offset(span.start()), self.offset(span.end()));
        let before = self.text[start..end].to_owned();
        let after = after.into();
        if before != after {
            let (file, line) = (self.file.to_owned(), span.start().line);
            self.mutants.push(Mutant {
                file,
                rule,
                line,
                start,
                end,
                before,
                after,
            });
        }
    }

    fn source(&self, span: Span) -> &'a str {
        &self.text[self.offset(span.start())..self.offset(span.end())]
    }
}

/// Tells whether a block does nothing but return.
fn returns(block: &Block) -> bool {
    matches!(block.stmts.as_slice(), [Stmt::Expr(Expr::Return(_), _)])
}

impl Visit<'_> for Finder<'_> {
    fn visit_item_mod(&mut self, item: &ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_expr_if(&mut self, expr: &ExprIf) {
        let condition = self.source(expr.cond.span()).to_owned();
        if !matches!(*expr.cond, Expr::Let(_))
            && !condition.contains("let ")
            && !condition.contains("cfg!")
        {
            match expr.else_branch.is_none() && returns(&expr.then_branch) {
                true => self.add(
                    "drop-check",
                    expr.cond.span(),
                    format!("false && ({condition})"),
                ),
                false => self.add(
                    "turn-condition",
                    expr.cond.span(),
                    format!("!({condition})"),
                ),
            }
        }
        visit::visit_expr_if(self, expr);
    }

    fn visit_stmt(&mut self, stmt: &Stmt) {
        match stmt {
            // A call for its effect.
            Stmt::Expr(Expr::Call(call), Some(_)) => {
                let called = self.source(call.func.span());
                match called {
                    "drop" => {
                        let inner = call.args.first().map_or("", |arg| self.source(arg.span()));
                        self.add("leak", call.span(), format!("core::mem::forget({inner})"));
                    }
                    _ => self.add("leave-out-call", call.span(), "()"),
                }
            }
            Stmt::Expr(Expr::MethodCall(call), Some(_)) => {
                self.add("leave-out-call", call.span(), "()")
            }
            Stmt::Expr(Expr::Try(expr), Some(_)) => self.add("leave-out-step", expr.span(), "()"),
            Stmt::Expr(Expr::Assign(expr), Some(_)) => {
                self.add("leave-out-store", expr.span(), "()")
            }
            _ => {}
        }
        visit::visit_stmt(self, stmt);
    }

    fn visit_local(&mut self, local: &Local) {
        // A value that is kept only until the end of its scope.
        if let Pat::Ident(pat) = &local.pat {
            if pat.ident.to_string().starts_with('_') {
                self.add("drop-early", pat.ident.span(), "_");
            }
        }
        visit::visit_local(self, local);
    }

    fn visit_expr_path(&mut self, expr: &ExprPath) {
        if let Some(ident) = expr.path.get_ident() {
            let name = ident.to_string();
            for (before, after) in ERRNOS {
                if name == *before {
                    let path = format!("kernel::error::code::{after}");
                    let known = !matches!(*after, "ENOTTY" | "EBADFD" | "EACCES")
                        || self.text.contains(after);
                    self.add(
                        "other-errno",
                        ident.span(),
                        if known { path } else { (*before).to_owned() },
                    );
                }
            }
            for (before, after) in ORDERINGS {
                if name == *before {
                    self.add("relax", ident.span(), *after);
                }
            }
        }
        visit::visit_expr_path(self, expr);
    }

    fn visit_bin_op(&mut self, op: &BinOp) {
        let after = match op {
            BinOp::Lt(_) => "<=",
            BinOp::Le(_) => "<",
            BinOp::Gt(_) => ">=",
            BinOp::Ge(_) => ">",
            BinOp::Eq(_) => "!=",
            BinOp::Ne(_) => "==",
            BinOp::And(_) => "||",
            BinOp::Or(_) => "&&",
            BinOp::BitOr(_) => "&",
            _ => return,
        };
        self.add("other-operator", op.span(), after);
    }

    fn visit_expr_method_call(&mut self, call: &ExprMethodCall) {
        let after = match call.method.to_string().as_str() {
            "saturating_add" => "saturating_sub",
            "saturating_sub" => "saturating_add",
            "is_some" => "is_none",
            "is_none" => "is_some",
            "is_ok" => "is_err",
            "is_err" => "is_ok",
            "any" => "all",
            "all" => "any",
            _ => "",
        };
        if !after.is_empty() {
            self.add("other-method", call.method.span(), after);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_lit(&mut self, expr: &ExprLit) {
        match &expr.lit {
            Lit::Int(lit) => {
                if let Ok(number) = lit.base10_parse::<u64>() {
                    self.add(
                        "one-off",
                        lit.span(),
                        format!("{}{}", number.wrapping_add(1), lit.suffix()),
                    );
                }
            }
            Lit::Bool(lit) => self.add("turn-flag", lit.span(), (!lit.value).to_string()),
            _ => {}
        }
    }
}
