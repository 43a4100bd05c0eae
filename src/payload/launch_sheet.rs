//! `index.html`: what a person does with the artefacts, on one page that needs no network and no server.
//!
//! The page holds the text of every ingress node's payload (join tokens inside), never the home's mesh key. Its look is
//! `profiles/launch-sheet/index.html.j2`; what it says of a provider is in `profiles/providers/`.
//!
//! Not here: the artefacts themselves (`node`). To show one more thing, add a field here and its place in the template.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use anyhow::{Context as _, Result, anyhow};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use super::dns_zone;
use super::manifest::{Manifest, UserDataEntry};
use super::user_data::PORTABLE_BUDGET;
use crate::fleet::model::{Fleet, Ingress};
use crate::profile;
use crate::profile::provider::{Certainty, FirewallStart, Ipv6Default, Provider};

/// The page's template.
const TEMPLATE: &str = "profiles/launch-sheet/index.html.j2";

/// A node as the page shows it: its manifest and what is pasted.
#[derive(Debug, Clone)]
pub struct BuiltNode {
    /// What its `manifest.json` says.
    pub manifest: Manifest,
    /// Text of its `user-data`.
    pub user_data: String,
}

#[derive(Serialize)]
struct Sheet<'a> {
    fleet: &'a str,
    built: String,
    home: Home,
    nodes: Vec<Node<'a>>,
    waiting: Vec<&'a str>,
    services: Vec<ServiceRow<'a>>,
    zone: &'a str,
    hosts_lines: Vec<String>,
}

#[derive(Serialize)]
struct Home {
    name: String,
    mesh_address: Ipv6Addr,
    built: bool,
    size: Option<Size>,
    pasteable: bool,
    forwards: Vec<Forward>,
    wans: Vec<String>,
}

#[derive(Serialize)]
struct Forward {
    port: u16,
    purpose: String,
}

#[derive(Serialize)]
struct Node<'a> {
    name: &'a str,
    location: Option<&'a str>,
    provider: Option<ProviderPart>,
    size: Option<Size>,
    text: Option<&'a str>,
    token_expires: Option<String>,
    addresses: Vec<String>,
    ports: Vec<Forward>,
}

#[derive(Serialize)]
struct ProviderPart {
    title: &'static str,
    label: Option<&'static str>,
    steps: &'static [String],
    image: &'static str,
    login: &'static str,
    firewall: &'static str,
    firewall_place: &'static str,
    ipv6: &'static str,
    notes: &'static [String],
    limit_certainty: Certainty,
}

/// How large a payload is against what it may be.
#[derive(Serialize)]
struct Size {
    counted: String,
    unit: &'static str,
    limit: Option<String>,
    percent: Option<u64>,
    encoding: &'static str,
}

#[derive(Serialize)]
struct ServiceRow<'a> {
    domain: &'a str,
    clearnet: bool,
    upstreams: Vec<String>,
}

/// Renders the page. `built` holds the nodes whose artefacts exist; the others are named as not built yet.
pub fn render(
    fleet: &Fleet,
    home_mesh_address: Ipv6Addr,
    built: &BTreeMap<String, BuiltNode>,
) -> Result<String> {
    let build_time = built.values().map(|node| node.manifest.build_time).max().unwrap_or_default();
    let zone = dns_zone::text(fleet, home_mesh_address);
    let nodes: Vec<_> = fleet.ingress.iter().map(|ingress| node(fleet, ingress, built)).collect();
    let sheet = Sheet {
        fleet: fleet.name.as_str(),
        built: utc(build_time),
        home: home(fleet, home_mesh_address, built),
        waiting: nodes.iter().filter(|node| node.text.is_none()).map(|node| node.name).collect(),
        nodes,
        services: services(fleet),
        zone: &zone,
        hosts_lines: dns_zone::hosts_file_names(fleet)
            .into_iter()
            .map(|domain| format!("{home_mesh_address} {domain}"))
            .collect(),
    };
    let source = profile::file(TEMPLATE).with_context(|| format!("finding `{TEMPLATE}`"))?.contents;
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.context("configuring whitespace")?);
    environment
        .render_named_str(TEMPLATE, source, Serde(&sheet))
        .map_err(|error| anyhow!("{error:#}"))
        .with_context(|| format!("rendering `{TEMPLATE}`"))
}

fn home(fleet: &Fleet, mesh_address: Ipv6Addr, built: &BTreeMap<String, BuiltNode>) -> Home {
    let entry = built.get(fleet.home.name.as_str()).and_then(|node| node.manifest.user_data.as_ref());
    let mut forwards = relayed_ports(fleet);
    if fleet.home.mesh_listen {
        forwards.push(Forward { port: fleet.mesh.port, purpose: "mesh".to_owned() });
    }
    Home {
        name: fleet.home.name.to_string(),
        mesh_address,
        built: entry.is_some(),
        size: entry.map(size),
        pasteable: entry.is_some_and(|entry| entry.counted <= PORTABLE_BUDGET),
        forwards: if fleet.home.wans.is_empty() { Vec::new() } else { forwards },
        wans: fleet.home.wans.iter().map(|wan| format!("{} ({})", wan.name, wan.address)).collect(),
    }
}

/// Ports that ingress nodes take from visitors and send home.
fn relayed_ports(fleet: &Fleet) -> Vec<Forward> {
    let mut ports = vec![
        Forward { port: 80, purpose: "HTTP".to_owned() },
        Forward { port: 443, purpose: "HTTPS".to_owned() },
    ];
    let relayed = |port: &crate::fleet::model::RelayPort| Forward {
        port: port.listen,
        purpose: format!("to {}:{}", port.host, port.port),
    };
    ports.extend(fleet.ports.iter().map(relayed));
    ports
}

fn node<'a>(fleet: &Fleet, ingress: &'a Ingress, built: &'a BTreeMap<String, BuiltNode>) -> Node<'a> {
    let found = built.get(ingress.name.as_str());
    let manifest = found.map(|node| &node.manifest);
    let mut ports = vec![Forward { port: 22, purpose: "SSH".to_owned() }];
    ports.extend(relayed_ports(fleet));
    ports.push(Forward { port: fleet.mesh.port, purpose: "mesh, from the home".to_owned() });
    Node {
        name: ingress.name.as_str(),
        location: ingress.location.as_deref(),
        provider: profile::provider(&ingress.provider).map(provider_part),
        size: manifest.and_then(|manifest| manifest.user_data.as_ref()).map(size),
        text: found.map(|node| node.user_data.as_str()),
        token_expires: manifest
            .and_then(|manifest| manifest.join_token.as_ref())
            .map(|token| utc(token.expires)),
        addresses: ingress.addresses.iter().map(ToString::to_string).collect(),
        ports,
    }
}

fn provider_part(provider: &'static Provider) -> ProviderPart {
    let firewall = match provider.firewall.starts.value {
        FirewallStart::Open => "no firewall in the way until one is attached",
        FirewallStart::Closed => "lets in nothing, or SSH at most, until told to",
        FirewallStart::Policy => "its firewall is as the account has set it",
    };
    ProviderPart {
        title: &provider.title,
        label: provider.console.label.value.as_deref(),
        steps: &provider.console.steps,
        image: &provider.image.value,
        login: &provider.login.value,
        firewall,
        firewall_place: &provider.firewall.place,
        ipv6: match provider.ipv6.value {
            Ipv6Default::On => "on without asking",
            Ipv6Default::Off => "off until it is ticked",
            Ipv6Default::Network => "as the chosen network has it",
        },
        notes: &provider.notes,
        limit_certainty: provider.user_data.limit.certainty,
    }
}

fn size(entry: &UserDataEntry) -> Size {
    Size {
        counted: grouped(entry.counted),
        unit: entry.counts.unit(),
        limit: entry.limit.map(grouped),
        percent: entry.limit.map(|limit| (entry.counted * 100).div_ceil(limit.max(1))),
        encoding: entry.encoding.in_words(),
    }
}

fn services(fleet: &Fleet) -> Vec<ServiceRow<'_>> {
    let row = |service: &'_ crate::fleet::model::Service| -> Vec<String> {
        service.upstreams.iter().map(|upstream| format!("{}:{}", upstream.host, upstream.port)).collect()
    };
    fleet
        .services
        .iter()
        .map(|service| ServiceRow {
            domain: service.domain.as_str(),
            clearnet: service.clearnet,
            upstreams: row(service),
        })
        .collect()
}

/// Digits in groups of three, as in `16,384`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time for people, in UTC, as in `2026-11-23 06:30 UTC`; the number itself where no calendar has it.
#[must_use]
pub fn utc(unix_seconds: u64) -> String {
    i64::try_from(unix_seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| unix_seconds.to_string(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn groups_digits_by_three() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (16_384, "16,384"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
