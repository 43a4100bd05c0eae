//! The binary: runs the command line and reports its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    meshboot::cli::main()
}
