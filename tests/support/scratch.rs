//! Folders and namespaces that tests leave nothing of: each carries the process id of its maker, so what a killed test
//! left is taken away by the next.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// What the names of our temporary folders start with; then the maker's process id.
const FOLDER_PREFIX: &str = "meshboot-test-";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A folder of this process's own, removed when dropped. Its mode is 0755, so that it can be a root folder's layer.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes an empty folder.
    pub(crate) fn new() -> Self {
        static SWEEP: Once = Once::new();
        SWEEP.call_once(remove_stale_folders);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("{FOLDER_PREFIX}{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap_or_else(|error| panic!("making `{}`: {error}", path.display()));
        set_mode(&path, 0o755);
        Self(path)
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A folder inside it, made now.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("making `{}`: {error}", path.display()));
        set_mode(&path, 0o755);
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Tear-down goes on after an error; the next start sweeps what is left.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Sets permission bits.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .unwrap_or_else(|error| panic!("setting the mode of `{}`: {error}", path.display()));
}

/// Whether the process whose id starts `text` (up to the first `-`) has ended.
pub(crate) fn maker_is_dead(text: &str) -> bool {
    let id: String = text.chars().take_while(char::is_ascii_digit).collect();
    !id.is_empty() && !Path::new("/proc").join(id).exists()
}

fn remove_stale_folders() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(FOLDER_PREFIX)) else { continue };
        if maker_is_dead(rest) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
