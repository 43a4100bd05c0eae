//! `manifest.json`: what a node gets, file by file, with SHA-256 sums. It stands beside the node's artefacts and, without
//! the part about user-data, inside its bundle.
//!
//! Not here: the files themselves (`render`). To say more about a node, add a field; readers ignore what they do not
//! know.

use std::fmt::Write as _;
use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::user_data::UserData;
use crate::profile::provider::{Counts, Encoding};
use crate::render::{NodeFiles, Role};

/// Everything that is known of a node when it is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Manifest {
    /// Version of this format.
    pub version: u32,
    /// Fleet's name.
    pub fleet: String,
    /// Node's name.
    pub node: String,
    /// Node's role.
    pub role: Role,
    /// Provider that the payload was encoded for; a home has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Mesh address, where it is known beforehand: an ingress node makes its key at first boot.
    pub mesh_address: Option<Ipv6Addr>,
    /// The fleet's build time in seconds since 1970.
    pub build_time: u64,
    /// The payload; absent inside a bundle, which may reach a node by other ways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<UserDataEntry>,
    /// The join token inside the payload, without the token itself; a home has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_token: Option<JoinTokenEntry>,
    /// Files, sorted by path.
    pub files: Vec<FileEntry>,
}

/// What a manifest says of a join token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JoinTokenEntry {
    /// Counts the node's tokens from 1.
    pub serial: u64,
    /// From when on it is refused, in seconds since 1970.
    pub expires: u64,
}

/// What a manifest says of the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct UserDataEntry {
    /// Size of the file `user-data`.
    pub bytes: usize,
    /// Its encoding.
    pub encoding: Encoding,
    /// What the provider counts.
    pub counts: Counts,
    /// What the payload counts.
    pub counted: u64,
    /// Most that it may count; `null` where nothing bounds it.
    pub limit: Option<u64>,
    /// Whether the home's mesh key is inside.
    pub holds_mesh_key: bool,
}

/// One file of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileEntry {
    /// Absolute path on the node.
    pub path: String,
    /// Permission bits as four octal digits.
    pub mode: String,
    /// Size.
    pub bytes: usize,
    /// SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

impl UserDataEntry {
    /// Describes a payload.
    #[must_use]
    pub fn new(user_data: &UserData, holds_mesh_key: bool) -> Self {
        Self {
            bytes: user_data.text.len(),
            encoding: user_data.encoding,
            counts: user_data.counts,
            counted: user_data.counted,
            limit: user_data.limit,
            holds_mesh_key,
        }
    }
}

impl Manifest {
    /// Lists a node's files.
    #[must_use]
    pub fn new(fleet: &str, files: &NodeFiles, mesh_address: Option<Ipv6Addr>, build_time: u64) -> Self {
        let entry = |file: &crate::render::NodeFile| FileEntry {
            path: file.path.to_string(),
            mode: format!("{:04o}", file.mode),
            bytes: file.contents.len(),
            sha256: sha256_hex(&file.contents),
        };
        Self {
            version: 1,
            fleet: fleet.to_owned(),
            node: files.node.to_string(),
            role: files.role,
            provider: None,
            mesh_address,
            build_time,
            user_data: None,
            join_token: None,
            files: files.files.iter().map(entry).collect(),
        }
    }

    /// The manifest as readable JSON with a final newline.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }
}

/// SHA-256 of `contents` as 64 lower-case hexadecimal digits.
#[must_use]
pub fn sha256_hex(contents: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(contents) {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
