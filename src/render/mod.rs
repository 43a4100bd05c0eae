//! A fleet becomes each node's files: typed context in, text out, no I/O.
//!
//! The files themselves lie under `profiles/common/` and `profiles/<role>/`, each at its place on the node's disk;
//! a name that ends in `.j2` is a template. What is data (JSON, lists) is serialised in `mesh`, `ingress` and
//! `local_proxy`. Not here: how files travel (`payload`). To add a file to a role, put it under its profile.

pub mod cloud_init;
mod ingress;
mod local_proxy;
mod mesh;
mod template;
mod tree;

use anyhow::Result;
use camino::Utf8PathBuf;

use crate::diag::Secret;
use crate::fleet::model::{Fleet, Ingress, NodeName};
use crate::identity::MeshAddress;

/// What a machine does in its fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A cloud machine that relays.
    Ingress,
    /// The home server.
    LocalProxy,
}

impl Role {
    /// The word in `fleet.yaml`, in tokens and in the name of the profile's folder.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::LocalProxy => "local-proxy",
        }
    }
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

/// Every file of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFiles {
    /// Node's name.
    pub node: NodeName,
    /// Node's role.
    pub role: Role,
    /// Names the exact set of files: 32 hexadecimal digits, also in `/etc/meshboot/payload-id`.
    pub payload_id: String,
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

/// What one node boots from: its files and the cloud-init texts that carry them.
#[derive(Debug)]
pub struct NodePayload {
    /// The files.
    pub files: NodeFiles,
    /// The cloud-config, readable, without the home's mesh key.
    pub cloud_config: String,
    /// Of the home only: the same with the mesh key inside, for pasting where there is no seed.
    pub pasted_cloud_config: Option<Secret<String>>,
    /// The seed's meta-data: instance-id (a hash of the payload) and host name.
    pub meta_data: String,
    /// Network configuration, version 2.
    pub network_config: String,
    /// Whether the seed carries the network configuration. With DHCP it does not: cloud-init's own fallback finds
    /// the interface by its carrier and works with every renderer, where a pattern of names does not.
    pub seed_has_network_config: bool,
}

/// Everything that an ingress node boots from. `join_token` is the only secret in it.
pub fn ingress(
    fleet: &Fleet,
    facts: &BuildFacts,
    node: &Ingress,
    join_token: &Secret<String>,
) -> Result<NodePayload> {
    let files = ingress::files(fleet, facts, node, join_token)?;
    cloud_init::payload(fleet, facts, files, None)
}

/// Everything that the home boots from. `mesh_key_pem` goes into the pasted variant only.
pub fn local_proxy(fleet: &Fleet, facts: &BuildFacts, mesh_key_pem: &Secret<String>) -> Result<NodePayload> {
    let files = local_proxy::files(fleet, facts)?;
    cloud_init::payload(fleet, facts, files, Some(mesh_key_pem))
}

#[cfg(test)]
mod tests;
