//! What is embedded in the binary: the trees `profiles/`, `cloud-init/` and `packer/`, and the providers among them.
//!
//! Not here: rendering a template (`render`) and talking to a provider's API (`provider`). To add a file, put it into
//! one of the trees; `build.rs` finds it. To add a provider, see `profiles/providers/README.md`.

pub mod judge;
pub mod provider;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use provider::Provider;

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// A file that was embedded at build time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embedded {
    /// Path from the crate's root, as in `profiles/ingress/etc/meshboot/haproxy.cfg.j2`.
    pub path: &'static str,
    /// The text.
    pub contents: &'static str,
    /// Whether the file has an executable bit; it then belongs on a disk with mode 0755, else 0644.
    pub executable: bool,
}

impl Embedded {
    /// Permission bits for a disk: 0o755 or 0o644.
    #[must_use]
    pub fn mode(&self) -> u32 {
        if self.executable { 0o755 } else { 0o644 }
    }
}

/// Embedded files whose path starts with `prefix`, sorted by path. End a folder's prefix with a slash, or its
/// siblings that start with the same letters come too.
pub fn files_under(prefix: &str) -> impl Iterator<Item = &'static Embedded> {
    let start = FILES.partition_point(|file| file.path < prefix);
    FILES[start..].iter().take_while(move |file| file.path.starts_with(prefix))
}

/// The embedded file at exactly this path.
#[must_use]
pub fn file(path: &str) -> Option<&'static Embedded> {
    FILES.binary_search_by(|file| file.path.cmp(path)).ok().map(|index| &FILES[index])
}

/// A provider's profile by its name, as in `hetzner`.
#[must_use]
pub fn provider(name: &str) -> Option<&'static Provider> {
    PROVIDERS.get(name)
}

/// Names of all providers, sorted.
pub fn provider_names() -> impl Iterator<Item = &'static str> {
    PROVIDERS.keys().copied()
}

/// Folder of the providers' profiles.
const PROVIDER_FOLDER: &str = "profiles/providers/";

static PROVIDERS: LazyLock<BTreeMap<&'static str, Provider>> = LazyLock::new(|| {
    files_under(PROVIDER_FOLDER)
        .filter_map(|file| {
            let name = file.path.strip_prefix(PROVIDER_FOLDER)?.strip_suffix(".yaml")?;
            // `build.rs` has parsed every one of them with this type; one that fails now does not exist.
            serde_saphyr::from_str(file.contents).ok().map(|provider| (name, provider))
        })
        .collect()
});

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
