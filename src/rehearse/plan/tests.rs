use std::net::IpAddr;

use super::{ACME_DIRECTORY, Plan, UpstreamKind};

fn plan(name: &str) -> Plan {
    let path = format!("{}/examples/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("an example");
    let fleet = crate::fleet::parse(&text, name).expect("a valid example").fleet;
    Plan::new(&fleet).expect("a plan")
}

fn addresses_of(plan: &Plan, name: &str) -> Vec<IpAddr> {
    plan.records.iter().filter(|record| record.name == name).map(|record| record.address).collect()
}

#[test]
fn uses_the_addresses_that_the_fleet_names() {
    let plan = plan("hearth");
    assert_eq!(plan.wans[0].ipv4.map(|it| it.to_string()).as_deref(), Some("203.0.113.10"));
    assert_eq!(plan.wans[0].ipv6, None);
    let old1 = plan.ingress.iter().find(|node| node.name == "old1").expect("a node");
    assert_eq!(old1.ipv4.to_string(), "198.51.100.9");
    assert_eq!(addresses_of(&plan, "old1.example.net"), old1.addresses());
    let upstreams: Vec<String> = plan.upstreams.iter().map(|it| it.address.to_string()).collect();
    for wanted in [
        "192.168.1.20:8080",
        "192.168.1.21:3000",
        "192.168.1.31:2342",
        "192.168.1.40:80",
        "192.168.1.50:25565",
    ] {
        assert!(upstreams.iter().any(|it| it == wanted), "{wanted} is not in {upstreams:?}");
    }
    let git = plan.upstreams.iter().find(|it| it.address.port() == 3000).expect("an upstream");
    assert_eq!(
        git.kind,
        UpstreamKind::SecureWeb { names: vec!["git.example.org".to_owned()], trusted: false }
    );
}

#[test]
fn resolves_every_name_of_the_fleet() {
    let plan = plan("hearth");
    let all_ingress: Vec<IpAddr> = plan.ingress.iter().flat_map(super::IngressPlan::addresses).collect();
    assert_eq!(addresses_of(&plan, "private.example.org").len(), all_ingress.len());
    assert_eq!(addresses_of(&plan, "lte.example.net"), plan.wans[1].addresses().collect::<Vec<_>>());
    for name in ["peer.example.net", "office.example.net", "acme.rehearsal.example"] {
        assert_eq!(addresses_of(&plan, name).len(), 2, "{name}");
    }
}

#[test]
fn nobody_has_the_address_of_somebody_else() {
    for name in ["minimal", "hearth", "burrow", "static"] {
        let plan = plan(match name {
            "burrow" => "cgnat",
            other => other,
        });
        let mut all: Vec<IpAddr> = plan.ingress.iter().flat_map(super::IngressPlan::addresses).collect();
        for place in [&plan.visitor, &plan.stranger, &plan.mesh_peer, &plan.acme, &plan.resolver] {
            all.extend(place.addresses());
        }
        all.extend(plan.allowed.iter().flat_map(super::Place::addresses));
        all.extend(plan.wans.iter().flat_map(super::WanPlan::addresses));
        all.push(plan.further_uplink.into());
        all.extend([plan.lan.router, plan.lan.home, plan.lan.machine, plan.lan.servers].map(IpAddr::V4));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "{name}: {all:?}");
    }
}

#[test]
fn says_where_it_differs_from_the_file() {
    let plan = plan("hearth");
    assert_eq!(plan.fleet.acme.directory, ACME_DIRECTORY);
    assert!(plan.notes.iter().any(|note| note.contains("letsencrypt")), "{:?}", plan.notes);
}

#[test]
fn one_of_several_ingress_nodes_is_behind_address_translation() {
    assert_eq!(plan("hearth").ingress.iter().filter(|node| node.is_translated()).count(), 1);
    assert_eq!(plan("minimal").ingress.iter().filter(|node| node.is_translated()).count(), 0);
}
