//! From a fleet to its plan.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::addresses::{Addresses, CLOUD, CLOUD_INSIDE, PUBLIC, UPLINKS, address};
use super::{ACME_DIRECTORY, IngressPlan, LanPlan, Place, Plan, Record, WanPlan, names, upstreams};
use crate::fleet::model::{AllowEntry, Fleet, Host, Network};

/// The LAN of a fleet that says nothing about it.
const DEFAULT_LAN: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 1, 0), 24);

/// Third group of the IPv6 addresses of everybody who is no node and no uplink: `2001:db8:192::/64`.
const PUBLIC_GROUP: u16 = 0x192;
/// The same for ingress nodes: the first is in `2001:db8:5100::/64`.
const CLOUD_GROUP: u16 = 0x5100;
/// The same for uplinks: the first is in `2001:db8:1001::/64`.
const UPLINK_GROUP: u16 = 0x1000;

impl Plan {
    /// Plans a rehearsal of a fleet.
    pub fn new(fleet: &Fleet) -> Result<Self> {
        let mut notes = Vec::new();
        let fleet = rehearsed(fleet, &mut notes);
        let mut addresses = Addresses::of(&fleet);
        let mut records = Vec::new();
        let visitor = place("visitor", 100, &mut addresses)?;
        let stranger = place("stranger", 66, &mut addresses)?;
        let acme = place("acme", 14, &mut addresses)?;
        let mut mesh_peer = place("mesh-peer", 9, &mut addresses)?;
        mesh_peer.further = fleet.mesh.peers.iter().filter_map(|peer| address(&peer.host)).collect();
        let mut resolver = place("resolver", 53, &mut addresses)?;
        let allowed = allowed(&fleet, &mut addresses, &mut records)?;
        let lan = lan(&fleet, &mut addresses)?;
        resolver.further = outside_resolvers(&fleet, &lan);
        let upstreams = upstreams::plan(&fleet, &lan, &mut addresses, &mut records)?;
        let wans = wans(&fleet, &mut addresses)?;
        let further_uplink = addresses.ipv4(UPLINKS, 200)?;
        let ingress = ingress(&fleet, &mut addresses, &mut notes)?;
        let mut plan = Self {
            fleet,
            notes,
            visitor,
            stranger,
            mesh_peer,
            acme,
            resolver,
            allowed,
            ingress,
            wans,
            further_uplink,
            lan,
            upstreams,
            records: Vec::new(),
        };
        records.extend(names::records(&plan));
        records.sort();
        records.dedup();
        plan.records = records;
        Ok(plan)
    }
}

/// The fleet with what cannot be had on one machine replaced, and a note for each.
fn rehearsed(fleet: &Fleet, notes: &mut Vec<String>) -> Fleet {
    let mut fleet = fleet.clone();
    if fleet.acme.directory != ACME_DIRECTORY {
        notes.push(format!(
            "certificates come from the rehearsal's own authority at {ACME_DIRECTORY}, not from {}",
            fleet.acme.directory
        ));
        ACME_DIRECTORY.clone_into(&mut fleet.acme.directory);
    }
    let pinned = fleet.mesh.peers.iter().filter(|peer| peer.options.iter().any(|(name, _)| name == "key"));
    let pinned = pinned.count();
    if pinned > 0 {
        notes.push(format!("{pinned} of the mesh peers are pinned by `key=`, which is left out: nobody here has their private key"));
        for peer in &mut fleet.mesh.peers {
            peer.options.retain(|(name, _)| name != "key");
        }
    }
    let before = fleet.mesh.peers.len();
    fleet.mesh.peers.retain(|peer| peer.scheme != "wss");
    if fleet.mesh.peers.len() < before {
        notes.push(
            "mesh peers over `wss` are left out: yggdrasil takes them only behind a web server".to_owned(),
        );
    }
    if fleet.dns.is_some() {
        notes.push(
            "`dns` is not published to: certificates come by HTTP-01, and names are the rehearsal's own zone"
                .to_owned(),
        );
    }
    fleet
}

fn place(name: &str, number: usize, addresses: &mut Addresses) -> Result<Place> {
    // Written alike in both families: `192.0.2.100` and `2001:db8:192::100`.
    let digits = u16::from_str_radix(&number.to_string(), 16).context("numbering a place")?;
    Ok(Place {
        name: name.to_owned(),
        ipv4: addresses.ipv4(PUBLIC, number)?,
        ipv6: addresses.ipv6(PUBLIC_GROUP, digits),
        further: Vec::new(),
    })
}

/// Who has the addresses of `firewall.allow`: the first address of each network, and one for each name.
fn allowed(fleet: &Fleet, addresses: &mut Addresses, records: &mut Vec<Record>) -> Result<Option<Place>> {
    if fleet.firewall.allow.is_empty() {
        return Ok(None);
    }
    let mut place = place("allowed", 150, addresses)?;
    for entry in &fleet.firewall.allow {
        match entry {
            AllowEntry::Network(network) => place.further.extend(network.hosts().next()),
            AllowEntry::Name(name) => {
                let name = name.to_string();
                let both = [IpAddr::V4(place.ipv4), IpAddr::V6(place.ipv6)];
                records.extend(both.map(|address| Record { name: name.clone(), address }));
            }
        }
    }
    Ok(Some(place))
}

fn lan(fleet: &Fleet, addresses: &mut Addresses) -> Result<LanPlan> {
    let network = lan_network(fleet);
    let (router, home, home_by_dhcp) = match &fleet.home.network {
        Network::Static { address: IpNet::V4(address), gateway: IpAddr::V4(gateway), .. } => {
            (*gateway, address.addr(), false)
        }
        Network::Static { .. } => anyhow::bail!("rehearsing a home with an IPv6 address only: not yet done"),
        Network::Dhcp => (addresses.ipv4(network, 1)?, addresses.ipv4(network, 10)?, true),
    };
    let six = fleet.home.lan.iter().find_map(|network| match network {
        IpNet::V6(network) => Ipv6Net::new(network.addr(), 64).ok().map(|network| network.trunc()),
        IpNet::V4(_) => None,
    });
    Ok(LanPlan {
        network,
        router,
        home,
        home_by_dhcp,
        machine: addresses.ipv4(network, 77)?,
        servers: addresses.ipv4(network, 200)?,
        private_prefix: six,
    })
}

/// Where the home says it is, or its LAN is, or else where its first upstream is.
fn lan_network(fleet: &Fleet) -> Ipv4Net {
    if let Network::Static { address: IpNet::V4(address), .. } = &fleet.home.network {
        return address.trunc();
    }
    let named = fleet.home.lan.iter().find_map(|network| match network {
        // A home's network seldom has more than 256 addresses, and a list of `192.168.0.0/16` means several of them.
        IpNet::V4(network) if network.prefix_len() >= 22 => Some(network.trunc()),
        _ => None,
    });
    let upstreams = fleet.services.iter().flat_map(|service| &service.upstreams);
    let first = upstreams.filter_map(|upstream| address(&upstream.host)).find_map(|address| match address {
        IpAddr::V4(address) => Ipv4Net::new(address, 24).ok().map(|network| network.trunc()),
        IpAddr::V6(_) => None,
    });
    named.or(first).unwrap_or(DEFAULT_LAN)
}

/// Resolvers of a static home that are not on the LAN: the rehearsed DNS server answers at their addresses.
fn outside_resolvers(fleet: &Fleet, lan: &LanPlan) -> Vec<IpAddr> {
    let Network::Static { dns, .. } = &fleet.home.network else { return Vec::new() };
    let on_lan = |address: &IpAddr| match address {
        IpAddr::V4(address) => lan.network.contains(address),
        IpAddr::V6(address) => lan.private_prefix.is_some_and(|prefix| prefix.contains(address)),
    };
    dns.iter().copied().filter(|address| !on_lan(address)).collect()
}

fn wans(fleet: &Fleet, addresses: &mut Addresses) -> Result<Vec<WanPlan>> {
    let mut planned = Vec::new();
    for (wan, number) in fleet.home.wans.iter().zip(1_u16..) {
        let (ipv4, ipv6) = match &wan.address {
            Host::Address(IpAddr::V4(address)) => (Some(*address), None),
            Host::Address(IpAddr::V6(address)) => (None, Some(*address)),
            Host::Name(_) => (
                Some(addresses.ipv4(UPLINKS, 10 * usize::from(number))?),
                Some(addresses.ipv6(UPLINK_GROUP + number, 0x10)),
            ),
        };
        planned.push(WanPlan { name: wan.name.to_string(), number: usize::from(number), ipv4, ipv6 });
    }
    Ok(planned)
}

fn ingress(fleet: &Fleet, addresses: &mut Addresses, notes: &mut Vec<String>) -> Result<Vec<IngressPlan>> {
    let unknown =
        |node: &crate::fleet::model::Ingress| !node.addresses.iter().any(|host| address(host).is_some());
    // One of several is behind 1:1 NAT, as on AWS, GCP and Azure: the last whose address the fleet does not name.
    let translated = fleet.ingress.iter().rposition(unknown).filter(|_| fleet.ingress.len() > 1);
    let mut planned = Vec::new();
    for (index, node) in fleet.ingress.iter().enumerate() {
        let number = u16::try_from(index).context("counting ingress nodes")?;
        let known: Vec<IpAddr> = node.addresses.iter().filter_map(address).collect();
        let ipv4 = known.iter().find_map(|it| if let IpAddr::V4(it) = it { Some(*it) } else { None });
        let ipv6 = known.iter().find_map(|it| if let IpAddr::V6(it) = it { Some(*it) } else { None });
        if known.len() > usize::from(ipv4.is_some()) + usize::from(ipv6.is_some()) {
            notes.push(format!(
                "`{}` has one address of each family here, the first that the file gives",
                node.name
            ));
        }
        let ipv4 = ipv4.map_or_else(|| addresses.ipv4(CLOUD, 20 + index), Ok)?;
        let ipv6 = ipv6.unwrap_or_else(|| addresses.ipv6(CLOUD_GROUP + number, 0x20));
        let inside = if Some(index) == translated { addresses.ipv4(CLOUD_INSIDE, 20)? } else { ipv4 };
        planned.push(IngressPlan {
            name: node.name.to_string(),
            ipv4,
            ipv6,
            ipv4_inside: inside,
            gateway: cloud_gateway(inside),
        });
    }
    Ok(planned)
}

/// A cloud's gateway on the link of one machine: the first address of its /24 that is not the machine's.
fn cloud_gateway(address: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, if d == 1 { 2 } else { 1 })
}

/// The gateway on the link of a machine with this IPv6 address.
#[must_use]
pub fn cloud_gateway6(address: Ipv6Addr) -> Ipv6Addr {
    let mut segments = address.segments();
    segments[4..].fill(0);
    segments[7] =
        if address == Ipv6Addr::from(segments) || address.segments()[4..] == [0, 0, 0, 1] { 2 } else { 1 };
    Ipv6Addr::from(segments)
}
