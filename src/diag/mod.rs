//! What is wrong with an input, said well: findings with a place in the file, hints, and secrets that are not printed.
//!
//! Not here: the rules themselves (`fleet::rule`) and where the text goes (`sys::printer`). To add a form of output
//! (SARIF, say), add a file beside `text` that takes a [`Report`].

mod finding;
mod quote;
mod refusal;
mod report;
mod secret;
mod snippet;
mod text;

pub use finding::{Findings, Problem, Reported, Severity, Span, Spanned};
pub(crate) use quote::is_plain;
pub use quote::{escape, quote};
pub use refusal::{Refusal, RefusalKind};
pub use report::{Finding, Place, Report};
pub use secret::Secret;
