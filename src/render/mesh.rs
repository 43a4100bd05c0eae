//! Yggdrasil's configuration for both roles, and the URIs of its peers.
//!
//! The format is HJSON, of which JSON is a part (yggdrasil-go `src/config/config.go`). The private key lies in a file
//! of its own, so nothing here is secret but a peer's `password`.

use anyhow::Result;
use serde::Serialize;

use super::BuildFacts;
use crate::fleet::model::{Fleet, Host, PeerUri};

/// The mesh interface's name on every node; the firewall knows it.
const INTERFACE: &str = "mesh0";

/// Longest pause between two dials of a peer. The default is 68 minutes; less than this makes yggdrasil 0.5 panic.
const BACKOFF: &str = "maxbackoff=30s";

/// Configuration as yggdrasil 0.5 reads it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Configuration {
    private_key_path: &'static str,
    peers: Vec<String>,
    listen: Vec<String>,
    multicast_interfaces: [String; 0],
    allowed_public_keys: Vec<String>,
    if_name: &'static str,
    node_info_privacy: bool,
}

impl Configuration {
    /// An ingress node: takes the home's key only, and dials the home where its router lets it in.
    pub(super) fn ingress(fleet: &Fleet, facts: &BuildFacts) -> Self {
        let home = fleet.home.wans.iter().filter(|_| fleet.home.mesh_listen).map(|wan| {
            format!(
                "tls://{}:{}?key={}&{BACKOFF}",
                bracketed(&wan.address),
                fleet.mesh.port,
                facts.home_public_key
            )
        });
        Self::new(
            home.chain(public_peers(fleet)).collect(),
            vec![format!("tls://[::]:{}", fleet.mesh.port)],
            vec![facts.home_public_key.clone()],
        )
    }

    /// The home: dials every ingress node that is known beforehand; listens where its router forwards the port.
    pub(super) fn home(fleet: &Fleet) -> Self {
        let nodes = fleet
            .ingress
            .iter()
            .flat_map(|node| &node.addresses)
            .map(|address| format!("tls://{}:{}?{BACKOFF}", bracketed(address), fleet.mesh.port));
        let listen =
            if fleet.home.mesh_listen { vec![format!("tls://[::]:{}", fleet.mesh.port)] } else { Vec::new() };
        Self::new(nodes.chain(public_peers(fleet)).collect(), listen, Vec::new())
    }

    fn new(peers: Vec<String>, listen: Vec<String>, allowed_public_keys: Vec<String>) -> Self {
        Self {
            private_key_path: "/etc/meshboot/mesh-key.pem",
            peers,
            listen,
            multicast_interfaces: [],
            allowed_public_keys,
            if_name: INTERFACE,
            node_info_privacy: true,
        }
    }

    /// The file's text.
    pub(super) fn text(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// The fleet's public peers as complete URIs.
pub(super) fn public_peers(fleet: &Fleet) -> impl Iterator<Item = String> + '_ {
    fleet.mesh.peers.iter().map(peer_uri)
}

fn peer_uri(peer: &PeerUri) -> String {
    let mut uri = format!("{}://{}:{}{}?", peer.scheme, bracketed(&peer.host), peer.port, peer.path);
    for (name, value) in &peer.options {
        uri.push_str(name);
        uri.push('=');
        uri.push_str(value);
        uri.push('&');
    }
    uri + BACKOFF
}

/// A host as a URI and haproxy write it: IPv6 addresses in brackets.
pub(super) fn bracketed(host: &Host) -> String {
    match host {
        Host::Address(std::net::IpAddr::V6(address)) => format!("[{address}]"),
        other => other.to_string(),
    }
}
