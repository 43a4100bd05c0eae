//! `dns.zone`: the records that a fleet wants, as a master file (RFC 1035 section 5) to import or `$INCLUDE`.
//!
//! Every name is absolute and every record has its TTL, so it does not matter which zone includes it. What is not known
//! yet stands there as a comment with what to fill in. There is no SOA and no NS: those are the zone's own.
//!
//! Not here: publishing (the home service does that where `dns` is set). To add a record type, add it to `records_of`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};

use crate::fleet::model::{Domain, Fleet, Host, MeshDns, Service};

/// Seconds that a resolver may keep an answer: short, since ingress nodes come and go.
const TTL_SECONDS: u32 = 300;

/// Let's Encrypt's name in CAA records, for its staging directory too.
const LETS_ENCRYPT: &str = "letsencrypt.org";

/// A line of the zone: a record, or what to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A record that holds as it stands.
    Record {
        /// Owner's name, without a final dot.
        name: String,
        /// Type, as in `AAAA`.
        kind: &'static str,
        /// Data in presentation format.
        data: String,
    },
    /// A comment, without the semicolon.
    Comment(String),
}

/// Why a service has the mesh address of the home in public DNS, or has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeshRecord {
    /// It stands there: the CA is asked by DNS-01, or the fleet wants it so.
    Published,
    /// It is left out: a CA prefers IPv6, cannot route the mesh, and would refuse the certificate.
    LeftOut,
}

/// Whether this fleet's services have the home's mesh address in public DNS.
#[must_use]
pub fn mesh_record(fleet: &Fleet) -> MeshRecord {
    if fleet.dns.is_some() || fleet.mesh_dns == MeshDns::SameName {
        MeshRecord::Published
    } else {
        MeshRecord::LeftOut
    }
}

/// The lines of one service.
#[must_use]
pub fn records_of(fleet: &Fleet, service: &Service, home_mesh_address: Ipv6Addr) -> Vec<Line> {
    let name = service.domain.as_str();
    let mut lines = Vec::new();
    // A mesh-only service is out of the clouds' reach only where its certificate comes by DNS-01; HTTP-01 needs a way in.
    if service.clearnet || fleet.dns.is_none() {
        lines.extend(ingress_records(fleet, name));
    }
    match mesh_record(fleet) {
        MeshRecord::Published => lines.push(address_record(name, home_mesh_address.into())),
        MeshRecord::LeftOut => lines.push(Line::Comment(format!(
            "the home's mesh address stays out (the CA would follow it, and fail); hosts file: \
             {home_mesh_address} {name}"
        ))),
    }
    if let Some(authority) = certification_authority(fleet) {
        let data = format!("0 issue \"{authority}\"");
        lines.push(Line::Record { name: name.to_owned(), kind: "CAA", data });
    }
    lines
}

/// Every ingress node's known addresses; a node that is known by a name only is spoken of at the head of the file.
fn ingress_records(fleet: &Fleet, name: &str) -> Vec<Line> {
    let addresses = fleet.ingress.iter().flat_map(|node| &node.addresses).filter_map(|host| match host {
        Host::Address(address) => Some(*address),
        Host::Name(_) => None,
    });
    // Two nodes may be given one address; a set of records holds each once (RFC 2181 section 5).
    let addresses: BTreeSet<IpAddr> = addresses.collect();
    addresses.into_iter().map(|address| address_record(name, address)).collect()
}

/// What is to be filled in under every name that ingress nodes serve, as lines without a semicolon.
fn to_fill_in(fleet: &Fleet) -> Vec<String> {
    let mut lines = Vec::new();
    for node in &fleet.ingress {
        let names = node.addresses.iter().filter_map(|host| match host {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        });
        lines.extend(
            names.map(|name| format!("NAME. {TTL_SECONDS} IN A <what {name} resolves to, of {}>", node.name)),
        );
        if node.addresses.is_empty() {
            lines.push(format!("NAME. {TTL_SECONDS} IN A <public IPv4 address of {}>", node.name));
            lines.push(format!("NAME. {TTL_SECONDS} IN AAAA <public IPv6 address of {}>", node.name));
        }
    }
    lines
}

fn address_record(name: &str, address: IpAddr) -> Line {
    let kind = if address.is_ipv4() { "A" } else { "AAAA" };
    Line::Record { name: name.to_owned(), kind, data: address.to_string() }
}

/// The CA's name in CAA records (RFC 8659), where it is known.
fn certification_authority(fleet: &Fleet) -> Option<&'static str> {
    let host = fleet.acme.directory.split('/').nth(2).unwrap_or_default();
    (host == LETS_ENCRYPT || host.ends_with(".letsencrypt.org")).then_some(LETS_ENCRYPT)
}

/// The whole file.
#[must_use]
pub fn text(fleet: &Fleet, home_mesh_address: Ipv6Addr) -> String {
    let mut text = head(fleet);
    for service in &fleet.services {
        let kind = if service.clearnet { "" } else { " (mesh and LAN only)" };
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\n; {}{kind}\n", service.domain);
        for line in records_of(fleet, service, home_mesh_address) {
            let _ = match line {
                Line::Record { name, kind, data } => writeln!(text, "{name}. {TTL_SECONDS} IN {kind} {data}"),
                Line::Comment(comment) => writeln!(text, "; {comment}"),
            };
        }
    }
    text
}

fn head(fleet: &Fleet) -> String {
    let mut lines = vec![
        format!(
            "DNS records that the fleet {} wants: import them, or $INCLUDE this file in the zone.",
            fleet.name
        ),
        "A line that starts with a semicolon is for you to read, or to fill in.".to_owned(),
    ];
    let missing = to_fill_in(fleet);
    if !missing.is_empty() {
        lines.push(String::new());
        lines.push(
            "To fill in, under every name below that ingress nodes serve; or write the addresses into"
                .to_owned(),
        );
        lines.push("fleet.yaml (ingress, `address`) and build again:".to_owned());
        lines.extend(missing.into_iter().map(|line| format!("  {line}")));
    }
    lines.push(String::new());
    lines.push(match certification_authority(fleet) {
        Some(authority) => format!(
            "Better than the CAA records below, once the home has its account at the CA (RFC 8657), is\n\
             ;   NAME. {TTL_SECONDS} IN CAA 0 issue \"{authority}; accounturi=<URL of the account>\"\n\
             ; with it, no ingress node that turns evil gets a certificate of its own."
        ),
        None => format!(
            "To fill in, under every name below, so that no other CA gives out certificates:\n\
             ;   NAME. {TTL_SECONDS} IN CAA 0 issue \"<the name that the CA of {} looks for>\"",
            fleet.acme.directory
        ),
    });
    let mut text = String::new();
    for line in lines {
        text.push_str(if line.is_empty() { ";" } else { "; " });
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// Names that a hosts file on a mesh user's machine should give the home's mesh address; empty where public DNS does.
#[must_use]
pub fn hosts_file_names(fleet: &Fleet) -> Vec<&Domain> {
    match mesh_record(fleet) {
        MeshRecord::Published => Vec::new(),
        MeshRecord::LeftOut => fleet.services.iter().map(|service| &service.domain).collect(),
    }
}

#[cfg(test)]
#[path = "dns_zone_tests.rs"]
mod tests;
