//! Single values: text in, a typed value or a problem out, no place and no other value known.
//!
//! To add a kind of value: a file with a `parse(text) -> Result<T, Problem>` and a table of tests.

pub(super) mod address;
pub(super) mod domain;
pub(super) mod email;
pub(super) mod host;
pub(super) mod name;
pub(super) mod network;
pub(super) mod peer;
pub(super) mod secret;
pub(super) mod ssh_key;
pub(super) mod upstream;
pub(super) mod url;

#[cfg(test)]
pub(super) fn rule_of<T>(result: Result<T, crate::diag::Problem>) -> &'static str {
    result.map_or_else(|problem| problem.rule, |_| "ok")
}
