//! Runs a program with a time limit and keeps what it said.
//!
//! Not here: where it runs (`judge`, `machine`, `network` put their own words in front of the argv).

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::time::Duration;

use wait_timeout::ChildExt;

/// What a program did.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The program and its arguments.
    pub(crate) argv: Vec<String>,
    /// Exit code; `None` when a signal or the time limit ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Outcome {
    /// Whether it exited with 0.
    pub(crate) fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// Its standard output, or a panic that shows all of it.
    #[track_caller]
    pub(crate) fn expect_success(self) -> String {
        assert!(self.succeeded(), "{self}");
        self.stdout
    }

    /// Its standard output, or an error that shows all of it.
    pub(crate) fn success(self) -> anyhow::Result<String> {
        anyhow::ensure!(self.succeeded(), "{self}");
        Ok(self.stdout)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end =
            self.code.map_or("ended by a signal or its time limit".to_owned(), |code| format!("exit {code}"));
        write!(
            f,
            "`{}`: {end}\n--- stdout\n{}\n--- stderr\n{}",
            self.argv.join(" "),
            self.stdout,
            self.stderr
        )
    }
}

/// Runs `argv`; it is killed when `limit` has passed.
pub(crate) fn run(argv: &[&str], limit: Duration) -> Outcome {
    run_with_input(argv, Stdio::null(), limit)
}

/// As [`run`], with something on standard input.
pub(crate) fn run_with_input(argv: &[&str], input: Stdio, limit: Duration) -> Outcome {
    let (mut stdout, mut stderr) = (scratch_file(), scratch_file());
    let mut child = Command::new(argv[0])
        .args(&argv[1..])
        .stdin(input)
        .stdout(stdout.try_clone().expect("a file descriptor to spare"))
        .stderr(stderr.try_clone().expect("a file descriptor to spare"))
        .spawn()
        .unwrap_or_else(|error| panic!("starting `{}`: {error}", argv[0]));
    let status = child.wait_timeout(limit).expect("waiting for a child of ours");
    if status.is_none() {
        // It may end by itself in this very moment; either way it is reaped.
        let _ = child.kill();
        let _ = child.wait();
    }
    Outcome {
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        code: status.and_then(|status| status.code()),
        stdout: contents(&mut stdout),
        stderr: contents(&mut stderr),
    }
}

/// Files, not pipes: a program that writes much and a child that outlives it cannot block the reader.
fn scratch_file() -> File {
    tempfile::tempfile().expect("a temporary file")
}

fn contents(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().expect("rewinding a temporary file");
    file.read_to_end(&mut bytes).expect("reading a temporary file");
    String::from_utf8_lossy(&bytes).into_owned()
}
