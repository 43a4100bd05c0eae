//! What must be written once in the whole fleet: names of nodes, and addresses.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::super::model::{Host, NodeName};
use super::super::rule::Rule;
use super::super::shape::Given;
use super::home::JudgedHome;
use super::ingress::JudgedIngress;
use super::{Seen, host_key, repeated};
use crate::diag::{Findings, Problem, Span, Spanned};

/// Two nodes with one name: their payloads, tokens and DNS records would be one.
pub(super) fn nodes(
    home: Option<&JudgedHome>,
    ingress: Option<&Vec<Given<JudgedIngress>>>,
    findings: &mut Findings,
) {
    let home = home.into_iter().flat_map(|home| &home.name);
    let others = ingress.into_iter().flatten().flatten().flat_map(|node| &node.name);
    let mut seen: Seen<&NodeName> = Seen::new();
    for name in home.chain(others) {
        if let Some(first) = seen.before(&name.value, name.span) {
            let message = format!("two nodes have the name `{}`", name.value);
            repeated(findings, first, name.span, Rule::DuplicateNode, message);
        }
    }
}

/// One address for two things: a WAN twice would be counted twice, and a node has its own.
pub(super) fn addresses(
    home: Option<&JudgedHome>,
    ingress: Option<&Vec<Given<JudgedIngress>>>,
    findings: &mut Findings,
) {
    let mut owners: HashMap<String, (String, Span)> = HashMap::new();
    let mut take = |host: &Host, owner: String, span: Span, findings: &mut Findings| match owners
        .entry(host_key(host))
    {
        Entry::Vacant(free) => {
            free.insert((owner, span));
        }
        Entry::Occupied(taken) => {
            let (owner, first) = taken.get();
            let message = format!("`{host}` is the address of {owner} already");
            repeated(findings, *first, span, Rule::DuplicateAddress, message);
        }
    };
    for wan in home.into_iter().flat_map(JudgedHome::valid_wans) {
        take(&wan.value.address, format!("the WAN `{}`", wan.value.name), wan.span, findings);
    }
    for node in ingress.into_iter().flatten().flatten() {
        let owner =
            node.name.as_ref().map_or("a node".to_owned(), |name| format!("the node `{}`", name.value));
        for Spanned { value, span } in node.addresses.iter().flatten().flatten() {
            in_lan(value, *span, home, findings);
            take(value, owner.clone(), *span, findings);
        }
    }
}

/// A cloud machine inside the LAN would be trusted like one.
fn in_lan(host: &Host, span: Span, home: Option<&JudgedHome>, findings: &mut Findings) {
    let networks = home.into_iter().flat_map(|home| &home.lan).flatten();
    let around =
        networks.into_iter().find(|network| matches!(host, Host::Address(ip) if network.contains(ip)));
    if let Some(network) = around {
        let message = format!("`{host}` is inside `{network}` of `home.lan`, whose machines are trusted");
        let problem =
            Problem::new(Rule::AddressInLan, message).hint("name the home's own networks only in `home.lan`");
        findings.error(span, problem);
    }
}
