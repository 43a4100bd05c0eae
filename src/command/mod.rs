//! The verbs: one file per command, `run(request, …) -> anyhow::Result<Outcome>`.
//!
//! A request is what was meant, already free of the command line's types. Not here: arguments (`cli`). To add a
//! verb: a file here, a file in `cli`, and a line in `cli::Command`.

pub mod build;
pub mod check;
pub mod init;
pub mod rehearse;

/// How a command ended that did its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done: exit code 0.
    Done,
    /// The input has findings, which were shown: exit code 1.
    Refused,
}
