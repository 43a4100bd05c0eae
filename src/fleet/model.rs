//! A fleet that is valid by type: what `rules` lets through, and all that the rest of the program sees.
//!
//! Not here: how it was written (`raw`) and why something is refused (`rules`). To add a key: a field here, one in
//! `raw`, and its rules with a fixture for each under `tests/fixtures/invalid/`.

use std::fmt;
use std::net::IpAddr;

use camino::Utf8PathBuf;
use ipnet::IpNet;

/// One home plus its ingress nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Labels cloud resources and owns DNS records.
    pub name: FleetName,
    /// Whom the CA and the nodes answer to.
    pub admin: Admin,
    /// The home server (role `local-proxy`).
    pub home: Home,
    /// The cloud machines that relay, in the order of the file.
    pub ingress: Vec<Ingress>,
    /// The Yggdrasil side.
    pub mesh: Mesh,
    /// Web services, in the order of the file.
    pub services: Vec<Service>,
    /// Other TCP ports, relayed the same way.
    pub ports: Vec<RelayPort>,
    /// Where certificates come from.
    pub acme: Acme,
    /// Who publishes DNS records, if anybody does.
    pub dns: Option<Dns>,
    /// Further sources that the home's firewall lets through.
    pub firewall: Firewall,
    /// Whether the home's mesh AAAA stands beside the ingress addresses without DNS-01.
    pub mesh_dns: MeshDns,
}

/// The person who runs the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Contact of the ACME account.
    pub email: String,
    /// OpenSSH public keys, one line each, that may log in to every node.
    pub ssh_keys: Vec<String>,
}

/// The home server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Host name of the home.
    pub name: NodeName,
    /// How it gets its address on the LAN.
    pub network: Network,
    /// Networks that may reach the home directly.
    pub lan: Vec<IpNet>,
    /// The router forwards `mesh.port` to the home, so ingress nodes can dial it.
    pub mesh_listen: bool,
    /// Internet uplinks; empty behind CGNAT, where only the mesh is used.
    pub wans: Vec<Wan>,
    /// haproxy's connection limit at home; exceeds the sum over all ingress nodes.
    pub max_connections: u32,
}

/// How a home gets its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// DHCP and router advertisements.
    Dhcp,
    /// A fixed address.
    Static {
        /// Address with prefix length, as in `192.168.1.10/24`.
        address: IpNet,
        /// Default gateway; of the same family as `address`.
        gateway: IpAddr,
        /// Resolvers; never empty.
        dns: Vec<IpAddr>,
    },
}

/// One internet uplink of the home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wan {
    /// Name of the uplink; unique in the fleet.
    pub name: NodeName,
    /// Public address or dynamic-DNS name.
    pub address: Host,
    /// Share of new connections, 1 to 256 (haproxy's range without 0).
    pub weight: u16,
}

/// A cloud machine that relays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingress {
    /// Host name of the node; unique in the fleet.
    pub name: NodeName,
    /// Name of a profile under `profiles/providers/`.
    pub provider: String,
    /// The provider's location or region, where given.
    pub location: Option<String>,
    /// Addresses known beforehand: let in from the start.
    pub addresses: Vec<Host>,
    /// haproxy's connection limit on this node.
    pub max_connections: u32,
}

/// The Yggdrasil side of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mesh {
    /// Public peers.
    pub peers: Vec<PeerUri>,
    /// TCP port on which nodes take mesh peerings.
    pub port: u16,
}

/// A public peer's URI without options that meshboot sets itself, as in `tls://peer.example.net:443`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerUri {
    /// `tcp`, `tls`, `quic`, `ws` or `wss`.
    pub scheme: String,
    /// Peer's address or name.
    pub host: Host,
    /// Peer's port.
    pub port: u16,
    /// Path for `ws` and `wss`, starting with a slash; else empty.
    pub path: String,
    /// Options that were written (`key=…`, `sni=…`, `priority=…`), in order; never `maxbackoff`, never a
    /// password.
    pub options: Vec<(String, String)>,
}

/// A domain name and what serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Name in lower-case ASCII (A-labels).
    pub domain: Domain,
    /// Servers on the LAN; never empty.
    pub upstreams: Vec<Upstream>,
    /// Whether an `https` upstream must present a certificate that the system's CAs vouch for.
    pub verify: bool,
    /// Path of an HTTP health check; without one, a TCP connect.
    pub check: Option<String>,
    /// Reachable through ingress nodes; else mesh and LAN only.
    pub clearnet: bool,
}

/// A server on the LAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// Address or name.
    pub host: Host,
    /// TCP port; the scheme's default was filled in.
    pub port: u16,
}

/// How an upstream is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

/// A TCP port relayed like 80 and 443.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayPort {
    /// Port on every ingress node and on the home.
    pub listen: u16,
    /// Host on the LAN.
    pub host: Host,
    /// Port on that host.
    pub port: u16,
}

/// Where certificates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// URL of the ACME directory (RFC 8555 section 7.1.1).
    pub directory: String,
}

/// Who publishes DNS records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// Publisher, as in `rfc2136`.
    pub provider: String,
    /// Server of the publisher, where it has one.
    pub server: Option<String>,
    /// Zone that holds the records.
    pub zone: Domain,
    /// Where the secret lies.
    pub key: SecretSource,
}

/// Where a secret lies; never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Environment(String),
    /// A file.
    File(Utf8PathBuf),
}

/// Further sources that the home's firewall lets through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Names and networks; PROXY stays closed to them.
    pub allow: Vec<AllowEntry>,
}

/// One entry of `firewall.allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowEntry {
    /// A network or single address.
    Network(IpNet),
    /// A DNS name.
    Name(Domain),
}

/// Whether the home's mesh AAAA is published beside the ingress addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MeshDns {
    /// With DNS-01 only: a CA that follows the AAAA cannot route it.
    #[default]
    Automatic,
    /// Always (`mesh-dns: same-name`).
    SameName,
}

/// An address or a DNS name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// An IP address; never IPv4-mapped, never with a zone.
    Address(IpAddr),
    /// A DNS name.
    Name(Domain),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

macro_rules! text_newtype {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps text that a rule has found valid.
            pub(crate) fn from_valid(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text_newtype! {
    /// Name of a fleet: a DNS label (RFC 1123), lower case, at most 32 characters.
    FleetName
}
text_newtype! {
    /// Name of a node or a WAN: a DNS label (RFC 1123), lower case, at most 32 characters.
    NodeName
}
text_newtype! {
    /// A DNS name in lower-case A-labels (RFC 5890), without a final dot.
    Domain
}
