//! The rules: what was written becomes a fleet that is valid by type, or findings that say why not.
//!
//! Every value is judged even when an earlier one was refused, so that one run shows all there is; a
//! `Result<T, Reported>` proves that nothing is missing without a finding. To add a rule: an identifier in `rule`,
//! the judgement in the file of its part of the fleet, and a fixture.

mod admin;
mod home;
mod ingress;
mod limits;
mod mesh;
mod ports;
mod publishing;
mod services;
mod unique;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use super::model::{Acme, Fleet, FleetName, Host, MeshDns, NodeName};
use super::raw::{MaybeText, RawFleet, Text};
use super::rule::Rule;
use super::shape::Given;
use super::values::{name, url};
use crate::diag::{Findings, Problem, Span, Spanned, quote};

use ports::Relay;

/// Judges a whole fleet.
pub(super) fn judge(raw: &RawFleet, findings: &mut Findings) -> Given<Fleet> {
    let fleet_name = name_of(&raw.name, "a fleet", findings).map(|name| FleetName::from_valid(name.value));
    let admin = raw.admin.as_ref().map_err(|it| *it).and_then(|raw| admin::judge(raw, findings));
    let home = raw.home.as_ref().map_err(|it| *it).map(|raw| home::judge(raw, findings));
    let ingress = each(&raw.ingress, |raw| ingress::judge(raw, findings));
    let mesh = raw.mesh.as_ref().map_err(|it| *it).map(|raw| mesh::judge(raw, findings));
    let acme = acme(&raw.acme_server, findings);

    let home_facts = home.as_ref().ok();
    let relay = Relay::of(raw, home_facts, mesh.as_ref().ok());
    let ports = ports::judge(raw, &relay, findings);
    let services = services::judge(raw, &relay, acme.as_ref().ok(), findings);
    let dns = publishing::judge(raw, services.as_ref().ok(), findings);
    let firewall = publishing::firewall(&raw.allow, findings);
    let mesh_dns = mesh_dns(raw, findings);

    unique::nodes(home_facts, ingress.as_ref().ok(), findings);
    unique::addresses(home_facts, ingress.as_ref().ok(), findings);
    mesh::first_contact(raw, home_facts, findings);
    let limits = limits::judge(raw, findings);
    nothing_to_do(raw, findings);

    let (home_limit, ingress_limits) = limits?;
    let ingress = ingress?.into_iter().collect::<Given<Vec<_>>>()?;
    let ingress = ingress.into_iter().zip(ingress_limits).map(|(node, limit)| node.finish(limit)).collect();
    Ok(Fleet {
        name: fleet_name?,
        admin: admin?,
        home: home?.finish(home_limit)?,
        ingress: all(ingress)?,
        mesh: mesh?.finish()?,
        services: services?.into_iter().map(|service| service.value).collect(),
        ports: ports?,
        acme: acme?,
        dns: dns?,
        firewall: firewall?,
        mesh_dns: mesh_dns?,
    })
}

/// Judges every entry of a list, those that could be read.
fn each<R, T>(raw: &Given<Vec<Given<R>>>, mut judge: impl FnMut(&R) -> T) -> Given<Vec<Given<T>>> {
    let entries = raw.as_ref().map_err(|it| *it)?;
    Ok(entries.iter().map(|entry| entry.as_ref().map(&mut judge).map_err(|it| *it)).collect())
}

/// All values of a list, or proof that one was refused.
fn all<T>(values: Vec<Given<T>>) -> Given<Vec<T>> {
    values.into_iter().collect()
}

/// Judges one text by a function of its value alone.
fn value<T>(
    text: &Text,
    findings: &mut Findings,
    parse: impl FnOnce(&str) -> Result<T, Problem>,
) -> Given<Spanned<T>> {
    let text = text.as_ref().map_err(|it| *it)?;
    match parse(&text.value) {
        Ok(value) => Ok(text.with(value)),
        Err(problem) => Err(findings.error(text.span, problem)),
    }
}

/// Judges a name; `what` has it.
fn name_of(text: &Text, what: &str, findings: &mut Findings) -> Given<Spanned<String>> {
    value(text, findings, |text| name::check(text, what).map(|()| text.to_owned()))
}

/// Judges the name of a node or WAN.
fn node_name(text: &Text, what: &str, findings: &mut Findings) -> Given<Spanned<NodeName>> {
    name_of(text, what, findings).map(|name| name.with(NodeName::from_valid(name.value.clone())))
}

/// A host as a key for comparisons.
fn host_key(host: &Host) -> String {
    host.to_string()
}

fn acme(server: &MaybeText, findings: &mut Findings) -> Given<Acme> {
    match server {
        Err(reported) => Err(*reported),
        Ok(None) => Ok(Acme { directory: url::LETSENCRYPT.to_owned() }),
        Ok(Some(server)) => match url::acme_directory(&server.value) {
            Ok(directory) => Ok(Acme { directory }),
            Err(problem) => Err(findings.error(server.span, problem)),
        },
    }
}

fn mesh_dns(raw: &RawFleet, findings: &mut Findings) -> Given<MeshDns> {
    let Some(text) = raw.mesh_dns.as_ref().map_err(|it| *it)? else { return Ok(MeshDns::Automatic) };
    match text.value.as_str() {
        "automatic" => Ok(MeshDns::Automatic),
        "same-name" => {
            if matches!(raw.dns, Ok(None)) {
                let message = "the mesh AAAA under the same name breaks certificate renewal without `dns`";
                let hint =
                    "CAs prefer IPv6 and cannot route a mesh address: add `dns`, so that DNS-01 is used";
                findings.warning(text.span, Problem::new(Rule::MeshDnsRenewal, message).hint(hint));
            }
            Ok(MeshDns::SameName)
        }
        other => {
            let problem = Problem::new(Rule::MeshDns, format!("`mesh-dns` cannot be {}", quote(other)));
            Err(findings.error(text.span, problem.hint("write `automatic` or `same-name`")))
        }
    }
}

/// Warns of a fleet that relays or serves nothing.
fn nothing_to_do(raw: &RawFleet, findings: &mut Findings) {
    if raw.ingress.as_ref().is_ok_and(Vec::is_empty) {
        let problem = Problem::new(
            Rule::NoIngress,
            "the fleet has no ingress node, so only the LAN and the mesh reach it",
        );
        findings.warning(raw.place, problem.hint("add `ingress: [{name: any1, provider: generic}]`"));
    }
    let is_empty =
        raw.services.as_ref().is_ok_and(Vec::is_empty) && raw.ports.as_ref().is_ok_and(Vec::is_empty);
    if is_empty {
        let problem = Problem::new(Rule::NoService, "the fleet serves nothing");
        let hint = "add `services: [{domain: cloud.example.org, to: \"http://192.168.1.20:8080\"}]`";
        findings.warning(raw.place, problem.hint(hint));
    }
}

/// A number within a range, or the finding that it is not.
fn within(
    number: &Spanned<i64>,
    range: std::ops::RangeInclusive<u32>,
    rule: Rule,
    what: &str,
    findings: &mut Findings,
) -> Given<u32> {
    match u32::try_from(number.value) {
        Ok(value) if range.contains(&value) => Ok(value),
        _ => {
            let message = format!("`{}` cannot be {what}", number.value);
            let hint = format!("it is a number from {} to {}", range.start(), range.end());
            Err(findings.error(number.span, Problem::new(rule, message).hint(hint)))
        }
    }
}

/// A TCP port.
fn port_number(number: &Spanned<i64>, findings: &mut Findings) -> Given<Spanned<u16>> {
    let port = within(number, 1..=65_535, Rule::Port, "a port", findings)?;
    // In range by the line above.
    Ok(number.with(u16::try_from(port).unwrap_or(u16::MAX)))
}

/// Reports a value that is written a second time.
fn repeated(findings: &mut Findings, first: Span, span: Span, rule: Rule, message: String) {
    findings.error(span, Problem::new(rule, message).first(first).hint("keep one of them"));
}

/// What was seen already, and where.
struct Seen<T>(HashMap<T, Span>);

impl<T: Eq + Hash> Seen<T> {
    fn new() -> Self {
        Self(HashMap::new())
    }

    /// Notes a value; returns where it was seen before, if it was.
    fn before(&mut self, value: T, span: Span) -> Option<Span> {
        match self.0.entry(value) {
            Entry::Occupied(first) => Some(*first.get()),
            Entry::Vacant(free) => {
                free.insert(span);
                None
            }
        }
    }
}
