//! `mesh`: public peers, the port, and how home and ingress find each other first.

use super::super::model::{Mesh, PeerUri};
use super::super::raw::{RawFleet, RawMesh};
use super::super::rule::Rule;
use super::super::shape::Given;
use super::super::values::peer;
use super::home::JudgedHome;
use super::ports::own_use;
use super::{Seen, all, port_number, repeated, value};
use crate::diag::{Findings, Problem};

/// The port where none is written.
const PORT: u16 = 4_781;

/// A mesh whose parts were judged.
pub(super) struct JudgedMesh {
    peers: Given<Vec<Given<PeerUri>>>,
    pub(super) port: Given<u16>,
}

impl JudgedMesh {
    pub(super) fn finish(self) -> Given<Mesh> {
        Ok(Mesh { peers: all(self.peers?)?, port: self.port? })
    }
}

pub(super) fn judge(raw: &RawMesh, findings: &mut Findings) -> JudgedMesh {
    let mut seen = Seen::new();
    let peers = raw.peers.as_ref().map_err(|it| *it).map(|texts| {
        let judge = |text: &super::super::raw::Text| {
            if let Ok(text) = text
                && text.value.contains("password=")
            {
                findings.redact(text.span);
            }
            let peer = value(text, findings, peer::parse_uri)?;
            let uri = &peer.value;
            let place = format!("{}://{}:{}{}", uri.scheme, uri.host, uri.port, uri.path);
            if let Some(first) = seen.before(place, peer.span) {
                let message = format!("the peer `{}:{}` is listed twice", uri.host, uri.port);
                repeated(findings, first, peer.span, Rule::DuplicatePeer, message);
            }
            Ok(peer.value)
        };
        texts.iter().map(judge).collect()
    });
    JudgedMesh { peers, port: port(raw, findings) }
}

fn port(raw: &RawMesh, findings: &mut Findings) -> Given<u16> {
    let Some(number) = raw.port.as_ref().map_err(|it| *it)? else { return Ok(PORT) };
    let port = port_number(number, findings)?;
    match own_use(port.value) {
        Some(usage) => {
            let message = format!("`mesh.port` cannot be {}: {usage}", port.value);
            Err(findings.error(
                port.span,
                Problem::new(Rule::PortTaken, message).hint(format!("the usual one is {PORT}")),
            ))
        }
        None => Ok(port.value),
    }
}

/// A fleet whose home and ingress nodes have no mesh path to each other can never enrol a node.
pub(super) fn first_contact(raw: &RawFleet, home: Option<&JudgedHome>, findings: &mut Findings) {
    let (Some(home), Ok(mesh)) = (home, &raw.mesh) else { return };
    let no_peer = mesh.peers.as_ref().is_ok_and(Vec::is_empty);
    let dialled = !matches!(home.mesh_listen, Ok(false)) && !home.wans.as_ref().is_ok_and(Vec::is_empty);
    if no_peer && !dialled {
        let problem = Problem::new(Rule::NoFirstContact, "home and ingress have no way to the first contact: no mesh peer, and no WAN with `mesh-listen`")
            .hint("add a public peer to `mesh.peers` (https://publicpeers.neilalexander.dev lists them), or forward `mesh.port` at the router and set `mesh-listen: true`");
        findings.error(mesh.place, problem);
    }
}
