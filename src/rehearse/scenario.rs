//! What a scenario is and what comes out of one.
//!
//! A scenario is a line in `scenarios::ALL`: it gets a lab whose fleet serves, may do to it what it likes, puts
//! everything back, and says what it measured against which limit. To add one: a file under `scenarios/`, and its line.

use serde::Serialize;

use super::lab::Lab;
use super::plan::Plan;

/// One thing that a rehearsal proves.
#[derive(Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it shows, in a sentence.
    pub about: &'static str,
    /// Why it cannot be shown with this fleet; nothing where it can.
    pub unfit: fn(&Plan) -> Option<&'static str>,
    /// Runs it. An error means that it could not be judged, and counts as failed.
    pub run: fn(&mut Lab) -> anyhow::Result<Verdict>,
}

/// For [`Scenario::unfit`]: fits every fleet.
#[must_use]
pub fn fits_all(_: &Plan) -> Option<&'static str> {
    None
}

/// What came out of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verdict {
    /// Whether it held.
    pub result: Judgement,
    /// What was measured.
    pub numbers: Vec<Number>,
    /// What a reader should know: for a failure what exactly was seen, and where.
    pub notes: Vec<String>,
}

/// How a scenario ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// Every limit was kept.
    Passed,
    /// Some was not.
    Failed,
    /// It was not run; a note says why.
    Skipped,
}

/// Something that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Number {
    /// What it is, as in `worst added delay`.
    pub label: String,
    /// How much.
    pub value: f64,
    /// Of what, as in `s`.
    pub unit: &'static str,
    /// What it must not exceed, or fall short of; nothing for what is only told.
    pub limit: Option<Limit>,
}

impl Number {
    /// Whether the limit was kept.
    #[must_use]
    pub fn holds(&self) -> bool {
        match self.limit {
            None => true,
            Some(Limit::AtMost(most)) => self.value <= most,
            Some(Limit::AtLeast(least)) => self.value >= least,
        }
    }
}

/// A bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Verdict {
    /// Nothing measured yet, and nothing wrong.
    #[must_use]
    pub fn new() -> Self {
        Self { result: Judgement::Passed, numbers: Vec::new(), notes: Vec::new() }
    }

    /// It was not run.
    #[must_use]
    pub fn skipped(why: impl Into<String>) -> Self {
        Self { result: Judgement::Skipped, numbers: Vec::new(), notes: vec![why.into()] }
    }

    /// It could not be judged.
    #[must_use]
    pub fn broken(error: &anyhow::Error) -> Self {
        let mut verdict = Self::new();
        verdict.fail(format!("{error:#}"));
        verdict
    }

    /// Whether nothing was wrong.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.result != Judgement::Failed
    }

    /// Adds a number; one beyond its limit fails the scenario.
    pub fn measure(
        &mut self,
        label: impl Into<String>,
        value: f64,
        unit: &'static str,
        limit: Option<Limit>,
    ) {
        let number = Number { label: label.into(), value, unit, limit };
        if !number.holds() {
            self.result = Judgement::Failed;
        }
        self.numbers.push(number);
    }

    /// Adds a count of things that went wrong, of which there may be none.
    #[expect(clippy::cast_precision_loss, reason = "counts of a rehearsal are far below 2^52")]
    pub fn none_of(&mut self, label: impl Into<String>, count: usize) {
        self.measure(label, count as f64, "", Some(Limit::AtMost(0.0)));
    }

    /// Fails the scenario and says why.
    pub fn fail(&mut self, why: impl Into<String>) {
        self.result = Judgement::Failed;
        self.notes.push(why.into());
    }

    /// Says something that decides nothing.
    pub fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }
}

impl Default for Verdict {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{Judgement, Limit, Verdict};

    #[test]
    fn a_number_beyond_its_limit_fails() {
        let mut verdict = Verdict::new();
        verdict.measure("delay", 2.5, "s", Some(Limit::AtMost(2.5)));
        verdict.measure("requests", 40.0, "/s", Some(Limit::AtLeast(40.0)));
        verdict.measure("memory", 900.0, "MiB", None);
        assert!(verdict.passed());
        verdict.none_of("failed requests", 1);
        assert_eq!(verdict.result, Judgement::Failed);
    }
}
