//! The peer list: what the home knows of its nodes, as `/var/lib/meshboot/peers.json` holds it.
//!
//! Written first by the builder with what `fleet.yaml` knows beforehand, later by the home service; read by
//! `meshboot-peers` on the home. Not here: how it is applied. To add a field, add it here and to
//! `profiles/local-proxy/usr/local/sbin/meshboot-peers`, and raise `VERSION` when an old reader would go wrong.

use serde::{Deserialize, Serialize};

use crate::fleet::model::{AllowEntry, Fleet, Host, Ingress};

/// Version of the file's shape.
pub const VERSION: u32 = 1;

/// The whole list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PeerList {
    /// Version of the shape: [`VERSION`].
    pub version: u32,
    /// Name of the fleet.
    pub fleet: String,
    /// TCP port on which ingress nodes take mesh peerings.
    pub mesh_port: u16,
    /// Public mesh peers, as complete URIs.
    pub mesh_peers: Vec<String>,
    /// Networks of `home.lan`; the on-link prefixes are added on the node.
    pub lan: Vec<String>,
    /// The nodes.
    pub nodes: Vec<Peer>,
    /// What `firewall.allow` lets through beside them.
    pub allow: Allow,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Peer {
    /// Node's name.
    pub name: String,
    /// Node's role, as in `ingress`.
    pub role: String,
    /// Mesh address, once the node has enrolled.
    pub mesh_address: Option<String>,
    /// Public key in the mesh, 64 hexadecimal digits, once the node has enrolled.
    pub public_key: Option<String>,
    /// Public addresses that are believed.
    pub addresses: Vec<String>,
    /// DNS names that are resolved on the home.
    pub names: Vec<String>,
}

/// Further sources that the firewall lets through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Allow {
    /// Networks and addresses.
    pub networks: Vec<String>,
    /// DNS names that are resolved on the home.
    pub names: Vec<String>,
}

impl PeerList {
    /// What a fleet's file knows before any node has enrolled: the ingress nodes whose addresses are written in it.
    #[must_use]
    pub fn beforehand(fleet: &Fleet, mesh_peers: Vec<String>) -> Self {
        Self {
            version: VERSION,
            fleet: fleet.name.to_string(),
            mesh_port: fleet.mesh.port,
            mesh_peers,
            lan: fleet.home.lan.iter().map(ToString::to_string).collect(),
            nodes: fleet
                .ingress
                .iter()
                .filter(|node| !node.addresses.is_empty())
                .map(Peer::beforehand)
                .collect(),
            allow: Allow::beforehand(&fleet.firewall.allow),
        }
    }
}

impl Allow {
    fn beforehand(entries: &[AllowEntry]) -> Self {
        let mut allow = Self { networks: Vec::new(), names: Vec::new() };
        for entry in entries {
            match entry {
                AllowEntry::Network(network) => allow.networks.push(network.to_string()),
                AllowEntry::Name(name) => allow.names.push(name.to_string()),
            }
        }
        allow
    }
}

impl Peer {
    fn beforehand(node: &Ingress) -> Self {
        let (addresses, names): (Vec<_>, Vec<_>) =
            node.addresses.iter().partition(|host| matches!(host, Host::Address(_)));
        Self {
            name: node.name.to_string(),
            role: "ingress".to_owned(),
            mesh_address: None,
            public_key: None,
            addresses: addresses.into_iter().map(ToString::to_string).collect(),
            names: names.into_iter().map(ToString::to_string).collect(),
        }
    }
}
