//! Reading a fleet file: bounded, and with an error for everything that a path can be. `-` is standard input.

use std::fs::File;
use std::io::{self, ErrorKind, Read};

use camino::Utf8Path;

use super::rule::Rule;
use super::{LARGEST, Parsed, parse, too_large};
use crate::diag::{Findings, Problem, Refusal, Report, Span};

/// Why there is no fleet.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file was read, and breaks rules.
    #[error(transparent)]
    Findings(#[from] Report),
    /// The file could not be read.
    #[error(transparent)]
    Unreadable(#[from] Refusal),
}

/// Reads and judges a fleet file.
pub fn load(path: &Utf8Path) -> Result<Parsed, LoadError> {
    let bytes = read(path)?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Err(not_utf8(path, &error).into()),
    };
    Ok(parse(&text, path.as_str())?)
}

fn read(path: &Utf8Path) -> Result<Vec<u8>, LoadError> {
    if path == "-" {
        return read_bounded(path, io::stdin().lock());
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    if metadata.is_dir() {
        let inside = path.join("fleet.yaml");
        let refusal = Refusal::input(format!("reading `{path}`: it is a folder"));
        return Err(refusal.hint(format!("name the file in it, as in `{inside}`")).into());
    }
    if metadata.len() > LARGEST as u64 {
        return Err(too_large_report(path, metadata.len()).into());
    }
    read_bounded(path, file)
}

fn read_bounded(path: &Utf8Path, file: impl Read) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    // A pipe or a file that grows has no length beforehand: one byte more than allowed tells.
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    if bytes.len() > LARGEST {
        return Err(too_large_report(path, bytes.len() as u64).into());
    }
    Ok(bytes)
}

fn unreadable(path: &Utf8Path, error: &std::io::Error) -> Refusal {
    let (why, hint) = match error.kind() {
        ErrorKind::NotFound => {
            ("there is no such file", format!("`meshboot init {path}` writes one to start from"))
        }
        ErrorKind::PermissionDenied => ("permission denied", format!("`ls -l {path}` shows who may read it")),
        _ => return Refusal::input(format!("reading `{path}`: {error}")),
    };
    Refusal::input(format!("reading `{path}`: {why}")).hint(hint)
}

fn too_large_report(path: &Utf8Path, bytes: u64) -> Report {
    let mut findings = Findings::default();
    findings.error_in_file(too_large(bytes));
    findings.report(path.as_str(), "")
}

/// A finding at the first byte that is not UTF-8; what follows is not shown.
fn not_utf8(path: &Utf8Path, error: &std::string::FromUtf8Error) -> Report {
    let good = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(&error.as_bytes()[..good]);
    let mut findings = Findings::default();
    let problem = Problem::new(Rule::NotUtf8, "the file is not UTF-8 text from here on");
    let hint = if error.as_bytes().starts_with(b"\xff\xfe") || error.as_bytes().starts_with(b"\xfe\xff") {
        "it is UTF-16: save it as UTF-8"
    } else {
        "save it as UTF-8, or is this the right file?"
    };
    findings.error(Span { start: good, end: good }, problem.hint(hint));
    findings.report(path.as_str(), &text)
}
