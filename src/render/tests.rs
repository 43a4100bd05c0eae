//! Rules of rendering, on fleets built by hand.

use std::net::IpAddr;

use super::{BuildFacts, NodePayload};
use crate::diag::Secret;
use crate::fleet::model::{
    Acme, Admin, AllowEntry, Domain, Firewall, Fleet, FleetName, Home, Host, Ingress, Mesh, MeshDns, Network,
    NodeName, PeerUri, RelayPort, Scheme, Service, Upstream, Wan,
};
use crate::identity::MeshAddress;

fn name(text: &str) -> NodeName {
    NodeName::from_valid(text)
}

fn address(text: &str) -> Host {
    Host::Address(text.parse::<IpAddr>().expect("an address"))
}

fn dns_name(text: &str) -> Host {
    Host::Name(Domain::from_valid(text))
}

fn service(domain: &str, scheme: Scheme, hosts: &[&str], clearnet: bool) -> Service {
    Service {
        domain: Domain::from_valid(domain),
        upstreams: hosts.iter().map(|host| Upstream { scheme, host: address(host), port: 8080 }).collect(),
        verify: clearnet,
        check: (hosts.len() > 1).then(|| "/healthz".to_owned()),
        clearnet,
    }
}

pub(super) fn fleet() -> Fleet {
    let ingress = |text: &str, addresses: Vec<Host>| Ingress {
        name: name(text),
        provider: "generic".to_owned(),
        location: None,
        addresses,
        max_connections: 2000,
    };
    Fleet {
        name: FleetName::from_valid("hearth"),
        admin: Admin { email: "me@example.org".to_owned(), ssh_keys: vec!["ssh-ed25519 AAAA me".to_owned()] },
        home: Home {
            name: name("hearth"),
            network: Network::Dhcp,
            lan: vec!["192.168.1.0/24".parse().expect("a network")],
            mesh_listen: true,
            wans: vec![
                Wan { name: name("fiber"), address: address("203.0.113.10"), weight: 2 },
                Wan { name: name("lte"), address: dns_name("lte.example.net"), weight: 1 },
                Wan { name: name("six"), address: address("2001:db8::1"), weight: 3 },
            ],
            max_connections: 8000,
        },
        ingress: vec![
            ingress("fra1", vec![]),
            ingress("old1", vec![address("198.51.100.9"), dns_name("old1.example.net")]),
        ],
        mesh: Mesh {
            peers: vec![PeerUri {
                scheme: "tls".to_owned(),
                host: dns_name("peer.example.net"),
                port: 443,
                path: String::new(),
                options: vec![],
            }],
            port: 4781,
        },
        services: vec![
            service("cloud.example.org", Scheme::Http, &["192.168.1.20"], true),
            service("git.example.org", Scheme::Https, &["192.168.1.21"], true),
            service("photos.example.org", Scheme::Http, &["192.168.1.30", "192.168.1.31"], true),
            service("private.example.org", Scheme::Https, &["192.168.1.40"], false),
        ],
        ports: vec![RelayPort { listen: 25565, host: address("192.168.1.50"), port: 25565 }],
        acme: Acme { directory: "https://acme.example/directory".to_owned() },
        dns: None,
        firewall: Firewall {
            allow: vec![
                AllowEntry::Name(Domain::from_valid("office.example.net")),
                AllowEntry::Network("198.51.100.64/26".parse().expect("a network")),
            ],
        },
        mesh_dns: MeshDns::Automatic,
    }
}

pub(super) fn facts() -> BuildFacts {
    let key = [7; 32];
    BuildFacts {
        home_mesh_address: MeshAddress::from_public_key(&key),
        home_public_key: "07".repeat(32),
        fleet_public_key_pem: "-----BEGIN PUBLIC KEY-----\n".to_owned(),
        build_time_unix_seconds: 1_790_000_000,
    }
}

fn both() -> [NodePayload; 2] {
    let (fleet, facts) = (fleet(), facts());
    [
        super::ingress(&fleet, &facts, &fleet.ingress[0], &Secret::new("v4.public.TOKEN".to_owned()))
            .expect("renders"),
        super::local_proxy(&fleet, &facts, &Secret::new("KEY TEXT\n".to_owned())).expect("renders"),
    ]
}

#[test]
fn a_secret_lies_in_one_place_only() {
    let [ingress, home] = both();
    let holding = |payload: &NodePayload, secret: &str| -> Vec<String> {
        let contains =
            |contents: &[u8]| contents.windows(secret.len()).any(|window| window == secret.as_bytes());
        payload
            .files
            .files
            .iter()
            .filter(|file| contains(&file.contents))
            .map(|file| file.path.to_string())
            .collect()
    };
    assert_eq!(holding(&ingress, "v4.public.TOKEN"), ["/etc/meshboot/join-token"]);
    assert!(ingress.pasted_cloud_config.is_none());
    assert!(holding(&home, "KEY TEXT").is_empty());
    assert!(!home.cloud_config.contains("KEY TEXT"));
    let pasted = home.pasted_cloud_config.expect("a home can be pasted");
    assert!(pasted.expose().contains("KEY TEXT"));
}

#[test]
fn files_are_sorted_and_unique() {
    for payload in both() {
        let paths: Vec<_> = payload.files.files.iter().map(|file| &file.path).collect();
        assert!(paths.len() > 20, "{paths:?}");
        assert!(paths.windows(2).all(|pair| pair[0] < pair[1]), "{paths:?}");
    }
}

#[test]
fn secrets_are_for_root_only() {
    let [ingress, _] = both();
    let token =
        ingress.files.files.iter().find(|file| file.path == "/etc/meshboot/join-token").expect("a token");
    assert_eq!(token.mode, 0o600);
}
