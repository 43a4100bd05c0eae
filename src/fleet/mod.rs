//! `fleet.yaml`: as written (`raw`), the rules it must keep (`rules`), and valid by type (`model`).
//!
//! [`load`] reads a file, [`parse`] a text; both give a [`Fleet`](model::Fleet) or all findings at once. To add a
//! key: see `raw`; to add a rule: see `rules`.

mod file;
mod hidden;
pub mod model;
mod raw;
mod rule;
mod rules;
mod shape;
mod values;
mod yaml;

pub use file::{LoadError, load};
pub use rule::Rule;

use crate::diag::{Findings, Problem, Report};

/// Largest file in bytes: 4,096 nodes and as many services take less than 1 MiB.
pub const LARGEST: usize = 8 << 20;

/// A fleet without errors, and what is worth a second look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The fleet.
    pub fleet: model::Fleet,
    /// Warnings only; empty when there are none.
    pub warnings: Report,
}

/// Judges the text of a fleet file; `origin` is the file as the user named it.
///
/// Never panics, whatever the text; time and memory grow linearly with it, up to [`LARGEST`] bytes.
pub fn parse(text: &str, origin: &str) -> Result<Parsed, Report> {
    let mut findings = Findings::default();
    match judge(text, &mut findings) {
        Ok(fleet) if !findings.has_errors() => Ok(Parsed { fleet, warnings: findings.report(origin, text) }),
        _ => Err(findings.report(origin, text)),
    }
}

fn judge(text: &str, findings: &mut Findings) -> shape::Given<model::Fleet> {
    if text.len() > LARGEST {
        return Err(findings.error_in_file(too_large(text.len() as u64)));
    }
    hidden::private_keys(text, findings);
    let root = yaml::parse(text, findings)?;
    let raw = raw::read(&root, findings)?;
    rules::judge(&raw, findings)
}

fn too_large(bytes: u64) -> Problem {
    Problem::new(Rule::FileTooLarge, format!("the file has {bytes} bytes; a fleet has at most {LARGEST}"))
        .hint("is this the right file?")
}
