//! Whether what is to be written stands there already, byte for byte: then nothing is written, and nothing can go
//! wrong.
//!
//! Whatever cannot be read counts as changed; writing it then reports why. Not here: the writing (`staging`).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Mode, OFlags};

/// Mode of every folder that `staging` makes.
const FOLDER_MODE: u32 = 0o700;

/// How much of a file is compared at once, in bytes.
const PIECE: usize = 64 << 10;

/// A file as it is to be: path below its folder, bytes, permission bits.
pub type Wanted<'a> = (&'a Utf8Path, &'a [u8], u32);

/// Whether `path` is a real file with exactly these bytes and permission bits.
#[must_use]
pub fn is_file(path: &Utf8Path, contents: &[u8], mode: u32) -> bool {
    compare(path, contents, mode).unwrap_or(false)
}

/// Whether `folder` holds exactly these files, at any depth, and nothing else.
#[must_use]
pub fn is_folder(folder: &Utf8Path, files: &[Wanted<'_>]) -> bool {
    let mut wanted: HashMap<Utf8PathBuf, (&[u8], u32)> =
        files.iter().map(|&(path, contents, mode)| (folder.join(path), (contents, mode))).collect();
    wanted.len() == files.len() && take_equal(folder, &mut wanted).unwrap_or(false) && wanted.is_empty()
}

/// Takes every file below `folder` out of `wanted`; says whether all were in it and equal.
fn take_equal(folder: &Utf8Path, wanted: &mut HashMap<Utf8PathBuf, (&[u8], u32)>) -> io::Result<bool> {
    let found = folder.symlink_metadata()?;
    if !found.is_dir() || found.mode() & 0o7777 != FOLDER_MODE {
        return Ok(false);
    }
    let mut files = 0_usize;
    for entry in folder.read_dir_utf8()? {
        let entry = entry?;
        files += 1;
        let equal = if entry.file_type()?.is_dir() {
            take_equal(entry.path(), wanted)?
        } else {
            match wanted.remove(entry.path()) {
                Some((contents, mode)) => compare(entry.path(), contents, mode)?,
                None => false,
            }
        };
        if !equal {
            return Ok(false);
        }
    }
    // An empty folder was not written by us.
    Ok(files > 0)
}

fn compare(path: &Utf8Path, contents: &[u8], mode: u32) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(path.as_std_path(), flags, Mode::empty())?);
    let found = file.metadata()?;
    if !found.is_file() || found.mode() & 0o7777 != mode || found.len() != contents.len() as u64 {
        return Ok(false);
    }
    let (mut piece, mut rest) = (vec![0; PIECE.min(contents.len() + 1)], contents);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(rest.is_empty()),
            read if rest.starts_with(&piece[..read]) => rest = &rest[read..],
            _ => return Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const FILES: [(&str, &[u8], u32); 3] =
        [("top", b"one", 0o600), ("etc/a", b"two", 0o644), ("etc/deep/b", b"", 0o755)];

    /// A folder that holds exactly [`FILES`].
    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let keep = tempfile::tempdir().expect("a temporary folder");
        let folder = Utf8PathBuf::try_from(keep.path().join("node")).expect("its name is UTF-8");
        for (path, contents, mode) in FILES {
            let path = folder.join(path);
            let parent = path.parent().expect("it has a parent");
            fs::create_dir_all(parent).expect("its folder");
            fs::set_permissions(parent, Permissions::from_mode(0o700)).expect("its mode");
            fs::write(&path, contents).expect("a file");
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("its mode");
        }
        (keep, folder)
    }

    fn is_current(folder: &Utf8Path) -> bool {
        is_folder(folder, &FILES.map(|(path, contents, mode)| (Utf8Path::new(path), contents, mode)))
    }

    #[test]
    fn knows_a_folder_that_holds_exactly_the_files() {
        let (_keep, folder) = folder();
        assert!(is_current(&folder));
        assert!(!is_folder(&folder, &[]));
        assert!(!is_current(&folder.join("missing")));
    }

    #[test]
    fn compares_a_long_file_to_its_last_byte() {
        let (_keep, folder) = folder();
        for length in [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let mut contents = vec![b'x'; length];
            fs::write(folder.join("top"), &contents).expect("a file");
            assert!(is_file(&folder.join("top"), &contents, 0o600), "{length}");
            contents[length - 1] = b'y';
            assert!(!is_file(&folder.join("top"), &contents, 0o600), "{length}");
        }
    }

    #[test]
    fn sees_every_difference() {
        type Change = (&'static str, fn(&Utf8Path) -> io::Result<()>);
        let changes: [Change; 10] = [
            ("a byte", |folder| fs::write(folder.join("etc/a"), "twO")),
            ("a longer file", |folder| fs::write(folder.join("etc/a"), "two more")),
            ("an emptied file", |folder| fs::write(folder.join("etc/a"), "")),
            ("a mode", |folder| fs::set_permissions(folder.join("top"), Permissions::from_mode(0o644))),
            ("a folder's mode", |folder| {
                fs::set_permissions(folder.join("etc"), Permissions::from_mode(0o755))
            }),
            ("a missing file", |folder| fs::remove_file(folder.join("etc/a"))),
            ("a further file", |folder| fs::write(folder.join("etc/deep/c"), "")),
            ("a further folder", |folder| fs::create_dir(folder.join("etc/empty"))),
            ("a link to the same", |folder| {
                fs::rename(folder.join("top"), folder.with_file_name("moved"))?;
                symlink("../moved", folder.join("top"))
            }),
            ("a linked folder", |folder| {
                fs::rename(folder.join("etc"), folder.with_file_name("moved"))?;
                symlink("../moved", folder.join("etc"))
            }),
        ];
        for (what, change) in changes {
            let (_keep, folder) = folder();
            change(&folder).expect(what);
            assert!(!is_current(&folder), "{what}");
        }
    }
}
