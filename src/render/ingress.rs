//! An ingress node's files.
//!
//! Not here: the files' texts (`profiles/ingress/`). The relay's paths to the home are worked out here: one server a
//! WAN, two where the WAN is a name (its A and AAAA are two paths), and the mesh as backup.

use anyhow::Result;
use serde::Serialize;

use super::mesh::{Configuration, bracketed};
use super::tree::Tree;
use super::{BuildFacts, NodeFiles, Role};
use crate::diag::Secret;
use crate::fleet::model::{Fleet, Host, Ingress, Wan};

/// Packages of the role, in Debian's names.
const PACKAGES: [&str; 9] = [
    "ca-certificates",
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
const UNITS: &str = "meshboot-wans.timer meshboot-enrol.timer";

/// Stands for an IPv4 address that is not known, and is nobody's (RFC 7600 section 4.8).
const DUMMY_ADDRESS: &str = "192.0.0.8";

/// The same for IPv6: packets to it are discarded (RFC 6666).
const DISCARDED_ADDRESS: &str = "100::8";

#[derive(Serialize)]
struct Context {
    node: String,
    max_connections: u32,
    mesh_port: u16,
    /// What visitors may reach: 80, 443 and the fleet's ports.
    open_ports: Vec<u16>,
    ports: Vec<Relay>,
    servers: Vec<Server>,
}

#[derive(Serialize)]
struct Relay {
    listen: u16,
    /// How a path's health is checked: `http`, `tls` or `tcp`.
    check: &'static str,
}

#[derive(Serialize)]
struct Server {
    name: String,
    address: String,
    weight: u16,
    backup: bool,
    /// Of a name: the address until a lookup has succeeded. haproxy takes an address by its runtime API only for a
    /// server that has one already.
    placeholder: Option<&'static str>,
}

/// A WAN that is a name: which server's address follows which family of it.
struct Followed {
    server: String,
    name: String,
    family: &'static str,
}

pub(super) fn files(
    fleet: &Fleet,
    facts: &BuildFacts,
    node: &Ingress,
    join_token: &Secret<String>,
) -> Result<NodeFiles> {
    let (mut servers, mut followed) = (Vec::new(), Vec::new());
    for wan in &fleet.home.wans {
        paths(wan, &mut servers, &mut followed);
    }
    servers.push(Server {
        name: "mesh".to_owned(),
        address: format!("[{}]", facts.home_mesh_address.ip()),
        weight: 1,
        backup: true,
        placeholder: None,
    });
    let web = [Relay { listen: 80, check: "http" }, Relay { listen: 443, check: "tls" }];
    let ports: Vec<Relay> = web
        .into_iter()
        .chain(fleet.ports.iter().map(|port| Relay { listen: port.listen, check: "tcp" }))
        .collect();
    let context = Context {
        node: node.name.to_string(),
        max_connections: node.max_connections,
        mesh_port: fleet.mesh.port,
        open_ports: ports.iter().map(|port| port.listen).collect(),
        ports,
        servers,
    };

    let mut tree = Tree::from_profile(Role::Ingress, &context)?;
    tree.add_list("/etc/meshboot/packages", PACKAGES);
    tree.add(
        "/etc/meshboot/node.env",
        0o644,
        super::cloud_init::node_environment(
            &node.name,
            Role::Ingress,
            &[("HOME_MESH_ADDRESS", &facts.home_mesh_address.ip().to_string()), ("UNITS", UNITS)],
        ),
    );
    tree.add_list(
        "/etc/meshboot/wans",
        followed.iter().map(|entry| format!("{} {} {}", entry.server, entry.name, entry.family)),
    );
    tree.add("/etc/meshboot/yggdrasil.conf", 0o644, Configuration::ingress(fleet, facts).text()?);
    tree.add("/etc/meshboot/join-token", 0o600, format!("{}\n", join_token.expose()));
    Ok(tree.finish(node.name.clone(), Role::Ingress))
}

fn paths(wan: &Wan, servers: &mut Vec<Server>, followed: &mut Vec<Followed>) {
    let server = |suffix: &str, placeholder| Server {
        name: format!("wan-{}{suffix}", wan.name),
        address: bracketed(&wan.address),
        weight: wan.weight,
        backup: false,
        placeholder,
    };
    match &wan.address {
        Host::Address(_) => servers.push(server("", None)),
        Host::Name(name) => {
            let families = [("-ipv4", "ahostsv4", DUMMY_ADDRESS), ("-ipv6", "ahostsv6", DISCARDED_ADDRESS)];
            for (suffix, family, placeholder) in families {
                let server = server(suffix, Some(placeholder));
                followed.push(Followed { server: server.name.clone(), name: name.to_string(), family });
                servers.push(server);
            }
        }
    }
}
