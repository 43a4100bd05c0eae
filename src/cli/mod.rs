//! The command line: clap structs, one file per command; what was typed becomes a request for `command`.
//!
//! Not here: the work. To add a command: a file with its arguments and `fn request`, a variant of `Command`, and
//! an arm in `dispatch`.

mod build;
mod check;
mod failure;
mod init;
mod rehearse;

use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::{Parser, Subcommand};

use crate::command::{self, Outcome};
use crate::sys::printer::Printer;

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    name = "meshboot",
    version,
    about = "One fleet.yaml becomes everything that makes a home reachable from the internet",
    after_help = "Exit codes: 0 done; 1 the input or a finding; 2 usage or anything unexpected.",
    propagate_version = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write what every node boots from: user-data, seed, bundle, launch sheet
    Build(build::Arguments),
    /// Report every finding of a fleet file; writes nothing
    Check(check::Arguments),
    /// Write a commented fleet file from a few questions, or from flags without questions
    Init(init::Arguments),
    /// Run the whole fleet on this machine with the real programs, break it, and report what a visitor noticed
    Rehearse(rehearse::Arguments),
}

/// A path as an argument: an empty one, as an unset variable gives, is a mistake in the call.
fn path(text: &str) -> Result<Utf8PathBuf, &'static str> {
    if text.is_empty() { Err("a path is not empty") } else { Ok(text.into()) }
}

/// Parses the arguments, runs the command and reports the process's exit code:
/// 0 done; 1 the input or a finding; 2 usage or anything unexpected.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are errors of code 0 here; a reader that went away is no reason to fail.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let mut printer = Printer::of_process();
    match dispatch(cli.command, &mut printer) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Refused) => ExitCode::from(1),
        Err(error) => failure::report(&error, &mut printer),
    }
}

fn dispatch(command: Command, printer: &mut Printer) -> anyhow::Result<Outcome> {
    match command {
        Command::Build(arguments) => command::build::run(&arguments.request(), printer),
        Command::Check(arguments) => command::check::run(&arguments.request(), printer),
        Command::Init(arguments) => init::run(arguments, printer),
        Command::Rehearse(arguments) => arguments.run(printer),
    }
}
