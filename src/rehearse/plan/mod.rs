//! The address plan: who is where in the rehearsed internet, made from the fleet alone.
//!
//! ```text
//!  visitor ──────┐                          ┌── ingress 1 … (its own link; one of them behind 1:1 NAT)
//!  stranger ─────┤                          │
//!  mesh peer ────┼── the internet (routes,  ├── WAN 1 ──────────┐
//!  CA, resolver ─┤   drops on demand)       ├── WAN … ──────────┼── router ── LAN ── home, machine, servers
//!  allowed ──────┘                          └── further uplink ─┘
//! ```
//!
//! Addresses that the fleet names are used as they are; all others come from the documentation ranges (RFC 5737,
//! RFC 3849). Every link of the internet is its own, and addresses are routed one by one, so any address fits.
//! Nothing here is made: that is `lab`'s. To add somebody: a [`Place`] here, and a plug in `lab::internet`.

mod addresses;
mod build;
mod names;
mod upstreams;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::fleet::model::Fleet;

pub use build::cloud_gateway6;

/// Host name of the rehearsal's certificate authority.
pub const ACME_NAME: &str = "acme.rehearsal.example";

/// URL of its ACME directory; pebble's path is fixed.
pub const ACME_DIRECTORY: &str = "https://acme.rehearsal.example/dir";

/// Next hop of every IPv4 host on the internet; it stands on all links.
pub const GATEWAY4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Next hop of every IPv6 host on the internet.
pub const GATEWAY6: &str = "fe80::1";

/// Who is where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The fleet as it is rehearsed: see [`Plan::notes`].
    pub fleet: Fleet,
    /// Where the rehearsal differs from the fleet's file, a sentence each.
    pub notes: Vec<String>,
    /// Somebody who means well.
    pub visitor: Place,
    /// Somebody who does not.
    pub stranger: Place,
    /// The public mesh peer, at the names and ports of `mesh.peers`; a user of the mesh who is nobody's node, too.
    pub mesh_peer: Place,
    /// The certificate authority.
    pub acme: Place,
    /// The DNS server, at every resolver's address that the fleet names.
    pub resolver: Place,
    /// Who has the addresses of `firewall.allow`; nobody where there are none.
    pub allowed: Option<Place>,
    /// The ingress nodes, in the order of the fleet.
    pub ingress: Vec<IngressPlan>,
    /// The home's uplinks, in the order of the fleet.
    pub wans: Vec<WanPlan>,
    /// Address of the router on an uplink that is no WAN: connections go out over it, none come in. Behind CGNAT it is
    /// all there is; elsewhere it is off until somebody switches it on.
    pub further_uplink: Ipv4Addr,
    /// The home's network.
    pub lan: LanPlan,
    /// Servers behind the home.
    pub upstreams: Vec<UpstreamPlan>,
    /// Everything that DNS knows.
    pub records: Vec<Record>,
}

/// Somebody's addresses on the internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Short name; part of the namespace's.
    pub name: String,
    /// First IPv4 address.
    pub ipv4: Ipv4Addr,
    /// First IPv6 address.
    pub ipv6: Ipv6Addr,
    /// All others.
    pub further: Vec<IpAddr>,
}

impl Place {
    /// All addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        [IpAddr::V4(self.ipv4), IpAddr::V6(self.ipv6)].into_iter().chain(self.further.iter().copied())
    }
}

/// An ingress node's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressPlan {
    /// Node's name.
    pub name: String,
    /// Where the internet finds it.
    pub ipv4: Ipv4Addr,
    /// Where the internet finds it.
    pub ipv6: Ipv6Addr,
    /// What DHCP gives it: `ipv4`, or a private address where its cloud translates addresses one to one.
    pub ipv4_inside: Ipv4Addr,
    /// What its cloud gives it as a gateway, and the prefix of its network.
    pub gateway: Ipv4Addr,
}

impl IngressPlan {
    /// Whether its cloud translates addresses.
    #[must_use]
    pub fn is_translated(&self) -> bool {
        self.ipv4 != self.ipv4_inside
    }

    /// Its public addresses.
    #[must_use]
    pub fn addresses(&self) -> [IpAddr; 2] {
        [IpAddr::V4(self.ipv4), IpAddr::V6(self.ipv6)]
    }
}

/// One of the home's uplinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WanPlan {
    /// Name in the fleet.
    pub name: String,
    /// From 1, as in the interface `wan1`.
    pub number: usize,
    /// The router's address on it: ports are forwarded from here. None where the fleet gives an IPv6 address.
    pub ipv4: Option<Ipv4Addr>,
    /// The home's own address in the uplink's IPv6 prefix: nothing is translated. None where the fleet gives an IPv4
    /// address.
    pub ipv6: Option<Ipv6Addr>,
}

impl WanPlan {
    /// Name of its interface on the internet and on the router.
    #[must_use]
    pub fn interface(&self) -> String {
        format!("wan{}", self.number)
    }

    /// Its IPv6 prefix, which the home's network gets too.
    #[must_use]
    pub fn prefix(&self) -> Option<Ipv6Net> {
        Some(Ipv6Net::new(self.ipv6?, 64).ok()?.trunc())
    }

    /// Where the internet finds the home over it.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.ipv4.map(IpAddr::V4).into_iter().chain(self.ipv6.map(IpAddr::V6))
    }
}

/// The home's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanPlan {
    /// Its IPv4 network.
    pub network: Ipv4Net,
    /// The router in it.
    pub router: Ipv4Addr,
    /// The home in it.
    pub home: Ipv4Addr,
    /// Whether DHCP gives the home its address; else the seed does.
    pub home_by_dhcp: bool,
    /// A machine of somebody in the house.
    pub machine: Ipv4Addr,
    /// The machine that all upstream servers are on; its further addresses are theirs.
    pub servers: Ipv4Addr,
    /// A private IPv6 network, where the fleet names one.
    pub private_prefix: Option<Ipv6Net>,
}

/// A server behind the home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamPlan {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it speaks.
    pub kind: UpstreamKind,
}

/// What an upstream server speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamKind {
    /// HTTP/1.1 with `WebSocket`s.
    Web,
    /// The same over TLS.
    SecureWeb {
        /// Names in its certificate.
        names: Vec<String>,
        /// Whether a CA that the home trusts vouches for it; else it vouches for itself.
        trusted: bool,
    },
    /// Sends back every byte.
    Echo,
}

/// A name's address in DNS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Name without a final dot.
    pub name: String,
    /// What it resolves to, among others.
    pub address: IpAddr,
}

#[cfg(test)]
mod tests;
