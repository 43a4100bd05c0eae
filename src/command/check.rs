//! `meshboot check`: reports every finding of a fleet file and writes nothing.

use anyhow::Context as _;
use camino::Utf8PathBuf;

use super::Outcome;
use crate::diag::Report;
use crate::fleet::{self, LoadError};
use crate::sys::printer::Printer;

/// What to check, and how to say it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The fleet file.
    pub fleet: Utf8PathBuf,
    /// Warnings refuse the file too.
    pub strict: bool,
    /// Findings as JSON.
    pub json: bool,
}

/// Findings go to stdout, the count of them to stderr.
pub fn run(request: &Request, printer: &mut Printer) -> anyhow::Result<Outcome> {
    let (report, has_errors) = match fleet::load(&request.fleet) {
        Ok(parsed) => (parsed.warnings, false),
        Err(LoadError::Findings(report)) => (report, true),
        Err(LoadError::Unreadable(refusal)) => return Err(refusal.into()),
    };
    show(&report, request.json, printer)?;
    let refused = has_errors || (request.strict && !report.is_empty());
    Ok(if refused { Outcome::Refused } else { Outcome::Done })
}

fn show(report: &Report, json: bool, printer: &mut Printer) -> anyhow::Result<()> {
    let text = if json {
        let mut text = serde_json::to_string_pretty(report).context("writing findings as JSON")?;
        text.push('\n');
        text
    } else {
        report.to_text(printer.colours_data())
    };
    printer.data(&text).context("writing findings")?;
    if !json {
        printer.talk(&format!("{}: {}", crate::diag::escape(&report.file), report.summary()));
    }
    Ok(())
}
