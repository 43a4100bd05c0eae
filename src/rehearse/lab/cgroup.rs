//! A control group of its own for every node: systemd stops a service by ending its whole group, so nodes that shared
//! one would end each other's services. It also ends a node whole (cgroups(7), `cgroup.kill`).
//!
//! Only the unified hierarchy (version 2) is used, wherever it is mounted. Groups lie beside this process's own.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// How long a group may take to be empty once it was killed.
const END: Duration = Duration::from_secs(10);

/// Where a group of this name lies, beside this process's own.
pub fn place(name: &str) -> Result<PathBuf> {
    let mount = mounted("cgroup2 ").context("finding a mounted cgroup2 file system")?;
    let own = fs::read_to_string("/proc/self/cgroup").context("reading /proc/self/cgroup")?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).context("finding the own cgroup")?;
    Ok(mount.join(own).join(name))
}

/// Where a hierarchy is mounted whose type and options, as in `cgroup cgroup rw,name=systemd`, hold these words.
fn mounted(words: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    // Fields: id, parent, device, root, mount point, …, ` - `, type, source, options (proc(5)).
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        (kind.starts_with("cgroup") && kind.contains(words))
            .then(|| place.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// The same group in systemd's hierarchy of version 1, which systemd-nspawn makes where a machine has both.
fn shadow(place: &Path) -> Option<PathBuf> {
    Some(mounted("name=systemd")?.join(place.strip_prefix(mounted("cgroup2 ")?).ok()?))
}

/// Makes an empty group.
pub fn make(place: &Path) -> Result<()> {
    fs::create_dir(place).with_context(|| format!("making the control group `{}`", place.display()))
}

/// Ends everything in a group and removes it; one that is not there is gone already.
pub fn remove(place: &Path) -> Result<()> {
    let end = Instant::now() + END;
    loop {
        // A group that is gone has nothing to kill.
        let _ = fs::write(place.join("cgroup.kill"), "1");
        let removed = remove_tree(place).and_then(|()| shadow(place).as_deref().map_or(Ok(()), remove_tree));
        match removed {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= end => {
                return Err(error)
                    .with_context(|| format!("removing the control group `{}`", place.display()));
            }
            // What was killed takes a moment to be gone.
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Groups are folders whose files cannot be removed: only the folders are, from the leaves up.
fn remove_tree(place: &Path) -> std::io::Result<()> {
    let entries = match fs::read_dir(place) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(place)
}
