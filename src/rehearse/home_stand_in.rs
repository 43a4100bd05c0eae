//! Plays the home service in this one place, until there is one: puts every ingress node on the home's peer list with
//! its mesh and public address, and runs the command that applies it.

use std::net::IpAddr;

use anyhow::{Context as _, Result};

use super::lab::Lab;
use super::machine::Machine;
use super::plan::IngressPlan;
use crate::identity::PublicKey;
use crate::peers::{Peer, PeerList};

/// Where the home keeps its peer list.
const PEERS: &str = "/var/lib/meshboot/peers.json";

/// Prints the public half of a node's mesh key in hexadecimal digits.
const PUBLIC_KEY: &str = "openssl pkey -in /etc/meshboot/mesh-key.pem -pubout -outform DER | tail -c 32 | od -An -v -tx1 | tr -d ' \\n'";

/// Puts all ingress nodes that are on onto the home's peer list, and applies it.
pub fn enrol_all(lab: &Lab) -> Result<()> {
    let text = lab.home.ask(&format!("cat {PEERS}"))?;
    let mut list: PeerList = serde_json::from_str(&text).with_context(|| format!("reading `{PEERS}`"))?;
    for (machine, plan) in lab.ingress.iter().zip(&lab.plan.ingress) {
        if machine.is_on() {
            let mut peer = peer(machine, plan)?;
            let place = list.nodes.iter().position(|known| known.name == peer.name);
            // Names that the fleet gives a node stay.
            peer.names.extend(place.map(|place| list.nodes.swap_remove(place).names).into_iter().flatten());
            list.nodes.push(peer);
        }
    }
    write(lab, &list)
}

/// Writes the home's peer list and applies it.
pub fn write(lab: &Lab, list: &PeerList) -> Result<()> {
    let text = serde_json::to_string_pretty(list).context("writing a peer list")? + "\n";
    lab.home.write(PEERS, 0o644, text.as_bytes())?;
    lab.home.ask("meshboot-peers apply")?;
    Ok(())
}

/// A node as its enrolment would tell of it.
fn peer(machine: &Machine, plan: &IngressPlan) -> Result<Peer> {
    let digits = machine.ask(PUBLIC_KEY)?;
    let key = public_key(&digits).with_context(|| format!("reading the mesh key of `{}`", machine.name))?;
    Ok(Peer {
        name: machine.name.clone(),
        role: "ingress".to_owned(),
        mesh_address: Some(key.mesh_address().ip().to_string()),
        public_key: Some(digits),
        addresses: plan.addresses().iter().map(IpAddr::to_string).collect(),
        names: Vec::new(),
    })
}

fn public_key(digits: &str) -> Result<PublicKey> {
    let bytes: Option<Vec<u8>> = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    Ok(PublicKey::from_bytes(bytes.with_context(|| format!("`{digits}` is no public key"))?))
}

#[cfg(test)]
mod tests {
    use super::public_key;

    #[test]
    fn reads_a_key() {
        assert!(public_key(&"0a".repeat(32)).is_ok());
        for bad in ["", "0a", "zz", &"0a".repeat(33)] {
            assert!(public_key(bad).is_err(), "{bad}");
        }
    }
}
