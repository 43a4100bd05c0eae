//! The home's files.
//!
//! Not here: the files' texts (`profiles/local-proxy/`), and the home's mesh key, which travels apart.

use anyhow::Result;
use serde::Serialize;

use super::mesh::{Configuration, bracketed, public_peers};
use super::tree::Tree;
use super::{BuildFacts, NodeFiles, Role};
use crate::fleet::model::{Fleet, Host, Scheme, Service};
use crate::peers::PeerList;

/// Packages of the role, in Debian's names.
const PACKAGES: [&str; 10] = [
    "ca-certificates",
    "certbot",
    "curl",
    "haproxy",
    "netcat-openbsd",
    "nftables",
    "openssl",
    "systemd-timesyncd",
    "unattended-upgrades",
    "yggdrasil",
];

/// Our units that first boot enables and starts.
const UNITS: &str = "meshboot-peers-boot.service meshboot-peers.timer meshboot-certificates.timer";

#[derive(Serialize)]
struct Context {
    node: String,
    max_connections: u32,
    /// What all mesh users together may hold open.
    mesh_connections: u32,
    mesh_port: u16,
    mesh_listen: bool,
    /// Networks of `home.lan`.
    lan: Vec<String>,
    /// What visitors may reach: 80, 443 and the fleet's ports.
    open_ports: Vec<u16>,
    services: Vec<Backend>,
    ports: Vec<Port>,
}

#[derive(Serialize)]
struct Backend {
    domain: String,
    check: Option<String>,
    upstreams: Vec<Server>,
}

#[derive(Serialize)]
struct Server {
    address: String,
    port: u16,
    tls: bool,
    verify: bool,
    /// What the upstream's certificate must name, and what it is asked for: its own name, or the service's where it
    /// is only an address.
    certificate_name: String,
}

#[derive(Serialize)]
struct Port {
    listen: u16,
    address: String,
    to: u16,
}

pub(super) fn files(fleet: &Fleet, _facts: &BuildFacts) -> Result<NodeFiles> {
    let ports: Vec<Port> = fleet
        .ports
        .iter()
        .map(|port| Port { listen: port.listen, address: bracketed(&port.host), to: port.port })
        .collect();
    let context = Context {
        node: fleet.home.name.to_string(),
        max_connections: fleet.home.max_connections,
        mesh_connections: mesh_connections(fleet),
        mesh_port: fleet.mesh.port,
        mesh_listen: fleet.home.mesh_listen,
        lan: fleet.home.lan.iter().map(ToString::to_string).collect(),
        open_ports: [80, 443].into_iter().chain(fleet.ports.iter().map(|port| port.listen)).collect(),
        services: fleet.services.iter().map(backend).collect(),
        ports,
    };

    let mut tree = Tree::from_profile(Role::LocalProxy, &context)?;
    tree.add_list("/etc/meshboot/packages", PACKAGES);
    tree.add(
        "/etc/meshboot/node.env",
        0o644,
        super::cloud_init::node_environment(
            &fleet.home.name,
            Role::LocalProxy,
            &[
                ("ADMIN_EMAIL", &fleet.admin.email),
                ("ACME_DIRECTORY", &fleet.acme.directory),
                ("UNITS", UNITS),
            ],
        ),
    );
    tree.add("/etc/meshboot/yggdrasil.conf", 0o644, Configuration::home(fleet).text()?);
    add_service_lists(&mut tree, fleet);
    let peers = PeerList::beforehand(fleet, public_peers(fleet).collect());
    tree.add("/var/lib/meshboot/peers.json", 0o644, serde_json::to_string_pretty(&peers)? + "\n");
    tree.add_list("/etc/meshboot/proxy-sources.acl", peers.nodes.iter().flat_map(|node| &node.addresses));
    // Filled on the node, when the gateway is known: its own address is not part of the LAN.
    tree.add_list("/etc/meshboot/lan-sources.acl", [""; 0]);
    Ok(tree.finish(fleet.home.name.clone(), Role::LocalProxy))
}

/// Half of what the ingress nodes leave of the home's connections; the other half is the LAN's.
fn mesh_connections(fleet: &Fleet) -> u32 {
    const LEAST: u32 = 16;
    let relayed = fleet.ingress.iter().map(|node| node.max_connections).fold(0, u32::saturating_add);
    (fleet.home.max_connections.saturating_sub(relayed) / 2).max(LEAST)
}

/// What haproxy looks names up in: services, those that are not for the internet, certificates and challenges.
fn add_service_lists(tree: &mut Tree, fleet: &Fleet) {
    let domains = || fleet.services.iter().map(|service| service.domain.as_str());
    tree.add_list("/etc/meshboot/domains", domains());
    tree.add_list("/etc/meshboot/services.map", domains().map(|domain| format!("{domain} {domain}")));
    tree.add_list(
        "/etc/meshboot/mesh-only.lst",
        fleet.services.iter().filter(|service| !service.clearnet).map(|service| service.domain.as_str()),
    );
    tree.add_list("/etc/meshboot/acme.map", [""; 0]);
    // The first certificate answers whoever asks for no name of ours.
    let certificates = domains().map(|domain| format!("/etc/meshboot/tls/{domain}.pem {domain}"));
    tree.add_list(
        "/etc/meshboot/tls/crt-list",
        std::iter::once("/etc/meshboot/tls/default.pem".to_owned()).chain(certificates),
    );
}

fn backend(service: &Service) -> Backend {
    let upstreams = service.upstreams.iter().map(|upstream| Server {
        address: bracketed(&upstream.host),
        port: upstream.port,
        tls: upstream.scheme == Scheme::Https,
        verify: service.verify,
        certificate_name: match &upstream.host {
            Host::Name(name) => name.to_string(),
            Host::Address(_) => service.domain.to_string(),
        },
    });
    Backend {
        domain: service.domain.to_string(),
        check: service.check.clone(),
        upstreams: upstreams.collect(),
    }
}
