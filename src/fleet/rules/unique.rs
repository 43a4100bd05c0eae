//! What must be written once in the whole fleet: names of nodes, and addresses.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::super::model::{Host, NodeName};
use super::super::rule::Rule;
use super::super::shape::Given;
use super::home::JudgedHome;
use super::ingress::JudgedIngress;
use super::{host_key, repeated};
use crate::diag::{Findings, Spanned};

/// Two nodes with one name: their payloads, tokens and DNS records would be one.
pub(super) fn nodes(
    home: Option<&JudgedHome>,
    ingress: Option<&Vec<Given<JudgedIngress>>>,
    findings: &mut Findings,
) {
    let home = home.into_iter().flat_map(|home| &home.name);
    let others = ingress.into_iter().flatten().flatten().flat_map(|node| &node.name);
    let mut seen: HashSet<&NodeName> = HashSet::new();
    for name in home.chain(others) {
        if !seen.insert(&name.value) {
            let message = format!("two nodes have the name `{}`", name.value);
            repeated(findings, name.span, Rule::DuplicateNode, message);
        }
    }
}

/// One address for two things: a WAN twice would be counted twice, and a node has its own.
pub(super) fn addresses(
    home: Option<&JudgedHome>,
    ingress: Option<&Vec<Given<JudgedIngress>>>,
    findings: &mut Findings,
) {
    let mut owners: HashMap<String, String> = HashMap::new();
    let mut take = |host: &Host, owner: String, span| match owners.entry(host_key(host)) {
        Entry::Vacant(free) => {
            free.insert(owner);
        }
        Entry::Occupied(taken) => {
            let message = format!("`{host}` is the address of {} already", taken.get());
            repeated(findings, span, Rule::DuplicateAddress, message);
        }
    };
    for wan in home.into_iter().flat_map(JudgedHome::valid_wans) {
        take(&wan.value.address, format!("the WAN `{}`", wan.value.name), wan.span);
    }
    for node in ingress.into_iter().flatten().flatten() {
        let owner =
            node.name.as_ref().map_or("a node".to_owned(), |name| format!("the node `{}`", name.value));
        for Spanned { value, span } in node.addresses.iter().flatten().flatten() {
            take(value, owner.clone(), *span);
        }
    }
}
