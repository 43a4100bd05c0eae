//! A program that runs beside the rehearsal, in a network of the lab's.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use wait_timeout::ChildExt as _;

use super::super::registry::{Made, Process, Registry};
use crate::sys::subprocess;

/// How long a killed program may take to be gone.
const END: Duration = Duration::from_secs(10);

/// How long a program may take to follow its children.
const GRACE: Duration = Duration::from_millis(500);

/// Lines of a log that an error shows.
const SHOWN_LINES: usize = 15;

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    log: PathBuf,
    name: String,
}

impl Program {
    /// Starts it; what it says goes to `log`.
    pub fn start(registry: &Arc<Registry>, argv: &[impl AsRef<str>], log: &Path) -> Result<Self> {
        let argv: Vec<&str> = argv.iter().map(AsRef::as_ref).collect();
        let name = log.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let file = File::options().append(true).create(true).open(log);
        let file = file.with_context(|| format!("making `{}`", log.display()))?;
        let child = subprocess::start(&argv, &file)?;
        let program = Self { child, log: log.to_owned(), name };
        // One that has ended already leaves nothing to write down.
        if let Some(process) = Process::running(program.id()) {
            registry.add(&Made::Process(process))?;
        }
        Ok(program)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// An error that shows what it said last, when it runs no more.
    pub fn check(&mut self) -> Result<()> {
        match self.ended() {
            None => Ok(()),
            Some(status) => anyhow::bail!("`{}` ended ({status}): {}", self.name, self.last_words()),
        }
    }

    /// The end of what it has said.
    #[must_use]
    pub fn last_words(&self) -> String {
        let text = self.said();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }

    /// All that it has said.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits for its end, for so long.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        self.child.wait_timeout(limit).with_context(|| format!("waiting for the end of `{}`", self.name))
    }

    /// Kills it and waits for its end.
    pub fn take_down(&mut self) -> Result<()> {
        if self.ended().is_some() {
            return Ok(());
        }
        // What it has started for us (`unshare --fork`, `nsenter --pid`) goes first: then it ends by itself, and has
        // reaped its own.
        for child in children(self.id()) {
            child.kill();
        }
        if self.wait(GRACE)?.is_some() {
            return Ok(());
        }
        // It may end in this very moment.
        let _ = self.child.kill();
        let ended = self.wait(END)?;
        anyhow::ensure!(ended.is_some(), "`{}` (process {}) does not end", self.name, self.id());
        Ok(())
    }
}

/// Processes that a process has started and not reaped.
#[must_use]
pub fn children(id: u32) -> Vec<Process> {
    let list = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|id| Process::running(id.parse().ok()?)).collect()
}

impl Drop for Program {
    fn drop(&mut self) {
        // Whoever wants to hear of an error takes it down by hand.
        let _ = self.take_down();
    }
}
