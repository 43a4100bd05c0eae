//! Gives out addresses of documentation ranges and of the LAN, never one that the fleet names itself.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};
use ipnet::Ipv4Net;

use crate::fleet::model::{AllowEntry, Fleet, Host, Network};

/// Everybody's who is no node and no uplink (RFC 5737, TEST-NET-1).
pub(super) const PUBLIC: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, 0), 24);
/// Ingress nodes' (TEST-NET-2).
pub(super) const CLOUD: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, 0), 24);
/// The home's uplinks' (TEST-NET-3).
pub(super) const UPLINKS: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(203, 0, 113, 0), 24);
/// What a cloud that translates addresses gives its machines (RFC 1918).
pub(super) const CLOUD_INSIDE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 20, 0, 0), 24);

/// Addresses that are somebody's.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    taken: HashSet<IpAddr>,
}

impl Addresses {
    /// With everything taken that the fleet names.
    pub(super) fn of(fleet: &Fleet) -> Self {
        let mut taken = HashSet::from([IpAddr::V4(super::GATEWAY4)]);
        taken.extend(named_hosts(fleet).filter_map(address));
        taken.extend(fleet.firewall.allow.iter().filter_map(|entry| match entry {
            AllowEntry::Network(network) => Some(network.addr()),
            AllowEntry::Name(_) => None,
        }));
        if let Network::Static { address, gateway, dns } = &fleet.home.network {
            taken.extend([address.addr(), *gateway]);
            taken.extend(dns);
        }
        Self { taken }
    }

    /// The first free address of a network from its `from`th on.
    pub(super) fn ipv4(&mut self, network: Ipv4Net, from: usize) -> Result<Ipv4Addr> {
        let free = |address: &Ipv4Addr| !self.taken.contains(&IpAddr::V4(*address));
        let last = network.broadcast();
        let found = network.hosts().skip(from.saturating_sub(1)).find(|it| free(it) && *it != last);
        // A small network may have room before the wanted place only.
        let found = found.or_else(|| network.hosts().find(|it| free(it) && *it != last));
        let address = found.with_context(|| format!("finding a free address in `{network}`"))?;
        self.taken.insert(IpAddr::V4(address));
        Ok(address)
    }

    /// The first free address `2001:db8:<group>::<number>`, counting numbers up.
    pub(super) fn ipv6(&mut self, group: u16, number: u16) -> Ipv6Addr {
        let address = |number| Ipv6Addr::new(0x2001, 0xdb8, group, 0, 0, 0, 0, number);
        let free = (number..=u16::MAX).find(|number| !self.taken.contains(&IpAddr::V6(address(*number))));
        // 65,535 addresses of one group cannot all be named by a file of bounded size.
        let found = address(free.unwrap_or(number));
        self.taken.insert(IpAddr::V6(found));
        found
    }
}

/// All hosts that the fleet names, as addresses or names.
fn named_hosts(fleet: &Fleet) -> impl Iterator<Item = &Host> {
    let upstreams = fleet.services.iter().flat_map(|service| &service.upstreams);
    fleet
        .home
        .wans
        .iter()
        .map(|wan| &wan.address)
        .chain(fleet.ingress.iter().flat_map(|node| &node.addresses))
        .chain(fleet.mesh.peers.iter().map(|peer| &peer.host))
        .chain(upstreams.map(|upstream| &upstream.host))
        .chain(fleet.ports.iter().map(|port| &port.host))
}

/// A host's address, where it is one.
pub(super) fn address(host: &Host) -> Option<IpAddr> {
    match host {
        Host::Address(address) => Some(*address),
        Host::Name(_) => None,
    }
}
