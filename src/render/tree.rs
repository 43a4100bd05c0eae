//! A profile's tree as files of a node: plain ones as they are, templates rendered, further ones added.
//!
//! Not here: what is in the files. A file of the role's own tree replaces one of `common/` at the same path.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use camino::Utf8PathBuf;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{NodeFile, NodeFiles, Role, template};
use crate::fleet::model::NodeName;
use crate::profile;

/// Names the exact set of files; changes with any of them.
const PAYLOAD_ID: &str = "/etc/meshboot/payload-id";

/// Files of a node while they are put together.
pub(super) struct Tree(BTreeMap<Utf8PathBuf, NodeFile>);

impl Tree {
    /// The trees of `profiles/common/` and of the role, templates rendered with `context`.
    pub(super) fn from_profile(role: Role, context: &impl Serialize) -> Result<Self> {
        let mut tree = Self(BTreeMap::new());
        for folder in ["common", role.as_str()] {
            let prefix = format!("profiles/{folder}/");
            for file in profile::files_under(&prefix) {
                let place = &file.path[prefix.len()..];
                match place.strip_suffix(".j2") {
                    Some(place) => {
                        let text = template::render(file.path, context)?;
                        tree.add(&format!("/{place}"), file.mode(), text);
                    }
                    None => tree.add(&format!("/{place}"), file.mode(), file.contents),
                }
            }
        }
        Ok(tree)
    }

    /// Adds a file, or replaces the one at that path.
    pub(super) fn add(&mut self, path: &str, mode: u32, contents: impl Into<Vec<u8>>) {
        let path = Utf8PathBuf::from(path);
        self.0.insert(path.clone(), NodeFile { path, mode, contents: contents.into() });
    }

    /// Adds a file of one entry a line.
    pub(super) fn add_list(&mut self, path: &str, entries: impl IntoIterator<Item = impl AsRef<str>>) {
        let lines: String =
            entries.into_iter().flat_map(|entry| [entry.as_ref().to_owned(), "\n".to_owned()]).collect();
        self.add(path, 0o644, lines);
    }

    /// The finished set, with the payload's id in it.
    pub(super) fn finish(mut self, node: NodeName, role: Role) -> NodeFiles {
        let mut digest = Sha256::new();
        for file in self.0.values() {
            digest.update(format!("{} {:o} {}\n", file.path, file.mode, file.contents.len()));
            digest.update(&file.contents);
        }
        let payload_id = short_hex(&digest.finalize());
        self.add(PAYLOAD_ID, 0o644, format!("{payload_id}\n"));
        NodeFiles { node, role, payload_id, files: self.0.into_values().collect() }
    }
}

/// The first 16 bytes of a digest in hexadecimal.
pub(super) fn short_hex(digest: &[u8]) -> String {
    digest.iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
