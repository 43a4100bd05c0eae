//! The command line: clap structs, one file per command; what was typed becomes a request for `command`.

use std::process::ExitCode;

/// Parses the arguments, runs the command and reports the process's exit code:
/// 0 done; 1 the input or a finding; 2 usage or anything unexpected.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::from(2)
}
