//! The folder `.meshboot` beside a fleet file: made whole, locked, read and written with care.
//!
//! It is made under another name and renamed, so that a folder with a file missing was never left by a killed build:
//! it is a loss, and is reported as one. Not here: what the files mean (`state`, `stored`).

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use super::StateError;
use crate::sys::atomic::{self, TEMPORARY_PREFIX, WriteError};

/// Name of the folder.
const NAME: &str = ".meshboot";
/// Keeps the folder's content out of git.
const GITIGNORE: &str = ".gitignore";
/// Held while a build uses the folder.
const LOCK: &str = "lock";
/// How often a lock that is held is tried again.
const LOCK_INTERVAL: Duration = Duration::from_millis(50);
/// Largest file worth reading, in bytes: `state.json` of some 100,000 nodes.
const LARGEST: u64 = 64 << 20;

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A state folder that nobody else uses until this is dropped.
#[derive(Debug)]
pub(super) struct StateFolder {
    path: Utf8PathBuf,
    is_new: bool,
    _lock: File,
}

/// A file's name and content, for a folder that is being made.
pub(super) type FreshFile = (&'static str, Zeroizing<Vec<u8>>);

impl StateFolder {
    /// Opens the folder beside a fleet file, or makes it with the files that `fresh` gives; waits at most `wait` for
    /// another build to end.
    pub(super) fn open(
        fleet_folder: &Utf8Path,
        wait: Duration,
        fresh: impl FnOnce() -> Result<Vec<FreshFile>, StateError>,
    ) -> Result<Self, StateError> {
        let parent = if fleet_folder.as_str().is_empty() { Utf8Path::new(".") } else { fleet_folder };
        let path = if parent == "." { Utf8PathBuf::from(NAME) } else { parent.join(NAME) };
        let is_new = is_absent(&path)? && make(parent, &path, &fresh()?)?;
        check_folder(&path)?;
        let lock = take_lock(&path, wait)?;
        let folder = Self { path, is_new, _lock: lock };
        folder.tidy()?;
        Ok(folder)
    }

    /// Path of the folder, or of a file in it.
    pub(super) fn path_of(&self, name: &str) -> Utf8PathBuf {
        self.path.join(name)
    }

    /// Whether opening it made it.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// The folder.
    pub(super) fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Reads a file that must be there, be real, and be closed to others.
    pub(super) fn read(&self, name: &str) -> Result<Zeroizing<String>, StateError> {
        let path = self.path_of(name);
        let file = open_checked(&path, OFlags::RDONLY)?;
        let mut text = Zeroizing::new(String::new());
        let damaged = |reason: &str| StateError::Damaged { path: path.clone(), reason: reason.to_owned() };
        match file.take(LARGEST + 1).read_to_string(&mut text) {
            Ok(length) if length as u64 > LARGEST => Err(damaged("it is too large")),
            Ok(0) => Err(damaged("it is empty")),
            Ok(_) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(damaged("it is not text")),
            Err(source) => Err(StateError::Read { path: path.clone(), source }),
        }
    }

    /// Writes a file, whole or not at all.
    pub(super) fn write(&self, name: &str, contents: &[u8]) -> Result<(), StateError> {
        Ok(atomic::write(&self.path_of(name), contents, FILE_MODE)?)
    }

    /// Removes what killed builds left half-written, and puts `.gitignore` back where it is missing.
    fn tidy(&self) -> Result<(), StateError> {
        let reading = |source| StateError::Read { path: self.path.clone(), source };
        for entry in self.path.read_dir_utf8().map_err(reading)? {
            let entry = entry.map_err(reading)?;
            if entry.file_name().starts_with(TEMPORARY_PREFIX) {
                fs::remove_file(entry.path())
                    .map_err(|error| WriteError::io("removing", entry.path(), error))?;
            }
        }
        if fs::symlink_metadata(self.path_of(GITIGNORE)).is_err() {
            self.write(GITIGNORE, b"*\n")?;
        }
        Ok(())
    }
}

/// Whether no state was ever kept here: nothing, or an empty folder that somebody made by hand.
fn is_absent(path: &Utf8Path) -> Result<bool, StateError> {
    let reading = |source| StateError::Read { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(reading(error)),
        Ok(found) if found.is_dir() => Ok(path.read_dir_utf8().map_err(reading)?.next().is_none()),
        // Refused by the check that follows.
        Ok(_) => Ok(false),
    }
}

/// Makes the folder with its files in one step. If another build made it meanwhile, that one stands, and this says
/// `false`.
fn make(parent: &Utf8Path, path: &Utf8Path, files: &[FreshFile]) -> Result<bool, StateError> {
    let making = |source| WriteError::io("making the folder", path, source);
    let staging = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .permissions(Permissions::from_mode(FOLDER_MODE))
        .tempdir_in(parent)
        .map_err(making)?;
    let inside =
        Utf8Path::from_path(staging.path()).ok_or_else(|| making(io::ErrorKind::InvalidFilename.into()))?;
    // First what keeps the rest out of git, in case this process is killed.
    atomic::write(&inside.join(GITIGNORE), b"*\n", FILE_MODE)?;
    atomic::write(&inside.join(LOCK), b"", FILE_MODE)?;
    for (name, contents) in files {
        atomic::write(&inside.join(name), contents, FILE_MODE)?;
    }
    match fs::rename(inside, path) {
        Ok(()) => {
            let _now_elsewhere = staging.keep();
            atomic::sync_folder(parent)?;
            Ok(true)
        }
        Err(error)
            if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) =>
        {
            Ok(false)
        }
        Err(error) => Err(making(error).into()),
    }
}

fn check_folder(path: &Utf8Path) -> Result<(), StateError> {
    let found =
        fs::symlink_metadata(path).map_err(|source| StateError::Read { path: path.to_owned(), source })?;
    if found.is_symlink() {
        return Err(StateError::Link { path: path.to_owned() });
    }
    if !found.is_dir() {
        return Err(StateError::Kind { path: path.to_owned(), wanted: "folder" });
    }
    check_owner_and_mode(path, &found, FOLDER_MODE)
}

fn check_owner_and_mode(path: &Utf8Path, found: &fs::Metadata, wanted: u32) -> Result<(), StateError> {
    let user = rustix::process::geteuid().as_raw();
    if found.uid() != user {
        return Err(StateError::Foreign { path: path.to_owned(), owner: found.uid(), user });
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(StateError::TooOpen { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

/// Opens a file of the folder without following a link, and looks at what was opened.
fn open_checked(path: &Utf8Path, flags: OFlags) -> Result<File, StateError> {
    // Without blocking: a FIFO in the file's place would wait for ever.
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path.as_std_path(), flags, Mode::from_raw_mode(FILE_MODE)) {
        Ok(descriptor) => File::from(descriptor),
        Err(rustix::io::Errno::NOENT) => return Err(StateError::Missing { path: path.to_owned() }),
        Err(rustix::io::Errno::LOOP) => return Err(StateError::Link { path: path.to_owned() }),
        Err(error) => return Err(StateError::Read { path: path.to_owned(), source: error.into() }),
    };
    let found = file.metadata().map_err(|source| StateError::Read { path: path.to_owned(), source })?;
    if !found.is_file() {
        return Err(StateError::Kind { path: path.to_owned(), wanted: "file" });
    }
    check_owner_and_mode(path, &found, FILE_MODE)?;
    Ok(file)
}

/// Takes the folder's lock (`flock(2)`: it ends with the process, however that ends).
fn take_lock(folder: &Utf8Path, wait: Duration) -> Result<File, StateError> {
    let path = folder.join(LOCK);
    let file = open_checked(&path, OFlags::RDWR | OFlags::CREATE)?;
    let deadline = Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_INTERVAL),
            Err(TryLockError::WouldBlock) => {
                return Err(StateError::Busy { path: folder.to_owned(), seconds: wait.as_secs() });
            }
            Err(TryLockError::Error(source)) => return Err(WriteError::io("locking", &path, source).into()),
        }
    }
}
