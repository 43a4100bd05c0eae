//! Programs around the nodes that nobody has to talk to: DHCP in the clouds, the home router's DHCP and resolver, and
//! the public mesh peer; and what a node's administrator would have installed on it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::super::machine::Machine;
use super::super::plan::Plan;
use super::super::registry::Registry;
use super::disk::Disk;
use super::house::{self, House};
use super::internet::{self, Internet};
use super::namespace::Namespace;
use super::pki::Pki;
use super::program::Program;
use crate::fleet::model::PeerUri;

/// Debian's list of trusted CAs.
const TRUSTED: &str = "etc/ssl/certs/ca-certificates.crt";

/// Starts them all.
pub(super) fn start(
    registry: &Arc<Registry>,
    disk: &Disk,
    plan: &Plan,
    internet: &Internet,
    house: &House,
) -> Result<Vec<Program>> {
    let dhcp = dnsmasq(registry, disk, &internet.core, "cloud-dhcp", &internet::dhcp(plan))?;
    let router = dnsmasq(registry, disk, &house.router, "router", &house::services(plan))?;
    let mut programs = vec![dhcp, router];
    if !plan.fleet.mesh.peers.is_empty() {
        disk.put("/etc/rehearsal/mesh-peer.conf", 0o600, mesh_peer(plan).to_string())?;
        let argv = ["yggdrasil", "-useconffile", "/etc/rehearsal/mesh-peer.conf"];
        programs.push(disk.start(registry, &internet.mesh_peer, "mesh-peer", &argv)?);
    }
    Ok(programs)
}

fn dnsmasq(
    registry: &Arc<Registry>,
    disk: &Disk,
    network: &Namespace,
    name: &str,
    arguments: &[String],
) -> Result<Program> {
    let leases = format!("--dhcp-leasefile=/run/{name}.leases");
    let mut argv =
        vec!["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--bind-dynamic", "--user=root"];
    argv.extend(["--pid-file=", "--log-facility=-", "--dhcp-authoritative", "--no-ping", &leases]);
    argv.extend(arguments.iter().map(String::as_str));
    disk.start(registry, network, name, &argv)
}

/// One yggdrasil plays all public peers: it listens at each of their ports. Its keys are new ones every time.
fn mesh_peer(plan: &Plan) -> serde_json::Value {
    let listen: BTreeSet<String> = plan.fleet.mesh.peers.iter().map(listener).collect();
    serde_json::json!({
        "Listen": listen,
        "Peers": [],
        "MulticastInterfaces": [],
        "AdminListen": "none",
        "IfName": "mesh0",
    })
}

fn listener(peer: &PeerUri) -> String {
    let password = peer.options.iter().find(|(name, _)| name == "password");
    let password = password.map(|(_, value)| format!("?password={value}")).unwrap_or_default();
    format!("{}://[::]:{}{}{password}", peer.scheme, peer.port, peer.path)
}

/// Makes a machine that is off trust the rehearsal's CA, as its administrator would.
pub(super) fn trust(machine: &Machine, root: &Path, pki: &Pki) -> Result<()> {
    let list = root.join(TRUSTED);
    let mut text = fs::read_to_string(&list).with_context(|| format!("reading `{}`", list.display()))?;
    text.push_str(pki.certificate_pem());
    machine.put(TRUSTED, 0o644, text)?;
    machine.put("etc/ssl/certs/rehearsal.pem", 0o644, pki.certificate_pem())?;
    // For the next `update-ca-certificates`.
    machine.put("usr/local/share/ca-certificates/rehearsal.crt", 0o644, pki.certificate_pem())
}
