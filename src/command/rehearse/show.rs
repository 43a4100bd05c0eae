//! The outcome of a rehearsal, as a table and as JSON.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::live::word;
use crate::fleet::model::Fleet;
use crate::rehearse::Rehearsed;
use crate::rehearse::scenario::{Limit, Number};

/// For people.
pub(super) fn table(rehearsed: &Rehearsed) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "the fleet served {:.1} s after the start", rehearsed.ready_after.as_secs_f64());
    for (name, verdict, took) in &rehearsed.verdicts {
        let _ = writeln!(text, "\n{name}: {} ({:.1} s)", word(verdict), took.as_secs_f64());
        for number in &verdict.numbers {
            let _ = writeln!(text, "  {}", line(number));
        }
        for note in &verdict.notes {
            let _ = writeln!(text, "  {note}");
        }
    }
    let failed = rehearsed.verdicts.iter().filter(|(_, verdict, _)| !verdict.passed()).count();
    let _ = writeln!(text, "\n{} scenarios, {failed} failed", rehearsed.verdicts.len());
    text
}

fn line(number: &Number) -> String {
    let unit = |text: &str| if text.is_empty() { String::new() } else { format!(" {text}") };
    let limit = match number.limit {
        None => String::new(),
        Some(Limit::AtMost(most)) => format!(" (at most {most})"),
        Some(Limit::AtLeast(least)) => format!(" (at least {least})"),
    };
    let mark = if number.holds() { "" } else { "  <-- FAILED" };
    let value = if number.value.fract() == 0.0 {
        format!("{}", number.value)
    } else {
        format!("{:.2}", number.value)
    };
    format!("{:<34} {value:>10}{}{limit}{mark}", number.label, unit(number.unit))
}

/// For programs.
pub(super) fn json(fleet: &Fleet, rehearsed: &Rehearsed) -> Result<String> {
    let scenarios: Vec<_> = rehearsed
        .verdicts
        .iter()
        .map(|(name, verdict, took)| json!({"name": name, "seconds": took.as_secs_f64(), "verdict": verdict}))
        .collect();
    let value = json!({
        "version": 1,
        "fleet": fleet.name.as_str(),
        "ready-seconds": rehearsed.ready_after.as_secs_f64(),
        "scenarios": scenarios,
        "not-removed": rehearsed.left,
    });
    Ok(serde_json::to_string_pretty(&value).context("writing the outcome as JSON")? + "\n")
}
