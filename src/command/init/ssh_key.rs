//! Where a public key comes from: a line, a file, or `~/.ssh`. A private key is never read further than its name.

use std::fs::{self, File};
use std::io::Read as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::diag::{Refusal, quote};

/// Bytes of the largest file that is read: far above any key.
const LARGEST: u64 = 65_536;

/// A key that was found, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) line: String,
    pub(super) file: Utf8PathBuf,
}

/// Turns keys and files into keys.
pub(super) fn resolve(given: &[String]) -> Result<Vec<String>, Refusal> {
    let mut keys = Vec::new();
    for text in given {
        match text.trim() {
            line if is_key(line) => keys.push(line.to_owned()),
            path => keys.extend(read(Utf8Path::new(path))?),
        }
    }
    Ok(keys)
}

/// The key that is most likely the user's own: `id_ed25519.pub`, else the first by name.
pub(super) fn find(folder: &Utf8Path) -> Option<Found> {
    let mut files: Vec<Utf8PathBuf> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Utf8PathBuf::from_path_buf(entry.ok()?.path()).ok())
        .filter(|path| path.extension() == Some("pub"))
        .collect();
    files.sort_by_key(|path| (path.file_name() != Some("id_ed25519.pub"), path.clone()));
    files.into_iter().find_map(|file| {
        let line = read(&file).ok()?.into_iter().next()?;
        Some(Found { line, file })
    })
}

/// Whether a text is meant as a key, not as a path.
fn is_key(text: &str) -> bool {
    let first = text.split_ascii_whitespace().next().unwrap_or_default();
    text.contains(' ') && ["ssh-", "ecdsa-", "sk-"].iter().any(|start| first.starts_with(start))
}

fn read(path: &Utf8Path) -> Result<Vec<String>, Refusal> {
    let unreadable = |why: &str| {
        Refusal::input(format!("reading the SSH key {}: {why}", quote(path.as_str())))
            .hint("name a `.pub` file, or give the line itself: `--ssh-key \"ssh-ed25519 AAAA… me\"`")
    };
    let is_file = fs::metadata(path).map_err(|error| unreadable(&error.to_string()))?.is_file();
    if !is_file {
        return Err(unreadable("it is not a file"));
    }
    let mut text = String::new();
    let file = File::open(path).map_err(|error| unreadable(&error.to_string()))?;
    file.take(LARGEST).read_to_string(&mut text).map_err(|error| unreadable(&error.to_string()))?;
    if text.contains("PRIVATE KEY") {
        return Err(
            unreadable("it is a private key").hint(format!("name its public half: `--ssh-key {path}.pub`"))
        );
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<String> = lines.map(str::to_owned).collect();
    if keys.is_empty() || !keys.iter().all(|key| is_key(key)) {
        return Err(unreadable("it holds no public key"));
    }
    Ok(keys)
}
