//! The nodes of a build: which are chosen, their tokens, and their artefacts, made by as many threads as there are
//! processors.
//!
//! Not here: where artefacts go (`folder`).

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, anyhow};

use super::{BuiltNode, BuiltToken, Request};
use crate::diag::{Refusal, Secret};
use crate::fleet::model::{Fleet, Ingress};
use crate::identity::{State, Token};
use crate::payload::manifest::JoinTokenEntry;
use crate::payload::node::{NodeArtefacts, NodeSetting, compose};
use crate::render::{self, BuildFacts, Role};

/// A node that is to be built.
#[derive(Debug, Clone, Copy)]
pub(super) enum Chosen<'a> {
    Home(&'a str),
    Ingress(&'a Ingress),
}

impl Chosen<'_> {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Home(name) => name,
            Self::Ingress(node) => node.name.as_str(),
        }
    }
}

/// What all nodes of a build have in common.
#[derive(Clone, Copy)]
pub(super) struct Order<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) facts: &'a BuildFacts,
    pub(super) mesh_key_pem: &'a Secret<String>,
}

/// Nodes that a request names, or all; the home first. A name that no node has is refused.
pub(super) fn choose<'a>(fleet: &'a Fleet, request: &Request) -> Result<Vec<Chosen<'a>>, Refusal> {
    let home = fleet.home.name.as_str();
    let all = || std::iter::once(Chosen::Home(home)).chain(fleet.ingress.iter().map(Chosen::Ingress));
    for wanted in request.nodes.iter().chain(&request.renew) {
        if !all().any(|node| node.name() == wanted) {
            let names: Vec<_> = all().map(|node| format!("`{}`", node.name())).collect();
            return Err(Refusal::input(format!("the fleet `{}` has no node `{wanted}`", fleet.name))
                .hint(format!("its nodes are {}", names.join(", "))));
        }
    }
    if request.renew.iter().any(|name| name == home) {
        return Err(Refusal::input(format!("`{home}` is the home, which has no join token to renew"))
            .hint("only ingress nodes join: name one of them"));
    }
    let is_chosen = |node: &Chosen<'_>| {
        let names = |list: &[String]| list.iter().any(|name| name == node.name());
        request.nodes.is_empty() || names(&request.nodes) || names(&request.renew)
    };
    Ok(all().filter(is_chosen).collect())
}

/// The join token of each chosen node, in their order; a home has none.
pub(super) fn tokens(
    state: &mut State,
    chosen: &[Chosen<'_>],
    renew: &[String],
) -> Result<Vec<Option<Token>>, Refusal> {
    let token = |node: &Chosen<'_>| match node {
        Chosen::Home(_) => Ok(None),
        Chosen::Ingress(ingress) => {
            let name = ingress.name.as_str();
            let renew = renew.iter().any(|wanted| wanted == name);
            state.token(name, Role::Ingress.as_str(), renew).map(Some).map_err(Refusal::from)
        }
    };
    chosen.iter().map(token).collect()
}

impl BuiltNode {
    pub(super) fn new(artefacts: &NodeArtefacts, token: Option<&Token>) -> Option<Self> {
        let manifest = &artefacts.manifest;
        Some(Self {
            name: manifest.node.clone(),
            role: manifest.role,
            provider: manifest.provider.clone(),
            user_data: manifest.user_data.clone()?,
            token: token.map(|token| BuiltToken {
                serial: token.serial,
                expires_unix_seconds: token.expires_unix_seconds,
                minted: token.minted,
            }),
        })
    }
}

/// Makes the artefacts of one node.
fn artefacts(order: Order<'_>, node: Chosen<'_>, token: Option<&Token>) -> Result<NodeArtefacts> {
    let Order { fleet, facts, mesh_key_pem } = order;
    let setting = NodeSetting {
        fleet: fleet.name.as_str(),
        provider: None,
        mesh_address: None,
        build_time_unix_seconds: facts.build_time_unix_seconds,
        join_token: None,
        mesh_key_pem: None,
    };
    match node {
        Chosen::Home(_) => {
            let payload = render::local_proxy(fleet, facts, mesh_key_pem)?;
            let mesh_address = Some(facts.home_mesh_address.ip());
            compose(payload, &NodeSetting { mesh_address, mesh_key_pem: Some(mesh_key_pem), ..setting })
        }
        Chosen::Ingress(ingress) => {
            let token = token.ok_or_else(|| anyhow!("`{}` has no join token", ingress.name))?;
            let payload = render::ingress(fleet, facts, ingress, &token.text)?;
            let entry = JoinTokenEntry { serial: token.serial, expires: token.expires_unix_seconds };
            let provider = Some(ingress.provider.as_str());
            compose(payload, &NodeSetting { provider, join_token: Some(&entry), ..setting })
        }
    }
}

/// Makes every chosen node's artefacts and hands each to `take`; what it gives back comes in the nodes' order. After an
/// error no further node is begun, and the error of the first node that has one is returned.
pub(super) fn for_each<T: Send>(
    order: Order<'_>,
    chosen: &[Chosen<'_>],
    tokens: &[Option<Token>],
    take: impl Fn(NodeArtefacts, Option<&Token>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(chosen.len()));
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(&node), Some(token)) = (chosen.get(index), tokens.get(index)) else { return };
            let result = artefacts(order, node, token.as_ref()).and_then(|made| take(made, token.as_ref()));
            if result.is_err() {
                next.store(chosen.len(), Ordering::Relaxed);
            }
            // A thread that panicked holds nothing half done: each entry is pushed whole.
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, result));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(chosen.len());
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
