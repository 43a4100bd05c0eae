//! An error with a remedy and an exit code, for everything that is not a finding at a place in a file.
//!
//! Anything else that goes wrong is unexpected and needs no type: `anyhow` carries it, and the exit code is 2.

use std::fmt;

/// Whom a refusal speaks to; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// What was given cannot be worked with: exit code 1.
    Input,
    /// The command was called wrongly: exit code 2.
    Usage,
}

/// Work that is refused, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Input or usage.
    pub kind: RefusalKind,
    /// Lower case, no final period, values in backticks.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Refusal {
    /// The input cannot be worked with.
    pub fn input(message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::Input, message: message.into(), hint: None }
    }

    /// The command was called wrongly.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::Usage, message: message.into(), hint: None }
    }

    /// The input cannot be worked with, for the reason that an error and its sources give.
    #[must_use]
    pub fn from_error(error: &dyn std::error::Error, hint: Option<String>) -> Self {
        let sources = std::iter::successors(error.source(), |source| source.source());
        let message = sources.fold(error.to_string(), |message, source| format!("{message}: {source}"));
        Self { kind: RefusalKind::Input, message, hint }
    }

    /// The same with a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}
