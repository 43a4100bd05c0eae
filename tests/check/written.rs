//! A fleet written out again as JSON, which is YAML: what was accepted must be read back as the same.

use meshboot::fleet::model::{AllowEntry, Fleet, Host, MeshDns, Network, Scheme, SecretSource, Upstream};
use serde_json::{Value, json};

/// The text of a fleet.
pub(crate) fn text(fleet: &Fleet) -> String {
    let mut value = json!({
        "version": 1,
        "fleet": fleet.name,
        "admin": {"email": fleet.admin.email, "ssh-keys": fleet.admin.ssh_keys},
        "home": home(fleet),
        "ingress": ingress(fleet),
        "mesh": {"peers": peers(fleet), "port": fleet.mesh.port},
        "services": services(fleet),
        "ports": fleet.ports.iter().map(|port| json!({
            "listen": port.listen,
            "to": format!("{}:{}", bracketed(&port.host), port.port),
        })).collect::<Vec<_>>(),
        "acme": {"server": fleet.acme.directory},
        "firewall": {"allow": fleet.firewall.allow.iter().map(|entry| match entry {
            AllowEntry::Network(network) => network.to_string(),
            AllowEntry::Name(name) => name.to_string(),
        }).collect::<Vec<_>>()},
        "mesh-dns": match fleet.mesh_dns {
            MeshDns::Automatic => "automatic",
            MeshDns::SameName => "same-name",
        },
    });
    if let Some(dns) = &fleet.dns {
        let key = match &dns.key {
            SecretSource::Environment(name) => format!("env:{name}"),
            SecretSource::File(path) => format!("file:{path}"),
        };
        value["dns"] = json!({"provider": dns.provider, "server": dns.server, "zone": dns.zone, "key": key});
    }
    value.to_string()
}

fn home(fleet: &Fleet) -> Value {
    let home = &fleet.home;
    json!({
        "name": home.name,
        "network": match &home.network {
            Network::Dhcp => json!("dhcp"),
            Network::Static { address, gateway, dns } => json!({
                "address": address.to_string(), "gateway": gateway, "dns": dns,
            }),
        },
        "lan": home.lan.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "mesh-listen": home.mesh_listen,
        "wans": home.wans.iter().map(|wan| json!({
            "name": wan.name, "address": wan.address.to_string(), "weight": wan.weight,
        })).collect::<Vec<_>>(),
        "max-connections": home.max_connections,
    })
}

fn ingress(fleet: &Fleet) -> Vec<Value> {
    let node = |node: &meshboot::fleet::model::Ingress| {
        json!({
            "name": node.name,
            "provider": node.provider,
            "location": node.location,
            "address": node.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "max-connections": node.max_connections,
        })
    };
    fleet.ingress.iter().map(node).collect()
}

fn peers(fleet: &Fleet) -> Vec<String> {
    let peer = |peer: &meshboot::fleet::model::PeerUri| {
        let options: Vec<String> = peer.options.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!(
            "{}://{}:{}{}?{}",
            peer.scheme,
            bracketed(&peer.host),
            peer.port,
            peer.path,
            options.join("&")
        )
    };
    fleet.mesh.peers.iter().map(peer).collect()
}

fn services(fleet: &Fleet) -> Vec<Value> {
    let service = |service: &meshboot::fleet::model::Service| {
        let to: Vec<String> = service.upstreams.iter().map(upstream).collect();
        let mut value = json!({
            "domain": service.domain, "to": to, "check": service.check, "clearnet": service.clearnet,
        });
        if service.upstreams.iter().all(|upstream| upstream.scheme == Scheme::Https) {
            value["verify"] = json!(service.verify);
        }
        value
    };
    fleet.services.iter().map(service).collect()
}

fn upstream(upstream: &Upstream) -> String {
    let scheme = match upstream.scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    format!("{scheme}://{}:{}", bracketed(&upstream.host), upstream.port)
}

fn bracketed(host: &Host) -> String {
    match host {
        Host::Address(std::net::IpAddr::V6(six)) => format!("[{six}]"),
        other => other.to_string(),
    }
}
