//! What a rehearsal has made on this machine, written down as it is made, so that whatever a killed one left is taken
//! away by the next: `/run/meshboot/rehearse/<process id>/made`.
//!
//! Processes are known by their id and start time, never by a name. Mounts are all in mount namespaces of those
//! processes, and end with them. Not here: the orderly end, which is each part's own (`Drop` and `take_down`).

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};

use super::lab::cgroup;
use crate::sys::subprocess;

/// Where all rehearsals of this machine write down what they make.
pub const FOLDER: &str = "/run/meshboot/rehearse";

/// The file in a rehearsal's own folder.
const MADE: &str = "made";

/// How long killed processes may take to end.
const END: Duration = Duration::from_secs(10);

/// Something that has to go again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// The rehearsal's own process; comes first.
    Owner(Process),
    /// A network namespace under its name.
    Namespace(String),
    /// A node's control group, with all that runs in it.
    Cgroup(PathBuf),
    /// A program.
    Process(Process),
    /// A folder with everything in it.
    Folder(PathBuf),
    /// A node that runs: its name, and process 1 of its container. It ends with its manager.
    Node(String, Process),
}

/// A process that cannot be taken for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub id: u32,
    /// When it started, in the kernel's ticks since boot (proc(5), `stat`, field 22).
    pub started: u64,
}

impl Process {
    /// A process that runs now.
    #[must_use]
    pub fn running(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name in parentheses may hold anything; the state is field 3.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        if matches!(fields.next()?, "Z" | "X") {
            return None;
        }
        Some(Self { id, started: fields.nth(18)?.parse().ok()? })
    }

    /// Whether it still runs.
    #[must_use]
    pub fn runs(self) -> bool {
        Self::running(self.id) == Some(self)
    }

    /// Kills it; one that has ended is none of our business.
    pub fn kill(self) {
        if self.runs()
            && let Some(id) = i32::try_from(self.id).ok().and_then(Pid::from_raw)
        {
            // It may have ended in between.
            let _ = kill_process(id, Signal::KILL);
        }
    }
}

/// The list of one rehearsal; it ends, and is removed, with the value.
#[derive(Debug)]
pub struct Registry {
    folder: PathBuf,
    file: Mutex<File>,
}

impl Registry {
    /// Begins the list of this process.
    pub fn begin() -> Result<Self> {
        let id = std::process::id();
        let folder = Path::new(FOLDER).join(id.to_string());
        // Under another name until the owner stands in it: others take away what has no living owner.
        let beginning = Path::new(FOLDER).join(format!(".{id}"));
        let making = || format!("making `{}`", folder.display());
        fs::create_dir_all(&beginning).with_context(making)?;
        let file =
            OpenOptions::new().append(true).create(true).open(beginning.join(MADE)).with_context(making)?;
        let registry = Self { folder: folder.clone(), file: Mutex::new(file) };
        registry.add(&Made::Owner(Process::running(id).context("finding this process in /proc")?))?;
        fs::rename(&beginning, &folder).with_context(making)?;
        Ok(registry)
    }

    /// Writes down one thing: before it is made, where its name is known then.
    pub fn add(&self, made: &Made) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(line(made).as_bytes()).context("writing down what is made")
    }

    /// Everything is gone: so is the list.
    pub fn end(self) -> Result<()> {
        fs::remove_dir_all(&self.folder).with_context(|| format!("removing `{}`", self.folder.display()))
    }
}

fn line(made: &Made) -> String {
    match made {
        Made::Owner(process) => format!("owner {} {}\n", process.id, process.started),
        Made::Namespace(name) => format!("namespace {name}\n"),
        Made::Cgroup(path) => format!("cgroup {}\n", path.display()),
        Made::Process(process) => format!("process {} {}\n", process.id, process.started),
        Made::Folder(path) => format!("folder {}\n", path.display()),
        Made::Node(name, process) => format!("node {name} {} {}\n", process.id, process.started),
    }
}

fn parse(line: &str) -> Option<Made> {
    let (kind, rest) = line.split_once(' ')?;
    let process = |text: &str| {
        let (id, started) = text.split_once(' ')?;
        Some(Process { id: id.parse().ok()?, started: started.parse().ok()? })
    };
    Some(match kind {
        "owner" => Made::Owner(process(rest)?),
        "namespace" => Made::Namespace(rest.to_owned()),
        "process" => Made::Process(process(rest)?),
        "cgroup" => Made::Cgroup(rest.into()),
        "folder" => Made::Folder(rest.into()),
        "node" => {
            let (name, rest) = rest.split_once(' ')?;
            Made::Node(name.to_owned(), process(rest)?)
        }
        _ => return None,
    })
}

/// A rehearsal that was begun on this machine.
#[derive(Debug)]
pub struct Listed {
    folder: PathBuf,
    /// What it has made, the owner left out.
    pub made: Vec<Made>,
    /// Whether it still runs.
    pub runs: bool,
}

/// All rehearsals that were begun on this machine and not ended.
pub fn list() -> Result<Vec<Listed>> {
    let entries = match fs::read_dir(FOLDER) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("reading `{FOLDER}`")),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("reading `{FOLDER}`"))?;
        let folder = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        // One that ended in this moment is no longer there.
        let text = fs::read_to_string(folder.join(MADE)).unwrap_or_default();
        let mut made: Vec<Made> = text.lines().filter_map(parse).collect();
        let owner =
            made.iter().find_map(|made| if let Made::Owner(owner) = made { Some(*owner) } else { None });
        made.retain(|made| !matches!(made, Made::Owner(_)));
        found.push(Listed { folder, made, runs: owner.is_some_and(Process::runs) });
    }
    Ok(found)
}

/// Takes away all that rehearsals left which no longer run. Returns how many there were, and what could not be done.
pub fn sweep() -> Result<(usize, Vec<anyhow::Error>)> {
    let stale: Vec<Listed> = list()?.into_iter().filter(|listed| !listed.runs).collect();
    let mut errors = Vec::new();
    for listed in &stale {
        take_away(listed, &mut errors);
    }
    Ok((stale.len(), errors))
}

fn take_away(listed: &Listed, errors: &mut Vec<anyhow::Error>) {
    let before = errors.len();
    let processes: Vec<Process> = listed
        .made
        .iter()
        .filter_map(|made| match made {
            Made::Process(process) | Made::Node(_, process) => Some(*process),
            _ => None,
        })
        .collect();
    for process in &processes {
        process.kill();
    }
    let end = Instant::now() + END;
    while processes.iter().any(|process| process.runs()) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    errors.extend(
        processes.iter().filter(|process| process.runs()).map(|it| anyhow!("process {} does not end", it.id)),
    );
    for made in &listed.made {
        match made {
            Made::Cgroup(path) => errors.extend(cgroup::remove(path).err()),
            Made::Namespace(name) => errors.extend(remove_namespace(name).err()),
            Made::Folder(path) => errors.extend(remove_folder(path).err()),
            _ => {}
        }
    }
    // What could not be done is tried again next time.
    if errors.len() == before
        && let Err(error) = fs::remove_dir_all(&listed.folder)
    {
        errors.push(anyhow!(error).context(format!("removing `{}`", listed.folder.display())));
    }
}

/// Removes a network namespace's name; one that is not there is gone already.
pub(super) fn remove_namespace(name: &str) -> Result<()> {
    if !Path::new("/run/netns").join(name).exists() {
        return Ok(());
    }
    subprocess::run(&["ip", "netns", "delete", name], Duration::from_secs(20))?.success()?;
    Ok(())
}

/// Removes a folder of ours; one that is not there is gone already. The kernel lets go of a killed container's mounts
/// a moment after its last process, so it is tried again for a while.
pub(super) fn remove_folder(path: &Path) -> Result<()> {
    let end = Instant::now() + END;
    loop {
        match fs::remove_dir_all(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() >= end => {
                return Err(error).with_context(|| format!("removing `{}`", path.display()));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Made, Process, line, parse};

    #[test]
    fn what_is_written_down_is_read_again() {
        let process = Process { id: 12, started: 3_456_789 };
        for made in [
            Made::Owner(process),
            Made::Namespace("mbr-12-fra1".to_owned()),
            Made::Cgroup("/sys/fs/cgroup/mbr-12-fra1".into()),
            Made::Process(process),
            Made::Folder("/var/cache/with a space".into()),
            Made::Node("fra1".to_owned(), process),
        ] {
            assert_eq!(parse(line(&made).trim_end()), Some(made));
        }
    }

    #[test]
    fn a_process_is_not_taken_for_another() {
        let me = Process::running(std::process::id()).expect("this process runs");
        assert!(me.runs());
        assert!(!Process { started: me.started + 1, ..me }.runs());
    }
}
