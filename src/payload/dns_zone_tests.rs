//! Which records a fleet wants, by its `dns`, `mesh-dns` and what is known of its nodes.

use std::net::{IpAddr, Ipv6Addr};

use super::{Line, hosts_file_names, records_of, text};
use crate::fleet::{self, model::Fleet};

const MESH: Ipv6Addr = Ipv6Addr::new(0x200, 0, 0, 0, 0, 0, 0, 1);

fn fleet_with(further: &str) -> Fleet {
    let text = format!(
        "version: 1\nfleet: hearth\nadmin: {{email: me@example.org, ssh-keys: [\"{KEY}\"]}}\n\
         home:\n  name: hearth\n  network: dhcp\n  lan: [192.168.1.0/24]\n\
         \x20 wans: [{{name: fiber, address: 1.0.0.10, weight: 1}}]\n\
         ingress:\n  - {{name: fra1, provider: generic}}\n\
         \x20 - {{name: old1, provider: generic, address: [1.0.0.1, \"2600::9\", old1.example.net]}}\n\
         mesh: {{peers: [\"tls://peer.example.net:443\"], port: 4781}}\n\
         services:\n  - {{domain: cloud.example.org, to: \"http://192.168.1.20\"}}\n\
         \x20 - {{domain: private.example.org, to: \"http://192.168.1.21\", clearnet: false}}\n{further}"
    );
    match fleet::parse(&text, "fleet.yaml") {
        Ok(parsed) => parsed.fleet,
        Err(report) => panic!("{report:?}"),
    }
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9lR6vS1R5y1u0pQ1bT2Yw3Xz4Aa5Bb6Cc7Dd8Ee9Ff me";
const DNS: &str =
    "dns: {provider: rfc2136, server: ns1.example.org, zone: example.org, key: \"env:DNS_TSIG\"}\n";

fn addresses(fleet: &Fleet, service: usize) -> Vec<IpAddr> {
    let lines = records_of(fleet, &fleet.services[service], MESH);
    let data = lines.iter().filter_map(|line| match line {
        Line::Record { kind: "A" | "AAAA", data, .. } => Some(data.parse().expect("an address")),
        _ => None,
    });
    data.collect()
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().expect("an address")).collect()
}

#[test]
fn without_dns_the_mesh_address_stays_out_and_mesh_only_names_point_to_the_way_in_for_the_challenge() {
    let fleet = fleet_with("");
    for service in [0, 1] {
        assert_eq!(addresses(&fleet, service), ips(&["1.0.0.1", "2600::9"]));
    }
    let names: Vec<_> =
        hosts_file_names(&fleet).into_iter().map(crate::fleet::model::Domain::as_str).collect();
    assert_eq!(names, ["cloud.example.org", "private.example.org"]);
    assert!(text(&fleet, MESH).contains("hosts file: 200::1 cloud.example.org\n"));
}

#[test]
fn with_dns_the_mesh_address_stands_beside_and_mesh_only_names_have_nothing_else() {
    let fleet = fleet_with(DNS);
    assert_eq!(addresses(&fleet, 0), ips(&["1.0.0.1", "2600::9", "200::1"]));
    assert_eq!(addresses(&fleet, 1), ips(&["200::1"]));
    assert!(hosts_file_names(&fleet).is_empty());
}

#[test]
fn same_name_publishes_the_mesh_address_and_keeps_the_way_in() {
    let fleet = fleet_with("mesh-dns: same-name\n");
    for service in [0, 1] {
        assert_eq!(addresses(&fleet, service), ips(&["1.0.0.1", "2600::9", "200::1"]));
    }
}

#[test]
fn what_is_not_known_is_asked_for_once_and_is_a_comment() {
    let zone = text(&fleet_with(""), MESH);
    for line in [
        ";   NAME. 300 IN A <public IPv4 address of fra1>\n",
        ";   NAME. 300 IN AAAA <public IPv6 address of fra1>\n",
        ";   NAME. 300 IN A <what old1.example.net resolves to, of old1>\n",
    ] {
        assert_eq!(zone.matches(line).count(), 1, "{line}{zone}");
    }
    for line in zone.lines().filter(|line| !line.is_empty() && !line.starts_with(';')) {
        assert!(!line.contains('<') && line.split(' ').count() >= 5, "{line}");
    }
}

#[test]
fn names_the_ca_only_where_it_is_known() {
    let record = "cloud.example.org. 300 IN CAA 0 issue \"letsencrypt.org\"\n";
    for server in ["letsencrypt", "letsencrypt-staging"] {
        assert!(
            text(&fleet_with(&format!("acme: {{server: {server}}}\n")), MESH).contains(record),
            "{server}"
        );
    }
    let other = text(&fleet_with("acme: {server: \"https://ca.example.net/dir\"}\n"), MESH);
    assert!(!other.contains("\ncloud.example.org. 300 IN CAA"), "{other}");
    assert!(other.contains("https://ca.example.net/dir"), "{other}");
}
