//! Findings while they are collected: a problem, where it is, and the proof that it was reported.
//!
//! Not here: lines and columns, which [`Report`](super::Report) works out once at the end.

use super::report::Report;

/// How many errors are kept, and how many warnings; the rest is counted. A file with more than this is broken in one place only.
const KEPT: usize = 1_000;

/// A range of bytes in the source text, end excluded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place in the source text.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// The same place with another value.
    pub fn with<U>(&self, value: U) -> Spanned<U> {
        Spanned { value, span: self.span }
    }
}

/// Whether a finding stops the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing is built from this file.
    Error,
    /// Built all the same, unless `--strict`.
    Warning,
}

/// What is wrong, apart from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The rule's identifier in kebab-case.
    pub rule: &'static str,
    /// One sentence without final period, values in backticks.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where the first of two equal things is.
    pub first: Option<Span>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(rule: impl Into<&'static str>, message: impl Into<String>) -> Self {
        Self { rule: rule.into(), message: message.into(), hint: None, first: None }
    }

    /// The same with a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, repeating what stands at `span`.
    #[must_use]
    pub fn first(mut self, span: Span) -> Self {
        self.first = Some(span);
        self
    }
}

/// Proof that an error was reported: a `Result<T, Reported>` cannot go wrong in silence.
///
/// Only [`Findings::error`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported(());

/// One problem at its place.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) severity: Severity,
    pub(super) span: Option<Span>,
    pub(super) problem: Problem,
}

/// All findings of one file, in the order in which they were noticed.
#[derive(Debug, Default)]
pub struct Findings {
    pub(super) entries: Vec<Entry>,
    pub(super) redacted: Vec<Span>,
    pub(super) omitted: usize,
    errors: usize,
    warnings: usize,
}

impl Findings {
    /// Reports an error at a place.
    pub fn error(&mut self, span: Span, problem: Problem) -> Reported {
        self.push(Severity::Error, Some(span), problem);
        Reported(())
    }

    /// Reports an error that concerns the whole file.
    pub fn error_in_file(&mut self, problem: Problem) -> Reported {
        self.push(Severity::Error, None, problem);
        Reported(())
    }

    /// Reports a warning at a place.
    pub fn warning(&mut self, span: Span, problem: Problem) {
        self.push(Severity::Warning, Some(span), problem);
    }

    /// Keeps a place that holds a secret out of every line that is shown.
    pub fn redact(&mut self, span: Span) {
        self.redacted.push(span);
    }

    /// Whether any error was reported.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Works out lines and columns, sorts by position, and takes secrets out of the lines shown.
    #[must_use]
    pub fn report(self, origin: &str, source: &str) -> Report {
        Report::new(self, origin, source)
    }

    fn push(&mut self, severity: Severity, span: Option<Span>, problem: Problem) {
        let count = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count <= KEPT {
            self.entries.push(Entry { severity, span, problem });
        } else {
            self.omitted += 1;
        }
    }
}
