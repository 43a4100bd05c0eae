//! Other programs: run with a time limit and all that they said, or started to run beside us.
//!
//! Programs that run beside us get a process group of their own, so that Ctrl-C on a terminal reaches us alone and we
//! end them in order; and they are started by one thread that lives as long as the process, because a death signal
//! (`setpriv --pdeathsig`) goes out when the starting *thread* ends. Not here: what is run.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use wait_timeout::ChildExt as _;

/// Characters of standard error that an error shows.
const SHOWN_CHARACTERS: usize = 2_000;

/// What a program did.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Exit code; `None` when a signal or the time limit ended it.
    pub code: Option<i32>,
    /// Whether the time limit ended it.
    pub timed_out: bool,
    /// Standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Standard error, as standard output.
    pub stderr: String,
}

impl Outcome {
    /// Whether it exited with 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// Its standard output, or an error that shows the command, how it ended, and the end of what it complained.
    pub fn success(self) -> Result<String> {
        if self.succeeded() { Ok(self.stdout) } else { Err(anyhow!("{self}")) }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.argv.join(" "))?;
        match self.code {
            Some(code) => write!(f, " ended with {code}")?,
            None if self.timed_out => f.write_str(" took too long and was ended")?,
            None => f.write_str(" was ended by a signal")?,
        }
        // Programs that explain themselves do so on either stream.
        let said = if self.stderr.trim().is_empty() { self.stdout.trim() } else { self.stderr.trim() };
        let skipped = said.chars().count().saturating_sub(SHOWN_CHARACTERS);
        let end: String = said.chars().skip(skipped).collect();
        if end.is_empty() { Ok(()) } else { write!(f, ": {end}") }
    }
}

/// Runs a program; it is killed when `limit` has passed. An error means that it could not be started.
pub fn run(argv: &[impl AsRef<OsStr>], limit: Duration) -> Result<Outcome> {
    run_with_input(argv, b"", limit)
}

/// As [`run`], with bytes on standard input.
pub fn run_with_input(argv: &[impl AsRef<OsStr>], input: &[u8], limit: Duration) -> Result<Outcome> {
    let shown: Vec<String> = argv.iter().map(|word| word.as_ref().to_string_lossy().into_owned()).collect();
    let starting = || format!("running `{}`", shown.join(" "));
    let (program, arguments) = argv.split_first().context("running a program without a name")?;
    // Files, not pipes: a program that writes much and a child that outlives it cannot block us.
    let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let stdin = if input.is_empty() { Stdio::null() } else { holding(input)?.into() };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(stdin)
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .process_group(0)
        .spawn()
        .with_context(starting)?;
    let status = child.wait_timeout(limit).with_context(starting)?;
    if status.is_none() {
        // It may end by itself in this very moment; either way it is reaped.
        let _ = child.kill();
        child.wait().with_context(starting)?;
    }
    Ok(Outcome {
        code: status.and_then(|status| status.code()),
        timed_out: status.is_none(),
        stdout: text(&mut stdout)?,
        stderr: text(&mut stderr)?,
        argv: shown,
    })
}

fn holding(bytes: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

fn text(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Starts a program that runs beside us, with nothing on standard input and all that it says going to `log`.
/// The caller ends and reaps it.
pub fn start(argv: &[impl AsRef<OsStr>], log: &File) -> Result<Child> {
    let argv: Vec<OsString> = argv.iter().map(|word| word.as_ref().to_owned()).collect();
    let (program, arguments) = argv.split_first().context("starting a program without a name")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .process_group(0);
    let (answer, answers) = channel();
    let order = Order { command, answer };
    let gone = "the thread that starts programs is gone";
    starter().lock().unwrap_or_else(PoisonError::into_inner).send(order).context(gone)?;
    answers.recv().context(gone)?.with_context(|| format!("starting `{}`", program.display()))
}

struct Order {
    command: Command,
    answer: Sender<io::Result<Child>>,
}

/// The thread that starts programs.
fn starter() -> &'static Mutex<Sender<Order>> {
    static STARTER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    STARTER.get_or_init(|| {
        let (sender, orders) = channel::<Order>();
        std::thread::spawn(move || {
            for mut order in orders {
                // Whoever asked has gone if nobody takes the answer: then the child is dropped, and ends with us.
                let _ = order.answer.send(order.command.spawn());
            }
        });
        Mutex::new(sender)
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{run, run_with_input};

    #[test]
    fn says_how_a_program_ended() {
        let limit = Duration::from_secs(10);
        let fine = run_with_input(&["cat"], b"hello", limit).expect("it runs");
        assert_eq!((fine.code, fine.stdout.as_str()), (Some(0), "hello"));
        let failed = run(&["sh", "-c", "echo why >&2; exit 3"], limit).expect("it runs");
        assert_eq!(failed.to_string(), "`sh -c echo why >&2; exit 3` ended with 3: why");
        let missing = run(&["/nowhere/at/all"], limit).expect_err("it is not there");
        assert_eq!(missing.to_string(), "running `/nowhere/at/all`");
    }

    #[test]
    fn ends_a_program_at_its_limit() {
        let start = Instant::now();
        let late = run(&["sleep", "60"], Duration::from_millis(100)).expect("it runs");
        assert!(late.timed_out && start.elapsed() < Duration::from_secs(10), "{late:?}");
    }
}
