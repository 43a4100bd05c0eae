//! A fleet becomes each node's files: typed context in, text out, no I/O.

use camino::Utf8PathBuf;

use crate::fleet::model::NodeName;
use crate::identity::MeshAddress;

/// What a machine does in its fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A cloud machine that relays.
    Ingress,
    /// The home server.
    LocalProxy,
}

/// One file that first boot puts on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFile {
    /// Absolute path on the node.
    pub path: Utf8PathBuf,
    /// Permission bits, as in 0o644. Owner and group are root: a package's user is set by first boot.
    pub mode: u32,
    /// The bytes.
    pub contents: Vec<u8>,
}

/// Every file of one node, sorted by path, and the cloud-init texts that carry them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFiles {
    /// Node's name.
    pub node: NodeName,
    /// Node's role.
    pub role: Role,
    /// Files, sorted by path; paths are unique. The home's mesh key is not among them.
    pub files: Vec<NodeFile>,
}

/// What a render needs beside the fleet; made by `identity`.
#[derive(Debug, Clone)]
pub struct BuildFacts {
    /// Mesh address of the home.
    pub home_mesh_address: MeshAddress,
    /// Public key of the home in the mesh, 64 lower-case hexadecimal digits.
    pub home_public_key: String,
    /// Public half of the fleet key in PEM (SPKI, RFC 8410).
    pub fleet_public_key_pem: String,
    /// The fleet's build time in seconds since 1970: first boot sets a clock that is behind to it.
    pub build_time_unix_seconds: u64,
}
