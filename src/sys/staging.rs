//! Many files that belong together, written beside their place and moved there in one go.
//!
//! Everything goes into a hidden private folder inside the target folder. `commit` syncs the file system once and then
//! moves each top-level entry to its place: an entry that stood there is exchanged whole, entries that were not
//! written stay as they are. An error before that, a full disk for instance, leaves the target as it was.
//!
//! Files that many entries have in common are links to one (`write_shared`): a large set costs a third of the time and
//! space. Not here: one file (`atomic`), what is there already (`unchanged`), and what may be overwritten (the command
//! decides before it begins).

use std::collections::HashMap;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::sync::{Mutex, PoisonError};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use tempfile::TempDir;

use super::atomic::{TEMPORARY_PREFIX, WriteError, sync_folder};
use super::unchanged;

/// Files that were written but are not at their place yet; dropping it removes them.
///
/// Threads may write to one value at the same time.
#[derive(Debug)]
pub struct Staging {
    target: Utf8PathBuf,
    folder: Utf8PathBuf,
    /// By digest and mode, a file that others can be links to.
    shared: Mutex<HashMap<(String, u32), Utf8PathBuf>>,
    // Removes the folder, which after `commit` holds what was replaced.
    guard: TempDir,
}

impl Staging {
    /// Begins a set of files that will stand in `target`, a folder that exists.
    pub fn begin(target: &Utf8Path) -> Result<Self, WriteError> {
        let beginning = |source| WriteError::io("writing in the folder", target, source);
        let guard = tempfile::Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(target)
            .map_err(beginning)?;
        let folder = Utf8PathBuf::try_from(guard.path().to_owned())
            .map_err(|error| beginning(io::Error::new(io::ErrorKind::InvalidFilename, error)))?;
        Ok(Self { target: target.to_owned(), folder, shared: Mutex::default(), guard })
    }

    /// Writes one new file, `relative` to the target, with exactly the permission bits `mode`; makes its folders
    /// (0700). A path that was written before, or that would leave the folder, is refused.
    pub fn write(&self, relative: &Utf8Path, contents: &[u8], mode: u32) -> Result<(), WriteError> {
        let shown = self.target.join(relative);
        let writing = |source| WriteError::io("writing", &shown, source);
        if !relative.components().all(|part| matches!(part, Utf8Component::Normal(_))) {
            return Err(writing(io::ErrorKind::InvalidFilename.into()));
        }
        let path = self.folder.join(relative);
        let open = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = with_folder_of(&path, open).map_err(writing)?;
        file.write_all(contents).map_err(writing)?;
        if mode != 0o600 {
            file.set_permissions(Permissions::from_mode(mode)).map_err(writing)?;
        }
        Ok(())
    }

    /// As [`Self::write`], for content that other files of the set have too: it is written once, and the others
    /// become links to it. `sha256` names the content.
    pub fn write_shared(
        &self,
        relative: &Utf8Path,
        contents: &[u8],
        mode: u32,
        sha256: &str,
    ) -> Result<(), WriteError> {
        let key = (sha256.to_owned(), mode);
        let first = self.shared.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(first) = first {
            let path = self.folder.join(relative);
            if with_folder_of(&path, || fs::hard_link(&first, &path)).is_ok() {
                return Ok(());
            }
            // No links here (FAT), or as many as one file can have: it is written, and reports what is wrong.
        }
        self.write(relative, contents, mode)?;
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).insert(key, self.folder.join(relative));
        Ok(())
    }

    /// Writes a file that stands in the target itself, unless exactly that stands there already.
    pub fn write_changed(&self, name: &str, contents: &[u8], mode: u32) -> Result<(), WriteError> {
        if unchanged::is_file(&self.target.join(name), contents, mode) {
            return Ok(());
        }
        self.write(Utf8Path::new(name), contents, mode)
    }

    /// Makes everything durable with one sync and moves it to its place.
    ///
    /// An error halfway names the entry; entries before it are the new ones, those after it the old ones.
    pub fn commit(self) -> Result<(), WriteError> {
        let reading = |source| WriteError::io("reading the folder", &self.folder, source);
        let mut names = Vec::new();
        for entry in self.folder.read_dir_utf8().map_err(reading)? {
            names.push(entry.map_err(reading)?.file_name().to_owned());
        }
        names.sort();
        if !names.is_empty() {
            self.sync()?;
            for name in &names {
                self.move_to_its_place(name)?;
            }
            sync_folder(&self.target)?;
        }
        let Self { target, guard, .. } = self;
        guard.close().map_err(|source| WriteError::io("removing replaced files in", &target, source))
    }

    fn sync(&self) -> Result<(), WriteError> {
        let syncing = |source: io::Error| WriteError::io("syncing the folder", &self.target, source);
        let folder = fs::File::open(&self.folder).map_err(syncing)?;
        rustix::fs::syncfs(&folder).map_err(|error| syncing(error.into()))
    }

    fn move_to_its_place(&self, name: &str) -> Result<(), WriteError> {
        let (from, to) = (self.folder.join(name), self.target.join(name));
        let moving = |source| WriteError::io("writing", &to, source);
        let rename = |flags| renameat_with(CWD, from.as_std_path(), CWD, to.as_std_path(), flags);
        match rename(RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(()),
            // Nothing to exchange with, or a file system that cannot (overlay on some kernels, NFS, FUSE).
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            Err(error) => return Err(moving(error.into())),
        }
        // Without an exchange, what stands there is moved aside first; it is removed with the staging folder.
        if fs::symlink_metadata(&to).is_ok() {
            let aside = self.folder.join(format!("{TEMPORARY_PREFIX}old-{name}"));
            fs::rename(&to, aside).map_err(moving)?;
        }
        fs::rename(&from, &to).map_err(moving)
    }
}

/// Does something to a path inside the staging folder; where its folder is missing, makes that and tries again.
fn with_folder_of<T>(path: &Utf8Path, mut what: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    what().or_else(|error| {
        let (io::ErrorKind::NotFound, Some(folder)) = (error.kind(), path.parent()) else {
            return Err(error);
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        what()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn target() -> (TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = Utf8PathBuf::try_from(folder.path().to_owned()).expect("its name is UTF-8");
        (folder, path)
    }

    fn read(path: &Utf8Path) -> String {
        fs::read_to_string(path).expect("it is read")
    }

    fn count(folder: &Utf8Path) -> usize {
        folder.read_dir_utf8().expect("the folder exists").count()
    }

    #[test]
    fn replaces_written_entries_whole_and_leaves_others() {
        let (_keep, target) = target();
        fs::create_dir(target.join("node")).expect("a folder");
        fs::write(target.join("node/stale"), "old").expect("a file");
        fs::write(target.join("other"), "kept").expect("a file");
        let staging = Staging::begin(&target).expect("it begins");
        staging.write(Utf8Path::new("node/etc/file"), b"new", 0o644).expect("it is written");
        staging.write(Utf8Path::new("top"), b"secret", 0o600).expect("it is written");
        assert!(!target.join("top").exists(), "nothing is at its place before the commit");
        staging.commit().expect("it is moved");
        assert_eq!(read(&target.join("node/etc/file")), "new");
        assert_eq!(read(&target.join("top")), "secret");
        assert_eq!(read(&target.join("other")), "kept");
        assert!(!target.join("node/stale").exists());
        assert_eq!(count(&target), 3, "nothing of the staging is left");
        let mode = |name: &str| fs::metadata(target.join(name)).expect("it exists").mode() & 0o777;
        assert_eq!((mode("node/etc/file"), mode("top"), mode("node")), (0o644, 0o600, 0o700));
    }

    #[test]
    fn leaves_the_target_alone_when_dropped() {
        let (_keep, target) = target();
        fs::write(target.join("top"), "old").expect("a file");
        let staging = Staging::begin(&target).expect("it begins");
        staging.write(Utf8Path::new("top"), b"new", 0o600).expect("it is written");
        drop(staging);
        assert_eq!((read(&target.join("top")).as_str(), count(&target)), ("old", 1));
    }

    #[test]
    fn refuses_paths_that_leave_the_folder_or_come_twice() {
        let (_keep, target) = target();
        let staging = Staging::begin(&target).expect("it begins");
        for path in ["../out", "/etc/passwd", "a/../../b", "./a"] {
            let error = staging.write(Utf8Path::new(path), b"", 0o600).expect_err(path);
            assert!(matches!(error, WriteError::Io { .. }), "{error:?}");
        }
        staging.write(Utf8Path::new("once"), b"", 0o600).expect("it is written");
        let shared =
            staging.write_shared(Utf8Path::new("../out"), b"", 0o600, "digest").expect_err("it leaves");
        assert!(matches!(shared, WriteError::Io { .. }), "{shared:?}");
        let twice = staging.write(Utf8Path::new("once"), b"", 0o600).expect_err("it comes twice");
        assert!(twice.to_string().contains("once"), "{twice}");
    }

    #[test]
    fn links_what_is_equal_and_nothing_else() {
        let (_keep, target) = target();
        let staging = Staging::begin(&target).expect("it begins");
        for (path, contents, mode) in [
            ("one/etc/file", "same", 0o644),
            ("two/etc/file", "same", 0o644),
            ("two/etc/program", "same", 0o755),
            ("two/etc/other", "differs", 0o644),
        ] {
            staging.write_shared(Utf8Path::new(path), contents.as_bytes(), mode, contents).expect(path);
        }
        staging.commit().expect("it is moved");
        let found = |path: &str| fs::metadata(target.join(path)).expect(path);
        assert_eq!(found("one/etc/file").ino(), found("two/etc/file").ino());
        assert_eq!((found("two/etc/program").nlink(), found("two/etc/other").nlink()), (1, 1));
        let modes = ["two/etc/file", "two/etc/program"].map(|path| found(path).mode() & 0o777);
        assert_eq!(modes, [0o644, 0o755]);
        assert_eq!(read(&target.join("two/etc/other")), "differs");
    }

    #[test]
    fn writes_a_changed_file_only() {
        let (_keep, target) = target();
        let inode_after = |contents: &str, mode| {
            let staging = Staging::begin(&target).expect("it begins");
            staging.write_changed("top", contents.as_bytes(), mode).expect("it is written");
            staging.commit().expect("it is moved");
            assert_eq!(read(&target.join("top")), contents);
            assert_eq!(count(&target), 1);
            fs::metadata(target.join("top")).expect("it exists").ino()
        };
        let first = inode_after("one", 0o644);
        assert_eq!(inode_after("one", 0o644), first);
        let second = inode_after("two", 0o644);
        assert_ne!(second, first);
        assert_ne!(inode_after("two", 0o600), second);
    }
}
