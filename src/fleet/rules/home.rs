//! `home`: its name, its place on the LAN, and its uplinks.

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::model::{Home, Network, NodeName, Wan};
use super::super::raw::{RawHome, RawNetwork, RawWan, Text, Texts};
use super::super::rule::Rule;
use super::super::shape::Given;
use super::super::values::{address, host, network};
use super::{Seen, all, node_name, repeated, value, within};
use crate::diag::{Findings, Problem, Span, Spanned, quote};

/// A home whose parts were judged, with the places that rules about several values need.
pub(super) struct JudgedHome {
    pub(super) name: Given<Spanned<NodeName>>,
    pub(super) network: Given<Network>,
    pub(super) lan: Given<Vec<IpNet>>,
    pub(super) mesh_listen: Given<bool>,
    pub(super) wans: Given<Vec<Given<Spanned<Wan>>>>,
}

impl JudgedHome {
    /// The home, once its connection limit is known.
    pub(super) fn finish(self, max_connections: u32) -> Given<Home> {
        let wans = all(self.wans?)?.into_iter().map(|wan| wan.value).collect();
        Ok(Home {
            name: self.name?.value,
            network: self.network?,
            lan: self.lan?,
            mesh_listen: self.mesh_listen?,
            wans,
            max_connections,
        })
    }

    /// WANs that were accepted, each with the place of its address.
    pub(super) fn valid_wans(&self) -> impl Iterator<Item = &Spanned<Wan>> {
        self.wans.iter().flatten().flatten()
    }
}

pub(super) fn judge(raw: &RawHome, findings: &mut Findings) -> JudgedHome {
    JudgedHome {
        name: node_name(&raw.name, "a node", findings),
        network: raw.network.as_ref().map_err(|it| *it).and_then(|raw| lan_address(raw, findings)),
        lan: lan(&raw.lan, findings),
        mesh_listen: mesh_listen(raw, findings),
        wans: wans(&raw.wans, findings),
    }
}

fn mesh_listen(raw: &RawHome, findings: &mut Findings) -> Given<bool> {
    let Some(listen) = raw.mesh_listen.as_ref().map_err(|it| *it)? else { return Ok(false) };
    if listen.value && raw.wans.as_ref().is_ok_and(Vec::is_empty) {
        let problem = Problem::new(Rule::MeshListen, "`mesh-listen` has no effect: there is no WAN to dial")
            .hint("name the WAN whose router forwards `mesh.port`, or remove `mesh-listen`");
        findings.warning(listen.span, problem);
    }
    Ok(listen.value)
}

fn wans(raw: &Given<Vec<Given<RawWan>>>, findings: &mut Findings) -> Given<Vec<Given<Spanned<Wan>>>> {
    let mut names = Seen::new();
    super::each(raw, |raw| {
        let name = node_name(&raw.name, "a WAN", findings);
        if let Ok(name) = &name
            && let Some(first) = names.before(name.value.clone(), name.span)
        {
            let message = format!("two WANs have the name `{}`", name.value);
            repeated(findings, first, name.span, Rule::DuplicateWan, message);
        }
        let address = value(&raw.address, findings, |text| host::parse_public(text, "a WAN"));
        let weight = match &raw.weight {
            Ok(Some(weight)) => within(weight, 1..=256, Rule::Weight, "a weight", findings),
            Ok(None) => Ok(1),
            Err(reported) => Err(*reported),
        };
        let (name, address, weight) = (name?, address?, weight?);
        // At most 256 by the range above.
        let weight = u16::try_from(weight).unwrap_or(u16::MAX);
        Ok(Spanned { span: address.span, value: Wan { name: name.value, address: address.value, weight } })
    })
    .map(|wans| wans.into_iter().map(|wan| wan.and_then(|wan| wan)).collect())
}

fn lan(raw: &Texts, findings: &mut Findings) -> Given<Vec<IpNet>> {
    let texts = raw.as_ref().map_err(|it| *it)?;
    let networks: Vec<_> = texts.iter().map(|text| value(text, findings, network::parse)).collect();
    overlaps(&networks, findings);
    Ok(all(networks)?.into_iter().map(|network| network.value).collect())
}

/// Warns of networks that another one of the list contains.
pub(super) fn overlaps(networks: &[Given<Spanned<IpNet>>], findings: &mut Findings) {
    let valid: Vec<_> = networks.iter().flatten().collect();
    for (index, network) in valid.iter().enumerate() {
        let other = valid.iter().enumerate().find(|(position, other)| {
            other.value.contains(&network.value)
                && (*position < index || other.value != network.value)
                && *position != index
        });
        if let Some((_, other)) = other {
            let message = format!("`{}` is a part of `{}`", network.value, other.value);
            findings.warning(network.span, Problem::new(Rule::NetworkOverlap, message).hint("remove it"));
        }
    }
}

fn lan_address(raw: &RawNetwork, findings: &mut Findings) -> Given<Network> {
    let RawNetwork::Static { address, gateway, dns, place } = raw else { return Ok(Network::Dhcp) };
    let address = value(address, findings, static_address);
    let gateway = value(gateway, findings, |text| ip(text, Rule::Gateway, "a gateway"));
    if let (Ok(address), Ok(gateway)) = (&address, &gateway)
        && let Err(problem) = reaches(address.value, gateway.value)
    {
        findings.error(gateway.span, problem);
    }
    let dns = resolvers(dns, *place, address.as_ref().ok(), findings);
    Ok(Network::Static { address: address?.value, gateway: gateway?.value, dns: dns? })
}

fn ip(text: &str, rule: Rule, what: &str) -> Result<IpAddr, Problem> {
    let not_one = || {
        Err(Problem::new(rule, format!("{} is not the address of {what}", quote(text)))
            .hint("as in `192.168.1.1`"))
    };
    let ip = address::parse(text).unwrap_or_else(not_one)?;
    if address::is_mesh(ip) {
        return Err(Problem::new(
            Rule::AddressMesh,
            format!("`{ip}` is a mesh address, which {what} cannot have"),
        )
        .hint("write the address that it has on the LAN"));
    }
    Ok(ip)
}

fn static_address(text: &str) -> Result<IpNet, Problem> {
    let problem = |why: &str| {
        Problem::new(Rule::StaticAddress, format!("{} cannot be the home's address: {why}", quote(text)))
            .hint("as in `192.168.1.10/24`")
    };
    let (bare, _) = text.split_once('/').ok_or_else(|| problem("it has no prefix length"))?;
    let ip = ip(bare, Rule::StaticAddress, "the home")?;
    let network: IpNet = text.parse().map_err(|_| problem("its prefix length is none"))?;
    if ip.is_loopback() || ip.is_multicast() || ip.is_unspecified() {
        return Err(problem("no machine has it on a LAN"));
    }
    if matches!(ip, IpAddr::V6(six) if six.is_unicast_link_local()) {
        return Err(problem("it is link-local"));
    }
    if network.max_prefix_len() == network.prefix_len() {
        return Err(problem("its prefix leaves no room for a gateway"));
    }
    match edge(network, ip) {
        Some(edge) => Err(problem(edge)),
        None => Ok(network),
    }
}

/// Which address of the network no machine can have this is.
fn edge(network: IpNet, ip: IpAddr) -> Option<&'static str> {
    // RFC 3021 and RFC 6164: networks of two addresses have neither.
    if network.prefix_len() + 1 == network.max_prefix_len() {
        return None;
    }
    match ip {
        _ if ip == network.network() => Some("it is the network's own address"),
        IpAddr::V4(_) if ip == network.broadcast() => Some("it is the network's broadcast address"),
        _ => None,
    }
}

fn reaches(address: IpNet, gateway: IpAddr) -> Result<(), Problem> {
    let problem =
        |why: String| Problem::new(Rule::Gateway, format!("`{gateway}` cannot be the gateway: {why}"));
    if gateway.is_ipv4() != address.addr().is_ipv4() {
        return Err(problem(format!("it is of another family than `{}`", address.addr())));
    }
    if matches!(gateway, IpAddr::V6(six) if six.is_unicast_link_local()) {
        return Ok(());
    }
    if !address.contains(&gateway) {
        return Err(problem(format!("it is outside `{}`", address.trunc()))
            .hint("a gateway is on the home's own network"));
    }
    if gateway == address.addr() {
        return Err(problem("it is the home itself".into()).hint("write the router's address"));
    }
    edge(address, gateway).map_or(Ok(()), |edge| Err(problem(edge.into())))
}

fn resolvers(
    raw: &Texts,
    place: Span,
    home: Option<&Spanned<IpNet>>,
    findings: &mut Findings,
) -> Given<Vec<IpAddr>> {
    let texts = raw.as_ref().map_err(|it| *it)?;
    if texts.is_empty() {
        let problem = Problem::new(Rule::NoResolver, "a fixed address needs a resolver")
            .hint("add `dns: [192.168.1.1]`: most routers answer DNS");
        return Err(findings.error(place, problem));
    }
    let judge = |text: &Text| value(text, findings, |text| resolver(text, home)).map(|ip| ip.value);
    all(texts.iter().map(judge).collect())
}

fn resolver(text: &str, home: Option<&Spanned<IpNet>>) -> Result<IpAddr, Problem> {
    let ip = ip(text, Rule::Address, "a resolver")?;
    let is_home = home.is_some_and(|home| home.value.addr() == ip);
    if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || is_home {
        return Err(Problem::new(Rule::AddressKind, format!("no resolver answers the home at `{ip}`"))
            .hint("write the router's address, or that of a public resolver"));
    }
    Ok(ip)
}
