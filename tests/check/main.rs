//! `meshboot check`, from outside: fixtures, single bad values, the command, and arbitrary input.
//!
//! To add a rule's fixture: `tests/fixtures/invalid/<rule>.yaml`; the snapshot beside it is written by
//! `INSTA_UPDATE=always cargo nextest run --test check fixture` and read by you.

mod cases;
mod command;
mod fixtures;
mod fuzz;
mod init;
mod written;

use std::path::{Path, PathBuf};

/// A folder below the crate's.
fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The YAML files of a folder, sorted; never none.
fn yaml_files(path: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(path)).unwrap_or_else(|error| panic!("reading {path}: {error}"));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry of a folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no fixture in {path}");
    files
}

/// The rules that a text breaks, each once, sorted.
fn rules_of(text: &str) -> Vec<&'static str> {
    let report = match meshboot::fleet::parse(text, "fleet.yaml") {
        Ok(parsed) => parsed.warnings,
        Err(report) => report,
    };
    let mut rules: Vec<_> = report.findings.iter().map(|finding| finding.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}
