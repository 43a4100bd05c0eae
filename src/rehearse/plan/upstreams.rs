//! The servers behind the home: one for every address and port that a service or a relayed port leads to.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use anyhow::Result;

use super::addresses::{Addresses, address};
use super::{LanPlan, Record, UpstreamKind, UpstreamPlan};
use crate::fleet::model::{Fleet, Host, Scheme};

/// Plans them all; names that they go by are added to `records`.
pub(super) fn plan(
    fleet: &Fleet,
    lan: &LanPlan,
    addresses: &mut Addresses,
    records: &mut Vec<Record>,
) -> Result<Vec<UpstreamPlan>> {
    let mut names = BTreeMap::new();
    let mut place = |host: &Host| -> Result<IpAddr> {
        if let Some(address) = address(host) {
            return Ok(address);
        }
        let name = host.to_string();
        if let Some(known) = names.get(&name) {
            return Ok(*known);
        }
        let given = IpAddr::V4(addresses.ipv4(lan.network, 150)?);
        names.insert(name.clone(), given);
        records.push(Record { name, address: given });
        Ok(given)
    };
    let mut planned: BTreeMap<SocketAddr, UpstreamKind> = BTreeMap::new();
    for service in &fleet.services {
        for upstream in &service.upstreams {
            let address = SocketAddr::new(place(&upstream.host)?, upstream.port);
            // What the home asks for, and checks: the upstream's own name, or else the service's.
            let name = match &upstream.host {
                Host::Name(name) => name.to_string(),
                Host::Address(_) => service.domain.to_string(),
            };
            let kind = match upstream.scheme {
                Scheme::Http => UpstreamKind::Web,
                Scheme::Https => {
                    UpstreamKind::SecureWeb { names: vec![name.clone()], trusted: service.verify }
                }
            };
            match planned.get_mut(&address) {
                Some(UpstreamKind::SecureWeb { names, trusted }) => {
                    names.push(name);
                    *trusted |= service.verify;
                }
                Some(_) => {}
                None => drop(planned.insert(address, kind)),
            }
        }
    }
    for port in &fleet.ports {
        planned.entry(SocketAddr::new(place(&port.host)?, port.port)).or_insert(UpstreamKind::Echo);
    }
    Ok(planned.into_iter().map(|(address, kind)| UpstreamPlan { address, kind }).collect())
}
