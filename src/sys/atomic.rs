//! One file, written whole or not at all, and never readable by more people than its mode says.
//!
//! The bytes go to a new file in the same folder (created `0600`, never following a link), are synced, and take the
//! file's name by `rename(2)`; the folder is synced after that. A crash or a full disk leaves the old content.
//!
//! Not here: many files that belong together (`staging`), and reading. To add another kind of file: nothing, the
//! mode decides; a mode without bits for group and others marks a secret.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};

use camino::{Utf8Path, Utf8PathBuf};

use crate::diag::Refusal;

/// How a temporary file's name starts; what a killed process left behind is known by it.
pub const TEMPORARY_PREFIX: &str = ".meshboot-new-";

/// Mode of a folder that only its owner may enter.
const PRIVATE_FOLDER_MODE: u32 = 0o700;

/// Why a file or folder was not written. What stood there before still does.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The operating system refused.
    #[error("{doing} `{path}`")]
    Io {
        /// What was being done, as a gerund.
        doing: &'static str,
        /// The file or folder.
        path: Utf8PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A secret, or a private folder, was to be written through a symbolic link.
    #[error("`{path}` is a symbolic link, and a secret is not written through one")]
    Link {
        /// The link.
        path: Utf8PathBuf,
    },
    /// Something else stands where a folder is to be.
    #[error("`{path}` is not a folder")]
    NotAFolder {
        /// What stands there.
        path: Utf8PathBuf,
    },
    /// The folder is somebody else's.
    #[error("`{path}` belongs to user {owner}, not to the user {user} who runs this")]
    ForeignFolder {
        /// The folder.
        path: Utf8PathBuf,
        /// Its owner's number.
        owner: u32,
        /// The number of the user who runs this process.
        user: u32,
    },
}

impl WriteError {
    /// What the reader can do about it, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { path, source, .. } => io_hint(path, source),
            Self::Link { path } => Some(format!(
                "put a real file or folder in place of the link: `rm {path}`, then run this again"
            )),
            Self::NotAFolder { path } => Some(format!("move `{path}` away, or name another folder")),
            Self::ForeignFolder { path, owner, .. } => Some(format!(
                "run this as user {owner}, or make the folder yours: `sudo chown -R \"$(id -u)\" {path}`"
            )),
        }
    }

    /// Wraps the operating system's reason; `doing` is a gerund.
    pub(crate) fn io(doing: &'static str, path: &Utf8Path, source: io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source }
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        Self::from_error(&error, error.hint())
    }
}

/// A remedy for the ways in which a disk or folder refuses.
fn io_hint(path: &Utf8Path, source: &io::Error) -> Option<String> {
    let folder = folder_of(path);
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some(format!("free some space on the disk that holds `{folder}`, then run this again"))
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            Some(format!("`{folder}` is on a read-only file system: name a folder elsewhere, or remount it"))
        }
        io::ErrorKind::PermissionDenied => Some(format!(
            "this user may not write in `{folder}`: name another folder, or change its owner or mode"
        )),
        io::ErrorKind::IsADirectory | io::ErrorKind::DirectoryNotEmpty => {
            Some(format!("a folder stands in the file's place: move `{path}` away"))
        }
        io::ErrorKind::NotADirectory => Some(format!("a part of `{folder}` is a file, not a folder")),
        io::ErrorKind::NotFound => Some(format!("make the folder first: `mkdir -p {folder}`")),
        _ => None,
    }
}

/// Writes `contents` to `path` with exactly the permission bits `mode`, whole or not at all, and durably.
///
/// The file is never open to more users than `mode` says, at no moment. With a `mode` that has no bits for group
/// and others (a secret), a symbolic link at `path` is refused; otherwise the link itself is replaced.
pub fn write(path: &Utf8Path, contents: &[u8], mode: u32) -> Result<(), WriteError> {
    let is_secret = mode.trailing_zeros() >= 6;
    if is_secret {
        refuse_link(path)?;
    }
    let file = beside(path, contents, mode)?;
    file.persist(path).map_err(|refused| WriteError::io("writing", path, refused.error))?;
    sync_folder(&folder_of(path))
}

/// Writes a file that is not there yet, like [`write()`]; what stands at `path` already is never replaced
/// ([`io::ErrorKind::AlreadyExists`]).
pub fn create(path: &Utf8Path, contents: &[u8], mode: u32) -> Result<(), WriteError> {
    let file = beside(path, contents, mode)?;
    file.persist_noclobber(path).map_err(|refused| WriteError::io("writing", path, refused.error))?;
    sync_folder(&folder_of(path))
}

/// A synced temporary file with the content, in the folder where it is to stand.
fn beside(path: &Utf8Path, contents: &[u8], mode: u32) -> Result<tempfile::NamedTempFile, WriteError> {
    let writing = |source| WriteError::io("writing", path, source);
    // Created 0600, opened up only once the content is there: the umask plays no part.
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder_of(path))
        .map_err(writing)?;
    file.write_all(contents).map_err(writing)?;
    file.as_file().set_permissions(Permissions::from_mode(mode)).map_err(writing)?;
    file.as_file().sync_all().map_err(writing)?;
    Ok(file)
}

/// Makes sure that `path` is a real folder that only its owner may enter (0700), and makes it, and its parents, where
/// it is missing. A folder that was open to others is closed to them. Says whether the folder is new.
pub fn create_private_dir(path: &Utf8Path) -> Result<bool, WriteError> {
    let making = |source| WriteError::io("making the folder", path, source);
    fs::create_dir_all(folder_of(path)).map_err(making)?;
    match DirBuilder::new().mode(PRIVATE_FOLDER_MODE).create(path) {
        Ok(()) => return Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(making(error)),
    }
    let found = fs::symlink_metadata(path).map_err(making)?;
    if found.is_symlink() {
        return Err(WriteError::Link { path: path.to_owned() });
    }
    if !found.is_dir() {
        return Err(WriteError::NotAFolder { path: path.to_owned() });
    }
    if found.mode() & 0o777 != PRIVATE_FOLDER_MODE {
        let user = rustix::process::geteuid().as_raw();
        if found.uid() != user {
            return Err(WriteError::ForeignFolder { path: path.to_owned(), owner: found.uid(), user });
        }
        fs::set_permissions(path, Permissions::from_mode(PRIVATE_FOLDER_MODE)).map_err(making)?;
    }
    Ok(false)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Utf8Path) -> Result<(), WriteError> {
    File::open(folder)
        .and_then(|open| open.sync_all())
        .map_err(|source| WriteError::io("syncing the folder", folder, source))
}

/// The folder that holds `path`; `.` for a bare name.
pub(crate) fn folder_of(path: &Utf8Path) -> Utf8PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_str().is_empty() => parent.to_owned(),
        Some(_) => Utf8PathBuf::from("."),
        None => Utf8PathBuf::from("/"),
    }
}

fn refuse_link(path: &Utf8Path) -> Result<(), WriteError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => Err(WriteError::Link { path: path.to_owned() }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = Utf8PathBuf::try_from(folder.path().to_owned()).expect("its name is UTF-8");
        (folder, path)
    }

    fn mode_of(path: &Utf8Path) -> u32 {
        fs::metadata(path).expect("it exists").mode() & 0o7777
    }

    fn names_in(folder: &Utf8Path) -> Vec<String> {
        let mut names: Vec<String> = folder
            .read_dir_utf8()
            .expect("the folder exists")
            .map(|entry| entry.expect("an entry").file_name().to_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn writes_content_and_mode_and_leaves_nothing_else() {
        let (_keep, folder) = folder();
        for mode in [0o600, 0o640, 0o644, 0o755] {
            let path = folder.join("file");
            write(&path, format!("{mode:o}").as_bytes(), mode).expect("it is written");
            assert_eq!(fs::read_to_string(&path).expect("it is read"), format!("{mode:o}"));
            assert_eq!(mode_of(&path), mode);
        }
        assert_eq!(names_in(&folder), ["file"]);
    }

    #[test]
    fn refuses_to_write_a_secret_through_a_link_and_keeps_the_target() {
        let (_keep, folder) = folder();
        fs::write(folder.join("elsewhere"), "old").expect("a file");
        symlink("elsewhere", folder.join("link")).expect("a link");
        let error = write(&folder.join("link"), b"secret", 0o600).expect_err("it is refused");
        assert!(matches!(&error, WriteError::Link { .. }), "{error:?}");
        assert!(error.hint().is_some());
        // A public file replaces the link, and what it pointed to stays.
        write(&folder.join("link"), b"public", 0o644).expect("it is written");
        assert!(!fs::symlink_metadata(folder.join("link")).expect("it exists").is_symlink());
        assert_eq!(fs::read_to_string(folder.join("elsewhere")).expect("it is read"), "old");
    }

    #[test]
    fn names_path_and_remedy_for_what_a_disk_refuses() {
        let (_keep, folder) = folder();
        fs::create_dir(folder.join("taken")).expect("a folder");
        fs::write(folder.join("taken/inside"), "").expect("a file");
        fs::write(folder.join("file"), "").expect("a file");
        let cases = [("taken", "a folder stands"), ("missing/file", "mkdir -p"), ("file/below", "is a file")];
        for (name, remedy) in cases {
            let error = write(&folder.join(name), b"x", 0o644).expect_err(name);
            assert!(error.to_string().contains(name), "{error}");
            let hint = error.hint().expect(name);
            assert!(hint.contains(remedy), "{name}: {hint}");
            let refusal = Refusal::from(error);
            let (path, reason) = refusal.message.rsplit_once(": ").expect("path and reason");
            assert!(path.ends_with('`') && reason.contains("os error"), "{refusal}");
        }
        assert_eq!(names_in(&folder), ["file", "taken"]);
    }

    #[test]
    fn closes_a_folder_that_was_open_and_refuses_links_and_files() {
        let (_keep, folder) = folder();
        let private = folder.join("a/b/private");
        assert!(create_private_dir(&private).expect("it is made"));
        assert_eq!(mode_of(&private), 0o700);
        fs::set_permissions(&private, Permissions::from_mode(0o755)).expect("its mode");
        assert!(!create_private_dir(&private).expect("it is there"));
        assert_eq!(mode_of(&private), 0o700);
        symlink(&private, folder.join("link")).expect("a link");
        fs::write(folder.join("file"), "").expect("a file");
        let link = create_private_dir(&folder.join("link")).expect_err("a link is refused");
        assert!(matches!(link, WriteError::Link { .. }), "{link:?}");
        let file = create_private_dir(&folder.join("file")).expect_err("a file is refused");
        assert!(matches!(file, WriteError::NotAFolder { .. }), "{file:?}");
    }

    #[test]
    fn finds_the_folder_of_any_path() {
        for (path, folder) in [("a", "."), ("a/b", "a"), ("/a", "/"), ("/", "/"), ("./a", ".")] {
            assert_eq!(folder_of(Utf8Path::new(path)), folder, "{path}");
        }
    }
}
