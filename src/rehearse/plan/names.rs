//! What DNS knows: every name that the fleet has anything to do with.

use std::net::IpAddr;

use super::{ACME_NAME, Plan, Record};
use crate::fleet::model::{Fleet, Host};

/// Records of services, WANs, nodes, mesh peers and the certificate authority.
pub(super) fn records(plan: &Plan) -> Vec<Record> {
    let fleet = &plan.fleet;
    let mut records = Vec::new();
    let mut add = |name: &str, addresses: &mut dyn Iterator<Item = IpAddr>| {
        records.extend(addresses.map(|address| Record { name: name.to_owned(), address }));
    };
    for service in &fleet.services {
        let mut ingress = plan.ingress.iter().flat_map(super::IngressPlan::addresses);
        add(service.domain.as_str(), &mut ingress);
    }
    for (wan, planned) in fleet.home.wans.iter().zip(&plan.wans) {
        if let Host::Name(name) = &wan.address {
            add(name.as_str(), &mut planned.addresses());
        }
    }
    for (node, planned) in fleet.ingress.iter().zip(&plan.ingress) {
        for host in &node.addresses {
            if let Host::Name(name) = host {
                add(name.as_str(), &mut planned.addresses().into_iter());
            }
        }
    }
    let peer = &plan.mesh_peer;
    for name in peer_names(fleet) {
        add(&name, &mut [IpAddr::V4(peer.ipv4), IpAddr::V6(peer.ipv6)].into_iter());
    }
    add(ACME_NAME, &mut [IpAddr::V4(plan.acme.ipv4), IpAddr::V6(plan.acme.ipv6)].into_iter());
    if let Some(server) = fleet.dns.as_ref().and_then(|dns| dns.server.as_deref()) {
        let name = server.rsplit_once(':').map_or(server, |(name, _)| name);
        if name.parse::<IpAddr>().is_err() {
            add(name, &mut [IpAddr::V4(plan.resolver.ipv4)].into_iter());
        }
    }
    records
}

/// Names among the mesh peers, each once.
fn peer_names(fleet: &Fleet) -> Vec<String> {
    let mut names: Vec<String> = fleet
        .mesh
        .peers
        .iter()
        .filter(|peer| matches!(peer.host, Host::Name(_)))
        .map(|peer| peer.host.to_string())
        .collect();
    names.sort();
    names.dedup();
    names
}
